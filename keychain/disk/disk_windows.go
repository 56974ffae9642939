package disk

import "io/fs"

// noFollow has no counterpart here; a lock is compared with its name after it
// was taken.
const noFollow = 0

// Owner returns false: Windows files have no user ID, and the mode Go shows
// for them says nothing about who can read them.
func Owner(fs.FileInfo) (uid int, ok bool) { return 0, false }

// syncDir does nothing: NTFS journals names by itself and cannot flush a
// directory opened for reading.
func syncDir(string) {}
