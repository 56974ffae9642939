//go:build unix

package disk

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// noFollow makes opening a lock file fail where somebody planted a link.
const noFollow = syscall.O_NOFOLLOW

// Owner returns the user ID info's file belongs to; ok is false where files
// have no such owner (Windows) and modes mean nothing either.
func Owner(info fs.FileInfo) (uid int, ok bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(stat.Uid), true
}

// syncDir makes the names in dir durable. Where a directory cannot be read, or
// the file system knows no fsync of one, nothing can be done about it; EBADF and
// EINVAL say so, as PostgreSQL has found out (fsync_fname_ext in fd.c).
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EBADF) || errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	return err
}

// patiently calls f: what others have open can be replaced.
func patiently(f func() error) error { return f() }
