package helper_test

import (
	"context"
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
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sfcred/helper"
	"sfcred/helper/sfapitest"
	"sfcred/keychain/jose"
)

const clientID = "aaaabbbbcccc1"

// One key of each kind for all tests, since RSA keys take long to make.
var (
	ed      = sync.OnceValue(func() *jose.Key { return newKey(must2(ed25519.GenerateKey(nil))) })
	other   = sync.OnceValue(func() *jose.Key { return newKey(must2(ed25519.GenerateKey(nil))) })
	third   = sync.OnceValue(func() *jose.Key { return newKey(must2(ed25519.GenerateKey(nil))) })
	ec384   = sync.OnceValue(func() *jose.Key { return newKey(must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))) })
	rsa2048 = sync.OnceValue(func() *jose.Key { return newKey(must(rsa.GenerateKey(rand.Reader, 2048))) })
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func must2(_ ed25519.PublicKey, key ed25519.PrivateKey, err error) ed25519.PrivateKey {
	return must(key, err)
}

func newKey(key any) *jose.Key {
	der := must(x509.MarshalPKCS8PrivateKey(key))
	return must(jose.Parse(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil)).Key
}

// alice is a client with the key ed and nothing unusual.
func alice() sfapitest.Client {
	return sfapitest.Client{ID: clientID, Key: ed().Public(), User: "alice", UserID: 90210}
}

func newServer(t testing.TB, clients ...sfapitest.Client) *sfapitest.Server {
	t.Helper()
	if len(clients) == 0 {
		clients = []sfapitest.Client{alice()}
	}
	s := sfapitest.New(clients...)
	t.Cleanup(s.Close)
	return s
}

func newTLSServer(t testing.TB) *sfapitest.Server {
	t.Helper()
	s := sfapitest.NewTLS(alice())
	t.Cleanup(s.Close)
	return s
}

// profileOf is alice's at a server.
func profileOf(t testing.TB, s *sfapitest.Server) helper.Profile {
	t.Helper()
	p := helper.Profile{
		ClientID: clientID, TokenURL: s.TokenURL, APIURL: s.APIURL, Hosts: []string{"127.0.0.1"},
		Store: "file", KeyID: "aaaabbbbccccddddeeeeffff22", Fingerprint: ed().Fingerprint(),
	}
	if s.CA != nil {
		p.CAFile = filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(p.CAFile, s.CA, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Check(); err != nil {
		t.Fatal(err)
	}
	return p
}

// source is a Source under test and what it said.
type source struct {
	*helper.Source
	mu     sync.Mutex
	warned []string
	opened int // how often the key's store was asked
}

// newSource makes a source of alice's profile with a cache of its own.
func newSource(t testing.TB, s *sfapitest.Server) *source {
	t.Helper()
	return newSourceIn(t, s, filepath.Join(t.TempDir(), "cache"))
}

func newSourceIn(t testing.TB, s *sfapitest.Server, cache string) *source {
	t.Helper()
	src := &source{}
	src.Source = &helper.Source{
		Profile:   profileOf(t, s),
		CacheDir:  cache,
		UserAgent: "sfcred-test",
		Warn: func(text string) {
			src.mu.Lock()
			defer src.mu.Unlock()
			src.warned = append(src.warned, text)
		},
	}
	src.useKey(ed())
	return src
}

// useKey has the source sign with key, as if it lay in the store.
func (s *source) useKey(key *jose.Key) {
	s.Signer = func(context.Context) (crypto.MessageSigner, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.opened++
		return key.Signer(), nil
	}
}

// warnings gives what was warned of since the last time.
func (s *source) warnings() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.warned = nil }()
	return slices.Clone(s.warned)
}

// get asks for a token and wants one.
func (s *source) get(t testing.TB, want helper.Want) helper.Token {
	t.Helper()
	token, err := s.Token(within(t, 8*time.Second), want)
	if err != nil {
		t.Fatalf("Token: %v", err)
	}
	if token.Value == "" {
		t.Fatal("Token: got an empty token without an error")
	}
	return token
}

// within is a context with the time that one answer has.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// wantCounts compares what the server has counted.
func wantCounts(t testing.TB, s *sfapitest.Server, exchanges, refusals int) {
	t.Helper()
	if s.Exchanges() != exchanges || s.Refusals() != refusals {
		t.Errorf("got %d exchanges and %d refusals, want %d and %d", s.Exchanges(), s.Refusals(), exchanges, refusals)
	}
}

func pemOf(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// scopeOf is a token's scope claim.
func scopeOf(t testing.TB, token helper.Token) string {
	t.Helper()
	var claims struct{ Scope string }
	if err := json.Unmarshal(must(base64.RawURLEncoding.DecodeString(strings.Split(token.Value, ".")[1])), &claims); err != nil {
		t.Fatal(err)
	}
	return claims.Scope
}

// check ends the test on an error.
func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// together runs all cases at once, however many -parallel allows: they wait,
// they do not work.
func together[C any](t *testing.T, cases map[string]C, test func(*testing.T, C)) {
	var group sync.WaitGroup
	for name, c := range cases {
		group.Go(func() { t.Run(name, func(t *testing.T) { test(t, c) }) })
	}
	group.Wait()
}
