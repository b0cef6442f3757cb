package record

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ringfence/ringfence"
)

// Dir is a Folder on a disk.
type Dir struct {
	path string
	keep int64 // octets that stay free
}

// NewDir opens a folder, mode 0700, and makes it if there is none. keepFree is
// how many octets of its disk a new recording leaves alone; zero means 1 GiB,
// negative none.
func NewDir(path string, keepFree int64) (*Dir, error) {
	if keepFree == 0 {
		keepFree = 1 << 30
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("recordings: %w", err)
	}
	return &Dir{path: path, keep: keepFree}, nil
}

// file is where a recording lies. Only ids of ours are names.
func (d *Dir) file(name string) (string, error) {
	if !ringfence.ValidID(name, Prefix) {
		return "", fmt.Errorf("record: %q is no recording", name)
	}
	return filepath.Join(d.path, name), nil
}

// Create implements Folder.
func (d *Dir) Create(name string) (File, error) {
	path, err := d.file(name)
	if err != nil {
		return nil, err
	}
	if free, ok := freeBytes(d.path); ok && free < d.keep {
		return nil, fmt.Errorf("record: %d octets are free, %d are to stay so: make room, or set media.recording.keep_free", free, d.keep)
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// Open implements Folder.
func (d *Dir) Open(name string) (io.ReadSeekCloser, error) {
	path, err := d.file(name)
	if err != nil {
		return nil, err
	}
	return os.Open(path)
}

// Remove implements Folder.
func (d *Dir) Remove(name string) error {
	path, err := d.file(name)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
