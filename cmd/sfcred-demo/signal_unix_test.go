//go:build unix

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// served is a demo that serves.
type served struct {
	cmd    *exec.Cmd
	vars   map[string]string
	stdout *bufio.Reader
	stderr bytes.Buffer
}

// startServe starts one and reads its variables, as a script would: up to the
// first line that is none.
func startServe(t *testing.T, p person, args ...string) *served {
	t.Helper()
	s := &served{cmd: p.demo(t, append([]string{"serve"}, args...)...), vars: map[string]string{}}
	s.cmd.Stderr = &s.stderr
	pipe, err := s.cmd.StdoutPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.cmd.Process.Kill() })
	s.stdout = bufio.NewReader(pipe)
	for {
		line, err := s.stdout.ReadString('\n')
		if err != nil {
			t.Fatalf("read the variables: %v; stderr %q", err, s.stderr.String())
		}
		assignment, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "export ")
		if !ok {
			return s
		}
		name, value, _ := strings.Cut(assignment, "=")
		s.vars[name] = strings.Trim(value, "'") // none has a quote in it
	}
}

// stop ends it by sig, which is how it is meant to end.
func (s *served) stop(t *testing.T, sig os.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	for _, err := s.stdout.ReadByte(); err == nil; _, err = s.stdout.ReadByte() {
	}
	if err := s.cmd.Wait(); err != nil || s.stderr.Len() > 0 {
		t.Errorf("got %v, stderr %q, want exit code 0 and nothing", err, s.stderr.String())
	}
}

// TestServe uses the server with the real sfcred, by the variables alone.
func TestServe(t *testing.T) {
	onStage(t, func(s *stage) {
		sfcred := realSfcred(t, s)
		for name, test := range map[string]struct {
			flags []string
			stop  os.Signal
			code  int           // of sfcred token
			life  time.Duration // of the token
		}{
			"http":             {stop: os.Interrupt, life: 10 * time.Minute},
			"https":            {flags: []string{"--tls", "--token-life", "90s"}, stop: syscall.SIGTERM, life: 90 * time.Second},
			"IPv6":             {flags: []string{"--addr", "[::1]:0", "--client-expires", "48h"}, stop: syscall.SIGHUP, life: 10 * time.Minute},
			"a clock ahead":    {flags: []string{"--tls", "--skew", "10m"}, stop: os.Interrupt, life: 10 * time.Minute},
			"a client expired": {flags: []string{"--client-expires", "-1h"}, stop: os.Interrupt, code: 4},
		} {
			t.Run(name, func(t *testing.T) {
				p := newPerson(t)
				server := startServe(t, p, test.flags...)
				var env []string
				for name, value := range server.vars {
					env = append(env, name+"="+value)
				}
				// The API is on the hosts, so --url gives the token too.
				args := []string{"token", "--json", "--url", server.vars["SFCRED_API_URL"] + "/account/"}
				o, err := s.process(t.Context(), env, "", sfcred, args...)
				if err != nil || o.code != test.code {
					t.Fatalf("sfcred token: got exit code %d (%v), %q, want %d", o.code, err, o.stderr, test.code)
				}
				if test.code == 0 {
					wantLife(t, o.stdout, test.life)
				}
				wantEnvFile(t, filepath.Dir(server.vars["SFCRED_PRIVATE_KEY_FILE"])+"/env", len(server.vars))
				server.stop(t, test.stop)
				p.untouched(t)
				wantClosed(t, server.vars["SFCRED_API_URL"])
			})
		}
	})
}

// wantLife wants a token that expires after life.
func wantLife(t *testing.T, answer string, life time.Duration) {
	t.Helper()
	var token struct {
		AccessToken string    `json:"access_token"`
		ExpiresAt   time.Time `json:"expires_at"`
	}
	if err := json.Unmarshal([]byte(answer), &token); err != nil || shorten(token.AccessToken) == token.AccessToken {
		t.Errorf("got %q (%v), want a token", shorten(answer), err)
	}
	if left := time.Until(token.ExpiresAt); left > life || left < life-30*time.Second {
		t.Errorf("got a token for %s, want %s", left, life)
	}
}

// wantEnvFile wants n variables that a shell takes from the file.
func wantEnvFile(t *testing.T, path string, n int) {
	t.Helper()
	cmd := exec.Command("sh", "-c", `set -eu; . "$1"; env`, "sh", path)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	out, err := cmd.Output()
	if got := strings.Count(string(out), "SFCRED_") + strings.Count(string(out), "SSL_CERT_FILE="); err != nil || got != n {
		t.Errorf("got %d variables (%v) from %q, want %d", got, err, out, n)
	}
}

// wantClosed wants nobody at rawURL's address.
func wantClosed(t *testing.T, rawURL string) {
	t.Helper()
	conn, err := net.Dial("tcp", must(url.Parse(rawURL)).Host)
	if err == nil {
		conn.Close()
		t.Errorf("got an answer at %s, want a closed port", rawURL)
	}
}

// TestWriteEnv wants the file a person asked for, whole, and gone with the
// server.
func TestWriteEnv(t *testing.T) {
	p, path := newPerson(t), filepath.Join(t.TempDir(), "two words.env")
	server := startServe(t, p, "--write-env", path)
	wantEnvFile(t, path, len(server.vars))
	server.stop(t, os.Interrupt)
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) > 0 {
		t.Errorf("got %v (%v) left, want nothing", left, err)
	}
}

// TestInterrupted ends a tour while sfcred runs, and wants neither a file nor
// that process left.
func TestInterrupted(t *testing.T) {
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(sig.String(), func(t *testing.T) {
			p, note := newPerson(t), filepath.Join(t.TempDir(), "pid")
			cmd := p.demo(t)
			cmd.Env = append(cmd.Env, fakePath(t, "hang "+note)...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			pid := awaitPID(t, note)
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			cmd.Wait()
			if got := cmd.ProcessState.ExitCode(); got != 1 || stderr.String() != "sfcred-demo: error: interrupted\n" {
				t.Errorf("got exit code %d, stderr %q, want 1 and that it was interrupted", got, stderr.String())
			}
			if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
				t.Errorf("got %v for process %d, want no such process", err, pid)
			}
			p.untouched(t)
		})
	}
}

// awaitPID waits until the process ID is in the file.
func awaitPID(t *testing.T, path string) int {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if text, err := os.ReadFile(path); err == nil {
			return must(strconv.Atoi(string(text)))
		}
	}
	t.Fatal("the program never ran")
	return 0
}
