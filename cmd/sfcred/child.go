package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"sfcred/helper"
)

// Exit codes of a command that ends as its child does, where there is no child,
// as env(1) and docker have them: all that goes wrong from the command's name on
// must not look like the child's own 1 or 2.
const (
	exitNotStarted    = 125
	exitNotExecutable = 126
	exitNotFound      = 127
)

// childError ends sfcred as its child has ended, or says why there is none.
type childError struct {
	code int
	err  error // nil: the child has said itself what there is to say
}

func (e *childError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *childError) Unwrap() error { return e.err }

// endsAsChild says whether the line's command ends as its child does.
func (l *line) endsAsChild() bool {
	return slices.Contains([]string{"exec", "curl"}, strings.Join(l.path, " ")) // not "setup curl"
}

// dashed says whether all arguments of the line's command stand behind "--", and
// are not ours to read.
func (l *line) dashed() bool {
	return l.command != nil && strings.HasPrefix(l.command.ArgsUsage, "-- ")
}

// raw says whether all that stands behind the line's command is not ours to read.
func (l *line) raw() bool { return l.command != nil && l.command.SkipFlagParsing }

// tokenForChild gives the token that a child is to begin with, unless sfcred was
// told to end meanwhile. Only a person who waits for an exchange is reminded.
func (p *program) tokenForChild(ctx context.Context, profile *chosen, want helper.Want) (helper.Token, error) {
	t, err := p.tokenOf(ctx, profile, want)
	if err != nil {
		return helper.Token{}, err
	}
	if p.caught != nil { // too late to stop the exchange, and in time not to start
		return helper.Token{}, errInterrupted
	}
	if t.Obtained.After(p.began) {
		p.remind(profile)
	}
	return t, nil
}

// checkDashed asks for a command behind "--"; its words may be empty.
func (l *line) checkDashed() error {
	if len(l.args) == 0 {
		return &usageError{fmt.Sprintf("%q needs a command behind --", l.words()), []string{l.words("--help")}}
	}
	return nil
}

// needsDashes refuses a command that does not stand behind "--": a flag of its
// own could be taken for one of ours.
func (l *line) needsDashes(args []string) error {
	var hint []string
	for _, word := range slices.Concat([]string{l.app.Name}, l.global, l.path, l.flags, []string{"--"}, args) {
		hint = append(hint, shellWord(word))
	}
	return &usageError{fmt.Sprintf("%q wants its command behind --", l.words()), []string{strings.Join(hint, " ")}}
}

// streams are those of a child's that are not ours.
type streams struct{ stdin, stderr *os.File }

// end gives the error by which sfcred ends as its child has ended.
func (p *program) end(code int, by os.Signal, err error) error {
	switch {
	case err != nil:
		return &childError{exitFailed, err}
	case by != nil:
		p.caught = signalError{by}
	}
	if code == exitOK {
		return nil
	}
	return &childError{code: code}
}

// childless gives an error the exit code that it has where there is no child.
func childless(err error) error {
	if err == nil || errors.As(err, new(*childError)) {
		return err
	}
	return &childError{exitNotStarted, err}
}

// findProgram is the file that a command's first word means.
func findProgram(word string) (string, error) {
	path, err := exec.LookPath(word)
	if err == nil {
		return path, nil
	}
	if errors.Is(err, exec.ErrNotFound) && inPath(word) {
		err = fs.ErrPermission // the search passes over what is not executable
	}
	return "", notRun(word, err)
}

// inPath says whether there is a file of that name where programs are.
func inPath(word string) bool {
	return !strings.ContainsRune(word, filepath.Separator) &&
		slices.ContainsFunc(filepath.SplitList(os.Getenv("PATH")), func(dir string) bool {
			info, err := os.Stat(filepath.Join(dir, word))
			return word != "" && err == nil && info.Mode().IsRegular()
		})
}

// notRun says why a command does not run, without the library's own prefixes.
func notRun(word string, err error) error {
	code := exitNotExecutable
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		code = exitNotFound
	}
	var search *exec.Error
	var path *fs.PathError
	if errors.As(err, &search) {
		err = search.Err
	}
	if errors.As(err, &path) {
		err = path.Err
	}
	return &childError{code, fmt.Errorf("run %q: %w", word, err)}
}

// environ is the environment for a child: ours without some names, and more.
func environ(without []string, more ...string) []string {
	same := func(a, b string) bool { return a == b || runtime.GOOS == "windows" && strings.EqualFold(a, b) }
	env := slices.DeleteFunc(os.Environ(), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return slices.ContainsFunc(without, func(w string) bool { return same(name, w) })
	})
	return append(env, more...)
}
