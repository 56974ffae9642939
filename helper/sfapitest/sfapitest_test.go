package sfapitest_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"sfcred/helper/sfapitest"
)

const (
	clientID      = "aaaabbbbcccc1"
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	genericDenial = `{"error":"invalid_client","error_description":"Client authentication failed, possible causes may be missing, invalid or expired secret / registered JWK, bad JWT assertion audience, or a mismatch between registered and presented client authentication method"}`
)

// Keys are dear: each kind is made once for all tests.
var (
	rsaKey   = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	otherKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	edKey    = sync.OnceValue(func() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(make([]byte, 32)) })
	p256Key  = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	p384Key  = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)) })
	p521Key  = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)) })
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// alice is a client with an RSA key and nothing unusual.
func alice() sfapitest.Client {
	return sfapitest.Client{ID: clientID, Key: rsaKey().Public(), User: "alice", UserID: 90210, Name: "laptop"}
}

func newServer(t *testing.T, clients ...sfapitest.Client) *sfapitest.Server {
	t.Helper()
	s := sfapitest.New(clients...)
	t.Cleanup(s.Close)
	return s
}

// members are a JOSE header or the claims of an assertion. A member set to
// json.RawMessage stands as it is written.
type members map[string]any

// with returns m changed: a nil value takes the member out.
func (m members) with(name string, value any) members {
	m = maps.Clone(m)
	if value == nil {
		delete(m, name)
	} else {
		m[name] = value
	}
	return m
}

// goodClaims are claims that s accepts.
func goodClaims(s *sfapitest.Server) members {
	now := time.Now().Unix()
	return members{"iss": clientID, "sub": clientID, "aud": s.TokenURL, "iat": now, "exp": now + 300, "jti": rand.Text()}
}

func encode(v any) string {
	return base64.RawURLEncoding.EncodeToString(must(json.Marshal(v)))
}

// compact signs header and claims by key and header's alg.
func compact(key crypto.Signer, header, claims members) string {
	input := encode(header) + "." + encode(claims)
	alg, _ := header["alg"].(string)
	return input + "." + base64.RawURLEncoding.EncodeToString(signJWS(key, alg, input))
}

// signJWS makes the signature of RFC 7518 section 3 by hand.
func signJWS(key crypto.Signer, alg, input string) []byte {
	hash := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[strings.TrimLeft(alg, "RPES")]
	if hash == 0 {
		hash = crypto.SHA256 // for an alg that is wrong in itself
	}
	h := hash.New()
	io.WriteString(h, input)
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if strings.HasPrefix(alg, "PS") {
			return must(rsa.SignPSS(rand.Reader, key, hash, h.Sum(nil), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}))
		}
		return must(rsa.SignPKCS1v15(rand.Reader, key, hash, h.Sum(nil)))
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, key, h.Sum(nil))
		if err != nil {
			panic(err)
		}
		width := (key.Params().BitSize + 7) / 8
		sig := make([]byte, 2*width)
		r.FillBytes(sig[:width])
		s.FillBytes(sig[width:])
		return sig
	case ed25519.PrivateKey:
		return ed25519.Sign(key, []byte(input))
	}
	panic("no such key")
}

// goodForm is a token request that s accepts from alice.
func goodForm(s *sfapitest.Server) url.Values {
	return formOf(compact(rsaKey(), members{"alg": "RS256", "typ": "JWT"}, goodClaims(s)))
}

func formOf(assertion string) url.Values {
	return url.Values{
		"grant_type":            {"client_credentials"},
		"client_assertion_type": {assertionType},
		"client_assertion":      {assertion},
	}
}

// response is an answer with its body read.
type response struct {
	*http.Response
	body string
}

func post(t *testing.T, s *sfapitest.Server, form url.Values) response {
	t.Helper()
	req, err := http.NewRequest("POST", s.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return do(t, req)
}

func do(t *testing.T, req *http.Request) response {
	t.Helper()
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("read the answer of %s %s: %v", req.Method, req.URL.Path, err)
	}
	return response{resp, string(body)}
}

// lastRequest is the newest entry of the log.
func lastRequest(t *testing.T, s *sfapitest.Server) sfapitest.Request {
	t.Helper()
	log := s.Requests()
	if len(log) == 0 {
		t.Fatal("the log is empty")
	}
	return log[len(log)-1]
}
