//go:build unix

package main

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// The tests whose names begin with TestReal have the released binary do the
// main job with programs that nobody here wrote. Where one of these is not
// installed its test is skipped, by name; with SFCRED_REAL=1, which says that
// everything is there, that is a failure.

// realParts are the programs that a test needs.
func realParts(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			missing(t, program)
		}
	}
}

func missing(t *testing.T, part string) {
	t.Helper()
	if os.Getenv("SFCRED_REAL") == "1" {
		t.Fatalf("%s is missing, in spite of SFCRED_REAL=1", part)
	}
	t.Skipf("needs %s", part)
}

// release builds sfcred by the README's release line.
func release(t *testing.T) string {
	t.Helper()
	readme, err := os.Open(filepath.Join(root, "README.md"))
	check(t, err)
	defer readme.Close()
	out := filepath.Join(t.TempDir(), "sfcred")
	for lines := bufio.NewScanner(readme); lines.Scan(); {
		line, ok := strings.CutPrefix(lines.Text(), "CGO_ENABLED=0 go build ")
		if !ok {
			continue
		}
		cmd := exec.Command("sh", "-c", "CGO_ENABLED=0 go build "+strings.Replace(line, "-o sfcred ", `-o "$0" `, 1), out)
		cmd.Dir = root
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build sfcred: %v\n%s", err, text)
		}
		return out
	}
	t.Fatal("README.md has no release line")
	return ""
}

// user is somebody who has sfcred, and nothing of the developer's: neither home
// nor keychain, and of the environment only where programs are.
type user struct {
	*testing.T
	dir  string // what they work in
	env  []string
	root string // the folder that is / to their programs, or ""
}

// newUser gives a user the sfcred at path, first in their PATH.
func newUser(t *testing.T, path string) *user {
	t.Helper()
	u := &user{T: t, dir: t.TempDir()}
	u.moveIn(os.Getenv("PATH"))
	check(t, os.Symlink(path, u.path("bin", "sfcred")))
	return u
}

// newUserIn gives a user the sfcred at path in another Debian, of which they see
// nothing but its root folder.
func newUserIn(t *testing.T, root, path string) *user {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "root, for chroot")
	}
	dir, err := os.MkdirTemp(filepath.Join(root, "tmp"), "user-")
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	u := &user{T: t, dir: strings.TrimPrefix(dir, root), root: root}
	u.moveIn("/usr/bin:/bin")
	program, err := os.ReadFile(path)
	check(t, err)
	check(t, os.WriteFile(filepath.Join(dir, "bin", "sfcred"), program, 0o755))
	return u
}

// moveIn makes the user's folders and variables.
func (u *user) moveIn(path string) {
	u.Helper()
	for _, dir := range []string{"home", "run", "tmp", "bin"} {
		check(u.T, os.Mkdir(filepath.Join(u.root, u.path(dir)), 0o700))
	}
	u.env = []string{
		"PATH=" + u.path("bin") + string(os.PathListSeparator) + path,
		"HOME=" + u.path("home"),
		"XDG_RUNTIME_DIR=" + u.path("run"),
		"TMPDIR=" + u.path("tmp"),
		"DBUS_SESSION_BUS_ADDRESS=unix:path=" + u.path("no-bus"),
	}
}

// path is a path as the user's programs see it.
func (u *user) path(names ...string) string {
	return filepath.Join(append([]string{u.dir}, names...)...)
}

// in is the same user within a subtest.
func (u *user) in(t *testing.T) *user { return &user{t, u.dir, u.env, u.root} }

// with is the user with more variables.
func (u *user) with(env ...string) *user {
	return &user{u.T, u.dir, append(slices.Clip(u.env), env...), u.root}
}

func (u *user) write(name string, text []byte) string {
	u.Helper()
	check(u.T, os.WriteFile(filepath.Join(u.root, u.path(name)), text, 0o600))
	return u.path(name)
}

// writeKey writes a private key as PKCS#8 PEM.
func (u *user) writeKey(name string, key any) string {
	u.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	check(u.T, err)
	return u.write(name, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// outcome is what became of a command.
type outcome struct {
	code           int
	stdout, stderr string
}

// do runs a program, in the user's directory.
func (u *user) do(name string, args ...string) outcome {
	u.Helper()
	return u.feed("", name, args...)
}

// feed is do with a standard input.
func (u *user) feed(stdin, name string, args ...string) outcome {
	u.Helper()
	var stdout, stderr bytes.Buffer
	if name == "sfcred" {
		name = u.path("bin", "sfcred")
	}
	cmd := exec.CommandContext(u.Context(), name, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = u.dir, u.env, &stdout, &stderr
	if stdin != "" {
		cmd.Stdin = strings.NewReader(stdin)
	}
	if u.root != "" {
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: u.root} // before the change to Dir
	}
	err := cmd.Run()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		u.Error(err) // not Fatal: commands are run side by side, too
		return outcome{code: -1}
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// works runs a program that must exit with 0, and returns its standard output.
func (u *user) works(name string, args ...string) string {
	u.Helper()
	o := u.do(name, args...)
	if o.code != 0 {
		u.Fatalf("%s %s: exit code %d\n%s%s", name, strings.Join(args, " "), o.code, o.stdout, o.stderr)
	}
	return o.stdout
}

// answers runs a command of sfcred that must work without a word on standard
// error, and returns its answer without the newline.
func (u *user) answers(args ...string) string {
	u.Helper()
	o := u.do("sfcred", args...)
	if o.code != 0 || o.stderr != "" {
		u.Fatalf("sfcred %s: exit code %d, standard error %q; want 0 and none", strings.Join(args, " "), o.code, o.stderr)
	}
	return strings.TrimSuffix(o.stdout, "\n")
}

// fails runs a command of sfcred that must exit with code, without a byte on
// standard output, and with words on standard error.
func (u *user) fails(code int, words string, args ...string) {
	u.Helper()
	o := u.do("sfcred", args...)
	if o.code != code || o.stdout != "" || !regexp.MustCompile(words).MatchString(o.stderr) {
		u.Errorf("sfcred %s: exit code %d, standard output %q, standard error:\n%s\nwant %d, none, and a match for:\n%s",
			strings.Join(args, " "), o.code, o.stdout, o.stderr, code, words)
	}
}

// whole says whether a text matches a pattern from end to end.
func whole(pattern, text string) bool {
	return regexp.MustCompile(`^(?:` + pattern + `)$`).MatchString(text)
}
