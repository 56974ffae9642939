package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"sfcred/helper"
	"sfcred/keychain"
)

func completionFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "current", Usage: "instead of the script, what can stand for `WORD` behind the words after --; for the scripts"},
	}
}

// completion prints the script for a shell, or, for that script, what the word at
// the cursor can become.
func (p *program) completion(c *cli.Context) error {
	shell, words := c.Args().First(), c.Args().Tail()
	script := completionScript(shell)
	if script == "" {
		return &usageError{text: fmt.Sprintf("unknown shell %q: %s", shell, strings.Join(completionShells(), ", "))}
	}
	if !c.IsSet("current") {
		if len(words) > 0 {
			return &usageError{text: fmt.Sprintf("surplus argument %q for %q", words[0], "sfcred completion")}
		}
		return p.answer(script)
	}
	var b strings.Builder
	for _, found := range p.complete(shell, words, c.String("current")) {
		fmt.Fprintln(&b, found.as(shell))
	}
	if b.Len() == 0 {
		return nil
	}
	return p.answer(b.String())
}

// candidate is a word that can stand at the cursor, and what it means.
type candidate struct{ word, usage string }

// as writes a candidate as a shell's script reads it.
func (c candidate) as(shell string) string {
	switch {
	case c.usage == "" || shell == "bash":
		return c.word
	case shell == "zsh":
		return strings.ReplaceAll(c.word, ":", `\:`) + ":" + c.usage
	}
	return c.word + "\t" + c.usage
}

// complete lists what the word at the cursor can become; nothing where a file,
// or anything at all, may stand, or where the words before it are wrong.
func (p *program) complete(shell string, words []string, current string) []candidate {
	if shell == "bash" { // which cuts --flag=value into three words
		words = slices.DeleteFunc(words, func(word string) bool { return word == "=" })
		current = strings.TrimPrefix(current, "=")
	}
	l := &line{app: p.app(p.tools())}
	for len(words) > 0 {
		if words[0] == "--" { // the rest is a command's own, or arguments
			return nil
		}
		if flag, _ := l.find(words[0]); flag != nil && !isBool(flag) && len(words) == 1 {
			return matching(current, "", p.values(l, flag))
		}
		var err error
		if words, err = l.take(words); err != nil {
			return nil
		}
	}
	name, value, joined := strings.Cut(current, "=")
	if flag, _ := l.find(name); joined && flag != nil && !isBool(flag) {
		return matching(value, name+"=", p.values(l, flag))
	}
	if strings.HasPrefix(current, "-") {
		return matching(current, "", l.flagCandidates())
	}
	return matching(current, "", p.arguments(l))
}

func isBool(flag cli.Flag) bool {
	_, is := flag.(*cli.BoolFlag)
	return is
}

// matching keeps the candidates that begin so, and puts a prefix before them.
func matching(current, prefix string, all []candidate) []candidate {
	var found []candidate
	for _, c := range all {
		if strings.HasPrefix(c.word, current) {
			found = append(found, candidate{prefix + c.word, c.usage})
		}
	}
	return found
}

// named makes candidates of words.
func named(words ...string) []candidate {
	var all []candidate
	for _, word := range words {
		all = append(all, candidate{word: word})
	}
	return all
}

// values are what can stand behind a flag.
func (p *program) values(l *line, flag cli.Flag) []candidate {
	switch flag.Names()[0] {
	case "profile":
		return p.profileCandidates(l)
	case "store":
		return named(keychain.StoreKeychain, keychain.StoreFile, keychain.StorePEM, keychain.StoreAgent, keychain.StoreCommand)
	case "site":
		var sites []string
		for _, s := range helper.Sites() {
			sites = append(sites, s.Name)
		}
		return named(sites...)
	}
	return nil
}

// flagCandidates are the flags of the command, and the app's.
func (l *line) flagCandidates() []candidate {
	flags := l.app.Flags
	if l.command != nil {
		flags = slices.Concat(l.command.Flags, flags)
	}
	var all []candidate
	for _, f := range append(slices.Clip(flags), cli.HelpFlag) {
		usage := f.(cli.DocGenerationFlag).GetUsage()
		all = append(all, candidate{"--" + f.Names()[0], strings.ReplaceAll(usage, "`", "")})
	}
	return all
}

// arguments are the commands, or what a command is about, by its ArgsUsage.
func (p *program) arguments(l *line) []candidate {
	if commands := l.subcommands(); len(commands) > 0 {
		return commandCandidates(commands)
	}
	if len(l.args) > 0 {
		return nil
	}
	what, _, _ := strings.Cut(l.command.ArgsUsage, " ")
	switch strings.Trim(what, "[]") {
	case "NAME":
		return p.profileCandidates(l)
	case "COMMAND":
		return commandCandidates(l.app.Commands)
	case "SHELL":
		return named(completionShells()...)
	}
	return nil
}

func commandCandidates(commands []*cli.Command) []candidate {
	var all []candidate
	for _, c := range commands {
		all = append(all, candidate{c.Name, c.Usage})
	}
	return all
}

// profileCandidates are the names of the config that the line names, or of the
// usual one.
func (p *program) profileCandidates(l *line) []candidate {
	for _, flag := range l.global {
		if path, ok := strings.CutPrefix(flag, "--config="); ok {
			p.config = path
		}
	}
	config, err := p.loadConfig()
	if err != nil {
		return nil
	}
	var all []candidate
	for _, name := range config.Names() {
		all = append(all, candidate{name, config.Profiles[name].ClientID})
	}
	return all
}
