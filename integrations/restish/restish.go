// Package restish speaks the protocol of Restish's external-tool
// authentication (version 2, which keeps that of version 1).
//
// It is bytes in, bytes out, and trusts nothing in a request: a link that
// Restish follows may lead anywhere. It leaves out all of the request but its
// URL, and an expiry, for which the protocol has no word: Restish asks for each
// request.
package restish

import (
	"encoding/json"
	"errors"
	"fmt"

	"sfcred/helper"
	"sfcred/integrations/request"
)

// The protocol (https://rest.sh, "external-tool"; internal/auth/external_tool.go):
//
//	stdin  = {"method":"GET","uri":"https://…","headers":{NAME:[…]},"body":"…"}
//	stdout = {"headers":{"Authorization":["Bearer …"]}}     takes the place of that header
//	       | ""                                             the request goes out as it is
//
// An exit code that is not 0 ends the request.

// MaxInput bounds a request. A body of 1 MiB, which is Restish's own bound, can
// take six times that in JSON; "omitbody" leaves it out.
const MaxInput = 8 << 20

// Parse reads a request and returns the URL that the host rule must check.
func Parse(input []byte) (string, error) {
	if len(input) > MaxInput {
		return "", errors.New("restish's request is larger than 8 MiB; set omitbody to \"true\"")
	}
	var uri string
	if request.Read(input, request.Members{"uri": &uri}) != nil {
		return "", errors.New("standard input is not the JSON of a restish request")
	}
	if uri == "" {
		return "", errors.New("restish's request names no uri")
	}
	return uri, nil
}

// Reply is the answer for a URL of ours; for another's it is empty.
func Reply(token string) ([]byte, error) {
	if err := helper.CheckToken(token); err != nil {
		return nil, err
	}
	var out struct {
		Headers struct {
			Authorization []string
		} `json:"headers"`
	}
	out.Headers.Authorization = []string{"Bearer " + token}
	text, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("encode the answer to restish: %w", err)
	}
	return append(text, '\n'), nil
}
