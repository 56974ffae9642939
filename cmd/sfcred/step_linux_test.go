//go:build kill

package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// How a command is stopped at each of its steps: Linux has its system calls wait
// at their entry until the test, told of each, lets it go on, answers it in the
// kernel's place, or kills the command. See seccomp_unotify(2). That a command has
// several threads makes no difference to the order, as it would to strace, which
// counts by thread.

// changing are the system calls by which Go's packages os and syscall change
// what is on a disk. The letters tell of the arguments: "@" are a directory and
// a name in it, "p" is a name, "f" a file, and "_" something else.
var changing = map[int32]struct{ name, args string }{
	unix.SYS_OPENAT:     {"openat", "@"},
	unix.SYS_WRITE:      {"write", "f"},
	unix.SYS_PWRITE64:   {"pwrite64", "f"},
	unix.SYS_WRITEV:     {"writev", "f"},
	unix.SYS_SENDFILE:   {"sendfile", "f"},
	unix.SYS_FSYNC:      {"fsync", "f"},
	unix.SYS_FDATASYNC:  {"fdatasync", "f"},
	unix.SYS_FLOCK:      {"flock", "f"},
	unix.SYS_FCHMOD:     {"fchmod", "f"},
	unix.SYS_FCHOWN:     {"fchown", "f"},
	unix.SYS_FTRUNCATE:  {"ftruncate", "f"},
	unix.SYS_FALLOCATE:  {"fallocate", "f"},
	unix.SYS_TRUNCATE:   {"truncate", "p"},
	unix.SYS_MKDIRAT:    {"mkdirat", "@"},
	unix.SYS_UNLINKAT:   {"unlinkat", "@"},
	unix.SYS_RENAMEAT:   {"renameat", "@@"},
	unix.SYS_RENAMEAT2:  {"renameat2", "@@"},
	unix.SYS_LINKAT:     {"linkat", "@@"},
	unix.SYS_SYMLINKAT:  {"symlinkat", "_@"},
	unix.SYS_FCHMODAT:   {"fchmodat", "@"},
	unix.SYS_FCHMODAT2:  {"fchmodat2", "@"},
	unix.SYS_FCHOWNAT:   {"fchownat", "@"},
	unix.SYS_UTIMENSAT:  {"utimensat", "@"},
	unix.SYS_EXIT_GROUP: {"exit", ""},

	unix.SYS_COPY_FILE_RANGE: {"copy_file_range", "__f"},

	unix.SYS_CLOSE: {"close", "f"},
}

// notice and answer are seccomp_notif and seccomp_notif_resp of linux/seccomp.h.
type notice struct {
	id       uint64
	thread   uint32
	_        uint32
	number   int32
	_        uint32
	_        uint64
	argument [6]uint64
}

type answer struct {
	id    uint64
	value int64
	error int32
	flags uint32
}

const goOn = 1 // SECCOMP_USER_NOTIF_FLAG_CONTINUE

// fate is what becomes of a call that has stopped. The zero fate lets it go on.
type fate struct {
	kill  bool
	fails unix.Errno // the call is not made, and fails so
	wrote int        // the call is not made: so many bytes were written in its place
}

// needsSteps asks for a Linux that stops a command at its system calls, and has
// it wait there: 5.19, and in a container one that may filter calls.
func needsSteps(t *testing.T) {
	t.Helper()
	next := stopping(killing, func() error { return nil }, func(notice) fate { return fate{} })
	if err := cmp.Or(next(), next()); err != nil {
		missing(t, fmt.Sprintf("a Linux that stops a program at its system calls (%v)", err))
	}
}

// step has a command of sfcred run, and at called before each of its steps: a
// system call that is about to change the user's files, or to say a word, and at
// last the exit. at is told of it without the names that are new each time, and
// says whether the command is to be killed there. With a dialogue, a person gives
// the command.
func (u *user) step(at func(step string) (kill bool), dialogue string, args ...string) (o outcome, killed bool) {
	u.Helper()
	return u.steps(killing, func(step string, _ notice) fate { return fate{kill: at(step)} }, dialogue, "", args...)
}

// steps is step with calls that stop, any fate, and a standard input.
func (u *user) steps(calls []int32, at func(step string, n notice) fate, dialogue, stdin string, args ...string) (o outcome, killed bool) {
	u.Helper()
	words := append([]string{u.path("bin", "sfcred")}, args...)
	if dialogue != "" {
		words = append([]string{"person", dialogue}, words...)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(u.Context(), words[0], words[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = u.dir, u.env, &stdout, &stderr
	if stdin != "" {
		cmd.Stdin = strings.NewReader(stdin)
	}
	program, err := filepath.EvalSymlinks(u.path("bin", "sfcred"))
	check(u.T, err)
	next := stopping(calls, cmd.Start, func(n notice) fate {
		exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", n.thread))
		if err != nil || exe != program {
			return fate{}
		}
		step := u.stepOf(n)
		if step == "" {
			return fate{}
		}
		return at(step, n)
	})
	check(u.T, next())
	err = cmd.Wait()
	check(u.T, next())
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		u.Fatal(err)
	}
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	killed = status.Signaled() && status.Signal() == syscall.SIGKILL || dialogue != "" && status.ExitStatus() == 128+int(syscall.SIGKILL)
	return outcome{status.ExitStatus(), stdout.String(), stderr.String()}, killed
}

// killing are the calls that stop where a command is killed: before a close or
// after it makes no difference to what is on the disk.
var killing = slices.DeleteFunc(slices.Collect(maps.Keys(changing)), func(number int32) bool { return number == unix.SYS_CLOSE })

// stopping starts something whose system calls with those numbers stop, and has
// at called for each, which says what becomes of it. The first call of next tells
// whether it was started, and the second, when all is over, whether it could be
// stopped.
func stopping(calls []int32, start func() error, at func(notice) fate) (next func() error) {
	errs := make(chan error, 2)
	onThread(func() {
		listener, err := stopHere(calls)
		if err != nil {
			errs <- err
			errs <- nil
			return
		}
		ended := make(chan error, 1)
		go func() { ended <- listen(listener, at) }()
		errs <- start()
		go func() { errs <- <-ended }()
	})
	return func() error { return <-errs }
}

// onThread calls f on a thread that ends with it.
func onThread(f func()) {
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			f()
			return
		}
		// The main thread cannot end. While it is taken here, it is another.
		begun := make(chan bool)
		go func() {
			runtime.LockOSThread()
			close(begun)
			f()
		}()
		<-begun
		runtime.UnlockOSThread()
	}()
}

// stopHere has the thread's system calls with those numbers stop, and those of
// the processes that it starts from now on. What it returns tells of them.
func stopHere(calls []int32) (listener int, err error) {
	program := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}} // the call's number, the first in seccomp_data
	for _, number := range calls {
		program = append(program,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(number), Jf: 1},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF})
	}
	program = append(program, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return -1, err
	}
	all := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	// Once it is told of, a call is not broken off by the signals that Go's runtime
	// sends to its own threads; it would be told of twice. Linux 5.19.
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&all)))
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

// listen hears of the calls that have stopped, until all who could make one are
// gone.
func listen(listener int, at func(notice) fate) error {
	defer unix.Close(listener)
	for {
		ready := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(ready, -1); err != nil && err != unix.EINTR {
			return err
		}
		if ready[0].Revents&unix.POLLIN == 0 {
			if ready[0].Revents != 0 {
				return nil
			}
			continue
		}
		var n notice
		err := control(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n))
		switch {
		case err == unix.ENOENT || err == unix.EINTR:
			continue // killed meanwhile
		case err != nil:
			return err
		}
		switch f := at(n); {
		case f.kill:
			err = unix.Kill(int(n.thread), unix.SIGKILL) // its whole process
		default:
			a := answer{id: n.id, value: int64(f.wrote), error: -int32(f.fails)}
			if f == (fate{}) {
				a.flags = goOn
			}
			err = control(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&a))
		}
		if err != nil && err != unix.ENOENT {
			return err
		}
	}
}

func control(fd int, request uintptr, argument unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(argument)); errno != 0 {
		return errno
	}
	return nil
}

var randomNames = regexp.MustCompile(`\b([a-zA-Z2-7]{26}|[0-9a-f]{32})\b`)

// stepOf words what a call is about to do to the user's files; "" is nothing.
func (u *user) stepOf(n notice) string {
	call := changing[n.number]
	if call.name == "exit" {
		return call.name
	}
	step, ours, path := []string{call.name}, false, ""
	for i, kind := 0, 0; kind < len(call.args); i, kind = i+1, kind+1 {
		switch call.args[kind] {
		case '_':
			continue
		case 'f':
			if n.argument[i] == 1 && call.name != "close" {
				return call.name + " the answer"
			}
			if n.argument[i] == 2 && call.name != "close" {
				return call.name + " a word"
			}
			path = n.file(n.argument[i])
		case 'p':
			path = n.name(n.argument[i])
		case '@':
			path = n.name(n.argument[i+1])
			if !filepath.IsAbs(path) {
				path = filepath.Join(n.file(n.argument[i]), path)
			}
			i++
		}
		below, ok := strings.CutPrefix(path, u.dir)
		ours = ours || ok
		below = randomNames.ReplaceAllString(below, "*")
		if dir, digits, ok := strings.Cut(below, "/.tmp-"); ok {
			below = dir + "/.tmp-" + strings.TrimRight(digits, "0123456789") + "*"
		}
		step = append(step, below)
	}
	if !ours || n.inVain(path) {
		return ""
	}
	return strings.Join(step, " ")
}

// inVain says whether a call changes nothing about a path.
func (n notice) inVain(path string) bool {
	_, err := os.Lstat(path)
	switch changing[n.number].name {
	case "openat":
		flags := n.argument[2]
		return flags&unix.O_TRUNC == 0 && (flags&unix.O_CREAT == 0 || err == nil)
	case "mkdirat":
		return err == nil
	case "unlinkat":
		return err != nil
	case "close": // of what was only read
		return !n.writes(n.argument[0])
	}
	return false
}

// writes says whether the thread has a file open for writing.
func (n notice) writes(descriptor uint64) bool {
	info, _ := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%d", n.thread, descriptor))
	_, text, _ := strings.Cut(string(info), "flags:")
	flags, err := strconv.ParseInt(strings.TrimSpace(strings.SplitN(text, "\n", 2)[0]), 8, 64)
	return err == nil && flags&unix.O_ACCMODE != unix.O_RDONLY
}

// file is the path of a file that the thread has open, or of its directory.
func (n notice) file(descriptor uint64) string {
	of := fmt.Sprintf("/proc/%d/fd/%d", n.thread, descriptor)
	if int32(descriptor) == unix.AT_FDCWD {
		of = fmt.Sprintf("/proc/%d/cwd", n.thread)
	}
	path, _ := os.Readlink(of) // it may be closed by now
	return path
}

// name is the text at an address of the thread's.
func (n notice) name(address uint64) string {
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", n.thread))
	if err != nil {
		return ""
	}
	defer memory.Close()
	text := make([]byte, unix.PathMax)
	length, _ := memory.ReadAt(text, int64(address)) // as far as it can be read
	name, _, _ := bytes.Cut(text[:length], []byte{0})
	return string(name)
}
