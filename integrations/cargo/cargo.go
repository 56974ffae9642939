// Package cargo speaks Cargo's credential provider protocol, version 1 (Cargo
// 1.74 and later).
//
// It is bytes in, bytes out, and trusts nothing in a request: a lock file names
// registries too, and may come from anybody. It leaves out login and logout,
// since sfcred has its own, and what a publish is of: the token is the same for
// all operations.
package cargo

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"sfcred/helper"
	"sfcred/integrations/request"
)

// The protocol (https://doc.rust-lang.org/cargo/reference/credential-provider-protocol.html).
// Cargo runs the provider with --cargo-plugin. All messages are one line of
// JSON; requests come until standard input is closed.
//
//	hello   = {"v":[1]}
//	request = {"v":1,"kind":"get","operation":"read","registry":{"index-url":"sparse+https://…"},"args":[…]}
//	answer  = {"Ok":{"kind":"get","token":"Bearer …","cache":"expires","expiration":UNIX,"operation_independent":true}}
//	        | {"Err":{"kind":KIND,"message":"…"}}
//
// url-not-supported has Cargo ask its next provider; operation-not-supported
// and other end the command. The token is all of the Authorization header. If
// the provider then exits with another code than 0, Cargo (seen with 1.95) drops
// the answer, ends the command and says the code.

// MaxLine bounds a request.
const MaxLine = 1 << 20

// Get is the kind of request that has an answer.
const Get = "get"

// Request is what Cargo asks for.
type Request struct {
	Kind string // get, login, logout, or one yet to come
	URL  string // of the registry's index, as the host rule must check it
	// Args are what the configuration has behind the provider's name: Cargo puts
	// them here, and only --cargo-plugin on the command line.
	Args []string
}

// Hello is the first line: the versions that are spoken.
func Hello() []byte { return []byte(`{"v":[1]}` + "\n") }

// Parse reads one line.
func Parse(line []byte) (Request, error) {
	if len(line) > MaxLine {
		return Request{}, errors.New("cargo's request is larger than 1 MiB")
	}
	var r Request
	var version int
	err := request.Read(line, request.Members{
		"v": &version, "kind": &r.Kind, "args": &r.Args,
		"registry": request.Members{"index-url": &r.URL},
	})
	switch {
	case err != nil:
		return Request{}, errors.New("cargo's request is not the JSON of a credential request")
	case version != 1:
		return Request{}, fmt.Errorf("unsupported protocol version %d", version)
	case r.URL == "":
		return Request{}, errors.New("cargo's request names no index-url")
	}
	r.URL = strings.TrimPrefix(r.URL, "sparse+")
	return r, nil
}

// Reply is the answer to a get. expires has a margin in it already, and Cargo
// adds a minute of its own. With zero Cargo is told to keep nothing: it does
// not ask again when a registry says 401, so a token that it kept could fail a
// long build half way.
func Reply(token string, expires time.Time) ([]byte, error) {
	if err := helper.CheckToken(token); err != nil {
		return nil, err
	}
	type get struct {
		Kind        string `json:"kind"`
		Token       string `json:"token"`
		Cache       string `json:"cache"`
		Expiration  *int64 `json:"expiration,omitempty"`
		Independent bool   `json:"operation_independent"`
	}
	answer := get{Kind: Get, Token: "Bearer " + token, Cache: "never", Independent: true}
	if !expires.IsZero() {
		at := expires.Unix()
		answer.Cache, answer.Expiration = "expires", &at
	}
	return line(struct{ Ok get }{answer})
}

// Foreign is the answer to whatever is asked of a registry that is not ours, a
// login too: only this word lets Cargo's next provider have it.
func Foreign() ([]byte, error) { return refusal("url-not-supported", "") }

// Unsupported is the answer to other requests than get, for a registry of ours.
func Unsupported() ([]byte, error) {
	return refusal("operation-not-supported", "")
}

// Failed is the answer when there is no token, or no request that could be
// understood.
func Failed(message string) ([]byte, error) { return refusal("other", message) }

// refusal makes an Err. Cargo shows the message as it is, so that it must not
// steer a terminal.
func refusal(kind, message string) ([]byte, error) {
	type reason struct {
		Kind    string `json:"kind"`
		Message string `json:"message,omitempty"`
	}
	message = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, message)
	return line(struct{ Err reason }{reason{kind, message}})
}

func line(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode the answer to cargo: %w", err)
	}
	return append(text, '\n'), nil
}
