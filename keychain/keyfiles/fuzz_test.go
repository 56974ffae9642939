package keyfiles

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"sfcred/keychain/jose"
)

// Whatever a variable holds, with whatever client ID beside it: what is found is
// the key that the value is, for a client ID that is one, or there is a reason;
// and nothing that is said of it repeats the value, unless it is a file's name.
func FuzzVariable(f *testing.F) {
	for _, value := range []string{
		pkcs1(), id + "\n" + pkcs1(), pkcs8("ed"), jwk("rsa"), jwk("ec"), `"` + jwk("ed") + `"`,
		`{"client_id":"` + id + `","secret":` + jwk("ed") + `}`, `{"keys":[` + jwk("ed") + `]}`, "~/key.pem", "{", "[", "-----BEGIN ", "",
	} {
		f.Add(value, id)
		f.Add(value, "")
	}
	f.Add(jwk("ed"), "client_id=\x1b[2J")
	f.Fuzz(func(t *testing.T, value, beside string) {
		if !LooksLikeKey(value) {
			return // what is a file's name is for the tests with files
		}
		search := Search{Lookup: func(name string) string {
			return map[string]string{"SFAPI_SECRET": value, "SFAPI_CLIENT_ID": beside}[name]
		}}
		found, problems, err := search.Find(t.Context())
		if err != nil || len(found)+len(problems) != 1 {
			t.Fatalf("got %v, %v, %v", found, problems, err)
		}
		secret := windows([]string{value})
		said, _ := json.Marshal([]any{found, problems})
		if text := string(said) + fmt.Sprintf("%v %+v %#v", found, problems, found); len(value) < 4096 && leaks(withoutID(text, found), secret) {
			t.Fatalf("%q is said of %q", text, value)
		}
		_, parseErr := jose.Parse([]byte(value), nil)
		for _, problem := range problems {
			if parseErr == nil || problem.Reason == "" {
				t.Fatalf("a key, and the problem %q", problem)
			}
		}
		for _, key := range found {
			if key.Encrypted == (parseErr == nil) || (key.Fingerprint == "") != key.Encrypted || string(key.Text()) != strings.TrimSpace(value) {
				t.Fatalf("got %+v, and by itself %v", key, parseErr)
			}
			if key.ClientID != "" && !jose.IsClientID(key.ClientID) || key.ClientID == "" && len(key.Warnings) == 0 {
				t.Fatalf("got client ID %q, and the warnings %q", key.ClientID, key.Warnings)
			}
		}
	})
}

// withoutID takes out of what is said the client ID, which may stand in the value
// too, and what is computed of the public key.
func withoutID(text string, found []Found) string {
	for _, key := range found {
		for _, known := range []string{key.ClientID, key.Fingerprint} {
			if known != "" {
				text = strings.ReplaceAll(text, known, "")
			}
		}
	}
	return text
}
