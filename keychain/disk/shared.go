package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// OpenShared opens the directory at path for a file that its user has named and
// lets others read: what is written there gets mode, which must leave out what
// others than the group may do. Links on the way are followed. A directory in
// which others could put a file of theirs in the place of the user's is refused
// with an [UnsafeError]: one that belongs to neither the user nor root, or that
// group or others can write, unless it is sticky.
func OpenShared(path string, mode fs.FileMode) (*Dir, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	info, err := root.Stat(".")
	if err == nil {
		forbidden := fs.FileMode(0o022)
		if info.Mode()&fs.ModeSticky != 0 {
			forbidden = 0
		}
		if reason := judge(info, true, forbidden); reason != "" {
			err = &UnsafeError{path, reason}
		}
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	return &Dir{root: root, path: path, mode: mode}, nil
}

// CheckReplaceable returns an [UnsafeError] unless name is missing or a regular
// file of the user's.
func (d *Dir) CheckReplaceable(name string) error {
	info, err := d.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&fs.ModeSymlink != 0:
		return &UnsafeError{d.join(name), "it is a link"}
	case !info.Mode().IsRegular():
		return &UnsafeError{d.join(name), "it is not a regular file"}
	}
	if reason := judge(info, false, 0); reason != "" {
		return &UnsafeError{d.join(name), reason}
	}
	return nil
}

// RemoveOwn removes the file name if data is all that is in it: if it is still
// the one that the caller wrote. Another one stays, and is no error.
func (d *Dir) RemoveOwn(name string, data []byte) error {
	there, err := d.Begins(name, len(data)+1)
	if err == nil && bytes.Equal(there, data) {
		err = d.root.Remove(name)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %q: %w", d.join(name), err)
	}
	return nil
}

// Begins reads the first bytes of a regular file; of what is none, nothing.
func (d *Dir) Begins(name string, most int) ([]byte, error) {
	info, err := d.root.Lstat(name)
	if err != nil || !info.Mode().IsRegular() {
		return nil, err
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, int64(most)))
}
