package jose_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"

	"sfcred/keychain/jose"
)

var assertion = jose.Assertion{
	ClientID: "abcdefghij123",
	Audience: "https://oidc.example.org/c2id/token",
	ID:       "id-1",
	IssuedAt: time.Unix(1_800_000_000, 999_999_999),
	Expiry:   time.Unix(1_800_000_300, 999_999_999),
}

// verifyJWS is written from RFC 7518 section 3, with none of our code.
func verifyJWS(pub crypto.PublicKey, alg, input string, signature []byte) bool {
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[alg[2:]]
	var digest []byte
	if hash != 0 {
		h := hash.New()
		io.WriteString(h, input)
		digest = h.Sum(nil)
	}
	switch alg[:2] {
	case "RS":
		return rsa.VerifyPKCS1v15(pub.(*rsa.PublicKey), hash, digest, signature) == nil
	case "PS":
		opts := &rsa.PSSOptions{SaltLength: hash.Size()}
		return rsa.VerifyPSS(pub.(*rsa.PublicKey), hash, digest, signature, opts) == nil
	case "ES":
		size := map[string]int{"ES256": 32, "ES384": 48, "ES512": 66}[alg]
		if len(signature) != 2*size {
			return false
		}
		r, s := new(big.Int).SetBytes(signature[:size]), new(big.Int).SetBytes(signature[size:])
		return ecdsa.Verify(pub.(*ecdsa.PublicKey), digest, r, s)
	}
	return ed25519.Verify(pub.(ed25519.PublicKey), []byte(input), signature)
}

func TestAssertion(t *testing.T) {
	for _, raw := range generated() {
		key := keyOf(t, raw)
		for _, alg := range jose.Algorithms(key.Public()) {
			for kid, wantHeader := range map[string]string{
				"":   `{"alg":"` + alg + `","typ":"JWT"}`,
				"k1": `{"alg":"` + alg + `","kid":"k1","typ":"JWT"}`,
			} {
				token, err := assertion.Sign(key.Signer(), alg, kid)
				if err != nil {
					t.Errorf("%s: %v", alg, err)
					continue
				}
				header, claims, signature := split(t, token)
				if header != wantHeader {
					t.Errorf("header: got %s, want %s", header, wantHeader)
				}
				const wantClaims = `{"aud":"https://oidc.example.org/c2id/token","exp":1800000300,"iat":1800000000,` +
					`"iss":"abcdefghij123","jti":"id-1","sub":"abcdefghij123"}`
				if claims != wantClaims {
					t.Errorf("claims: got %s, want %s", claims, wantClaims)
				}
				input := token[:strings.LastIndex(token, ".")]
				if !verifyJWS(raw.Public(), alg, input, signature) {
					t.Errorf("%s: the signature does not verify", alg)
				}
			}
		}
	}
}

func split(t *testing.T, token string) (header, claims string, signature []byte) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("got %d parts, want 3", len(parts))
	}
	var decoded [3][]byte
	for i, part := range parts {
		decoded[i] = must(base64.RawURLEncoding.Strict().DecodeString(part))
	}
	return string(decoded[0]), string(decoded[1]), decoded[2]
}

// r and s have leading zeros in one signature of 128, and keep their width.
func TestFixedWidth(t *testing.T) {
	signer := keyOf(t, ec256()).Signer()
	short := false
	for range 2000 {
		_, _, signature := split(t, must(assertion.Sign(signer, "ES256", "")))
		if len(signature) != 64 {
			t.Fatalf("got a signature of %d bytes, want 64", len(signature))
		}
		if short = signature[0] == 0 || signature[32] == 0; short {
			break
		}
	}
	if !short {
		t.Error("no r or s began with a zero byte in 2000 signatures")
	}
}

// GHSA-4cf7-xm37-g63h: jwx v2 writes names without escaping them. A value that
// looks like the end of a string must stay a value.
func TestValuesStayValues(t *testing.T) {
	key := keyOf(t, ed())
	for _, evil := range []string{
		`x","admin":true,"y":"`, `x\","admin":true`, `\`, `"`, "x\n\x00\u2028<&>", `{"a":1}`, `["a"]`,
	} {
		a := jose.Assertion{ClientID: evil, Audience: evil, ID: evil, IssuedAt: assertion.IssuedAt, Expiry: assertion.Expiry}
		header, claims, _ := split(t, must(a.Sign(key.Signer(), "EdDSA", evil)))
		for _, part := range []struct {
			json string
			want map[string]any
		}{
			{header, map[string]any{"alg": "EdDSA", "typ": "JWT", "kid": evil}},
			{claims, map[string]any{"iss": evil, "sub": evil, "aud": evil, "jti": evil, "iat": 1.8e9, "exp": 1.8e9 + 300}},
		} {
			var got map[string]any
			if err := json.Unmarshal([]byte(part.json), &got); err != nil {
				t.Errorf("%q: %v", part.json, err)
			}
			for name := range got {
				if got[name] != part.want[name] {
					t.Errorf("%q of %q: got %v, want %v", name, part.json, got[name], part.want[name])
				}
			}
			if len(got) != len(part.want) || strings.Count(part.json, `":`) < len(got) {
				t.Errorf("got %d members in %q, want %d", len(got), part.json, len(part.want))
			}
		}
	}
}

func TestAssertionRefuses(t *testing.T) {
	key := keyOf(t, rsa2048())
	const rsaFits = "; what fits is RS256, PS256, RS384, RS512, PS384, PS512"
	small := &device{key: must(rsa.GenerateKey(nil, 1024))}
	change := func(f func(*jose.Assertion)) jose.Assertion { a := assertion; f(&a); return a }
	for _, test := range []struct {
		assertion jose.Assertion
		signer    crypto.MessageSigner
		alg, kid  string
		want      string
	}{
		{assertion, key.Signer(), "ES256", "", `algorithm "ES256" does not fit the key (RSA 2048)` + rsaFits},
		{assertion, key.Signer(), "HS256", "", `algorithm "HS256" does not fit the key (RSA 2048)` + rsaFits},
		{assertion, key.Signer(), "none", "", `algorithm "none" does not fit the key (RSA 2048)` + rsaFits},
		{assertion, small, "", "", `algorithm "" does not fit the key (RSA 1024)`},
		{assertion, keyOf(t, ec384()).Signer(), "ES256", "", `algorithm "ES256" does not fit the key (EC 384); what fits is ES384`},
		{assertion, &device{key: oddSigner{}}, "RS256", "", `algorithm "RS256" does not fit the key (string 0)`},
		{assertion, small, "RS256", "", `algorithm "RS256" does not fit the key (RSA 1024)`},
		{assertion, key.Signer(), "RS256", "\xff", "the key ID is not UTF-8"},
		{change(func(a *jose.Assertion) { a.ClientID = "" }), key.Signer(), "RS256", "", "the client ID is empty"},
		{change(func(a *jose.Assertion) { a.Audience = "" }), key.Signer(), "RS256", "", "the audience is empty"},
		{change(func(a *jose.Assertion) { a.ID = "" }), key.Signer(), "RS256", "", "the ID is empty"},
		{change(func(a *jose.Assertion) { a.ClientID = "\xff" }), key.Signer(), "RS256", "", "the client ID is not UTF-8"},
		{change(func(a *jose.Assertion) { a.Expiry = a.IssuedAt }), key.Signer(), "RS256", "", "the expiry is not after the time of issue"},
	} {
		token, err := test.assertion.Sign(test.signer, test.alg, test.kid)
		if token != "" || err == nil || err.Error() != "sign assertion: "+test.want {
			t.Errorf("got %q, %v, want error %q", token, err, "sign assertion: "+test.want)
		}
	}
}

// device is a signer whose key we cannot see: it has nothing of [jose.Key],
// and like an ssh-agent takes no digest.
type device struct {
	key   crypto.Signer
	spoil func(signature []byte) []byte
	err   error
}

func (d *device) Public() crypto.PublicKey { return d.key.Public() }

func (d *device) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("device: asked to sign a digest")
}

func (d *device) SignMessage(rand io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	if d.err != nil {
		return nil, d.err
	}
	signature, err := crypto.SignMessage(d.key, rand, message, opts)
	if d.spoil != nil {
		signature = d.spoil(signature)
	}
	return signature, err
}

// oddSigner has a public key of no kind that we know.
type oddSigner struct{ crypto.Signer }

func (oddSigner) Public() crypto.PublicKey { return "key" }

func TestForeignSigner(t *testing.T) {
	gone := errors.New("device: unplugged")
	for _, key := range generated() {
		alg := jose.Algorithms(key.Public())[0]
		token, err := assertion.Sign(&device{key: key}, alg, "")
		if err != nil {
			t.Errorf("%s: %v", alg, err)
			continue
		}
		_, _, signature := split(t, token)
		if !verifyJWS(key.Public(), alg, token[:strings.LastIndex(token, ".")], signature) {
			t.Errorf("%s: the signature does not verify", alg)
		}
		if token, err := assertion.Sign(&device{key: key, err: gone}, alg, ""); !errors.Is(err, gone) || token != "" {
			t.Errorf("%s: got %q, %v, want the error of the device", alg, token, err)
		}
		// An agent that ignored what it was asked for, or garbled its answer.
		for _, spoil := range []func([]byte) []byte{
			func([]byte) []byte { return nil },
			func(s []byte) []byte { return s[:len(s)-1] },
			func(s []byte) []byte { s[len(s)-1] ^= 1; return s },
			func(s []byte) []byte { return append(s, 0) },
		} {
			if token, err := assertion.Sign(&device{key: key, spoil: spoil}, alg, ""); err == nil || token != "" {
				t.Errorf("%s: a bad signature went out", alg)
			}
		}
	}
}

// What a key file says of its key counts where the caller leaves it open.
func TestSignAsTheFileSays(t *testing.T) {
	file := parse(t, with(jwkOf(rsa2048()), map[string]any{"kid": "key-1", "alg": "PS256"}))
	for _, test := range []struct{ alg, kid, want string }{
		{"", "", `{"alg":"PS256","kid":"key-1","typ":"JWT"}`},
		{"RS256", "", `{"alg":"RS256","kid":"key-1","typ":"JWT"}`},
		{"", "other", `{"alg":"PS256","kid":"other","typ":"JWT"}`},
	} {
		token, err := assertion.Sign(file.Signer(), test.alg, test.kid)
		if err != nil {
			t.Fatal(err)
		}
		head, _, _ := strings.Cut(token, ".")
		if got := string(must(base64.RawURLEncoding.DecodeString(head))); got != test.want {
			t.Errorf("got header %s, want %s", got, test.want)
		}
	}
	if token := must(assertion.Sign(file.Key.Signer(), "", "")); !strings.HasPrefix(token, base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","typ"`))) {
		t.Errorf("the key alone: got %.40s, want RS256 and no kid", token)
	}
}
