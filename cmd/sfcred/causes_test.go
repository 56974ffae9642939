//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"sfcred/helper/diagnosis"
	"sfcred/helper/sfapitest"
	"sfcred/keychain/keychaintest"
)

// sickness is one cause, set up in one way, and whom it is to be taken for.
type sickness struct {
	cause diagnosis.Cause
	how   string
	// blind says that the profile has never worked, so that nothing is known.
	blind bool
	// proxy has requests go through one.
	proxy bool
	// flags are more flags of the login.
	flags []string
	// breaks is what goes wrong after the login.
	breaks func(*sickWorld)
	// doctor and ordinary are what is named first by doctor and by an ordinary
	// error, where that is another cause: none of the evidence tells them apart.
	doctor, ordinary diagnosis.Cause
}

// theSicknesses are all that has to be told apart, each after a login that
// worked and without one, where it can be.
func theSicknesses() []sickness {
	var (
		goneForAll = func(w *sickWorld) { w.server.Remove(clientID) }
		elsewhere  = func(w *sickWorld) { w.server.Add(theClient(fromElsewhere)) }
	)
	return []sickness{
		{cause: diagnosis.WrongKey, how: "another key in the file", breaks: func(w *sickWorld) { w.copy("other.pem", "key.pem") }},
		{cause: diagnosis.WrongKey, how: "never worked", blind: true, flags: []string{"--key", "other.pem", "--client-id", clientID}, doctor: diagnosis.ClientGone, ordinary: diagnosis.ClientGone},

		{cause: diagnosis.ClientGone, how: "expired, as the API had said", breaks: func(w *sickWorld) {
			w.server.Add(theClient(func(c *sfapitest.Client) { c.Expires = time.Now().Add(-time.Hour) }))
			w.learnt("client_expires_at", time.Now().Add(-time.Hour).UTC().Format(time.RFC3339))
		}},
		{cause: diagnosis.ClientGone, how: "expired, on another network", breaks: func(w *sickWorld) {
			w.server.Add(theClient(func(c *sfapitest.Client) { c.Expires = time.Now().Add(-time.Hour) }))
			w.learnt("client_expires_at", time.Now().Add(-time.Hour).UTC().Format(time.RFC3339))
			w.learnt("from", "192.168.7.0/24")
		}},
		{cause: diagnosis.ClientGone, how: "expired, as the user had said", blind: true, flags: []string{"--expires", "1s"}, breaks: func(w *sickWorld) {
			goneForAll(w)
			time.Sleep(1100 * time.Millisecond)
		}},
		{cause: diagnosis.ClientGone, how: "expired, and nobody had said when", breaks: func(w *sickWorld) { goneForAll(w); w.learnt("client_expires_at", "") }},
		{cause: diagnosis.ClientGone, how: "deleted", breaks: goneForAll},
		{cause: diagnosis.ClientGone, how: "never worked", blind: true, breaks: goneForAll},

		{cause: diagnosis.AddressToken, how: "on another network", breaks: func(w *sickWorld) { elsewhere(w); w.learnt("from", "192.168.7.0/24") }},
		{cause: diagnosis.AddressToken, how: "on the same network", breaks: elsewhere, doctor: diagnosis.ClientGone, ordinary: diagnosis.ClientGone},
		{cause: diagnosis.AddressToken, how: "never worked", blind: true, breaks: elsewhere, doctor: diagnosis.ClientGone, ordinary: diagnosis.ClientGone},
		{cause: diagnosis.AddressToken, how: "as a firewall's 403", breaks: func(w *sickWorld) { w.server.SetTokenFault(sfapitest.Status(403, nil)) }},

		{cause: diagnosis.AddressAPI401, how: "in words", breaks: func(w *sickWorld) { w.atAPI(401) }},
		{cause: diagnosis.AddressAPI401, how: "without words", breaks: func(w *sickWorld) { w.server.SetAPIFault(sfapitest.Status(401, nil)) }},
		{cause: diagnosis.AddressAPI401, how: "never worked", blind: true, breaks: func(w *sickWorld) { w.server.SetAPIFault(sfapitest.Status(401, nil)) }},
		{cause: diagnosis.AddressAPI403, how: "in words", breaks: func(w *sickWorld) { w.atAPI(403) }},
		{cause: diagnosis.AddressAPI403, how: "without words", breaks: func(w *sickWorld) { w.server.SetAPIFault(sfapitest.Status(403, nil)) }},
		{cause: diagnosis.AddressAPI403, how: "never worked", blind: true, breaks: func(w *sickWorld) { w.server.SetAPIFault(sfapitest.Status(403, nil)) }},

		{cause: diagnosis.WrongAudience, how: "another than before", breaks: func(w *sickWorld) {
			w.login("--no-check", "--audience", w.server.URL+"/c2id")
		}},
		{cause: diagnosis.WrongAudience, how: "the profile's own", blind: true, flags: []string{"--audience", "ISSUER"}},
		{cause: diagnosis.WrongAudience, how: "the server wants its issuer", blind: true, breaks: func(w *sickWorld) {
			w.server.SetPolicy(sfapitest.Policy{Audiences: []string{w.server.URL + "/c2id"}})
		}, ordinary: diagnosis.ClientGone},

		{cause: diagnosis.ClockOff, how: "behind", breaks: func(w *sickWorld) { w.server.SetSkew(20 * time.Minute) }},
		{cause: diagnosis.ClockOff, how: "ahead", blind: true, breaks: func(w *sickWorld) { w.server.SetSkew(-25 * time.Hour) }},

		{cause: diagnosis.WrongTokenURL, how: "nothing there", blind: true, flags: []string{"--token-url", "SERVER/c2id/tokens"}},
		{cause: diagnosis.WrongTokenURL, how: "the API", blind: true, flags: []string{"--token-url", "SERVER/api/v1.2/account/"}},
		{cause: diagnosis.WrongTokenURL, how: "a web page", blind: true, flags: []string{"--token-url", "PAGE/token"}},

		{cause: diagnosis.LevelTooLow, how: "at one path", breaks: func(w *sickWorld) {
			w.server.Add(theClient(func(c *sfapitest.Client) { c.Denied = []string{"/account/clients"} }))
		}},
		{cause: diagnosis.LevelTooLow, how: "at one path, never worked", blind: true, breaks: func(w *sickWorld) {
			w.server.Add(theClient(func(c *sfapitest.Client) { c.Denied = []string{"/account/clients"} }))
		}},
		{cause: diagnosis.LevelTooLow, how: "in words", breaks: func(w *sickWorld) {
			w.server.SetAPIFault(sfapitest.Instead(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				rw.WriteHeader(403)
				fmt.Fprint(rw, `{"detail":"Insufficient scope"}`)
			})))
		}},

		{cause: diagnosis.ServiceDown, how: "gone", breaks: func(w *sickWorld) { w.server.Close() }},
		{cause: diagnosis.ServiceDown, how: "gone, never worked", blind: true, breaks: func(w *sickWorld) { w.server.Close() }},
		{cause: diagnosis.ServiceDown, how: "503", breaks: func(w *sickWorld) { w.server.SetTokenFault(sfapitest.Status(503, nil)) }},
		{cause: diagnosis.ServiceDown, how: "500 and a web page", blind: true, breaks: func(w *sickWorld) {
			w.server.SetTokenFault(sfapitest.Instead(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Content-Type", "text/html")
				rw.WriteHeader(500)
			})))
		}},
		{cause: diagnosis.ServiceDown, how: "a page in its place", breaks: func(w *sickWorld) { w.server.SetTokenFault(sfapitest.HTML()) }, ordinary: diagnosis.SignInPage},
		{cause: diagnosis.ServiceDown, how: "silent", breaks: func(w *sickWorld) {
			w.set("SFCRED_TIMEOUT=700ms")
			w.server.SetTokenFault(sfapitest.Delay(time.Hour))
		}},
		{cause: diagnosis.ServiceDown, how: "reset", breaks: func(w *sickWorld) { w.server.SetTokenFault(sfapitest.Reset()) }},
		{cause: diagnosis.ServiceDown, how: "the API", breaks: func(w *sickWorld) { w.server.SetAPIFault(sfapitest.Status(500, nil)) }},
		{cause: diagnosis.ServiceBusy, how: "429", breaks: func(w *sickWorld) { w.server.SetTokenFault(sfapitest.Status(429, nil)) }},

		{cause: diagnosis.ProxyInWay, how: "407", proxy: true, breaks: func(w *sickWorld) { w.proxied("407") }},
		{cause: diagnosis.ProxyInWay, how: "403", proxy: true, breaks: func(w *sickWorld) { w.proxied("403") }},
		{cause: diagnosis.ProxyInWay, how: "out of reach", proxy: true, breaks: func(w *sickWorld) { w.set("HTTPS_PROXY=http://127.0.0.1:1") }},
		{cause: diagnosis.UntrustedCA, how: "looks into TLS", breaks: func(w *sickWorld) { w.copy("another-ca.pem", "ca.pem") }},
		{cause: diagnosis.UntrustedCA, how: "the server's own", blind: true, flags: []string{"--ca-file", "another-ca.pem"}},

		{cause: diagnosis.SignInPage, how: "a web page", breaks: portal(sfapitest.HTML())},
		{cause: diagnosis.SignInPage, how: "a web page, never worked", blind: true, breaks: portal(sfapitest.HTML()), ordinary: diagnosis.WrongTokenURL},
		{cause: diagnosis.SignInPage, how: "a redirect", breaks: portal(sfapitest.Redirect("https://login.example/"))},
		{cause: diagnosis.SignInPage, how: "511", blind: true, breaks: portal(sfapitest.Status(511, nil))},

		{cause: diagnosis.StoreLocked, how: "the keychain", flags: []string{"--store", "keychain"}, breaks: func(w *sickWorld) { w.bus.SetMode(keychaintest.LockedDismissed) }},
		{cause: diagnosis.StoreLocked, how: "a key file's passphrase", flags: []string{"--key", "encrypted.pem", "--client-id", "encrypted"}, breaks: func(w *sickWorld) { w.set("SFCRED_PASSPHRASE_FILE=") }},
		{cause: diagnosis.NoProfile, how: "another name", breaks: func(w *sickWorld) { w.set("SFCRED_PROFILE=tets") }},
	}
}

func fromElsewhere(c *sfapitest.Client) {
	c.Source = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}
}

// portal has everything answered by f, as the sign-in page of a network does.
func portal(f sfapitest.Fault) func(*sickWorld) {
	return func(w *sickWorld) {
		w.server.SetTokenFault(f)
		w.server.SetAPIFault(f)
	}
}

// sickWorld is a user, a profile and a server by TLS, of which something is to
// be wrong.
type sickWorld struct {
	t      *testing.T
	dir    string
	server *sfapitest.Server
	bus    *keychaintest.Service
	env    []string
	base   string // of the server's URLs, as the profile has them
}

func newSickWorld(t *testing.T, s sickness) *sickWorld {
	w := &sickWorld{t: t, dir: t.TempDir(), server: sfapitest.NewTLS()}
	t.Cleanup(w.server.Close)
	addClients(w.server)
	w.base = w.server.URL
	for _, dir := range []string{"home", "run"} {
		check(t, os.Mkdir(filepath.Join(w.dir, dir), 0o700))
	}
	check(t, writeKeys(w.dir, theKeys()))
	// A server by TLS that has web pages, and no token endpoint.
	page, another := sfapitest.NewTLS(), sfapitest.NewTLS()
	t.Cleanup(page.Close)
	another.Close()
	page.SetAPIFault(sfapitest.HTML())
	w.write("ca.pem", append(slices.Clone(w.server.CA), page.CA...))
	w.write("another-ca.pem", another.CA)
	w.write("passphrase", []byte("correct horse\n"))
	var err error
	w.bus, err = keychaintest.Start()
	check(t, err)
	t.Cleanup(w.bus.Close)
	w.env = append(os.Environ(), "HOME="+filepath.Join(w.dir, "home"), "XDG_RUNTIME_DIR="+filepath.Join(w.dir, "run"),
		"XDG_CONFIG_HOME=", "XDG_DATA_HOME=", "SSH_AUTH_SOCK=", "DBUS_SESSION_BUS_ADDRESS="+w.bus.Address(),
		"SFCRED_PASSPHRASE_FILE="+filepath.Join(w.dir, "passphrase"), "SFCRED_TIMEOUT=20s")
	if s.proxy {
		w.proxied("tunnel")
	}
	flags := slices.Clone(s.flags)
	for i, flag := range flags {
		flags[i] = strings.NewReplacer("PAGE", page.APIURL, "SERVER", w.base, "ISSUER", w.base+"/c2id").Replace(flag)
	}
	if s.blind {
		flags = append(flags, "--no-check")
	}
	w.login(flags...)
	if _, err := os.Stat(w.state()); (err == nil) == s.blind {
		t.Fatalf("what the login learnt: %v", err)
	}
	return w
}

// login logs in as test; of a flag that is there twice, the second counts.
func (w *sickWorld) login(flags ...string) {
	w.t.Helper()
	_, host, _ := strings.Cut(w.base, "://")
	args := []string{"login", "--profile", "test", "--store", "pem", "--key", "key.pem", "--token-url", w.base + "/c2id/token",
		"--api-url", w.base + "/api/v1.2", "--host", host, "--ca-file", "ca.pem"}
	if _, stderr, code := w.run(append(args, flags...)...); code != exitOK {
		w.t.Fatalf("login: %s", stderr)
	}
}

func (w *sickWorld) run(args ...string) (stdout, stderr []byte, code int) {
	w.t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command("sfcred", args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = w.dir, w.env, &out, &errs
	err := cmd.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		w.t.Fatal(err)
	}
	return out.Bytes(), errs.Bytes(), cmd.ProcessState.ExitCode()
}

func (w *sickWorld) write(name string, text []byte) {
	check(w.t, os.WriteFile(filepath.Join(w.dir, name), text, 0o600))
}

func (w *sickWorld) copy(from, to string) {
	text, err := os.ReadFile(filepath.Join(w.dir, from))
	check(w.t, err)
	w.write(to, text)
}

func (w *sickWorld) set(variable string) { w.env = append(w.env, variable) }

func (w *sickWorld) state() string {
	return filepath.Join(w.dir, "home", ".local", "share", "sfcred", "state.json")
}

// learnt has something else be what was learnt of the client.
func (w *sickWorld) learnt(field, value string) {
	var state struct {
		Clients map[string]map[string]string `json:"clients"`
	}
	text, err := os.ReadFile(w.state())
	check(w.t, err)
	check(w.t, json.Unmarshal(text, &state))
	for _, client := range state.Clients {
		if client[field] == "" {
			w.t.Fatalf("no %s was learnt", field)
		}
		client[field] = value
		if value == "" {
			delete(client, field)
		}
	}
	text, err = json.Marshal(state)
	check(w.t, err)
	check(w.t, os.WriteFile(w.state(), text, 0o600))
}

// atAPI has the API, and not the token endpoint, keep the client out for where
// it comes from.
func (w *sickWorld) atAPI(status int) {
	w.server.Add(theClient(fromElsewhere))
	w.server.SetPolicy(sfapitest.Policy{SourceAtAPI: true, SourceStatus: status})
}

// proxied has requests go through a proxy.
func (w *sickWorld) proxied(mode string) {
	url, port := startProxy(w.server, mode, w.t.Cleanup)
	w.set("HTTPS_PROXY=" + url)
	w.base = "https://" + sfapitest.ProxiedHost + ":" + port
}

// byDoctor gives the kinds of causes that doctor names of the first thing that
// is wrong.
func (w *sickWorld) byDoctor() []diagnosis.Cause {
	w.t.Helper()
	stdout, stderr, _ := w.run("doctor", "--json")
	var report struct {
		Steps []struct {
			Verdict, Hint string
			Kinds         []diagnosis.Cause
		}
	}
	if err := json.Unmarshal(stdout, &report); err != nil {
		w.t.Fatalf("%v in %q (%s)", err, stdout, stderr)
	}
	for _, verdict := range []string{verdictFail, verdictWarn} {
		for _, s := range report.Steps {
			if s.Verdict != verdict || len(s.Kinds) == 0 {
				continue
			}
			if s.Hint == "" {
				w.t.Error("doctor does not say what to type")
			}
			return s.Kinds
		}
	}
	return nil
}

// byError gives the cause that the error of an ordinary command names first.
func (w *sickWorld) byError() diagnosis.Cause {
	w.t.Helper()
	_, stderr, code := w.run("token", "--force")
	if code == exitOK {
		_, stderr, _ = w.run("list", "--refresh")
	}
	text, hints, _ := strings.Cut(string(stderr), "\n")
	if !strings.Contains(hints, "sfcred: hint: ") {
		w.t.Errorf("no hint in %q", stderr)
	}
	_, words, likely := strings.Cut(text, "; likely cause")
	if likely {
		_, words, _ = strings.Cut(words, ": ")
	} else {
		words = strings.TrimPrefix(strings.TrimPrefix(text, "sfcred: error: "), `profile "test": `)
	}
	for _, known := range theWords() {
		if strings.HasPrefix(words, known.text) && strings.Contains(text, known.status) {
			return known.cause
		}
	}
	w.t.Errorf("no cause in %q", text)
	return ""
}

// knownWords are how a cause begins in an error, and what is in it besides.
type knownWords struct {
	text, status string
	cause        diagnosis.Cause
}

func theWords() []knownWords {
	words := []knownWords{
		{"the client expired 20", "", diagnosis.ClientGone},
		{"the client was deleted", "", diagnosis.ClientGone},
		{"this machine's address is not in the client's range, by the API", "status 401", diagnosis.AddressAPI401},
		{"this machine's address is not in the client's range, by the API", "status 403", diagnosis.AddressAPI403},
		// What says itself what is wrong is not explained.
		{"the server refused the client", "this machine's clock is", diagnosis.ClockOff},
		{"the keychain is locked", "", diagnosis.StoreLocked},
		{"key file ", "nobody to ask for its passphrase", diagnosis.StoreLocked},
		{"no profile", "", diagnosis.NoProfile},
	}
	for _, c := range theCauses() {
		words = append(words, knownWords{diagnosis.Finding{Cause: c}.String(), "", c})
	}
	return words
}

// theCauses are those that are set up, each once.
func theCauses() []diagnosis.Cause {
	var causes []diagnosis.Cause
	for _, s := range theSicknesses() {
		if !slices.Contains(causes, s.cause) {
			causes = append(causes, s.cause)
		}
	}
	return causes
}

// TestCauses sets each cause up and asks doctor and an ordinary command what is
// wrong. The matrices show the cause that was set up against the one that was
// named first; the score is their diagonal. Where doctor does not name the true
// cause first, it must be among those that it names.
func TestCauses(t *testing.T) {
	doctor, ordinary := newMatrix("doctor"), newMatrix("an ordinary error")
	for _, s := range theSicknesses() {
		t.Run(fmt.Sprintf("%s/%s", s.cause, s.how), func(t *testing.T) {
			w := newSickWorld(t, s)
			if s.breaks != nil {
				s.breaks(w)
			}
			named := w.byError() // before doctor has learnt anything
			ordinary.add(s, named)
			if want := wantNamed(s.cause, s.ordinary); named != want {
				t.Errorf("an ordinary error names %q first, want %q", named, want)
			}
			kinds := w.byDoctor()
			if !slices.Contains(kinds, s.cause) {
				t.Fatalf("doctor names %q, and not %q", kinds, s.cause)
			}
			doctor.add(s, kinds[0])
			if want := wantNamed(s.cause, s.doctor); kinds[0] != want {
				t.Errorf("doctor names %q first, want %q", kinds, want)
			}
		})
	}
	t.Logf("\n%s\n%s", doctor, ordinary)
}

func wantNamed(cause, instead diagnosis.Cause) diagnosis.Cause {
	if instead != "" {
		return instead
	}
	return cause
}

// matrix counts causes set up against causes named first.
type matrix struct {
	title  string
	counts map[[2]diagnosis.Cause]int
	right  [2]int // after a login that worked, and blind
	all    [2]int
	missed []string
}

func newMatrix(title string) *matrix {
	return &matrix{title: title, counts: map[[2]diagnosis.Cause]int{}}
}

func (m *matrix) add(s sickness, named diagnosis.Cause) {
	m.counts[[2]diagnosis.Cause{s.cause, named}]++
	known := 0
	if s.blind {
		known = 1
	}
	m.all[known]++
	if named == s.cause {
		m.right[known]++
	} else {
		m.missed = append(m.missed, fmt.Sprintf("%s (%s) is taken for %s", s.cause, s.how, named))
	}
}

func (m *matrix) String() string {
	var b strings.Builder
	causes := theCauses()
	fmt.Fprintf(&b, "%s: cause set up (rows) against cause named first (columns)\n", m.title)
	w := tabwriter.NewWriter(&b, 0, 0, 1, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "\t")
	for i := range causes {
		fmt.Fprintf(w, "%d\t", i+1)
	}
	fmt.Fprintln(w)
	for i, set := range causes {
		fmt.Fprintf(w, "%d %s\t", i+1, set)
		for _, named := range causes {
			cell := "."
			if n := m.counts[[2]diagnosis.Cause{set, named}]; n > 0 {
				cell = fmt.Sprint(n)
			}
			fmt.Fprintf(w, "%s\t", cell)
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	fmt.Fprintf(&b, "on the diagonal: %d of %d; after a login that worked %d of %d, and where nothing is known %d of %d\n",
		m.right[0]+m.right[1], m.all[0]+m.all[1], m.right[0], m.all[0], m.right[1], m.all[1])
	for _, missed := range m.missed {
		fmt.Fprintf(&b, "off it: %s\n", missed)
	}
	return b.String()
}
