// Package git speaks git's credential helper protocol and gives bearer tokens
// to git 2.46 and later.
//
// It is bytes in, bytes out, and trusts nothing in a request: a repository's
// URL, a submodule's above all, may come from anybody. It leaves out user names
// and passwords: to an older git, which knows only those, it has nothing to
// say, since the token must not go out as Basic authentication. A store is
// ignored, as is an operation that git may yet invent.
package git

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sfcred/helper"
)

// The protocol (git-credential(1), gitcredentials(7)): git appends the operation
// to the helper's command line and writes the request to its standard input.
//
//	request   = { attribute LF } [ LF … ]       a blank line ends it
//	attribute = key "=" value                   no NUL, no LF in it; "key[]" is a list
//	answer    = "capability[]=authtype" LF      before what depends on it
//	            "authtype=Bearer" LF "credential=" token LF
//	            "ephemeral=1" LF                no helper is to store it
//	            [ "password_expiry_utc=" unix LF ]
//	          | "quit=1" LF                     ask no other helper and no person
//	          | ""                              not mine

// The operations that are known, beside store.
const (
	Get        = "get"
	Erase      = "erase"
	Capability = "capability"
)

// MaxInput bounds a request, and maxLine one line of it, as git documents it.
const (
	MaxInput = 1 << 20
	maxLine  = 65535
)

// Request is what git asks for.
type Request struct {
	Operation string
	// Bearer says that git understands the answer (capability[]=authtype).
	Bearer bool
	// Credential is what an erase is about: the server did not take it.
	Credential string

	protocol, host string
}

// Parse reads a request. Of operations other than get and erase the input is
// not looked at.
func Parse(operation string, input []byte) (Request, error) {
	r := Request{Operation: operation}
	if operation != Get && operation != Erase {
		return r, nil
	}
	if len(input) > MaxInput {
		return Request{}, errors.New("git's request is larger than 1 MiB")
	}
	attributes, err := parseAttributes(input)
	if err != nil {
		return Request{}, err
	}
	for _, f := range []struct {
		key   string
		value *string
	}{{"protocol", &r.protocol}, {"host", &r.host}, {"credential", &r.Credential}} {
		all := attributes[f.key]
		switch {
		case len(all) == 1:
			*f.value = all[0]
		case len(all) > 1:
			return Request{}, fmt.Errorf("git's request has more than one %s", f.key)
		case f.key != "credential":
			return Request{}, fmt.Errorf("git's request has no %s", f.key)
		}
	}
	r.Bearer = slices.Contains(attributes["capability[]"], "authtype")
	return r, nil
}

// parseAttributes reads lines up to a blank one. An error names a line by its
// number: there may be a credential in it.
func parseAttributes(input []byte) (map[string][]string, error) {
	attributes := map[string][]string{}
	for n := 1; len(input) > 0; n++ {
		var line []byte
		line, input, _ = bytes.Cut(input, []byte("\n"))
		key, value, ok := strings.Cut(string(line), "=")
		switch {
		case len(line) == 0:
			return attributes, nil
		case len(line) > maxLine:
			return nil, fmt.Errorf("line %d of git's request is longer than %d bytes", n, maxLine)
		case bytes.ContainsAny(line, "\x00\r"):
			// Some take a CR for the end of a line (CVE-2024-52006), so git sends none.
			return nil, fmt.Errorf("line %d of git's request has a NUL or a CR", n)
		case !ok:
			return nil, fmt.Errorf("line %d of git's request has no \"=\"", n)
		case strings.HasSuffix(key, "[]") && value == "":
			delete(attributes, key) // an empty value starts the list anew
		default:
			attributes[key] = append(attributes[key], value)
		}
	}
	return attributes, nil
}

// URL is what the host rule must check. It is without the path, which says
// nothing of the host and may hold any byte.
//
// git has undone the percent signs of the URL that it was given; a "/" in the
// host is made one again, or the host would end there, and another be checked.
func (r Request) URL() string {
	return r.protocol + "://" + strings.NewReplacer("/", "%2F", "?", "%3F", "#", "%23").Replace(r.host) + "/"
}

// Erases says whether an erase is to drop the cached token: it is the one that
// the server did not take, and it has had time to arrive everywhere. Otherwise
// each git that has no right to a repository would cost an exchange. The caller
// has checked that the host is the profile's.
func (r Request) Erases(token string, obtained, now time.Time) bool {
	const young = 30 * time.Second
	return r.Operation == Erase && token != "" && r.Credential == token && now.Sub(obtained) > young
}

// Reply is the answer to a get that is Bearer. expires has a margin in it
// already: git takes a credential at its word. Zero leaves it out.
func Reply(token string, expires time.Time) ([]byte, error) {
	if err := helper.CheckToken(token); err != nil {
		return nil, err
	}
	answer := "capability[]=authtype\nauthtype=Bearer\ncredential=" + token + "\nephemeral=1\n"
	if !expires.IsZero() {
		answer += fmt.Sprintf("password_expiry_utc=%d\n", expires.Unix())
	}
	return []byte(answer), nil
}

// Quit is the answer to a get for one of our hosts when there is no token: git
// asks nobody else, and no person for a password that would not help.
func Quit() []byte { return []byte("quit=1\n") }

// Capabilities is the answer to the operation capability.
func Capabilities() []byte { return []byte("version 0\ncapability authtype\n") }
