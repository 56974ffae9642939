package sfapitest

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
)

// FuzzParseJWS wants one reading of one text: what is accepted is, encoded
// again part by part, what was read.
func FuzzParseJWS(f *testing.F) {
	encode := base64.RawURLEncoding.EncodeToString
	good := encode([]byte(`{"alg":"RS256"}`)) + "." + encode([]byte(`{"iss":"x","exp":1.5}`)) + "." + encode([]byte("sig"))
	for _, seed := range []string{good, good + "=", good + ".", "..", "e30.e30.", "e30.e30.AB", strings.Replace(good, ".", ".\n", 1)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, compact string) {
		token, err := parseJWS(compact)
		if err != nil {
			if token.header != nil || token.claims != nil || token.sig != nil || token.input != nil {
				t.Errorf("got parts together with an error: %v", err)
			}
			return
		}
		if got := string(token.input) + "." + encode(token.sig); got != compact {
			t.Errorf("got %q encoded again, want %q", got, compact)
		}
	})
}

// FuzzParseObject wants what is accepted to be JSON by encoding/json too, with
// the same members by name and no fewer.
func FuzzParseObject(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":1}`, `{"a":1,"a":2}`, `{"a":1,"A":2}`, `{"a":{"b":1,"b":2}}`, `{"a":1,}`, `{"a":1}{}`, `[]`, `null`, ` {"a" : null } `, `{"\u0061":1,"a":2}`, `{"a":1]`, `{"a"}`, `{1:2}`, "{\"a\":\"\xff\"}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := parseObject(data)
		if err != nil {
			if got != nil {
				t.Errorf("got an object together with an error: %v", err)
			}
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatalf("accepted what encoding/json refuses: %v", err)
		}
		if len(got) != len(want) {
			t.Fatalf("got %d members, want %d", len(got), len(want))
		}
		for name, value := range want {
			if string(got[name]) != string(value) {
				t.Errorf("got %q for %q, want %q", got[name], name, value)
			}
		}
	})
}
