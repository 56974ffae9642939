package disk

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Dir is a private directory for small files that may be lost, such as cached
// tokens. Names are plain file names in it. A Dir may be used by several
// goroutines, and the directory by several processes.
type Dir struct {
	root *os.Root
	path string
	mode fs.FileMode // of the files; 0: 0600
}

// OpenDir opens the directory at path and makes it, with mode 0700, if it is
// missing; its parent must be there. A symlink, a file, a directory of another
// owner or with any mode bit for group or others is refused with an
// [UnsafeError].
func OpenDir(path string) (*Dir, error) {
	path = filepath.Clean(path) // a slash at the end would follow a link
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		info, err = os.Lstat(path)
	}
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, &UnsafeError{path, "it is not a directory"}
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	// What was opened is judged, and is what the name stood for: in /tmp
	// anybody can make a link in the time between.
	opened, err := root.Stat(".")
	switch {
	case err != nil:
	case !os.SameFile(info, opened):
		err = &UnsafeError{path, "it changed while it was opened"}
	default:
		if reason := judge(opened, false, 0o077); reason != "" {
			err = &UnsafeError{path, reason}
		}
	}
	if err != nil {
		root.Close()
		return nil, err
	}
	return &Dir{root: root, path: path}, nil
}

// Close releases the directory; locks taken in it stay.
func (d *Dir) Close() error { return d.root.Close() }

// ReadFile returns the regular file name if it is the user's and has no mode
// bit for group or others, else an [UnsafeError]. No link is followed. More
// than limit bytes are an error; a missing file matches [fs.ErrNotExist].
func (d *Dir) ReadFile(name string, limit int64) ([]byte, error) {
	// os.Root would follow a link that stays inside.
	if info, err := d.root.Lstat(name); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, &UnsafeError{d.join(name), "it is not a regular file"}
	}
	f, err := d.root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if reason := judge(info, false, 0o077); reason != "" {
		return nil, &UnsafeError{d.join(name), reason}
	}
	return readAll(f, info, d.join(name), limit)
}

// WriteFile puts data in place as name, as a whole and with mode 0600; a link
// at name is replaced, not followed. It does not wait for the disk, for what
// is here may be lost. On an error the old file stands. What killed writers
// have left is removed when it is an hour old.
func (d *Dir) WriteFile(name string, data []byte) error {
	temp := tempPrefix + rand.Text()
	err := d.create(temp, data)
	if err == nil {
		err = patiently(func() error { return d.root.Rename(temp, name) })
	}
	if err != nil {
		_ = d.root.Remove(temp)
		return fmt.Errorf("write %q: %w", d.join(name), unnamed(err))
	}
	d.removeLeft()
	return nil
}

// create writes data to a file that must not be there yet.
func (d *Dir) create(name string, data []byte) error {
	f, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && d.mode != 0 {
		err = f.Chmod(d.mode) // whatever the umask says
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// Remove removes the file name; a missing one matches [fs.ErrNotExist].
func (d *Dir) Remove(name string) error { return d.root.Remove(name) }

// TryLock takes the lock file name in the directory, if no other process or
// caller has it; ok says whether. unlock is nil unless ok, and must be called
// once. A link at name is refused with an [UnsafeError].
func (d *Dir) TryLock(name string) (unlock func(), ok bool, err error) {
	return tryLock(d.join(name))
}

// AwaitUnlock waits until nobody has the lock file name, or ctx ends. It takes a
// shared lock for a moment, so all who wait go on at once, and none of them
// spends time on looking again and again.
func (d *Dir) AwaitUnlock(ctx context.Context, name string) error {
	lock := newLock(d.join(name))
	done := make(chan error, 1) // the call knows no context, and is abandoned
	go func() {
		err := lock.RLock()
		_ = lock.Close()
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("wait for lock %q: %w", d.join(name), err)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *Dir) join(name string) string { return filepath.Join(d.path, name) }
