package jose_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"sfcred/keychain/jose"
)

// fingerprints are what ssh-keygen prints for the fixtures, by file name.
func fingerprints(t *testing.T) map[string]string {
	prints := map[string]string{}
	for line := range strings.Lines(string(fixture(t, "fingerprints.txt"))) {
		if name, print, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name != "#" {
			prints[name] = print
		}
	}
	return prints
}

// formatOfFixture says what Parse calls a fixture, by its name.
func formatOfFixture(name string) string {
	for _, f := range []struct{ part, format string }{
		{".encrypted.openssh.", "encrypted OpenSSH"},
		{".openssh.", "OpenSSH"},
		{".encrypted-pkcs8", "encrypted PKCS#8 PEM"},
		{"ec256.legacy", "encrypted SEC 1 PEM"},
		{"rsa.legacy", "encrypted PKCS#1 PEM"},
		{".sec1.", "SEC 1 PEM"},
		{".pkcs1.", "PKCS#1 PEM"},
	} {
		if strings.Contains(name, f.part) {
			return f.format
		}
	}
	return "PKCS#8 PEM"
}

func TestFixtures(t *testing.T) {
	prints := fingerprints(t)
	entries, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if entry.IsDir() || strings.HasPrefix(name, "refused.") || name == "fingerprints.txt" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			format := formatOfFixture(name)
			asked := 0
			file, err := jose.Parse(fixture(t, name), func() ([]byte, error) { asked++; return []byte(passphrase), nil })
			if err != nil {
				t.Fatal(err)
			}
			if got, want := file.Key.Fingerprint(), prints[name]; got != want {
				t.Errorf("fingerprint: got %s, want %s", got, want)
			}
			if file.Format != format {
				t.Errorf("format: got %q, want %q", file.Format, format)
			}
			want := 0
			if strings.HasPrefix(format, "encrypted") {
				want = 1
			}
			if asked != want {
				t.Errorf("asked for the passphrase %d times, want %d", asked, want)
			}
			if id, want := file.ClientID, strings.HasPrefix(name, "client-id."); (id == "abcdefghij123") != want || (id == "") == want {
				t.Errorf("client ID: got %q", id)
			}
		})
	}
}

func TestPassphrase(t *testing.T) {
	lost := errors.New("no terminal")
	for _, name := range []string{
		"rsa.encrypted-pkcs8.pem", "rsa.encrypted-pkcs8-des3-sha512.pem", "ec521.encrypted-pkcs8.pem",
		"rsa.legacy-des3.pem", "rsa.legacy-aes256.pem", "ec256.legacy-aes128.pem",
		"rsa3072.encrypted.openssh.pem", "ed25519.encrypted.openssh.pem",
	} {
		for _, test := range []struct {
			name       string
			passphrase func() ([]byte, error)
			want       error
		}{
			{"none to be had", nil, jose.ErrEncrypted},
			{"wrong", func() ([]byte, error) { return []byte("wrong"), nil }, jose.ErrPassphrase},
			{"empty", func() ([]byte, error) { return nil, nil }, jose.ErrPassphrase},
			{"failed", func() ([]byte, error) { return nil, lost }, lost},
		} {
			file, err := jose.Parse(fixture(t, name), test.passphrase)
			if !errors.Is(err, test.want) || file != nil {
				t.Errorf("%s, passphrase %s: got %v, %v, want %v", name, test.name, file, err, test.want)
			}
		}
	}
}

// A file says what it is, and whose, before it is opened.
func TestEncryptedError(t *testing.T) {
	for _, name := range []string{
		"rsa.encrypted-pkcs8.pem", "rsa.legacy-aes256.pem", "ec256.legacy-aes128.pem", "ed25519.encrypted.openssh.pem",
	} {
		for _, id := range []string{"", "abcdefghij123"} {
			_, err := jose.Parse(append([]byte(id+"\n"), fixture(t, name)...), nil)
			var encrypted *jose.EncryptedError
			if !errors.As(err, &encrypted) {
				t.Errorf("%s: got %v, want an EncryptedError", name, err)
				continue
			}
			if want := (jose.EncryptedError{ClientID: id, Format: formatOfFixture(name)}); *encrypted != want {
				t.Errorf("%s: got %+v, want %+v", name, *encrypted, want)
			}
		}
	}
}

// Of many wrong passphrases some leave padding that looks right.
func TestManyWrongPassphrases(t *testing.T) {
	data := fixture(t, "rsa.legacy-aes256.pem")
	for i := range 2000 {
		wrong := []byte{byte('a' + i%26), byte('a' + i/26%26), byte('a' + i/676)}
		if _, err := jose.Parse(data, func() ([]byte, error) { return wrong, nil }); !errors.Is(err, jose.ErrPassphrase) {
			t.Fatalf("passphrase %q: got %v, want %v", wrong, err, jose.ErrPassphrase)
		}
	}
}

func TestForms(t *testing.T) {
	key := rsa2048()
	pkcs1 := string(encodePEM("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)))
	escaped := strings.ReplaceAll(pkcs1, "\n", `\n`)
	jwkText := string(with(jwkOf(key), map[string]any{"kid": "k1", "alg": "PS256"}))
	public := string(with(jwkOf(&key.PublicKey), map[string]any{"kid": "other"}))
	oct := `{"kty":"oct","k":"c2VjcmV0"}`
	quoted := func(s string) string { return string(must(json.Marshal(s))) }
	certificate := string(fixture(t, "refused.certificate.pem"))
	secret := &jose.File{ClientID: "abc", KeyID: "k1", Alg: "PS256", Format: "client JSON"}
	plainJWK := &jose.File{KeyID: "k1", Alg: "PS256", Format: "JWK"}
	plainPEM := &jose.File{Format: "PKCS#1 PEM"}
	withID := &jose.File{ClientID: "abc", Format: "PKCS#1 PEM"}

	for _, test := range []struct {
		name, data string
		want       *jose.File
	}{
		{"PKCS#1", pkcs1, plainPEM},
		{"PKCS#8", string(pkcs8(key)), &jose.File{Format: "PKCS#8 PEM"}},
		{"no newline at the end", strings.TrimSpace(pkcs1), plainPEM},
		{"CRLF", strings.ReplaceAll(pkcs1, "\n", "\r\n"), plainPEM},
		{"CR", strings.ReplaceAll(pkcs1, "\n", "\r"), plainPEM},
		{"BOM", "\uFEFF" + pkcs1, plainPEM},
		{"blank space around", "\n \t\n" + pkcs1 + "\n \n", plainPEM},
		{"indent of YAML", "  " + strings.ReplaceAll(pkcs1, "\n", "\n  "), plainPEM},
		{`\n written out`, escaped, plainPEM},
		{`\r\n written out`, strings.ReplaceAll(pkcs1, "\n", `\r\n`), plainPEM},
		{`\n in double quotes`, `"` + escaped + `"`, plainPEM},
		{`\n in single quotes`, `'` + escaped + `'` + "\n", plainPEM},
		{"lines in double quotes", `"` + pkcs1 + `"`, plainPEM},
		{"certificate before", certificate + pkcs1, plainPEM},
		{"certificate after", pkcs1 + certificate, plainPEM},

		{"client ID", "abc\n" + pkcs1, withID},
		{"client ID, CRLF, BOM", "\uFEFFabc\r\n\r\n" + strings.ReplaceAll(pkcs1, "\n", "\r\n"), withID},
		{`client ID, \n written out`, `abc\n` + escaped, withID},
		{`client ID, \n written out, quotes`, `"abc\n` + escaped + `"`, withID},
		{"client ID of 128 characters", strings.Repeat("x", 128) + "\n" + pkcs1, &jose.File{ClientID: strings.Repeat("x", 128), Format: "PKCS#1 PEM"}},
		{"client ID that is a URL", "https://example.org/c?x\n" + pkcs1, plainPEM}, // "?" is not in the set
		{"client ID that is a URL without query", "https://example.org/c\n" + pkcs1, &jose.File{ClientID: "https://example.org/c", Format: "PKCS#1 PEM"}},
		{"first line too long", strings.Repeat("x", 129) + "\n" + pkcs1, plainPEM},
		{"first line a comment", "#abc\n" + pkcs1, plainPEM},
		{"first line of words", "my key\n" + pkcs1, plainPEM},
		{"two lines before", "abc\ndef\n" + pkcs1, plainPEM},
		{"Bag Attributes", "Bag Attributes\n    localKeyID: 60 2D\nKey Attributes: <No Attributes>\n" + pkcs1, plainPEM},
		{"not ASCII", "ключ\n" + pkcs1, plainPEM},

		{"JWK", jwkText, plainJWK},
		{"JWK with BOM and space", "\uFEFF \n" + jwkText + "\n", plainJWK},
		{"JWK in quotes", quoted(jwkText), plainJWK},
		{"JWK, alg of another kind of key", string(with(jwkOf(key), map[string]any{"alg": "ES256"})), &jose.File{Format: "JWK"}},
		{"JWK, alg for encryption", string(with(jwkOf(key), map[string]any{"alg": "RSA-OAEP"})), &jose.File{Format: "JWK"}},
		{"JWK without CRT values", string(with(jwkOf(key), map[string]any{"dp": nil, "dq": nil, "qi": nil})), &jose.File{Format: "JWK"}},
		{"JWK of n, e, d", string(with(jwkOf(key), map[string]any{"p": nil, "q": nil, "dp": nil, "dq": nil, "qi": nil})), &jose.File{Format: "JWK"}},
		{"JWK with more members", string(with(jwkOf(key), map[string]any{"use": "sig", "key_ops": []string{"sign"}, "x": 1, "client": "y"})), &jose.File{Format: "JWK"}},
		{"JWKS", `{"keys":[` + jwkText + `]}`, &jose.File{KeyID: "k1", Alg: "PS256", Format: "JWKS"}},
		{"JWKS with other keys", `{"keys":[` + public + `,` + oct + `,` + jwkText + `,7]}`, &jose.File{KeyID: "k1", Alg: "PS256", Format: "JWKS"}},
		{"client JSON", `{"client_id":"abc","secret":` + jwkText + `}`, secret},
		{"client JSON, JWK as string", `{"client_id":"abc","secret":` + quoted(jwkText) + `}`, secret},
		{"client JSON, other name", `{"client_id":"abc","private_key_jwk":` + jwkText + `}`, secret},
		{"client JSON, third name", `{"client_id":"abc","jwk":` + jwkText + `}`, secret},
		{"client JSON, third name, JWK as string", `{"client_id":"abc","jwk":` + quoted(jwkText) + `}`, secret},
		{"client JSON without ID", `{"secret":` + jwkText + `}`, &jose.File{KeyID: "k1", Alg: "PS256", Format: "client JSON"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := parse(t, []byte(test.data))
			if !equalPublic(file.Key.Public(), &key.PublicKey) {
				t.Error("got another key")
			}
			got := *file
			got.Key = nil
			if got != *test.want {
				t.Errorf("got %+v, want %+v", got, *test.want)
			}
		})
	}
}

// Every kind of key comes through PKCS#8 and JWK as the standard library has
// it.
func TestKinds(t *testing.T) {
	for name, want := range generated() {
		for _, data := range [][]byte{pkcs8(want), with(jwkOf(want), nil)} {
			if got := parse(t, data).Key; !equalPublic(got.Public(), want.Public()) {
				t.Errorf("%s: got another key", name)
			}
		}
	}
}

// A private number that begins with zero bytes is shorter in some files.
func TestShortNumbers(t *testing.T) {
	two := append(make([]byte, 31), 2)
	point := must(must(ecdsa.ParseRawPrivateKey(elliptic.P256(), two)).PublicKey.Bytes())
	members := map[string]any{
		"kty": "EC", "crv": "P-256", "d": encode([]byte{2}),
		"x": encode(point[1:33]), "y": encode(point[33:]),
	}
	key := parse(t, with(members, nil)).Key
	if again, err := jose.ParseText(key.Text()); err != nil || !equalPublic(again.Public(), key.Public()) {
		t.Errorf("round trip of the scalar 2: %v", err)
	}
}

func TestBound(t *testing.T) {
	data := pkcs8(ec256())
	fill := bytes.Repeat([]byte("\n"), 64<<10-len(data))
	if _, err := jose.Parse(append(fill, data...), nil); err != nil {
		t.Errorf("64 KiB: %v", err)
	}
}
