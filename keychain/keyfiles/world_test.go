package keyfiles

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sfcred/keychain/jose"
)

// keys are generated once for all tests, by the names that tests call them.
var keys = sync.OnceValue(func() map[string]any {
	return map[string]any{
		"rsa": must(rsa.GenerateKey(rand.Reader, 2048)),
		"ec":  must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)),
		"ed":  must2(ed25519.GenerateKey(rand.Reader)),
	}
})

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func must2[T, U any](_ U, v T, err error) T { return must(v, err) }

// pkcs8 is the PEM of a key.
func pkcs8(name string) string {
	der := must(x509.MarshalPKCS8PrivateKey(keys()[name]))
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// pkcs1 is the PEM of the RSA key as Iris writes it.
func pkcs1() string {
	der := x509.MarshalPKCS1PrivateKey(keys()["rsa"].(*rsa.PrivateKey))
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der}))
}

// jwk is the JWK of the RSA or the Ed25519 key.
func jwk(name string) string {
	b64 := base64.RawURLEncoding.EncodeToString
	members := map[string]string{}
	switch key := keys()[name].(type) {
	case ed25519.PrivateKey:
		members = map[string]string{"kty": "OKP", "crv": "Ed25519", "d": b64(key.Seed()), "x": b64(key[32:])}
	case *rsa.PrivateKey:
		members["kty"] = "RSA"
		for name, number := range map[string]*big.Int{
			"n": key.N, "e": big.NewInt(int64(key.E)), "d": key.D, "p": key.Primes[0], "q": key.Primes[1],
			"dp": key.Precomputed.Dp, "dq": key.Precomputed.Dq, "qi": key.Precomputed.Qinv,
		} {
			members[name] = b64(number.Bytes())
		}
	}
	return string(must(json.Marshal(members)))
}

// public is the PEM of the RSA key's public half.
func public() string {
	der := must(x509.MarshalPKIXPublicKey(&keys()["rsa"].(*rsa.PrivateKey).PublicKey))
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func fixture(t testing.TB, name string) string {
	t.Helper()
	return string(must(os.ReadFile(filepath.Join("..", "jose", "testdata", name))))
}

// keyName gives a fingerprint the name that tests call the key by.
func keyName(fingerprint string) string {
	for name := range keys() {
		if must(jose.Parse([]byte(pkcs8(name)), nil)).Key.Fingerprint() == fingerprint {
			return name
		}
	}
	return fingerprint
}

// world is a home and a working directory for a test; in names and in what is
// told, "~" and "." stand for them.
type world struct {
	*testing.T
	home, dir string
	env       map[string]string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir()) // it is behind a link on macOS
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t, filepath.Join(root, "home"), filepath.Join(root, "work"), map[string]string{}}
	w.mkdir("~")
	w.mkdir(".")
	return w
}

// path makes "~/x" and "./x" a path in the world.
func (w *world) path(name string) string {
	if below, ok := strings.CutPrefix(name, "~"); ok {
		return filepath.Join(w.home, below)
	}
	if name == "." || strings.HasPrefix(name, "./") {
		return filepath.Join(w.dir, name)
	}
	return name
}

func (w *world) mkdir(name string) {
	w.Helper()
	if err := os.MkdirAll(w.path(name), 0o700); err != nil {
		w.Fatal(err)
	}
}

// write makes a file that nobody else can read.
func (w *world) write(name, content string) {
	w.Helper()
	w.mkdir(filepath.Dir(w.path(name)))
	if err := os.WriteFile(w.path(name), []byte(content), 0o600); err != nil {
		w.Fatal(err)
	}
}

func (w *world) search() Search {
	env := map[string]string{}
	for name, value := range w.env {
		env[name] = value
		if strings.HasPrefix(value, "~/") || strings.HasPrefix(value, "./") {
			env[name] = w.path(value)
		}
	}
	return Search{Home: w.home, Dir: w.dir, Lookup: func(name string) string { return env[name] }}
}

// find searches, and puts in words all that was found.
func (w *world) find(s Search) string {
	w.Helper()
	found, problems, err := s.Find(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	var text strings.Builder
	for _, f := range found {
		name := place(f.Path, f.Variable)
		key := fmt.Sprintf("%s %d %s", f.Type, f.Bits, keyName(f.Fingerprint))
		if f.Encrypted {
			key = "encrypted" + f.Type + f.Fingerprint
		}
		fmt.Fprintf(&text, "%s %s (%s)", name, key, f.Format)
		if f.ClientID != "" {
			fmt.Fprintf(&text, " of %s", f.ClientID)
		}
		if f.IDPath != "" {
			fmt.Fprintf(&text, " by %q", f.IDPath)
		}
		text.WriteByte('\n')
		for _, warning := range f.Warnings {
			fmt.Fprintf(&text, "\t%s\n", warning)
		}
	}
	for _, p := range problems {
		fmt.Fprintf(&text, "! %s", p)
		if p.Path != "" && p.Variable != "" {
			fmt.Fprintf(&text, " (%s)", p.Variable)
		}
		text.WriteByte('\n')
	}
	return w.short(text.String())
}

// short puts "~" and "." for the directories of the world.
func (w *world) short(text string) string {
	text = strings.NewReplacer(quoted(w.home), "~", quoted(w.dir), ".", w.home, "~", w.dir, ".").Replace(text)
	if filepath.Separator == '\\' {
		text = strings.NewReplacer(`\\`, "/", `\`, "/").Replace(text)
	}
	return text
}

// quoted is s as it stands inside quotes.
func quoted(s string) string { return strings.Trim(fmt.Sprintf("%q", s), `"`) }

// want compares with an indented text, a line for each key, warning and
// problem; nothing stands for nothing.
func (w *world) want(got, want string) {
	w.Helper()
	var lines strings.Builder
	for line := range strings.Lines(want) {
		if line = strings.TrimPrefix(line, "\t\t\t"); strings.TrimSpace(line) != "" {
			lines.WriteString(line)
		}
	}
	if got != lines.String() {
		w.Errorf("got\n%s\nwant\n%s", got, lines.String())
	}
}
