package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/moby/sys/atomicwriter"
)

// WriteFile puts data in place at path as a whole, with mode 0600, and makes
// missing parent directories with mode 0700. A symlink at path is followed and
// its target replaced, since people link their dotfiles. Data and names are on
// the disk when it returns. On an error the old file stands as it was, or the
// new one does and may not outlast a crash. What killed writers of this file have
// left is removed when it is an hour old.
func WriteFile(path string, data []byte) error {
	target, err := followLinks(path)
	if err != nil {
		return fmt.Errorf("write %q: %w", path, err)
	}
	dir := filepath.Dir(target)
	if err := makeDirs(dir); err != nil {
		return fmt.Errorf("write %q: %w", path, err)
	}
	// Writes beside the target, fsyncs, renames, and removes its temporary
	// file on failure.
	err = patiently(func() error { return atomicwriter.WriteFile(target, data, 0o600) })
	if err != nil {
		return fmt.Errorf("write %q: %w", path, unnamed(err))
	}
	_ = removeLeft(target, stale)
	if err := syncDir(dir); err != nil {
		return fmt.Errorf("write %q: %w", path, unsure(err))
	}
	return nil
}

// unsure is the error of a change that was made, but perhaps not on the disk.
func unsure(err error) error {
	return fmt.Errorf("it is done, but may not outlast a crash: %w", unnamed(err))
}

// unnamed takes the name of the temporary file, which nobody knows, off an
// error.
func unnamed(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}

// ReadPrivate returns the regular file at path if it belongs to the user or
// root and nobody else can write it, else an [UnsafeError]. Links are followed
// and their target judged. More than limit bytes are an error; a missing file
// matches [fs.ErrNotExist].
func ReadPrivate(path string, limit int64) ([]byte, error) {
	var f *os.File
	err := patiently(func() (err error) { f, err = openRegular(path); return err })
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if reason := judge(info, true, 0o022); reason != "" {
		return nil, &UnsafeError{path, reason}
	}
	return readAll(f, info, path, limit)
}

// openRegular opens a regular file. The name is judged before it is opened,
// because opening a FIFO waits for a writer; the caller judges the opened file
// again, because names change.
func openRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &UnsafeError{path, "it is not a regular file"}
	}
	return os.Open(path)
}

// readAll reads the regular file f, of which info is the state, up to limit.
func readAll(f *os.File, info fs.FileInfo, path string, limit int64) ([]byte, error) {
	if !info.Mode().IsRegular() {
		return nil, &UnsafeError{path, "it is not a regular file"}
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("read %q: larger than %d bytes", path, limit)
	}
	// One byte more than the file has, so that one read sees its end.
	data := make([]byte, info.Size()+1)
	n, err := io.ReadFull(f, data)
	switch {
	case err == nil:
		return nil, fmt.Errorf("read %q: it grew while it was read", path)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return data[:n], nil
	}
	return nil, err
}

// followLinks returns the file that path stands for. Unlike
// [filepath.EvalSymlinks] it also resolves links to a file not yet made.
func followLinks(path string) (string, error) {
	for range 40 { // as many as Linux follows, path_resolution(7)
		target, err := filepath.EvalSymlinks(path)
		if !errors.Is(err, fs.ErrNotExist) {
			return target, err
		}
		link, err := os.Readlink(path)
		if err != nil {
			return path, nil // no link: the file itself is missing
		}
		if !filepath.IsAbs(link) {
			dir, err := filepath.EvalSymlinks(filepath.Dir(path))
			if err != nil {
				return "", err
			}
			link = filepath.Join(dir, link)
		}
		path = link
	}
	return "", errors.New("too many links")
}

// makeDirs is [os.MkdirAll] with mode 0700 and durable names: a key must not
// be lost with the directory that was made for it.
func makeDirs(dir string) error {
	err := os.Mkdir(dir, 0o700)
	// A missing drive (Windows) is its own parent.
	if parent := filepath.Dir(dir); errors.Is(err, fs.ErrNotExist) && parent != dir {
		if err := makeDirs(parent); err != nil {
			return err
		}
		err = os.Mkdir(dir, 0o700)
	}
	if err == nil {
		return syncDir(filepath.Dir(dir))
	}
	// Mkdir on what is there fails in many ways (EEXIST, EROFS, EISDIR for
	// "/"): what counts is whether it is a directory.
	if info, statErr := os.Stat(dir); statErr == nil && info.IsDir() {
		return nil
	}
	return err
}
