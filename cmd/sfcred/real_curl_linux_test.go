package main

import (
	"bytes"
	"crypto"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"sfcred/helper/sfapitest"
)

// TestRealCurl has curl send the header from the shells, each in the way that
// the READMEs have for it, to an https API that checks the token.
func TestRealCurl(t *testing.T) {
	realParts(t, "curl", "bash", "zsh", "dash")
	u := newCurlUser(t)
	const (
		substitution = `curl -sS --cacert ca.pem -H @<(sfcred header) "$URL"`
		pipe         = `sfcred header | curl -sS --cacert ca.pem -H @- "$URL"`
		first        = `header=$(sfcred header) && curl -sS --cacert ca.pem -H @- "$URL" <<< "$header"`
		checked      = `header=$(sfcred header --url "$URL") && curl -sS --cacert ca.pem -H @- "$URL" <<< "$header"`
	)
	tests := []struct {
		name    string
		command []string
		// What becomes of it where sfcred fails with 4: process substitution
		// and a pipe cannot stop curl, which then has no token to send.
		sends bool
		code  int
	}{
		{"bash, substitution", []string{"bash", "-c", substitution}, true, 0},
		{"zsh, substitution", []string{"zsh", "-f", "-c", substitution}, true, 0},
		{"dash, pipe", []string{"dash", "-c", pipe}, true, 0},
		{"bash, pipe", []string{"bash", "-c", "set -o pipefail; " + pipe}, true, exitRefused},
		{"bash, header first", []string{"bash", "-c", first}, false, exitRefused},
		{"zsh, header first", []string{"zsh", "-f", "-c", first}, false, exitRefused},
		{"bash, URL checked", []string{"bash", "-c", checked}, false, exitRefused},
		{"zsh, URL checked", []string{"zsh", "-f", "-c", checked}, false, exitRefused},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			u := &curlUser{u.in(t), u.server, u.watch}
			u.sendsToken(test.command)
			u.sendsNone(test.command, test.sends, test.code)
		})
	}
	t.Run("a token that shows", u.showsToken)
	t.Run("foreign host", func(t *testing.T) {
		u := &curlUser{u.in(t), u.server, u.watch}
		u.answers("edit", "test", "--host", "+api.example.org", "--host", "-"+strings.TrimPrefix(u.server.URL, "https://"))
		before := len(u.server.Requests())
		if o := u.do("bash", "-c", checked); o.code != exitNothing || len(u.server.Requests()) != before {
			t.Errorf("exit code %d, %d requests; want %d, none\n%s", o.code, len(u.server.Requests())-before, exitNothing, o.stderr)
		}
	})
}

// curlUser has a profile, and a server that looks about while it is asked.
type curlUser struct {
	*user
	server *sfapitest.Server
	watch  *watch
}

func newCurlUser(t *testing.T) *curlUser {
	t.Helper()
	server := sfapitest.NewTLS(sfapitest.Client{ID: clientID, Key: theKeys()["key"].(crypto.Signer).Public(), User: "alice"})
	t.Cleanup(server.Close)
	u := &curlUser{newUser(t, release(t)), server, &watch{url: server.APIURL + "/account/"}}
	u.env = append(u.env, "URL="+u.watch.url)
	u.works("sfcred", "login", "--profile", "test", "--store", "pem", "--client-id", clientID, "--key", u.writeKey("key.pem", theKeys()["key"]),
		"--token-url", server.TokenURL, "--api-url", server.APIURL, "--host", strings.TrimPrefix(server.URL, "https://"),
		"--ca-file", u.write("ca.pem", server.CA))
	server.SetAPIFault(u.watch.look)
	return u
}

// sendsToken asserts that a command calls the API as alice, and that no other
// user of the machine could have read the token meanwhile.
func (u *curlUser) sendsToken(command []string) {
	u.Helper()
	u.watch.begin(u.answers("token"))
	answer := u.works(command[0], command[1:]...)
	if !strings.Contains(answer, `"alice"`) {
		u.Errorf("the API answered %s", answer)
	}
	if curls, shown := u.watch.end(); curls != 1 || len(shown) > 0 {
		u.Errorf("got %d curl at work, want 1; the token shows in %q, want nowhere", curls, shown)
	}
}

// sendsNone asserts what becomes of a command where sfcred has no token.
func (u *curlUser) sendsNone(command []string, sends bool, code int) {
	u.Helper()
	u.server.Remove(clientID)
	defer u.server.Add(sfapitest.Client{ID: clientID, Key: theKeys()["key"].(crypto.Signer).Public(), User: "alice"})
	// Another directory for tokens, for there is one in the cache.
	u = &curlUser{u.with("XDG_RUNTIME_DIR=", "TMPDIR="+u.TempDir()), u.server, u.watch}
	before := u.server.Requests()
	o := u.do(command[0], command[1:]...)
	if o.code != code || !strings.HasPrefix(o.stderr, `sfcred: error: profile "test": the server refused the client: `) {
		u.Errorf("exit code %d, want %d\n%s", o.code, code, o.stderr)
	}
	var got []string
	for _, r := range u.server.Requests()[len(before):] {
		if r.Method == http.MethodGet {
			got = append(got, r.Reason)
		}
	}
	var want []string
	if sends {
		want = []string{"there is no Authorization header"}
	}
	if !slices.Equal(got, want) {
		u.Errorf("the API was asked, and refused because of %q, want %q", got, want)
	}
}

// showsToken asserts that the watch would have seen a token.
func (u *curlUser) showsToken(t *testing.T) {
	token := u.answers("token")
	for _, command := range []string{
		`curl -sS --cacert ca.pem -H "$(sfcred header)" "$URL"`,
		`export TOKEN=$(sfcred token); curl -sS --cacert ca.pem "$URL"`,
	} {
		u.watch.begin(token)
		u.works("bash", "-c", command)
		if curls, shown := u.watch.end(); curls != 1 || len(shown) == 0 {
			t.Errorf("%s: got %d curl at work, want 1; the token shows in %q, want it there", command, curls, shown)
		}
	}
}

// watch looks at the command lines and environments of all processes while the
// API is asked, and so while curl has the token and waits.
type watch struct {
	url string

	mu    sync.Mutex
	token []byte
	curls int      // that were seen to ask for url
	shown []string // where the token was seen
}

func (w *watch) begin(token string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.token, w.curls, w.shown = []byte(token), 0, nil
}

func (w *watch) end() (curls int, shown []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.curls, w.shown
}

func (w *watch) look(genuine http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		files, _ := filepath.Glob("/proc/[0-9]*/[ce][mn][dv]*") // cmdline, environ
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				continue // another's, or one that has ended
			}
			words := bytes.Split(text, []byte{0})
			isCurl := slices.ContainsFunc(words, func(word []byte) bool { return path.Base(string(word)) == "curl" })
			if isCurl && bytes.Contains(text, []byte(w.url)) && filepath.Base(file) == "cmdline" {
				w.curls++
			}
			if len(w.token) > 0 && bytes.Contains(text, w.token) {
				w.shown = append(w.shown, file)
			}
		}
		genuine.ServeHTTP(rw, r)
	})
}
