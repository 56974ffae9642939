package keyfiles

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sfcred/keychain/disk"
)

// report tells what was looked at, in the order it was come to.
func (l *look) report() ([]Found, []Problem) {
	var problems []Problem
	var clients []*client
	for _, f := range l.files {
		if f.reason != "" {
			problems = append(problems, f.problem())
			continue
		}
		a := l.ask(f)
		i := slices.IndexFunc(clients, func(c *client) bool { return c.has(f, a) })
		if i < 0 {
			clients = append(clients, &client{[]*file{f}, a})
		} else {
			clients[i].add(f, a)
		}
	}
	waiting := map[string]int{}
	for _, c := range clients {
		if c.waits() {
			waiting[c.dir()]++
		}
	}
	var found []Found
	for _, c := range clients {
		if c.waits() {
			l.askNearby(c, waiting[c.dir()] == 1)
		}
	}
	for _, c := range clients {
		found = append(found, c.found(clients))
	}
	return found, problems
}

func (f *file) problem() Problem {
	p := Problem{f.path, f.variable, f.reason}
	if len(f.namedBy) > 0 {
		p.Variable = f.namedBy[0]
	}
	return p
}

// client is one key of one client: a file, or several side by side with the
// same key, the one to take first.
type client struct {
	files []*file
	answer
}

// dir is where the files are; "" for variables, which are all side by side.
func (c *client) dir() string {
	if c.files[0].path == "" {
		return ""
	}
	return filepath.Dir(c.files[0].path)
}

// has says whether f is the same key of the same client side by side, as Iris
// gives priv_key.pem and priv_key.jwk.
func (c *client) has(f *file, a answer) bool {
	other := &client{[]*file{f}, a}
	return c.dir() == other.dir() && c.sameKey(other) && (c.id == a.id || c.id == "" || a.id == "")
}

func (c *client) sameKey(other *client) bool {
	mark := c.files[0].found.Fingerprint
	return mark != "" && mark == other.files[0].found.Fingerprint
}

func (c *client) add(f *file, a answer) {
	if c.id == "" {
		c.id, c.idPath = a.id, a.idPath
	}
	c.torn = c.torn || a.torn
	for _, w := range a.warnings {
		if !slices.Contains(c.warnings, w) {
			c.warnings = append(c.warnings, w)
		}
	}
	c.files = append(c.files, f)
	slices.SortStableFunc(c.files, func(f, g *file) int { return f.rank() - g.rank() })
}

// rank puts a PEM before the other formats, and a file that has its client ID
// in it before one that has not.
func (f *file) rank() int {
	n := 0
	if strings.HasPrefix(f.found.Format, "JWK") || f.found.Format == "client JSON" {
		n += 2
	}
	if f.ownID == "" {
		n++
	}
	return n
}

// waits says whether a file nearby may have the client ID: no layout pairs the
// key with one.
func (c *client) waits() bool {
	f := c.files[0]
	return c.id == "" && !c.torn && f.path != "" && !hasIDFile(filepath.Base(f.path))
}

// askNearby finds a client ID in the variable that the key's tool reads, or in
// a file beside it. That may be of any key there, so only one may ask.
func (l *look) askNearby(c *client, alone bool) {
	f := c.files[0]
	a := decide(f.nearby)
	if len(f.nearby) == 0 && !isPaired(c.dir()) {
		a = decide(l.idBeside(f.path))
		switch {
		case a.id == "":
		case alone:
			a.warnings = append(a.warnings, fmt.Sprintf("the client ID is taken from %q", a.idPath))
		default:
			a = answer{torn: true, warnings: []string{fmt.Sprintf("it is not clear whose client ID is in %q", a.idPath)}}
		}
	}
	c.id, c.idPath, c.torn = a.id, a.idPath, a.torn
	c.warnings = append(c.warnings, a.warnings...)
}

// isPaired says whether the directory has a key that its client ID belongs to.
func isPaired(dir string) bool {
	for _, name := range []string{"priv_key.pem", "priv_key.jwk"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

// found is what there is to say of a client, among all.
func (c *client) found(all []*client) Found {
	f := c.files[0]
	out := f.found
	out.Path, out.Variable = f.path, f.variable
	out.ClientID = c.id
	if c.idPath != f.path {
		out.IDPath = c.idPath
	}
	if f.info != nil {
		if _, ok := disk.Owner(f.info); ok {
			out.Mode = f.info.Mode().Perm()
		}
	}
	out.Warnings = c.warnings
	if c.id == "" && !c.torn {
		beside := "no client ID was found beside it"
		if f.path == "" {
			beside = "no client ID was found in the environment"
		}
		out.Warnings = append(out.Warnings, beside)
	}
	out.Warnings = append(out.Warnings, f.notes("it")...)
	for _, other := range c.files[1:] {
		name := place(other.path, other.variable)
		out.Warnings = append(out.Warnings, name+" holds the same key")
		out.Warnings = append(out.Warnings, other.notes(name)...)
	}
	out.Warnings = append(out.Warnings, c.likenesses(all)...)
	return out
}

// notes are the warnings of one file, under the name that it has in them.
func (f *file) notes(name string) []string {
	if f.path == "" {
		return nil
	}
	var notes []string
	if open := openTo(f.info); open != "" && name == "it" {
		notes = append(notes, open)
	} else if open != "" {
		notes = append(notes, name+": "+open)
	}
	if target, err := filepath.EvalSymlinks(f.path); err == nil && isLink(f.path) {
		notes = append(notes, fmt.Sprintf("%s is a link to %q", name, target))
	}
	for _, path := range f.also {
		if isLink(path) {
			notes = append(notes, fmt.Sprintf("%q is a link to %s", path, name))
		} else {
			notes = append(notes, fmt.Sprintf("%q is another name of %s", path, name))
		}
	}
	for _, variable := range f.namedBy {
		notes = append(notes, variable+" names "+name)
	}
	return notes
}

// likenesses names the first other client with the same key, and the first
// other key of the same client.
func (c *client) likenesses(all []*client) []string {
	var key, id string
	for _, other := range all {
		where := place(other.files[0].path, other.files[0].variable)
		switch {
		case other == c:
		case c.sameKey(other) && key == "":
			key = "the same key as in " + where
			if c.id != "" && other.id != "" && c.id != other.id {
				key += ", of another client ID"
			}
		case !c.sameKey(other) && c.id != "" && c.id == other.id && id == "":
			id = "the same client ID as the key in " + where
		}
	}
	return slices.DeleteFunc([]string{key, id}, func(s string) bool { return s == "" })
}

// place names a file or variable in words for people. A name may hold anything.
func place(path, variable string) string {
	if path == "" && variable != "" {
		return variable
	}
	return strconv.Quote(path)
}
