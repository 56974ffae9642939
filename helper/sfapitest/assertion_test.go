package sfapitest_test

import (
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sfcred/helper/sfapitest"
)

// in is now and seconds more, as a NumericDate.
func in(seconds int) int64 { return time.Now().Unix() + int64(seconds) }

// TestRefusedClaims changes one thing in the claims of a good assertion.
func TestRefusedClaims(t *testing.T) {
	tests := []struct {
		name  string
		claim string
		value any // nil: without the claim
		want  string
	}{
		{"no iss", "iss", nil, "iss is not a string"},
		{"iss a number", "iss", 7, "iss is not a string"},
		{"unknown iss", "iss", "nobody", "sub is not the same string as iss"},
		{"no sub", "sub", nil, "sub is not the same string as iss"},
		{"another sub", "sub", "aaaabbbbcccc2", "sub is not the same string as iss"},
		{"no aud", "aud", nil, "aud is not a string"},
		{"aud null", "aud", json.RawMessage("null"), "aud is not a string"},
		{"another aud", "aud", "http://example.org/c2id/token", `aud is "http://example.org/c2id/token", not [`},
		{"aud an array", "aud", []string{"x"}, "aud is not a string"},
		{"no exp", "exp", nil, "exp is not a number"},
		{"exp null", "exp", json.RawMessage("null"), "exp is not a number"},
		{"exp a string", "exp", "1", "exp is not a number"},
		{"exp beyond a float", "exp", json.RawMessage("1e999"), "exp is not a number"},
		{"exp just past, where leeway would help", "exp", in(-2), "s in the past"},
		{"exp too far ahead", "exp", in(330), "ahead, more than 5m0s"},
		{"exp in milliseconds", "exp", in(60) * 1000, "ahead, more than 5m0s"},
		{"iat in the future", "iat", in(60), "s in the future"},
		{"iat a string", "iat", "now", "iat is not a number"},
		{"nbf in the future", "nbf", in(60), "s in the future"},
		{"nbf a boolean", "nbf", true, "nbf is not a number"},
		{"no jti", "jti", nil, "jti is not a string with something in it"},
		{"empty jti", "jti", "", "jti is not a string with something in it"},
		{"jti a number", "jti", 1, "jti is not a string with something in it"},
		{"long jti", "jti", strings.Repeat("j", 257), "jti is longer than 256 bytes"},
	}
	s := newServer(t, alice())
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			claims := goodClaims(s).with(test.claim, test.value)
			wantDenial(t, s, compact(rsaKey(), members{"alg": "RS256"}, claims), test.want)
		})
	}
	t.Run("unknown client", func(t *testing.T) {
		claims := goodClaims(s).with("iss", "nobody").with("sub", "nobody")
		wantDenial(t, s, compact(rsaKey(), members{"alg": "RS256"}, claims), "iss is no known client")
	})
}

// wantDenial posts assertion and wants the generic answer on the wire, and a
// reason that has want in it in the log.
func wantDenial(t *testing.T, s *sfapitest.Server, assertion, want string) {
	t.Helper()
	exchanges, refusals := s.Exchanges(), s.Refusals()
	wantGeneric(t, post(t, s, formOf(assertion)))
	if got := lastRequest(t, s); !strings.Contains(got.Reason, want) || got.Status != 401 {
		t.Errorf("got log %+v, want status 401 and a reason with %q", got, want)
	}
	if s.Exchanges() != exchanges || s.Refusals() != refusals+1 {
		t.Errorf("got %d exchanges and %d refusals more, want 0 and 1", s.Exchanges()-exchanges, s.Refusals()-refusals)
	}
	for _, part := range strings.Split(assertion, ".") {
		if got := lastRequest(t, s).Reason; len(part) > 8 && strings.Contains(got, part) {
			t.Errorf("the log quotes the assertion: %s", got)
		}
	}
}

func wantGeneric(t *testing.T, resp response) {
	t.Helper()
	if resp.StatusCode != 401 || resp.body != genericDenial {
		t.Errorf("got %s %s, want 401 %s", resp.Status, resp.body, genericDenial)
	}
	header := resp.Header
	if header.Get("WWW-Authenticate") == "" || header.Get("Cache-Control") != "no-store" || header.Get("Content-Type") != "application/json" {
		t.Errorf("got header %v, want WWW-Authenticate, Cache-Control: no-store and JSON", header)
	}
}

// TestRefusedHeader changes the header of a good assertion.
func TestRefusedHeader(t *testing.T) {
	tests := []struct {
		name   string
		header members
		want   string
	}{
		{"no alg", members{}, `alg "" is not allowed`},
		{"alg none", members{"alg": "none"}, `alg "none" is not allowed`},
		{"alg None", members{"alg": "None"}, `alg "None" is not allowed`},
		{"alg not in the list", members{"alg": "RS512"}, `alg "RS512" is not allowed`},
		{"alg of another kind of key", members{"alg": "ES256"}, `alg "ES256" is not allowed`},
		{"alg in lower case", members{"alg": "rs256"}, `alg "rs256" is not allowed`},
		{"alg a list", members{"alg": []string{"RS256"}}, `alg "" is not allowed`},
		{"Alg in another case", members{"Alg": "RS256"}, `the header has a member "Alg"`},
		{"typ of an access token", members{"alg": "RS256", "typ": "at+jwt"}, `typ "at+jwt" is not`},
		{"typ null", members{"alg": "RS256", "typ": json.RawMessage("null")}, `typ "" is not`},
		{"another kid", members{"alg": "RS256", "kid": "other"}, "kid is not that of the registered key"},
		{"kid a number", members{"alg": "RS256", "kid": 1}, "kid is not that of the registered key"},
		{"crit", members{"alg": "RS256", "crit": []string{"exp"}}, `the header has a member "crit"`},
		{"a key of its own", members{"alg": "RS256", "jwk": members{"kty": "RSA"}}, `the header has a member "jwk"`},
		{"a key from elsewhere", members{"alg": "RS256", "jku": "http://x"}, `the header has a member "jku"`},
	}
	c := alice()
	c.KeyID = "k1"
	s := newServer(t, c)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			wantDenial(t, s, compact(rsaKey(), test.header, goodClaims(s)), test.want)
		})
	}
}

// TestRefusedForm has good contents in a form that is not that of RFC 7515.
func TestRefusedForm(t *testing.T) {
	s := newServer(t, alice())
	claims := goodClaims(s)
	good := compact(rsaKey(), members{"alg": "RS256"}, claims)
	header, payload, sig := split(good)
	text := string(must(json.Marshal(claims)))

	tests := []struct {
		name      string
		assertion string
		want      string
	}{
		{"nothing", "", "1 parts, not 3"},
		{"no signature part", header + "." + payload, "2 parts, not 3"},
		{"a part more", good + ".", "4 parts, not 3"},
		{"an empty signature", header + "." + payload + ".", "its signature is not by the registered key"},
		{"padding", header + "." + payload + "." + sig + "==", "its signature is not canonical base64url"},
		{"a line break, which encoding/base64 skips", header + "." + payload + "." + sig[:8] + "\n" + sig[8:], "its signature is not canonical base64url"},
		{"stray bits at the end", header + "." + payload + "." + sig[:len(sig)-1] + next(sig[len(sig)-1]), "its signature is not canonical base64url"},
		{"a blank before", " " + good, "its header is not canonical base64url"},
		{"the other alphabet", header + "." + base64.RawStdEncoding.EncodeToString([]byte("{\"a\":\"\xbf\xff\xbf\"}")) + "." + sig, "its payload is not canonical base64url"},
		{"a header that is no object", encode("RS256") + "." + payload + "." + sig, "its header is not one JSON object"},
		{"a name twice", resigned(header, `{"iss":"x",`+text[1:]), "its payload is not one JSON object"},
		{"two objects", resigned(header, text+"{}"), "its payload is not one JSON object"},
		{"an array", resigned(header, "["+text+"]"), "its payload is not one JSON object"},
		{"an object cut short", resigned(header, text[:len(text)-1]), "its payload is not one JSON object"},
		{"not UTF-8", resigned(header, `{"x":"`+"\xff"+`",`+text[1:]), "its payload is not one JSON object"},
		{"a comma too many", resigned(header, text[:len(text)-1]+",}"), "its payload is not one JSON object"},
		{"a header in place of another", encode(members{"alg": "RS256", "typ": "JWT"}) + "." + payload + "." + sig, "its signature is not by the registered key"},
		{"claims in place of others", header + "." + encode(goodClaims(s)) + "." + sig, "its signature is not by the registered key"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { wantDenial(t, s, test.assertion, test.want) })
	}
	// The parts are good: it was what was done to them that was refused.
	if resp := post(t, s, formOf(good)); resp.StatusCode != 200 {
		t.Errorf("got %s (%s) for the parts as they were, want 200", resp.Status, lastRequest(t, s).Reason)
	}
}

func split(assertion string) (header, payload, sig string) {
	parts := strings.Split(assertion, ".")
	return parts[0], parts[1], parts[2]
}

// next is the character after c in the alphabet: of the last of 342, four bits
// count for nothing and must be zero.
func next(c byte) string { return string(c + 1) }

// resigned puts payload, as it is, between header and alice's signature.
func resigned(header, payload string) string {
	input := header + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	return input + "." + base64.RawURLEncoding.EncodeToString(signJWS(rsaKey(), "RS256", input))
}

// TestRefusedSignature has signatures by another key, or in another form.
func TestRefusedSignature(t *testing.T) {
	hashed := func(input string) []byte { sum := sha256.Sum256([]byte(input)); return sum[:] }
	r, sVal := new(big.Int), new(big.Int)
	ecdsaParts := func(input string) {
		var err error
		if r, sVal, err = ecdsa.Sign(rand.Reader, p256Key(), hashed(input)); err != nil {
			panic(err)
		}
	}
	const wrong = "its signature is not by the registered key"
	tests := []struct {
		name string
		key  any
		algs []string
		alg  string
		sign func(input string) []byte
		want string
	}{
		{"another key", rsaKey().Public(), nil, "RS256", func(in string) []byte { return signJWS(otherKey(), "RS256", in) }, wrong},
		{"PSS for PKCS #1", rsaKey().Public(), nil, "RS256", func(in string) []byte { return signJWS(rsaKey(), "PS256", in) }, wrong},
		{"PKCS #1 for PSS", rsaKey().Public(), nil, "PS256", func(in string) []byte { return signJWS(rsaKey(), "RS256", in) }, wrong},
		{"another hash", rsaKey().Public(), nil, "RS256", func(in string) []byte { return signJWS(rsaKey(), "RS512", in) }, wrong},
		// The oldest trick: the public key as an HMAC secret.
		{"HS256 by the public key", rsaKey().Public(), nil, "HS256", func(in string) []byte {
			mac := hmac.New(sha256.New, must(x509.MarshalPKIXPublicKey(rsaKey().Public())))
			mac.Write([]byte(in))
			return mac.Sum(nil)
		}, `alg "HS256" is not allowed`},
		{"HS256 where it was listed", rsaKey().Public(), []string{"HS256"}, "HS256", func(in string) []byte { return hashed(in) }, `alg "HS256" does not fit an RSA key`},
		{"none where it was listed", edKey().Public(), []string{"none"}, "none", func(string) []byte { return nil }, `alg "none" does not fit an Ed25519 key`},
		{"ES384 on P-256", p256Key().Public(), []string{"ES384"}, "ES384", func(in string) []byte { return signJWS(p256Key(), "ES384", in) }, `alg "ES384" does not fit a key on P-256`},
		{"ES256 in DER", p256Key().Public(), nil, "ES256", func(in string) []byte { return must(ecdsa.SignASN1(rand.Reader, p256Key(), hashed(in))) }, wrong},
		// r and s are right, but one byte too wide each.
		{"ES256 too wide", p256Key().Public(), nil, "ES256", func(in string) []byte {
			ecdsaParts(in)
			return append(r.FillBytes(make([]byte, 33)), sVal.FillBytes(make([]byte, 33))...)
		}, wrong},
		{"ES256 with s too wide", p256Key().Public(), nil, "ES256", func(in string) []byte {
			ecdsaParts(in)
			return append(r.FillBytes(make([]byte, 32)), sVal.FillBytes(make([]byte, 33))...)
		}, wrong},
		{"ES256 of zeros", p256Key().Public(), nil, "ES256", func(string) []byte { return make([]byte, 64) }, wrong},
		{"EdDSA cut short", edKey().Public(), nil, "EdDSA", func(in string) []byte { return signJWS(edKey(), "EdDSA", in)[:63] }, wrong},
		{"a key that is none", "a string", []string{"RS256"}, "RS256", func(in string) []byte { return signJWS(rsaKey(), "RS256", in) }, "a key of type string is not supported"},
		{"a private key", rsaKey(), nil, "RS256", func(in string) []byte { return signJWS(rsaKey(), "RS256", in) }, `alg "RS256" is not allowed`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := alice()
			c.Key, c.Algs = test.key, test.algs
			s := newServer(t, c)
			input := encode(members{"alg": test.alg}) + "." + encode(goodClaims(s))
			sig := base64.RawURLEncoding.EncodeToString(test.sign(input))
			wantDenial(t, s, input+"."+sig, test.want)
		})
	}
}

// TestRefusedClient has a good assertion of a client that may not use it.
func TestRefusedClient(t *testing.T) {
	tests := []struct {
		name   string
		change func(*sfapitest.Client)
		want   string
	}{
		{"expired", func(c *sfapitest.Client) { c.Expires = time.Now().Add(-time.Second) }, "the client expired at "},
		{"from elsewhere", func(c *sfapitest.Client) { c.Source = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")} }, "the source address 127.0.0.1:"},
		{"from elsewhere by IPv6", func(c *sfapitest.Client) { c.Source = []netip.Prefix{netip.MustParsePrefix("::/0")} }, "the source address 127.0.0.1:"},
		{"signs otherwise", func(c *sfapitest.Client) { c.Algs = []string{"PS256"} }, `alg "RS256" is not allowed`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := alice()
			test.change(&c)
			s := newServer(t, c)
			wantDenial(t, s, goodForm(s).Get("client_assertion"), test.want)
		})
	}
	t.Run("removed", func(t *testing.T) {
		s := newServer(t, alice())
		s.Remove("nobody")
		s.Remove(clientID)
		wantDenial(t, s, goodForm(s).Get("client_assertion"), "iss is no known client")
	})
	t.Run("with another key since", func(t *testing.T) {
		s := newServer(t, alice())
		form := goodForm(s)
		c := alice()
		c.Key = otherKey().Public()
		s.Add(c)
		wantDenial(t, s, form.Get("client_assertion"), "its signature is not by the registered key")
	})
}

func TestReplay(t *testing.T) {
	bob := alice()
	bob.ID = "bob"
	s := newServer(t, alice(), bob)
	claims := goodClaims(s)
	sign := func(claims members) string { return compact(rsaKey(), members{"alg": "RS256"}, claims) }
	accept := func(claims members) {
		t.Helper()
		if resp := post(t, s, formOf(sign(claims))); resp.StatusCode != 200 {
			t.Fatalf("got %s (%s), want 200", resp.Status, lastRequest(t, s).Reason)
		}
	}
	accept(claims)
	wantDenial(t, s, sign(claims), "jti was used before")
	// It is the jti that is used up, not the assertion.
	wantDenial(t, s, sign(claims.with("exp", in(120))), "jti was used before")
	// Another client's are its own.
	accept(claims.with("iss", "bob").with("sub", "bob"))
	// What was refused has used up nothing.
	fresh := goodClaims(s)
	wantDenial(t, s, sign(fresh.with("aud", "x")), "aud is")
	accept(fresh)
	// After exp the jti is free again: the assertion itself is none any more.
	s.SetSkew(10 * time.Minute)
	accept(claims.with("exp", in(720)).with("iat", nil))
}

// TestAccepted has assertions that only look wrong, or are right by a policy.
func TestAccepted(t *testing.T) {
	const rs256 = "RS256"
	tests := []struct {
		name   string
		policy sfapitest.Policy
		header members
		change func(members) members
	}{
		{"typ client-authentication+jwt", sfapitest.Policy{}, members{"alg": rs256, "typ": "client-authentication+jwt"}, nil},
		{"the right kid", sfapitest.Policy{}, members{"alg": rs256, "kid": "k1"}, nil},
		{"no iat", sfapitest.Policy{}, members{"alg": rs256}, func(m members) members { return m.with("iat", nil) }},
		{"iat within the leeway", sfapitest.Policy{}, members{"alg": rs256}, func(m members) members { return m.with("iat", in(5)) }},
		{"exp with a fraction", sfapitest.Policy{}, members{"alg": rs256}, func(m members) members { return m.with("exp", float64(in(60))+.5) }},
		{"a claim more", sfapitest.Policy{}, members{"alg": rs256}, func(m members) members { return m.with("x", members{"y": nil}) }},
		{"exp an hour ahead", sfapitest.Policy{MaxAhead: time.Hour}, members{"alg": rs256}, func(m members) members { return m.with("exp", in(3600)) }},
		{"iat ahead by a long leeway", sfapitest.Policy{Leeway: time.Hour}, members{"alg": rs256}, func(m members) members { return m.with("iat", in(600)) }},
		{"the issuer as aud", sfapitest.Policy{Audiences: []string{"http://as"}}, members{"alg": rs256}, func(m members) members { return m.with("aud", "http://as") }},
		{"an aud array", sfapitest.Policy{AudienceArray: true}, members{"alg": rs256}, func(m members) members { return m.with("aud", []any{"x", m["aud"]}) }},
	}
	c := alice()
	c.KeyID = "k1"
	c.Source = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	c.Expires = time.Now().Add(time.Hour)
	s := newServer(t, c)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s.SetPolicy(test.policy)
			claims := goodClaims(s)
			if test.change != nil {
				claims = test.change(claims)
			}
			assertion := compact(rsaKey(), test.header, claims)
			if resp := post(t, s, formOf(assertion)); resp.StatusCode != 200 {
				t.Errorf("got %s (%s), want 200", resp.Status, lastRequest(t, s).Reason)
			}
		})
	}
	t.Run("blanks in the JSON", func(t *testing.T) {
		s.SetPolicy(sfapitest.Policy{})
		header := base64.RawURLEncoding.EncodeToString([]byte("{ \"alg\" : \"RS256\" }\n"))
		assertion := resigned(header, string(must(json.MarshalIndent(goodClaims(s), "", "\t"))))
		if resp := post(t, s, formOf(assertion)); resp.StatusCode != 200 {
			t.Errorf("got %s (%s), want 200", resp.Status, lastRequest(t, s).Reason)
		}
	})
	t.Run("policies that still refuse", func(t *testing.T) {
		s.SetPolicy(sfapitest.Policy{AudienceArray: true})
		wantDenial(t, s, compact(rsaKey(), members{"alg": rs256}, goodClaims(s).with("aud", []string{"x"})), "aud holds none of")
		wantDenial(t, s, compact(rsaKey(), members{"alg": rs256}, goodClaims(s).with("aud", 1)), "aud is not a string")
		s.SetPolicy(sfapitest.Policy{Audiences: []string{"http://as"}})
		wantDenial(t, s, compact(rsaKey(), members{"alg": rs256}, goodClaims(s)), "aud is")
	})
}

// TestSkew has the server's clock off: good assertions are refused, and the
// Date header says why.
func TestSkew(t *testing.T) {
	tests := []struct {
		skew time.Duration
		want string
	}{
		{10 * time.Minute, "s in the past"},
		{-10 * time.Minute, "ahead, more than 5m0s"},
	}
	s := newServer(t, alice())
	for _, test := range tests {
		s.SetSkew(test.skew)
		wantDenial(t, s, goodForm(s).Get("client_assertion"), test.want)
		date := must(time.Parse(time.RFC1123, post(t, s, goodForm(s)).Header.Get("Date")))
		if off := time.Until(date) - test.skew; off.Abs() > 5*time.Second {
			t.Errorf("got Date off by %s, want %s", time.Until(date), test.skew)
		}
	}
	// The claims of a client that reads Date and signs once more.
	claims := goodClaims(s).with("iat", in(-600)).with("exp", in(-300))
	if resp := post(t, s, formOf(compact(rsaKey(), members{"alg": "RS256"}, claims))); resp.StatusCode != 200 {
		t.Errorf("got %s (%s), want 200", resp.Status, lastRequest(t, s).Reason)
	}
}
