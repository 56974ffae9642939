package main

import (
	"cmp"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// A child is on our console, so what that sends (Ctrl-C, Ctrl-Break, its end)
// comes to both, and is for the child to act on.
type child struct {
	process *os.Process
	signals chan os.Signal
}

// heed takes down the signals that come for a child, also before it is there.
func heed() chan os.Signal {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	return signals
}

// startChild starts a program with our streams, but for those given.
func (p *program) startChild(path string, argv, env []string, s streams, signals chan os.Signal) (*child, error) {
	files := []*os.File{cmp.Or(s.stdin, os.Stdin), os.Stdout, cmp.Or(s.stderr, os.Stderr)}
	process, err := os.StartProcess(path, argv, &os.ProcAttr{Env: env, Files: files})
	if err != nil {
		return nil, err
	}
	return &child{process, signals}, nil
}

// inherited says that there are no names for what a child inherits.
func inherited(*os.File) (name string, ok bool) { return "", false }

// attend is with the child until it has ended, and returns how.
func (c *child) attend() (code int, by os.Signal, err error) {
	state, err := c.process.Wait()
	if err != nil {
		return 0, nil, fmt.Errorf("wait for the command: %w", err)
	}
	return state.ExitCode(), nil, nil
}
