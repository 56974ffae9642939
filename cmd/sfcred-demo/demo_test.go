package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// demoEnv makes the test binary the demo itself, so that it has streams,
// signals and an environment of its own.
const demoEnv = "SFCRED_DEMO_TEST"

// TestMain lets the test binary be, by its name, the programs that the demo
// runs as well.
func TestMain(m *testing.M) {
	switch name := strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe"); {
	case name == "go":
		fakeGo()
	case name == "sfcred":
		fakeSfcred()
	case os.Getenv(demoEnv) != "":
		main()
	default:
		os.Exit(m.Run())
	}
}

// fakeEnv is what the sfcred that fakeGo "builds" does: see fakeSfcred.
const fakeEnv = "SFCRED_DEMO_FAKE"

// fakeGo "builds": it puts the test binary, or the program that fakeEnv names,
// where -o says.
func fakeGo() {
	out := os.Args[4] // build -buildvcs=false -o OUT PACKAGE
	does := os.Getenv(fakeEnv)
	from := does
	if !filepath.IsAbs(does) {
		from = os.Args[0]
	}
	// The demo keeps its environment from what it runs, so a file must tell.
	err := errors.Join(copyProgram(from, out), os.WriteFile(out+".does", []byte(does), 0o600))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// fakeSfcred succeeds without a word ("silent"), fails with one on standard
// output ("leaky"), or writes its process ID to a file and stays ("hang FILE").
func fakeSfcred() {
	does, err := os.ReadFile(os.Args[0] + ".does")
	if err != nil {
		panic(err)
	}
	switch verb, path, _ := strings.Cut(string(does), " "); verb {
	case "leaky":
		fmt.Println("half an answer")
		os.Exit(3)
	case "hang":
		if err := writeWhole(path, fmt.Sprint(os.Getpid())); err != nil {
			panic(err)
		}
		time.Sleep(time.Minute)
	}
}

func copyProgram(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o700)
}

// person is where a demo is run: everything a process could leave behind is
// left in one of these.
type person struct{ home, temp string }

func newPerson(t *testing.T) person {
	t.Helper()
	return person{t.TempDir(), t.TempDir()}
}

// demo prepares to run the demo for p.
func (p person) demo(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), demoEnv+"=1",
		"GORACE=atexit_sleep_ms=0", // the race detector's own pause, 1 s a process
		"HOME="+p.home, "XDG_CONFIG_HOME="+p.home, "XDG_DATA_HOME="+p.home, "XDG_RUNTIME_DIR="+p.home,
		"USERPROFILE="+p.home, "APPDATA="+p.home, "LOCALAPPDATA="+p.home,
		"TMPDIR="+p.temp, "TMP="+p.temp, "TEMP="+p.temp,
		// What the demo must not let through to sfcred.
		"SFCRED_CLIENT_ID=not-the-demos", "SFCRED_TIMEOUT=nonsense", "HTTPS_PROXY=http://127.0.0.1:1")
	return cmd
}

// untouched fails the test if a demo left anything: in the temporary
// directory at all, or of sfcred in the home. (The go command counts its own
// uses there.)
func (p person) untouched(t *testing.T) {
	t.Helper()
	left, err := os.ReadDir(p.temp)
	if err != nil || len(left) > 0 {
		t.Errorf("got %v (%v) left behind, want nothing", left, err)
	}
	err = filepath.WalkDir(p.home, func(path string, _ fs.DirEntry, err error) error {
		if strings.Contains(strings.TrimPrefix(path, p.home), "sfcred") {
			t.Errorf("got %s in the home, want nothing of sfcred", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// goCaches has the go command find what it has built already, though the home
// is another.
func goCaches(t *testing.T) []string {
	t.Helper()
	var env []string
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH"} {
		out, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatalf("go env %s: %v", name, err)
		}
		env = append(env, name+"="+strings.TrimSpace(string(out)))
	}
	return env
}

// fakePath is a PATH with nothing on it but a go command that "builds" a
// sfcred that does what does says.
func fakePath(t *testing.T, does string) []string {
	t.Helper()
	dir := t.TempDir()
	name := filepath.Join(dir, "go")
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	exe, err := os.Executable()
	if err == nil {
		err = copyProgram(exe, name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return []string{"PATH=" + dir, fakeEnv + "=" + does}
}

// result is what became of a demo.
type result struct {
	stdout, stderr string
	code           int
}

func finish(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// TestUsage pins what is said, where, and the exit code.
func TestUsage(t *testing.T) {
	for line, want := range map[string]string{
		"tour":                           `unknown argument "tour"`,
		"--colour":                       "flag provided but not defined: -colour",
		"serve now":                      `unknown argument "now"`,
		"serve --bogus":                  "flag provided but not defined: -bogus",
		"serve --delay 2":                `invalid value "2" for flag -delay`, // no unit
		"serve --delay -2s":              "--delay wants a positive duration",
		"serve --fail 99":                "not an HTTP status",
		"serve --fail 600":               "not an HTTP status",
		"serve --times 2":                "--times wants a positive number, and --fail",
		"serve --fail 503 --times -1":    "--times wants a positive number",
		"serve --on nothing":             "not token, api or both",
		"serve --token-life 0s":          "--token-life wants a second at least",
		"serve --addr 127.0.0.1":         "not HOST:PORT",
		"serve --addr :0":                "not on loopback", // would be all interfaces
		"serve --addr 0.0.0.0:0":         "not on loopback",
		"serve --addr 192.0.2.1:0":       "not on loopback",
		"serve --addr [::1%lo]:0":        "not on loopback", // a zone has no place in a URL
		"serve --addr [::]:0":            "not on loopback",
		"serve --addr example.org:0":     "not on loopback",
		"serve --tls --addr 127.0.0.2:0": "which the certificate names",
	} {
		t.Run(line, func(t *testing.T) {
			var stdout, stderr strings.Builder
			code := run(t.Context(), strings.Fields(line), &stdout, &stderr)
			if code != 2 || stdout.String() != "" {
				t.Errorf("got exit code %d, stdout %q, want 2 and nothing", code, stdout.String())
			}
			first, rest, _ := strings.Cut(stderr.String(), "\n")
			if !strings.HasPrefix(first, "sfcred-demo: error: ") || !strings.Contains(first, want) {
				t.Errorf("got %q, want an error with %q", first, want)
			}
			if !strings.HasPrefix(rest, "usage: sfcred-demo ") {
				t.Errorf("got %q after the error, want the usage", rest)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	for _, line := range []string{"--help", "-h", "serve --help"} {
		var stdout, stderr strings.Builder
		code := run(t.Context(), strings.Fields(line), &stdout, &stderr)
		if code != 0 || stderr.String() != "" {
			t.Errorf("%s: got exit code %d, stderr %q, want 0 and nothing", line, code, stderr.String())
		}
		for _, want := range []string{"usage: sfcred-demo ", "serve [flags]", "-client-expires DURATION"} {
			if !strings.Contains(stdout.String(), want) {
				t.Errorf("%s: got %q, want %q in it", line, stdout.String(), want)
			}
		}
	}
}

// realSfcred builds the program as the demo does.
func realSfcred(t *testing.T, s *stage) string {
	t.Helper()
	program, err := s.build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// onStage runs f on a stage of the test's own.
func onStage(t *testing.T, f func(*stage)) {
	t.Helper()
	if err := withStage(func(s *stage) error { f(s); return nil }); err != nil {
		t.Fatal(err)
	}
}

// closedPipe is a writer whose reader has gone.
type closedPipe struct{}

func (closedPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// TestNobodyReads wants a failure, not a tour or a server for nobody.
func TestNobodyReads(t *testing.T) {
	for _, args := range [][]string{nil, {"serve"}} {
		temp := t.TempDir()
		for _, name := range []string{"TMPDIR", "TMP", "TEMP"} {
			t.Setenv(name, temp)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var stderr strings.Builder
		if code := run(ctx, args, closedPipe{}, &stderr); code != 1 || !strings.Contains(stderr.String(), "closed pipe") {
			t.Errorf("%q: got exit code %d, %q, want 1 and the failed write", args, code, stderr.String())
		}
		if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
			t.Errorf("%q: got %v (%v) left behind, want nothing", args, left, err)
		}
	}
}
