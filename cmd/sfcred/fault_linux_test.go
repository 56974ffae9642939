//go:build kill

package main

import (
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fault is a way in which a disk does not do what it is asked.
type fault struct {
	name    string
	errno   unix.Errno
	fails   []string // the calls that do
	on      bool     // from the step on, and not there only
	half    bool     // of what is written at the step, the half still fits
	words   bool     // standard error goes there, too
	answers bool     // and standard output
}

// What takes room on a disk, and all that changes one.
var (
	takesRoom = []string{"openat", "write", "pwrite64", "writev", "sendfile", "copy_file_range", "fallocate", "fsync", "fdatasync", "mkdirat", "renameat", "renameat2", "linkat", "symlinkat", "fchmodat"}
	changes   = append([]string{"ftruncate", "truncate", "unlinkat", "fchmod", "fchown", "fchmodat2", "fchownat", "utimensat"}, takesRoom...)
)

// fullDisks are a disk that is full from a step on, by its size or by the user's
// quota; one that is full at a step only, for somebody makes room; and one on
// which a step fails for good, as on a broken one or over a network.
var fullDisks = []fault{
	{name: "full", errno: unix.ENOSPC, fails: takesRoom, on: true, half: true, answers: true},
	{name: "full for a moment", errno: unix.EDQUOT, fails: takesRoom, words: true, answers: true},
	{name: "broken", errno: unix.EIO, fails: []string{"fsync", "fdatasync", "close", "renameat", "renameat2", "unlinkat"}},
}

// readOnlyDisks are one that is read-only from a step on: from the first, it
// always was; from a later one, that is what a kernel does about a broken one.
var readOnlyDisks = []fault{
	{name: "read-only", errno: unix.EROFS, fails: changes, on: true},
}

// hits says whether the fault makes a step fail.
func (f fault) hits(step string) bool {
	call, what, _ := strings.Cut(step, " ")
	switch what {
	case "a word":
		return f.words
	case "the answer":
		return f.answers
	}
	return slices.Contains(f.fails, call)
}

// diskCase is a command that writes. What it must leave behind is judged by what
// it leaves where nothing fails.
type diskCase struct {
	killCase
	seeded func(*diskVictim)      // what else there is before
	stdin  string                 // of the command
	env    []string               // for it
	judge  func(*diskVictim, run) // what has become of it
	did    func(*diskVictim) bool // says that all was done, beyond what state says
	report bool                   // the answer tells of what is not as it should be
}

// run is a command that was given where a disk did not do what it was asked.
type run struct {
	diskCase
	clean *cleanRun
	fault fault
	step  string // that was the first to fail
	outcome
	once bool // the case's other half: see victim.afterKill
}

// cleanRun is a command that was given where nothing fails.
type cleanRun struct {
	outcome
	steps         []string
	kept          string
	before, after map[string]string // what tools have
}

// diskTally counts what was done in a case, and what was found.
type diskTally struct {
	mu                                                           sync.Mutex
	cases, steps, told, warned, silent, lost, torn, untold, left int
}

func (t *diskTally) add(other *diskTally) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cases += other.cases
	t.steps += other.steps
	t.told += other.told
	t.warned += other.warned
	t.silent += other.silent
	t.lost += other.lost
	t.torn += other.torn
	t.untold += other.untold
	t.left += other.left
}

func (t *diskTally) String() string {
	return fmt.Sprintf("%d cases, %d steps: failures told %d, done all the same with a warning %d, without %d; temporary files left and swept %d; lost %d, torn %d, untold %d",
		t.cases, t.steps, t.told, t.warned, t.silent, t.left, t.lost, t.torn, t.untold)
}

// diskVictim is a user whose disks fail.
type diskVictim struct {
	*victim
	disk *diskTally
}

// newDiskVictim is a user whose disks fail, and whose counts come into total.
func newDiskVictim(t *testing.T, sfcred string, total *diskTally) *diskVictim {
	t.Helper()
	v := &diskVictim{newVictim(t, sfcred), &diskTally{cases: 1}}
	t.Cleanup(func() {
		v.disk.lost, v.disk.torn = v.disk.lost+v.tally.lost, v.disk.torn+v.tally.torn
		total.add(v.disk)
		t.Logf("%s: %v", strings.TrimPrefix(t.Name(), "TestReal"), v.disk)
	})
	return v
}

// writeTool leaves a tool's file as people have it, for all to read.
func (v *diskVictim) writeTool(path, text string) {
	v.Helper()
	path = v.path("home", path)
	check(v.T, os.MkdirAll(filepath.Dir(path), 0o755))
	check(v.T, os.WriteFile(path, []byte(text), 0o644))
}

// prepare gives the user what there is before a case's command.
func (v *diskVictim) prepare(c diskCase) {
	v.Helper()
	v.seed(c.before)
	check(v.T, os.RemoveAll(v.path("tmp")))
	check(v.T, os.Mkdir(v.path("tmp"), 0o700))
	entries, err := os.ReadDir(v.path("bin"))
	check(v.T, err)
	for _, e := range entries {
		if e.Name() != "sfcred" {
			check(v.T, os.Remove(v.path("bin", e.Name())))
		}
	}
	if c.seeded != nil {
		c.seeded(v)
	}
}

// cleanly gives a case's command where nothing fails.
func (v *diskVictim) cleanly(c diskCase) *cleanRun {
	v.Helper()
	v.prepare(c)
	r := &cleanRun{before: v.tools()}
	dialogue := ""
	if c.dialogue != "" {
		dialogue = v.write("dialogue", []byte(c.dialogue))
	}
	r.outcome, _ = v.with(c.env...).steps(slices.Collect(maps.Keys(changing)), func(step string, _ notice) fate {
		r.steps = append(r.steps, step)
		return fate{}
	}, dialogue, c.stdin, v.command(c.killCase)...)
	if r.code != 0 || c.did != nil && !c.did(v) {
		v.Fatalf("where nothing fails: exit code %d\n%s", r.code, r.stderr)
	}
	if got := v.state(); got != c.after {
		v.Fatalf("where nothing fails, the command leaves %q, want %q", got, c.after)
	}
	r.kept, r.after = v.kept(), v.tools()
	return r
}

// atEachFault gives a case's command again and again, with each of the faults at
// each of its steps that can have it.
func (v *diskVictim) atEachFault(c diskCase, faults []fault) {
	v.Helper()
	clean := v.cleanly(c)
	only := regexp.MustCompile(c.only)
	for _, f := range faults {
		for number, step := range clean.steps {
			if !f.hits(step) || !only.MatchString(step) {
				continue
			}
			v.prepare(c)
			v.disk.steps++
			r := run{c, clean, f, step, v.failing(c, f, number, clean.steps), number%2 == 0}
			v.wantSaid(r)
			r.judge(v, r)
			if v.Failed() {
				v.Fatalf("that was %q, exit code %d, where the disk was %s after %d steps, from %q; standard error:\n%s",
					c.name, r.code, f.name, number, step, r.stderr)
			}
		}
	}
}

// failing gives a case's command with a fault at the step of that number, of
// those that it has where nothing fails.
func (v *diskVictim) failing(c diskCase, f fault, number int, steps []string) outcome {
	v.Helper()
	dialogue := ""
	if c.dialogue != "" {
		dialogue = v.write("dialogue", []byte(c.dialogue))
	}
	done := 0
	o, _ := v.with(c.env...).steps(slices.Collect(maps.Keys(changing)), func(step string, n notice) fate {
		done++
		switch at := done - 1; {
		case at <= number && step != steps[at]:
			v.Errorf("step %d was %q, and now is %q", at, steps[at], step)
			return fate{kill: true}
		case at < number, at > number && !(f.on && f.hits(step) && !strings.HasSuffix(step, " the answer")):
			return fate{}
		case at == number && f.half && strings.HasPrefix(step, "write /"):
			if wrote := n.writeHalf(); wrote > 0 {
				return fate{wrote: wrote}
			}
		}
		return fate{fails: f.errno}
	}, dialogue, c.stdin, v.command(c.killCase)...)
	if done <= number {
		v.Errorf("it ended after %d steps, before %q", done, steps[number])
	}
	return o
}

// writeHalf writes the half of what the thread is about to write to a new file,
// and says how much that is.
func (n notice) writeHalf() int {
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", n.thread))
	if err != nil {
		return 0
	}
	defer memory.Close()
	text := make([]byte, n.argument[2]/2)
	if _, err := memory.ReadAt(text, int64(n.argument[1])); err != nil {
		return 0
	}
	file, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/%d", n.thread, n.argument[0]), os.O_WRONLY, 0)
	if err != nil {
		return 0
	}
	defer file.Close()
	wrote, _ := file.WriteAt(text, 0)
	return wrote
}

var (
	errorLine   = regexp.MustCompile(`(?m)^sfcred: error: .+$`)
	warningLine = regexp.MustCompile(`(?m)^sfcred: warning: .+$`)
	ownLines    = regexp.MustCompile(`^(sfcred: .+\n)*$`)
)

// wantSaid wants a command to have said what has become of it, in our words: by
// its exit code, on standard error, and by nothing on standard output that is
// not the whole answer.
func (v *diskVictim) wantSaid(r run) {
	v.Helper()
	mute := strings.HasSuffix(r.step, " a word") // which is lost
	wrong := func(format string, args ...any) {
		v.disk.untold++
		v.Errorf(format, args...)
	}
	if !mute && !ownLines.MatchString(r.stderr) {
		wrong("standard error is not sfcred's own")
	}
	failed := errorLine.MatchString(r.stderr)
	switch {
	case r.code == 0 && (failed || !r.report && shape(r.stdout) != shape(r.clean.stdout)):
		wrong("exit code 0, and an answer of %d bytes, shape\n%s\nwant\n%s", len(r.stdout), shape(r.stdout), shape(r.clean.stdout))
	case r.code == 0 && !r.warns() && strings.HasPrefix(r.step, "fsync /"):
		wrong("not a word, and perhaps it is not on the disk")
	case r.code == 0 && r.warns():
		v.disk.warned++
	case r.code == 0:
		v.disk.silent++
	case r.stdout != "" && !r.prints(v):
		wrong("it failed, with %q on standard output", r.stdout)
	case mute || !failed || r.code < 0 || r.code > exitNetwork && r.code != exitNotStarted:
		wrong("it failed without an error")
	default:
		v.disk.told++
	}
	if r.code == 0 && !mute && !r.warns() {
		if kept := v.kept(); kept != r.clean.kept {
			wrong("not a word, and what is kept is %q, want %q", kept, r.clean.kept)
		}
	}
}

// warns says whether people are told that something is not as it should be.
func (r run) warns() bool {
	return warningLine.MatchString(r.stderr) || r.report && notKept.MatchString(r.stdout)
}

// prints says whether a failure's answer is what setup prints where it could not
// write, for people to do it.
func (r run) prints(v *diskVictim) bool {
	last := len(r.args) - 1
	return r.args[0] == "setup" && r.args[last] == "--write" && r.stdout == v.works("sfcred", r.args[:last]...)
}

var notKept = regexp.MustCompile(`is not kept|tokens are not kept`)

// shape is an answer without what is new each time.
func shape(answer string) string {
	return newEachTime.ReplaceAllString(answer, "…")
}

var newEachTime = regexp.MustCompile(`ey[\w-]+\.[\w-]+\.[\w-]+|[A-Za-z0-9+/]{40,}=*|\d+`)

// kept words what sfcred has learnt: of how many clients, and whose tokens.
func (v *diskVictim) kept() string {
	v.Helper()
	text, _ := os.ReadFile(v.path("home", ".local", "share", "sfcred", "state.json"))
	tokens, err := filepath.Glob(v.path("run", "sfcred", "*.token"))
	check(v.T, err)
	return fmt.Sprintf("%d clients, %d users, %d expiries, %d tokens", strings.Count(string(text), `"worked_at"`),
		strings.Count(string(text), `"user"`), strings.Count(string(text), `"client_expires_at"`), len(tokens))
}

// tools are the files of the user that are not sfcred's, and the links.
func (v *diskVictim) tools() map[string]string {
	v.Helper()
	all := map[string]string{}
	for _, dir := range []string{"home", "bin"} {
		check(v.T, filepath.WalkDir(v.path(dir), func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && d.Name() == "sfcred":
				return fs.SkipDir
			case d.IsDir() || strings.HasPrefix(d.Name(), ".tmp-"):
				return nil
			case d.Type()&fs.ModeSymlink != 0:
				all[path], err = os.Readlink(path)
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			text, err := os.ReadFile(path)
			all[path] = fmt.Sprintf("%v %s", info.Mode(), text)
			return err
		}))
	}
	return all
}

// wantUsable wants each profile that has a client to get a token from the
// server, whatever its disks were like a moment ago.
func (v *diskVictim) wantUsable() {
	v.Helper()
	config, err := v.config().Load()
	check(v.T, err)
	for _, name := range config.Names() {
		if p := config.Profiles[name]; p.HasKey() {
			if token := v.asks("token", "--force", "-p", name); !v.takes(token) {
				v.tally.lost++
				v.Errorf("the server does not take the token of profile %q", name)
			}
		}
	}
}

// takes says whether the API takes a token.
func (v *diskVictim) takes(token string) bool {
	v.Helper()
	req, err := http.NewRequestWithContext(v.Context(), http.MethodGet, v.server.APIURL+"/account/", nil)
	check(v.T, err)
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	check(v.T, err)
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// temporaryFiles are those that a command has not removed.
func (v *diskVictim) temporaryFiles() (paths []string) {
	v.Helper()
	for _, dir := range []string{"home", "run", "tmp"} {
		check(v.T, filepath.WalkDir(v.path(dir), func(path string, d fs.DirEntry, err error) error {
			if err == nil && strings.HasPrefix(d.Name(), ".tmp-") {
				paths = append(paths, path)
			}
			return err
		}))
	}
	return paths
}

// wantSwept wants what was being written, and is left, to go with the next that
// is written in its place, once it is too old to be still at work. It need not be
// seen twice where the same files are left.
func (v *diskVictim) wantSwept(writeAgain func()) {
	v.Helper()
	left := v.temporaryFiles()
	if len(left) == 0 {
		return
	}
	v.disk.left += len(left)
	kind := "left"
	for _, path := range left {
		kind += " " + temporary.ReplaceAllString(randomNames.ReplaceAllString(path, "*"), "$1*")
	}
	if v.known[kind] {
		return
	}
	v.known[kind] = true
	ago := time.Now().Add(-2 * time.Hour)
	for _, path := range left {
		check(v.T, os.Chtimes(path, ago, ago))
	}
	writeAgain()
	for _, path := range v.temporaryFiles() {
		if slices.Contains(left, path) {
			v.disk.torn++
			v.Errorf("%s is still there", path)
		}
	}
}

// ofKeys judges a command that changes profiles and keys: there is a key that
// works, the old one or the new one; what is left over is known; and the command
// works when it is given again.
func ofKeys(v *diskVictim, r run) {
	v.Helper()
	if state := v.state(); r.code == 0 && (state != r.after || r.did != nil && !r.did(v)) {
		v.disk.untold++
		v.Errorf("exit code 0, and the profiles are %q, want %q", state, r.after)
	}
	remains := fmt.Sprint("usable ", v.remains())
	if !v.known[remains] {
		v.known[remains] = true
		v.wantUsable()
	}
	v.wantSwept(func() {
		v.works("sfcred", "remove", "--orphans")
		o := v.givenAgain(r.killCase)
		if o.code != 0 && o.code != r.done {
			v.Errorf("given again, the command has exit code %d\n%s", o.code, o.stderr)
		}
		v.rewrite()
	})
	v.afterKill(r.killCase, r.once)
}

// rewrite writes each file that sfcred keeps, once more.
func (v *diskVictim) rewrite() {
	v.Helper()
	config, err := v.config().Load()
	check(v.T, err)
	for _, name := range config.Names() {
		if config.Profiles[name].HasKey() {
			v.works("sfcred", "edit", name, "--expires", "2099-01-01")
			v.works("sfcred", "token", "--force", "-p", name)
		}
	}
	v.works("sfcred", "list", "--refresh")
}

// ofAnswer judges a command that gives a token, which it does whatever becomes
// of the disk.
func ofAnswer(v *diskVictim, r run) {
	v.Helper()
	if r.code != 0 {
		if !strings.HasSuffix(r.step, " the answer") {
			v.disk.lost++
			v.Error("there is no answer")
		}
	} else if token := tokenIn.FindString(r.clean.stdout); token != "" && !v.takes(tokenIn.FindString(r.stdout)) {
		v.disk.torn++
		v.Error("the server does not take the token")
	}
	ofRest(v, r)
	if n := len(warningLine.FindAllString(r.stderr, -1)); n > 1 && !r.report {
		v.Errorf("%d warnings, want one", n)
	}
}

var tokenIn = regexp.MustCompile(`ey[\w-]+\.[\w-]+\.[\w-]+`)

// ofRest judges a command that changes no profile: nothing is torn, and what is
// left over goes.
func ofRest(v *diskVictim, r run) {
	v.Helper()
	if state := v.state(); state != r.after {
		v.disk.lost++
		v.Errorf("the profiles are %q, want %q", state, r.after)
	}
	if !slices.Contains(r.args, "--mode") { // which is another than all else has
		v.wantWhole()
	}
	v.wantUsable()
	v.wantSwept(func() {
		if o := v.feed(r.stdin, "sfcred", v.command(r.killCase)...); o.code != 0 {
			v.Errorf("given again, the command has exit code %d\n%s", o.code, o.stderr)
		}
		v.rewrite()
	})
}

// ofTool judges a command that connects a tool, or takes that back: each of the
// user's files is as before or as after, and the command works when it is given
// again.
func ofTool(v *diskVictim, r run) {
	v.Helper()
	now := v.tools()
	paths := map[string]bool{}
	for _, tools := range []map[string]string{r.clean.before, r.clean.after, now} {
		for path := range tools {
			paths[path] = true
		}
	}
	for path := range paths {
		if now[path] != r.clean.before[path] && now[path] != r.clean.after[path] {
			v.disk.torn++
			v.Errorf("%s has\n%q, want\n%q or\n%q", path, now[path], r.clean.before[path], r.clean.after[path])
		}
		if r.code == 0 && now[path] != r.clean.after[path] && !r.warns() {
			v.disk.untold++
			v.Errorf("exit code 0, and %s has\n%q, want\n%q", path, now[path], r.clean.after[path])
		}
	}
	again := func() {
		v.works("sfcred", v.command(r.killCase)...)
		for path, text := range v.tools() {
			if text != r.clean.after[path] {
				v.disk.lost++
				v.Errorf("given again, the command leaves %s with\n%q, want\n%q", path, text, r.clean.after[path])
			}
		}
	}
	again()
	v.wantSwept(func() {
		// What is as it should be is not written; so it is undone once.
		other := map[string]string{"--write": "--remove", "--remove": "--write"}
		args := slices.Clone(v.command(r.killCase))
		args[len(args)-1] = other[args[len(args)-1]]
		v.works("sfcred", args...)
		again()
	})
}
