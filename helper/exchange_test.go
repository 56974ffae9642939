package helper_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sfcred/helper"
	"sfcred/helper/sfapitest"
)

// exchange makes one exchange without a cache.
func exchange(t testing.TB, s *source, d time.Duration) (helper.Token, error) {
	t.Helper()
	token, err := s.Exchange(within(t, d), ed().Signer())
	if err != nil && token != (helper.Token{}) {
		t.Errorf("got a token together with %v", err)
	}
	return token, err
}

func TestExchange(t *testing.T) {
	server := newServer(t)
	token, err := exchange(t, newSource(t, server), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if life := token.Expires.Sub(token.Obtained); life != 600*time.Second {
		t.Errorf("got a life of %s, want 600s", life)
	}
	if since := time.Since(token.Obtained); since < 0 || since > 5*time.Second {
		t.Errorf("got obtained %s ago, want now", since)
	}
	if token.User() != "alice" {
		t.Errorf("got user %q, want alice", token.User())
	}
	wantCounts(t, server, 1, 0)
}

// TestRequest pins what goes over the wire, less the assertion.
func TestRequest(t *testing.T) {
	var got *http.Request
	var form url.Values
	src := newSource(t, newServer(t))
	src.Profile.Scope = "a b"
	src.SetDo(func(r *http.Request) (*http.Response, error) {
		got = r
		form = must(url.ParseQuery(string(must(io.ReadAll(r.Body)))))
		return reply(200, `{"access_token":"a","token_type":"bearer","expires_in":600}`), nil
	})
	if _, err := exchange(t, src, time.Second); err != nil {
		t.Fatal(err)
	}
	if got.Method != "POST" || got.URL.String() != src.Profile.TokenURL || got.URL.RawQuery != "" {
		t.Errorf("got %s %s, want POST %s", got.Method, got.URL, src.Profile.TokenURL)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json",
		"User-Agent": "sfcred-test", "Authorization": "",
	} {
		if got.Header.Get(name) != want {
			t.Errorf("got %s %q, want %q", name, got.Header.Get(name), want)
		}
	}
	if strings.Count(form.Get("client_assertion"), ".") != 2 {
		t.Error("got no compact JWS for client_assertion")
	}
	form.Del("client_assertion")
	want := "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&grant_type=client_credentials&scope=a+b"
	if form.Encode() != want {
		t.Errorf("got form %s, want %s", form.Encode(), want)
	}
}

func reply(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

// seeAssertions answers 503 to each request and shows the claims it came with.
func seeAssertions(t *testing.T, see func(claims)) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		check(t, r.ParseForm())
		see(claimsOf(t, r.PostForm.Get("client_assertion")))
		return reply(503, ""), nil
	}
}

func TestScope(t *testing.T) {
	c := alice()
	c.Scopes = []string{"jobs", "files"}
	server := newServer(t, c)
	src := newSource(t, server)
	src.Profile.Scope = "files"
	if token, err := exchange(t, src, 5*time.Second); err != nil {
		t.Error(err)
	} else if got := scopeOf(t, token); got != "files un:alice" {
		t.Errorf("got scope %q, want files un:alice", got)
	}
	src.Profile.Scope = "everything"
	var refused *helper.RefusedError
	if _, err := exchange(t, src, 5*time.Second); !errors.As(err, &refused) || refused.Code != "invalid_scope" {
		t.Errorf("got %v, want invalid_scope", err)
	}
}

// TestRefused wants a refusal typed, whole and not retried.
func TestRefused(t *testing.T) {
	server := newServer(t)
	server.Remove(clientID)
	_, err := exchange(t, newSource(t, server), 5*time.Second)
	var refused *helper.RefusedError
	if !errors.As(err, &refused) {
		t.Fatalf("got %v, want a RefusedError", err)
	}
	if refused.Status != 401 || refused.Code != "invalid_client" || refused.Skew != 0 || refused.Remembered {
		t.Errorf("got %+v, want 401 invalid_client", refused)
	}
	// Its last words are as good as its first: the generic text of the service
	// must not be cut.
	if want := "a mismatch between registered and presented client authentication method)"; !strings.Contains(err.Error(), want) {
		t.Errorf("got %q, want %q in it", err, want)
	}
	wantCounts(t, server, 0, 1)
}

// TestHostileRefusal lets the server say what harms a terminal, and what it
// was sent.
func TestHostileRefusal(t *testing.T) {
	var assertion string
	server := newServer(t)
	server.SetTokenFault(sfapitest.Instead(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assertion = r.PostFormValue("client_assertion")
		w.WriteHeader(400)
		_ = json.NewEncoder(w).Encode(map[string]string{
			"error":             "invalid_client",
			"error_description": "bad assertion " + assertion + " \x1b]0;x\x07\u202e" + strings.Repeat("z", 1<<16) + ".",
		})
	})))
	_, err := exchange(t, newSource(t, server), 5*time.Second)
	var refused *helper.RefusedError
	if !errors.As(err, &refused) {
		t.Fatalf("got %v, want a RefusedError", err)
	}
	text := err.Error()
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) || len(text) > 1000 {
		t.Errorf("got %q (%d bytes), want short plain text", text, len(text))
	}
	wantNoRun(t, text, assertion)
}

// TestRefusalForm tells the server's word on the client from other errors in
// JSON.
func TestRefusalForm(t *testing.T) {
	for _, tt := range []struct {
		status  int
		code    string
		refused bool
	}{
		{400, "invalid_client", true}, {401, "invalid_client", true}, {403, "access_denied", true},
		{400, "an_extension_of_theirs", true},
		{404, "invalid_client", false}, {404, "Not Found", false}, {403, "blocked by WAF", false},
		{400, "in\nvalid\x1b[31m", false}, {400, "temporarily_unavailable", false}, {400, "server_error", false},
		{500, "invalid_client", false},
	} {
		server := newServer(t)
		server.SetTokenFault(sfapitest.Instead(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(tt.status)
			_ = json.NewEncoder(w).Encode(map[string]string{"error": tt.code})
		})))
		_, err := exchange(t, newSource(t, server), 5*time.Second)
		var refused *helper.RefusedError
		if err == nil || errors.As(err, &refused) != tt.refused {
			t.Errorf("%d %q: got %v, want a RefusedError: %v", tt.status, tt.code, err, tt.refused)
		}
	}
}

// wantNoRun wants no 12 bytes of a secret in text.
func wantNoRun(t testing.TB, text, secret string) {
	t.Helper()
	for i := 0; i+12 <= len(secret); i++ {
		if strings.Contains(text, secret[i:i+12]) {
			t.Fatalf("%q holds %q of a secret", text, secret[i:i+12])
		}
	}
}

// TestBadAnswers has the server answer with something that is no token.
func TestBadAnswers(t *testing.T) {
	t.Parallel()
	type badAnswer struct {
		fault sfapitest.Fault
		html  bool
		calls int
		want  string
	}
	together(t, map[string]badAnswer{
		"web page":     {sfapitest.HTML(), true, 1, "the answer is not OAuth: a web page"},
		"empty":        {sfapitest.Empty(), false, 1, "the answer is not OAuth"},
		"no token":     {sfapitest.Without("access_token"), false, 1, "the answer has no access_token in it"},
		"empty token":  {sfapitest.With("access_token", ""), false, 1, "the answer has no access_token in it"},
		"other type":   {sfapitest.With("token_type", "mac\x1b"), false, 1, `the answer is a token of type "mac?", not Bearer`},
		"newline":      {sfapitest.With("access_token", "aaaabbbbccccdddd\nX: y"), false, 1, "the answer is a token that cannot stand in a header"},
		"blank":        {sfapitest.With("access_token", "aaaabbbbccccdddd x"), false, 1, "the answer is a token that cannot stand in a header"},
		"not ASCII":    {sfapitest.With("access_token", "aaaabbbbccccddddü"), false, 1, "the answer is a token that cannot stand in a header"},
		"too long":     {sfapitest.With("access_token", strings.Repeat("A", 63<<10+1)), false, 1, "the answer is a token that cannot stand in a header"},
		"a number":     {sfapitest.With("access_token", 123456789012), false, 1, "the answer is not OAuth"},
		"2 MiB":        {sfapitest.Huge(2 << 20), false, 1, "the answer is larger than 1 MiB"},
		"404":          {sfapitest.Status(404, nil), false, 1, "the answer is status 404 Not Found"},
		"403":          {sfapitest.Status(403, nil), false, 1, "the answer is status 403 Forbidden"},
		"500":          {sfapitest.Status(500, nil), false, 1, "the answer is status 500 Internal Server Error"},
		"501":          {sfapitest.Status(501, nil), false, 1, "the answer is status 501 Not Implemented"},
		"odd status":   {sfapitest.Status(299, nil), false, 1, "the answer is status 299"},
		"500 and JSON": {answerWith(500, `{"error":"server_error"}`), false, 1, "the answer is status 500 Internal Server Error"},
		"null":         {answerWith(200, `null`), false, 1, "the answer has no access_token in it"},
		"array":        {answerWith(200, `[{"access_token":"a"}]`), false, 1, "the answer is not OAuth"},
		"two values":   {answerWith(200, `{"access_token":"a"}{"access_token":"b"}`), false, 1, "the answer is not OAuth"},
	}, func(t *testing.T, tt badAnswer) {
		server := newServer(t)
		server.SetTokenFault(tt.fault)
		src := newSource(t, server)
		_, err := exchange(t, src, 5*time.Second)
		var answer *helper.AnswerError
		if !errors.As(err, &answer) || answer.HTML != tt.html {
			t.Fatalf("got %v, want an AnswerError with HTML %v", err, tt.html)
		}
		if want := "post " + server.TokenURL + ": " + tt.want; err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
		if n := len(server.Requests()); n != tt.calls {
			t.Errorf("got %d requests, want %d", n, tt.calls)
		}
	})
}

func answerWith(status int, body string) sfapitest.Fault {
	return sfapitest.Instead(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
}

// TestExpiresIn wants the token whatever is said of its life; one whose life
// is not known has no expiry.
func TestExpiresIn(t *testing.T) {
	tests := map[string]struct {
		fault sfapitest.Fault
		want  time.Duration
	}{
		"missing":   {sfapitest.Without("expires_in"), 0},
		"null":      {sfapitest.With("expires_in", nil), 0},
		"string":    {sfapitest.With("expires_in", "3600"), time.Hour},
		"fraction":  {sfapitest.With("expires_in", 90.9), 90 * time.Second},
		"zero":      {sfapitest.With("expires_in", 0), 0},
		"negative":  {sfapitest.With("expires_in", -600), 0},
		"huge":      {sfapitest.With("expires_in", json.Number("1e300")), 0},
		"int64":     {sfapitest.With("expires_in", json.Number("9223372036854775807")), 0},
		"infinite":  {sfapitest.With("expires_in", "Inf"), 0},
		"no number": {sfapitest.With("expires_in", "soon"), 0},
		"an object": {sfapitest.With("expires_in", map[string]int{"s": 600}), 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			server := newServer(t)
			server.SetTokenFault(tt.fault)
			token, err := exchange(t, newSource(t, server), 5*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == 0 && !token.Expires.IsZero() || tt.want != 0 && token.Expires.Sub(token.Obtained) != tt.want {
				t.Errorf("got %s until %s, want %s", token.Obtained, token.Expires, tt.want)
			}
		})
	}
}

// TestRetries counts requests. The strict server refuses an assertion that it
// has seen, so success shows that each try has a new one.
func TestRetries(t *testing.T) {
	t.Parallel()
	seconds := func(n int) http.Header { return http.Header{"Retry-After": {fmt.Sprint(n)}} }
	type retry struct {
		faults []sfapitest.Fault
		within time.Duration
		calls  int
		ok     bool
		least  time.Duration // passes in any case
	}
	together(t, map[string]retry{
		"cut once":                {[]sfapitest.Fault{sfapitest.Times(1, sfapitest.Cut())}, 8 * time.Second, 2, true, 0},
		"reset once":              {[]sfapitest.Fault{sfapitest.Times(1, sfapitest.Reset())}, 8 * time.Second, 2, true, 0},
		"cut after it was spent":  {[]sfapitest.Fault{sfapitest.Times(2, sfapitest.Short())}, 8 * time.Second, 3, true, 0},
		"503 once":                {[]sfapitest.Fault{sfapitest.Times(1, sfapitest.Status(503, nil))}, 8 * time.Second, 2, true, 0},
		"502, 504 and 429":        {[]sfapitest.Fault{sfapitest.Times(1, sfapitest.Status(502, nil)), sfapitest.Times(1, sfapitest.Status(504, nil)), sfapitest.Times(1, sfapitest.Status(429, nil))}, 8 * time.Second, 4, true, 0},
		"429 with an OAuth error": {[]sfapitest.Fault{sfapitest.Times(1, answerWith(429, `{"error":"slow_down"}`))}, 8 * time.Second, 2, true, 0},
		"503 always":              {[]sfapitest.Fault{sfapitest.Status(503, nil)}, 8 * time.Second, 4, false, 0},
		"cut always":              {[]sfapitest.Fault{sfapitest.Cut()}, 8 * time.Second, 4, false, 0},
		"Retry-After in seconds":  {[]sfapitest.Fault{sfapitest.Times(1, sfapitest.Status(503, seconds(1)))}, 8 * time.Second, 2, true, time.Second},
		// By the server's clock, which is an hour off here.
		"Retry-After as a date": {[]sfapitest.Fault{sfapitest.Times(1, sfapitest.Status(429, http.Header{
			"Date": {"Mon, 23 Nov 2026 00:00:00 GMT"}, "Retry-After": {"Mon, 23 Nov 2026 00:00:01 GMT"}}))}, 8 * time.Second, 2, true, time.Second},
		// There is no time left for another try: nobody waits for nothing.
		"Retry-After beyond the deadline": {[]sfapitest.Fault{sfapitest.Status(503, seconds(3600))}, 20 * time.Second, 1, false, 0},
	}, func(t *testing.T, tt retry) {
		server := newServer(t)
		server.SetTokenFault(tt.faults...)
		began := time.Now()
		_, err := exchange(t, newSource(t, server), tt.within)
		took := time.Since(began)
		if (err == nil) != tt.ok {
			t.Errorf("got %v, want success %v", err, tt.ok)
		}
		if n := len(server.Requests()); n != tt.calls {
			t.Errorf("got %d requests, want %d", n, tt.calls)
		}
		if took < tt.least || took > 7*time.Second {
			t.Errorf("took %s, want at least %s and no waiting for nothing", took, tt.least)
		}
		wantNetworkError(t, err, tt.ok)
	})
}

// wantNetworkError wants exit code 6: an AnswerError or a NetworkError.
func wantNetworkError(t testing.TB, err error, ok bool) {
	t.Helper()
	var network *helper.NetworkError
	var answer *helper.AnswerError
	if !ok && !errors.As(err, &network) && !errors.As(err, &answer) {
		t.Errorf("got %v (%T), want a NetworkError or an AnswerError", err, err)
	}
}

// TestSlowDial wants a connection that timed out to be tried again: the
// dialer's own time is not the caller's.
func TestSlowDial(t *testing.T) {
	src := newSource(t, newServer(t))
	var calls int
	src.SetDo(func(r *http.Request) (*http.Response, error) {
		calls++
		if calls > 1 {
			return reply(200, `{"access_token":"a"}`), nil
		}
		// The error of a real dialer, out of time.
		ctx, cancel := context.WithTimeout(r.Context(), time.Nanosecond)
		defer cancel()
		_, err := (&net.Dialer{}).DialContext(ctx, "tcp", "127.0.0.1:1")
		return nil, err
	})
	if _, err := exchange(t, src, 5*time.Second); err != nil || calls != 2 {
		t.Errorf("got %v after %d calls, want a token after 2", err, calls)
	}
}

func TestRetryAfter(t *testing.T) {
	date := "Mon, 23 Nov 2026 10:00:00 GMT"
	tests := []struct {
		after, date string
		want        time.Duration
	}{
		{"", "", 0},
		{"7", "", 7 * time.Second},
		{"0", "", 0},
		{"-1", "", 0},
		{"1.5", "", 0},
		{"soon", "", 0},
		{"86401", "", 24 * time.Hour},
		{"99999999999999999999", "", 24 * time.Hour}, // a number still, and not "at once"
		{"Mon, 23 Nov 2026 10:00:09 GMT", date, 9 * time.Second},
		{"Mon, 23 Nov 2026 09:59:59 GMT", date, 0},
		{"Monday, 23-Nov-26 10:00:09 GMT", date, 9 * time.Second}, // RFC 850
		{"Mon, 23 Nov 2099 10:00:09 GMT", "garbage", 24 * time.Hour},
	}
	for _, tt := range tests {
		h := http.Header{"Retry-After": {tt.after}, "Date": {tt.date}}
		if got := helper.RetryAfter(h); got != tt.want {
			t.Errorf("Retry-After %q at %q: got %s, want %s", tt.after, tt.date, got, tt.want)
		}
	}
}

// TestDeadline wants every kind of slowness to end with the context.
func TestDeadline(t *testing.T) {
	t.Parallel()
	together(t, map[string]sfapitest.Fault{
		"no answer":       sfapitest.Delay(time.Minute),
		"drip":            sfapitest.Drip(time.Second),
		"503 and no time": sfapitest.Status(503, http.Header{"Retry-After": {"2"}}),
	}, func(t *testing.T, fault sfapitest.Fault) {
		server := newServer(t)
		server.SetTokenFault(fault)
		began := time.Now()
		_, err := exchange(t, newSource(t, server), time.Second)
		wantNetworkError(t, err, false)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("took %s, want about a second", took)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		server := newServer(t)
		if _, err := newSource(t, server).Exchange(ctx, ed().Signer()); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
	})
}

// TestRedirect wants the assertion to stay where it was sent.
func TestRedirect(t *testing.T) {
	var calls atomic.Int32
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	defer thief.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		server := newServer(t)
		server.SetTokenFault(sfapitest.Status(status, http.Header{"Location": {thief.URL + "/?x=sekret"}}))
		_, err := exchange(t, newSource(t, server), 5*time.Second)
		var answer *helper.AnswerError
		if !errors.As(err, &answer) || answer.Status != status {
			t.Fatalf("%d: got %v, want an AnswerError", status, err)
		}
		if want := "the answer is a redirect to " + thief.URL + ", which is not followed"; answer.Problem != want {
			t.Errorf("%d: got %q, want %q", status, answer.Problem, want)
		}
		if n := len(server.Requests()); n != 1 {
			t.Errorf("%d: got %d requests, want 1", status, n)
		}
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("the redirect's target got %d requests, want 0", n)
	}
}

// TestNotHTTP has something else listen at the token URL. What it says stays
// out of the error: it is anybody's bytes, and may be what it was sent.
func TestNotHTTP(t *testing.T) {
	t.Parallel()
	const secret = "\x1b[31mAAAABBBBCCCCDDDDEEEEFFFF"
	together(t, map[string]string{
		"bare":             `{"access_token":"` + secret + `"}` + "\r\n\r\n",
		"header":           "HTTP/1.1 200 OK\r\n" + secret + "\r\n\r\n",
		"header name":      "HTTP/1.1 200 OK\r\n" + secret + ": x\r\n\r\n",
		"status":           "HTTP/1.1 2x0 " + secret + "\r\n\r\n",
		"version":          "HTTP/x" + secret + " 200 OK\r\n\r\n",
		"length":           "HTTP/1.1 200 OK\r\nContent-Length: " + secret + "\r\n\r\n",
		"two lengths":      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: " + secret + "\r\n\r\n",
		"coding":           "HTTP/1.1 200 OK\r\nTransfer-Encoding: " + secret + "\r\n\r\n",
		"chunk":            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + secret + "\r\n",
		"too many headers": "HTTP/1.1 200 OK\r\nX: " + strings.Repeat(secret, 10000) + "\r\n\r\n",
	}, func(t *testing.T, answer string) {
		src := newSource(t, newServer(t))
		src.Profile.TokenURL = "http://" + serveRaw(t, answer) + "/token"
		_, err := exchange(t, src, 5*time.Second)
		wantNetworkError(t, err, false)
		if err == nil || strings.Contains(err.Error(), "\x1b") || len(err.Error()) > 500 {
			t.Errorf("got %q, want short plain text", err)
		}
		wantNoRun(t, fmt.Sprint(err), secret)
	})
}

// serveRaw answers each request with text and closes the connection.
func serveRaw(t testing.TB, text string) (address string) {
	t.Helper()
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					_, _ = io.Copy(io.Discard, r.Body)
					_, _ = io.WriteString(conn, text)
				}
			}()
		}
	}()
	return l.Addr().String()
}

// TestPlainHTTP wants nothing sent over http but to loopback.
func TestPlainHTTP(t *testing.T) {
	for _, tokenURL := range []string{"http://example.org/token", "http://0.0.0.0:80/token", "http://192.0.2.1/token"} {
		src := newSource(t, newServer(t))
		src.Profile.TokenURL = tokenURL
		if err := src.Profile.Check(); err == nil {
			t.Errorf("%s: Check: got nil, want an error", tokenURL)
		}
		// A proxy would be asked before any connection is made.
		src.Proxy = func(*http.Request) (*url.URL, error) {
			t.Errorf("%s: a request was begun", tokenURL)
			return nil, nil
		}
		if _, err := exchange(t, src, time.Second); err == nil || !strings.Contains(err.Error(), "plain http is only for this machine") {
			t.Errorf("%s: got %v, want plain http refused", tokenURL, err)
		}
	}
}

func TestTLS(t *testing.T) {
	t.Run("CA file", func(t *testing.T) {
		server := newTLSServer(t)
		if _, err := exchange(t, newSource(t, server), 5*time.Second); err != nil {
			t.Error(err)
		}
	})
	t.Run("CA of the caller", func(t *testing.T) {
		src := newSource(t, newTLSServer(t))
		src.CAFiles, src.Profile.CAFile = []string{src.Profile.CAFile}, ""
		if _, err := exchange(t, src, 5*time.Second); err != nil {
			t.Error(err)
		}
	})
	t.Run("unknown CA", func(t *testing.T) {
		server := newTLSServer(t)
		src := newSource(t, server)
		src.Profile.CAFile = ""
		wantBadCertificate(t, src)
		if n := len(server.Requests()); n != 0 {
			t.Errorf("got %d requests, want 0", n)
		}
	})
	// A CA file says whom else to believe, not that anybody is to be believed.
	t.Run("CA file of another", func(t *testing.T) {
		other := httptest.NewTLSServer(nil)
		defer other.Close()
		server := newTLSServer(t)
		src := newSource(t, server)
		src.Profile.CAFile = writeCA(t, other)
		wantBadCertificate(t, src)
		if n := len(server.Requests()); n != 0 {
			t.Errorf("got %d requests, want 0", n)
		}
	})
	t.Run("certificate for another host", func(t *testing.T) {
		var calls atomic.Int32
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
		server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		server.StartTLS()
		defer server.Close()
		src := newSource(t, newServer(t))
		src.Profile.CAFile = writeCA(t, server)
		src.Profile.TokenURL = strings.Replace(server.URL, "127.0.0.1", "localhost", 1) + "/token"
		wantBadCertificate(t, src)
		if n := calls.Load(); n != 0 {
			t.Errorf("got %d requests, want 0", n)
		}
	})
	t.Run("no such CA file", func(t *testing.T) {
		src := newSource(t, newTLSServer(t))
		src.Profile.CAFile = filepath.Join(t.TempDir(), "none.pem")
		if _, err := exchange(t, src, time.Second); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("got %v, want %v", err, os.ErrNotExist)
		}
	})
	t.Run("CA file without a certificate", func(t *testing.T) {
		src := newSource(t, newTLSServer(t))
		src.Profile.CAFile = filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(src.Profile.CAFile, []byte("sekret"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := exchange(t, src, time.Second); err == nil || !strings.HasSuffix(err.Error(), "no PEM certificate in it") {
			t.Errorf("got %v, want it refused", err)
		}
	})
}

// wantBadCertificate wants the server's certificate not accepted.
func wantBadCertificate(t *testing.T, src *source) {
	t.Helper()
	_, err := exchange(t, src, 5*time.Second)
	if !errors.As(err, new(*tls.CertificateVerificationError)) {
		t.Errorf("got %v, want a CertificateVerificationError", err)
	}
	wantNetworkError(t, err, false)
}

// TestOldTLS wants no assertion sent below TLS 1.2.
func TestOldTLS(t *testing.T) {
	t.Parallel()
	for version, ok := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true} {
		var calls atomic.Int32
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			calls.Add(1)
			fmt.Fprint(w, `{"access_token":"a"}`)
		}))
		server.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: version}
		server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		server.StartTLS()
		defer server.Close()
		src := newSource(t, newServer(t))
		src.Profile.TokenURL = server.URL
		src.CAFiles = []string{writeCA(t, server)}
		_, err := exchange(t, src, 5*time.Second)
		if (err == nil) != ok || (calls.Load() == 1) != ok {
			t.Errorf("%s: got %v after %d requests, want success %v", tls.VersionName(version), err, calls.Load(), ok)
		}
	}
}

func writeCA(t testing.TB, server *httptest.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pemOf(server.Certificate().Raw), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// connectProxy tunnels (RFC 9110 section 9.3.6) and counts.
func connectProxy(t testing.TB) (*url.URL, *atomic.Int32) {
	var calls atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if r.Method != http.MethodConnect {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		there, err := net.Dial("tcp", r.Host)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		here, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			there.Close()
			return
		}
		_, _ = io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
		var done sync.WaitGroup
		done.Go(func() { _, _ = io.Copy(there, here); there.(*net.TCPConn).CloseWrite() })
		done.Go(func() { _, _ = io.Copy(here, there); here.Close() })
		done.Wait()
		there.Close()
	}))
	t.Cleanup(proxy.Close)
	return must(url.Parse(proxy.URL)), &calls
}

func TestProxy(t *testing.T) {
	address, calls := connectProxy(t)
	src := newSource(t, newTLSServer(t))
	src.Proxy = http.ProxyURL(address)
	if _, err := exchange(t, src, 5*time.Second); err != nil || calls.Load() != 1 {
		t.Errorf("https: got %v and %d requests at the proxy, want 1", err, calls.Load())
	}
	// A proxy is another machine, and plain http would show it the assertion.
	src = newSource(t, newServer(t))
	src.Proxy = http.ProxyURL(address)
	if _, err := exchange(t, src, 5*time.Second); err != nil || calls.Load() != 1 {
		t.Errorf("http: got %v and %d requests at the proxy, want none more", err, calls.Load()-1)
	}
}

// TestTrace wants no assertion and no token in what is traced.
func TestTrace(t *testing.T) {
	server := newServer(t)
	server.SetTokenFault(sfapitest.Times(1, sfapitest.Status(503, nil)))
	src := newSource(t, server)
	var trace bytes.Buffer
	src.Trace = func(line string) { fmt.Fprintln(&trace, line) }
	token := src.get(t, helper.Want{})
	for _, want := range []string{"post " + server.TokenURL, "status 503", "trying again in ", "status 200"} {
		if !strings.Contains(trace.String(), want) {
			t.Errorf("got trace %q, want %q in it", trace.String(), want)
		}
	}
	wantNoRun(t, trace.String(), token.Value)
}

// endless never stops sending, and counts.
type endless struct{ n int }

func (e *endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	e.n += len(b)
	return len(b), nil
}

// TestEndlessAnswer wants no more read than is needed to know that it is too
// much.
func TestEndlessAnswer(t *testing.T) {
	src := newSource(t, newServer(t))
	body := &endless{}
	src.SetDo(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(body)}, nil
	})
	_, err := exchange(t, src, 5*time.Second)
	wantNetworkError(t, err, false)
	if body.n > 1<<20+1 {
		t.Errorf("got %d bytes read, want at most 1 MiB and one", body.n)
	}
}

// TestOnlyLoopback has what "localhost" may turn out to be. Over TLS a server
// may be anywhere: its certificate says who it is.
func TestOnlyLoopback(t *testing.T) {
	dialer := helper.DialerFor(must(url.Parse("http://localhost/token")))
	if dialer.Control == nil || helper.DialerFor(must(url.Parse("https://example.org/token"))).Control != nil {
		t.Fatal("addresses are not looked at for plain http, or for https")
	}
	for address, ok := range map[string]bool{
		"127.0.0.1:80": true, "127.9.9.9:80": true, "[::1]:80": true,
		"192.0.2.1:80": false, "0.0.0.0:80": false, "[2001:db8::1]:80": false, "[fe80::1%lo]:80": false, "127.0.0.1": false,
	} {
		if err := dialer.Control("tcp", address, nil); (err == nil) != ok {
			t.Errorf("%s: got %v, want it allowed: %v", address, err, ok)
		}
	}
}
