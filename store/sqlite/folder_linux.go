package sqlite

import (
	"fmt"
	"syscall"
)

// File systems that forget at a restart, or whose locks and flushes cannot be
// trusted (statfs(2)).
var refusedFileSystems = map[int64]string{
	0x01021994: "tmpfs",
	0x858458f6: "ramfs",
	0x6969:     "NFS",
	0xff534d42: "CIFS",
	0xfe534d42: "SMB2",
}

// durableFolder refuses a data folder on which a durable write is not one.
func durableFolder(dir string) error {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	if name, bad := refusedFileSystems[int64(st.Type)]; bad {
		return fmt.Errorf("data folder %s is on %s, which does not keep what it is told to keep: set data to a folder on a local disk", dir, name)
	}
	return nil
}
