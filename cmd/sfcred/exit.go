package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sfcred/helper"
	"sfcred/keychain"
)

// Exit codes. Scripts depend on them.
const (
	exitOK      = 0
	exitFailed  = 1
	exitUsage   = 2 // wrong usage
	exitNothing = 3 // nothing for this request: no such profile, not our host
	exitRefused = 4 // the server refused the client
	exitStore   = 5 // the key store is locked or out of reach
	exitNetwork = 6 // the network or the server is down
)

// usageError is a command line, or a variable, that cannot be meant.
type usageError struct {
	text  string
	hints []string
}

func (e *usageError) Error() string { return e.text }

// bareError is a group without a command: its usage is the whole message.
type bareError struct{ path []string }

func (e *bareError) Error() string { return "" }

// hintedError adds what to type where only the place of the error knows it.
type hintedError struct {
	error
	hints []string
}

func (e *hintedError) Unwrap() error { return e.error }

// saidError has been told already; what is left of it is its exit code.
type saidError struct{ error }

func (e *saidError) Unwrap() error { return e.error }

// profileError says which profile an error is about.
type profileError struct {
	name string
	error
}

func (e *profileError) Error() string { return fmt.Sprintf("profile %q: %v", e.name, e.error) }
func (e *profileError) Unwrap() error { return e.error }

// pendingKeyError says that an error is about a profile's pending key, which is
// not the one that unlock and lock are about.
type pendingKeyError struct {
	name    string
	inStore string // of the key in use; "" if there is none
	error
}

func (e *pendingKeyError) Error() string {
	return fmt.Sprintf("pending key of profile %q: %v", e.name, e.error)
}
func (e *pendingKeyError) Unwrap() error { return e.error }

// lateError says that --timeout was too short for an answer.
type lateError struct{ timeout time.Duration }

func (e *lateError) Error() string { return "no answer within " + shortDuration(e.timeout) }
func (e *lateError) Unwrap() error { return context.DeadlineExceeded }

// exitCode maps an error's identity to the exit code.
func exitCode(err error) int {
	var (
		usage   *usageError
		bare    *bareError
		refused *helper.RefusedError
		network *helper.NetworkError
		answer  *helper.AnswerError
		store   *keychain.Error
		child   *childError
		verdict *verdictError
	)
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &child):
		return child.code
	case errors.As(err, &verdict):
		return verdict.code
	case errors.As(err, &usage), errors.As(err, &bare):
		return exitUsage
	case errors.Is(err, helper.ErrNoProfile), errors.Is(err, helper.ErrForeignHost):
		return exitNothing
	case errors.As(err, &refused), errors.As(err, &answer) && answer.Denied:
		return exitRefused
	case errors.As(err, &store):
		return exitStore
	case errors.As(err, &network), errors.As(err, &answer), errors.Is(err, context.DeadlineExceeded):
		return exitNetwork
	}
	return exitFailed
}
