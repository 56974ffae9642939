package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// person runs a command on a terminal of its own and plays who sits there, by
// a dialogue: each question is waited for before it is answered, as testscript's
// ttyin does not, so what is shown of an answer is what the program let be
// shown. All that the terminal showed is left in the file screen.
//
//	person DIALOGUE COMMAND…
//
//	? QUESTION    waits until the terminal shows it
//	> ANSWER      types a line
//	< FILE        pastes a file
//	^C            types Ctrl-C; ^D, ^Z and ^\ likewise
//	= DURATION    takes that long
func person() {
	code, err := converse(os.Args[1], os.Args[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "person:", err)
		os.Exit(99)
	}
	os.Exit(code)
}

func converse(dialogue string, args []string) (int, error) {
	lines, err := os.ReadFile(dialogue)
	if err != nil {
		return 0, err
	}
	screen, tty, err := openPTY()
	if err != nil {
		return 0, err
	}
	defer screen.Close()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{tty}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 3}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	tty.Close()
	shown := &shown{screen: screen, more: make(chan []byte)}
	go shown.read()
	if err := shown.play(strings.Split(strings.TrimSpace(string(lines)), "\n")); err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		return 0, err
	}
	err = cmd.Wait()
	shown.rest()
	if writeErr := os.WriteFile("screen", bytes.ReplaceAll(shown.text, []byte("\r\n"), []byte("\n")), 0o600); writeErr != nil {
		return 0, writeErr
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, err
	}
	if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() {
		return 128 + int(status.Signal()), nil // as a shell tells it
	}
	return cmd.ProcessState.ExitCode(), nil
}

// shown is what a terminal has shown.
type shown struct {
	screen *os.File
	more   chan []byte
	text   []byte
	seen   int // of text, by the questions so far
}

// read reads until the program has closed its terminal (EIO on Linux).
func (s *shown) read() {
	defer close(s.more)
	for {
		buf := make([]byte, 4096)
		n, err := s.screen.Read(buf)
		if n > 0 {
			s.more <- buf[:n]
		}
		if err != nil {
			return
		}
	}
}

func (s *shown) rest() {
	for more := range s.more {
		s.text = append(s.text, more...)
	}
}

func (s *shown) play(dialogue []string) error {
	for _, line := range dialogue {
		if line == "" {
			continue
		}
		kind, rest, _ := strings.Cut(line, " ")
		var err error
		switch kind {
		case "?":
			err = s.wait(rest)
		case ">":
			_, err = io.WriteString(s.screen, rest+"\r")
		case "<":
			err = s.paste(rest)
		case "=":
			var d time.Duration
			d, err = time.ParseDuration(rest)
			time.Sleep(d)
		case "^C", "^D", "^Z", "^\\":
			_, err = io.WriteString(s.screen, string(kind[1]&0x1f))
		default:
			err = fmt.Errorf("dialogue: %q", line)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// paste types a file as a terminal does: its lines end as the Enter key does.
func (s *shown) paste(file string) error {
	text, err := os.ReadFile(file)
	if err == nil {
		_, err = s.screen.Write(bytes.ReplaceAll(text, []byte("\n"), []byte("\r")))
	}
	return err
}

func (s *shown) wait(question string) error {
	late := time.After(20 * time.Second)
	for {
		if i := bytes.Index(s.text[s.seen:], []byte(question)); i >= 0 {
			s.seen += i + len(question)
			return nil
		}
		select {
		case more, ok := <-s.more:
			if !ok {
				return fmt.Errorf("the program ended before it asked %q; the terminal showed %q", question, s.text)
			}
			s.text = append(s.text, more...)
		case <-late:
			return fmt.Errorf("no question %q; the terminal showed %q", question, s.text)
		}
	}
}

// openPTY opens a pseudo terminal, pty(7).
func openPTY() (screen, tty *os.File, err error) {
	screen, err = os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	if err := unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		return nil, nil, err
	}
	n, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	if err != nil {
		return nil, nil, err
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	return screen, tty, err
}
