package main

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sfcred/helper"
	"sfcred/helper/sfapitest"
	"sfcred/integrations/curl"
)

// TestRealCurlCommand has "sfcred curl" run the machine's curl and that of Debian
// 13, against an https API that checks the token, with bystanders that note what
// they are sent.
func TestRealCurlCommand(t *testing.T) {
	realParts(t, "curl", "bash")
	for _, c := range []struct {
		name string
		dir  func(*testing.T) string // before PATH
	}{
		{"the machine's", func(*testing.T) string { return os.DevNull }},
		{"Debian 13's", curlOfDebian13},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := newCommandUser(t, c.dir(t))
			t.Log(strings.SplitN(u.works("bash", "-c", "curl --version"), "\n", 2)[0])
			for _, step := range []struct {
				name string
				run  func(*commandUser)
			}{
				{"cold, then cached", curlCached}, {"foreign host", curlForeign}, {"token that ran out", curlRanOut},
				{"no token", curlNoToken}, {"failing API", curlFailingAPI}, {"README", curlReadme},
				{"redirects", curlRedirects}, {"verbose", curlVerbose}, {"verbose, HTTP/2", curlVerboseHTTP2},
				{"curlrc", curlRC}, {"proxies", curlProxies}, {"proxy for https", curlHTTPSProxy}, {"hosts", curlHosts}, {"nothing shows", curlShowsNothing},
				{"without /dev/fd", curlWithoutDescriptors}, {"server gone", curlGone},
			} {
				t.Run(step.name, func(t *testing.T) { step.run(u.within(t)) })
			}
		})
	}
}

// curlOfDebian13 is a folder with a curl that is run by the loader of the Debian
// 13 that it comes from, and otherwise here.
func curlOfDebian13(t *testing.T) string {
	t.Helper()
	debian := trixie(t)
	loaders, _ := filepath.Glob(filepath.Join(debian, "lib*", "ld-linux-*.so.*"))
	libraries, _ := filepath.Glob(filepath.Join(debian, "usr", "lib", "*-linux-gnu"))
	program := filepath.Join(debian, "usr", "bin", "curl")
	if _, err := os.Stat(program); err != nil || len(loaders) == 0 || len(libraries) == 0 {
		missing(t, "the curl of a Debian 13 in "+debian+", which .ci/trixie makes")
	}
	dir := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\nexec '%s' --library-path '%s' --argv0 curl '%s' \"$@\"\n", loaders[0], strings.Join(libraries, ":"), program)
	check(t, os.WriteFile(filepath.Join(dir, "curl"), []byte(script), 0o755))
	return dir
}

// commandUser also has two servers beside theirs, of which their profile knows
// nothing.
type commandUser struct {
	*curlUser
	secure, plain *bystander
}

func newCommandUser(t *testing.T, dir string) *commandUser {
	t.Helper()
	u := &commandUser{curlUser: newCurlUser(t)}
	path, _, _ := strings.Cut(u.env[0], string(os.PathListSeparator)) // where its sfcred is
	u.user = u.with(path + string(os.PathListSeparator) + dir + string(os.PathListSeparator) + os.Getenv("PATH"))
	u.secure, u.plain = newBystander(t, sfapitest.NewTLS()), newBystander(t, sfapitest.New())
	u.write("ca.pem", append(bytes.Clone(u.server.CA), u.secure.server.CA...))
	return u
}

func (u *commandUser) within(t *testing.T) *commandUser {
	u.server.SetAPIFault()
	u.server.SetTokenFault()
	return &commandUser{&curlUser{u.in(t), u.server, u.watch}, u.secure, u.plain}
}

// bystander is a server that notes the headers of each request.
type bystander struct {
	server *sfapitest.Server
	url    string // of something that it has

	mu   sync.Mutex
	seen []http.Header
}

func newBystander(t *testing.T, server *sfapitest.Server) *bystander {
	t.Cleanup(server.Close)
	b := &bystander{server: server, url: server.APIURL + "/account/"}
	server.SetAPIFault(b.note)
	return b
}

func (b *bystander) note(genuine http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		b.seen = append(b.seen, r.Header.Clone())
		b.mu.Unlock()
		genuine.ServeHTTP(w, r)
	})
}

// take gives the headers of the requests since it was last asked.
func (b *bystander) take() []http.Header {
	b.mu.Lock()
	defer b.mu.Unlock()
	seen := b.seen
	b.seen = nil
	return seen
}

// has says whether a token, or a part of it, is among headers.
func has(headers []http.Header, token string) bool {
	words := &secretWords{windows: map[string]string{}}
	words.add("token", token)
	return words.in([]byte(fmt.Sprint(headers))) != ""
}

// curl runs "sfcred curl" with words that a shell reads.
func (u *commandUser) curl(words string) outcome {
	u.Helper()
	return u.do("bash", "-c", "sfcred curl "+words)
}

// gets asserts that curl calls the API as alice, after so many exchanges.
func (u *commandUser) gets(words string, exchanges int) {
	u.Helper()
	before := u.server.Exchanges()
	if o := u.curl(words); o.code != 0 || o.stderr != "" || !strings.Contains(o.stdout, `"alice"`) {
		u.Errorf("sfcred curl %s: exit code %d, standard output %q, standard error:\n%s", words, o.code, o.stdout, o.stderr)
	}
	if n := u.server.Exchanges() - before; n != exchanges {
		u.Errorf("sfcred curl %s: got %d exchanges, want %d", words, n, exchanges)
	}
}

// sendsNothing asserts that curl does not start, and why.
func (u *commandUser) sendsNothing(words, why string) {
	u.Helper()
	api := func() (n int) {
		for _, r := range u.server.Requests() {
			if strings.HasPrefix(r.Path, "/api/") {
				n++
			}
		}
		return n
	}
	before := api()
	o := u.curl(words)
	if o.code != exitNotStarted || o.stdout != "" || !whole(why+`\n(sfcred: hint: .*\n)*`, o.stderr) {
		u.Errorf("sfcred curl %s: exit code %d, standard output %q, standard error:\n%s", words, o.code, o.stdout, o.stderr)
	}
	if n := api() - before; n != 0 {
		u.Errorf("sfcred curl %s: the API got %d requests, want none", words, n)
	}
}

func curlCached(u *commandUser) {
	check(u.T, os.RemoveAll(u.path("run", "sfcred")))
	u.gets("-sS /account/", 1)
	u.gets(`-sS "$URL"`, 0)
}

func curlForeign(u *commandUser) {
	port := strings.TrimPrefix(u.server.URL, "https://127.0.0.1:")
	u.sendsNothing("-sS https://localhost:"+port+"/api/v1.2/account/", `sfcred: error: profile "test": no token for this host: localhost:`+port+` is not among the profile's hosts`)
	u.sendsNothing("-sS "+u.secure.url, `sfcred: error: profile "test": no token for this host: .*`)
	u.sendsNothing("-sS "+u.plain.url, `sfcred: error: profile "test": no token for this host: .*`)
	if n := len(u.secure.take()) + len(u.plain.take()); n > 0 {
		u.Errorf("bystanders got %d requests", n)
	}
}

// cache is the user's cache, for tokens to be looked at and changed.
func (u *commandUser) cache() *helper.Source {
	u.Helper()
	config, err := helper.ConfigFile(u.path("home", ".config", "sfcred", "config.toml")).Load()
	check(u.T, err)
	return &helper.Source{Profile: *config.Profiles["test"], CacheDir: u.path("run", "sfcred")}
}

func curlRanOut(u *commandUser) {
	u.answers("token")
	t, ok := u.cache().Cached(helper.Want{})
	if !ok {
		u.Fatal("there is no token in the cache")
	}
	t.Obtained, t.Expires = t.Obtained.Add(-time.Hour), t.Expires.Add(-time.Hour)
	u.cache().Keep(t)
	u.gets("-sS /account/", 1)
}

func curlNoToken(u *commandUser) {
	check(u.T, u.cache().Forget())
	u.server.SetTokenFault(sfapitest.Status(http.StatusServiceUnavailable, nil))
	u.user = u.with("SFCRED_TIMEOUT=1s")
	u.sendsNothing("-sS /account/", `sfcred: error: profile "test": .*503.*`)
}

func curlFailingAPI(u *commandUser) {
	u.server.SetAPIFault(sfapitest.Status(http.StatusInternalServerError, nil))
	for words, code := range map[string]int{"-sS /account/": 0, "-sSf /account/": 22} {
		if o := u.curl(words); o.code != code || strings.Contains(o.stderr, "sfcred") {
			u.Errorf("sfcred curl %s: exit code %d, want %d\n%s", words, o.code, code, o.stderr)
		}
	}
	u.server.SetAPIFault(sfapitest.Delay(time.Hour))
	if o := u.curl("-sS -m 1 /account/"); o.code != 28 {
		u.Errorf("a server that does not answer: exit code %d, want 28\n%s", o.code, o.stderr)
	}
}

func curlGone(u *commandUser) {
	u.answers("token")
	u.server.Close()
	if o := u.curl("-sS /account/"); o.code != 7 || !strings.HasPrefix(o.stderr, "curl: (7) ") {
		u.Errorf("exit code %d, want 7\n%s", o.code, o.stderr)
	}
}

// curlReadme runs the README's lines, with the server for the service, and a
// profile "lab".
func curlReadme(u *commandUser) {
	text, err := os.ReadFile(filepath.Join(root, "integrations", "curl", "README.md"))
	check(u.T, err)
	text = bytes.ReplaceAll(text, []byte("https://api.nersc.gov/api/v1.2"), []byte(u.server.APIURL))
	text = bytes.ReplaceAll(text, []byte("--profile lab"), []byte("--profile test"))
	var ran int
	for _, line := range regexp.MustCompile(`(?m)^(echo \S+ \| )?sfcred (--profile \S+ )?curl .*`).FindAll(text, -1) {
		if o := u.do("bash", "-c", string(line)); o.code != 0 || strings.Contains(o.stderr, "sfcred") || strings.Contains(o.stdout, "detail") {
			u.Errorf("%s: exit code %d\n%s%s", line, o.code, o.stdout, o.stderr)
		}
		ran++
	}
	if ran < 4 {
		u.Errorf("the README has %d lines", ran)
	}
}

func curlRedirects(u *commandUser) {
	token := u.answers("token")
	u.gets("-sSL "+u.server.APIURL+"/account", 0) // to account/ on the same server
	elsewhere := strings.Replace(u.secure.url, "127.0.0.1", "localhost", 1)
	// The bystander would see a token: it does when curl is told to trust.
	u.server.SetAPIFault(sfapitest.Redirect(u.secure.url))
	u.works("bash", "-c", `curl -sS --cacert ca.pem --location-trusted -H @<(sfcred header) "$URL"`)
	if !has(u.secure.take(), token) {
		u.Fatal("the bystander does not see what it should see")
	}
	for _, test := range []struct {
		name, to string
		b        *bystander
		code     int
		seen     int
	}{
		{"to another port", u.secure.url, u.secure, 0, 1},
		{"to another host", elsewhere, u.secure, 0, 1},
		{"to another scheme", u.plain.url, u.plain, 1, 0},
	} {
		u.server.SetAPIFault(sfapitest.Redirect(test.to))
		o := u.curl("-sSL --cacert ca.pem /account/")
		seen := test.b.take()
		if o.code != test.code || len(seen) != test.seen || has(seen, token) || len(seen) > 0 && seen[0].Get("Authorization") != "" {
			u.Errorf("%s: exit code %d, want %d; the other server got %v\n%s", test.name, o.code, test.code, seen, o.stderr)
		}
	}
	// The same server under another name.
	u.server.SetAPIFault(sfapitest.Times(1, sfapitest.Redirect(strings.Replace(u.server.APIURL, "127.0.0.1", "localhost", 1)+"/account/")))
	before := len(u.server.Requests())
	u.curl("-sSL /account/")
	requests := u.server.Requests()[before:]
	if len(requests) != 2 || requests[1].Reason != "there is no Authorization header" {
		u.Errorf("to another name: got the requests %+v", requests)
	}
	// Without -L nobody is followed.
	u.server.SetAPIFault(sfapitest.Redirect(u.secure.url))
	if o := u.curl("-sS -o answer -w '%{http_code}' /account/"); o.stdout != "307" || len(u.secure.take()) > 0 {
		u.Errorf("got %+v", o)
	}
}

// hides asserts that what curl says has the header's name and nothing of the
// token.
func (u *commandUser) hides(o outcome, token string) {
	u.Helper()
	words := &secretWords{windows: map[string]string{}}
	words.add("the token", token)
	if o.code != 0 || words.in([]byte(o.stderr)) != "" || words.in([]byte(o.stdout)) != "" || !regexp.MustCompile(`(?mi)^> authorization: \[hidden\]$`).MatchString(o.stderr) {
		u.Errorf("exit code %d\n%s", o.code, o.stderr)
	}
}

func curlVerbose(u *commandUser) {
	for _, words := range []string{"-v", "-sv", "-vvvv", "-v -v -v", "--verbose -#"} {
		u.hides(u.curl(words+" /account/"), u.answers("token"))
	}
	o := u.curl("-v /account/ 2>&1 >answer")
	for _, line := range []string{`\* .*\n`, `> GET /api/v1.2/account/ HTTP/1.1\r\n`, `> User-Agent: curl/.*\r\n`, `> \r\n`, `< HTTP/1.1 200 OK\r\n`} {
		if !regexp.MustCompile(`(?m)^` + line).MatchString(o.stdout) {
			u.Errorf("no line %s in\n%s", line, o.stdout)
		}
	}
}

// A server with HTTP/2, and a token that is longer than what curl shows of a
// line.
func curlVerboseHTTP2(u *commandUser) {
	check(u.T, u.cache().Forget())
	for _, length := range []int{100, 2000, 2040, 2048, 2060, 3000, 12000} {
		token := strings.Repeat("0123456789abcdefghijklmnopqrstuvwxyz", 1+length/36)[:length]
		u.server.SetTokenFault(sfapitest.With("access_token", token))
		var got []string
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got = append(got, r.Proto+" "+r.Header.Get("Authorization"))
		}))
		server.EnableHTTP2 = true
		server.StartTLS()
		host := strings.TrimPrefix(server.URL, "https://")
		u.write("h2.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
		u.answers("token", "--force")
		u.works("sfcred", "edit", "test", "--host", "+"+host)
		u.hides(u.curl("-v --cacert h2.pem "+server.URL), token)
		u.hides(u.curl("-v --http1.1 --cacert h2.pem "+server.URL), token)
		u.works("sfcred", "edit", "test", "--host", "-"+host)
		server.Close()
		if want := []string{"HTTP/2.0 Bearer " + token, "HTTP/1.1 Bearer " + token}; !slices.Equal(got, want) {
			u.Errorf("the server got %q, want %q", got, want)
		}
	}
	check(u.T, u.cache().Forget())
}

// curlRC has the files that curl reads when it is not told otherwise.
func curlRC(u *commandUser) {
	rc := []byte("url = " + u.secure.url + "\nproxy = " + u.plain.server.URL + "\ninsecure\nlocation-trusted\ntrace-ascii = " + u.path("trace") + "\n")
	u.write("home/.curlrc", rc)
	defer os.Remove(u.path("home", ".curlrc"))
	check(u.T, os.MkdirAll(u.path("home", ".config"), 0o700))
	u.write("home/.config/curlrc", rc)
	u.user = u.with("CURL_HOME="+u.path("home"), "XDG_CONFIG_HOME="+u.path("home", ".config"))
	u.do("bash", "-c", `curl -sS "$URL"`) // reads it
	check(u.T, os.Remove(u.path("trace")))
	u.secure.take()
	u.plain.take()
	u.answers("token")
	u.gets("-sS /account/", 0)
	u.gets("-sSq /account/", 0)
	if _, err := os.Stat(u.path("trace")); err == nil || len(u.secure.take()) > 0 || len(u.plain.take()) > 0 {
		u.Error("curl has read a file")
	}
}

// Loopback is reached without a proxy, and keys of connections are not written.
func curlProxies(u *commandUser) {
	plain := newBystander(u.T, newServer())
	host := strings.TrimPrefix(plain.server.URL, "http://")
	proxy := u.plain.server.URL
	u.user = u.with("http_proxy="+proxy, "https_proxy="+proxy, "HTTPS_PROXY="+proxy, "ALL_PROXY="+proxy, "all_proxy="+proxy, "no_proxy=", "NO_PROXY=",
		"SSLKEYLOGFILE="+u.path("keylog"))
	u.works("sfcred", "edit", "test", "--host", "+"+host)
	u.gets("-sS /account/", 0)
	o := u.curl("-sS " + plain.url)
	if seen := plain.take(); o.code != 0 || len(seen) != 1 || seen[0].Get("Authorization") == "" {
		u.Errorf("plain http on loopback: exit code %d, the server got %v\n%s", o.code, seen, o.stderr)
	}
	u.works("sfcred", "edit", "test", "--host", "-"+host)
	if seen := u.plain.take(); len(seen) > 0 {
		u.Errorf("the proxy got %v", seen)
	}
	if _, err := os.Stat(u.path("keylog")); err == nil {
		u.Error("curl has written the keys of its connection")
	}
}

// A proxy for https learns where the connection goes, and does not see the
// token.
func curlHTTPSProxy(u *commandUser) {
	var got []string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Host+" "+r.Header.Get("Authorization"))
	}))
	u.write("example.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})) // for example.com
	proxy := newTunnel(u.T, strings.TrimPrefix(server.URL, "https://"))
	u.user = u.with("https_proxy=http://user:password@" + proxy.address)
	u.works("sfcred", "edit", "test", "--host", "+example.com")
	token := u.answers("token")
	o := u.curl("-v --cacert example.pem https://example.com/")
	server.Close()
	u.hides(o, token)
	if want := []string{"example.com Bearer " + token}; !slices.Equal(got, want) {
		u.Errorf("the server got %q, want %q", got, want)
	}
	if seen := proxy.all(); !strings.HasPrefix(seen, "CONNECT example.com:443 HTTP/1.1\r\n") || strings.Contains(seen, token[:window]) {
		u.Errorf("the proxy saw\n%q", seen)
	}
	if strings.Contains(o.stderr, "dXNlcjpwYXNzd29yZA") { // user:password
		u.Errorf("the proxy's password shows:\n%s", o.stderr)
	}
	u.works("sfcred", "edit", "test", "--host", "-example.com")
}

// curl reads each URL of the table of hosts as the check has read it: it asks a
// proxy for that host and port.
func curlHosts(u *commandUser) {
	asked := 0
	for _, c := range hostCases(u.T) {
		if !c.OK {
			continue
		}
		command, err := curl.Parse([]string{"-gsm", "5", "--url", c.URL}, "")
		check(u.T, err)
		checked, err := (&helper.Profile{Hosts: c.Hosts}).CheckHost(command.URL)
		check(u.T, err)
		if helper.Loopback(checked) {
			continue // there is no proxy
		}
		proxy := newTunnel(u.T, "127.0.0.1:1") // where nobody is
		argv := append([]string{"-c", `curl "$@"`}, command.Argv(checked, os.DevNull)...)
		u.with("https_proxy=http://"+proxy.address).do("bash", argv...)
		host, port := checked.Hostname(), checked.Port()
		if port == "" {
			port = "443"
		}
		if got, _, _ := strings.Cut(proxy.all(), " HTTP/1.1\r\n"); got != "CONNECT "+net.JoinHostPort(host, port) {
			u.Errorf("%s: curl asks the proxy %q", c.URL, got)
		}
		asked++
	}
	if asked < 20 {
		u.Errorf("only %d were asked", asked)
	}
}

// tunnel is a proxy that connects to one server, whatever it is asked, and keeps
// all that it is sent.
type tunnel struct {
	address string
	mu      sync.Mutex
	seen    bytes.Buffer
}

func newTunnel(t *testing.T, to string) *tunnel {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { l.Close() })
	p := &tunnel{address: l.Addr().String()}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(conn, to)
		}
	}()
	return p
}

func (p *tunnel) serve(conn net.Conn, to string) {
	defer conn.Close()
	head := make([]byte, 4096)
	n, _ := conn.Read(head)
	p.Write(head[:n])
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
	go io.Copy(conn, server)
	io.Copy(io.MultiWriter(server, p), conn)
}

func (p *tunnel) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen.Write(b)
}

func (p *tunnel) all() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen.String()
}

// While curl waits for the answer, no other user could read the token.
func curlShowsNothing(u *commandUser) {
	token := u.answers("token")
	u.watch.begin(token)
	u.server.SetAPIFault(u.watch.look)
	u.gets("-sS /account/", 0)
	u.gets("-sSv /account/ 2>said", 0)
	if curls, shown := u.watch.end(); curls != 2 || len(shown) > 0 {
		u.Errorf("got %d curl at work, want 2; the token shows in %q, want nowhere", curls, shown)
	}
	words := &secretWords{windows: map[string]string{}}
	words.add("the token", token)
	check(u.T, filepath.WalkDir(u.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || filepath.Base(filepath.Dir(path)) == "sfcred" && filepath.Ext(path) == ".token" {
			return err
		}
		text, err := os.ReadFile(path)
		if words.in(text) != "" {
			u.Errorf("the token is in %s", path)
		}
		return err
	}))
}

// Where descriptors have no names, the header comes by standard input, which the
// line must then leave alone.
func curlWithoutDescriptors(u *commandUser) {
	realParts(u.T, "unshare", "mount")
	if os.Geteuid() != 0 {
		missing(u.T, "root, to take /dev/fd away")
	}
	without := func(words string) outcome {
		return u.do("unshare", "-m", "bash", "-c", "mount -t tmpfs tmpfs /dev && sfcred curl "+words)
	}
	if o := without("-sS /account/"); o.code != 0 || !strings.Contains(o.stdout, `"alice"`) || o.stderr != "" {
		u.Errorf("got %+v", o)
	}
	for _, words := range []string{"-d @- /account/", "-T- /account/", "-sT . /account/", "-F a=@- /account/", "-w @- /account/"} {
		if o := without(words); o.code != exitNotStarted || !strings.HasPrefix(o.stderr, "sfcred: error: curl @-: standard input is needed for the header") {
			u.Errorf("%s: got %+v", words, o)
		}
	}
}
