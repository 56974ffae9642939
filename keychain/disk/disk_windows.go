package disk

import (
	"errors"
	"io/fs"
	"time"

	"golang.org/x/sys/windows"
)

// noFollow has no counterpart here; a lock is compared with its name after it
// was taken.
const noFollow = 0

// Owner returns false: Windows files have no user ID, and the mode Go shows
// for them says nothing about who can read them.
func Owner(fs.FileInfo) (uid int, ok bool) { return 0, false }

// syncDir does nothing: NTFS journals names by itself and cannot flush a
// directory opened for reading.
func syncDir(string) error { return nil }

// patience is how long patiently goes on.
const patience = time.Second

// patiently calls f again while it fails because somebody has the file open:
// then it cannot be replaced, and while it is replaced it cannot be opened.
// Our own readers, and virus scanners, have it for moments. A file that an
// access list closes fails in the same way, only later.
func patiently(f func() error) error {
	for start, wait := time.Now(), time.Millisecond; ; wait = min(2*wait, 32*time.Millisecond) {
		err := f()
		busy := errors.Is(err, windows.ERROR_ACCESS_DENIED) || errors.Is(err, windows.ERROR_SHARING_VIOLATION)
		if !busy || time.Since(start) > patience {
			return err
		}
		time.Sleep(wait)
	}
}
