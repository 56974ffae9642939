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
	core := leaveNoCore() // before there is a secret in memory
	p := newProgram(time.Now())
	p.core = core
	code := p.run(context.Background(), os.Args)
	var sig signalError
	if code != exitOK && errors.As(p.caught, &sig) {
		dieBy(sig.Signal)
	}
	os.Exit(code)
}

// signalError is why a context ended.
type signalError struct{ os.Signal }

func (e signalError) Error() string { return e.String() }

// Is says that whoever is ended by a signal is interrupted.
func (e signalError) Is(target error) bool { return target == errInterrupted }

// untilSignal gives a context that also ends when a person or a supervisor
// wishes the program to stop, so that what was begun is cleaned up: from listen
// on, which is for what takes time, since it costs a tenth of a warm answer.
func (p *program) untilSignal(ctx context.Context) (_ context.Context, listen, stop func()) {
	ctx, listen, cancel := untilSignal(ctx)
	return ctx, listen, func() {
		if p.caught == nil {
			p.caught = context.Cause(ctx)
		}
		cancel()
	}
}

// untilSignal is that for who is told by the context's cause.
func untilSignal(ctx context.Context) (_ context.Context, listen, stop func()) {
	signals := make(chan os.Signal, 1)
	ctx, cancel := context.WithCancelCause(ctx)
	listen = func() {
		for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
			if !signal.Ignored(s) { // a shell's background job ignores SIGINT, nohup SIGHUP
				signal.Notify(signals, s)
			}
		}
		go func() {
			select {
			case s := <-signals:
				cancel(signalError{s})
			case <-ctx.Done():
			}
		}()
	}
	return ctx, listen, func() {
		signal.Stop(signals)
		cancel(nil)
	}
}

// dieBy ends the process as the signal would have, so that a shell's loop
// around it ends too. Where processes send no signals (Windows) it returns.
func dieBy(sig os.Signal) {
	self, err := os.FindProcess(os.Getpid())
	if err == nil && lethal(sig) && self.Signal(sig) == nil {
		time.Sleep(time.Second) // it is on its way
	}
}
