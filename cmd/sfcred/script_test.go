package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
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
)

func TestMain(m *testing.M) {
	sfcred := func() {
		alone() // else a test run from a terminal would be asked questions
		main()
	}
	testscript.Main(m, map[string]func(){
		"sfcred":         sfcred,
		"sfcred-kubectl": sfcred,
		"kubectl":        fakeKubectl,
	})
}

// TestScript runs what a user types, in testdata, against a strict server.
//
// Each script has a home, a runtime directory and a server of its own, and
// these variables: TOKEN_URL, API_URL, HOST (of both), CLIENT, and KEY, a file
// as Iris hands it out: PKCS#1 PEM with the client ID as first line.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("SFCRED_UPDATE_SCRIPTS") != "",
		Setup:               setUp,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"server":  serverCmd,
			"profile": profileCmd,
			"fails":   failsCmd,
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

const (
	clientID    = "abcdefghijklm"
	otherClient = "nopqrstuvwxyz"
)

// setUp gives a script its home and its server.
func setUp(env *testscript.Env) error {
	keys := theKeys()
	rsaKey := keys["key"].(*rsa.PrivateKey)
	alice := sfapitest.Client{ID: clientID, Key: rsaKey.Public(), User: "alice", Name: "test", Expires: time.Now().Add(720 * time.Hour)}
	server := sfapitest.New(alice)
	server.Add(sfapitest.Client{ID: otherClient, Key: keys["other"].(*rsa.PrivateKey).Public(), User: "bob"})
	server.Add(sfapitest.Client{ID: "ecclient", Key: keys["ec"].(*ecdsa.PrivateKey).Public(), User: "carol"})
	server.Add(sfapitest.Client{ID: "edclient", Key: keys["ed"].(ed25519.PrivateKey).Public(), User: "dave"})
	env.Defer(server.Close)
	env.Values["server"] = server
	for _, dir := range []string{"home", "run", "tmp"} {
		if err := os.Mkdir(filepath.Join(env.WorkDir, dir), 0o700); err != nil {
			return err
		}
	}
	env.Vars = append(env.Vars,
		"HOME="+filepath.Join(env.WorkDir, "home"),
		"XDG_RUNTIME_DIR="+filepath.Join(env.WorkDir, "run"),
		"TMPDIR="+filepath.Join(env.WorkDir, "tmp"),
		// Never the developer's own keychain.
		"DBUS_SESSION_BUS_ADDRESS=unix:path="+filepath.Join(env.WorkDir, "no-bus"),
		"TOKEN_URL="+server.TokenURL,
		"API_URL="+server.APIURL,
		"HOST="+strings.TrimPrefix(server.URL, "http://"),
		"CLIENT="+clientID, "OTHER_CLIENT="+otherClient,
		"KEY="+filepath.Join(env.WorkDir, "key.pem"),
		"UID="+strconv.Itoa(os.Getuid()),
	)
	return writeKeys(env.WorkDir, keys)
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
	public, err := x509.MarshalPKIXPublicKey(keys["key"].(*rsa.PrivateKey).Public())
	if err != nil {
		return err
	}
	files := map[string][]byte{
		"key.pem":       append([]byte(clientID+"\n"), pkcs1("key")...),
		"key-only.pem":  pkcs1("key"),
		"other.pem":     append([]byte(otherClient+"\n"), pkcs1("other")...),
		"small.pem":     pkcs1("small"),
		"ec.pem":        append([]byte("ecclient\n"), pkcs8("ec")...),
		"ed.pem":        append([]byte("edclient\n"), pkcs8("ed")...),
		"public.pem":    pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}),
		"truncated.pem": pkcs1("key")[:800],
		"empty.pem":     nil,
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// profileCmd logs in as most scripts begin: the pem store, which needs neither
// keychain nor passphrase.
//
//	profile [NAME]
func profileCmd(ts *testscript.TestScript, neg bool, args []string) {
	name := "test"
	if len(args) > 0 {
		name = args[0]
	}
	ts.Check(ts.Exec("sfcred", "login", "--profile", name, "--store", "pem", "--key", ts.Getenv("KEY"),
		"--token-url", ts.Getenv("TOKEN_URL"), "--api-url", ts.Getenv("API_URL"), "--host", ts.Getenv("HOST")))
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

// serverCmd tells the script's server what to do, or asserts what it saw.
//
//	server ok|html|empty|cut|notoken|huge|hang|badtoken|noexpiry
//	server status CODE [TIMES [RETRY-AFTER]]   server redirect URL   server life DURATION
//	server skew DURATION    server remove CLIENT   server token VALUE   server delay DURATION
//	server exchanges N      server refusals N
func serverCmd(ts *testscript.TestScript, neg bool, args []string) {
	server := ts.Value("server").(*sfapitest.Server)
	arg := func(i int) string {
		if i < len(args) {
			return args[i]
		}
		return ""
	}
	number := func(i int) int {
		n, err := strconv.Atoi(arg(i))
		ts.Check(err)
		return n
	}
	duration := func() time.Duration {
		d, err := time.ParseDuration(arg(1))
		ts.Check(err)
		return d
	}
	expect := func(what string, got int) {
		if (got == number(1)) == neg {
			ts.Fatalf("the server saw %d %s, want %s", got, what, arg(1))
		}
	}
	switch arg(0) {
	case "ok":
		server.SetTokenFault()
		server.SetAPIFault()
		server.SetSkew(0)
	case "html":
		server.SetTokenFault(sfapitest.HTML())
	case "empty":
		server.SetTokenFault(sfapitest.Empty())
	case "cut":
		server.SetTokenFault(sfapitest.Cut())
	case "notoken":
		server.SetTokenFault(sfapitest.Without("access_token"))
	case "noexpiry":
		server.SetTokenFault(sfapitest.Without("expires_in"))
	case "badtoken":
		server.SetTokenFault(sfapitest.With("access_token", "two\nlines"))
	case "token":
		server.SetTokenFault(sfapitest.With("access_token", arg(1)))
	case "huge":
		server.SetTokenFault(sfapitest.Huge(2 << 20))
	case "hang", "delay":
		d := time.Hour
		if arg(0) == "delay" {
			d = duration()
		}
		server.SetTokenFault(sfapitest.Delay(d))
	case "redirect":
		server.SetTokenFault(sfapitest.Redirect(arg(1)))
	case "status":
		header := http.Header{}
		if arg(3) != "" {
			header.Set("Retry-After", arg(3))
		}
		fault := sfapitest.Status(number(1), header)
		if arg(2) != "" {
			fault = sfapitest.Times(number(2), fault)
		}
		server.SetTokenFault(fault)
	case "life":
		server.SetPolicy(sfapitest.Policy{TokenLife: duration()})
	case "skew":
		server.SetSkew(duration())
	case "remove":
		server.Remove(arg(1))
	case "exchanges":
		expect("exchanges", server.Exchanges())
	case "refusals":
		expect("refusals", server.Refusals())
	default:
		ts.Fatalf("server %s: unknown", arg(0))
	}
}
