package jose_test

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"sfcred/keychain/jose"
)

// What Parse takes comes back from its text as the same key, and is that key to
// whichever of the standard parsers can read it too; what it refuses gives no
// value, and no line of the file in the error.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.p*")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		f.Add(must(os.ReadFile(name)))
	}
	f.Add(encodePEM("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(ec384()))))
	f.Add(with(jwkOf(rsa2048()), map[string]any{"p": nil, "q": nil, "dp": nil, "dq": nil, "qi": nil}))
	for _, key := range generated() {
		members := with(jwkOf(key), map[string]any{"kid": "k1"})
		f.Add(members)
		f.Add(fmt.Appendf(nil, `{"keys":[%s]}`, members))
		f.Add(fmt.Appendf(nil, `{"client_id":"abc","secret":%s}`, members))
		f.Add(fmt.Appendf(nil, "abc\n%s", pkcs8(key)))
		f.Add(fmt.Appendf(nil, "%q", pkcs8(key)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := jose.Parse(data, nil)
		if err != nil {
			if file != nil {
				t.Fatalf("both a file and the error %v", err)
			}
			for line := range strings.Lines(string(data)) {
				if line = strings.TrimSpace(line); len(line) >= 24 && !strings.HasPrefix(line, "-----") && strings.Contains(err.Error(), line[:24]) {
					t.Fatalf("%q repeats %q", err, line)
				}
			}
			return
		}
		for _, public := range standard(data) {
			if !equalPublic(public, file.Key.Public()) {
				t.Fatalf("it is another key than the one that %T is read as", public)
			}
		}
		again, err := jose.ParseText(file.Key.Text())
		if err != nil {
			t.Fatalf("accepted, but its text is not: %v", err)
		}
		if !equalPublic(again.Public(), file.Key.Public()) {
			t.Error("the text gives another key")
		}
		if len(jose.Algorithms(file.Key.Public())) == 0 {
			t.Error("accepted, but no algorithm fits")
		}
	})
}

// A key has one text: what ParseText takes, Text writes.
func FuzzParseText(f *testing.F) {
	for _, key := range generated() {
		text := keyOf(f, key).Text()
		f.Add(text)
		f.Add(text[:len(text)-12])
	}
	f.Add("sfcred1:RSA:AQAB::")
	f.Fuzz(func(t *testing.T, text string) {
		// The fuzzer cannot guess a check: try it with the right one too.
		for _, text := range []string{text, checked(text)} {
			key, err := jose.ParseText(text)
			if (key == nil) == (err == nil) {
				t.Fatalf("got %v, %v, want one of them", key, err)
			}
			if err == nil && key.Text() != text {
				t.Error("another text than the one that was read")
			}
		}
	})
}

// What ParsePublic takes is written as PEM that it reads as the same key; what
// it refuses gives no key.
func FuzzParsePublic(f *testing.F) {
	for _, key := range generated() {
		for _, data := range publicForms(key.Public()) {
			f.Add(data)
		}
		f.Add(pkcs8(key))
	}
	f.Add(fixture(f, "refused.certificate.pem"))
	f.Add(fmt.Appendf(nil, "# mine\nrestrict,from=\"*\" %s me@here", publicLine(ec256().Public())))
	f.Fuzz(func(t *testing.T, data []byte) {
		pub, err := jose.ParsePublic(data)
		if err != nil {
			if pub != nil {
				t.Fatalf("both a key and the error %v", err)
			}
			return
		}
		if len(jose.Algorithms(pub)) == 0 {
			t.Error("accepted, but no algorithm fits")
		}
		text, err := jose.PublicPEM(pub)
		if err != nil {
			t.Fatalf("accepted, but not written: %v", err)
		}
		if again, err := jose.ParsePublic(text); err != nil || !equalPublic(again, pub) {
			t.Errorf("its PEM gives %v, %v, want the same key", again, err)
		}
		text, err = jose.PublicJWK(pub, "")
		if err != nil {
			t.Fatalf("accepted, but not written as JWK: %v", err)
		}
		if again, err := jose.ParsePublic(text); err != nil || !equalPublic(again, pub) {
			t.Errorf("its JWK gives %v, %v, want the same key", again, err)
		}
	})
}

// What opens with a passphrase is a key as any other, the one that is said beside
// it where something is; it is asked for once at most, and only where the file
// says that it is encrypted.
func FuzzEncrypted(f *testing.F) {
	files, err := filepath.Glob("testdata/*encrypted*.p*")
	more, err2 := filepath.Glob("testdata/*legacy*.p*")
	if err != nil || err2 != nil || len(files) == 0 || len(more) == 0 {
		f.Fatal(err, err2, files, more)
	}
	for _, name := range append(files, more...) {
		f.Add(must(os.ReadFile(name)), passphrase)
	}
	f.Add(fixture(f, "ec256.legacy-aes128.pem"), "wrong")
	f.Fuzz(func(t *testing.T, data []byte, phrase string) {
		if strings.Contains(string(data), "OPENSSH") || hardWork(data) {
			return // it may ask for seconds of work, as a person may have wanted
		}
		asked := 0
		file, err := jose.Load(data, func() ([]byte, error) { asked++; return []byte(phrase), nil })
		if (file == nil) == (err == nil) || asked > 1 {
			t.Fatalf("got %v, %v, asked %d times", file, err, asked)
		}
		if _, plainErr := jose.Load(data, nil); (asked == 1) != errors.Is(plainErr, jose.ErrEncrypted) {
			t.Fatalf("asked %d times; without anybody to ask: %v", asked, plainErr)
		}
		if err != nil {
			return
		}
		again, err := jose.ParseText(file.Key.Text())
		if err != nil || !equalPublic(again.Public(), file.Key.Public()) {
			t.Fatalf("its text gives %v, %v", again, err)
		}
		if strings.HasPrefix(file.Format, "encrypted") != (asked == 1) {
			t.Errorf("asked %d times for %s", asked, file.Format)
		}
	})
}

// hardWork says whether a PEM has a large number in it, which may be that of the
// iterations of PBKDF2.
func hardWork(data []byte) bool {
	const most = 10_000
	text := bytes.ReplaceAll(data, []byte(`\n`), []byte("\n"))
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		var look func(der []byte) bool
		look = func(der []byte) bool {
			for len(der) > 0 {
				var value asn1.RawValue
				rest, err := asn1.Unmarshal(der, &value)
				if err != nil {
					return false
				}
				n := new(big.Int).SetBytes(value.Bytes) // of RSA they are larger
				if value.Tag == asn1.TagInteger && n.IsInt64() && n.Int64() > most || value.IsCompound && look(value.Bytes) {
					return true
				}
				der = rest
			}
			return false
		}
		if look(block.Bytes) {
			return true
		}
	}
	return false
}

// standard gives the public key of the only private key among the blocks of a PEM,
// as crypto/x509 and x/crypto/ssh read it, each by itself.
func standard(data []byte) (keys []crypto.PublicKey) {
	var only *pem.Block
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n", `\r\n`, "\n", `\n`, "\n").Replace(string(data))
	for block, rest := pem.Decode([]byte(text)); block != nil; block, rest = pem.Decode(rest) {
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		if only != nil {
			return nil
		}
		only = block
	}
	if only == nil {
		return nil
	}
	add := func(key any, err error) {
		if err != nil {
			return
		}
		switch key := key.(type) {
		case *ed25519.PrivateKey:
			keys = append(keys, key.Public())
		case *ecdh.PrivateKey: // X25519, which is refused
		case crypto.Signer:
			keys = append(keys, key.Public())
		}
	}
	add(x509.ParsePKCS8PrivateKey(only.Bytes))
	if key, err := x509.ParsePKCS1PrivateKey(only.Bytes); err == nil {
		add(key, nil)
	}
	if key, err := x509.ParseECPrivateKey(only.Bytes); err == nil {
		add(key, nil)
	}
	add(ssh.ParseRawPrivateKey(pem.EncodeToMemory(only)))
	return keys
}
