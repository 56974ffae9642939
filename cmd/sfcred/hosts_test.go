package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sfcred/helper"
	"sfcred/helper/sfapitest"
)

// hostCase is an entry of the table of hosts, which has the right answer for
// each URL.
type hostCase struct {
	Hosts []string `json:"hosts"`
	URL   string   `json:"url"`
	OK    bool     `json:"ok"`
	Why   string   `json:"why"`
}

func hostCases(t *testing.T) []hostCase {
	t.Helper()
	text, err := os.ReadFile("../../helper/testdata/hosts.json")
	check(t, err)
	var cases []hostCase
	check(t, json.Unmarshal(text, &cases))
	return cases
}

// call is one run of sfcred, as a tool would make it.
type call struct {
	args            []string
	stdin, execInfo string
}

// asker is a tool that asks about a URL.
type asker struct {
	name string
	ask  func(askedURL) call
	// cannot says why the tool would never ask that, or "".
	cannot func(u askedURL, ok bool) string
	// yes is the answer's beginning and end, with the token in between.
	yes [2]string
	// no is the whole answer where there is no token, by exit code.
	no map[int]string
}

// askedURL is cut as RFC 3986 section 3 has it, and no further: what it holds may be
// wrong in every other way.
type askedURL struct{ raw, scheme, authority, rest string }

func cutURL(raw string) askedURL {
	u := askedURL{raw: raw}
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return u
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	u.scheme, u.authority, u.rest = scheme, rest[:end], rest[end:]
	return u
}

// oddRest says whether what is wrong with a URL is behind its host.
func (u askedURL) oddRest() bool {
	odd := func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }
	return strings.ContainsFunc(u.rest, odd) && !strings.ContainsFunc(u.authority, odd)
}

func quoted(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func anything(askedURL, bool) string { return "" }

// askers are all commands that a URL or a host is told.
func askers() []asker {
	const cargoHello = `{"v":[1]}` + "\n"
	return []asker{
		{
			name: "token --url",
			ask:  func(u askedURL) call { return call{args: []string{"sfcred", "token", "--url", u.raw}} }, cannot: anything,
			yes: [2]string{"", "\n"}, no: map[int]string{exitNothing: ""},
		},
		{
			name: "header --url",
			ask:  func(u askedURL) call { return call{args: []string{"sfcred", "header", "--url", u.raw}} }, cannot: anything,
			yes: [2]string{"Authorization: Bearer ", "\n"}, no: map[int]string{exitNothing: ""},
		},
		{
			name: "kubectl",
			ask: func(u askedURL) call {
				info := `{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":{"interactive":false,"cluster":{"server":` + quoted(u.raw) + `}}}`
				return call{args: []string{"sfcred-kubectl"}, execInfo: info}
			},
			cannot: anything,
			yes:    [2]string{`{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"expirationTimestamp":"`, "\"}}\n"},
			no:     map[int]string{exitNothing: "", exitFailed: ""},
		},
		{
			name: "git",
			ask: func(u askedURL) call {
				in := "capability[]=authtype\nprotocol=" + u.scheme + "\nhost=" + u.authority + "\npath=" + strings.TrimPrefix(u.rest, "/") + "\n\n"
				return call{args: []string{"git-credential-sfcred", "get"}, stdin: in}
			},
			cannot: func(u askedURL, _ bool) string {
				switch {
				case u.scheme == "":
					return "a URL without :// is a path to git"
				case strings.ContainsAny(u.raw, "\x00\r\n"):
					return "git refuses a URL with an end of line"
				case u.oddRest():
					return "git sends the path with its percent signs undone, so that it may hold any byte"
				}
				return ""
			},
			yes: [2]string{"capability[]=authtype\nauthtype=Bearer\ncredential=", "\n"}, no: map[int]string{exitOK: ""},
		},
		{
			name: "bazel",
			ask: func(u askedURL) call {
				return call{args: []string{"sfcred-bazel", "get"}, stdin: `{"uri":` + quoted(u.raw) + `}`}
			},
			cannot: anything,
			yes:    [2]string{`{"headers":{"Authorization":["Bearer `, "\"}\n"}, no: map[int]string{exitNothing: "", exitFailed: ""},
		},
		{
			name: "go",
			ask: func(u askedURL) call {
				return call{args: []string{"sfcred", "helper", "go", u.raw}, stdin: "HTTP/1.1 401 Unauthorized\r\n\r\n"}
			},
			cannot: func(u askedURL, ok bool) string {
				if ok && u.scheme != "https" {
					return "the go command asks for https alone, and writes it in lower case"
				}
				return ""
			},
			yes: [2]string{"https://", "\n\n"}, no: map[int]string{exitOK: "", exitUsage: ""},
		},
		{
			name: "cargo",
			ask: func(u askedURL) call {
				in := `{"v":1,"kind":"get","operation":"read","registry":{"index-url":` + quoted("sparse+"+u.raw) + `},"args":[]}` + "\n"
				return call{args: []string{"sfcred-cargo", "--cargo-plugin"}, stdin: in}
			},
			cannot: anything,
			yes:    [2]string{cargoHello + `{"Ok":{"kind":"get","token":"Bearer `, "}}\n"},
			no:     map[int]string{exitOK: cargoHello + `{"Err":{"kind":"url-not-supported"}}` + "\n"},
		},
		{
			name: "terraform",
			ask:  func(u askedURL) call { return call{args: []string{"terraform-credentials-sfcred", "get", u.authority}} },
			cannot: func(u askedURL, _ bool) string {
				switch {
				case !strings.EqualFold(u.scheme, "https"):
					return "Terraform names a host, which means https"
				case u.oddRest():
					return "Terraform names a host, and no path"
				}
				return ""
			},
			yes: [2]string{`{"token":"`, "\"}\n"}, no: map[int]string{exitOK: "{}\n", exitUsage: ""},
		},
		{
			name: "restish",
			ask: func(u askedURL) call {
				return call{args: []string{"sfcred-restish"}, stdin: `{"method":"GET","uri":` + quoted(u.raw) + `,"headers":{}}`}
			},
			cannot: anything,
			yes:    [2]string{`{"headers":{"Authorization":["Bearer `, "\"]}}\n"}, no: map[int]string{exitOK: "", exitFailed: ""},
		},
	}
}

// TestHosts asks all of the table of every command, in the tool's own protocol.
// A token is in the cache all the time, so that nothing but the host rule keeps
// it back.
func TestHosts(t *testing.T) {
	w := newHostWorld(t)
	for _, a := range askers() {
		t.Run(a.name, func(t *testing.T) { w.askAll(t, a) })
	}
	t.Run("go, all hosts at once", w.firstGo)
	t.Run("curl", w.askCurl)
	if n := w.exchanges(); n != 1 {
		t.Errorf("got %d exchanges, want one, before all questions", n)
	}
}

// hostWorld is a home in which each list of hosts has a profile.
type hostWorld struct {
	home      string
	cases     []hostCase
	token     string
	exchanges func() int
}

func newHostWorld(t *testing.T) *hostWorld {
	t.Helper()
	server := newServer()
	t.Cleanup(server.Close)
	w := &hostWorld{home: t.TempDir(), cases: hostCases(t), token: "the-token-of-all-profiles", exchanges: server.Exchanges}
	server.SetTokenFault(sfapitest.With("access_token", w.token))
	t.Setenv("AppData", w.home) // where Windows keeps things
	t.Setenv("LocalAppData", w.home)
	check(t, writeKeys(w.home, theKeys()))
	check(t, os.Mkdir(filepath.Join(w.home, "run"), 0o700))
	path, err := w.program(call{}, "").configPath()
	check(t, err)
	check(t, helper.ConfigFile(path).Update(t.Context(), func(c *helper.Config) error {
		for _, hc := range w.cases {
			c.Profiles[profileOf(hc.Hosts)] = &helper.Profile{
				ClientID: clientID, TokenURL: server.TokenURL, Hosts: hc.Hosts,
				Store: "pem", KeyFile: filepath.Join(w.home, "key-only.pem"),
			}
		}
		return nil
	}))
	code, stdout, stderr := w.run(t, call{args: []string{"sfcred", "token"}}, profileOf(w.cases[0].Hosts))
	if code != exitOK || stdout != w.token+"\n" {
		t.Fatalf("exit code %d, standard output %q, standard error %q", code, stdout, stderr)
	}
	return w
}

// profileOf is the name of the profile that has these hosts.
func profileOf(hosts []string) string { return fmt.Sprintf("h%x", strings.Join(hosts, " ")) }

func (w *hostWorld) program(c call, profile string) *program {
	return &program{
		stdin: strings.NewReader(c.stdin), stdout: new(bytes.Buffer), stderr: new(bytes.Buffer), began: time.Now(),
		env: environment{home: w.home, runtimeDir: filepath.Join(w.home, "run"), profile: profile, execInfo: c.execInfo},
	}
}

// run does what the binary does, in this process.
func (w *hostWorld) run(t *testing.T, c call, profile string) (code int, stdout, stderr string) {
	p := w.program(c, profile)
	code = p.run(t.Context(), c.args)
	return code, p.stdout.(*bytes.Buffer).String(), p.stderr.(*bytes.Buffer).String()
}

func (w *hostWorld) askAll(t *testing.T, a asker) {
	yes, no, cannot := 0, 0, map[string]int{}
	for _, hc := range w.cases {
		u := cutURL(hc.URL)
		if why := a.cannot(u, hc.OK); why != "" {
			cannot[why]++
			continue
		}
		code, stdout, stderr := w.run(t, a.ask(u), profileOf(hc.Hosts))
		gave := strings.Contains(stdout+stderr, w.token)
		if hc.OK {
			yes++
			if code != exitOK || !gave || stderr != "" || !strings.HasPrefix(stdout, a.yes[0]) || !strings.HasSuffix(stdout, a.yes[1]) {
				t.Errorf("%q for %q (%s): exit code %d, standard error %q, standard output:\n%s", hc.URL, hc.Hosts, hc.Why, code, stderr, stdout)
			}
			continue
		}
		no++
		if want, ok := a.no[code]; gave || !ok || stdout != want {
			t.Errorf("%q for %q (%s): exit code %d, token given: %v, standard error %q, standard output:\n%s", hc.URL, hc.Hosts, hc.Why, code, gave, stderr, stdout)
		}
	}
	t.Logf("%d answered, %d refused", yes, no)
	for _, why := range slices.Sorted(maps.Keys(cannot)) {
		t.Logf("%d not asked: %s", cannot[why], why)
	}
	if yes < 20 || no < 60 {
		t.Errorf("%d answered and %d refused are too few", yes, no)
	}
}

// firstGo asks what the go command asks before it has a URL: the answer may name
// hosts of the profile alone.
func (w *hostWorld) firstGo(t *testing.T) {
	named := 0
	for _, hc := range w.cases {
		hosts, err := helper.ParseHosts(hc.Hosts)
		check(t, err)
		code, stdout, stderr := w.run(t, call{args: []string{"sfcred", "helper", "go"}}, profileOf(hc.Hosts))
		if code != exitOK || stderr != "" {
			t.Fatalf("%q: exit code %d, standard error %q", hc.Hosts, code, stderr)
		}
		urls, headers, ok := strings.Cut(stdout, "\n\n")
		if !ok && stdout == "" {
			continue
		}
		if want := "Authorization: Bearer " + w.token + "\n\n"; headers != want {
			t.Errorf("%q: got headers %q, want %q", hc.Hosts, headers, want)
		}
		for u := range strings.Lines(urls) {
			named++
			if _, err := hosts.Check(strings.TrimSuffix(u, "\n")); err != nil {
				t.Errorf("%q: %v", hc.Hosts, err)
			}
		}
	}
	if named == 0 {
		t.Error("no host was named")
	}
}

// askCurl has no curl that could be started: where it is looked for, the URL has
// passed.
func (w *hostWorld) askCurl(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, hc := range w.cases {
		code, stdout, stderr := w.run(t, call{args: []string{"sfcred", "curl", "--globoff", "--url", hc.URL}}, profileOf(hc.Hosts))
		want := exitNotStarted
		if hc.OK {
			want = exitNotFound
		}
		if code != want || stdout != "" || stderr == "" {
			t.Errorf("%q for %q (%s): exit code %d, want %d; standard output %q, standard error %q", hc.URL, hc.Hosts, hc.Why, code, want, stdout, stderr)
		}
	}
}
