package jose_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"sfcred/keychain/jose"
)

func TestPublicPEM(t *testing.T) {
	for name, key := range generated() {
		got, err := jose.PublicPEM(key.Public())
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if want := publicPEM(key.Public()); !bytes.Equal(got, want) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
}

func TestPublicJWK(t *testing.T) {
	for name, key := range generated() {
		pub := key.Public()
		for _, alg := range append(jose.Algorithms(pub), "") {
			text, err := jose.PublicJWK(pub, alg)
			if err != nil {
				t.Errorf("%s, %q: %v", name, alg, err)
				continue
			}
			if alg == "" {
				alg = jose.Algorithms(pub)[0]
			}
			// jwkOf has what package jwk makes of the key alone.
			want := with(jwkOf(pub), map[string]any{"alg": alg, "use": "sig"})
			if !bytes.Equal(text, want) {
				t.Errorf("%s, %s: got %s, want %s", name, alg, text, want)
			}
			if again, err := jose.ParsePublic(text); err != nil || !equalPublic(again, pub) {
				t.Errorf("%s, %s: read as %v, %v, want the same key", name, alg, again, err)
			}
		}
	}
}

// A JWK of a key as it is written for people, byte by byte.
func TestPublicJWKBytes(t *testing.T) {
	got, err := jose.PublicJWK(ed().Public(), "EdDSA")
	want := `{"alg":"EdDSA","crv":"Ed25519","kty":"OKP","use":"sig","x":"` + encode(ed()[32:]) + `"}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

// The coordinates of a point are as long as the curve (RFC 7518 section
// 6.2.1.2), also where they begin with zeros: one key in 256.
func TestPublicJWKKeepsZeros(t *testing.T) {
	for {
		key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
		point := must(key.PublicKey.Bytes())
		if point[1] != 0 {
			continue
		}
		var members struct{ X, Y string }
		if err := json.Unmarshal(must(jose.PublicJWK(&key.PublicKey, "")), &members); err != nil {
			t.Fatal(err)
		}
		if members.X != encode(point[1:33]) || members.Y != encode(point[33:]) {
			t.Errorf("got x %s, y %s, want %s, %s", members.X, members.Y, encode(point[1:33]), encode(point[33:]))
		}
		return
	}
}

func TestEncodeRefuses(t *testing.T) {
	short := must(rsa.GenerateKey(rand.Reader, 1024))
	for _, test := range []struct {
		name string
		pub  crypto.PublicKey
		want string
	}{
		{"nothing", nil, "a key of an unsupported kind"},
		{"private", rsa2048(), "a key of an unsupported kind"},
		{"short", &short.PublicKey, "at least 2048 are needed"},
		{"of one bit set far up", &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 2047), E: 3}, "out of range"},
	} {
		if got, err := jose.PublicPEM(test.pub); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("PEM of %s: got %q, %v, want %q", test.name, got, err, test.want)
		}
		if got, err := jose.PublicJWK(test.pub, ""); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("JWK of %s: got %q, %v, want %q", test.name, got, err, test.want)
		}
	}
	for _, alg := range []string{"ES256", "HS256", "none", "rs256"} {
		got, err := jose.PublicJWK(rsa2048().Public(), alg)
		if want := `"` + alg + `" does not fit the key (RSA 2048)`; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
}
