package sfapitest_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"sfcred/helper/sfapitest"
)

// TestFault wants each fault's answer, and the genuine one after it.
func TestFault(t *testing.T) {
	tests := []struct {
		name    string
		fault   sfapitest.Fault
		genuine bool // the exchange takes place all the same
		status  int
		check   func(t *testing.T, resp response)
	}{
		{"status", sfapitest.Status(503, http.Header{"retry-after": {"7"}}), false, 503, func(t *testing.T, resp response) {
			if resp.Header.Get("Retry-After") != "7" || resp.body != "Service Unavailable\n" {
				t.Errorf("got Retry-After %q and %q", resp.Header.Get("Retry-After"), resp.body)
			}
		}},
		{"redirect", sfapitest.Redirect("https://elsewhere.example/token"), false, 307, func(t *testing.T, resp response) {
			if got := resp.Header.Get("Location"); got != "https://elsewhere.example/token" {
				t.Errorf("got Location %q", got)
			}
		}},
		{"HTML", sfapitest.HTML(), false, 200, func(t *testing.T, resp response) {
			if resp.Header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.HasPrefix(resp.body, "<!DOCTYPE html>") {
				t.Errorf("got %s %q, want a web page", resp.Header.Get("Content-Type"), resp.body)
			}
		}},
		{"empty", sfapitest.Empty(), false, 200, func(t *testing.T, resp response) {
			if resp.body != "" || resp.Header.Get("Content-Type") != "application/json" {
				t.Errorf("got %q, want nothing", resp.body)
			}
		}},
		{"instead", sfapitest.Instead(http.NotFoundHandler()), false, 404, func(*testing.T, response) {}},
		{"a handler that writes nothing", sfapitest.Instead(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})), false, 200, func(*testing.T, response) {}},
		{"no token", sfapitest.Without("access_token"), true, 200, func(t *testing.T, resp response) {
			wantMembers(t, resp, "expires_in", "scope", "token_type")
		}},
		{"no expires_in", sfapitest.Without("expires_in"), true, 200, func(t *testing.T, resp response) {
			wantMembers(t, resp, "access_token", "scope", "token_type")
		}},
		{"expires_in a string", sfapitest.With("expires_in", "600"), true, 200, wantText(`"expires_in":"600"`)},
		{"expires_in negative", sfapitest.With("expires_in", -1), true, 200, wantText(`"expires_in":-1`)},
		{"expires_in huge", sfapitest.With("expires_in", json.Number("1e30")), true, 200, wantText(`"expires_in":1e30`)},
		{"another token_type", sfapitest.With("token_type", "mac"), true, 200, wantText(`"token_type":"mac"`)},
		{"a line break in the token", sfapitest.With("access_token", "a\nb"), true, 200, wantText(`"access_token":"a\nb"`)},
		{"a hostile Date", sfapitest.Header("Date", "Thu, 01 Jan 1970 00:00:00 GMT"), true, 200, func(t *testing.T, resp response) {
			if got := resp.Header["Date"]; len(got) != 1 || got[0] != "Thu, 01 Jan 1970 00:00:00 GMT" {
				t.Errorf("got Date %q", got)
			}
		}},
		{"Age", sfapitest.Header("Age", "300"), true, 200, func(t *testing.T, resp response) {
			if got := resp.Header.Get("Age"); got != "300" {
				t.Errorf("got Age %q", got)
			}
		}},
		{"huge", sfapitest.Huge(2 << 20), true, 200, func(t *testing.T, resp response) {
			if len(resp.body) <= 2<<20 || !json.Valid([]byte(resp.body)) {
				t.Errorf("got %d bytes, want more than 2 MiB of valid JSON", len(resp.body))
			}
		}},
		{"drip", sfapitest.Drip(0), true, 200, wantText(`"token_type":"Bearer"`)},
	}
	s := newServer(t, alice())
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			exchanges := s.Exchanges()
			s.SetTokenFault(sfapitest.Times(1, test.fault))
			resp := post(t, s, goodForm(s))
			if resp.StatusCode != test.status {
				t.Fatalf("got %s, want %d", resp.Status, test.status)
			}
			test.check(t, resp)
			if got := s.Exchanges()-exchanges == 1; got != test.genuine {
				t.Errorf("got an exchange: %t, want %t", got, test.genuine)
			}
			log := lastRequest(t, s)
			if log.Status != test.status || (log.Reason == "") != test.genuine {
				t.Errorf("got log %+v, want status %d and a reason only for an answer of the fault's own", log, test.status)
			}
			if resp := post(t, s, goodForm(s)); resp.StatusCode != 200 || s.Refusals() != 0 {
				t.Errorf("got %s after the fault, want 200", resp.Status)
			}
		})
	}
}

func wantText(text string) func(*testing.T, response) {
	return func(t *testing.T, resp response) {
		if !strings.Contains(resp.body, text) || !json.Valid([]byte(resp.body)) {
			t.Errorf("got %s, want %s in it", resp.body, text)
		}
	}
}

func wantMembers(t *testing.T, resp response, names ...string) {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal([]byte(resp.body), &o); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if _, ok := o[name]; !ok {
			t.Errorf("got %s, want %s in it", resp.body, name)
		}
	}
	if len(o) != len(names) {
		t.Errorf("got %s, want only %q", resp.body, names)
	}
}

// TestFaultLeavesRefusals sees to it that a fault which edits answers lets a
// refusal through as it is.
func TestFaultLeavesRefusals(t *testing.T) {
	s := newServer(t)
	s.SetTokenFault(sfapitest.With("error", "x"))
	wantGeneric(t, post(t, s, goodForm(s)))
	if got := lastRequest(t, s); got.Status != 401 || got.Reason != "iss is no known client" {
		t.Errorf("got log %+v, want the true reason past the fault", got)
	}
}

// TestBrokenConnection has the faults that give no whole answer, over http and
// https.
func TestBrokenConnection(t *testing.T) {
	tests := []struct {
		name   string
		fault  sfapitest.Fault
		status int
		want   error
	}{
		{"cut", sfapitest.Cut(), 0, io.EOF},
		{"reset", sfapitest.Reset(), 0, syscall.ECONNRESET},
		{"short", sfapitest.Short(), 200, io.ErrUnexpectedEOF},
	}
	for _, start := range []func(...sfapitest.Client) *sfapitest.Server{sfapitest.New, sfapitest.NewTLS} {
		s := start(alice())
		defer s.Close()
		client := trusting(t, s)
		for _, test := range tests {
			t.Run(s.URL[:5]+" "+test.name, func(t *testing.T) {
				s.SetTokenFault(test.fault)
				// A new connection: on an old one, net/http would try again.
				client.CloseIdleConnections()
				err := send(client, tokenRequest(s, goodForm(s).Encode()))
				if !errors.Is(err, test.want) && !resetOnWindows(err, test.want) {
					t.Errorf("got %v, want %v", err, test.want)
				}
				if got := lastRequest(t, s); got.Status != test.status {
					t.Errorf("got log %+v, want status %d", got, test.status)
				}
			})
		}
	}
}

// resetOnWindows knows the name that Windows has for ECONNRESET.
func resetOnWindows(err, want error) bool {
	const wsaeConnReset = syscall.Errno(10054)
	return want == syscall.ECONNRESET && errors.Is(err, wsaeConnReset)
}

// send returns the error of a request or of reading its answer.
func send(client *http.Client, req *http.Request) error {
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// trusting is an HTTP client that trusts s's authority and nobody else.
func trusting(t *testing.T, s *sfapitest.Server) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	if s.CA != nil && !pool.AppendCertsFromPEM(s.CA) {
		t.Fatal("CA is not PEM")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// TestDelay measures by a false clock that a request waits, and how long.
func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reached := false
		genuine := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true })
		start := time.Now()
		sfapitest.Delay(3*time.Second)(genuine).ServeHTTP(nil, new(http.Request))
		if got := time.Since(start); got != 3*time.Second || !reached {
			t.Errorf("got a delay of %s, reached %t; want 3s and true", got, reached)
		}
	})
}

// TestDrip measures by a false clock that each byte is waited for and sent by
// itself.
func TestDrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		genuine := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "abc") })
		w := &pieces{header: make(http.Header)}
		start := time.Now()
		sfapitest.Drip(time.Second)(genuine).ServeHTTP(w, new(http.Request))
		if got, want := strings.Join(w.sent, "|"), "a|b|c"; got != want || time.Since(start) != 3*time.Second {
			t.Errorf("got %s in %s, want %s in 3s", got, time.Since(start), want)
		}
		if got := w.header.Get("Content-Length"); got != "3" {
			t.Errorf("got Content-Length %s, want 3", got)
		}
	})
}

// pieces is a ResponseWriter that keeps what it is sent in pieces.
type pieces struct {
	header http.Header
	sent   []string
}

func (p *pieces) Header() http.Header         { return p.header }
func (p *pieces) WriteHeader(int)             {}
func (p *pieces) Flush()                      {}
func (p *pieces) Write(b []byte) (int, error) { p.sent = append(p.sent, string(b)); return len(b), nil }

// TestCloseEndsDelay would run into the test's time limit if the handler went
// on waiting in a closed server.
func TestCloseEndsDelay(t *testing.T) {
	s := sfapitest.New(alice())
	entered, left := make(chan struct{}), make(chan struct{})
	watch := sfapitest.Fault(func(genuine http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(left)
			close(entered)
			genuine.ServeHTTP(w, r)
		})
	})
	s.SetTokenFault(watch, sfapitest.Delay(24*time.Hour))
	done := make(chan error)
	go func() { done <- send(http.DefaultClient, tokenRequest(s, goodForm(s).Encode())) }()
	<-entered
	s.Close()
	<-left
	if err := <-done; err == nil {
		t.Error("got an answer from a closed server")
	}
}

// TestFaultsApart has faults of the token endpoint and of the API, in a row.
func TestFaultsApart(t *testing.T) {
	s := newServer(t, alice())
	s.SetAPIFault(sfapitest.Header("X-Seen", "yes"), sfapitest.Status(500, nil))
	if resp := post(t, s, goodForm(s)); resp.StatusCode != 200 || resp.Header.Get("X-Seen") != "" {
		t.Errorf("got %s %v from the token endpoint, want 200 and no fault", resp.Status, resp.Header)
	}
	if resp := get(t, s, "/status", ""); resp.StatusCode != 500 || resp.Header.Get("X-Seen") != "yes" {
		t.Errorf("got %s %v from the API, want both faults", resp.Status, resp.Header)
	}
	s.SetAPIFault()
	if resp := get(t, s, "/status", ""); resp.StatusCode != 200 {
		t.Errorf("got %s from the API, want 200", resp.Status)
	}
}

// TestTimes counts across goroutines.
func TestTimes(t *testing.T) {
	s := newServer(t, alice())
	s.SetAPIFault(sfapitest.Times(5, sfapitest.Status(503, nil)))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { send(http.DefaultClient, must(http.NewRequest("GET", s.APIURL+"/status", nil))) })
	}
	wg.Wait()
	failed := 0
	for _, r := range s.Requests() {
		if r.Status == 503 {
			failed++
		}
	}
	if failed != 5 || len(s.Requests()) != 20 {
		t.Errorf("got %d failures in %d requests, want 5 in 20", failed, len(s.Requests()))
	}
}
