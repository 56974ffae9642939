package main

import (
	"bytes"
	"crypto"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sfcred/helper"
	"sfcred/helper/sfapitest"
	"sfcred/integrations/setup"
)

// realClient is a program that nobody here wrote, and that asks sfcred for a
// token to get what a server on loopback gives to none but those who have one.
type realClient struct {
	needs  []string // programs, beside those of root
	trixie bool     // the program is that of Debian 13
	// here skips the test where the program cannot be had; nil: it can.
	here func(*testing.T)
	// serve has a server give what is private. It is told to two servers, of
	// which one is not the profile's.
	serve func(*testing.T, *sfapitest.Server)
	// setUp writes the program's configuration, as its README has it.
	setUp func(*clientUser)
	// get has the program fetch it from a server into a place that is empty, and
	// returns what came.
	get func(*clientUser, *sfapitest.Server) (outcome, string)

	// What a person is told, as regular expressions: of a host that is not the
	// profile's, of no token because the server is down, and of a token that the
	// server does not take though it has not run out.
	foreign, down, revoked string
	// without says that the program sends its request all the same where sfcred
	// gave it no token.
	without bool
	// many has one run of the program fetch two things, where it asks for a token
	// again when it needs one; nil: where it does not.
	many func(*clientUser) outcome
	// recover has the program use another token than the revoked one; nil: by
	// "sfcred token --force".
	recover func(*clientUser)
}

// privateText is what there is to get.
const privateText = "for those with a token alone"

// TestRealClients has each program make its own requests: with nothing in the
// cache, with a token there, to a host that is not the profile's, with a token
// that ran out or is not taken, and where there is no token to be had.
func TestRealClients(t *testing.T) {
	sfcred := release(t)
	for name, c := range map[string]realClient{
		"git": realGit(), "go": realGo(), "cargo": realCargo(), "cargo, by header": realCargoStdout(),
		"terraform": realTerraform(), "rclone": realRclone(), "pnpm": realPnpm(), "HTTPie": realHTTPie(), "wget": realWget(),
	} {
		t.Run(name, func(t *testing.T) {
			realParts(t, c.needs...)
			if c.here != nil {
				c.here(t)
			}
			u := newClientUser(t, sfcred, c)
			for _, step := range []struct {
				name string
				run  func(*clientUser, realClient)
			}{
				{"cold", realCold}, {"cached", realCached}, {"foreign host", realForeign}, {"server out of order", realOutOfOrder},
				{"token that ran out", realRanOut}, {"revoked token", realRevoked}, {"server down", realDown},
			} {
				t.Run(step.name, func(t *testing.T) { step.run(u.within(t), c) })
			}
			if c.many != nil {
				t.Run("token that runs out meanwhile", func(t *testing.T) { realRunsOut(u.within(t), c) })
			}
		})
	}
}

// clientUser has a profile, and two servers that give what is private: ours for
// the profile's tokens, and foreign, of which the profile knows nothing.
type clientUser struct {
	*user
	ours, foreign *sfapitest.Server
	watch         *watch
	profile       helper.Profile
}

func newClientUser(t *testing.T, sfcred string, c realClient) *clientUser {
	t.Helper()
	start := func() *sfapitest.Server {
		server := sfapitest.NewTLS(sfapitest.Client{ID: clientID, Key: theKeys()["key"].(crypto.Signer).Public(), User: "alice"})
		t.Cleanup(server.Close)
		c.serve(t, server)
		return server
	}
	u := &clientUser{ours: start(), foreign: start(), watch: &watch{}}
	if c.trixie {
		u.user = newUserIn(t, trixie(t), sfcred)
	} else {
		u.user = newUser(t, sfcred)
	}
	ca := u.write("ca.pem", append(bytes.Clone(u.ours.CA), u.foreign.CA...))
	u.works("sfcred", "login", "--profile", "test", "--store", "pem", "--client-id", clientID, "--key", u.writeKey("key.pem", theKeys()["key"]),
		"--token-url", u.ours.TokenURL, "--host", addressOf(u.ours), "--ca-file", ca)
	config, err := helper.ConfigFile(u.onDisk("home", ".config", "sfcred", "config.toml")).Load()
	check(t, err)
	u.profile = *config.Profiles["test"]
	c.setUp(u)
	u.forget()
	return u
}

func addressOf(server *sfapitest.Server) string { return strings.TrimPrefix(server.URL, "https://") }

// entry is what setup knows of a server, for the lines that it prints.
func (u *clientUser) entry(server *sfapitest.Server) setup.Entry {
	return setup.Entry{Profile: "test", URL: server.URL + "/private", Program: "sfcred", Path: u.path("bin", "sfcred")}
}

// trixie is a folder with a Debian 13 in it.
func trixie(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("SFCRED_TRIXIE")
	if dir == "" {
		dir = "/var/tmp/sfcred-trixie"
	}
	if _, err := os.Stat(filepath.Join(dir, ".sfcred")); err != nil {
		missing(t, "a Debian 13 in "+dir+", which .ci/trixie makes")
	}
	return dir
}

func (u *clientUser) within(t *testing.T) *clientUser {
	v := *u
	v.user = u.in(t)
	return &v
}

// onDisk is a path as this test sees it.
func (u *user) onDisk(names ...string) string { return filepath.Join(u.root, u.path(names...)) }

// cache is the user's cache, for tokens to be looked at and changed.
func (u *clientUser) cache() *helper.Source {
	return &helper.Source{Profile: u.profile, CacheDir: u.onDisk("run", "sfcred")}
}

func (u *clientUser) forget() {
	u.Helper()
	check(u.T, u.cache().Forget())
}

// age makes the cached token older than it is.
func (u *clientUser) age(by time.Duration) {
	u.Helper()
	t, ok := u.cache().Cached(helper.Want{})
	if !ok {
		u.Fatal("there is no token in the cache")
	}
	t.Obtained, t.Expires = t.Obtained.Add(-by), t.Expires.Add(-by)
	u.cache().Keep(t)
}

// seen is what a server was asked since.
type seen struct {
	server             *sfapitest.Server
	exchanges, earlier int
}

func since(server *sfapitest.Server) seen {
	return seen{server, server.Exchanges(), len(server.Requests())}
}

func (s seen) newExchanges() int { return s.server.Exchanges() - s.exchanges }

// reasons says why the server refused what was asked since, once for each
// reason, and of what it took how often that was.
func (s seen) reasons() (refused map[string]int, taken int) {
	refused = map[string]int{}
	for _, r := range s.server.Requests()[s.earlier:] {
		switch {
		case strings.HasPrefix(r.Path, "/c2id/"):
		case r.Reason != "":
			refused[r.Reason]++
		default:
			taken++
		}
	}
	return refused, taken
}

const noHeader = "there is no Authorization header"

// gets asserts that the program gets what is private, after so many exchanges.
func (u *clientUser) gets(c realClient, exchanges int) {
	u.Helper()
	before := since(u.ours)
	o, text := c.get(u, u.ours)
	if o.code != 0 || !strings.Contains(text, privateText) {
		u.Fatalf("got %q, exit code %d\n%s%s", text, o.code, o.stdout, o.stderr)
	}
	if n := before.newExchanges(); n != exchanges {
		u.Errorf("got %d exchanges, want %d", n, exchanges)
	}
	refused, taken := before.reasons()
	if taken == 0 {
		u.Error("the server saw no request with a token")
	}
	delete(refused, noHeader) // some ask first without
	if len(refused) > 0 {
		u.Errorf("the server refused requests: %v", refused)
	}
}

// failsToGet asserts that the program does not get it, and what it tells.
func (u *clientUser) failsToGet(c realClient, server *sfapitest.Server, words string) {
	u.Helper()
	o, text := c.get(u, server)
	if o.code == 0 || strings.Contains(text, privateText) {
		u.Errorf("got %q, exit code %d, want a failure", text, o.code)
	}
	if !whole(`(?s:.*)`+words+`(?s:.*)`, o.stdout+o.stderr) {
		u.Errorf("got:\n%s%s\nwant a match for:\n%s", o.stdout, o.stderr, words)
	}
	u.Logf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
}

func realCold(u *clientUser, c realClient) { u.gets(c, 1) }

// realCached also looks at all processes while the server is asked.
func realCached(u *clientUser, c realClient) {
	u.watch.begin(u.answers("token"))
	u.ours.SetAPIFault(u.watch.look)
	defer u.ours.SetAPIFault()
	u.gets(c, 0)
	if _, shown := u.watch.end(); len(shown) > 0 {
		u.Errorf("the token shows in %q, want nowhere", shown)
	}
}

func realForeign(u *clientUser, c realClient) {
	ours, foreign := since(u.ours), since(u.foreign)
	u.failsToGet(c, u.foreign, c.foreign)
	refused, taken := foreign.reasons()
	sent := refused[noHeader]
	delete(refused, noHeader)
	if taken > 0 || len(refused) > 0 || (sent > 0) != c.without {
		u.Errorf("the foreign host took %d requests, and refused %d without a token, and others because of %v", taken, sent, refused)
	}
	if n := ours.newExchanges() + foreign.newExchanges(); n > 0 {
		u.Errorf("got %d exchanges, want none", n)
	}
}

// realOutOfOrder has the server answer nobody. That says nothing of the token,
// which stays.
func realOutOfOrder(u *clientUser, c realClient) {
	u.ours.SetAPIFault(sfapitest.Status(http.StatusServiceUnavailable, nil))
	v := *u
	// Without the programs' own patience.
	v.user = u.with("CARGO_NET_RETRY=0", "RCLONE_RETRIES=1", "RCLONE_LOW_LEVEL_RETRIES=1", "TF_REGISTRY_DISCOVERY_RETRY=0")
	v.failsToGet(c, u.ours, `503`)
	u.ours.SetAPIFault()
	u.gets(c, 0)
}

func realRanOut(u *clientUser, c realClient) {
	u.age(time.Hour)
	u.gets(c, 1)
}

func realRunsOut(u *clientUser, c realClient) {
	u.forget()
	u.ours.SetPolicy(sfapitest.Policy{TokenLife: 2 * time.Second})
	defer u.ours.SetPolicy(sfapitest.Policy{})
	u.ours.SetAPIFault(untilItRanOut(u))
	defer u.ours.SetAPIFault()
	before := since(u.ours)
	if o := c.many(u); o.code != 0 {
		u.Errorf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	if n := before.newExchanges(); n < 2 {
		u.Errorf("got %d exchanges, want one more after the first token ran out", n)
	}
	u.forget()
}

// untilItRanOut lets the first answer to a request with a token take until that
// token, which is in the cache, has run out.
func untilItRanOut(u *clientUser) sfapitest.Fault {
	var first sync.Once
	return func(genuine http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			token := r.Header.Get("Authorization")
			genuine.ServeHTTP(w, r)
			if token == "" {
				return
			}
			first.Do(func() {
				for began := time.Now(); time.Since(began) < 20*time.Second; time.Sleep(50 * time.Millisecond) {
					if _, ok := u.cache().Cached(helper.Want{}); !ok {
						return
					}
				}
			})
		})
	}
}

// realRevoked has the server refuse a token that is in the cache, and has not
// run out.
func realRevoked(u *clientUser, c realClient) {
	u.answers("token")
	u.ours.Revoke()
	before := since(u.ours)
	u.failsToGet(c, u.ours, c.revoked)
	refused, taken := before.reasons()
	u.Logf("refused: %v", refused)
	if taken > 0 || refused["the token was revoked"] == 0 {
		u.Errorf("the server took %d requests and refused others because of %v; want the token to be refused", taken, refused)
	}
	if c.recover != nil {
		c.recover(u)
	} else {
		u.answers("token", "--force")
	}
	u.gets(c, max(0, 1-before.newExchanges()))
}

// realDown has no token in the cache, and nobody who gives one.
func realDown(u *clientUser, c realClient) {
	u.forget()
	u.ours.SetTokenFault(sfapitest.Status(http.StatusServiceUnavailable, nil))
	defer u.ours.SetTokenFault()
	before := since(u.ours)
	v := *u
	v.user = u.with("SFCRED_TIMEOUT=1s")
	v.failsToGet(c, u.ours, c.down)
	refused, taken := before.reasons()
	sent := refused[noHeader]
	delete(refused, noHeader)
	if taken > 0 || len(refused) > 0 || sent > 0 && !c.without {
		u.Errorf("the server took %d requests, and refused %d without a token, and others because of %v", taken, sent, refused)
	}
}
