package keychain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"sfcred/keychain/jose"
)

const (
	// commandShare is the part of the time left that a command may take. What
	// it leaves is enough for an exchange; without it a command that hangs
	// would look like a network that does.
	commandShare = 0.75

	// pipeDelay bounds how long the program's pipes are read on when it has
	// ended: something that it left behind may have them open for days. What
	// the program itself wrote is in the pipe by then.
	pipeDelay = 500 * time.Millisecond

	// nestedMark tells a sfcred that the program calls that it is Nested.
	nestedMark = "SFCRED_NESTED=1"
)

// commandError makes an [Error] of StoreCommand.
func commandError(kind error, format string, args ...any) error {
	return &Error{StoreCommand, fmt.Sprintf(format, args...), kind}
}

// runCommand has a program print a key file. Its errors name the program: its
// arguments may hold a secret, and its output is one.
func (s *Stores) runCommand(ctx context.Context, command string, shell bool) (*jose.File, error) {
	words, name, err := commandWords(command, shell)
	if err != nil {
		return nil, err
	}
	if s.Nested {
		return nil, commandError(ErrUnavailable, "%s is not run: the key's program has called sfcred, which would call it again", name)
	}
	length := commandTime(ctx)
	delay := min(pipeDelay, length/8) // what the command leaves has room for two
	late := commandError(ErrTimeout, "%s did not finish within %v", name, length.Round(10*time.Millisecond))
	share, end := context.WithTimeout(ctx, length)
	defer end()
	// A program that hangs in the kernel, on a file system that is gone, cannot
	// be ended. It is abandoned.
	limit, abandon := context.WithTimeout(context.WithoutCancel(ctx), length+2*delay)
	defer abandon()
	text, err := bounded(limit, late, func() ([]byte, error) {
		cmd, err := newCommand(share, words, shell)
		if err != nil {
			return nil, err
		}
		out := &printed{full: end}
		cmd.Stdout, cmd.Stderr = out, s.Stderr // an *os.File is handed over as it is, and nothing waits for it
		cmd.Env = childEnvironment(cmd)
		cmd.WaitDelay = delay
		err = cmd.Run()
		return out.text, explainRun(share, cmd.ProcessState, out.text, name, late, err)
	})
	if err != nil {
		return nil, err
	}
	return s.parseKeyFile(ctx, StoreCommand, "the key from "+name, text)
}

// commandWords returns the words of a command, for a shell the only one, and
// its name for people. It judges again what login has judged: a config can be
// edited.
func commandWords(command string, shell bool) (words []string, name string, err error) {
	if shell {
		words, name, err = []string{command}, "the shell command", checkText(command)
	} else if words, err = SplitCommand(command); err == nil {
		name = "command " + programName(words[0])
	}
	if err != nil {
		err = commandError(ErrUnavailable, "the key's program cannot be run: %v", err)
	}
	return words, name, err
}

// commandTime is how long a command may take: a share of the time left, or a
// day where nobody is in a hurry.
func commandTime(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return 24 * time.Hour
	}
	return max(time.Duration(commandShare*float64(time.Until(deadline))), time.Millisecond)
}

// newCommand prepares what commandWords returned.
func newCommand(ctx context.Context, words []string, shell bool) (*exec.Cmd, error) {
	var cmd *exec.Cmd
	if shell {
		cmd = shellCommand(ctx, words[0])
	} else {
		path, err := findProgram(words[0])
		if err != nil {
			return nil, err
		}
		cmd = exec.CommandContext(ctx, path, words[1:]...)
	}
	setApart(cmd)
	return cmd, nil
}

// childEnvironment is ours, with the mark, and without what makes gpg ask on
// the terminal that [setApart] takes away: it would have its agent open that by
// name, and draw over whatever a person does there.
func childEnvironment(cmd *exec.Cmd) []string {
	env := slices.DeleteFunc(cmd.Environ(), func(v string) bool { return strings.HasPrefix(v, "GPG_TTY=") })
	return append(env, nestedMark)
}

// explainRun says why a command that ran, or did not start, gave nothing to
// parse; late is for one that was ended. A command that succeeded gave
// something, even if what it left behind kept a pipe open, or nobody took what
// it said on stderr.
func explainRun(ctx context.Context, state *os.ProcessState, text []byte, name string, late, err error) error {
	switch {
	case len(text) > maxKeyFile:
		return commandError(ErrDamaged, "%s prints more than %d bytes, which no key has", name, maxKeyFile)
	case state != nil && state.Success() && len(bytes.TrimSpace(text)) > 0:
		return nil
	case ctx.Err() != nil:
		return ended(ctx, late)
	case state == nil && errors.Is(err, fs.ErrNotExist): // not the program, that was found
		return commandError(ErrUnavailable, "%s cannot be started: its interpreter is not there", name)
	case state == nil:
		return commandError(ErrUnavailable, "%s cannot be started: %v", name, reason(err))
	case !state.Success():
		return commandError(ErrUnavailable, "%s ended with %v", name, state)
	}
	return commandError(ErrNotFound, "%s prints nothing", name)
}

// printed takes what a program prints, and ends it when that is too much for a
// key.
type printed struct {
	text []byte
	full func()
}

func (p *printed) Write(text []byte) (int, error) {
	p.text = append(p.text, text[:min(len(text), maxKeyFile+1-len(p.text))]...)
	if len(p.text) > maxKeyFile {
		p.full()
		return 0, errors.New("more than a key")
	}
	return len(text), nil
}
