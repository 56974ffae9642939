//go:build linux

package main

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sfcred/helper/sfapitest"
	"sfcred/keychain/keychaintest"
)

// window is how much of a secret must not be found anywhere: enough that it is
// no coincidence.
const window = 20

// secretWords finds secrets, and parts of them, in text.
type secretWords struct {
	mu      sync.Mutex
	windows map[string]string // of window bytes, to what they are part of
}

// add has every part of a text be secret.
func (s *secretWords) add(what, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := 0; i+window <= len(text); i++ {
		s.windows[text[i:i+window]] = what
	}
}

// in names a secret of which a part is in text, or "". Line ends do not hide it.
func (s *secretWords) in(text []byte) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range [][]byte{text, bytes.ReplaceAll(text, []byte("\n"), nil)} {
		for i := 0; i+window <= len(t); i++ {
			if what, ok := s.windows[string(t[i:i+window])]; ok {
				return what
			}
		}
	}
	return ""
}

// addKey has a key be secret, in the forms that it is likely to be written in.
func (s *secretWords) addKey(key *rsa.PrivateKey) {
	parts := map[string][]byte{"d": key.D.Bytes(), "p": key.Primes[0].Bytes(), "q": key.Primes[1].Bytes()}
	for name, b := range parts {
		s.add("the key's "+name, string(b))
		s.add("the key's "+name, hex.EncodeToString(b))
		s.add("the key's "+name, strings.ToUpper(hex.EncodeToString(b)))
		for before := range 3 { // where it stands in what is encoded
			shifted := append(make([]byte, before), b...)
			for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
				text := encoding.EncodeToString(shifted)
				s.add("the key's "+name, text[before+before/2:len(text)-2])
			}
		}
		s.add("the key's "+name, fmt.Sprint(b))
	}
	s.add("the key's d", key.D.String())
	s.add("the key's p", key.Primes[0].String())
	s.add("the key's q", key.Primes[1].String())
	// The public half stands first in PKCS#1, and is no secret.
	der := x509.MarshalPKCS1PrivateKey(key)
	public := len(x509.MarshalPKCS1PublicKey(&key.PublicKey)) + 16
	s.add("the PEM", base64.StdEncoding.EncodeToString(der)[public*4/3:])
}

const (
	leakPassphrase = "correct-horse-battery-staple-0123456789"
	leakToken      = "access-token-canary-0123456789-abcdefghij"
)

// leakWorld runs sfcred and looks for secrets in what becomes of it.
type leakWorld struct {
	t       *testing.T
	dir     string
	server  *sfapitest.Server
	bus     *keychaintest.Service
	secrets secretWords
	agent   *testAgent
	env     []string
	name    string // of the state the world is in
	shown   int    // messages that had hostile text in them
}

func newLeakWorld(t *testing.T) *leakWorld {
	w := &leakWorld{t: t, dir: t.TempDir(), server: newServer(), secrets: secretWords{windows: map[string]string{}}}
	t.Cleanup(w.server.Close)
	bus, err := keychaintest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	w.bus = bus
	agent, stop, err := startAgent()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	w.agent = agent
	key := theKeys()["key"].(*rsa.PrivateKey)
	w.secrets.addKey(key)
	w.secrets.addKey(theKeys()["other"].(*rsa.PrivateKey))
	w.secrets.add("the passphrase", leakPassphrase)
	w.secrets.add("the token", leakToken)
	for _, dir := range []string{"home", "run", "tmp", "keys"} {
		if err := os.Mkdir(filepath.Join(w.dir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeKeys(filepath.Join(w.dir, "keys"), theKeys()); err != nil {
		t.Fatal(err)
	}
	w.write("keys/pass", leakPassphrase+"\n")
	w.write("keys/wrong", "wrong passphrase\n")
	w.env = append(os.Environ(),
		"HOME="+filepath.Join(w.dir, "home"), "XDG_RUNTIME_DIR="+filepath.Join(w.dir, "run"), "TMPDIR="+filepath.Join(w.dir, "tmp"),
		"XDG_CONFIG_HOME=", "XDG_DATA_HOME=", "DBUS_SESSION_BUS_ADDRESS="+bus.Address(), "SSH_AUTH_SOCK="+agent.socket,
		"SFCRED_TIMEOUT=300s", "KUBECTL_MINOR=30", "KUBECONFIG="+filepath.Join(w.dir, "kubeconfig"), "KUBECTL_LOG="+filepath.Join(w.dir, "kubectl.log"))
	return w
}

func (w *leakWorld) write(name, text string) {
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// fault sets how the server answers; its tokens are always the one that is
// looked for, and the assertions that it gets are secrets from then on.
func (w *leakWorld) fault(name string, faults ...sfapitest.Fault) {
	w.name = name
	w.server.SetTokenFault(append([]sfapitest.Fault{w.hear}, append(faults, sfapitest.With("access_token", leakToken))...)...)
}

// hear takes down the assertions that come.
func (w *leakWorld) hear(genuine http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body := new(bytes.Buffer)
		body.ReadFrom(r.Body)
		r.Body = readCloser{bytes.NewReader(body.Bytes())}
		for _, field := range strings.Split(body.String(), "&") {
			if assertion, ok := strings.CutPrefix(field, "client_assertion="); ok {
				parts := strings.Split(assertion, ".")
				w.secrets.add("the assertion", parts[1])
				w.secrets.add("the assertion", parts[2])
			}
		}
		genuine.ServeHTTP(rw, r)
	})
}

// counted counts the requests that come.
func counted(n *atomic.Int32) sfapitest.Fault {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n.Add(1)
			next.ServeHTTP(w, r)
		})
	}
}

// forget empties the cache of tokens and refusals.
func (w *leakWorld) forget() {
	if err := os.RemoveAll(filepath.Join(w.dir, "run", "sfcred")); err != nil {
		w.t.Fatal(err)
	}
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }

// run runs sfcred with more variables, and looks at its standard error, and at
// its standard output unless that is an answer. Neither may have what steers a
// terminal.
func (w *leakWorld) run(env []string, args ...string) (stdout []byte, failed bool) {
	w.t.Helper()
	return w.runWith("", env, args)
}

// input is run with something on standard input.
func (w *leakWorld) input(stdin string, args ...string) {
	w.t.Helper()
	w.runWith(stdin, nil, args)
}

func (w *leakWorld) runWith(stdin string, env, args []string) (stdout []byte, failed bool) {
	w.t.Helper()
	var out, stderr bytes.Buffer
	cmd := exec.Command("sfcred", args...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Dir, cmd.Env = filepath.Join(w.dir, "keys"), append(w.env[:len(w.env):len(w.env)], env...)
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		w.t.Fatal(err)
	}
	if what := w.secrets.in(stderr.Bytes()); what != "" {
		w.t.Errorf("%s: sfcred %q: %s is on standard error:\n%s", w.name, args, what, stderr.Bytes())
	}
	if what := w.secrets.in(out.Bytes()); what != "" && (err != nil || what != "the token" && what != "the assertion") {
		w.t.Errorf("%s: sfcred %q: %s is on standard output", w.name, args, what)
	}
	for _, text := range [][]byte{stderr.Bytes(), out.Bytes()} {
		if bad := unprintable(text); bad != "" {
			w.t.Errorf("%s: sfcred %q shows %s", w.name, args, bad)
		}
		if bytes.Contains(text, []byte("h0stile")) {
			w.shown++
		}
		if bytes.Contains(text, []byte("\nsfcred: error: nothing")) {
			w.t.Errorf("%s: sfcred %q shows another's line as its own:\n%s", w.name, args, text)
		}
	}
	return out.Bytes(), err != nil
}

// sweep looks through all files, but for the keys that were there before, the
// cached tokens, and the kubectl log's own place for what it was given.
func (w *leakWorld) sweep() {
	w.t.Helper()
	err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "keys" && filepath.Dir(path) == w.dir:
			return filepath.SkipDir
		case !d.Type().IsRegular() || strings.HasSuffix(path, ".token"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if what := w.secrets.in(text); what != "" {
			w.t.Errorf("%s: %s is in %s", w.name, what, path)
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// watch looks at the command lines of all processes until it is stopped.
func (w *leakWorld) watch() (stop func()) {
	done, stopped := make(chan struct{}), make(chan struct{})
	seen := map[string]bool{}
	go func() {
		defer close(stopped)
		for {
			select {
			case <-done:
				return
			case <-time.After(10 * time.Millisecond):
			}
			lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
			for _, path := range lines {
				text, err := os.ReadFile(path)
				if err != nil || seen[string(text)] {
					continue
				}
				seen[string(text)] = true
				if what := w.secrets.in(text); what != "" {
					w.t.Errorf("%s is in a command line: %.60q", what, text)
				}
			}
		}
	}()
	return func() {
		close(done)
		<-stopped
		if len(seen) < 10 {
			w.t.Errorf("only %d command lines were seen", len(seen))
		}
	}
}

// A key, a passphrase, a token and an assertion are nowhere but where they
// belong: over all commands, on success and on each failure.
func TestNothingLeaks(t *testing.T) {
	if !unprivileged(t) {
		return
	}
	w := newLeakWorld(t)
	defer w.watch()()
	passphrase := []string{"SFCRED_PASSPHRASE_FILE=pass"}
	login := func(env []string, name, store, key string, more ...string) bool {
		_, failed := w.run(env, append([]string{"--verbose", "login", "--profile", name, "--store", store, "--key", key,
			"--token-url", w.server.TokenURL, "--api-url", w.server.APIURL, "--host", strings.TrimPrefix(w.server.URL, "http://")}, more...)...)
		return failed
	}
	w.fault("all is well")
	for name, failed := range map[string]bool{
		"pem": login(nil, "pem", "pem", "key.pem"), "chain": login(nil, "chain", "keychain", "key.jwk", "--client-id", clientID),
		"filed": login([]string{"SFCRED_PASSPHRASE_FILE=pass"}, "filed", "file", "key.pem"),
	} {
		if failed {
			t.Fatalf("login to %s failed", name)
		}
	}
	w.sweep()
	w.everyCommand(passphrase)
	if out, _ := w.run(nil, "token", "-p", "pem"); string(out) != leakToken+"\n" {
		t.Fatalf("the token is %q, so nothing was looked for", out)
	}
	w.failures(login)
	w.sweep()
	w.kubectlSaw()
}

// everyCommand runs what does not change the profiles.
func (w *leakWorld) everyCommand(env []string) {
	w.t.Helper()
	for _, line := range []string{
		"token --force", "token --json", "header", "assertion", "helper kubectl", "list", "list --json", "list --refresh",
		"status", "doctor", "doctor --json", "setup kubectl", "setup kubectl --write", "setup kubectl --remove", "token --url https://evil.example/",
		"token --min-ttl soon", "version", "help", "nosuch", "edit --host bad_host", "remove", "use nosuch",
		"exec --env TOKEN -- true", "exec --token-file file -- true", "exec -- nosuch", "exec --mode 0644 true",
	} {
		w.run(env, append([]string{"--verbose", "--profile", "pem"}, strings.Fields(line)...)...)
	}
	w.newKeys()
	w.run(nil, "--verbose", "token", "--force", "-p", "chain")
	w.sweep()
}

// newKeys makes, finds and moves keys.
func (w *leakWorld) newKeys() {
	w.t.Helper()
	made := func(args ...string) {
		if _, failed := w.run(nil, append([]string{"--verbose"}, args...)...); failed {
			w.t.Errorf("sfcred %q failed", args)
		}
	}
	made("keygen", "--profile", "made")
	for _, text := range w.bus.Entries() { // the new one is among them
		for part := range strings.SplitSeq(text, ":") {
			w.secrets.add("a stored key", part)
		}
	}
	made("keygen", "--profile", "made", "--show")
	made("keygen", "--profile", "made", "--show", "--jwk")
	made("keygen", "--profile", "made", "--show", "--out", filepath.Join(w.dir, "made.pem"))
	w.run(nil, "--verbose", "login", "--profile", "made", "--client-id", "nosuch", "--token-url", w.server.TokenURL)
	made("remove", "--yes", "made")
	made("unlock", "--agent", "-p", "pem")
	made("lock", "--agent", "-p", "pem")
	made("unlock", "--agent", "-p", "chain")
	made("login", "--profile", "agent", "--store", "ssh-agent", "--client-id", clientID, "--token-url", w.server.TokenURL)
	made("token", "-p", "agent", "--force")
	made("lock", "--agent", "-p", "chain")
	w.run(nil, "--verbose", "token", "-p", "agent", "--force")
	made("login", "--profile", "printed", "--command", "cat key.pem", "--token-url", w.server.TokenURL)
	made("token", "-p", "printed", "--force")
	w.run(nil, "--verbose", "login", "--profile", "new", "--command", "cat truncated.pem", "--token-url", w.server.TokenURL)
	key := w.read("keys/key-only.pem")
	for _, line := range []string{"import --dry-run", "import --json", "import --all --store pem", "import --all --dry-run key.pem truncated.pem line.pem small.pem"} {
		w.run([]string{"SFAPI_SECRET=" + key, "SFAPI_CLIENT_ID=x"}, append([]string{"--verbose"}, strings.Fields(line)...)...)
	}
	w.damage()
	made("import", "--all", "--store", "keychain", "--token-url", w.server.TokenURL, "other.pem")
}

// failures are the ways that things go wrong.
func (w *leakWorld) failures(login func([]string, string, string, string, ...string) bool) {
	w.t.Helper()
	faults := map[string]sfapitest.Fault{
		"the assertion comes back": echo, "the assertion comes back in a page": echoPage,
		"html": sfapitest.HTML(), "redirect": sfapitest.Redirect("https://evil.example/?x=y"), "cut": sfapitest.Cut(),
		"no token": sfapitest.Without("access_token"), "huge": sfapitest.Huge(2 << 20), "busy": sfapitest.Status(503, nil), "short": sfapitest.Short(),
	}
	for _, name := range slices.Sorted(maps.Keys(faults)) {
		var asked atomic.Int32
		w.fault(name, counted(&asked), faults[name])
		for _, args := range [][]string{{"token", "--force", "-p", "pem"}, {"doctor", "pem"}, {"helper", "kubectl", "-p", "chain", "--min-ttl", "9m"}} {
			w.forget() // a refusal would stand in for what comes next
			w.run([]string{"SFCRED_VERBOSE=1", "SFCRED_TIMEOUT=1s"}, args...)
		}
		if !login(nil, "new", "pem", "other.pem", "--timeout", "1s") {
			w.t.Errorf("%s: a login worked", name)
		}
		if asked.Load() == 0 {
			w.t.Errorf("%s: nobody asked", name)
		}
		w.sweep()
	}
	w.fault("a token that cannot be sent", sfapitest.With("access_token", leakToken+"\n"))
	w.server.SetTokenFault(sfapitest.With("access_token", leakToken+"\nsecond line"))
	w.run(nil, "--verbose", "token", "--force", "-p", "pem")
	w.fault("keys that are none")
	for _, key := range []string{"truncated.pem", "small.pem", "public.pem", "key-only.pem", "encrypted.pem", "damaged.pem", "line.pem"} {
		w.damage()
		login(nil, "new", "pem", key)
		login([]string{"SFCRED_PASSPHRASE_FILE=wrong"}, "new", "keychain", key)
		w.run([]string{"SFCRED_CLIENT_ID=x", "SFCRED_TOKEN_URL=" + w.server.TokenURL, "SFCRED_PRIVATE_KEY=" + w.read("keys/"+key)}, "--verbose", "token")
		w.run([]string{"SFCRED_CLIENT_ID=x", "SFCRED_TOKEN_URL=" + w.server.TokenURL, "SFCRED_PRIVATE_KEY=" + w.read("keys/"+key)}, "doctor")
	}
	w.name = "a wrong passphrase"
	w.run([]string{"SFCRED_PASSPHRASE_FILE=wrong"}, "--verbose", "token", "--force", "-p", "filed")
	w.run(nil, "--verbose", "token", "--force", "-p", "filed")
	w.run([]string{"SFCRED_PASSPHRASE_FILE=wrong"}, "--verbose", "doctor", "filed")
	w.name = "no keychain"
	w.bus.SetMode(keychaintest.LockedDismissed)
	login(nil, "new", "keychain", "other.pem")
	w.bus.SetMode(keychaintest.NoService)
	w.run(nil, "--verbose", "token", "--force", "-p", "chain")
	w.run(nil, "--verbose", "doctor", "chain")
	w.bus.SetMode(keychaintest.Unlocked)
	w.name = "the config is the key"
	w.run(nil, "--verbose", "--config", filepath.Join(w.dir, "keys", "key.pem"), "list")
	w.run(nil, "--verbose", "--config", filepath.Join(w.dir, "keys", "key.jwk"), "token")
}

// damage makes keys that are nearly ones.
func (w *leakWorld) damage() {
	text := w.read("keys/key-only.pem")
	half := len(text) / 2
	w.write("keys/damaged.pem", text[:half]+"!"+text[half:])
	w.write("keys/line.pem", strings.Split(text, "\n")[10])
}

func (w *leakWorld) read(name string) string {
	text, err := os.ReadFile(filepath.Join(w.dir, name))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// kubectlSaw looks at what a child was given: no variable that leads to a key.
func (w *leakWorld) kubectlSaw() {
	w.run([]string{"SFCRED_PRIVATE_KEY=" + w.read("keys/key-only.pem"), "SFCRED_PASSPHRASE_FILE=pass"}, "setup", "kubectl", "--write", "-p", "pem")
	given := w.read("kubectl.log")
	if !strings.Contains(given, "KUBECTL_MINOR=30") {
		w.t.Errorf("kubectl left no log: %q", given)
	}
	for _, name := range []string{"SFCRED_PRIVATE_KEY=", "SFCRED_PASSPHRASE_FILE="} {
		if strings.Contains(given, name) {
			w.t.Errorf("kubectl was given %s", name)
		}
	}
	if what := w.secrets.in([]byte(given)); what != "" {
		w.t.Errorf("kubectl was given %s", what)
	}
}

// echoPage answers with a web page of the assertion.
func echoPage(http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, "<html>%s</html>", r.PostFormValue("client_assertion"))
	})
}
