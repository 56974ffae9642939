package main

import (
	"cmp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// moreFlags are flags, and what came from elsewhere in place of some: where a
// key was found, or what a person has answered.
type moreFlags struct {
	flags
	own map[string]string
}

func (f *moreFlags) IsSet(name string) bool { return f.own[name] != "" || f.flags.IsSet(name) }

func (f *moreFlags) String(name string) string { return cmp.Or(f.own[name], f.flags.String(name)) }

// Bool leaves out the deletion of what is no file.
func (f *moreFlags) Bool(name string) bool {
	return f.flags.Bool(name) && !(name == "delete-source" && f.own["key"] == "-")
}

// again is a command as it was typed, to be typed again with more flags, in
// place of those of the same names, and the same arguments. Its own flags are
// those known; of the global ones it has what changes what is done.
func (p *program) again(command []string, known []cli.Flag, c flags, more []string, args ...string) string {
	words := append([]string{"sfcred"}, command...)
	global := []cli.Flag{&cli.StringFlag{Name: "profile"}, &cli.StringFlag{Name: "timeout"}}
	for _, f := range append(global, known...) {
		name := f.Names()[0]
		if !c.IsSet(name) || slices.Contains(more, "--"+name) {
			continue
		}
		switch f.(type) {
		case *cli.BoolFlag:
			if c.Bool(name) {
				words = append(words, "--"+name)
			}
		case *cli.GenericFlag:
			for _, v := range listOf(c, name) {
				words = append(words, "--"+name, shellWord(v))
			}
		default:
			words = append(words, "--"+name, shellWord(c.String(name)))
		}
	}
	words = append(words, more...)
	for _, arg := range args {
		words = append(words, shellWord(arg))
	}
	return strings.Join(words, " ")
}
