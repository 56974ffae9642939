package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// tempPrefix begins the names of files that are being written.
const tempPrefix = ".tmp-"

// stale is the age at which a file that is being written no longer is: whoever
// did was killed. No write takes a minute.
const stale = time.Hour

// RemoveLeft removes what killed writers of the file at path have left beside
// it: the user's own files that were to become it, however young they are. The
// caller knows that none is at work.
func RemoveLeft(path string) error { return removeLeft(path, 0) }

func removeLeft(path string, age time.Duration) error {
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
		if info, infoErr := e.Info(); infoErr == nil && isLeft(info, age) {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// removeLeft is for the directory, whose temporary files do not tell what they
// were to become. That it cannot does no harm.
func (d *Dir) removeLeft() {
	self, err := d.root.Open(".")
	if err != nil {
		return
	}
	defer self.Close()
	entries, _ := self.ReadDir(-1)
	for _, e := range entries {
		if !isTemp(e.Name()) {
			continue
		}
		if info, err := d.root.Lstat(e.Name()); err == nil && isLeft(info, stale) {
			_ = d.root.Remove(e.Name())
		}
	}
}

// isTemp says whether a name is one that [Dir.WriteFile] gives, by crypto/rand's Text: a
// shared directory has other programs' temporary files, too.
func isTemp(name string) bool {
	random, ok := strings.CutPrefix(name, tempPrefix)
	return ok && len(random) == 26 && strings.Trim(random, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}

// isLeft says whether a file is the user's own, and of an age. It may be open to
// others: writers give it the mode of what it is to become. One from the future is
// as old as it is ahead: the clock was set back.
func isLeft(info fs.FileInfo, age time.Duration) bool {
	return info.Mode().IsRegular() && judge(info, false, 0) == "" && time.Since(info.ModTime()).Abs() >= age
}
