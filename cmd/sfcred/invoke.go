package main

import (
	"context"
	"flag"
	"io"
	"slices"

	"github.com/urfave/cli/v2"
)

// invoke runs the line's command, after before has seen the global flags. The
// library's own runner would do it too, but it can print help, and so brings
// text/template, which calls methods by name: then the linker must keep every
// exported method in the program, 1.8 MB of them.
func (l *line) invoke(ctx context.Context, before func(*cli.Context) error) error {
	global, err := l.context(nil, l.app.Flags, l.global)
	if err != nil {
		return err
	}
	global.Context = ctx
	if err := before(global); err != nil {
		return err
	}
	c, err := l.context(global, l.command.Flags, slices.Concat(l.flags, []string{"--"}, l.args))
	if err != nil {
		return err
	}
	c.Command = l.command
	return l.command.Action(c)
}

// context gives flags their values.
func (l *line) context(parent *cli.Context, flags []cli.Flag, args []string) (*cli.Context, error) {
	set := flag.NewFlagSet(l.app.Name, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	for _, f := range flags {
		if err := f.Apply(set); err != nil {
			return nil, err
		}
	}
	if err := set.Parse(args); err != nil {
		return nil, &usageError{text: err.Error()}
	}
	return cli.NewContext(l.app, set, parent), nil
}

// listFlag is a flag that may be repeated. The library's own cuts values at
// commas unless its runner is told not to.
func listFlag(name, usage string) *cli.GenericFlag {
	return &cli.GenericFlag{Name: name, Usage: usage, Value: &list{}}
}

// list is the value of a listFlag.
type list []string

func (l *list) String() string { return "" }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}

// listOf gives the values of a listFlag.
func listOf(c flags, name string) []string {
	l, ok := c.Generic(name).(*list)
	if !ok {
		return nil
	}
	return *l
}
