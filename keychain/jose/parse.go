package jose

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxInput is the size in bytes of the largest key file that is read: the text
// of an RSA key of 8192 bits with a chain of certificates fits four times.
const maxInput = 64 << 10

// ErrEncrypted is returned by [Parse] when the key is encrypted and there is
// nobody to ask for its passphrase.
var ErrEncrypted = errors.New("the key is encrypted and no passphrase is given")

// EncryptedError is the [ErrEncrypted] of [Parse], with what the file says
// without its passphrase.
type EncryptedError struct {
	ClientID string // as in File
	Format   string // as in File
}

func (e *EncryptedError) Error() string { return ErrEncrypted.Error() }

// Unwrap returns [ErrEncrypted].
func (e *EncryptedError) Unwrap() error { return ErrEncrypted }

// ErrPassphrase is returned by [Parse] when the passphrase does not open the
// key. The formats cannot tell a wrong passphrase from some kinds of damage.
var ErrPassphrase = errors.New("wrong passphrase for the encrypted key")

// File is what a key file held.
type File struct {
	Key      *Key
	ClientID string // the line before a PEM, or "client_id" in JSON; or ""
	KeyID    string // "kid" of a JWK; or ""
	Alg      string // "alg" of a JWK, if it is one of [Algorithms] of the key; or ""
	Format   string // for people: "PKCS#1 PEM", "OpenSSH", "JWK", …
}

// Parse reads a private key of at most 64 KiB: PEM (PKCS#1, PKCS#8, SEC 1,
// plain or encrypted, and OpenSSH), also after a line with the client ID, also
// with "\n" written out; a JWK, a JWKS with one private key, or
// {"client_id": …, "secret": JWK}. It checks the key whole, and calls
// passphrase at most once, only for a key that is encrypted. A nil passphrase
// says that there is none: an [EncryptedError]. Other branches are [ErrPassphrase]
// and what passphrase returned. Everything that is not a private key is
// refused by its name, and no error repeats any of data.
func Parse(data []byte, passphrase func() ([]byte, error)) (*File, error) {
	file, err := Load(data, passphrase)
	if err != nil {
		return nil, err
	}
	if err := file.Key.try(); err != nil {
		return nil, fmt.Errorf("parse key: %w", err)
	}
	return file, nil
}

// Load is [Parse] without the trial signature, which takes as long as the one
// that is wanted: for a key file that Parse has seen before, and for signatures
// that are verified one by one, as [Assertion.Sign] does.
func Load(data []byte, passphrase func() ([]byte, error)) (*File, error) {
	file, err := parse(data, passphrase)
	if err != nil {
		return nil, fmt.Errorf("parse key: %w", err)
	}
	return file, nil
}

func parse(data []byte, passphrase func() ([]byte, error)) (*File, error) {
	text, err := textOf(data)
	if err != nil {
		return nil, err
	}
	switch {
	case text[0] == '{' || text[0] == '[':
		return parseJSON([]byte(text))
	case strings.Contains(text, pemBegin):
		return parsePEM(text, passphrase)
	case strings.HasPrefix(text, "PuTTY-User-Key-File-"):
		return nil, errors.New("a PuTTY key: convert it to OpenSSH with puttygen")
	case isSSHPublic(text):
		return nil, errPublic
	}
	return nil, errors.New("neither PEM nor JSON")
}

// textOf returns what a key file holds: some text, without what editors and
// environments put around it.
func textOf(data []byte) (string, error) {
	if len(data) > maxInput {
		return "", errors.New("larger than 64 KiB, which no key file is")
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return "", errors.New("UTF-16 text: save it as UTF-8") // PowerShell's ">"
	}
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		return "", errors.New("a binary file, such as DER or PKCS#12: convert it to PEM")
	}
	text := unquote(strings.TrimSpace(strings.TrimPrefix(string(data), "\uFEFF")))
	if text == "" {
		return "", errors.New("empty")
	}
	return text, nil
}

// unquote takes off the quotes that a value brings from a JSON file or from an
// environment file.
func unquote(text string) string {
	var s string
	if strings.HasPrefix(text, `"`) && json.Unmarshal([]byte(text), &s) == nil {
		return strings.TrimSpace(s)
	}
	for _, quote := range []string{`"`, `'`} {
		if len(text) >= 2 && strings.HasPrefix(text, quote) && strings.HasSuffix(text, quote) {
			return strings.TrimSpace(text[1 : len(text)-1])
		}
	}
	return text
}

// IsClientID reports whether s may be a client ID: 1 to 128 letters, digits
// and ._~-@:/+=% (an identifier or a URL), the first a letter or digit. So
// comments, dashes and headings with spaces are none.
func IsClientID(s string) bool {
	for i, c := range []byte(s) {
		isAlnum := '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !isAlnum && (i == 0 || !strings.ContainsRune("._~-@:/+=%", rune(c))) {
			return false
		}
	}
	return 0 < len(s) && len(s) <= 128
}
