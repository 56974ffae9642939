package disk

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// lockPoll is how long a waiter sleeps between two tries. No OS call waits for
// a file lock and a context at once.
const lockPoll = 20 * time.Millisecond

// Lock waits for the lock file at path, and makes it (0600) and missing parent
// directories (0700). The lock ends with unlock, to be called once, or with
// the process; the file stays. When ctx ends first the error matches its Err.
// Where the file system has no locks it may match [errors.ErrUnsupported].
//
// A lock file is never the file it guards: that one is replaced by rename, and
// a lock on it would stay with the old one.
func Lock(ctx context.Context, path string) (unlock func(), err error) {
	if err := makeDirs(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("lock %q: %w", path, err)
	}
	poll := time.NewTicker(lockPoll)
	defer poll.Stop()
	for {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("wait for lock %q: %w", path, err)
		}
		unlock, ok, err := tryLock(path)
		if ok || err != nil {
			return unlock, err
		}
		select {
		case <-ctx.Done():
		case <-poll.C:
		}
	}
}

// tryLock takes the lock at path without waiting.
func tryLock(path string) (unlock func(), ok bool, err error) {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return nil, false, &UnsafeError{path, "it is not a regular file"}
	}
	lock := newLock(path)
	ok, err = lock.TryLock()
	if err != nil {
		return nil, false, fmt.Errorf("lock %q: %w", path, err)
	}
	if !ok {
		return nil, false, nil
	}
	// The name may have been removed or replaced between open and lock; then
	// this lock excludes nobody, and the caller tries again.
	if held, err := lock.Stat(); err != nil || !isNamed(held, path) {
		_ = lock.Close()
		return nil, false, nil
	}
	return func() { _ = lock.Close() }, true, nil
}

func newLock(path string) *flock.Flock {
	return flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDONLY|noFollow), flock.SetPermissions(0o600))
}

// isNamed reports whether path itself, not a link there, is the file info.
func isNamed(info fs.FileInfo, path string) bool {
	named, err := os.Lstat(path)
	return err == nil && os.SameFile(info, named)
}
