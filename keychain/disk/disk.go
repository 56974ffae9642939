// Package disk reads and writes the program's private files: whole files put
// in place by rename, a cache directory nobody else can look into, and locks
// between processes.
//
// It trusts the user and root. Other users may own the directories above (as
// in /tmp), may plant links and files there, and may not be believed: what
// belongs to them, or what they can write, is refused with an [UnsafeError].
//
// It leaves out what the files mean, where they are, and Windows access
// lists: there, owners and modes are not judged, since a user's profile is
// closed to others by inheritance.
package disk

import (
	"fmt"
	"io/fs"
	"os"
)

// UnsafeError says that a file or directory is refused because of what it is,
// whom it belongs to or who can reach it; nothing was read from it.
type UnsafeError struct {
	Path   string
	Reason string // a clause such as "it belongs to uid 1000"
}

func (e *UnsafeError) Error() string {
	return fmt.Sprintf("refuse %q: %s", e.Path, e.Reason)
}

// judge returns a reason to refuse info: another owner than the user (or root,
// if rootToo), or any of the forbidden mode bits. It is "" if there is none.
func judge(info fs.FileInfo, rootToo bool, forbidden fs.FileMode) string {
	uid, ok := Owner(info)
	if !ok {
		return ""
	}
	if uid != os.Geteuid() && !(rootToo && uid == 0) {
		return fmt.Sprintf("it belongs to uid %d", uid)
	}
	switch bits := info.Mode().Perm() & forbidden; {
	case bits&0o022 != 0:
		return fmt.Sprintf("others can write it (mode %04o)", info.Mode().Perm())
	case bits != 0:
		return fmt.Sprintf("others can read it (mode %04o)", info.Mode().Perm())
	}
	return ""
}
