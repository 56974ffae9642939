package main

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sfcred/helper"
	"sfcred/helper/sfapitest"
	"sfcred/keychain"
)

// The tests whose names begin with TestFaults have the released binary ask a
// strict https server that is not well, and print what became of it. Package
// helper has its own tests of each fault; these are of whole processes.

// overdue is how long after its deadline a process is killed, and counted as one
// that hangs: far more than a busy machine needs.
const overdue = time.Minute

// faultTally counts what became of the commands of a case, or of all.
type faultTally struct {
	mu                                         sync.Mutex
	calls, tokens, exchanges, refused, request int
	codes                                      map[int]int
	// wrong is a token that the server did not give, or gave to another client, or
	// that had expired when the command was started. A command hangs if it runs
	// past its deadline. Torn is a standard output that is neither the protocol's
	// answer nor its word for failure.
	wrong, hangs, torn int
	peak               int64 // the most memory of a process in KiB, where it was measured
}

func (n *faultTally) add(other *faultTally) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls += other.calls
	n.tokens += other.tokens
	n.exchanges += other.exchanges
	n.refused += other.refused
	n.request += other.request
	n.wrong += other.wrong
	n.hangs += other.hangs
	n.torn += other.torn
	n.peak = max(n.peak, other.peak)
	for code, count := range other.codes {
		n.count(code, count)
	}
}

// count counts an exit code; mu is held.
func (n *faultTally) count(code, times int) {
	if n.codes == nil {
		n.codes = map[int]int{}
	}
	n.codes[code] += times
}

func (n *faultTally) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var codes []string
	for _, code := range slices.Sorted(maps.Keys(n.codes)) {
		codes = append(codes, fmt.Sprintf("%d with %d", n.codes[code], code))
	}
	text := fmt.Sprintf("%d calls, %d tokens; exit codes: %s; server: %d requests, %d exchanges, %d refusals; wrong tokens %d, hangs %d, torn %d",
		n.calls, n.tokens, strings.Join(codes, ", "), n.request, n.exchanges, n.refused, n.wrong, n.hangs, n.torn)
	if n.peak != 0 {
		text += fmt.Sprintf("; at most %.1f MB", float64(n.peak)*1024/1e6)
	}
	return text
}

// ledger has all tokens that a server gave.
type ledger struct {
	mu    sync.Mutex
	given map[string]grant
}

type grant struct {
	client  string
	expires time.Time
}

// fault is none: it takes down what the genuine endpoint gives. It is to be the
// innermost.
func (l *ledger) fault(genuine http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		genuine.ServeHTTP(answer, r)
		l.note(answer.Body.Bytes())
		maps.Copy(w.Header(), answer.Header())
		w.WriteHeader(answer.Code)
		w.Write(answer.Body.Bytes())
	})
}

func (l *ledger) note(answer []byte) {
	var body struct {
		Token   string `json:"access_token"`
		Seconds int    `json:"expires_in"`
	}
	var claims struct {
		Client string `json:"client_id"`
	}
	if json.Unmarshal(answer, &body) != nil || body.Token == "" {
		return
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(body.Token, ".")[1])
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		panic("a token of the strict server is no JWT")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.given[body.Token] = grant{claims.Client, time.Now().Add(time.Duration(body.Seconds) * time.Second)}
}

// wrong says what is wrong with a token that a command got which was started at
// began, or "".
func (l *ledger) wrong(token, client string, began time.Time) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch g, ok := l.given[token]; {
	case !ok:
		return "the server never gave it"
	case g.client != client:
		return "it is that of " + g.client
	case !g.expires.After(began):
		return "it had expired"
	}
	return ""
}

// faultWorld is a user with a profile for each client of a server, named by its
// ID.
type faultWorld struct {
	*user
	*faultTally
	server  *sfapitest.Server
	given   *ledger
	measure string // a command before each, or ""
}

// newFaultWorld gives a user the sfcred at path. All clients have the same key.
func newFaultWorld(t *testing.T, path string, clients ...string) *faultWorld {
	t.Helper()
	return newFaultWorldAt(t, path, sfapitest.NewTLS(), clients...)
}

func newFaultWorldAt(t *testing.T, path string, server *sfapitest.Server, clients ...string) *faultWorld {
	t.Helper()
	w := &faultWorld{user: newUser(t, path), faultTally: &faultTally{}, server: server, given: &ledger{given: map[string]grant{}}}
	t.Cleanup(server.Close)
	for _, name := range []string{"sfcred-kubectl", "sfcred-cargo", "git-credential-sfcred", "terraform-credentials-sfcred"} {
		check(t, os.Symlink("sfcred", w.path("bin", name)))
	}
	w.write("ca.pem", w.server.CA)
	for _, c := range faultCallers() {
		w.write("in."+c.name, []byte(c.stdin))
	}
	w.configure("key", clients...)
	w.faulty()
	return w
}

// configure writes the config file.
func (w *faultWorld) configure(key string, clients ...string) {
	w.Helper()
	path := w.writeKey("key.pem", theKeys()[key])
	check(w.T, helper.ConfigFile(w.path("home", ".config", "sfcred", "config.toml")).Update(w.Context(), func(c *helper.Config) error {
		for _, id := range clients {
			w.server.Add(sfapitest.Client{ID: id, Key: theKeys()[key].(crypto.Signer).Public(), User: "user-of-" + id})
			c.Profiles[id] = &helper.Profile{
				ClientID: id, TokenURL: w.server.TokenURL, APIURL: w.server.APIURL, CAFile: w.path("ca.pem"),
				Hosts: []string{strings.TrimPrefix(w.server.URL, "https://"), "api.example.org"},
				Store: keychain.StorePEM, KeyFile: path,
			}
		}
		return nil
	}))
}

// faulty puts faults before the token endpoint.
func (w *faultWorld) faulty(faults ...sfapitest.Fault) {
	w.server.SetTokenFault(append(faults, w.given.fault)...)
}

// faultCallers are all that get a token and show it.
func faultCallers() []caller {
	return slices.DeleteFunc(bulkCallers(), func(c caller) bool { return c.name == "curl" })
}

// ask runs a caller's command for a profile and judges what becomes of it. code
// is the exit code that is wanted if the command is about a token.
func (w *faultWorld) ask(c caller, profile string, timeout time.Duration, code int) {
	began := time.Now()
	o, hung := w.start(c, profile, timeout).wait()
	w.judge(c, profile, began, o, hung, code)
}

// running is a command that was started.
type running struct {
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
	kill           *time.Timer
	late           atomic.Bool
}

// start starts a caller's command in a process group of its own. It is killed
// when it is overdue.
func (w *faultWorld) start(c caller, profile string, timeout time.Duration, env ...string) *running {
	r := &running{cmd: exec.Command("sh", "-c", "exec "+w.measure+c.command)}
	r.cmd.Dir = w.dir
	r.cmd.Env = append(append(slices.Clip(w.env), "SFCRED_PROFILE="+profile, "SFCRED_TIMEOUT="+timeout.String()), env...)
	r.cmd.Stdout, r.cmd.Stderr = &r.stdout, &r.stderr
	if c.stdin != "" { // a file, since a busy test would be late to write into a pipe
		stdin, err := os.Open(w.path("in." + c.name))
		if err != nil {
			w.Error(err)
			return r
		}
		defer stdin.Close()
		r.cmd.Stdin = stdin
	}
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := r.cmd.Start(); err != nil {
		w.Error(err)
		return r
	}
	r.kill = time.AfterFunc(timeout+overdue, func() {
		r.late.Store(true)
		syscall.Kill(-r.cmd.Process.Pid, syscall.SIGKILL)
	})
	return r
}

// wait gives what became of the command, and whether it had to be killed.
func (r *running) wait() (o outcome, hung bool) {
	if r.cmd.Process == nil {
		return outcome{code: -1}, false
	}
	r.cmd.Wait()
	r.kill.Stop()
	return outcome{r.cmd.ProcessState.ExitCode(), r.stdout.String(), r.stderr.String()}, r.late.Load()
}

// judge counts what became of a command, and says what is not as it should be.
func (w *faultWorld) judge(c caller, client string, began time.Time, o outcome, hung bool, code int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls++
	w.count(o.code, 1)
	want := strings.ReplaceAll(c.want, "TOKEN", `([!-~]+?)`)
	switch {
	case c.foreign:
		code = c.code
	case code != exitOK && c.name == "exec":
		code = exitNotStarted
		fallthrough
	case code != exitOK:
		want = strings.ReplaceAll(c.failed, "WHY", `[^\n]*`)
	}
	say := func(what string) {
		w.Errorf("%s for %s: %s; exit code %d, want %d; standard error %q, standard output:\n%s", c.name, client, what, o.code, code, o.stderr, o.stdout)
	}
	match := regexp.MustCompile(`^(?:` + want + `)$`).FindStringSubmatch(o.stdout)
	switch {
	case hung:
		w.hangs++
		say("it hangs")
	case o.code != code:
		say("not as it should end")
	case match == nil:
		w.torn++
		say("not the protocol's answer")
	case len(match) == 2:
		w.tokens++
		if why := w.given.wrong(match[1], client, began); why != "" {
			w.wrong++
			say("a wrong token: " + why)
		}
	}
}

// many starts so many of a case's commands, 64 at a time, and counts. The commands
// of each turn through all callers are for another profile.
func (w *faultWorld) many(calls int, callers []caller, profiles []string, timeout time.Duration, code int) {
	slots := make(chan struct{}, 64)
	var group sync.WaitGroup
	for i := range calls {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			// Both go round, so that each profile is asked for by other callers.
			profile := i % len(profiles)
			w.ask(callers[(i+i/len(profiles))%len(callers)], profiles[profile], timeout, code)
		})
	}
	group.Wait()
	w.tell()
}

// tallyServer takes down what the server saw.
func (w *faultWorld) tallyServer() {
	w.request, w.exchanges, w.refused = len(w.server.Requests()), w.server.Exchanges(), w.server.Refusals()
}

// tell prints the counts.
func (w *faultWorld) tell() {
	w.tallyServer()
	w.Logf("%v", w.faultTally)
}

// wantExchanges wants so many exchanges and no refusals.
func (w *faultWorld) wantExchanges(least, most int) {
	w.Helper()
	if w.exchanges < least || w.exchanges > most || w.refused != 0 {
		w.Errorf("got %d exchanges and %d refusals, want %d to %d and none", w.exchanges, w.refused, least, most)
	}
}

// flapping is a server that is up for one request of four.
func flapping() sfapitest.Fault {
	down := []sfapitest.Fault{sfapitest.Reset(), sfapitest.Status(http.StatusServiceUnavailable, nil), sfapitest.Cut()}
	var seen atomic.Int64
	return func(genuine http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := genuine
			if i := int(seen.Add(1)-1) % (len(down) + 1); i < len(down) {
				h = down[i](genuine)
			}
			h.ServeHTTP(w, r)
		})
	}
}

// throttled is 429 with Retry-After, in seconds or as a date.
func throttled(after time.Duration, asDate bool) sfapitest.Fault {
	return sfapitest.Instead(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		text := fmt.Sprint(int(after.Seconds()))
		if asDate {
			text = time.Now().Add(after).UTC().Format(http.TimeFormat)
		}
		w.Header().Set("Retry-After", text)
		w.WriteHeader(http.StatusTooManyRequests)
	}))
}

// TestFaultsMany has many processes ask a server that is not well, with nothing
// in the cache.
func TestFaultsMany(t *testing.T) {
	realParts(t, "sh", "env")
	sfcred := release(t)
	total := &faultTally{}
	const (
		patient = time.Minute          // where a token is to be had in the end
		hasty   = 4 * time.Second      // where it is not
		fewer   = min(faultCalls, 200) // where one comes after the other
	)
	one := []string{"test"}
	run := func(name string, f func(w *faultWorld)) {
		t.Run(name, func(t *testing.T) {
			w := newFaultWorld(t, sfcred, "test")
			f(w)
			total.add(w.faultTally)
		})
	}
	run("slow", func(w *faultWorld) {
		w.faulty(sfapitest.Delay(time.Second))
		w.many(faultCalls, faultCallers(), one, patient, exitOK)
		w.wantExchanges(1, 1)
	})
	run("flapping", func(w *faultWorld) {
		// Half of its life must be left, so that there are many exchanges.
		const life = 4 * time.Second
		w.server.SetPolicy(sfapitest.Policy{TokenLife: life})
		w.faulty(flapping())
		began := time.Now()
		w.many(faultCalls, faultCallers(), one, patient, exitOK)
		w.wantExchanges(1, 1+int(time.Since(began)/(life/2)))
		if w.request != 4*w.exchanges {
			w.Errorf("got %d requests for %d exchanges, want 4 for each", w.request, w.exchanges)
		}
	})
	for name, asDate := range map[string]bool{"seconds": false, "a date": true} {
		run("throttling, in "+name, func(w *faultWorld) {
			w.faulty(sfapitest.Times(2, throttled(2*time.Second, asDate)))
			w.many(faultCalls, faultCallers(), one, patient, exitOK)
			w.wantExchanges(1, 1)
			if w.request != 3 {
				w.Errorf("got %d requests, want 3", w.request)
			}
		})
	}
	run("throttling for an hour", func(w *faultWorld) {
		w.faulty(sfapitest.Times(fewer/4, throttled(time.Hour, false)), throttled(time.Hour, true))
		w.many(fewer, faultCallers(), one, patient, exitNetwork)
		w.wantExchanges(0, 0)
		if w.request > w.calls { // nobody comes again before its time
			w.Errorf("got %d requests by %d calls", w.request, w.calls)
		}
	})
	run("refusing", func(w *faultWorld) {
		w.server.Remove("test")
		began := time.Now()
		w.many(faultCalls, faultCallers(), one, patient, exitRefused)
		// Remembered for 10 s, and asked for once more where it ends.
		if most := 2 + int(time.Since(began)/(10*time.Second)); w.exchanges != 0 || w.refused < 1 || w.refused > most {
			w.Errorf("got %d refusals and %d exchanges, want 1 to %d and none", w.refused, w.exchanges, most)
		}
	})
	t.Run("many clients", func(t *testing.T) {
		var clients []string
		for i := range faultCalls / 4 {
			clients = append(clients, fmt.Sprintf("client-%03d", i))
		}
		w := newFaultWorld(t, sfcred, clients...)
		w.faulty(cutFirst(), sfapitest.Delay(50*time.Millisecond))
		ours := slices.DeleteFunc(faultCallers(), func(c caller) bool { return c.foreign })
		w.many(faultCalls, ours, clients, patient, exitOK)
		w.wantExchanges(len(clients), len(clients))
		total.add(w.faultTally)
	})
	// Side by side, since all that is done here is to wait.
	t.Run("gone", func(t *testing.T) {
		for name, begone := range map[string]func(w *faultWorld){
			"refusing connections": func(w *faultWorld) { w.server.Close() },
			"silent":               func(w *faultWorld) { w.faulty(sfapitest.Delay(time.Hour)) },
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w := newFaultWorld(t, sfcred, "test")
				begone(w)
				w.many(fewer, faultCallers(), one, hasty, exitNetwork)
				w.wantExchanges(0, 0)
				total.add(w.faultTally)
			})
		}
	})
	t.Log("in all:", total)
}

// cutFirst cuts the first request of each client.
func cutFirst() sfapitest.Fault {
	var seen sync.Map
	return func(genuine http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := genuine
			if _, again := seen.LoadOrStore(issuerOf(bodyOf(r)), true); !again {
				h = sfapitest.Cut()(genuine)
			}
			h.ServeHTTP(w, r)
		})
	}
}

// bodyOf reads a request's body and puts it back. Until it is read the server
// does not notice that a client is gone.
func bodyOf(r *http.Request) []byte {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return body
}

// issuerOf is the client that an assertion in a form is by.
func issuerOf(form []byte) string {
	var claims struct {
		Issuer string `json:"iss"`
	}
	values := must(url.ParseQuery(string(form)))
	parts := append(strings.Split(values.Get("client_assertion"), "."), "")
	payload := must(base64.RawURLEncoding.DecodeString(parts[1]))
	if err := json.Unmarshal(payload, &claims); err != nil {
		panic(err)
	}
	return claims.Issuer
}

// TestFaultsLock has fifty wait for one that has the lock, and will not be done.
func TestFaultsLock(t *testing.T) {
	realParts(t, "sh", "env")
	sfcred := release(t)
	total := &faultTally{}
	for _, c := range []struct {
		name string
		// hold is what the holder's request meets.
		hold func(asked, release chan struct{}) sfapitest.Fault
		// what is done to the holder once the others wait
		end       func(w *faultWorld, holder *running, release chan struct{})
		timeout   time.Duration // of those who wait
		exchanges int           // at least
		alone     bool          // those who wait go on alone
	}{
		{name: "killed before it is answered", hold: held, end: (*faultWorld).killHolder, timeout: time.Minute, exchanges: 1},
		{name: "killed while it is answered", hold: heldHalfway, end: (*faultWorld).killHolder, timeout: time.Minute, exchanges: 2},
		{name: "stopped", hold: held, end: (*faultWorld).stopHolder, timeout: 6 * time.Second, exchanges: 1, alone: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newFaultWorld(t, sfcred)
			w.configure("ec", "test")
			asked, release := make(chan struct{}), make(chan struct{})
			w.faulty(sfapitest.Times(1, c.hold(asked, release)))
			token := faultCallers()[0]
			began := time.Now()
			holder := w.start(token, "test", time.Minute)
			select {
			case <-asked:
			case <-time.After(overdue):
				t.Fatal("the holder asked for nothing")
			}
			wait := w.fiftyWaiting(c.timeout)
			c.end(w, holder, release)
			wait()
			if !c.alone && (w.server.Exchanges() != c.exchanges || len(w.server.Requests()) != 2) {
				t.Errorf("got %d exchanges by %d requests, want %d by 2, the holder's own and one for all", w.server.Exchanges(), len(w.server.Requests()), c.exchanges)
			}
			if c.alone { // the holder goes on where it was
				w.tallyServer()
				w.wantExchanges(1, 50)
				syscall.Kill(-holder.cmd.Process.Pid, syscall.SIGCONT)
				close(release)
				o, hung := holder.wait()
				w.judge(token, "test", began, o, hung, exitOK)
			}
			before := w.server.Exchanges()
			w.ask(token, "test", time.Minute, exitOK)
			if n := w.server.Exchanges(); n != before {
				t.Errorf("got %d exchanges after it all, want %d: a token is in the cache", n, before)
			}
			w.tell()
			total.add(w.faultTally)
		})
	}
	t.Log("in all:", total)
}

// held is a request that waits, and is then answered.
func held(asked, release chan struct{}) sfapitest.Fault {
	return func(genuine http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			bodyOf(r)
			close(asked)
			select {
			case <-release:
			case <-r.Context().Done():
				panic(http.ErrAbortHandler)
			}
			genuine.ServeHTTP(w, r)
		})
	}
}

// heldHalfway is a request of whose answer only the first half comes.
func heldHalfway(asked, release chan struct{}) sfapitest.Fault {
	return func(genuine http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer := httptest.NewRecorder()
			genuine.ServeHTTP(answer, r)
			w.Header().Set("Content-Length", fmt.Sprint(answer.Body.Len()))
			w.Write(answer.Body.Bytes()[:answer.Body.Len()/2])
			http.NewResponseController(w).Flush()
			close(asked)
			<-r.Context().Done()
		})
	}
}

func (w *faultWorld) killHolder(holder *running, _ chan struct{}) {
	syscall.Kill(-holder.cmd.Process.Pid, syscall.SIGKILL)
	if o, _ := holder.wait(); o.code != -1 || o.stdout != "" {
		w.Errorf("the holder ended with %d, standard output %q", o.code, o.stdout)
	}
}

func (w *faultWorld) stopHolder(holder *running, _ chan struct{}) {
	syscall.Kill(-holder.cmd.Process.Pid, syscall.SIGSTOP)
}

// fiftyWaiting starts fifty that ask, and returns when they wait for the lock.
func (w *faultWorld) fiftyWaiting(timeout time.Duration) (wait func()) {
	callers := slices.DeleteFunc(faultCallers(), func(c caller) bool { return c.foreign })
	var group sync.WaitGroup
	for i := range 50 {
		c, began := callers[i%len(callers)], time.Now()
		// Those who lose patience go on at different times, as they would anywhere.
		r := w.start(c, "test", timeout+time.Duration(i)*50*time.Millisecond)
		group.Go(func() {
			o, hung := r.wait()
			w.judge(c, "test", began, o, hung, exitOK)
		})
		for !r.waits() {
			time.Sleep(5 * time.Millisecond)
		}
	}
	return group.Wait
}

// waits says whether a process has a lock file open, or has ended.
func (r *running) waits() bool {
	dir := fmt.Sprintf("/proc/%d/fd", r.cmd.Process.Pid)
	descriptors, err := os.ReadDir(dir)
	for _, fd := range descriptors {
		if path, err := os.Readlink(filepath.Join(dir, fd.Name())); err == nil && strings.HasSuffix(path, ".lock") {
			return true
		}
	}
	return err != nil
}
