package record

import "golang.org/x/sys/unix"

// freeBytes is the room that is left on a folder's disk.
func freeBytes(path string) (int64, bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, false
	}
	return int64(st.Bavail) * st.Bsize, true
}
