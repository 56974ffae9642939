package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"sfcred/helper"
	"sfcred/keychain/disk"
)

// tokenFile is the file that BEARER_TOKEN_FILE names: the token and a newline
// (WLCG bearer token discovery has readers strip it). It is replaced as a whole,
// so who reads it gets one token or the other.
type tokenFile struct {
	path   string
	name   string // in dir
	dir    place
	closer func() error

	mu     sync.Mutex
	text   []byte // what was written; nil: there is no file
	closed bool
}

// place is a directory that a token file is in.
type place interface {
	WriteFile(name string, data []byte) error
	RemoveOwn(name string, data []byte) error
}

// newTokenFile writes a token into a file in a private directory of its own.
func (p *program) newTokenFile(token string) (*tokenFile, error) {
	var problems []error
	for _, parent := range p.tokenDirs() {
		dir, err := disk.MakeTempDir(parent)
		if err == nil {
			f := &tokenFile{path: dir.Path("token"), name: "token", dir: dir, closer: dir.Close}
			if err = f.put(token); err == nil {
				return f, nil
			}
			f.close()
		}
		problems = append(problems, fmt.Errorf("make a token file: %w", err))
	}
	return nil, errors.Join(problems...)
}

// tokenDirs are where the private directories can be: beside the cache, and
// where a runtime directory does not take them, in the temporary directory.
func (p *program) tokenDirs() []string {
	if runtime.GOOS == "windows" {
		dir, err := os.UserCacheDir()
		if err != nil {
			dir = os.TempDir()
		}
		return []string{filepath.Join(dir, "sfcred-exec")}
	}
	temp := filepath.Join(os.TempDir(), "sfcred-"+strconv.Itoa(os.Getuid()))
	return slices.Compact([]string{p.cacheDir() + "-exec", temp + "-exec"})
}

// namedTokenFile writes a token into the file that the user has named. An older
// token in it is replaced.
func namedTokenFile(path string, mode fs.FileMode, token string) (*tokenFile, error) {
	path, err := filepath.Abs(path) // the child may be somewhere else
	if err != nil {
		return nil, fmt.Errorf("token file: %w", err)
	}
	f, err := openNamed(path, mode)
	if err == nil {
		if err = f.put(token); err == nil {
			return f, nil
		}
		f.close()
	}
	err = fmt.Errorf("token file: %w", err)
	var unsafe *disk.UnsafeError
	if errors.As(err, &unsafe) {
		return nil, &hintedError{err, []string{"ls -ld " + shellWord(unsafe.Path)}}
	}
	return nil, err
}

func openNamed(path string, mode fs.FileMode) (*tokenFile, error) {
	dir, err := disk.OpenShared(filepath.Dir(path), mode)
	if err != nil {
		return nil, err
	}
	name := filepath.Base(path)
	if err := checkReplaced(dir, name, path); err != nil {
		dir.Close()
		return nil, err
	}
	return &tokenFile{path: path, name: name, dir: dir, closer: dir.Close}, nil
}

// checkReplaced refuses to replace what is no token: somebody may have meant
// another file, and it would be gone. It could be the only copy of a key.
func checkReplaced(dir *disk.Dir, name, path string) error {
	if err := dir.CheckReplaceable(name); err != nil {
		return err
	}
	const most = 64 << 10 // 64 KiB; a token has one or two
	text, err := dir.Begins(name, most)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(text) > 0 && (len(text) == most || !isBearer(strings.TrimSpace(string(text)))) {
		return &disk.UnsafeError{Path: path, Reason: "it holds something else than a token, which would be lost"}
	}
	return nil
}

// isBearer says whether a word is a bearer token (RFC 6750 section 2.1). No PEM
// and no JSON is one.
func isBearer(word string) bool {
	word = strings.TrimRight(word, "=")
	return word != "" && strings.Trim(word, letters+"0123456789-.~+/") == ""
}

// parseMode reads the mode of a token file. Reading by the group is for servers
// (Prometheus and its like) that have a user of their own.
func parseMode(text string) (fs.FileMode, error) {
	n, err := strconv.ParseUint(text, 8, 12)
	switch {
	case err != nil:
		return 0, fmt.Errorf("%q is not a mode such as 0640", text)
	case n&0o7 != 0:
		return 0, fmt.Errorf("%s gives the token to everybody on the machine; 0660 is the most", text)
	case n&^0o660 != 0:
		return 0, fmt.Errorf("%s has bits that mean nothing for a token; 0660 is the most", text)
	case n&0o400 == 0:
		return 0, fmt.Errorf("%s does not let you read the token", text)
	}
	return fs.FileMode(n), nil
}

// put replaces the token.
func (f *tokenFile) put(token string) error {
	if err := helper.CheckToken(token); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	text := []byte(token + "\n")
	if err := f.dir.WriteFile(f.name, text); err != nil {
		return err
	}
	f.text = text
	return nil
}

// clear removes the file. If somebody has put another in its place, that stays.
func (f *tokenFile) clear() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.remove()
}

func (f *tokenFile) remove() error {
	if f.text == nil {
		return nil
	}
	err := f.dir.RemoveOwn(f.name, f.text)
	if err == nil {
		f.text = nil
	}
	return err
}

// close removes the file for good.
func (f *tokenFile) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	return errors.Join(f.remove(), f.closer())
}
