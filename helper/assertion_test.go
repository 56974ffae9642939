package helper_test

import (
	"context"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sfcred/keychain/jose"
)

type claims struct {
	Aud, Iss, Sub, Jti string
	Exp, Iat           int64
}

func claimsOf(t testing.TB, assertion string) claims {
	t.Helper()
	var c claims
	check(t, json.Unmarshal([]byte(part(t, assertion, 1)), &c))
	return c
}

// part is one part of a compact JWS, decoded.
func part(t testing.TB, compact string, i int) string {
	t.Helper()
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		t.Fatalf("got %d parts, want a compact JWS", len(parts))
	}
	return string(must(base64.RawURLEncoding.DecodeString(parts[i])))
}

// TestAssertion pins header and claims to the byte, but for the random ID.
func TestAssertion(t *testing.T) {
	src := newSource(t, newServer(t))
	src.Profile.TokenURL = "https://oidc.nersc.gov/c2id/token"
	// Of a fraction of a second nothing is left.
	src.SetClock(func() time.Time { return time.Unix(1_800_000_000, 999_999_999) })
	assertion := must(src.Assertion(t.Context()))
	if got, want := part(t, assertion, 0), `{"alg":"EdDSA","typ":"JWT"}`; got != want {
		t.Errorf("got header %s, want %s", got, want)
	}
	id := regexp.MustCompile(`"jti":"[A-Za-z0-9_-]{22}"`)
	got := id.ReplaceAllString(part(t, assertion, 1), `"jti":"ID"`)
	want := `{"aud":"https://oidc.nersc.gov/c2id/token","exp":1800000300,"iat":1800000000,"iss":"aaaabbbbcccc1","jti":"ID","sub":"aaaabbbbcccc1"}`
	if got != want {
		t.Errorf("got claims %s, want %s", got, want)
	}
	if again := must(src.Assertion(t.Context())); claimsOf(t, again).Jti == claimsOf(t, assertion).Jti {
		t.Error("got the same ID twice")
	}
}

// TestAssertionOfProfile has what a profile may set.
func TestAssertionOfProfile(t *testing.T) {
	src := newSource(t, newServer(t))
	src.Profile.KID, src.Profile.Audience, src.Profile.Alg = "key-1", "https://issuer.example", "PS256"
	src.useKey(rsa2048())
	assertion := must(src.Assertion(t.Context()))
	if got, want := part(t, assertion, 0), `{"alg":"PS256","kid":"key-1","typ":"JWT"}`; got != want {
		t.Errorf("got header %s, want %s", got, want)
	}
	if got := claimsOf(t, assertion).Aud; got != "https://issuer.example" {
		t.Errorf("got audience %s, want the profile's", got)
	}
}

func TestAlgorithm(t *testing.T) {
	tests := []struct {
		key       *jose.Key
		alg, want string // want "": refused
	}{
		{rsa2048(), "", "RS256"},
		{rsa2048(), "PS256", "PS256"},
		{rsa2048(), "RS512", "RS512"},
		{rsa2048(), "ES256", ""},
		{ec384(), "", "ES384"},
		{ec384(), "ES256", ""}, // the curve decides, RFC 7518 section 3.4
		{ed(), "", "EdDSA"},
		{ed(), "none", ""},
		{ed(), "HS256", ""},
		{ed(), "eddsa", ""},
	}
	for _, tt := range tests {
		src := newSource(t, newServer(t))
		src.useKey(tt.key)
		src.Profile.Alg = tt.alg
		assertion, err := src.Assertion(t.Context())
		if tt.want == "" {
			if err == nil || assertion != "" || !strings.Contains(err.Error(), "does not fit") {
				t.Errorf("%s with %q: got %v, want an error alone", tt.key.Type(), tt.alg, err)
			}
			continue
		}
		if err != nil || !strings.HasPrefix(part(t, assertion, 0), fmt.Sprintf(`{"alg":%q`, tt.want)) {
			t.Errorf("%s with %q: got %v, want %s", tt.key.Type(), tt.alg, err, tt.want)
		}
	}
}

// TestEveryTryHasItsOwnID looks at what a server that is ill was sent.
func TestEveryTryHasItsOwnID(t *testing.T) {
	t.Parallel()
	src := newSource(t, newServer(t))
	var ids []string
	src.SetDo(seeAssertions(t, func(c claims) { ids = append(ids, c.Jti) }))
	if _, err := exchange(t, src, 8*time.Second); err == nil || len(ids) != 4 {
		t.Fatalf("got %v after %d tries, want 4", err, len(ids))
	}
	slices.Sort(ids)
	if got := slices.Compact(ids); len(got) != 4 {
		t.Errorf("got %d different IDs, want 4", len(got))
	}
}

func TestAssertionWithoutKey(t *testing.T) {
	src := newSource(t, newServer(t))
	gone := errors.New("gone")
	src.Signer = func(context.Context) (crypto.MessageSigner, error) { return nil, gone }
	if assertion, err := src.Assertion(t.Context()); !errors.Is(err, gone) || assertion != "" {
		t.Errorf("got %q, %v, want only the store's error", assertion, err)
	}
}
