package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sfcred/helper/sfapitest"
	"sfcred/keychain/jose"
	"sfcred/keychain/keychaintest"
)

func TestMain(m *testing.M) {
	sfcred := func() {
		alone() // else a test run from a terminal would be asked questions
		main()
	}
	testscript.Main(m, map[string]func(){
		"sfcred":         sfcred,
		"sfcred-kubectl": sfcred,
		"sfcred-bazel":   sfcred,
		"sfcred-cargo":   sfcred,

		"git-credential-sfcred":        sfcred,
		"terraform-credentials-sfcred": sfcred,

		"sfcred-in-job": main, // stays where job control has put it
		"sfcred-hasty":  hasty,
		"sfcred-paused": paused,
		"kubectl":       fakeKubectl,
		"person":        person,
		"fulldisk":      fullDisk,
		"redirect":      redirect,
	})
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// updating says that what scripts expect is to be written anew.
func updating() bool { return os.Getenv("SFCRED_UPDATE_SCRIPTS") != "" }

// TestScript runs what a user types, in testdata, against a strict server.
//
// Each script has a home, a runtime directory and a server of its own, and
// these variables: TOKEN_URL, API_URL, HOST (of both), CLIENT, EXPIRES (when it
// does), and KEY, a file as Iris hands it out: PKCS#1 PEM with the client ID as
// first line.
func TestScript(t *testing.T) {
	if !unprivileged(t) {
		return
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       updating(),
		Setup:               setUp,
		Condition:           condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"server":      serverCmd,
			"proxy":       proxyCmd,
			"secrets":     secretsCmd,
			"agent":       agentCmd,
			"profile":     profileCmd,
			"fails":       failsCmd,
			"reports":     reportsCmd,
			"interrupt":   interruptCmd,
			"interrupted": interruptedCmd,
		},
	})
}

// theKeys are made once; keys are slow to make.
var theKeys = sync.OnceValue(func() map[string]any {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	other, err2 := rsa.GenerateKey(rand.Reader, 2048)
	small, err3 := rsa.GenerateKey(rand.Reader, 1024)
	ec, err4 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, ed, err5 := ed25519.GenerateKey(rand.Reader)
	for _, err := range []error{err, err2, err3, err4, err5} {
		if err != nil {
			panic(err)
		}
	}
	return map[string]any{"key": key, "other": other, "small": small, "ec": ec, "ed": ed}
})

// theExpiry is that of the client of KEY.
var theExpiry = sync.OnceValue(func() time.Time { return time.Now().Add(720 * time.Hour) })

const (
	clientID    = "abcdefghijklm"
	otherClient = "nopqrstuvwxyz"
)

// condition is [foreign]: there is somebody else's token cache in $FOREIGN,
// which only root can make.
func condition(cond string) (bool, error) {
	if cond != "foreign" {
		return false, fmt.Errorf("unknown condition %q", cond)
	}
	return os.Getenv(foreignEnv) != "", nil
}

// world is what is around a script.
type world struct {
	server  *sfapitest.Server
	hanging chan struct{} // gets one for each request that the server lets hang
	secrets *keychaintest.Service
	agent   *testAgent
	last    *exec.Cmd // the command in the background that was interrupted
}

func theWorld(ts *testscript.TestScript) *world { return ts.Value("world").(*world) }

// setUp gives a script its home and its server.
func setUp(env *testscript.Env) error {
	server := newServer()
	env.Defer(server.Close)
	env.Values["world"] = &world{server: server, hanging: make(chan struct{}, 100)}
	for _, dir := range []string{"home", "run", "tmp"} {
		if err := os.Mkdir(filepath.Join(env.WorkDir, dir), 0o700); err != nil {
			return err
		}
	}
	env.Vars = append(env.Vars,
		"HOME="+filepath.Join(env.WorkDir, "home"),
		"XDG_RUNTIME_DIR="+filepath.Join(env.WorkDir, "run"),
		"TMPDIR="+filepath.Join(env.WorkDir, "tmp"),
		// Never the developer's own keychain or agent.
		"SSH_AUTH_SOCK=",
		"DBUS_SESSION_BUS_ADDRESS=unix:path="+filepath.Join(env.WorkDir, "no-bus"),
		"CONFIG="+filepath.Join(env.WorkDir, "home", ".config", "sfcred", "config.toml"),
		"DATA="+filepath.Join(env.WorkDir, "home", ".local", "share", "sfcred"),
		"CLIENT="+clientID, "OTHER_CLIENT="+otherClient,
		"KEY="+filepath.Join(env.WorkDir, "key.pem"),
		"UID="+strconv.Itoa(os.Getuid()),
		"FOREIGN="+os.Getenv(foreignEnv),
		"KEY_LINE="+keyLine(),
		"FINGERPRINT="+fingerprint(),
		"EXPIRES="+theExpiry().UTC().Format("2006-01-02 15:04 UTC"),
	)
	sfcred, err := exec.LookPath("sfcred")
	if err != nil {
		return err
	}
	env.Vars = append(env.Vars, "SFCRED="+sfcred)
	env.Vars = append(env.Vars, serverVars(server)...)
	return writeKeys(env.WorkDir, theKeys())
}

// newServer starts a strict server that knows the clients of the scripts.
func newServer() *sfapitest.Server {
	server := sfapitest.New()
	addClients(server)
	return server
}

func addClients(server *sfapitest.Server) {
	public := func(name string) crypto.PublicKey { return theKeys()[name].(crypto.Signer).Public() }
	server.Add(theClient(func(*sfapitest.Client) {}))
	server.Add(sfapitest.Client{ID: otherClient, Key: public("other"), User: "bob"})
	server.Add(sfapitest.Client{ID: "ecclient", Key: public("ec"), User: "carol"})
	server.Add(sfapitest.Client{ID: "edclient", Key: public("ed"), User: "dave"})
	server.Add(sfapitest.Client{ID: "encrypted", Key: encryptedPublic(), User: "erin"})
}

// serverVars are what a script knows of its server.
func serverVars(server *sfapitest.Server) []string {
	_, host, _ := strings.Cut(server.URL, "://")
	_, port, _ := strings.Cut(host, ":")
	return []string{"TOKEN_URL=" + server.TokenURL, "API_URL=" + server.APIURL, "HOST=" + host, "PORT=" + port}
}

// encryptedPublic is the public half of testdata/encrypted.pem.
func encryptedPublic() crypto.PublicKey {
	text, err := os.ReadFile("testdata/encrypted.public.pem")
	if err != nil {
		panic(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		panic(err)
	}
	return key
}

// writeKeys puts the keys into the script's directory in several formats.
func writeKeys(dir string, keys map[string]any) error {
	pkcs1 := func(name string) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(keys[name].(*rsa.PrivateKey))})
	}
	pkcs8 := func(name string) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(keys[name])
		if err != nil {
			panic(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	}
	public := func(name string) []byte {
		der, err := x509.MarshalPKIXPublicKey(keys[name].(crypto.Signer).Public())
		if err != nil {
			panic(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	}
	encrypted, err := os.ReadFile("testdata/encrypted.pem")
	if err != nil {
		return err
	}
	jwk := jwkOf(keys["key"].(*rsa.PrivateKey))
	files := map[string][]byte{
		"key.pem":         append([]byte(clientID+"\n"), pkcs1("key")...),
		"key-only.pem":    pkcs1("key"),
		"pkcs8.pem":       pkcs8("key"),
		"key.jwk":         []byte(jwk),
		"kid.jwk":         []byte(strings.Replace(jwk, "{", `{"kid":"key-1","alg":"PS256",`, 1)),
		"client.json":     fmt.Appendf(nil, `{"client_id":%q,"secret":%s}`, clientID, jwk),
		"other.pem":       append([]byte(otherClient+"\n"), pkcs1("other")...),
		"small.pem":       pkcs1("small"),
		"ec.pem":          append([]byte("ecclient\n"), pkcs8("ec")...),
		"ec-only.pem":     pkcs8("ec"),
		"ed.pem":          append([]byte("edclient\n"), pkcs8("ed")...),
		"encrypted.pem":   encrypted,
		"public.pem":      public("key"),
		"ec.public.pem":   public("ec"),
		"ed.public.pem":   public("ed"),
		"certificate.pem": bytes.ReplaceAll(public("key"), []byte("PUBLIC KEY"), []byte("CERTIFICATE")),
		"truncated.pem":   pkcs1("key")[:800],
		"text.pem":        []byte("this is no key at all\n"),
		"empty.pem":       nil,
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// keyLine is the key in one line, its line ends written out.
func keyLine() string { return keyLineOf(theKeys()["key"].(*rsa.PrivateKey)) }

func keyLineOf(key *rsa.PrivateKey) string {
	der := x509.MarshalPKCS1PrivateKey(key)
	return strings.ReplaceAll(string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der})), "\n", `\n`)
}

// fingerprint is the key's.
func fingerprint() string {
	text, err := jose.Fingerprint(theKeys()["key"].(crypto.Signer).Public())
	if err != nil {
		panic(err)
	}
	return text
}

// jwkOf is a key as the service hands it out in JSON.
func jwkOf(key *rsa.PrivateKey) string {
	b64 := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }
	return fmt.Sprintf(`{"kty":"RSA","n":%q,"e":"AQAB","d":%q,"p":%q,"q":%q,"dp":%q,"dq":%q,"qi":%q}`,
		b64(key.N), b64(key.D), b64(key.Primes[0]), b64(key.Primes[1]),
		b64(key.Precomputed.Dp), b64(key.Precomputed.Dq), b64(key.Precomputed.Qinv))
}

// profileCmd logs in as most scripts begin: the pem store, which needs neither
// keychain nor passphrase.
//
//	profile [NAME [KEY [FLAG…]]]
func profileCmd(ts *testscript.TestScript, neg bool, args []string) {
	name, key, flags := "test", ts.Getenv("KEY"), []string(nil)
	if len(args) > 0 {
		name = args[0]
	}
	if len(args) > 1 {
		key, flags = args[1], args[2:]
	}
	ts.Check(ts.Exec("sfcred", append([]string{"login", "--profile", name, "--store", "pem", "--key", key,
		"--token-url", ts.Getenv("TOKEN_URL"), "--api-url", ts.Getenv("API_URL"), "--host", ts.Getenv("HOST")}, flags...)...))
}

// failsCmd runs a command that must end with an exit code and without a byte on
// standard output.
//
//	fails CODE COMMAND…
func failsCmd(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if neg || !errors.As(err, &exit) || strconv.Itoa(exit.ExitCode()) != args[0] {
		ts.Fatalf("%s: got %v, want exit code %s", strings.Join(args[1:], " "), err, args[0])
	}
	if stdout := ts.ReadFile("stdout"); stdout != "" {
		ts.Fatalf("%s: failed with %q on standard output", strings.Join(args[1:], " "), stdout)
	}
}

// reportsCmd runs a command that must end with an exit code, report on standard
// output, and say nothing else.
//
//	reports CODE COMMAND…
func reportsCmd(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	code := 0
	if errors.As(err, &exit) {
		code, err = exit.ExitCode(), nil
	}
	ts.Check(err)
	if neg || strconv.Itoa(code) != args[0] {
		ts.Fatalf("%s: got exit code %d, want %s", strings.Join(args[1:], " "), code, args[0])
	}
	if ts.ReadFile("stdout") == "" || ts.ReadFile("stderr") != "" {
		ts.Fatalf("%s: not a report on standard output alone", strings.Join(args[1:], " "))
	}
}

// interruptCmd sends the command in the background SIGINT, once the server lets
// its request hang.
//
//	interrupt
func interruptCmd(ts *testscript.TestScript, neg bool, args []string) {
	w := theWorld(ts)
	w.last = ts.BackgroundCmds()[0]
	select {
	case <-w.hanging:
	case <-time.After(20 * time.Second):
		ts.Fatalf("no request came")
	}
	ts.Check(w.last.Process.Signal(os.Interrupt))
}

// interruptedCmd asserts that SIGINT is what the command ended by; to be asked
// after a wait.
//
//	interrupted
func interruptedCmd(ts *testscript.TestScript, neg bool, args []string) {
	if got := theWorld(ts).last.ProcessState.String(); got != "signal: interrupt" {
		ts.Fatalf("the command ended by %q", got)
	}
}

// secretsCmd starts a Secret Service on a session bus of the script's own, or
// tells it how to behave, or asserts how many keys it has.
//
//	secrets start
//	secrets unlocked|granted|dismissed|unanswered|nocollection|noservice|silentservice|silent
//	secrets failbefore|failafter N    at the Nth call from now
//	secrets entries N
func secretsCmd(ts *testscript.TestScript, neg bool, args []string) {
	w := theWorld(ts)
	modes := map[string]keychaintest.Mode{
		"unlocked": keychaintest.Unlocked, "granted": keychaintest.LockedGranted,
		"dismissed": keychaintest.LockedDismissed, "unanswered": keychaintest.LockedUnanswered,
		"nocollection": keychaintest.NoCollection, "noservice": keychaintest.NoService,
		"silentservice": keychaintest.SilentService, "silent": keychaintest.Silent,
	}
	mode, known := modes[args[0]]
	switch {
	case known:
		w.secrets.SetMode(mode)
	case args[0] == "start":
		service, err := keychaintest.Start()
		ts.Check(err)
		ts.Defer(service.Close)
		w.secrets = service
		ts.Setenv("DBUS_SESSION_BUS_ADDRESS", service.Address())
	case args[0] == "entries":
		if got := len(w.secrets.Entries()); strconv.Itoa(got) != args[1] {
			ts.Fatalf("the keychain has %d entries, want %s", got, args[1])
		}
	case args[0] == "failbefore", args[0] == "failafter":
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		if args[0] == "failbefore" {
			w.secrets.FailBefore(n)
		} else {
			w.secrets.FailAfter(n)
		}
	default:
		ts.Fatalf("secrets %s: unknown", args[0])
	}
}
