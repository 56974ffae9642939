//go:build linux

package keychain

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// passStore makes a home with a gpg key of that passphrase, and a store of pass
// that holds data as nersc/key. All that gpg starts is ended afterwards, and
// looked for.
func passStore(t *testing.T, passphrase string, data []byte) {
	t.Helper()
	for _, program := range []string{"pass", "gpg", "gpg-agent", "gpgconf", "pinentry-curses"} {
		if _, err := exec.LookPath(program); err != nil && os.Getenv("SFCRED_REAL") == "1" {
			t.Fatal(err)
		} else if err != nil {
			t.Skip(err)
		}
	}
	home, err := os.MkdirTemp("/tmp", "gpg") // a socket's path has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	t.Setenv("HOME", home)
	t.Setenv("GNUPGHOME", home)
	t.Setenv("PASSWORD_STORE_DIR", filepath.Join(home, "store"))
	for _, name := range []string{"DISPLAY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "GPG_TTY", "PASSWORD_STORE_GPG_OPTS"} {
		t.Setenv(name, "")
		os.Unsetenv(name)
	}
	// The count spares it a calibration of many seconds.
	config := []byte("pinentry-program /usr/bin/pinentry-curses\ns2k-count 65536\n")
	if err := os.WriteFile(filepath.Join(home, "gpg-agent.conf"), config, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		endAgent(t)
		_ = exec.Command("gpgconf", "--remove-socketdir").Run() // where it has one
		for pid, line := range startedBy(t, home) {
			t.Errorf("left running: %s", line)
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	tool(t, nil, "gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", passphrase, "--quick-generate-key", "sfcred test", "future-default", "default", "never")
	tool(t, nil, "pass", "init", "sfcred test")
	tool(t, data, "pass", "insert", "-m", "nersc/key")
	endAgent(t) // it knows the passphrase
}

// tool runs a program that is part of the scene.
func tool(t *testing.T, stdin []byte, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(before(t, 30*time.Second), name, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	cmd.WaitDelay = time.Second // gpg-agent may outlive it
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// endAgent ends the gpg-agent of the test's own home.
func endAgent(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("gpgconf", "--kill", "all").CombinedOutput(); err != nil {
		t.Errorf("gpgconf --kill all: %v\n%s", err, out)
	}
}

// startedBy gives the processes that have home for their GNUPGHOME: as soon as
// there is none, or after a while.
func startedBy(t *testing.T, home string) map[int]string {
	t.Helper()
	for late := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		left := map[int]string{}
		environments, err := filepath.Glob("/proc/[0-9]*/environ")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range environments {
			if env, _ := os.ReadFile(path); bytes.Contains(env, []byte("GNUPGHOME="+home+"\x00")) {
				dir := filepath.Dir(path)
				line, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
				pid, _ := strconv.Atoi(filepath.Base(dir))
				left[pid] = strings.ReplaceAll(string(line), "\x00", " ")
			}
		}
		if len(left) == 0 || time.Now().After(late) {
			return left
		}
	}
}

var fromPass = Ref{Store: StoreCommand, Command: "pass show nersc/key"}

// pass prints the key, and says itself what it does not find.
func TestRealPass(t *testing.T) {
	data := ed25519PEM(t)
	passStore(t, "", data)
	var said bytes.Buffer
	s := &Stores{Stderr: &said}
	start := time.Now()
	signer, err := s.Signer(before(t, 20*time.Second), fromPass)
	if err != nil {
		t.Fatalf("%v; pass said %q", err, said.String())
	}
	t.Logf("a key from pass, gpg-agent started: %v", time.Since(start).Round(time.Millisecond))
	message := []byte("header.claims")
	signature, err := signer.SignMessage(nil, message, crypto.Hash(0))
	public := parse(t, data).Public().(ed25519.PublicKey)
	if err != nil || !ed25519.Verify(public, message, signature) {
		t.Errorf("got signature %x, %v, want one of the key", signature, err)
	}
	if said.Len() > 0 {
		t.Errorf("got %q on stderr, want nothing", said.String())
	}
	_, err = s.Key(before(t, 20*time.Second), Ref{Store: StoreCommand, Command: "pass show nersc/unknown"})
	wantError(t, err, ErrUnavailable, `command "pass" ended with exit status 1`)
	if want := "Error: nersc/unknown is not in the password store.\n"; said.String() != want {
		t.Errorf("got %q on stderr, want %q", said.String(), want)
	}
}

// gpg wants a passphrase. Nobody is asked, not even on the terminal that the
// user has told gpg of.
func TestRealPassLocked(t *testing.T) {
	passStore(t, "correct horse", ed25519PEM(t))
	screen, tty := openPTY(t)
	for _, terminal := range []string{"", tty.Name()} {
		t.Setenv("GPG_TTY", terminal)
		tool(t, nil, "gpgconf", "--launch", "gpg-agent") // it knows the terminal, too
		var said bytes.Buffer
		ctx, start := before(t, 8*time.Second), time.Now()
		_, err := (&Stores{Stderr: &said}).Key(ctx, fromPass)
		t.Logf("GPG_TTY=%s: %v after %v; gpg said %q", terminal, err, time.Since(start).Round(time.Millisecond), said.String())
		wantError(t, err, ErrUnavailable, `command "pass" ended with exit status `)
		if ctx.Err() != nil {
			t.Error("the whole time is over")
		}
		if shown := shownOn(t, screen); shown != "" {
			t.Errorf("the terminal shows %q, want nothing", shown)
		}
		endAgent(t)
	}
}
