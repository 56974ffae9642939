// Package bazel speaks the credential helper protocol of Bazel, buck2 and
// others (https://github.com/EngFlow/credential-helper-spec).
//
// It is bytes in, bytes out, and trusts nothing in a request: a dependency's
// URL may come from anybody. It leaves out grpcs:// URIs, of which the
// specification has an example, since the host rule knows https alone; Bazel
// itself asks with https:// for its gRPC connections too.
package bazel

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"sfcred/helper"
	"sfcred/integrations/request"
)

// The protocol (spec.md and the schemas beside it):
//
//	argv   = helper "get"                       an extension has a "-" in its name
//	stdin  = {"uri":"https://host/path", …}     other properties may come
//	stdout = {"headers":{"Authorization":["Bearer …"]},"expires":"2026-01-01T12:00:00Z"}
//
// Bazel reads expires as yyyy-MM-dd'T'HH:mm:ssXXX: no fraction. Whatever goes
// wrong, a URI of another's among it, is an error on standard error and no
// output; Bazel shows it and fails the fetch.

// MaxInput bounds a request.
const MaxInput = 1 << 20

// Command reads the arguments: get, and nothing else, is a command.
func Command(args []string) error {
	switch {
	case len(args) == 0:
		return errors.New("a command is missing; there is get")
	case args[0] != "get":
		return fmt.Errorf("unknown command %.40q; there is only get", args[0])
	case len(args) > 1:
		return errors.New("get has no parameters")
	}
	return nil
}

// Parse reads a request and returns the URL that the host rule must check.
func Parse(input []byte) (string, error) {
	if len(input) > MaxInput {
		return "", errors.New("the credential helper's request is larger than 1 MiB")
	}
	var uri string
	if request.Read(input, request.Members{"uri": &uri}) != nil {
		return "", errors.New("standard input is not the JSON of a credential helper's request")
	}
	if uri == "" {
		return "", errors.New("the credential helper's request names no uri")
	}
	return uri, nil
}

// Reply is the answer: one line of JSON. expires has a margin in it already.
// Zero leaves it out, and Bazel asks again after 30 minutes, or when the server
// says 401.
func Reply(token string, expires time.Time) ([]byte, error) {
	if err := helper.CheckToken(token); err != nil {
		return nil, err
	}
	var out struct {
		Headers struct {
			Authorization []string
		} `json:"headers"`
		Expires *time.Time `json:"expires,omitempty"`
	}
	out.Headers.Authorization = []string{"Bearer " + token}
	if !expires.IsZero() {
		// Whole seconds, rounded down: never later than it is.
		at := expires.UTC().Truncate(time.Second)
		out.Expires = &at
	}
	text, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("encode the credential helper's answer: %w", err)
	}
	return append(text, '\n'), nil
}
