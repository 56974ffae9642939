package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/cgi"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sfcred/helper"
	"sfcred/helper/sfapitest"
)

// realGit is git 2.47, which knows bearer tokens. The server is git's own, for
// smart http.
func realGit() realClient {
	return realClient{
		needs:  []string{"git"},
		trixie: true,
		serve:  serveGit,
		setUp:  func(u *clientUser) { setUpGit(u) },
		get: func(u *clientUser, server *sfapitest.Server) (outcome, string) {
			return u.clone("/usr/bin/git", server)
		},

		foreign: `fatal: could not read Username for '.*': terminal prompts disabled\n`,
		revoked: `fatal: Authentication failed for '.*'\n`,
		down:    `sfcred: error: .*\n(sfcred: .*\n)*fatal: credential helper '.*' told us to quit\n`,
		without: true, // the first request of all, to be told what is wanted
		recover: func(u *clientUser) {
			// The token was too young for the erase that git asked for.
			before := since(u.ours)
			u.age(time.Minute)
			u.failsToGet(realGit(), u.ours, realGit().revoked)
			if n := before.newExchanges(); n > 0 {
				u.Errorf("got %d exchanges, want none within the git whose token was refused", n)
			}
			if t, ok := u.cache().Cached(helper.Want{}); ok {
				u.Errorf("the refused token of %v is still in the cache", t.Obtained)
			}
		},
	}
}

// TestRealOldGit has Debian 12's git ask, which would send a token as a password:
// sfcred has nothing to say to it.
func TestRealOldGit(t *testing.T) {
	realParts(t, "git")
	c := realGit()
	c.trixie = false
	u := newClientUser(t, release(t), c)
	var minor int
	if _, err := fmt.Sscanf(u.works("git", "version"), "git version 2.%d", &minor); err != nil || minor >= 46 {
		t.Skipf("git 2.%d is not old", minor)
	}
	before := since(u.ours)
	o, text := u.clone("git", u.ours)
	if want := `fatal: could not read Username for '.*': terminal prompts disabled\n`; o.code != 128 || text != "" || !whole(want, o.stderr) {
		t.Errorf("got %q, exit code %d\n%s", text, o.code, o.stderr)
	}
	refused, taken := before.reasons()
	if taken > 0 || len(refused) != 1 || refused[noHeader] == 0 || before.newExchanges() > 0 {
		t.Errorf("the server took %d requests, refused some because of %v, and gave %d tokens; want no token to be asked for", taken, refused, before.newExchanges())
	}
}

// TestRealGitHosts gives git the table of hosts: whatever it makes of a URL, a
// token is for a host of the profile.
func TestRealGitHosts(t *testing.T) {
	realParts(t, "git")
	c := realGit()
	u := newClientUser(t, release(t), c)
	u.write("home/.gitconfig", []byte("[credential]\n\thelper = sfcred\n"))
	cases := hostCases(t)
	check(t, helper.ConfigFile(u.onDisk("home", ".config", "sfcred", "config.toml")).Update(t.Context(), func(config *helper.Config) error {
		for _, hc := range cases {
			profile := u.profile
			profile.Hosts = hc.Hosts
			config.Profiles[profileOf(hc.Hosts)] = &profile
		}
		return nil
	}))
	token := u.answers("token")
	given := 0
	for _, hc := range cases {
		if strings.ContainsAny(hc.URL, "\x00\r\n") {
			continue // git refuses them, and a line could not hold them
		}
		o := u.with("SFCRED_PROFILE="+profileOf(hc.Hosts)).feed("url="+hc.URL+"\ncapability[]=authtype\n\n", "/usr/bin/git", "credential", "fill")
		switch gave := strings.Contains(o.stdout, token); {
		case gave:
			given++
			attributes := map[string]string{}
			for line := range strings.Lines(o.stdout) {
				key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
				attributes[key] = value
			}
			if !plainlyListed(strings.ToLower(attributes["protocol"]), strings.ToLower(attributes["host"]), hc.Hosts) {
				t.Errorf("%q for %q (%s): git got a token for %s at %s", hc.URL, hc.Hosts, hc.Why, attributes["protocol"], attributes["host"])
			}
		case hc.OK:
			t.Errorf("%q for %q (%s): git got no token\n%s", hc.URL, hc.Hosts, hc.Why, o.stderr)
		}
	}
	t.Logf("%d of %d URLs got a token", given, len(cases))
}

// plainlyListed compares without any rule but that a port is 443, or on loopback
// any.
func plainlyListed(protocol, host string, list []string) bool {
	host = strings.TrimSuffix(host, ":443")
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	addr, _ := netip.ParseAddr(name)
	loopback := name == "localhost" || addr.IsLoopback()
	if protocol != "https" && !(protocol == "http" && loopback) {
		return false
	}
	for _, entry := range list {
		entry = strings.TrimSuffix(strings.ToLower(entry), ":443")
		suffix, wildcard := strings.CutPrefix(entry, "*")
		listed, _ := netip.ParseAddr(strings.Trim(entry, "[]"))
		if host == entry || wildcard && strings.HasSuffix(host, suffix) && host != suffix ||
			loopback && name == strings.Trim(entry, "[]") || addr.IsValid() && addr == listed && (loopback || host == "["+name+"]") {
			return true
		}
	}
	return false
}

// serveGit gives a repository by git-http-backend.
func serveGit(t *testing.T, server *sfapitest.Server) {
	t.Helper()
	dir := t.TempDir()
	git := func(in string, args ...string) string {
		t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(in)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1",
			"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org"}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("", "init", "-q", "--bare", "--initial-branch=main", "repo.git")
	repo := "--git-dir=repo.git"
	blob := git(privateText+"\n", repo, "hash-object", "-w", "--stdin")
	tree := git("100644 blob "+blob+"\tREADME\n", repo, "mktree")
	git("", repo, "update-ref", "refs/heads/main", git("", repo, "commit-tree", "-m", "first", tree))
	backend := &cgi.Handler{
		Path: filepath.Join(git("", "--exec-path"), "git-http-backend"), Root: "/git",
		Env: []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1", "HOME=" + dir},
	}
	server.Protect("/git/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Authorization") // a CGI program has it in its environment
		backend.ServeHTTP(w, r)
	}))
}

// setUpGit configures git for the profile's host, and no other. For the foreign
// one sfcred is asked too, since that is what this is about.
func setUpGit(u *clientUser) {
	u.works("ln", "-s", "sfcred", u.path("bin", "git-credential-sfcred"))
	u.write("home/.gitconfig", []byte(`[credential "`+u.ours.URL+`"]
	helper =
	helper = sfcred
[credential "`+u.foreign.URL+`"]
	helper = sfcred
[http]
	sslCAInfo = `+u.path("ca.pem")+"\n"))
	u.env = append(u.env, "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1")
}

// clone clones the repository anew, and returns what is in it.
func (u *clientUser) clone(git string, server *sfapitest.Server) (outcome, string) {
	dir, err := os.MkdirTemp(u.onDisk("tmp"), "clone-")
	check(u.T, err)
	o := u.do(git, "clone", "-q", server.URL+"/git/repo.git", u.path("tmp", filepath.Base(dir)))
	text, _ := os.ReadFile(filepath.Join(dir, "README"))
	return o, string(text)
}
