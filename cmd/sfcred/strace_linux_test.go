//go:build kill

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// The system calls that strace tells of: those that change what is on the disk,
// or say something, and the last one of a process; some at which a command can
// be killed between two of those; and the one that oneThread is about.
const (
	changing = "openat,write,fsync,flock,?rename,renameat,?renameat2,?link,linkat,?symlink,symlinkat," +
		"?unlink,unlinkat,?rmdir,?mkdir,mkdirat,?chmod,fchmod,fchmodat,truncate,ftruncate,exit_group"
	between = "close,newfstatat,readlinkat,fcntl,epoll_ctl"
	traced  = changing + "," + between + ",nanosleep"
)

// needsStrace asks for a strace that may trace.
func needsStrace(t *testing.T) {
	t.Helper()
	realParts(t, "strace")
	if text, err := exec.Command("strace", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		missing(t, fmt.Sprintf("a strace that may trace (%v: %s)", err, bytes.TrimSpace(text)))
	}
}

// call is a system call of a command.
type call struct {
	thread, name string
	nth          int    // of that name, in its thread
	about        string // what it does to the user's files; "" if nothing
	done         bool   // it has returned
}

// oneThread has a Go program make its calls in one thread, nearly always. It
// goes on in another when its monitor finds that a call takes long, as all do
// under strace: so the monitor, which alone calls nanosleep, is made to sleep
// for an hour.
const oneThread = "inject=nanosleep:poke_enter=@arg1=100e0000000000000000000000000000"

// strace has strace run a command of sfcred, and do what inject says to its
// calls, or to those that are about a file if only names one. It returns them in
// order, and whether SIGKILL was the end of it. With signal=KILL a call is
// stopped at its entry, and has no effect. strace counts the calls of each
// thread by itself.
func (u *user) strace(inject, only, dialogue string, args ...string) (outcome, []call, bool) {
	u.Helper()
	log := u.path("strace.log")
	words := []string{"strace", "-f", "-q", "-yy", "-s", "0", "-o", log, "-e", "signal=none", "-e", "trace=" + traced, "-e", oneThread}
	for part := range strings.FieldsSeq(inject) {
		words = append(words, "-e", "inject="+part)
	}
	if only != "" {
		words = append(words, "-P", only)
	}
	words = append(append(words, u.path("bin", "sfcred")), args...)
	if dialogue != "" {
		words = append([]string{"person", dialogue}, words...)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(u.Context(), words[0], words[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = u.dir, &stdout, &stderr
	cmd.Env = append(slices.Clip(u.env), "GOMAXPROCS=1", "GOGC=off", "GODEBUG=asyncpreemptoff=1")
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		u.Fatal(err)
	}
	text, err := os.ReadFile(log)
	check(u.T, err)
	status := cmd.ProcessState.Sys().(syscall.WaitStatus) // strace ends as the command did
	killed := status.Signaled() && status.Signal() == syscall.SIGKILL || dialogue != "" && status.ExitStatus() == 128+int(syscall.SIGKILL)
	return outcome{status.ExitStatus(), stdout.String(), stderr.String()}, u.calls(string(text)), killed
}

var (
	callLine    = regexp.MustCompile(`^(\d+) +(?:([a-z0-9_]+)\(|<\.\.\. [a-z0-9_]+ resumed>)(.*)`)
	callResult  = regexp.MustCompile(`\) += (-?\d+)`)
	callPaths   = regexp.MustCompile(`"(.+?)"[,)]`)
	callFile    = regexp.MustCompile(`^\d+<(/.*?)>[,)]`)
	randomNames = regexp.MustCompile(`\b[a-z2-7]{26}\b|\b[0-9a-f]{32}\b`)
)

// calls reads a log of strace. A call that failed changed nothing.
func (u *user) calls(log string) (all []call) {
	counted, last := map[string]int{}, map[string]int{}
	for line := range strings.Lines(log) {
		part := callLine.FindStringSubmatch(line)
		if part == nil {
			continue // how a process ended
		}
		thread, name, rest := part[1], part[2], part[3]
		if name != "" {
			counted[thread+name]++
			last[thread] = len(all)
			all = append(all, call{thread, name, counted[thread+name], u.about(name, rest), false})
		}
		if result := callResult.FindStringSubmatch(rest); result != nil {
			c := &all[last[thread]]
			if c.done = true; result[1] == "-1" {
				c.about = ""
			}
		}
	}
	return all
}

// about says what a call does to the user's files, without names that are new
// each time.
func (u *user) about(name, args string) string {
	if name == "exit_group" {
		return "exit"
	}
	if name == "write" && (strings.HasPrefix(args, "1<") || strings.HasPrefix(args, "2<")) {
		return "write a word"
	}
	if !slices.Contains(strings.FieldsFunc(changing, func(r rune) bool { return r == ',' || r == '?' }), name) || name == "openat" && !strings.Contains(args, "O_CREAT") {
		return ""
	}
	args, _, _ = strings.Cut(args, " <unfinished")
	args, _, _ = strings.Cut(args, ") = ")
	words := []string{name}
	add := func(path string) {
		if base := filepath.Base(path); strings.HasPrefix(base, ".tmp-") {
			path = strings.TrimRight(path, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") + "*"
		}
		path = strings.ReplaceAll(path, u.dir, "")
		words = append(words, randomNames.ReplaceAllString(path, "*"))
	}
	if file := callFile.FindStringSubmatch(args + ")"); file != nil {
		add(file[1])
	}
	for _, path := range callPaths.FindAllStringSubmatch(args+")", -1) {
		add(path[1])
	}
	if !strings.Contains(args, u.dir) {
		return ""
	}
	return strings.Join(words, " ")
}
