package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"sfcred/keychain"
)

// checkSource refuses what cannot be done with the key where it comes from. The
// store may be that of the profile as it stands.
func (l *loginRun) checkSource() error {
	key, deletes, stays := l.c.String("key"), l.c.Bool("delete-source"), l.profile.Store == keychain.StorePEM
	noFile := key == "" || key == "-"
	switch {
	case deletes && (l.profile.Store == keychain.StoreAgent || l.profile.Store == keychain.StoreCommand):
		return &usageError{text: fmt.Sprintf("--delete-source: in store %s the key stays where it is", l.profile.Store)}
	case deletes && stays:
		return &usageError{text: "--delete-source would delete the only copy: in store pem the key stays in its file"}
	case deletes && noFile:
		return &usageError{text: "--delete-source needs a file: --key FILE"}
	case stays && noFile:
		return &usageError{text: "store pem needs a file: --key FILE, or another --store"}
	case deletes:
		return l.mayDelete(key)
	}
	return nil
}

// mayDelete refuses to delete what is no file, and what another profile lives
// on.
func (l *loginRun) mayDelete(key string) error {
	info, err := os.Stat(key)
	if err == nil && !info.Mode().IsRegular() {
		return &usageError{text: fmt.Sprintf("--delete-source: %s is not a regular file", key)}
	}
	config, err := l.file.Load()
	if err != nil {
		return err
	}
	for name, profile := range config.Profiles {
		if name != l.name && profile.KeyFile != "" && sameFile(profile.KeyFile, key) {
			return &usageError{text: fmt.Sprintf("--delete-source would delete the key of profile %q, which stays in that file", name)}
		}
	}
	return nil
}

// isSource says whether the file still holds the key that was stored: a check
// takes time, and the name may stand for another key by now.
func (l *loginRun) isSource(path string) error {
	now, err := os.ReadFile(path)
	if err == nil && !bytes.Equal(now, l.sourceText) {
		err = errors.New("it has changed since it was read, and stays")
	}
	return err
}

// deleteSource deletes the key file, last of all.
func (l *loginRun) deleteSource() error {
	if !l.c.Bool("delete-source") {
		return nil
	}
	path := l.c.String("key")
	target, err := filepath.EvalSymlinks(path)
	if err == nil {
		err = l.isSource(target)
	}
	if err == nil {
		err = os.Remove(target)
	}
	if err == nil && target != filepath.Clean(path) {
		// A link that leads nowhere by now, unless it is a directory's.
		err = os.Remove(path)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("delete the key file: %w", err)
	}
	return nil
}
