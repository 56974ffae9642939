package keychain

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// hardWork recognises an age file that asks for more than a moment of scrypt.
var hardWork = regexp.MustCompile(`-> scrypt \S+ (1\d|2\d|\d{3,})`)

// A key file opens to what was sealed in it, or not at all, whatever has become
// of it; and what is no key file says so in an Error that repeats nothing of it.
func FuzzUnseal(f *testing.F) {
	const text, passphrase = "sfcred1:the text of a key", "correct horse"
	sealed, err := (&Stores{workFactor: 1}).seal(f.Context(), "x", text, passphrase)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed, passphrase)
	f.Add(sealed, "wrong horse")
	f.Add(sealed[:len(sealed)-1], passphrase)
	f.Add(append(bytes.Clone(sealed), 0), passphrase)
	f.Add([]byte("age-encryption.org/v1\n-> scrypt AAAAAAAAAAAAAAAAAAAAAA 1\n"), passphrase)
	f.Add([]byte("age-encryption.org/v1\n-> X25519 AAAA\nAAAA\n--- AAAA\n"), passphrase)
	f.Fuzz(func(t *testing.T, file []byte, phrase string) {
		if hardWork.Match(file) || phrase == "" {
			return
		}
		got, err := unseal(t.Context(), "x", file, phrase)
		if err == nil {
			if got != text || phrase != passphrase {
				t.Fatalf("%q opened to %q", phrase, got)
			}
			return
		}
		var known *Error
		if !errors.As(err, &known) || known.Store != StoreFile || got != "" {
			t.Fatalf("got %q, %v", got, err)
		}
		if bytes.Equal(file, sealed) && phrase == passphrase {
			t.Fatal(err)
		}
	})
}

// A passphrase is what its file holds without the line's end, so that a file
// that an editor or echo has made works, and none that nobody could type.
func FuzzReadPassphrase(f *testing.F) {
	for _, text := range []string{"correct horse", "correct horse\n", "x\r\n", "\n", "", " x ", "x\ny\n", "\x00", "\n\n"} {
		f.Add([]byte(text))
	}
	path := filepath.Join(f.TempDir(), "passphrase")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadPassphrase(t.Context(), path)
		switch {
		case len(text) > maxPassphrase:
			if err == nil || got != nil {
				t.Fatalf("%d bytes: got %d bytes, %v", len(text), len(got), err)
			}
		case err != nil:
			t.Fatal(err)
		case !bytes.HasPrefix(text, got) || len(bytes.Trim(text[len(got):], "\r\n")) != 0 || bytes.HasSuffix(got, []byte("\n")) || bytes.HasSuffix(got, []byte("\r")):
			t.Fatalf("%q: got %q", text, got)
		}
	})
}
