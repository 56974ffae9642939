//go:build unix

package main

import (
	"bufio"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRealAuthority gets tokens from oidc-provider, which is certified for
// OpenID Connect and takes private_key_jwt as the service does.
func TestRealAuthority(t *testing.T) {
	realParts(t, "node", "npm")
	if os.Getenv("SFCRED_REAL") != "1" {
		t.Skip("needs oidc-provider, which npm gets from its registry only with SFCRED_REAL=1")
	}
	sfcred := release(t)
	a := startAuthority(t)
	for name, test := range map[string]func(*testing.T, *authority, *user){
		"algorithms": realAlgorithms,
		"tokens":     realTokens,
		"replay":     realReplay,
		"refusals":   realRefusals,
		"expired":    realExpired,
		"audience":   realAudience,
		"scope":      realScope,
		"the guide":  realGuide,
		"verify":     realVerify,
	} {
		t.Run(name, func(t *testing.T) { test(t, a, newUser(t, sfcred)) })
	}
}

// authority is a running oidc-provider.
type authority struct {
	issuer   string
	tokenURL string
	ca       []byte // PEM
	answers  <-chan authorityAnswer
}

// authorityAnswer is what the server sent, and why.
type authorityAnswer struct {
	Issuer string `json:"issuer"` // in its first line only
	Status int    `json:"status"`
	Reason string `json:"reason"` // that it keeps to itself
	Body   string `json:"body"`
}

// authorityClients are the clients, each named after its algorithm, with the
// names of their keys in theKeys.
func authorityClients() map[string]string {
	return map[string]string{"RS256": "key", "PS256": "key", "ES256": "ec", "EdDSA": "ed"}
}

// startAuthority installs the server from its lock file, and starts it.
func startAuthority(t *testing.T) *authority {
	t.Helper()
	dir := t.TempDir()
	check(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "oidc-provider"))))
	install := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	key, cert := serverCertificate(t)
	cmd := exec.CommandContext(t.Context(), "node", "server.mjs")
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	if !testing.Verbose() {
		cmd.Stderr = nil // it warns of node's age, and of its own defaults
	}
	stdin, err := cmd.StdinPipe()
	check(t, err)
	stdout, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	answers := make(chan authorityAnswer, 100)
	t.Cleanup(func() {
		stdin.Close()
		for range answers { // until its standard output is closed
		}
		_ = cmd.Wait() // it was killed
	})
	go readAnswers(stdout, answers)
	check(t, json.NewEncoder(stdin).Encode(map[string]any{"key": string(key), "cert": string(cert), "clients": registrations(t)}))
	a := &authority{ca: cert, answers: answers}
	a.issuer = a.next(t).Issuer
	a.tokenURL = a.issuer + "/token"
	return a
}

func readAnswers(r io.Reader, answers chan<- authorityAnswer) {
	defer close(answers)
	for lines := bufio.NewScanner(r); lines.Scan(); {
		var answer authorityAnswer
		if json.Unmarshal(lines.Bytes(), &answer) == nil {
			answers <- answer
		}
	}
}

// next is the server's next answer.
func (a *authority) next(t *testing.T) authorityAnswer {
	t.Helper()
	select {
	case answer, ok := <-a.answers:
		if !ok {
			t.Fatal("oidc-provider has ended")
		}
		return answer
	case <-time.After(time.Minute):
		t.Fatal("oidc-provider sent nothing")
	}
	return authorityAnswer{}
}

func registrations(t *testing.T) (clients []map[string]string) {
	t.Helper()
	for alg, name := range authorityClients() {
		der, err := x509.MarshalPKIXPublicKey(theKeys()[name].(crypto.Signer).Public())
		check(t, err)
		public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
		clients = append(clients, map[string]string{"id": "client-" + alg, "alg": alg, "key": string(public)})
	}
	return clients
}

// serverCertificate makes one for 127.0.0.1 that is its own authority.
func serverCertificate(t *testing.T) (key, cert []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: "oidc-provider of the tests"}, // OpenSSL finds no authority without a name
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	check(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	check(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// login is the login of a client that the server knows, with its key.
func (a *authority) login(u *user, alg string, flags ...string) []string {
	u.Helper()
	key := u.writeKey(alg+".pem", theKeys()[authorityClients()[alg]])
	return append([]string{"login", "--store", "pem", "--key", key, "--client-id", "client-" + alg, "--alg", alg, "--profile", alg,
		"--token-url", a.tokenURL, "--ca-file", u.write("ca.pem", a.ca)}, flags...)
}

func realAlgorithms(t *testing.T, a *authority, u *user) {
	for alg := range authorityClients() {
		u.works("sfcred", a.login(u, alg)...)
		if got := a.next(t); got.Status != 200 {
			t.Errorf("%s: the server answered %d to the login (%s)", alg, got.Status, got.Reason)
		}
		u.answers("token", "--force", "-p", alg)
		if got := a.next(t); got.Status != 200 {
			t.Errorf("%s: the server answered %d (%s)", alg, got.Status, got.Reason)
		}
		var header struct{ Alg string }
		decodePart(t, u.answers("assertion", "-p", alg), 0, &header)
		if header.Alg != alg {
			t.Errorf("an assertion is signed by %s, want %s", header.Alg, alg)
		}
	}
}

// The token is the one that was on the wire, and what is said of it is what
// stands in it.
func realTokens(t *testing.T, a *authority, u *user) {
	u.works("sfcred", a.login(u, "RS256")...)
	a.next(t)
	token := u.answers("token", "--force")
	if want := accessToken(t, a.next(t)); token != want {
		t.Errorf("got token %q, want %q as it was sent", token, want)
	}
	if got, want := u.answers("header"), "Authorization: Bearer "+token; got != want {
		t.Errorf("got header %q, want %q", got, want)
	}
	var answer struct {
		AccessToken string    `json:"access_token"`
		TokenType   string    `json:"token_type"`
		ExpiresAt   time.Time `json:"expires_at"`
	}
	check(t, json.Unmarshal([]byte(u.answers("token", "--json")), &answer))
	var claims struct {
		Aud, Iss string
		ClientID string `json:"client_id"`
		Exp      int64
	}
	decodePart(t, token, 1, &claims)
	if claims.Aud != "urn:api" || claims.Iss != a.issuer || claims.ClientID != "client-RS256" {
		t.Errorf("got claims %+v", claims)
	}
	// Ours counts from before the request, the server's from when it signed.
	if off := time.Unix(claims.Exp, 0).Sub(answer.ExpiresAt); answer.AccessToken != token || answer.TokenType != "Bearer" || off < 0 || off > 5*time.Second {
		t.Errorf("token --json says %+v; the token itself expires %v after that", answer, off)
	}
}

func accessToken(t *testing.T, answer authorityAnswer) string {
	t.Helper()
	var body struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(answer.Body), &body); err != nil || body.AccessToken == "" {
		t.Fatalf("the server answered %d without a token (%s)", answer.Status, answer.Reason)
	}
	return body.AccessToken
}

// decodePart decodes the header (0) or the claims (1) of a JWT.
func decodePart(t *testing.T, jwt string, part int, into any) {
	t.Helper()
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		t.Fatalf("a JWT of %d parts", len(parts))
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[part])
	check(t, err)
	check(t, json.Unmarshal(text, into))
}

// An assertion is good for one exchange.
func realReplay(t *testing.T, a *authority, u *user) {
	u.works("sfcred", a.login(u, "ES256")...)
	a.next(t)
	assertion := u.answers("assertion")
	a.post(t, assertion)
	if got := a.next(t); got.Status != 200 {
		t.Fatalf("the server answered %d to a fresh assertion (%s)", got.Status, got.Reason)
	}
	a.post(t, assertion)
	if got := a.next(t); got.Status != 401 || !strings.Contains(got.Reason, "must only be used once") {
		t.Errorf("the server answered %d to an assertion that it had seen (%s)", got.Status, got.Reason)
	}
}

// post sends an assertion to the server.
func (a *authority) post(t *testing.T, assertion string) {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(a.ca)
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
	resp, err := client.PostForm(a.tokenURL, url.Values{
		"grant_type":            {"client_credentials"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {assertion},
	})
	check(t, err)
	resp.Body.Close()
}

// refused is what is said of a refusal, with the server's own words in it.
const refused = `the server refused the client: invalid_client \(client authentication failed\)`

// The server says the same of every client that it refuses; its reason shows
// that the test met the case that it is about.
func realRefusals(t *testing.T, a *authority, u *user) {
	other := u.writeKey("other.pem", theKeys()["other"])
	const causes = `; likely causes: .*\n`
	tests := []struct {
		name, reason string
		flags        []string
	}{
		{"unknown", "client not found", []string{"--client-id", "nosuchclient"}},
		{"wrong-key", "signature verification failed", []string{"--key", other}},
		{"wrong-audience", "audience (aud) must equal", []string{"--audience", a.issuer + "/elsewhere"}},
	}
	for _, test := range tests {
		flags := append(test.flags, "--profile", test.name)
		u.works("sfcred", a.login(u, "RS256", append(flags, "--no-check")...)...)
		u.fails(exitRefused, `^sfcred: error: profile "`+test.name+`": `+refused+causes+`sfcred: hint: sfcred doctor `+test.name+`\n$`, "token", "-p", test.name)
		if got := a.next(t); got.Status != 401 || !strings.Contains(got.Reason, test.reason) {
			t.Errorf("%s: the server answered %d because of %q, want 401 because of %q", test.name, got.Status, got.Reason, test.reason)
		}
	}
	// At a login, too, and then nothing is kept.
	u.fails(exitRefused, `^sfcred: error: .*`+refused, a.login(u, "RS256", "--key", other, "--profile", "new")...)
	a.next(t)
	u.fails(exitNothing, `^sfcred: error: no profile "new"`, "token", "-p", "new")
}

// A server forgets a client that has expired, and does not say so. The profile
// knows.
func realExpired(t *testing.T, a *authority, u *user) {
	expires := time.Now().Add(time.Second)
	u.works("sfcred", a.login(u, "RS256", "--client-id", "nosuchclient", "--no-check", "--expires", expires.Format(time.RFC3339Nano))...)
	time.Sleep(time.Until(expires))
	u.fails(exitRefused, `^sfcred: error: profile "RS256": the client expired 20[0-9-]+ [0-9:]+ UTC: `+refused+`.*\nsfcred: hint: sfcred login --profile RS256 --client-id NEW_ID\n$`, "token")
	if got := a.next(t); got.Status != 401 || got.Reason != "client not found" {
		t.Errorf("the server answered %d (%s)", got.Status, got.Reason)
	}
}

// The issuer is what newer rules want as audience (rfc7523bis).
func realAudience(t *testing.T, a *authority, u *user) {
	u.works("sfcred", a.login(u, "EdDSA", "--audience", a.issuer)...)
	if got := a.next(t); got.Status != 200 {
		t.Errorf("the server answered %d (%s)", got.Status, got.Reason)
	}
	var claims struct{ Aud string }
	if decodePart(t, u.answers("assertion"), 1, &claims); claims.Aud != a.issuer {
		t.Errorf("got audience %q, want %q", claims.Aud, a.issuer)
	}
}

func realScope(t *testing.T, a *authority, u *user) {
	u.works("sfcred", a.login(u, "RS256", "--scope", "read")...)
	var claims struct{ Scope string }
	if decodePart(t, accessToken(t, a.next(t)), 1, &claims); claims.Scope != "read" {
		t.Errorf("got a token for %q, want read", claims.Scope)
	}
}
