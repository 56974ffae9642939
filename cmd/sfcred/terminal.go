package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
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
	fmt.Fprint(t.out, oneLine(question), " ")
	line, err := t.read(ctx, func() ([]byte, error) { return t.line() })
	return strings.TrimSpace(string(line)), err
}

// confirm asks for yes or no; anything but yes is no.
func (t *terminal) confirm(ctx context.Context, question string) (bool, error) {
	answer, err := t.ask(ctx, question+" [y/N]")
	answer = strings.ToLower(answer)
	return answer == "y" || answer == "yes", err
}

// secret asks for a line that is not shown while it is typed.
func (t *terminal) secret(ctx context.Context, question string) ([]byte, error) {
	var text []byte
	err := t.hidden(ctx, question, nil, func(line func() (string, error)) error {
		typed, err := line()
		text = []byte(typed)
		return err
	})
	return text, err
}

// secretLines asks for lines that are not shown, until take says that it has
// all. What take replies to a line is said to the person, who goes on.
func (t *terminal) secretLines(ctx context.Context, question string, take func(line string, more bool) (done bool, reply string)) error {
	// What was pasted beyond the end must not become the shell's input.
	return t.hidden(ctx, question, t.drain, func(line func() (string, error)) error {
		for {
			typed, err := line()
			if err != nil {
				return err
			}
			done, reply := take(typed, t.lines.Buffered() > 0)
			if done {
				return nil
			}
			if reply != "" {
				fmt.Fprintf(t.out, "\r\n%s ", reply)
			}
		}
	})
}

// hidden asks a question, lets f read lines that are not shown, and then calls
// finish, unless it is nil. The terminal is raw for the whole of it: between two
// calls for a line each, what is pasted would be shown.
func (t *terminal) hidden(ctx context.Context, question string, finish func(), f func(line func() (string, error)) error) error {
	ctx, listen, stop := untilSignal(ctx)
	defer stop()
	listen()
	state, err := term.MakeRaw(int(t.in.Fd()))
	if err != nil {
		return fmt.Errorf("%w: %v", errNoTerminal, err)
	}
	// Not before: what answers at once would be shown.
	fmt.Fprint(t.out, oneLine(question), " ")
	defer fmt.Fprintln(t.out)
	// Also after an interrupt: a shell without echo is a nuisance.
	defer term.Restore(int(t.in.Fd()), state)
	if finish != nil {
		defer finish()
	}
	typed := &lineReader{lines: t.lines}
	raw := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{typed, io.Discard}, "")
	line := func() (string, error) {
		text, err := raw.ReadPassword("")
		switch {
		case errors.Is(err, term.ErrPasteIndicator):
			err = nil
		case errors.Is(err, io.EOF) && typed.ctrlC: // which is no signal while the terminal is raw
			err = signalError{os.Interrupt}
		case errors.Is(err, io.EOF): // Ctrl-D
			err = errInterrupted
		}
		return text, err
	}
	_, err = t.read(ctx, func() ([]byte, error) { return nil, f(line) })
	return err
}

// lineReader reads up to the end of a line at most, so that what is behind it
// stays where it can be counted.
type lineReader struct {
	lines *bufio.Reader
	ctrlC bool // one was among what was read
}

func (r *lineReader) Read(p []byte) (int, error) {
	if _, err := r.lines.Peek(1); err != nil {
		return 0, err
	}
	next, _ := r.lines.Peek(min(len(p), r.lines.Buffered()))
	if i := bytes.IndexAny(next, "\r\n"); i >= 0 {
		next = next[:i+1]
	}
	r.ctrlC = r.ctrlC || bytes.IndexByte(next, 0x03) >= 0
	return r.lines.Read(p[:len(next)])
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
		var sig signalError
		if errors.As(context.Cause(ctx), &sig) {
			return nil, sig
		}
		return nil, errInterrupted
	}
}
