package keyfiles

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// maxIDFile is the size in bytes of the largest file with a client ID.
const maxIDFile = 1 << 10

// claim is what a file, variable or name says of a client ID.
type claim struct {
	id     string // "" if it is none
	reason string // why it is none, if its file cannot be read
	path   string // of the file that says so, or ""
	source string // for people
}

// idNames are the files that may have the client ID of the key file beside
// them, by its name.
func idNames(key string) []string {
	if strings.HasPrefix(key, aqdrop) {
		return []string{aqdrop + "client-id"}
	}
	return []string{"clientid.txt", "client_id.txt", "client_id", "client-id.txt"}
}

func isIDName(name string) bool {
	return slices.Contains(append(idNames(""), idNames(aqdrop)...), name)
}

// hasIDFile says whether a layout pairs that name with a file of the client
// ID; beside other keys such a file need not be theirs.
func hasIDFile(key string) bool {
	return strings.TrimSuffix(key, filepath.Ext(key)) == "priv_key" || strings.HasPrefix(key, aqdrop)
}

// idBeside reads the files with a client ID beside the key file.
func (l *look) idBeside(key string) []claim {
	var claims []claim
	for _, name := range idNames(filepath.Base(key)) {
		path := filepath.Join(filepath.Dir(key), name)
		if !l.goOn(path) {
			return nil
		}
		if info, err := os.Lstat(path); err == nil && !info.IsDir() {
			claims = append(claims, idFile(path))
		}
	}
	return claims
}

// idFile reads a file that has nothing but a client ID.
func idFile(path string) claim {
	c := claim{path: path, source: strconv.Quote(path)}
	info, err := os.Stat(path)
	var data []byte
	if err == nil {
		data, err = read(path, info, maxIDFile)
	}
	if err != nil && !errors.Is(err, errLarge) {
		c.reason = why(path, err)
	}
	c.id = parseID(data)
	return c
}

// answer is what came out of the claims to a key's client ID.
type answer struct {
	id, idPath string
	torn       bool // there are claims, and none to follow
	warnings   []string
}

// ask finds the client ID of a key: what the file itself says; else the files
// and variables that go with it; else its name. What is said elsewhere and
// does not agree is told.
func (l *look) ask(f *file) answer {
	with := slices.Clone(f.with)
	for _, path := range append([]string{f.path}, f.also...) {
		if path != "" && hasIDFile(filepath.Base(path)) {
			with = append(with, l.idBeside(path)...)
		}
	}
	if f.ownID != "" {
		a := answer{id: f.ownID, idPath: f.path}
		for _, c := range with {
			if c.id != f.ownID {
				a.warnings = append(a.warnings, c.says())
			}
		}
		return a
	}
	a := decide(with)
	name := filepath.Base(f.path)
	switch c := (claim{id: idInName(name), source: fmt.Sprintf("the name %q", name)}); {
	case a.torn || c.id == "" || c.id == a.id:
	case a.id == "":
		a.id = c.id
		a.warnings = append(a.warnings, "the client ID is taken from "+c.source)
	default:
		a.warnings = append(a.warnings, c.says())
	}
	return a
}

// decide takes the client ID that all claims agree on.
func decide(claims []claim) answer {
	var a answer
	var distinct []claim
	for _, c := range claims {
		i := slices.IndexFunc(distinct, func(d claim) bool { return d.id == c.id })
		switch {
		case c.id == "":
			a.warnings = append(a.warnings, c.says())
		case i < 0:
			distinct = append(distinct, c)
		case distinct[i].path == "":
			distinct[i] = c // rather a file than a variable
		}
	}
	switch len(distinct) {
	case 0:
	case 1:
		a.id, a.idPath = distinct[0].id, distinct[0].path
	default:
		var list []string
		for _, c := range distinct {
			list = append(list, c.id+" in "+c.source)
		}
		a.torn = true
		a.warnings = append(a.warnings, "several client IDs: "+strings.Join(list, ", "))
	}
	return a
}

// says is a claim that is not followed, in words.
func (c claim) says() string {
	switch {
	case c.reason != "":
		return c.source + ": " + c.reason
	case c.id == "":
		return c.source + " has no client ID in it"
	}
	return c.source + " says another client ID, " + c.id
}
