// Command sfcred hands out short-lived OAuth access tokens to the tools that
// ask for one, and keeps the private key that they come from in the operating
// system's keychain.
//
// This folder is wiring and words: commands, flags, variables, streams, exit
// codes and hints. It trusts its own user: the command line, the environment
// and the files of that user. What a token is and where it may go is decided in
// helper, what each tool wants to hear in integrations, where keys are in
// keychain.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	began := time.Now()
	ctx, stop := untilSignal()
	code := newProgram(began).run(ctx, os.Args)
	stop()
	var sig signalError
	if code != exitOK && errors.As(context.Cause(ctx), &sig) {
		dieBy(sig.Signal)
	}
	os.Exit(code)
}

// signalError is why a context ended.
type signalError struct{ os.Signal }

func (e signalError) Error() string { return e.String() }

// untilSignal gives a context that a person's or a supervisor's wish to stop
// ends, so that what was begun is cleaned up.
func untilSignal() (context.Context, func()) {
	// A write to a closed pipe must come back as an error, not end the process
	// without a word. With a channel, unlike Ignore, children keep the default.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithCancelCause(context.Background())
	go func() { cancel(signalError{<-signals}) }()
	return ctx, func() { signal.Reset(os.Interrupt, syscall.SIGTERM) }
}

// dieBy ends the process as the signal would have, so that a shell's loop
// around it ends too. Where processes send no signals (Windows) it returns.
func dieBy(sig os.Signal) {
	self, err := os.FindProcess(os.Getpid())
	if err == nil && self.Signal(sig) == nil {
		time.Sleep(time.Second) // it is on its way
	}
}
