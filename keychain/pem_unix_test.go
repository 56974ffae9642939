//go:build unix

package keychain

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sfcred/keychain/disk"
)

// nobody is an unprivileged user ID that owns nothing.
const nobody = 65534

// unprivileged reports whether the test may go on as it is. Root passes every
// permission check, so as root the test is run again as nobody, and that run
// is the result.
func unprivileged(t *testing.T) bool {
	t.Helper()
	if os.Geteuid() != 0 {
		return true
	}
	cmd := child(t, "")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	run(t, cmd)
	return false
}

// writeKey writes a key file with a mode that umask does not change.
func writeKey(t *testing.T, path string, data []byte, mode fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func TestPEMModes(t *testing.T) {
	if !unprivileged(t) {
		return
	}
	dir := t.TempDir()
	data := ed25519PEM(t)
	want := parse(t, data).Fingerprint()
	tests := []struct {
		mode   fs.FileMode
		reason string // "" if the key is read
	}{
		{0o600, ""},
		{0o400, ""},
		{0o700, ""},
		// Being allowed to run it gives nobody the key.
		{0o611, ""},
		{0o640, "others can read it (mode 0640)"},
		{0o440, "others can read it (mode 0440)"},
		{0o604, "others can read it (mode 0604)"},
		{0o644, "others can read it (mode 0644)"},
		{0o620, "others can write it (mode 0620)"},
		{0o602, "others can write it (mode 0602)"},
		{0o666, "others can write it (mode 0666)"},
	}
	for _, tt := range tests {
		file := filepath.Join(dir, fmt.Sprintf("%04o", tt.mode))
		link := file + ".link"
		writeKey(t, file, data, tt.mode)
		if err := os.Symlink(file, link); err != nil {
			t.Fatal(err)
		}
		// A link itself has mode 0777; what counts is its target.
		for _, path := range []string{file, link} {
			key, err := (&Stores{}).Key(t.Context(), Ref{Store: StorePEM, Path: path})
			var unsafe *disk.UnsafeError
			switch {
			case tt.reason == "" && (err != nil || key.Fingerprint() != want):
				t.Errorf("%s: got %v, %v, want the key", path, key, err)
			case tt.reason != "" && (key != nil || !errors.As(err, &unsafe) || unsafe.Reason != tt.reason || unsafe.Path != path):
				t.Errorf("%s: got %v, %v, want %q", path, key, err, tt.reason)
			}
		}
	}
}

// fakeInfo is a file of any owner and kind, which only root could make.
type fakeInfo struct {
	uid  int
	mode fs.FileMode
}

func (f fakeInfo) Name() string       { return "fake" }
func (f fakeInfo) Size() int64        { return 0 }
func (f fakeInfo) Mode() fs.FileMode  { return f.mode }
func (f fakeInfo) ModTime() time.Time { return time.Time{} }
func (f fakeInfo) IsDir() bool        { return f.mode.IsDir() }
func (f fakeInfo) Sys() any           { return &syscall.Stat_t{Uid: uint32(f.uid)} }

// A passphrase is as good as its key.
func TestPassphraseModes(t *testing.T) {
	if !unprivileged(t) {
		return
	}
	dir := t.TempDir()
	for mode, reason := range map[fs.FileMode]string{
		0o600: "", 0o400: "",
		0o640: "others can read it (mode 0640)",
		0o644: "others can read it (mode 0644)",
		0o620: "others can write it (mode 0620)",
	} {
		path := filepath.Join(dir, fmt.Sprintf("%04o", mode))
		writeKey(t, path, []byte("correct horse\n"), mode)
		got, err := ReadPassphrase(t.Context(), path)
		var unsafe *disk.UnsafeError
		switch {
		case reason == "" && (err != nil || string(got) != "correct horse"):
			t.Errorf("%s: got %q, %v, want the passphrase", path, got, err)
		case reason != "" && (got != nil || !errors.As(err, &unsafe) || unsafe.Reason != reason || unsafe.Path != path):
			t.Errorf("%s: got %q, %v, want %q", path, got, err, reason)
		}
	}
}

func TestPEMOwners(t *testing.T) {
	const other = 4711
	me := os.Geteuid()
	tests := []struct {
		path string
		info fakeInfo
		want string
	}{
		{"/key", fakeInfo{me, 0o600}, ""},
		{"/key", fakeInfo{other, 0o600}, "it belongs to uid 4711"},
		{"/key", fakeInfo{other, 0o440}, "it belongs to uid 4711"},
		// A Kubernetes secret with fsGroup, with defaultMode 0400 and 0600.
		{"/key", fakeInfo{0, 0o440}, ""},
		{"/key", fakeInfo{0, 0o640}, ""},
		// The default mode of a Kubernetes secret.
		{"/key", fakeInfo{0, 0o644}, "others can read it (mode 0644)"},
		{"/key", fakeInfo{0, 0o660}, "others can write it (mode 0660)"},
		// A pipe has the owner and mode of the process that made it, which may
		// have been another user before su.
		{"/dev/fd/63", fakeInfo{other, fs.ModeNamedPipe | 0o600}, ""},
		{"/proc/self/fd/3", fakeInfo{other, fs.ModeSocket | 0o777}, ""},
		{"/dev/stdin", fakeInfo{other, fs.ModeNamedPipe | 0o666}, ""},
		// A pipe with a name can be opened by others.
		{"/fifo", fakeInfo{me, fs.ModeNamedPipe | 0o644}, "others can read it (mode 0644)"},
		// As a file can that was opened for us.
		{"/dev/fd/3", fakeInfo{other, 0o600}, "it belongs to uid 4711"},
	}
	for _, tt := range tests {
		if got := unsafeKeyFile(tt.path, tt.info); got != tt.want {
			t.Errorf("%s %+v: got %q, want %q", tt.path, tt.info, got, tt.want)
		}
	}
}

// The table above judges fakes; as root the real thing can be made, too.
func TestPEMOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("SFCRED_REAL") == "1" {
			t.Fatal("only root can give files away")
		}
		t.Skip("only root can give files away")
	}
	path := filepath.Join(t.TempDir(), "key")
	writeKey(t, path, ed25519PEM(t), 0o600)
	if err := os.Chown(path, 4711, -1); err != nil {
		t.Fatal(err)
	}
	_, err := (&Stores{}).Key(t.Context(), Ref{Store: StorePEM, Path: path})
	var unsafe *disk.UnsafeError
	if !errors.As(err, &unsafe) || unsafe.Reason != "it belongs to uid 4711" {
		t.Errorf("got %v, want it refused for its owner", err)
	}
}

func TestPEMDescriptors(t *testing.T) {
	data := ed25519PEM(t)
	want := parse(t, data).Fingerprint()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	w.Close()
	path := fmt.Sprintf("/dev/fd/%d", r.Fd())
	key, err := (&Stores{}).Key(t.Context(), Ref{Store: StorePEM, Path: path})
	if err != nil || key.Fingerprint() != want {
		t.Errorf("%s: got %v, %v, want the key", path, key, err)
	}
}

func TestPEMNotThere(t *testing.T) {
	if !unprivileged(t) {
		return
	}
	dir := t.TempDir()
	file := func(name string, data []byte, mode fs.FileMode) string {
		path := filepath.Join(dir, name)
		writeKey(t, path, data, mode)
		return path
	}
	dangling := filepath.Join(dir, "dangling")
	if err := os.Symlink("nothing", dangling); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		path string
		kind error
		text string
	}{
		{filepath.Join(dir, "missing"), ErrNotFound, "there is no key file"},
		{dangling, ErrNotFound, "there is no key file"},
		{dir, ErrNotFound, "is a directory"},
		{file("unreadable", nil, 0o000), ErrUnavailable, "permission denied"},
		{file("empty", nil, 0o600), ErrDamaged, "read key file"},
		{file("large", make([]byte, maxKeyFile+1), 0o600), ErrDamaged, "larger than 65536 bytes"},
		{file("text", []byte("canary"), 0o600), ErrDamaged, "read key file"},
	}
	for _, tt := range tests {
		_, err := (&Stores{}).Key(t.Context(), Ref{Store: StorePEM, Path: tt.path})
		wantError(t, err, tt.kind, tt.text)
		if err != nil && (!strings.Contains(err.Error(), tt.path) || strings.Contains(err.Error(), "canary")) {
			t.Errorf("got %q, want it to name %s, and without its content", err, tt.path)
		}
	}
}

func TestPEMEndsWithContext(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := (&Stores{}).Key(soon(t), Ref{Store: StorePEM, Path: fifo})
	wantError(t, err, ErrTimeout, "nothing came from key file")
	// Let the abandoned goroutine go.
	if f, err := os.OpenFile(fifo, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
		f.Close()
	}
}

// TestNoTimeToRead wants nothing said of decrypting where nothing is encrypted.
func TestNoTimeToRead(t *testing.T) {
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	_, err := loadKeyFile(ctx, StorePEM, "key file", nil, nil)
	wantError(t, err, ErrTimeout, "not enough time to read key file")
	_, err = loadKeyFile(ctx, StorePEM, "key file", nil, func() ([]byte, error) { return nil, nil })
	wantError(t, err, ErrTimeout, "not enough time to decrypt key file")
}

func TestPEMEncrypted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	plain, _ := pem.Decode(pkcs1PEM(t, 2048))
	//lint:ignore SA1019 people have such files
	block, err := x509.EncryptPEMBlock(strings.NewReader(strings.Repeat("salt", 16)), plain.Type, plain.Bytes, []byte("correct horse"), x509.PEMCipherAES256)
	if err != nil {
		t.Fatal(err)
	}
	writeKey(t, path, pem.EncodeToMemory(block), 0o600)
	want := parse(t, pem.EncodeToMemory(plain)).Fingerprint()
	ref := Ref{Store: StorePEM, Path: path}

	key, err := (&Stores{Passphrase: says("correct horse")}).Key(t.Context(), ref)
	if err != nil || key.Fingerprint() != want {
		t.Errorf("got %v, %v, want the key", key, err)
	}
	_, err = (&Stores{Passphrase: says("wrong horse")}).Key(t.Context(), ref)
	wantError(t, err, ErrPassphrase, path)
	_, err = (&Stores{}).Key(t.Context(), ref)
	wantError(t, err, ErrLocked, "nobody to ask")
	gone := errors.New("the terminal is gone")
	s := &Stores{Passphrase: func(_ context.Context, confirm bool, _ string) ([]byte, error) {
		if confirm {
			t.Error("asked to confirm a passphrase that is set already")
		}
		return nil, gone
	}}
	if _, err := s.Key(t.Context(), ref); !errors.Is(err, gone) {
		t.Errorf("got %v, want %v", err, gone)
	}
}
