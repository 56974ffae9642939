//go:build unix

package keychain

import (
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// openFile opens the file at path. A path that stands for a descriptor of ours
// is that descriptor itself: Linux would open anew what is behind it, and what
// root has opened for us may not be ours to open.
func openFile(path string) (*os.File, error) {
	n, ok := descriptor(path)
	if !ok {
		return os.Open(path)
	}
	own, err := unix.FcntlInt(uintptr(n), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(own), path), nil
}

// descriptor is the number in a path such as /dev/fd/3.
func descriptor(path string) (int, bool) {
	if path == "/dev/stdin" {
		return 0, true
	}
	if !isDescriptor(path) {
		return 0, false
	}
	n, err := strconv.ParseUint(path[strings.LastIndexByte(path, '/')+1:], 10, 16)
	return int(n), err == nil
}
