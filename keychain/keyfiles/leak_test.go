package keyfiles

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
)

const window = 20

// windows are all stretches of so many bytes in the secrets.
func windows(secrets []string) map[string]bool {
	all := map[string]bool{}
	for _, secret := range secrets {
		for i := 0; i+window <= len(secret); i++ {
			all[secret[i:i+window]] = true
		}
	}
	return all
}

func leaks(text string, secret map[string]bool) bool {
	for i := 0; i+window <= len(text); i++ {
		if secret[text[i:i+window]] {
			return true
		}
	}
	return false
}

// Wherever a key lies and however it is broken, nothing that is found repeats
// any of it, by whatever verb it is printed.
func TestPrintsNoSecret(t *testing.T) {
	body := func(text string) string { // the base64 of a PEM, in one line
		block, _ := pem.Decode([]byte(text))
		return base64.StdEncoding.EncodeToString(block.Bytes)
	}
	rsaPEM, rsaJWK, edPEM := pkcs1(), jwk("rsa"), pkcs8("ed")
	secrets := []string{body(rsaPEM), body(edPEM), body(pkcs8("rsa")), body(pkcs8("ec"))}
	for _, text := range []string{rsaJWK, jwk("ed")} {
		var members map[string]string
		if err := json.Unmarshal([]byte(text), &members); err != nil {
			t.Fatal(err)
		}
		for name, value := range members {
			if name != "kty" && name != "crv" {
				secrets = append(secrets, value)
			}
		}
	}
	// A slice of bytes is printed as numbers, or in hexadecimal.
	for _, text := range []string{rsaPEM, edPEM, rsaJWK} {
		secrets = append(secrets, fmt.Sprint([]byte(text)), fmt.Sprintf("%x", text), fmt.Sprintf("%#v", []byte(text)))
	}
	secret := windows(secrets)

	w := newWorld(t)
	for name, content := range map[string]string{
		"a.pem": id + "\n" + rsaPEM, "b.jwk": rsaJWK, "c.pem": rsaPEM[:900], "d.json": clientJSON(id, "secret", "rsa")[:800],
		"e.pem": body(rsaPEM), "f.pem": strings.ReplaceAll(rsaPEM, "\n", ""), "g.json": strings.Replace(rsaJWK, `"d":"`, `"d":["`, 1),
		"h.pem": strings.Replace(rsaPEM, "MII", "M!I", 1), "i.pem": edPEM, "j.pem": body(rsaPEM) + "\n" + pkcs8("ec"),
		"clientid.txt": rsaPEM, "client_id": body(rsaPEM),
		"k.json": fmt.Sprintf(`{"client_id":%q,"secret":%s}`, body(rsaPEM), rsaJWK),
	} {
		w.write("~/.superfacility/"+name, content)
		w.write("./.auth/priv_key.pem", content)
	}
	values := []string{rsaPEM, rsaJWK, body(rsaPEM), "/" + body(rsaPEM)[:200], body(edPEM), rsaPEM[:900], strings.ReplaceAll(rsaPEM, "\n", " "),
		rsaJWK[1:], clientJSON(id, "secret", "rsa"), `"` + rsaPEM, "-" + body(edPEM), "~/" + body(edPEM)}
	all, _ := keyVariables()
	found, problems := 0, 0
	for i := range all {
		for j, v := range all {
			w.env[v.name] = values[(i+j)%len(values)]
			for _, id := range v.ids {
				if w.env[id] = values[(i*3+j)%len(values)]; w.env[id] == body(edPEM) {
					delete(w.env, id) // short enough for a client ID, and then that is what it is
				}
			}
		}
		keys, refused, err := w.search().Find(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		found, problems = found+len(keys), problems+len(refused)
		type hidden struct {
			f  Found
			fs []Found
			p  Problem
		}
		var printed []any
		for _, f := range keys {
			printed = append(printed, f, &f, hidden{f: f}, &hidden{fs: []Found{f}}, f.Warnings)
		}
		for _, p := range refused {
			printed = append(printed, p, &p, hidden{p: p})
		}
		for _, value := range append(printed, keys, refused, map[string]any{"keys": keys}) {
			var text bytes.Buffer
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%b", "%c", "%p", "%t", "%w"} {
				fmt.Fprintf(&text, verb+"\n", value)
			}
			if err := json.NewEncoder(&text).Encode(value); err != nil {
				t.Errorf("JSON of %T: %v", value, err)
			}
			if leaks(text.String(), secret) {
				t.Fatalf("%T prints the secret: %s", value, text.String())
			}
		}
	}
	if found < 50 || problems < 50 {
		t.Errorf("%d keys and %d problems: too few to say anything", found, problems)
	}
	// The test sees what it is to see.
	if !leaks("x"+secrets[0][40:60], secret) || leaks(id+id2, secret) {
		t.Error("leaks finds nothing, or everything")
	}
}
