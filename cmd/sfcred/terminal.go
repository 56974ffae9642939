package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"
)

// errNoTerminal says that there is nobody to ask.
var errNoTerminal = errors.New("there is no terminal to ask on")

// errInterrupted says that the person at the terminal gave up.
var errInterrupted = errors.New("interrupted")

// terminal is the person at the terminal, whatever standard input and output
// are connected to. No deadline bounds a person.
type terminal struct {
	in, out *os.File
	lines   *bufio.Reader
}

// openTerminal finds the terminal of the process.
func openTerminal() (*terminal, error) {
	inName, outName := "/dev/tty", "/dev/tty"
	if runtime.GOOS == "windows" {
		inName, outName = "CONIN$", "CONOUT$"
	}
	in, err := os.OpenFile(inName, os.O_RDWR, 0)
	if err != nil {
		return nil, errNoTerminal
	}
	out, err := os.OpenFile(outName, os.O_WRONLY, 0)
	if err != nil {
		in.Close()
		return nil, errNoTerminal
	}
	return &terminal{in, out, bufio.NewReader(in)}, nil
}

func (t *terminal) close() {
	t.in.Close()
	t.out.Close()
}

// ask asks for a line.
func (t *terminal) ask(ctx context.Context, question string) (string, error) {
	fmt.Fprint(t.out, question, " ")
	line, err := t.read(ctx, func() ([]byte, error) { return t.line() })
	return strings.TrimSpace(string(line)), err
}

// confirm asks for yes or no; anything but yes is no.
func (t *terminal) confirm(ctx context.Context, question string) (bool, error) {
	answer, err := t.ask(ctx, question+" [y/N]")
	answer = strings.ToLower(answer)
	return answer == "y" || answer == "yes", err
}

// secret asks for text that is not shown while it is typed or pasted, line by
// line until done says that it is all; a nil done means one line. The terminal
// is raw for the whole of it: between two calls for a line each, what is
// pasted would be shown.
func (t *terminal) secret(ctx context.Context, question string, done func(text []byte) bool) ([]byte, error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	state, err := term.MakeRaw(int(t.in.Fd()))
	if err != nil {
		return nil, fmt.Errorf("%w: %v", errNoTerminal, err)
	}
	// Not before: what answers at once would be shown.
	fmt.Fprint(t.out, question, " ")
	defer fmt.Fprintln(t.out)
	// Also after an interrupt: a shell without echo is a nuisance.
	defer term.Restore(int(t.in.Fd()), state)
	hidden := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{t.lines, io.Discard}, "")
	if done != nil {
		// What was pasted beyond the end must not become the shell's input.
		defer t.drain()
	}
	return t.read(ctx, func() ([]byte, error) {
		var text []byte
		for {
			line, err := hidden.ReadPassword("")
			text = append(text, line...)
			switch {
			case errors.Is(err, term.ErrPasteIndicator):
			case errors.Is(err, io.EOF): // Ctrl-C or Ctrl-D
				return nil, errInterrupted
			case err != nil:
				return nil, err
			}
			if done == nil || done(text) {
				return text, nil
			}
			text = append(text, '\n')
		}
	})
}

// drain throws away what is typed or pasted and not yet read. A long paste
// arrives in pieces, so it waits a moment for the rest.
func (t *terminal) drain() {
	t.lines.Discard(t.lines.Buffered())
	for range 3 {
		time.Sleep(50 * time.Millisecond)
		flushInput(t.in)
	}
}

// line reads one line, with or without its end.
func (t *terminal) line() ([]byte, error) {
	line, err := t.lines.ReadBytes('\n')
	if len(line) > 0 {
		err = nil
	}
	return bytes.TrimRight(line, "\r\n"), err
}

// read calls f, which knows no context, until ctx ends.
func (t *terminal) read(ctx context.Context, f func() ([]byte, error)) ([]byte, error) {
	type result struct {
		text []byte
		err  error
	}
	results := make(chan result, 1)
	go func() {
		text, err := f()
		results <- result{text, err}
	}()
	select {
	case r := <-results:
		if r.err != nil && !errors.Is(r.err, errInterrupted) {
			return nil, fmt.Errorf("read from the terminal: %w", r.err)
		}
		return r.text, r.err
	case <-ctx.Done():
		return nil, errInterrupted
	}
}
