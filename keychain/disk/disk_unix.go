//go:build unix

package disk

import (
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

// syncDir makes the names in dir durable. Its failure is not reported: the
// rename has happened, and the caller must not be told that the old file
// stands. Several file systems know no fsync of a directory.
func syncDir(dir string) {
	f, err := os.Open(dir)
	if err != nil {
		return
	}
	defer f.Close()
	_ = f.Sync()
}

// patiently calls f: what others have open can be replaced.
func patiently(f func() error) error { return f() }
