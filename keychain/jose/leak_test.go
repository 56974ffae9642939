package jose_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sfcred/keychain/jose"
)

// leaks reports whether text has 16 bytes in a row in common with secret.
func leaks(text string, secret []byte) bool {
	for i := 0; i+16 <= len(text); i++ {
		if bytes.Contains(secret, []byte(text[i:i+16])) {
			return true
		}
	}
	return false
}

// Whatever is broken in a key file, the error repeats nothing of it: neither
// by our words nor by those of a library.
func TestErrorsRepeatNothing(t *testing.T) {
	files, err := filepath.Glob("testdata/*.*")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	var inputs [][]byte
	for _, name := range files {
		if !strings.HasSuffix(name, "fingerprints.txt") && !strings.Contains(name, "encrypted.openssh") {
			inputs = append(inputs, must(os.ReadFile(name)))
		}
	}
	for _, key := range generated() {
		inputs = append(inputs, with(jwkOf(key), map[string]any{"kid": "a key ID of more than sixteen bytes"}))
		inputs = append(inputs, fmt.Appendf(nil, `{"client_id":"abc","secret":%s}`, with(jwkOf(key), nil)))
	}
	random := rand.New(rand.NewPCG(1, 2))
	errors := 0
	for _, input := range inputs {
		for range 40 {
			broken := bytes.Clone(input)
			switch at := random.IntN(len(broken)); random.IntN(3) {
			case 0:
				broken = broken[:at]
			case 1:
				broken[at] ^= 1 << random.IntN(7)
			case 2: // a value where another kind of value belongs
				broken = bytes.Replace(broken, []byte(`:"`), []byte(`:["`), 1+at%3)
			}
			_, err := jose.Parse(broken, func() ([]byte, error) { return []byte(passphrase), nil })
			if err == nil {
				continue
			}
			errors++
			if leaks(err.Error(), broken) {
				t.Errorf("error repeats its input: %v", err)
			}
		}
	}
	if errors < len(inputs)*10 {
		t.Errorf("%d errors for %d files: too few to say anything", errors, len(inputs))
	}
}

func TestKeyPrintsNoSecret(t *testing.T) {
	for name, raw := range generated() {
		key := keyOf(t, raw)
		want := fmt.Sprintf("%s key %s", name, key.Fingerprint())
		if got := key.String(); got != want {
			t.Errorf("String: got %q, want %q", got, want)
		}
		members := jwkOf(raw)
		secrets := [][]byte{[]byte(key.Text())}
		for _, member := range []string{"d", "p", "q"} {
			if number, ok := members[member].(string); ok {
				secrets = append(secrets, []byte(number))
			}
		}
		if d, ok := raw.(interface{ Seed() []byte }); ok {
			secrets = append(secrets, []byte(fmt.Sprint(d.Seed())), fmt.Appendf(nil, "%x", d.Seed()))
		}
		file := jose.File{Key: key}
		type holder struct{ key jose.Key }
		for _, value := range []any{key, *key, file, &file, key.Signer(), holder{*key}, []*jose.Key{key}} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
				printed := fmt.Sprintf(verb, value)
				for _, secret := range secrets {
					if leaks(printed, secret) {
						t.Errorf("%s: %s of %T prints the secret", name, verb, value)
					}
				}
			}
			if text, err := json.Marshal(value); err == nil && (leaks(string(text), secrets[0]) || len(text) > 300) {
				t.Errorf("%s: JSON of %T has the secret: %d bytes", name, value, len(text))
			}
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
			if got := fmt.Sprintf(verb, key); got != want {
				t.Errorf("%s: got %q, want %q", verb, got, want)
			}
		}
	}
	if got := fmt.Sprint(jose.Key{}); got != "no key" {
		t.Errorf("zero value: got %q", got)
	}
}
