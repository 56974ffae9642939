package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
	"github.com/xrash/smetrics"
)

// parseLine takes a command line apart. The library's own parser takes a flag
// behind an argument for an argument, accepts surplus arguments, and writes
// help to standard output for a flag that it does not know
// (https://github.com/urfave/cli/issues/1177 and others).
func parseLine(app *cli.App, args []string) (*line, error) {
	l := &line{app: app}
	for len(args) > 0 {
		var err error
		if args, err = l.take(args); err != nil {
			return l, err
		}
	}
	return l.checked()
}

// line is a command line in parts.
type line struct {
	app     *cli.App
	command *cli.Command // the deepest one named so far
	path    []string
	global  []string // flags of the app
	flags   []string // flags of the command
	args    []string
	help    bool
	version bool
}

// take consumes one argument, or two where a flag has its value in the next.
func (l *line) take(args []string) ([]string, error) {
	arg, rest := args[0], args[1:]
	switch {
	case l.raw():
		l.help = l.help || len(args) == 1 && slices.Contains([]string{"--help", "-h"}, arg)
		l.args = args
		return nil, nil
	case arg == "--":
		l.args = append(l.args, rest...)
		return nil, nil
	case strings.HasPrefix(arg, "-") && arg != "-":
		return l.takeFlag(arg, rest)
	case len(l.subcommands()) > 0:
		return rest, l.descend(arg)
	case l.dashed():
		return nil, l.needsDashes(args)
	default:
		l.args = append(l.args, arg)
		return rest, nil
	}
}

func (l *line) subcommands() []*cli.Command {
	if l.command == nil {
		return l.app.Commands
	}
	return l.command.Subcommands
}

func (l *line) descend(name string) error {
	commands := l.subcommands()
	i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.HasName(name) })
	if i < 0 {
		var names []string
		for _, c := range commands {
			names = append(names, c.Name)
		}
		return &usageError{fmt.Sprintf("unknown command %q", l.words(name)), l.suggest(name, names)}
	}
	l.command = commands[i]
	l.path = append(l.path, l.command.Name)
	return nil
}

// takeFlag consumes a flag and its value.
func (l *line) takeFlag(arg string, rest []string) ([]string, error) {
	name, value, joined := strings.Cut(arg, "=")
	flag, global := l.find(name)
	if flag == nil {
		return nil, l.unknown(name)
	}
	canonical := "--" + flag.Names()[0]
	if _, isBool := flag.(*cli.BoolFlag); isBool {
		l.help = l.help || flag == cli.HelpFlag
		if joined {
			if _, err := strconv.ParseBool(value); err != nil {
				return nil, &usageError{text: fmt.Sprintf("flag %s=%s: neither true nor false", name, value)}
			}
			canonical += "=" + value
		}
	} else {
		if !joined {
			if len(rest) == 0 {
				return nil, &usageError{text: fmt.Sprintf("flag %s needs a value", name)}
			}
			value, rest = rest[0], rest[1:]
		}
		if value == "" && !slices.Contains(mayBeEmpty(), flag.Names()[0]) {
			// "$NAME" of a variable that is not set must not mean the default.
			return nil, &usageError{text: fmt.Sprintf("flag %s has an empty value", name)}
		}
		canonical += "=" + value
	}
	if global {
		l.global = append(l.global, canonical)
	} else {
		l.flags = append(l.flags, canonical)
	}
	return rest, nil
}

// mayBeEmpty lists the flags whose empty value says something: none.
func mayBeEmpty() []string { return []string{"api-url", "audience", "scope", "url", "current"} }

// find looks a flag up: the command's own first, then the app's.
func (l *line) find(name string) (flag cli.Flag, global bool) {
	has := func(f cli.Flag) bool {
		return slices.ContainsFunc(f.Names(), func(n string) bool {
			return len(n) == 1 && name == "-"+n || len(n) > 1 && name == "--"+n
		})
	}
	if has(cli.HelpFlag) {
		return cli.HelpFlag, l.command == nil
	}
	if l.command != nil {
		if i := slices.IndexFunc(l.command.Flags, has); i >= 0 {
			return l.command.Flags[i], false
		}
	}
	if i := slices.IndexFunc(l.app.Flags, has); i >= 0 {
		return l.app.Flags[i], true
	}
	return nil, false
}

func (l *line) unknown(name string) error {
	flags := l.app.Flags
	if l.command != nil {
		flags = slices.Concat(l.command.Flags, flags)
	}
	var names []string
	for _, f := range flags {
		names = append(names, "--"+f.Names()[0])
	}
	return &usageError{fmt.Sprintf("unknown flag %s for %q", name, l.words()), l.suggest("--"+strings.TrimLeft(name, "-"), names)}
}

// withTimeout is the line with another --timeout. What a child would be started
// with is left out: it may hold what is not for a log.
func (l *line) withTimeout(timeout string) string {
	words := []string{l.app.Name, "--timeout", timeout}
	for _, flag := range slices.Concat(l.global, l.path, l.flags) {
		switch name, value, _ := strings.Cut(flag, "="); name {
		case "--timeout", "--config": // which all hints get
		case "--url": // of which only the host counts
			words = append(words, shellWord(name+"="+withoutQuery(value)))
		default:
			words = append(words, shellWord(flag))
		}
	}
	switch {
	case l.raw():
		return strings.Join(words, " ") + " ARGUMENTS"
	case l.dashed():
		return strings.Join(words, " ") + " -- COMMAND"
	}
	for _, arg := range l.args {
		words = append(words, shellWord(arg))
	}
	return strings.Join(words, " ")
}

// words is the command so far, as a person would type it.
func (l *line) words(more ...string) string {
	return strings.Join(slices.Concat([]string{l.app.Name}, l.path, more), " ")
}

// suggest gives hints for a misspelt word: the command with each near one.
func (l *line) suggest(word string, known []string) []string {
	var hints []string
	for _, k := range near(word, known) {
		hints = append(hints, l.words(k))
	}
	return append(hints, l.words("--help"))
}

// near lists the known words that a slip of the finger could have meant.
func near(word string, known []string) []string {
	var found []string
	word = strings.ToLower(word)
	for _, k := range known {
		lower := strings.ToLower(k)
		if smetrics.WagnerFischer(word, lower, 1, 1, 1) <= max(1, (len(word)+2)/3) || isSwap(word, lower) {
			found = append(found, k)
		}
	}
	return found
}

// isSwap says that two letters beside each other changed places: one slip, which
// is two by the distance.
func isSwap(word, known string) bool {
	for i := range len(word) - 1 {
		if word[:i]+word[i+1:i+2]+word[i:i+1]+word[i+2:] == known {
			return true
		}
	}
	return false
}

// checked gives the line if it can be meant. Where help or the version is asked
// for, what else it says does not count; "help X" is "X --help".
func (l *line) checked() (*line, error) {
	l.version = slices.Contains(l.global, "--version") && !l.help
	switch {
	case l.version, l.help:
		return l, nil
	case len(l.path) > 0 && l.path[0] == "help":
		about, err := parseLine(l.app, append(slices.Clone(l.args), "--help"))
		return about, helpHints(err)
	}
	return l, l.checkArity()
}

// helpHints has what is hinted at "help X" be about help, too: X itself may be a
// command that does something.
func helpHints(err error) error {
	usage, ok := err.(*usageError)
	if !ok {
		return err
	}
	hints := slices.Clone(usage.hints)
	for i, hint := range hints {
		if command, ok := strings.CutPrefix(hint, "sfcred "); ok && !strings.HasSuffix(hint, "--help") {
			hints[i] = "sfcred help " + command
		}
	}
	return &usageError{usage.text, hints}
}

// checkArity reads ArgsUsage: a word is an argument, one in brackets may be
// left out, one with dots may come again.
func (l *line) checkArity() error {
	if len(l.subcommands()) > 0 {
		return &bareError{l.path}
	}
	if l.dashed() {
		return l.checkDashed()
	}
	if slices.Contains(l.args, "") && !l.raw() {
		// "$NAME" of a variable that is not set must not mean the default.
		return &usageError{fmt.Sprintf("an empty argument for %q", l.words()), []string{l.words("--help")}}
	}
	words := strings.Fields(l.command.ArgsUsage)
	if len(l.args) > len(words) && !strings.HasSuffix(l.command.ArgsUsage, "...") {
		return &usageError{fmt.Sprintf("surplus argument %q for %q", l.args[len(words)], l.words()), []string{l.words("--help")}}
	}
	if len(l.args) < len(words) && !strings.HasPrefix(words[len(l.args)], "[") {
		return &usageError{fmt.Sprintf("%q needs %s", l.words(), words[len(l.args)]), []string{l.words("--help")}}
	}
	return nil
}
