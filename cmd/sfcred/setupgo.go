package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"sfcred/integrations/goauth"
	"sfcred/integrations/setup"
)

func (p *program) goConnector() connector {
	return connector{usage: "connect the go command, by go env", connect: p.setupGo, link: goauth.Helper, look: p.goConnections}
}

// setupGo connects the go command: prints the command that sets GOAUTH, or runs
// it.
func (p *program) setupGo(c *cli.Context) error {
	connection, err := p.connect(c, "", "")
	if err != nil {
		return err
	}
	s := goSetup{connection}
	switch {
	case c.Bool("write"):
		return s.write(c.Context)
	case c.Bool("remove"):
		return s.remove(c.Context)
	}
	value, _ := s.value(c.Context) // without a go command, what it has at first
	return s.print(value)
}

// goSetup is one setup of the go command.
type goSetup struct{ *connection }

func (s goSetup) print(value string) error {
	value, err := goauth.Add(value, s.entry)
	if err != nil {
		return s.off(err)
	}
	return s.answer("go " + setup.ShellLine(goauth.SetCommand(value)) + "\n")
}

func (s goSetup) off(err error) error { return &hintedError{err, []string{"go env -u GOAUTH"}} }

// write puts sfcred in front of what GOAUTH is.
func (s goSetup) write(ctx context.Context) error {
	old, err := s.value(ctx)
	if err != nil {
		return s.printed(err, func() error { return s.print("") })
	}
	value, err := goauth.Add(old, s.entry)
	if err != nil {
		return s.off(err)
	}
	if value != old {
		if err := s.set(ctx, value); err != nil {
			return err
		}
	}
	s.inform("the go command gets its tokens from profile %q", s.profile.name)
	s.warnOfVariable()
	return nil
}

func (s goSetup) remove(ctx context.Context) error {
	old, err := s.value(ctx)
	if err != nil {
		return err
	}
	if value := goauth.Remove(old, s.entry); value != old {
		if err := s.set(ctx, value); err != nil {
			return err
		}
	}
	s.inform("GOAUTH has nothing of profile %q from sfcred", s.profile.name)
	s.warnOfVariable()
	return nil
}

// set has the go command keep a value, "" being none. With GOENV=off it says that
// it has, and has not.
func (s goSetup) set(ctx context.Context, value string) error {
	if _, err := s.goEnv(ctx, goauth.SetCommand(value)); err != nil {
		return err
	}
	now, err := s.value(ctx)
	if err == nil && value != "" && now != value {
		err = errors.New("run go env -w: go env does not have what it was given; is GOENV off?")
	}
	return err
}

// warnOfVariable warns of what go itself would, had it seen the variable.
func (s goSetup) warnOfVariable() {
	if os.Getenv("GOAUTH") != "" {
		s.warn("the variable GOAUTH is set, and wins over what go env has")
		s.say("hint", "unset GOAUTH")
	}
}

// value is GOAUTH as go env has it, whatever the variable says.
func (s goSetup) value(ctx context.Context) (string, error) {
	output, err := s.goEnv(ctx, goauth.GetCommand())
	return strings.TrimSpace(string(output)), err
}

// goEnv runs the go command where no go.mod can have it fetch another go.
func (s goSetup) goEnv(ctx context.Context, args []string) ([]byte, error) {
	return s.ask(ctx, toolCall{
		name: "go", args: args, without: []string{"GOAUTH"}, env: []string{"GOTOOLCHAIN=local", "GOWORK=off"},
		dir: filepath.VolumeName(s.entry.Path) + string(filepath.Separator),
	})
}
