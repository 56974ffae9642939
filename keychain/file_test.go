package keychain

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"filippo.io/age"
)

// quick is a work factor for tests; the real one takes most of a second.
const quick = 2

func fileStores(t *testing.T) *Stores {
	t.Helper()
	return &Stores{Dir: filepath.Join(t.TempDir(), "sfcred", "keys"), Passphrase: says("correct horse"), workFactor: quick}
}

// putKey stores a new key and returns where it is.
func putKey(t *testing.T, s *Stores) (ref Ref, path string) {
	t.Helper()
	ref = Ref{Store: StoreFile, ID: NewID()}
	if err := s.Put(t.Context(), ref, newKey(t)); err != nil {
		t.Fatal(err)
	}
	return ref, filepath.Join(s.Dir, ref.ID+".age")
}

func TestFile(t *testing.T) {
	s := fileStores(t)
	if err := s.Check(t.Context(), StoreFile); err != nil {
		t.Errorf("Check: got %v, want nil", err)
	}
	if _, err := os.Stat(s.Dir); !os.IsNotExist(err) {
		t.Errorf("got %v, want the directory not made by Check", err)
	}
	roundTrip(t, s, StoreFile, newKey(t))
	roundTrip(t, s, StoreFile, rsaKey(t, 4096))
}

// The file is age's format at age's own cost, so that age can open it.
func TestFileIsAge(t *testing.T) {
	data, err := (&Stores{}).seal(t.Context(), "x", "canary", "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	header, _, _ := bytes.Cut(data, []byte("\n---"))
	lines := strings.Split(string(header), "\n")
	if len(lines) < 2 || lines[0] != "age-encryption.org/v1" || !strings.HasPrefix(lines[1], "-> scrypt ") || !strings.HasSuffix(lines[1], " 18") {
		t.Errorf("got header %q, want age with scrypt at work factor 18", header)
	}
	if bytes.Contains(data, []byte("canary")) {
		t.Error("the key is in the file in clear")
	}
}

func TestFilePassphrase(t *testing.T) {
	s := fileStores(t)
	ref, path := putKey(t, s)

	s.Passphrase = says("wrong horse")
	_, err := s.Signer(t.Context(), ref)
	wantError(t, err, ErrPassphrase, strconv.Quote(path))
	if strings.Contains(err.Error(), "horse") {
		t.Errorf("got %q, want it without the passphrase", err)
	}
	s.Passphrase = says("")
	_, err = s.Signer(t.Context(), ref)
	wantError(t, err, ErrPassphrase, "is empty")
	wantError(t, s.Put(t.Context(), Ref{Store: StoreFile, ID: NewID()}, newKey(t)), ErrPassphrase, "is empty")

	s.Passphrase = nil
	_, err = s.Signer(t.Context(), ref)
	wantError(t, err, ErrLocked, "nobody to ask")
	wantError(t, s.Check(t.Context(), StoreFile), ErrLocked, "nobody to ask")

	gone := errors.New("the terminal is gone")
	s.Passphrase = func(context.Context, bool, string) ([]byte, error) { return nil, gone }
	if _, err := s.Signer(t.Context(), ref); !errors.Is(err, gone) {
		t.Errorf("got %v, want %v", err, gone)
	}
}

// A new passphrase is confirmed, and asked for once although it is used twice.
func TestFileAsksOnce(t *testing.T) {
	var asked []bool
	s := fileStores(t)
	s.Passphrase = func(_ context.Context, confirm bool, what string) ([]byte, error) {
		asked = append(asked, confirm)
		if !strings.HasPrefix(what, "key file ") {
			t.Errorf("asked for the passphrase of %q, want of a key file", what)
		}
		return []byte("x"), nil
	}
	ref, _ := putKey(t, s)
	if _, err := s.Signer(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	if len(asked) != 2 || !asked[0] || asked[1] {
		t.Errorf("got asked %v, want [true false]", asked)
	}
	if _, err := s.Signer(t.Context(), Ref{Store: StoreFile, ID: NewID()}); err == nil || len(asked) != 2 {
		t.Errorf("missing file: got %v, asked %v, want an error and no question", err, asked)
	}
}

// What is no encrypted key file is not blamed on the passphrase.
func TestFileForeign(t *testing.T) {
	s := fileStores(t)
	ref, path := putKey(t, s)
	for _, data := range []string{"", "hello", string(ed25519PEM(t)), toX25519(t)} {
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		if key, err := s.Key(t.Context(), ref); key != nil || !errors.Is(err, ErrDamaged) {
			t.Errorf("foreign file: got %v, %v, want ErrDamaged", key, err)
		}
	}
}

// A key that a killed writer had begun to write goes with its id; those of others
// stay.
func TestFileDeleteLeavesNothing(t *testing.T) {
	s := fileStores(t)
	ref, path := putKey(t, s)
	other, otherPath := putKey(t, s)
	for _, p := range []string{path, otherPath} {
		if err := os.WriteFile(filepath.Join(s.Dir, ".tmp-"+filepath.Base(p)+"123456"), []byte("age-encryption.org"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Delete(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(s.Dir); err != nil || len(left) != 2 {
		t.Errorf("got %v, %v, want the other key's two files", left, err)
	}
	// Where it got no further than that.
	if err := os.Remove(otherPath); err != nil {
		t.Fatal(err)
	}
	wantError(t, s.Delete(t.Context(), other), ErrNotFound, otherPath)
	if left, err := os.ReadDir(s.Dir); err != nil || len(left) != 0 {
		t.Errorf("got %v, %v, want no file left", left, err)
	}
}

// toX25519 returns an age file for a key pair: no passphrase opens it.
func toX25519(t *testing.T) string {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := age.Encrypt(&out, identity.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "x"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// A planted file may not cost hours of work: 2^30 would.
func TestFileWorkFactor(t *testing.T) {
	s := fileStores(t)
	ref, path := putKey(t, s)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	first, rest, _ := strings.Cut(string(good), " 2\n")
	for _, factor := range []string{"21", "30"} {
		if err := os.WriteFile(path, []byte(first+" "+factor+"\n"+rest), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := s.Key(t.Context(), ref)
		wantError(t, err, ErrDamaged, strconv.Quote(path))
	}
}

// The content was sealed with the right passphrase, but it is no key.
func TestFileHoldsNoKey(t *testing.T) {
	s := fileStores(t)
	ref := Ref{Store: StoreFile, ID: NewID()}
	if err := s.putFile(t.Context(), ref.ID, "canary"); err != nil {
		t.Fatal(err)
	}
	_, err := s.Key(t.Context(), ref)
	wantError(t, err, ErrDamaged, ref.ID)
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("got %q, want it without the content", err)
	}
}

func TestFileEndsWithContext(t *testing.T) {
	s := fileStores(t)
	ref, path := putKey(t, s)
	// Work that outlasts the deadline: 2^18 takes most of a second.
	s.workFactor = 0
	wantError(t, s.Put(soon(t), Ref{Store: StoreFile, ID: NewID()}, newKey(t)), ErrTimeout, "not enough time")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Key(ctx, ref); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if names, _ := os.ReadDir(s.Dir); len(names) != 1 || filepath.Join(s.Dir, names[0].Name()) != path {
		t.Errorf("got files %v, want only %s", names, path)
	}
}

func TestFileNoDirectory(t *testing.T) {
	s := &Stores{Passphrase: says("x"), workFactor: quick}
	ref := Ref{Store: StoreFile, ID: NewID()}
	_, keyErr := s.Key(t.Context(), ref)
	for _, err := range []error{keyErr, s.Check(t.Context(), StoreFile), s.Put(t.Context(), ref, newKey(t)), s.Delete(t.Context(), ref)} {
		wantError(t, err, ErrUnavailable, "no directory")
	}
	// A file is where a directory should be.
	s.Dir = filepath.Join(t.TempDir(), "file", "keys")
	if err := os.WriteFile(filepath.Dir(s.Dir), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantError(t, s.Check(t.Context(), StoreFile), ErrUnavailable, strconv.Quote(s.Dir))
}
