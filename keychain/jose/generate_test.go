package jose_test

import (
	"slices"
	"strings"
	"testing"

	"sfcred/keychain/jose"
)

func TestGenerate(t *testing.T) {
	for _, test := range []struct {
		alg  string
		bits int
		want string // type and bits; or what the error says
	}{
		{"RS256", 0, "RSA 2048"},
		{"RS384", 2048, "RSA 2048"},
		{"RS512", 0, "RSA 2048"},
		{"PS256", 3072, "RSA 3072"},
		{"PS384", 0, "RSA 2048"},
		{"PS512", 0, "RSA 2048"},
		{"ES256", 0, "EC 256"},
		{"ES256", 256, "EC 256"},
		{"ES384", 384, "EC 384"},
		{"ES512", 521, "EC 521"},
		{"EdDSA", 0, "Ed25519 256"},
		{"EdDSA", 256, "Ed25519 256"},

		{"RS256", 1024, "an RSA key of 1024 bits: at least 2048 are needed"},
		{"RS256", -1, "an RSA key of -1 bits: at least 2048 are needed"},
		{"PS256", 16384, "an RSA key of 16384 bits: at most 8192 are supported"},
		{"ES256", 384, "a key of 384 bits: a key for ES256 always has 256"},
		{"ES512", 512, "a key of 512 bits: a key for ES512 always has 521"},
		{"EdDSA", 2048, "a key of 2048 bits: a key for EdDSA always has 256"},
		{"HS256", 0, `algorithm "HS256" is none of RS256, RS384, `},
		{"", 0, `algorithm "" is none of RS256, RS384, `},
	} {
		key, err := jose.Generate(test.alg, test.bits)
		if (key == nil) == (err == nil) {
			t.Errorf("%s, %d bits: got %v, %v, want one of them", test.alg, test.bits, key, err)
			continue
		}
		if err != nil {
			if !strings.HasPrefix(err.Error(), "generate key: "+test.want) {
				t.Errorf("%s, %d bits: got error %q, want %q", test.alg, test.bits, err, test.want)
			}
			continue
		}
		if got, _, _ := strings.Cut(key.String(), " key"); got != test.want {
			t.Errorf("%s, %d bits: got %s, want %s", test.alg, test.bits, got, test.want)
		}
		if !slices.Contains(jose.Algorithms(key.Public()), test.alg) {
			t.Errorf("%s, %d bits: the key does not fit", test.alg, test.bits)
		}
		again, err := jose.ParseText(key.Text())
		if err != nil || !equalPublic(again.Public(), key.Public()) {
			t.Errorf("%s, %d bits: stored, it comes back as %v, %v", test.alg, test.bits, again, err)
		}
	}
}

// Keys are not made twice.
func TestGenerateIsRandom(t *testing.T) {
	for _, alg := range []string{"ES256", "EdDSA", "RS256"} {
		if a, b := must(jose.Generate(alg, 0)), must(jose.Generate(alg, 0)); equalPublic(a.Public(), b.Public()) {
			t.Errorf("%s: the same key twice", alg)
		}
	}
}
