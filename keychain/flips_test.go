package keychain

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/zalando/go-keyring"

	"sfcred/keychain/disk/disktest"
)

// plant puts a file in place. The old one goes first: file systems wait for the
// disk where it is cut short and written anew.
func plant(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// No damage to a byte of an encrypted key file yields a key; it stays as it is,
// and is not written over.
func TestFlipsKeyFile(t *testing.T) {
	s := fileStores(t)
	ref, path := putKey(t, s)
	other := newKey(t)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged, passphrase, keys, changed := 0, 0, 0, 0
	for what, text := range disktest.All(good) {
		plant(t, path, text)
		key, err := s.Key(t.Context(), ref)
		switch {
		case key == nil && errors.Is(err, ErrDamaged):
			damaged++
		case key == nil && errors.Is(err, ErrPassphrase):
			passphrase++
		default:
			keys++
			t.Errorf("%s: got %v, %v, want ErrDamaged or ErrPassphrase", what, key, err)
		}
		if s.Put(t.Context(), ref, other) == nil {
			t.Errorf("%s: another key was put over it", what)
		}
		if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, text) {
			changed++
			t.Errorf("%s: the file was changed", what)
		}
	}
	t.Logf("encrypted key file, %d bytes: %d damages told, %d taken for a wrong passphrase, %d read as a key, %d files changed", len(good), damaged, passphrase, keys, changed)
}

// No damage to an entry of the keychain yields a key.
func TestFlipsKeychainEntry(t *testing.T) {
	keyring.MockInit()
	s, ref, key := &Stores{look: open}, Ref{Store: StoreKeychain, ID: NewID()}, rsaKey(t, 2048)
	if err := s.Put(t.Context(), ref, key); err != nil {
		t.Fatal(err)
	}
	damages, keys, other := 0, 0, newKey(t)
	for what, text := range disktest.All([]byte(key.Text())) {
		if err := keyring.Set(service, ref.ID, string(text)); err != nil {
			t.Fatal(err)
		}
		damages++
		if got, err := s.Signer(t.Context(), ref); got != nil || !errors.Is(err, ErrDamaged) {
			keys++
			t.Errorf("%s: got %v, %v, want ErrDamaged", what, got, err)
		}
		if s.Put(t.Context(), ref, other) == nil {
			t.Errorf("%s: another key was put over it", what)
		}
	}
	t.Logf("keychain entry, RSA, %d bytes: %d damages, %d read as a key", len(key.Text()), damages, keys)
}

// A damaged passphrase file opens nothing, unless it is only its line's end.
func TestFlipsPassphraseFile(t *testing.T) {
	s := fileStores(t)
	ref, _ := putKey(t, s)
	path := filepath.Join(t.TempDir(), "passphrase")
	s.Passphrase = func(ctx context.Context, _ bool, _ string) ([]byte, error) { return ReadPassphrase(ctx, path) }
	const good = "correct horse\n"
	wrong, same := 0, 0
	for what, text := range disktest.All([]byte(good)) {
		plant(t, path, text)
		_, err := s.Signer(t.Context(), ref)
		// HMAC fills a short key up with zeros (RFC 2104 section 2), so that those
		// at its end do not make another passphrase for scrypt.
		rightful := string(bytes.TrimRight(bytes.TrimRight(text, "\r\n"), "\x00")) == "correct horse" && len(text) < 64
		switch {
		case err == nil && rightful:
			same++
		case errors.Is(err, ErrPassphrase) && !rightful:
			wrong++
		default:
			t.Errorf("%s: got %v", what, err)
		}
	}
	t.Logf("passphrase file, %d bytes: %d damages are a wrong passphrase, %d the same one", len(good), wrong, same)
}
