// Package terraform speaks the credentials helper protocol of Terraform and
// OpenTofu.
//
// It is words in, bytes out, and trusts nothing that it is told: a module's
// source names its registry, and may come from anybody. It leaves out storing
// and forgetting, since sfcred makes its tokens, and an expiry, for which the
// protocol has no word.
package terraform

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"sfcred/helper"
)

// The protocol (https://developer.hashicorp.com/terraform/internals/credentials-helpers):
//
//	argv   = helper { configured argument } verb host [":" port]
//	verb   = "get" | "store" | "forget"         any other must fail
//	stdout = {"token":"…"} | {}                 get; {} is "not mine"
//
// A failure is text on standard error, never empty, and an exit code that is
// not 0. The credentials for a store are on standard input, to be read to the
// end even where the answer is no. Terraform gives a host in its ASCII form and
// drops ":443".

// The verbs.
const (
	Get    = "get"
	Store  = "store"
	Forget = "forget"
)

// MaxInput bounds what of a store's standard input is worth reading.
const MaxInput = 1 << 20

// Request is what Terraform asks for.
type Request struct {
	Verb string
	Host string
}

// Parse reads the arguments behind the configured ones.
func Parse(args []string) (Request, error) {
	if len(args) == 0 {
		return Request{}, errors.New("a verb is missing: get, store or forget")
	}
	switch args[0] {
	case Get, Store, Forget:
	default:
		return Request{}, fmt.Errorf("unknown verb %.40q", args[0])
	}
	if len(args) != 2 {
		return Request{}, fmt.Errorf("%s wants one host", args[0])
	}
	if host := args[1]; host == "" || strings.ContainsAny(host, "/?#") {
		// "https://" before it would make another host of it.
		return Request{}, fmt.Errorf("%.80q is not a host", host)
	}
	return Request{args[0], args[1]}, nil
}

// URL is what the host rule must check: services are found over https.
func (r Request) URL() string { return "https://" + r.Host + "/" }

// Refusal says why a verb is not done for a host of ours: nil for get. For
// another's host a forget has nothing to forget, and is done.
func (r Request) Refusal() error {
	switch r.Verb {
	case Store:
		return errors.New("sfcred makes its own tokens and stores no other; put this one into a credentials block, or into TF_TOKEN_…")
	case Forget:
		return errors.New("sfcred makes a new token whenever one is asked for, so there is none to forget; take the host out of the profile")
	}
	return nil
}

// Reply is the answer to a get.
func Reply(token string) ([]byte, error) {
	if err := helper.CheckToken(token); err != nil {
		return nil, err
	}
	text, err := json.Marshal(struct {
		Token string `json:"token"`
	}{token})
	if err != nil {
		return nil, fmt.Errorf("encode the answer to terraform: %w", err)
	}
	return append(text, '\n'), nil
}

// None is the answer to a get for a host that is not ours.
func None() []byte { return []byte("{}\n") }
