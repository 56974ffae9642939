package keyfiles

import (
	"encoding/json"
	"strings"
	"testing"

	"sfcred/keychain/jose"
)

// id is a client ID as Iris makes them, and so is id2.
const id, id2 = "abcdefghij123", "zyxwvutsrq987"

func TestParseID(t *testing.T) {
	for text, want := range map[string]string{
		id:                                   id,
		id + "\n":                            id,
		" \r\n" + id + "\r\n\r\n":            id,
		"\uFEFF" + id:                        id,
		`"` + id + `"` + "\n":                id,
		`'` + id + `'`:                       id,
		`"abcdefghij\u0031\u0032\u0033"`:     id,
		"client_id=" + id:                    id,
		"CLIENT_ID = " + id + "\n":           id,
		"client_id: " + id:                   id,
		"clientid:" + id:                     id,
		`SFAPI_CLIENT_ID="` + id + `"`:       id,
		"client-id='" + id + "'":             id,
		"https://example.org/clientid=7":     "https://example.org/clientid=7",
		"7e57d004-2b97-0e7a-b45f-5387367791": "7e57d004-2b97-0e7a-b45f-5387367791",
		strings.Repeat("x", 128):             strings.Repeat("x", 128),

		"":                                 "",
		" \n":                              "",
		`""`:                               "",
		id + " " + id:                      "",
		id + "\n" + id:                     "",
		"# client\n" + id:                  "",
		`"` + id:                           "",
		id + `"`:                           "",
		`'`:                                "",
		`"two words"`:                      "",
		"client_id=":                       "",
		"client_id=client_id=" + id:        "",
		`client_id="client_id=` + id + `"`: "",
		"export SFAPI_CLIENT_ID=" + id:     "",
		"name=" + id + "; x":               "",
		`{"client_id":"` + id + `"}`:       "",
		"-----BEGIN RSA PRIVATE KEY-----":  "",
		"ключ":                             "",
		id + "\x00":                        "",
		"\xff\xfea\x00":                    "",
		strings.Repeat("x", 129):           "",
	} {
		if got := parseID([]byte(text)); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// What parseID takes is a client ID that says nothing but itself: it is taken
// the same from a file of its own, in all the forms there are.
func FuzzParseID(f *testing.F) {
	for _, seed := range []string{
		id, `"` + id + `"`, "client_id=" + id, "client_id: 'x'", "'\"", `"\u0061"`, "\uFEFFx\n", "a=b:c", "client_id=client_id=x",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got := parseID(data)
		if got == "" {
			return
		}
		if !jose.IsClientID(got) {
			t.Fatalf("%q: got %q, which is none", data, got)
		}
		if !strings.Contains(string(data), got) && !strings.Contains(string(data), `\`) {
			t.Errorf("%q: got %q, which does not stand there", data, got)
		}
		asJSON, _ := json.Marshal(got)
		for _, form := range []string{
			got, got + "\r\n", "'" + got + "'", string(asJSON), "client_id=" + got, "CLIENT_ID : " + string(asJSON) + "\n",
		} {
			if again := parseID([]byte(form)); again != got {
				t.Errorf("%q: got %q, want %q", form, again, got)
			}
		}
		for _, form := range []string{got + " x", "x\n" + got, got + `"`, "{" + got} {
			if again := parseID([]byte(form)); again != "" {
				t.Errorf("%q: got %q, want nothing", form, again)
			}
		}
	})
}

func TestIDInName(t *testing.T) {
	for name, want := range map[string]string{
		id + ".pem":           id,
		id + ".jwk":           id,
		"blue-" + id + ".pem": id,
		"a-b-" + id + ".pem":  id,
		"1234567890abc.pem":   "1234567890abc",

		"key.pem":              "",
		"superfacility.pem":    "",
		"my-superfacility.pem": "",
		"2026093012345.pem":    "",
		id + ".txt":            "",
		id:                     "",
		id + "4.pem":           "",
		"blue_" + id + ".pem":  "",
		"ABCDEFGHIJ123.pem":    "",
		"abcdefghi_123.pem":    "",
		"abcdefghijké.pem":     "",
		".pem":                 "",
		"-.pem":                "",
	} {
		if got := idInName(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}
