package sfapitest_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"sfcred/helper/sfapitest"
)

// get asks the API for path, with an Authorization header unless it is "".
func get(t *testing.T, s *sfapitest.Server, path, authorization string) response {
	t.Helper()
	return call(t, "GET", s.APIURL+path, authorization, nil)
}

func call(t *testing.T, method, address, authorization string, form url.Values) response {
	t.Helper()
	req := must(http.NewRequest(method, address, strings.NewReader(form.Encode())))
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	return do(t, req)
}

// TestAPI pins the shapes of the answers.
func TestAPI(t *testing.T) {
	const (
		perlmutter = `{"name":"perlmutter","full_name":"Perlmutter","description":"System is active","system_type":"compute","notes":[],"status":"active","updated_at":"2026-11-02T08:00:00-08:00"}`
		dtns       = `{"name":"dtns","full_name":"Data Transfer Nodes","description":"System is active","system_type":"filesystem","notes":[],"status":"active","updated_at":"2026-11-02T08:00:00-08:00"}`
		notFound   = `{"detail":"Not Found"}`
	)
	tests := []struct {
		method, path string
		form         url.Values
		status       int
		body         string
	}{
		{"GET", "/status", nil, 200, "[" + perlmutter + "," + dtns + "]"},
		{"GET", "/status/perlmutter", nil, 200, perlmutter},
		{"GET", "/status/cori", nil, 404, notFound},
		{"POST", "/status", nil, 405, `{"detail":"Method Not Allowed"}`},
		{"GET", "/nothing", nil, 404, notFound},
		{"GET", "/account/", nil, 200, `{"uid":90210,"name":"alice","firstname":null,"lastname":null,"middlename":null,"workphone":null,"otherPhones":null,"email":null}`},
		{"GET", "/account", nil, 307, ""},
		{"GET", "/account/clients", nil, 200, `[` +
			`{"name":"laptop","clientId":"aaaabbbbcccc1","expiresAt":"9999-12-31T00:00:00.000000+0000","comments":""},` +
			`{"name":"pod","clientId":"pod","expiresAt":"2030-01-02T03:04:05.678901+0000","comments":""}]`},
		{"POST", "/utilities/command/perlmutter", url.Values{"executable": {"hostname"}}, 200, `{"task_id":"1","status":"OK","error":null}`},
		{"POST", "/utilities/command/perlmutter", url.Values{}, 422, `{"detail":[{"loc":["body","executable"],"msg":"the form has no executable","type":"value_error"}]}`},
		{"POST", "/utilities/command/cori", url.Values{"executable": {"hostname"}}, 422, `{"detail":[{"loc":["path","machine"],"msg":"there is no such machine","type":"value_error"}]}`},
		// An executable in the query is none in the form.
		{"POST", "/utilities/command/dtns?executable=hostname", url.Values{}, 422, `{"detail":[{"loc":["body","executable"],"msg":"the form has no executable","type":"value_error"}]}`},
		{"GET", "/utilities/command/perlmutter", nil, 405, `{"detail":"Method Not Allowed"}`},
		{"GET", "/tasks/1", nil, 200, `{"id":"1","status":"completed","result":"{\"status\":\"ok\",\"output\":\"this server runs no commands\\n\",\"error\":null}"}`},
		{"GET", "/tasks/2", nil, 404, notFound},
		{"GET", "/tasks/0", nil, 404, notFound},
		{"GET", "/tasks/x", nil, 404, notFound},
	}
	pod, bob := alice(), alice()
	pod.ID, pod.Name = "pod", "pod"
	pod.Expires = time.Date(2030, 1, 2, 4, 4, 5, 678901234, time.FixedZone("", 3600))
	bob.ID, bob.User = "bob", "bob"
	s := newServer(t, alice(), bob, pod)
	authorization := "Bearer " + s.Mint("alice", time.Minute)
	for _, test := range tests {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			resp := call(t, test.method, s.APIURL+test.path, authorization, test.form)
			if resp.StatusCode != test.status || resp.body != test.body {
				t.Errorf("got  %s %s\nwant %d %s", resp.Status, resp.body, test.status, test.body)
			}
			log := lastRequest(t, s)
			if log.Status != test.status || (log.Reason == "") != (test.status < 400) {
				t.Errorf("got log %+v, want status %d and a reason for a refusal only", log, test.status)
			}
			switch test.status {
			case 307:
				if got, want := resp.Header.Get("Location"), s.APIURL+"/account/"; got != want {
					t.Errorf("got Location %q, want %q", got, want)
				}
			default:
				if got := resp.Header.Get("Content-Type"); got != "application/json" {
					t.Errorf("got Content-Type %q, want application/json", got)
				}
			}
		})
	}
	// A task is its user's.
	if resp := get(t, s, "/tasks/1", "Bearer "+s.Mint("bob", time.Minute)); resp.StatusCode != 404 {
		t.Errorf("got %s for another's task, want 404", resp.Status)
	}
}

// TestRefusedToken has a request for /account/ with something wrong with its
// token.
func TestRefusedToken(t *testing.T) {
	s, other := newServer(t, alice()), newServer(t, alice())
	good := s.Mint("alice", time.Minute)
	header, payload, sig := split(good)
	assertion := compact(rsaKey(), members{"alg": "RS256"}, goodClaims(s))
	tests := []struct {
		name          string
		authorization string
		want          string
	}{
		{"raw, as the old documentation has it", good, "is not of the scheme Bearer"},
		{"Basic", "Basic " + good, "is not of the scheme Bearer"},
		{"no token", "Bearer ", "no compact JWS: it has 1 parts"},
		{"two blanks", "Bearer  " + good, "no compact JWS: its header"},
		{"not a JWT", "Bearer abc", "no compact JWS: it has 1 parts"},
		{"expired", "Bearer " + s.Mint("alice", -time.Second), "the token has expired"},
		{"another server's", "Bearer " + other.Mint("alice", time.Minute), "the token is another server's"},
		{"an assertion", "Bearer " + assertion, "the token's header is not one of ours"},
		{"claims in place of others", "Bearer " + header + "." + encode(members{"client_id": clientID}) + "." + sig, "the token's signature is not ours"},
		{"alg none", "Bearer " + encode(members{"alg": "none", "typ": "at+jwt"}) + "." + payload + ".", "the token's header is not one of ours"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			resp := get(t, s, "/account/", test.authorization)
			wantRefused(t, resp, `{"detail":"Could not validate credentials"}`, `Bearer error="invalid_token"`)
			if got := lastRequest(t, s); !strings.Contains(got.Reason, test.want) || got.Status != 401 {
				t.Errorf("got log %+v, want status 401 and a reason with %q", got, test.want)
			}
		})
	}
	t.Run("no header", func(t *testing.T) {
		wantRefused(t, get(t, s, "/account/", ""), `{"detail":"Not authenticated"}`, "Bearer")
	})
	t.Run("two headers", func(t *testing.T) {
		req := must(http.NewRequest("GET", s.APIURL+"/account/", nil))
		req.Header["Authorization"] = []string{"Bearer " + good, "Bearer " + good}
		wantRefused(t, do(t, req), `{"detail":"Could not validate credentials"}`, `Bearer error="invalid_token"`)
	})
	t.Run("good, by a scheme in lower case", func(t *testing.T) {
		if resp := get(t, s, "/account/", "bearer "+good); resp.StatusCode != 200 {
			t.Errorf("got %s (%s), want 200", resp.Status, lastRequest(t, s).Reason)
		}
	})
	t.Run("good until the server's clock says no", func(t *testing.T) {
		s.SetSkew(2 * time.Minute)
		wantRefused(t, get(t, s, "/account/", "Bearer "+good), `{"detail":"Could not validate credentials"}`, `Bearer error="invalid_token"`)
		s.SetSkew(0)
	})
}

func wantRefused(t *testing.T, resp response, body, challenge string) {
	t.Helper()
	if resp.StatusCode != 401 || resp.body != body || resp.Header.Get("WWW-Authenticate") != challenge {
		t.Errorf("got %s %s, WWW-Authenticate %q; want 401 %s, %q", resp.Status, resp.body, resp.Header.Get("WWW-Authenticate"), body, challenge)
	}
}

// TestRefusedAtAPI has a good token of a client that may not use it any more.
func TestRefusedAtAPI(t *testing.T) {
	tests := []struct {
		name   string
		change func(*sfapitest.Client)
		policy sfapitest.Policy
		path   string
		status int
		want   string
	}{
		{"expired", func(c *sfapitest.Client) { c.Expires = time.Now() }, sfapitest.Policy{}, "/account/", 401, "the token's client has expired"},
		{"from elsewhere", elsewhere, sfapitest.Policy{}, "/account/", 401, "the source address 127.0.0.1:"},
		{"from elsewhere, 403", elsewhere, sfapitest.Policy{SourceStatus: 403}, "/account/", 403, "the source address 127.0.0.1:"},
		{"level too low", func(c *sfapitest.Client) { c.ReadOnly = true }, sfapitest.Policy{}, "/utilities/command/perlmutter", 403, "the client's level is too low"},
		{"level too low for the list", func(c *sfapitest.Client) { c.Denied = []string{"/account/clients"} }, sfapitest.Policy{}, "/account/clients", 403, "the client's level is too low"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newServer(t, alice())
			authorization := "Bearer " + s.Mint("alice", time.Minute)
			c := alice()
			test.change(&c)
			s.Add(c)
			s.SetPolicy(test.policy)
			method := "GET"
			if strings.HasPrefix(test.path, "/utilities/") {
				method = "POST"
			}
			resp := call(t, method, s.APIURL+test.path, authorization, url.Values{"executable": {"hostname"}})
			if resp.StatusCode != test.status || !strings.HasPrefix(resp.body, `{"detail":"`) {
				t.Errorf("got %s %s, want %d", resp.Status, resp.body, test.status)
			}
			if got, want := resp.Header.Get("WWW-Authenticate") != "", test.status == 401; got != want {
				t.Errorf("got WWW-Authenticate: %t, want %t", got, want)
			}
			if got := lastRequest(t, s); !strings.Contains(got.Reason, test.want) {
				t.Errorf("got log %+v, want a reason with %q", got, test.want)
			}
		})
	}
	t.Run("removed", func(t *testing.T) {
		s := newServer(t, alice())
		authorization := "Bearer " + s.Mint("alice", time.Minute)
		s.Remove(clientID)
		wantRefused(t, get(t, s, "/account/", authorization), `{"detail":"Could not validate credentials"}`, `Bearer error="invalid_token"`)
		if got := lastRequest(t, s).Reason; got != "the token's client is not known any more" {
			t.Errorf("got reason %q", got)
		}
	})
}

func elsewhere(c *sfapitest.Client) {
	c.Source = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}
}

// TestAccessToken verifies a token from the wire as a resource server would:
// by discovery, the key set and nothing else.
func TestAccessToken(t *testing.T) {
	c := alice()
	c.Scopes = []string{"a"}
	s := newServer(t, c)
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	unmarshal(t, post(t, s, goodForm(s)).body, &answer)
	if resp := get(t, s, "/account/", "Bearer "+answer.AccessToken); resp.StatusCode != 200 {
		t.Errorf("got %s for a token from the token endpoint, want 200", resp.Status)
	}
	var provider struct{ Issuer, JWKSURI string }
	unmarshal(t, strings.Replace(call(t, "GET", s.URL+"/c2id/.well-known/openid-configuration", "", nil).body, "jwks_uri", "JWKSURI", 1), &provider)
	var set struct {
		Keys []struct{ Kty, Use, Alg, Kid, N, E string }
	}
	unmarshal(t, call(t, "GET", provider.JWKSURI, "", nil).body, &set)
	if len(set.Keys) != 1 {
		t.Fatalf("got %d keys, want 1", len(set.Keys))
	}
	key := set.Keys[0]
	public := &rsa.PublicKey{
		N: new(big.Int).SetBytes(must(base64.RawURLEncoding.DecodeString(key.N))),
		E: int(new(big.Int).SetBytes(must(base64.RawURLEncoding.DecodeString(key.E))).Int64()),
	}
	header, payload, sig := split(answer.AccessToken)
	sum := sha256.Sum256([]byte(header + "." + payload))
	if err := rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], must(base64.RawURLEncoding.DecodeString(sig))); err != nil {
		t.Error(err)
	}
	if got, want := string(must(base64.RawURLEncoding.DecodeString(header))), `{"kid":"`+key.Kid+`","typ":"at+jwt","alg":"RS256"}`; got != want {
		t.Errorf("got header %s, want %s", got, want)
	}
	var claims struct {
		Iss, Sub, Aud, ClientID, Scope, Jti string
		Iat, Exp                            int64
	}
	text := strings.Replace(string(must(base64.RawURLEncoding.DecodeString(payload))), "client_id", "ClientID", 1)
	unmarshal(t, text, &claims)
	if claims.Iss != provider.Issuer || claims.Sub != clientID || claims.ClientID != clientID || claims.Aud != s.APIURL || claims.Scope != "a un:alice" {
		t.Errorf("got claims %+v", claims)
	}
	if claims.Exp-claims.Iat != 600 || time.Since(time.Unix(claims.Iat, 0)).Abs() > time.Minute || claims.Jti == "" {
		t.Errorf("got claims %+v, want a life of 600 s from now and a jti", claims)
	}
}

func unmarshal(t *testing.T, text string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

func TestMintOfNobody(t *testing.T) {
	s := newServer(t, alice())
	defer func() {
		if recover() == nil {
			t.Error("got a token for an unknown user")
		}
	}()
	s.Mint("bob", time.Minute)
}

func TestLogKeepsNoSecret(t *testing.T) {
	s := newServer(t, alice())
	secret := rand.Text()
	req := tokenRequest(s, formOf(secret).Encode())
	req.URL.RawQuery = "client_assertion=" + secret
	do(t, req)
	post(t, s, formOf(secret+"."+secret+"."+secret))
	get(t, s, "/account/?access_token="+secret, "Bearer "+secret)
	get(t, s, "/account/", secret)
	for _, r := range s.Requests() {
		if strings.Contains(r.Method+r.Path+r.Reason, secret) {
			t.Errorf("the log has the secret: %+v", r)
		}
	}
	if len(s.Requests()) != 4 {
		t.Errorf("got %d requests, want 4", len(s.Requests()))
	}
}

// TestProtect has a handler of the caller's behind the same check as the API.
func TestProtect(t *testing.T) {
	s := newServer(t, alice())
	s.Protect("GET /files/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "file "+r.URL.Path) }))
	token := s.Mint("alice", time.Minute)
	ask := func(authorization string, status int, body, reason string) {
		t.Helper()
		got := call(t, "GET", s.URL+"/files/a", authorization, nil)
		if log := lastRequest(t, s); got.StatusCode != status || got.body != body || log.Reason != reason {
			t.Errorf("got %d %s because of %q, want %d %s because of %q", got.StatusCode, got.body, log.Reason, status, body, reason)
		}
	}
	ask("Bearer "+token, 200, "file /files/a", "")
	ask("", 401, `{"detail":"Not authenticated"}`, "there is no Authorization header")
	ask("Bearer "+s.Mint("alice", -time.Second), 401, `{"detail":"Could not validate credentials"}`, "the token has expired")
	s.Revoke()
	ask("Bearer "+token, 401, `{"detail":"Could not validate credentials"}`, "the token was revoked")
	ask("Bearer "+s.Mint("alice", time.Minute), 200, "file /files/a", "")
	s.SetAPIFault(sfapitest.Status(503, nil))
	ask("Bearer "+token, 503, "Service Unavailable\n", "a fault answered")
}

// TestSourceAtAPI has the token endpoint take a client from anywhere, and the
// API not; a level that is too low for one path is not for another.
func TestSourceAtAPI(t *testing.T) {
	c := alice()
	elsewhere(&c)
	s := newServer(t, c)
	s.SetPolicy(sfapitest.Policy{SourceAtAPI: true, SourceStatus: 403})
	resp := post(t, s, formOf(compact(rsaKey(), members{"alg": "RS256"}, goodClaims(s))))
	if resp.StatusCode != 200 {
		t.Fatalf("got %s %s (%s)", resp.Status, resp.body, lastRequest(t, s).Reason)
	}
	authorization := "Bearer " + s.Mint("alice", time.Minute)
	if resp := get(t, s, "/account/", authorization); resp.StatusCode != 403 {
		t.Errorf("got %s, want 403", resp.Status)
	}
	c = alice()
	c.Denied = []string{"/account/clients"}
	s.Add(c)
	if resp := get(t, s, "/account/", authorization); resp.StatusCode != 200 {
		t.Errorf("got %s, want 200", resp.Status)
	}
}
