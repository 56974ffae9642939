package main

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// helperLink is a helper's own name for the program.
type helperLink struct {
	program string // sfcred as the user calls it
	path    string // where the link is or would be
	onPath  bool   // whether its bare name finds it
}

// findLink says where the link of that name is or belongs: in dir, or beside
// sfcred as it is found in PATH, since that name outlives an upgrade, which the
// file behind it may not.
func findLink(name, dir string) (helperLink, error) {
	program, err := self()
	if err != nil {
		return helperLink{}, fmt.Errorf("find sfcred itself: %w", err)
	}
	if found, err := exec.LookPath("sfcred"); err == nil && sameFile(found, program) {
		program = found
	}
	path := filepath.Join(cmp.Or(dir, filepath.Dir(program)), name)
	if strings.HasSuffix(program, ".exe") {
		path += ".exe"
	}
	return helperLink{program, path, findsInPath(path, program)}, nil
}

// self is the file that this program is; where there is no /proc, as it was
// called.
func self() (string, error) {
	program, err := os.Executable()
	if err == nil {
		return program, nil
	}
	called, lookErr := exec.LookPath(os.Args[0])
	if lookErr != nil {
		return "", err
	}
	return filepath.Abs(called)
}

// findsInPath says whether the bare name of path finds it, or the program under
// that name, rather than somebody else's in a folder before it.
func findsInPath(path, program string) bool {
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if dir == filepath.Dir(path) {
			return true
		}
		if found, err := exec.LookPath(filepath.Join(dir, filepath.Base(path))); err == nil {
			return sameFile(found, program)
		}
	}
	return false
}

func sameFile(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// command is what a tool's configuration should say.
func (l helperLink) command() string {
	if l.onPath {
		return strings.TrimSuffix(filepath.Base(l.path), ".exe")
	}
	return l.path
}

// copied says that the link is a copy: on Windows links need a right that few
// have.
func (l helperLink) copied() bool { return strings.HasSuffix(l.path, ".exe") }

// byHand is the command that makes the link.
func (l helperLink) byHand() string {
	if l.copied() { // so quoted, both of the shells there take it
		return fmt.Sprintf(`copy "%s" "%s"`, l.program, l.path)
	}
	line := fmt.Sprintf("ln -s %s %s", shellWord(l.target()), shellWord(l.path))
	if dir := filepath.Dir(l.path); !isDir(dir) {
		line = fmt.Sprintf("mkdir -p %s && %s", shellWord(dir), line)
	}
	return line
}

// target is what the link says: beside sfcred, its name.
func (l helperLink) target() string {
	if filepath.Dir(l.program) == filepath.Dir(l.path) {
		return filepath.Base(l.program)
	}
	return l.program
}

// make makes the link; what is in its place stays, unless it is the link.
func (l helperLink) make() error {
	if l.stands() {
		return nil
	}
	if _, err := os.Lstat(l.path); err == nil {
		there := fmt.Errorf("make the link %s: something else is there", l.path)
		if l.copied() { // perhaps the copy of another version
			return &hintedError{there, []string{l.byHand()}}
		}
		return there
	}
	if err := os.MkdirAll(filepath.Dir(l.path), 0o755); err != nil {
		return fmt.Errorf("make a place for the link: %w", err)
	}
	if l.copied() {
		data, err := os.ReadFile(l.program)
		if err != nil {
			return fmt.Errorf("copy sfcred to %s: %w", l.path, err)
		}
		if err := writeNew(l.path, data, 0o755); err != nil {
			return fmt.Errorf("copy sfcred: %w", err)
		}
		return nil
	}
	if err := os.Symlink(l.target(), l.path); err != nil {
		return &hintedError{
			fmt.Errorf("make the link: %w", err),
			[]string{"sudo " + l.byHand()},
		}
	}
	return nil
}

// remove takes the link away, if it is one to sfcred, and says whether it was
// there. On Windows that is whatever has its name: it may be a copy of another
// version.
func (l helperLink) remove() (bool, error) {
	info, err := os.Lstat(l.path)
	ours := err == nil && (info.Mode()&os.ModeSymlink != 0 && l.stands() || l.copied())
	if !ours {
		return false, nil
	}
	if err := os.Remove(l.path); err != nil {
		return false, fmt.Errorf("the link stays: %w", err)
	}
	return true, nil
}

func (l helperLink) stands() bool {
	return sameFile(l.path, l.program) || l.copied() && sameContent(l.path, l.program)
}

func sameContent(a, b string) bool {
	dataA, errA := os.ReadFile(a)
	dataB, errB := os.ReadFile(b)
	return errA == nil && errB == nil && bytes.Equal(dataA, dataB)
}
