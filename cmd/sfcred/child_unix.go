//go:build unix

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A child runs as if it had been started in sfcred's place. It is in the same
// process group, so what a terminal sends (Ctrl-C, Ctrl-\, Ctrl-Z, a change of
// its size) reaches it without us; what is sent to sfcred alone is passed on;
// when it stops, sfcred stops, for the shell that has sfcred as its job.
//
// A signal does not tell us who sent it. So what is sent to the whole group comes
// to the child twice, unless it is what a terminal sends, and the group is in its
// foreground. Then it is not passed on, though somebody may have sent it to
// sfcred alone: a second Ctrl-C tells many programs to drop everything.
type child struct {
	pid     int
	process *os.Process
	signals chan os.Signal
	early   int // so many of the signals came before there was a child
}

// heed takes down the signals that come for a child, also before it is there.
// An ignored SIGHUP (nohup) or SIGINT stays so, here and for the child. So does
// the SIGQUIT that goes with SIGINT where a shell without job control starts
// something in the background (POSIX, XCU 2.11); what else our caller ignored,
// the Go runtime has forgotten.
func heed() chan os.Signal {
	signals := make(chan os.Signal, 64)
	for n := syscall.Signal(1); n <= 64; n++ {
		if !signal.Ignored(n) && !slices.Contains(notPassedOn(), n) {
			signal.Notify(signals, n)
		}
	}
	if signal.Ignored(syscall.SIGINT) {
		signal.Ignore(syscall.SIGQUIT)
	}
	return signals
}

// notPassedOn lists the signals that are nobody's word to a child: those that
// cannot be caught, the runtime's own, the kernel's answers to what sfcred does
// itself, and those that stop sfcred as they stop the child.
func notPassedOn() []syscall.Signal {
	return []syscall.Signal{
		syscall.SIGKILL, syscall.SIGSTOP,
		syscall.SIGCHLD, syscall.SIGURG, syscall.SIGPROF,
		syscall.SIGXCPU, syscall.SIGXFSZ,
		syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU,
	}
}

// startChild starts a program with our descriptors as they are, but for those
// given: also with those beyond standard error that our caller meant for it.
func (p *program) startChild(path string, argv, env []string, s streams, signals chan os.Signal) (*child, error) {
	files := []uintptr{0, 1, 2}
	if s.stdin != nil {
		files[0] = s.stdin.Fd()
	}
	if s.stderr != nil {
		files[2] = s.stderr.Fd()
	}
	if p.starting != nil {
		p.starting(signals)
	}
	early := len(signals)
	p.core.give()
	pid, err := syscall.ForkExec(path, argv, &syscall.ProcAttr{Env: env, Files: files})
	p.core.take()
	if err != nil {
		return nil, err
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		return nil, err
	}
	// Only now, so that a SIGTSTP that our caller ignored is so for the child.
	signal.Notify(signals, syscall.SIGTSTP)
	return &child{pid, process, signals, early}, nil
}

// inherited has the children that are started from now on inherit a pipe, and
// gives the name by which they can open it. Its number is one that our caller
// has left free.
func inherited(pipe *os.File) (name string, ok bool) {
	name = fmt.Sprintf("/dev/fd/%d", pipe.Fd())
	info, err := os.Stat(name)
	// Our own descriptors are closed to us (core_unix.go), and open to the child.
	if !errors.Is(err, fs.ErrPermission) && (err != nil || info.Mode().Type() != os.ModeNamedPipe) {
		return "", false // no /proc, perhaps
	}
	_, err = unix.FcntlInt(pipe.Fd(), unix.F_SETFD, 0)
	return name, err == nil
}

// attend is with the child until it has ended, and returns how. Signals are
// still taken down afterwards: there may be something to clean up.
func (c *child) attend() (code int, by os.Signal, err error) {
	changes := make(chan change)
	go c.watch(changes)
	for range c.early { // a Ctrl-C among them has not reached the child by the terminal
		_ = c.process.Signal(<-c.signals)
	}
	for {
		select {
		case s := <-c.signals:
			c.pass(s)
		case now := <-changes:
			switch {
			case now.err != nil:
				return 0, nil, now.err
			case now.status.Exited():
				return now.status.ExitStatus(), nil, nil
			case now.status.Signaled():
				return 128 + int(now.status.Signal()), now.status.Signal(), nil
			case !c.goesOn():
				// The SIGCONT that ends it comes to us too, and is passed on.
				_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
			}
		}
	}
}

// goesOn passes on what signals have come, and says whether SIGCONT is among
// them.
func (c *child) goesOn() (yes bool) {
	for {
		select {
		case s := <-c.signals:
			c.pass(s)
			yes = yes || s == syscall.SIGCONT
		default:
			return yes
		}
	}
}

// change is what has become of a child.
type change struct {
	status syscall.WaitStatus
	err    error
}

// settle gives a child that has stopped the time to go on. Who stops the whole
// group and lets it go on, as batch systems do, may come to us before the child;
// and time in which we were stopped does not count.
func settle() {
	const enough = 20 * time.Millisecond
	for began := time.Now(); ; began = time.Now() {
		time.Sleep(enough)
		if time.Since(began) < 2*enough {
			return
		}
	}
}

// watch tells that the child has stopped or ended, until it has ended.
func (c *child) watch(changes chan<- change) {
	for {
		now, _ := c.wait(syscall.WUNTRACED)
		if now.status.Stopped() {
			settle()
			if later, ok := c.wait(syscall.WUNTRACED | syscall.WCONTINUED | syscall.WNOHANG); ok {
				now = later
			}
		}
		if now.status.Continued() {
			continue
		}
		changes <- now
		if !now.status.Stopped() {
			return
		}
	}
}

// wait waits for the child's state to change; ok is false if it has not, and
// WNOHANG was asked for.
func (c *child) wait(options int) (now change, ok bool) {
	for {
		pid, err := syscall.Wait4(c.pid, &now.status, options, nil)
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil:
			return change{err: fmt.Errorf("wait for the command: %w", err)}, true
		}
		return now, pid != 0
	}
}

// pass gives the child a signal that came to us.
func (c *child) pass(s os.Signal) {
	switch s {
	case syscall.SIGPIPE: // a word of ours had no reader
		return
	case syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTSTP, syscall.SIGWINCH:
		if c.inForeground() {
			return
		}
	}
	_ = c.process.Signal(s)
}

// inForeground says whether a terminal's signals come to both of us.
func (c *child) inForeground() bool {
	ours := unix.Getpgrp()
	if theirs, err := unix.Getpgid(c.pid); err != nil || theirs != ours {
		return false
	}
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == ours
}
