package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// tempPrefix begins the names of files that are being written.
const tempPrefix = ".tmp-"

// RemoveLeft removes what killed writers of the file at path have left beside
// it: the user's own files that were to become it. The caller knows that none
// is at work.
func RemoveLeft(path string) error {
	dir, base := filepath.Dir(path), filepath.Base(path)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		// os.CreateTemp ends a name with digits.
		digits, ok := strings.CutPrefix(e.Name(), tempPrefix+base)
		if !ok || digits == "" || strings.Trim(digits, "0123456789") != "" {
			continue
		}
		if info, infoErr := e.Info(); infoErr == nil && isLeft(info) {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// isLeft says whether a file is the user's own, as writers make it.
func isLeft(info fs.FileInfo) bool {
	return info.Mode().IsRegular() && judge(info, false, 0o077) == ""
}
