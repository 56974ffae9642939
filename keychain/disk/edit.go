package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/moby/sys/atomicwriter"
)

// Edit changes a file that the user writes too, such as another program's
// configuration: change gets what is in it, nil where there is no file, and
// gives what is to be in it; nil is no file. The file is replaced as a whole,
// with the mode that it has, or 0600; a link is followed and stays. A file that
// is not the user's own is refused with an [UnsafeError]; one that is closed to
// writing, or has more than limit bytes, with an error. Where change gives what
// it got, nothing is written.
func Edit(path string, limit int64, change func(text []byte) ([]byte, error)) error {
	target, err := followLinks(path)
	if err != nil {
		return fmt.Errorf("edit %q: %w", path, err)
	}
	old, mode, err := readWritable(target, limit)
	if err != nil {
		return err
	}
	text, err := change(old)
	if err != nil || bytes.Equal(text, old) && (text == nil) == (old == nil) {
		return err
	}
	// The user may have saved the file meanwhile.
	if now, _, err := readWritable(target, limit); err != nil || !bytes.Equal(now, old) {
		return errors.Join(fmt.Errorf("edit %q: it was changed meanwhile", path), err)
	}
	if text == nil {
		return remove(path, target)
	}
	dir := filepath.Dir(target)
	if err := makeDirs(dir); err != nil {
		return fmt.Errorf("edit %q: %w", path, err)
	}
	if err := patiently(func() error { return atomicwriter.WriteFile(target, text, mode) }); err != nil {
		return fmt.Errorf("edit %q: %w", path, unnamed(err))
	}
	_ = removeLeft(target, stale)
	if err := syncDir(dir); err != nil {
		return fmt.Errorf("edit %q: %w", path, unsure(err))
	}
	return nil
}

// readWritable reads a file that may be replaced.
func readWritable(path string, limit int64) (data []byte, mode fs.FileMode, err error) {
	var f *os.File
	err = patiently(func() (err error) { f, err = openRegular(path); return err })
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0o600, nil
	}
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	// A rename would make the user its owner, and asks for no leave to write it.
	if reason := judge(info, false, 0); reason != "" {
		return nil, 0, &UnsafeError{path, reason}
	}
	if info.Mode().Perm()&0o200 == 0 {
		return nil, 0, fmt.Errorf("edit %q: it is closed to writing", path)
	}
	data, err = readAll(f, info, path, limit)
	return data, info.Mode().Perm(), err
}

// remove removes a file, but where a link leads to it that would lead nowhere
// then: such a file is emptied.
func remove(path, target string) error {
	if link, err := os.Lstat(path); err == nil && link.Mode()&fs.ModeSymlink != 0 {
		return os.Truncate(target, 0)
	}
	if err := os.Remove(target); err != nil {
		return fmt.Errorf("edit %q: %w", path, err)
	}
	if err := syncDir(filepath.Dir(target)); err != nil {
		return fmt.Errorf("edit %q: %w", path, unsure(err))
	}
	return nil
}
