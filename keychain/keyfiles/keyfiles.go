// Package keyfiles finds the private keys that people have lying about, in the
// files and variables that the tools for NERSC's API use.
//
// It only looks: nothing is changed, moved or printed, and nobody is asked for
// a passphrase. It trusts no name and no file: only regular files of at most 64
// KiB are opened, and what a layout leaves open, such as which of two client
// IDs is meant, it does not guess but says.
//
// It leaves out whether a client still works, and what is to become of a key.
package keyfiles

import (
	"context"
	"fmt"
	"io/fs"
	"sync/atomic"
)

// Search says where to look. The zero value finds nothing.
type Search struct {
	Home   string                   // the user's home directory; "": not looked at
	Dir    string                   // the working directory; "": not looked at
	Paths  []string                 // files and directories; if any, only these are looked at
	Lookup func(name string) string // the environment; nil: not looked at

	// Stubbable for testing.
	before func(path string) // called before path is looked at; nil: not
}

// Found is a private key, and what is to be known about it without opening it.
// Printing it by any verb and as JSON shows nothing of the key.
type Found struct {
	ClientID    string // "" if unknown, and then a warning says why
	Path        string // absolute, as it was found: maybe a link; "" for a key in a variable
	IDPath      string // of the file with the client ID, if that is another
	Variable    string // the variable that holds the key itself, or ""
	Type        string // "RSA", "EC" or "Ed25519"; "" while it is encrypted
	Bits        int    // 0 while it is encrypted
	Format      string // as in jose.File
	Encrypted   bool
	Fingerprint string      // "SHA256:…" of the public key; "" while it is encrypted
	Mode        fs.FileMode // permission bits; 0 for a variable, and where they mean nothing
	Warnings    []string    // for people, with names quoted

	// text returns what the variable holds. A function, since fmt and JSON look
	// into every other kind of field.
	text func() []byte
}

// Text returns what the variable holds, for jose.Parse; nil for a file. It is
// the secret.
func (f Found) Text() []byte {
	if f.text == nil {
		return nil
	}
	return f.text()
}

// String returns a line for people, such as `RSA 2048 key SHA256:… of client
// abc in "/home/me/key.pem"`.
func (f Found) String() string {
	key := fmt.Sprintf("%s %d key %s", f.Type, f.Bits, f.Fingerprint)
	if f.Encrypted {
		key = "encrypted key"
	}
	if f.ClientID != "" {
		key += " of client " + f.ClientID
	}
	return key + " in " + place(f.Path, f.Variable)
}

// Problem is what looked like a key, or was given as one, and is none.
type Problem struct {
	Path     string // "" for what a variable holds
	Variable string // that holds it, or names the path; or ""
	Reason   string // for people: "a public key, not a private key", …
}

// String returns a line for people.
func (p Problem) String() string { return place(p.Path, p.Variable) + ": " + p.Reason }

// Find looks everywhere, in an order that is the same each time: the layouts,
// and in a directory the names. Its error is that of ctx, which may end in the
// middle because a file system hangs; nothing is found then.
func (s Search) Find(ctx context.Context) ([]Found, []Problem, error) {
	type result struct {
		found    []Found
		problems []Problem
	}
	l := &look{Search: s, ctx: ctx, env: s.environment()}
	l.Dir = l.absolute(l.Dir)
	l.Home = l.absolute(l.Home)
	done := make(chan result, 1) // the calls know no context, and are abandoned
	go func() {
		l.everywhere()
		found, problems := l.report()
		done <- result{found, problems}
	}()
	select {
	case r := <-done:
		if !l.stopped {
			return r.found, r.problems, nil
		}
	case <-ctx.Done():
	}
	if at := l.at.Load(); at != nil {
		return nil, nil, fmt.Errorf("look for keys at %q: %w", *at, ctx.Err())
	}
	return nil, nil, fmt.Errorf("look for keys: %w", ctx.Err())
}

// look is a search that is going on.
type look struct {
	Search
	ctx     context.Context
	env     map[string]string      // the variables that count, as far as they are set
	at      atomic.Pointer[string] // the path being looked at
	stopped bool                   // ctx has ended, and something was left out
	files   []*file                // keys and problems, in the order they were come to
}

// goOn says whether there is time to look at path.
func (l *look) goOn(path string) bool {
	if l.stopped = l.stopped || l.ctx.Err() != nil; l.stopped {
		return false
	}
	l.at.Store(&path)
	if l.before != nil {
		l.before(path)
	}
	return true
}

// problem notes a path or variable that has no key.
func (l *look) problem(path, variable, reason string) {
	for _, f := range l.files {
		if f.path == path && f.variable == variable && f.reason == reason {
			return // the working directory may be home
		}
	}
	l.files = append(l.files, &file{path: path, variable: variable, reason: reason})
}
