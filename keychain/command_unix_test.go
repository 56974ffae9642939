//go:build unix

package keychain

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// scriptOf writes a program for sh and returns a ref to it. In the program, KEY
// is the path of a file with data, and GONE that of a pipe.
func scriptOf(t *testing.T, data []byte, body string) Ref {
	t.Helper()
	dir := t.TempDir()
	key, program := filepath.Join(dir, "key"), filepath.Join(dir, "print key")
	writeKey(t, key, data, 0o600)
	if err := syscall.Mkfifo(filepath.Join(dir, "gone"), 0o600); err != nil {
		t.Fatal(err)
	}
	writeKey(t, program, []byte("#!/bin/sh\nKEY='"+key+"' GONE='"+dir+"/gone'\n"+body+"\n"), 0o700)
	return Ref{Store: StoreCommand, Command: "'" + program + "' 'canary argument'"}
}

// besideKey is the path of a file that scriptOf made, or its program.
func besideKey(ref Ref, name string) string {
	return filepath.Join(filepath.Dir(strings.Split(ref.Command, "'")[1]), name)
}

// gone waits until every process has ended that has the pipe GONE of ref open.
func gone(t *testing.T, ref Ref) (wait func()) {
	t.Helper()
	path := besideKey(ref, "gone")
	done := make(chan error, 1)
	go func() {
		f, err := os.Open(path) // until one of them opens it
		if err == nil {
			_, err = io.ReadAll(f)
			f.Close()
		}
		done <- err
	}()
	return func() {
		t.Helper()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(5 * time.Second):
			t.Error("a process of the command is left")
		}
	}
}

// before returns a context with that much time.
func before(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// wantSilent checks that an error repeats neither output nor arguments.
func wantSilent(t *testing.T, err error) {
	t.Helper()
	if err != nil && (strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "PRIVATE")) {
		t.Errorf("got %q, want it without output and arguments", err)
	}
}

func TestCommand(t *testing.T) {
	data := ed25519PEM(t)
	want := parse(t, data).Fingerprint()
	t.Setenv("GPG_TTY", "/dev/tty")
	t.Setenv("SFCRED_TEST_VARIABLE", "canary")
	full := append(bytes.Clone(data), bytes.Repeat([]byte("\n"), maxKeyFile-len(data))...)
	tests := map[string]struct {
		data []byte
		body string
	}{
		"prints":          {data, `cat "$KEY"`},
		"with its ID":     {append([]byte("the-client\n"), data...), `cat "$KEY"`},
		"in parts":        {data, `head -n 1 "$KEY"; sleep 0.1; tail -n +2 "$KEY"`},
		"as much as fits": {full, `cat "$KEY"`},
		"and a word":      {data, `echo "canary" >&2; cat "$KEY"`},
		"no stdin":        {data, `[ -z "$(cat)" ] && cat "$KEY"`},
		"an argument":     {data, `[ "$#:$1" = "1:canary argument" ] && cat "$KEY"`},
		"environment":     {data, `[ "$SFCRED_NESTED:$SFCRED_TEST_VARIABLE:${GPG_TTY-unset}" = "1:canary:unset" ] && cat "$KEY"`},
	}
	for name, tt := range tests {
		ref := scriptOf(t, tt.data, tt.body)
		file, err := (&Stores{}).File(before(t, 20*time.Second), ref)
		if err != nil || file.Key.Fingerprint() != want {
			t.Errorf("%s: got %v, %v, want the key", name, file, err)
		} else if id := file.ClientID; (id == "the-client") != (name == "with its ID") {
			t.Errorf("%s: got client ID %q", name, id)
		}
	}
	// Nothing is in a hurry.
	signer, err := (&Stores{}).Signer(t.Context(), scriptOf(t, data, `cat "$KEY"`))
	if err != nil {
		t.Fatal(err)
	}
	message := []byte("header.claims")
	signature, err := signer.SignMessage(nil, message, crypto.Hash(0))
	if err != nil || !ed25519.Verify(signer.Public().(ed25519.PublicKey), message, signature) {
		t.Errorf("got signature %x, %v, want one of the key", signature, err)
	}
}

// A bare name is found in PATH.
func TestCommandInPath(t *testing.T) {
	data := ed25519PEM(t)
	ref := scriptOf(t, data, `/bin/cat "$KEY"`)
	dir := besideKey(ref, ".")
	t.Setenv("PATH", dir)
	key, err := (&Stores{}).Key(t.Context(), Ref{Store: StoreCommand, Command: "'print key' canary"})
	if err != nil || key.Fingerprint() != parse(t, data).Fingerprint() {
		t.Errorf("got %v, %v, want the key", key, err)
	}
	t.Chdir(dir)
	t.Setenv("PATH", ".")
	_, err = (&Stores{}).Key(t.Context(), Ref{Store: StoreCommand, Command: "'print key' canary"})
	wantError(t, err, ErrUnavailable, `command "print key" is not run, since PATH finds it by way of the current directory`)
	wantSilent(t, err)
	_, err = (&Stores{}).Key(t.Context(), Ref{Store: StoreCommand, Command: "'./print key' canary"})
	wantError(t, err, ErrUnavailable, `the key's program cannot be run: the command's program "./print key" is a relative path`)
}

// Without a shell its characters are plain; with one the text is the shell's.
func TestCommandShell(t *testing.T) {
	t.Chdir(t.TempDir())
	data := ed25519PEM(t)
	writeKey(t, "key", data, 0o600)
	s := &Stores{}
	const plain = "/bin/echo canary;>made $HOME `touch made` $(touch made) >made |cat key"
	_, err := s.Key(t.Context(), Ref{Store: StoreCommand, Command: plain})
	wantError(t, err, ErrDamaged, `read the key from command "/bin/echo": parse key: neither PEM nor JSON`)
	wantSilent(t, err)
	if _, err := os.Stat("made"); err == nil {
		t.Error("a shell was there")
	}
	const shell = `if true; then x='canary  "'; head -n 1 key | cat; tail -n +2 key; fi; : "$x" >made`
	key, err := s.Key(t.Context(), Ref{Store: StoreCommand, Command: shell, Shell: true})
	if err != nil || key.Fingerprint() != parse(t, data).Fingerprint() {
		t.Errorf("got %v, %v, want the key", key, err)
	}
	if _, err := os.Stat("made"); err != nil {
		t.Error("the shell did not run the whole text")
	}
	// Its first word may be anything, a variable with a secret too.
	_, err = s.Key(t.Context(), Ref{Store: StoreCommand, Command: "TOKEN=canary; exit 3", Shell: true})
	wantError(t, err, ErrUnavailable, "the shell command ended with exit status 3")
	wantSilent(t, err)
	_, err = s.Key(t.Context(), Ref{Store: StoreCommand, Command: "echo canary\necho", Shell: true})
	wantError(t, err, ErrUnavailable, "the key's program cannot be run: the command has a line break")
	wantSilent(t, err)
}

func TestCommandFails(t *testing.T) {
	data := ed25519PEM(t)
	large := append(bytes.Clone(data), bytes.Repeat([]byte("\n"), maxKeyFile+1-len(data))...)
	tests := map[string]struct {
		data []byte
		body string
		kind error
		text string
	}{
		"nothing":           {nil, `cat "$KEY"`, ErrNotFound, `print key" prints nothing`},
		"blanks":            {[]byte(" \n\t\n"), `cat "$KEY"`, ErrNotFound, "prints nothing"},
		"code":              {data, "exit 7", ErrUnavailable, `print key" ended with exit status 7`},
		"key and code":      {data, `cat "$KEY"; exit 1`, ErrUnavailable, "ended with exit status 1"},
		"killed":            {data, `cat "$KEY"; kill -9 $$`, ErrUnavailable, "ended with signal: killed"},
		"terminated":        {data, "kill $$", ErrUnavailable, "ended with signal: terminated"},
		"too much":          {large, `cat "$KEY"`, ErrDamaged, "prints more than 65536 bytes, which no key has"},
		"without end":       {data, "while :; do echo canary; done", ErrDamaged, "prints more than 65536 bytes"},
		"without end still": {data, "trap '' PIPE; while :; do echo canary; done 2>&-", ErrDamaged, "prints more than 65536 bytes"},
		"no key":            {data, "echo canary", ErrDamaged, `print key": parse key: neither PEM nor JSON`},
		"half a key":        {data, `head -n 2 "$KEY"`, ErrDamaged, "the PEM ends before its END line"},
		"no interpreter":    {data, "", ErrUnavailable, "cannot be started: its interpreter is not there"},
		"no program":        {data, "", ErrUnavailable, "cannot be started: exec format error"},
		"not executable":    {data, "", ErrUnavailable, `print key" cannot be run: permission denied`},
		"not there":         {data, "", ErrUnavailable, "there is no command "},
	}
	for name, tt := range tests {
		ref := scriptOf(t, tt.data, "exec 9>\"$GONE\"\n"+tt.body)
		program := besideKey(ref, "print key")
		wait := func() {}
		switch name {
		case "no interpreter":
			writeKey(t, program, []byte("#!/canary/sh\n"), 0o700)
		case "no program":
			writeKey(t, program, []byte("\x7fELFcanary"), 0o700)
		case "not executable":
			writeKey(t, program, nil, 0o600)
		case "not there":
			if err := os.Remove(program); err != nil {
				t.Fatal(err)
			}
		default:
			wait = gone(t, ref)
		}
		start := time.Now()
		_, err := (&Stores{}).Key(before(t, 20*time.Second), ref)
		t.Logf("%s: %v after %v", name, err, time.Since(start).Round(time.Millisecond))
		wantError(t, err, tt.kind, tt.text)
		wantSilent(t, err)
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%s: took %v", name, d)
		}
		wait()
	}
	_, err := (&Stores{}).Key(t.Context(), Ref{Store: StoreCommand, Command: "'" + t.TempDir() + "'"})
	wantError(t, err, ErrUnavailable, "is a directory")
}

// What the program says is passed on, whether it fails or not, and is no part of
// the error: to a file as it is, to anything else by way of a pipe.
func TestCommandStderr(t *testing.T) {
	var said bytes.Buffer
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, w := range []io.Writer{&said, file} {
		s := &Stores{Stderr: w}
		_, err := s.Key(t.Context(), scriptOf(t, ed25519PEM(t), `echo warning >&2; cat "$KEY"`))
		if err != nil {
			t.Error(err)
		}
		_, err = s.Key(t.Context(), scriptOf(t, nil, "echo 'no canary here' >&2; exit 1"))
		wantError(t, err, ErrUnavailable, "ended with exit status 1")
		wantSilent(t, err)
	}
	const want = "warning\nno canary here\n"
	if got := said.String(); got != want {
		t.Errorf("got %q in a buffer, want %q", got, want)
	}
	if got, err := os.ReadFile(file.Name()); err != nil || string(got) != want {
		t.Errorf("got %q, %v in a file, want %q", got, err, want)
	}
}

// A command that hangs is ended, with all that it started, within its share of
// the time, so that some is left.
func TestCommandHangs(t *testing.T) {
	refs := map[string]Ref{}
	for name, body := range map[string]string{
		"the program":            `exec sleep 300`,
		"a child":                `sleep 300; :`,
		"background children":    `sleep 300 & sleep 300 | sleep 300`,
		"after the key":          `cat "$KEY"; sleep 300`,
		"deaf":                   `trap '' TERM INT HUP; sleep 300; sleep 300`,
		"all have closed stdout": `exec >&-; sleep 300; :`,
	} {
		refs[name] = scriptOf(t, ed25519PEM(t), "exec 9>\"$GONE\"\n"+body)
	}
	for name, ref := range refs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wait := gone(t, ref)
			ctx := before(t, 2*time.Second)
			_, err := (&Stores{}).Key(ctx, ref)
			wantError(t, err, ErrTimeout, `print key" did not finish within 1.`)
			wantSilent(t, err)
			if ctx.Err() != nil {
				t.Error("the whole time is over")
			}
			wait()
		})
	}
}

// A signal to sfcred ends the command at once: it is in another session, where
// Ctrl-C does not reach it.
func TestCommandCancelled(t *testing.T) {
	ref := scriptOf(t, nil, "exec 9>\"$GONE\"; sleep 300; :")
	wait := gone(t, ref)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, cancel)
	if _, err := (&Stores{}).Key(ctx, ref); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	wait()
	if _, err := (&Stores{}).Key(ctx, scriptOf(t, nil, "")); !errors.Is(err, context.Canceled) {
		t.Errorf("begun when cancelled: got %v, want %v", err, context.Canceled)
	}
}

// What a program leaves behind may go on, with its pipe open: it was meant to,
// as the agent of a password manager is, and the key is there.
func TestCommandLeavesChild(t *testing.T) {
	data := ed25519PEM(t)
	ref := scriptOf(t, data, `sleep 300 & echo $! >"$KEY.pid"; cat "$KEY"`)
	start := time.Now()
	key, err := (&Stores{Stderr: new(bytes.Buffer)}).Key(before(t, 20*time.Second), ref)
	if err != nil || key.Fingerprint() != parse(t, data).Fingerprint() {
		t.Errorf("got %v, %v, want the key", key, err)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("took %v", d)
	}
	endLeft(t, ref)
}

// What has gone to a session of its own cannot be found to be ended, and costs
// no more time.
func TestCommandLosesChild(t *testing.T) {
	if _, err := exec.LookPath("setsid"); err != nil {
		if os.Getenv("SFCRED_REAL") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	ref := scriptOf(t, nil, `setsid sh -c "echo \$\$ >'$KEY.pid'; exec sleep 300"; sleep 300`)
	ctx := before(t, 2*time.Second)
	_, err := (&Stores{Stderr: new(bytes.Buffer)}).Key(ctx, ref)
	wantError(t, err, ErrTimeout, "did not finish within 1.")
	if ctx.Err() != nil {
		t.Error("the whole time is over")
	}
	endLeft(t, ref)
}

// endLeft ends the process that a program of scriptOf has left behind, with its
// ID in the file KEY.pid.
func endLeft(t *testing.T, ref Ref) {
	t.Helper()
	text, err := os.ReadFile(besideKey(ref, "key.pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("what the program left behind: %v", err)
	}
}

// stuck is a writer that never returns, as a program does that hangs in the
// kernel.
type stuck chan struct{}

func (s stuck) Write([]byte) (int, error) { <-s; return 0, io.EOF }

func TestCommandIsAbandoned(t *testing.T) {
	never := make(stuck)
	defer close(never)
	start := time.Now()
	_, err := (&Stores{Stderr: never}).Key(before(t, time.Second), scriptOf(t, nil, "echo canary >&2; sleep 300"))
	wantError(t, err, ErrTimeout, "did not finish within 7")
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("took %v", d)
	}
}

func TestCommandNested(t *testing.T) {
	ref := scriptOf(t, ed25519PEM(t), `touch "$KEY.ran"; cat "$KEY"`)
	_, err := (&Stores{Nested: true}).Key(t.Context(), ref)
	wantError(t, err, ErrUnavailable, `print key" is not run: the key's program has called sfcred, which would call it again`)
	wantSilent(t, err)
	if _, err := os.Stat(besideKey(ref, "key.ran")); err == nil {
		t.Error("the program was run")
	}
}

func TestCommandEncrypted(t *testing.T) {
	plain, _ := pem.Decode(pkcs1PEM(t, 2048))
	//lint:ignore SA1019 people have such files
	block, err := x509.EncryptPEMBlock(strings.NewReader(strings.Repeat("salt", 16)), plain.Type, plain.Bytes, []byte("correct horse"), x509.PEMCipherAES256)
	if err != nil {
		t.Fatal(err)
	}
	ref := scriptOf(t, pem.EncodeToMemory(block), `cat "$KEY"`)
	key, err := (&Stores{Passphrase: says("correct horse")}).Key(t.Context(), ref)
	if err != nil || key.Fingerprint() != parse(t, pem.EncodeToMemory(plain)).Fingerprint() {
		t.Errorf("got %v, %v, want the key", key, err)
	}
	_, err = (&Stores{Passphrase: says("wrong horse")}).Key(t.Context(), ref)
	wantError(t, err, ErrPassphrase, `print key"`)
	wantSilent(t, err)
	_, err = (&Stores{}).Key(t.Context(), ref)
	wantError(t, err, ErrLocked, `print key" is encrypted, and there is nobody to ask`)
	wantSilent(t, err)
}
