package jose_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/lestrrat-go/jwx/v2/jwk"

	"sfcred/keychain/jose"
)

// passphrase opens every encrypted fixture.
const passphrase = "correct horse"

// Generated once for all tests; a panic names what failed.
var (
	rsa2048 = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	rsa3072 = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 3072)) })
	ec256   = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	ec384   = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)) })
	ec521   = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)) })
	ed      = sync.OnceValue(func() ed25519.PrivateKey {
		return ed25519.NewKeyFromSeed([]byte("a seed of thirty-two bytes, fixed")[:32])
	})
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// generated is one key of each kind.
func generated() map[string]crypto.Signer {
	return map[string]crypto.Signer{
		"RSA 2048": rsa2048(), "RSA 3072": rsa3072(),
		"EC 256": ec256(), "EC 384": ec384(), "EC 521": ec521(), "Ed25519 256": ed(),
	}
}

func pkcs8(key any) []byte {
	return encodePEM("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(key)))
}

func encodePEM(label string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der})
}

// jwkOf returns a key as JWK members, for a test to change.
func jwkOf(key any) map[string]any {
	var members map[string]any
	if err := json.Unmarshal(must(json.Marshal(must(jwk.FromRaw(key)))), &members); err != nil {
		panic(err)
	}
	return members
}

// with returns the JSON of members after changes; nil takes a member out.
func with(members map[string]any, changes map[string]any) []byte {
	changed := map[string]any{}
	for _, m := range []map[string]any{members, changes} {
		for name, value := range m {
			changed[name] = value
			if value == nil {
				delete(changed, name)
			}
		}
	}
	return must(json.Marshal(changed))
}

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func parse(t testing.TB, data []byte) *jose.File {
	t.Helper()
	file, err := jose.Parse(data, nil)
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return file
}

func keyOf(t testing.TB, raw any) *jose.Key {
	t.Helper()
	return parse(t, pkcs8(raw)).Key
}

func equalPublic(a, b crypto.PublicKey) bool {
	return a.(interface{ Equal(crypto.PublicKey) bool }).Equal(b)
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
