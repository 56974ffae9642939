package sfapitest_test

import (
	"crypto"
	"encoding/json"
	"testing"

	"sfcred/helper/sfapitest"
)

// TestExchange has one good assertion for each algorithm a client may use.
func TestExchange(t *testing.T) {
	tests := []struct {
		alg  string
		key  crypto.Signer
		algs []string // nil: the default by the key's type
	}{
		{"RS256", rsaKey(), nil},
		{"PS256", rsaKey(), nil},
		{"RS384", rsaKey(), []string{"RS384"}},
		{"RS512", rsaKey(), []string{"RS512"}},
		{"PS384", rsaKey(), []string{"PS384"}},
		{"PS512", rsaKey(), []string{"PS512"}},
		{"ES256", p256Key(), nil},
		{"ES384", p384Key(), nil},
		{"ES512", p521Key(), nil},
		{"EdDSA", edKey(), nil},
	}
	for _, test := range tests {
		t.Run(test.alg, func(t *testing.T) {
			c := alice()
			c.Key, c.Algs, c.Scopes = test.key.Public(), test.algs, []string{"a", "b"}
			s := newServer(t, c)
			resp := post(t, s, formOf(compact(test.key, members{"alg": test.alg}, goodClaims(s))))
			if resp.StatusCode != 200 {
				t.Fatalf("got %s %s (%s)", resp.Status, resp.body, lastRequest(t, s).Reason)
			}
			var answer struct {
				AccessToken string `json:"access_token"`
			}
			if err := json.Unmarshal([]byte(resp.body), &answer); err != nil {
				t.Fatal(err)
			}
			want := `{"access_token":"` + answer.AccessToken + `","token_type":"Bearer","expires_in":600,"scope":"a b un:alice"}`
			if answer.AccessToken == "" || resp.body != want {
				t.Errorf("got  %s\nwant %s", resp.body, want)
			}
			if got := resp.Header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("got Cache-Control %q, want no-store", got)
			}
			if s.Exchanges() != 1 || s.Refusals() != 0 {
				t.Errorf("got %d exchanges and %d refusals, want 1 and 0", s.Exchanges(), s.Refusals())
			}
			if got, want := lastRequest(t, s), (sfapitest.Request{Method: "POST", Path: "/c2id/token", Status: 200}); got != want {
				t.Errorf("got log %+v, want %+v", got, want)
			}
		})
	}
}
