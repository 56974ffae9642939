package keychain

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"sfcred/keychain/jose"
)

// roleEnv tells a child process which part of its test to play.
const roleEnv = "SFCRED_TEST_ROLE"

// child prepares to run the calling test again, alone, in a process of its
// own that finds role in roleEnv.
func child(t *testing.T, role string) *exec.Cmd {
	t.Helper()
	// The test binary may lie where another user cannot reach it by name.
	exe := "/proc/self/exe"
	if runtime.GOOS != "linux" {
		var err error
		if exe, err = os.Executable(); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(exe, "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), roleEnv+"="+role)
	return cmd
}

// run runs a child to its end, and reports what it reported.
func run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("child: %v\n%s", err, out)
	}
}

func ed25519PEM(t *testing.T) []byte {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func parse(t *testing.T, data []byte) *jose.Key {
	t.Helper()
	file, err := jose.Parse(data, nil)
	if err != nil {
		t.Fatal(err)
	}
	return file.Key
}

func newKey(t *testing.T) *jose.Key {
	t.Helper()
	return parse(t, ed25519PEM(t))
}

func rsaKey(t *testing.T, bits int) *jose.Key {
	t.Helper()
	return parse(t, pkcs1PEM(t, bits))
}

func pkcs1PEM(t *testing.T, bits int) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
}

// says returns a passphrase function that always answers the same.
func says(passphrase string) func(context.Context, bool, string) ([]byte, error) {
	return func(context.Context, bool, string) ([]byte, error) { return []byte(passphrase), nil }
}

// soon returns a context with a deadline, for what is never answered.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// wantError checks the kind of an error and a part of its text.
func wantError(t *testing.T, err, kind error, text string) {
	t.Helper()
	var ours *Error
	if !errors.As(err, &ours) || !errors.Is(err, kind) {
		t.Errorf("got %#v (%v), want an Error of kind %q", err, err, kind)
		return
	}
	if !strings.Contains(err.Error(), text) {
		t.Errorf("got %q, want %q in it", err, text)
	}
}

// roundTrip puts a key into a store and gets it back, signs with it, and
// deletes it.
func roundTrip(t *testing.T, s *Stores, store string, key *jose.Key) {
	t.Helper()
	ctx := t.Context()
	ref := Ref{Store: store, ID: NewID()}
	_, err := s.Key(ctx, ref)
	wantError(t, err, ErrNotFound, "")
	if err := s.Put(ctx, ref, key); err != nil {
		t.Fatalf("Put: %v", err)
	}
	back, err := s.Key(ctx, ref)
	if err != nil {
		t.Fatalf("Key: %v", err)
	}
	if back.Text() != key.Text() {
		t.Errorf("got key %v back, want %v", back, key)
	}
	signer, err := s.Signer(ctx, ref)
	if err != nil {
		t.Fatalf("Signer: %v", err)
	}
	if fingerprint, err := jose.Fingerprint(signer.Public()); err != nil || fingerprint != key.Fingerprint() {
		t.Errorf("got a signer of %s, %v, want %s", fingerprint, err, key.Fingerprint())
	}
	// The only copy of a key is never overwritten.
	other := newKey(t)
	if err := s.Put(ctx, ref, other); err == nil {
		t.Error("second Put: got nil, want an error")
	}
	if back, err := s.Key(ctx, ref); err != nil || back.Text() != key.Text() {
		t.Errorf("after second Put: got %v, %v, want the first key", back, err)
	}
	if err := s.Delete(ctx, ref); err != nil {
		t.Errorf("Delete: %v", err)
	}
	wantError(t, s.Delete(ctx, ref), ErrNotFound, "")
	_, err = s.Key(ctx, ref)
	wantError(t, err, ErrNotFound, "")
}

func TestNewID(t *testing.T) {
	a, b := NewID(), NewID()
	if a == b || !validID(a) || !validID(b) {
		t.Errorf("got %q and %q, want two valid names", a, b)
	}
}

// An id comes from the config, where it may have been edited.
func TestBadID(t *testing.T) {
	s := &Stores{Dir: t.TempDir(), Passphrase: says("x"), look: open}
	for _, id := range []string{"", "short", "../../../../etc/passwd", "-aaaaaaaaaaaaaaaaaaaa", "AAAAAAAAAAAAAAAAAAAAA", "aaaaaaaaaaaaaaaaaaa\n", strings.Repeat("a", 65)} {
		for _, store := range []string{StoreKeychain, StoreFile} {
			ref := Ref{Store: store, ID: id}
			_, keyErr := s.Key(t.Context(), ref)
			for _, err := range []error{keyErr, s.Put(t.Context(), ref, newKey(t)), s.Delete(t.Context(), ref)} {
				if err == nil || !strings.Contains(err.Error(), "is no key id") {
					t.Errorf("%s %q: got %v, want it refused", store, id, err)
				}
			}
		}
	}
}

func TestUnknownStore(t *testing.T) {
	s, ref := &Stores{}, Ref{Store: "floppy", ID: NewID()}
	_, keyErr := s.Key(t.Context(), ref)
	for _, err := range []error{keyErr, s.Check(t.Context(), "floppy"), s.Put(t.Context(), ref, newKey(t)), s.Delete(t.Context(), ref)} {
		if err == nil || err.Error() != `unknown key store "floppy"` {
			t.Errorf(`got %v, want unknown key store "floppy"`, err)
		}
	}
}

func TestPEMIsNeverWritten(t *testing.T) {
	path := t.TempDir() + "/key.pem"
	data := ed25519PEM(t)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	s, ref := &Stores{}, Ref{Store: StorePEM, Path: path}
	if err := s.Put(t.Context(), ref, newKey(t)); err == nil {
		t.Error("Put: got nil, want an error")
	}
	if err := s.Delete(t.Context(), ref); err == nil {
		t.Error("Delete: got nil, want an error")
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != string(data) {
		t.Errorf("the key file changed: %v", err)
	}
}
