package keyfiles

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	maxFiles   = 200    // looked at in one directory
	maxClients = 20     // directories below one, for a client each
	maxEntries = 10_000 // read of one directory
)

// aqdrop begins the names of aqdrop-client's files in ~/.ssh.
const aqdrop = "aqdrop-sfapi-"

// everywhere looks at each layout.
//
//	~/.superfacility, ~/.sfapi   sfapi_client, beamkit: every file that may be one
//	~/.ssh/aqdrop-sfapi-*        aqdrop-client; the other keys there are not ours
//	~/.amsc/sfapi_key_*.pem      radical
//	.auth                        below the working directory and home
//	., ~, ~/sfapi                what Iris downloads, and sf_api.json: by name only
//	variables
func (l *look) everywhere() {
	if len(l.Paths) > 0 {
		for _, path := range l.Paths {
			l.given(path)
		}
		return
	}
	if l.Home != "" {
		l.keyDir(filepath.Join(l.Home, ".superfacility"))
		l.keyDir(filepath.Join(l.Home, ".sfapi"))
		l.matching(filepath.Join(l.Home, ".ssh"), aqdrop+"*")
		for _, f := range l.matching(filepath.Join(l.Home, ".amsc"), "sfapi_key_*.pem") {
			f.nearby = l.sfapiID() // where radical has it
		}
	}
	for _, base := range []string{l.Dir, l.Home} {
		if base != "" {
			l.keyDir(filepath.Join(base, ".auth"))
		}
	}
	if l.Dir != "" {
		l.named(l.Dir)
	}
	if l.Home != "" {
		l.named(l.Home)
		l.named(filepath.Join(l.Home, "sfapi"))
	}
	l.variables()
}

// given looks at a path that the user names.
func (l *look) given(path string) {
	path = l.absolute(path)
	if !l.goOn(path) {
		return
	}
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		l.file(path, asGiven)
		return
	}
	before := len(l.files)
	switch nothing := len(l.keyDir(path)) == 0 && len(l.files) == before; {
	case nothing && l.isSSH(path):
		l.problem(path, "", "here only "+aqdrop+"* is looked at: name the file itself")
	case nothing:
		l.problem(path, "", "a directory without a private key")
	}
}

// absolute makes a path absolute: it is meant from the working directory. ""
// stays so.
func (l *look) absolute(path string) string {
	if path == "" {
		return ""
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(l.Dir, path)
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path // only where the process has no working directory
}

// keyDir looks at all files of a directory that is there for keys, and of those
// below it that AMReXAgent has, one for each client.
func (l *look) keyDir(dir string) []*file {
	if l.isSSH(dir) {
		return l.matching(dir, aqdrop+"*")
	}
	entries := l.entries(dir)
	files := l.keys(dir, entries)
	clients := 0
	for _, entry := range entries {
		if entry.IsDir() && strings.HasSuffix(entry.Name(), "_client") && clients < maxClients {
			clients++
			below := filepath.Join(dir, entry.Name())
			files = append(files, l.keys(below, l.entries(below))...)
		}
	}
	return files
}

// isSSH says whether dir is the user's ~/.ssh, under whatever name: most keys
// there are for something else.
func (l *look) isSSH(dir string) bool {
	if l.Home == "" || !l.goOn(dir) {
		return false
	}
	ssh, err := os.Stat(filepath.Join(l.Home, ".ssh"))
	if err != nil {
		return false
	}
	info, err := os.Stat(dir)
	return err == nil && os.SameFile(ssh, info)
}

// matching looks at those files of a directory whose names match pattern.
func (l *look) matching(dir, pattern string) []*file {
	entries := slices.DeleteFunc(l.entries(dir), func(entry fs.DirEntry) bool {
		ok, err := filepath.Match(pattern, entry.Name())
		return !ok || err != nil
	})
	return l.keys(dir, entries)
}

// keys looks at the files among entries, and returns the keys and problems.
// Where there are too many, those that are called like a key come first.
func (l *look) keys(dir string, entries []fs.DirEntry) []*file {
	var likely, others []string
	for _, entry := range entries {
		switch name := entry.Name(); {
		case entry.IsDir() || isIDName(name) || filepath.Ext(name) == ".pub":
		case isKeyName(name):
			likely = append(likely, name)
		default:
			others = append(others, name)
		}
	}
	names := append(likely, others...)
	if len(names) > maxFiles {
		l.problem(dir, "", fmt.Sprintf("it has more than %d files, and the others were not looked at", maxFiles))
		names = names[:maxFiles]
	}
	slices.Sort(names)
	var files []*file
	for _, name := range names {
		how := byContent
		if isKeyName(name) {
			how = byName
		}
		if f := l.file(filepath.Join(dir, name), how); f != nil {
			files = append(files, f)
		}
	}
	return files
}

// isKeyName says whether a file is called as keys are, so that it is worth a
// word if it is none.
func isKeyName(name string) bool {
	ext := strings.ToLower(filepath.Ext(name))
	return slices.Contains([]string{".pem", ".jwk", ".key", ".der", ".p8", ".p12", ".pfx", ".ppk"}, ext) ||
		slices.Contains([]string{"priv_key", "sf_api.json", "client_secret.json"}, name)
}

// named looks for the few names that a key has in a directory for everything.
func (l *look) named(dir string) {
	for _, name := range []string{"sf_api.json", "priv_key.pem", "priv_key.jwk"} {
		l.file(filepath.Join(dir, name), byName)
	}
}

// entries lists a directory by name; a missing one is empty.
func (l *look) entries(dir string) []fs.DirEntry {
	if !l.goOn(dir) {
		return nil
	}
	info, err := os.Stat(dir)
	switch {
	case isMissing(dir, err):
		return nil
	case err != nil:
		l.problem(dir, "", why(dir, err))
		return nil
	case !info.IsDir():
		l.problem(dir, "", "it is not a directory")
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		l.problem(dir, "", why(dir, err))
		return nil
	}
	defer f.Close()
	entries, err := f.ReadDir(maxEntries)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		l.problem(dir, "", why(dir, err))
	case len(entries) == maxEntries:
		l.problem(dir, "", fmt.Sprintf("it has %d names or more, and the others were not looked at", maxEntries))
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries
}
