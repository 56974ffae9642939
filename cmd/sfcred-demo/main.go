// Command sfcred-demo shows in ten seconds what sfcred does: it runs the real
// program through its main job against a pocket authorization server and API on
// loopback. "sfcred-demo serve" keeps that server up, to try things out and for
// tests in other languages. A script that starts it builds it first: "go run"
// passes no SIGTERM on to what it runs.
//
// It needs the go command and nothing else, trusts nobody but the person who
// started it, and does all its work in a temporary directory that it removes:
// what it runs sees neither that person's home nor keychain. It leaves out every
// store but pem, and it is no test of sfcred, though it fails if a step does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usage = `usage: sfcred-demo                 show what sfcred does, against a server of its own
       sfcred-demo serve [flags]   keep that server up and print how to use it
`

func main() {
	ctx, stop := untilSignal()
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// untilSignal gives a context that ends when the process is asked to, so that
// the temporary directory is removed.
func untilSignal() (context.Context, context.CancelFunc) {
	// "sfcred-demo | head" must end by a failed write, not at once. With a
	// channel, unlike Ignore, children keep the default.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signals = append(signals, syscall.SIGHUP)
	}
	return signal.NotifyContext(context.Background(), signals...)
}

// usageError is a command line that cannot be meant.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

// run does what the command line says and returns the exit code: 0, 1 for a
// step that failed, 2 for wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	err := dispatch(ctx, args, stdout)
	var wrong *usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage, "\nflags of serve:\n", flagText())
		return 0
	case errors.As(err, &wrong):
		fmt.Fprintf(stderr, "sfcred-demo: error: %v\n%s\nflags of serve:\n%s", err, usage, flagText())
		return 2
	case ctx.Err() != nil:
		err = errors.New("interrupted")
	}
	fmt.Fprintf(stderr, "sfcred-demo: error: %v\n", err)
	return 1
}

func dispatch(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) > 0 && args[0] == "serve" {
		o, err := parseServe(args[1:])
		if err != nil {
			return err
		}
		return serve(ctx, stdout, o)
	}
	flags := flag.NewFlagSet("sfcred-demo", flag.ContinueOnError)
	if err := parse(flags, args); err != nil {
		return err
	}
	return runTour(ctx, newScreen(stdout))
}

// parse reads args, which may hold flags alone.
func parse(flags *flag.FlagSet, args []string) error {
	flags.SetOutput(io.Discard) // run decides what is said where
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return &usageError{err.Error()}
	case flags.NArg() > 0:
		return &usageError{fmt.Sprintf("unknown argument %q", flags.Arg(0))}
	}
	return nil
}
