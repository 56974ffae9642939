package helper_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sfcred/helper"
	"sfcred/helper/sfapitest"
)

func TestReach(t *testing.T) {
	server := newTLSServer(t)
	server.SetSkew(-2 * time.Hour)
	src := newSource(t, server)
	if from := src.From(); from != "" {
		t.Errorf("got %q as where a connection came from that was never made", from)
	}
	reached, err := src.Reach(within(t, 5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if off := reached.Skew + 2*time.Hour; !reached.Dated || off.Abs() > 5*time.Second {
		t.Errorf("got skew %s, want two hours", reached.Skew)
	}
	reached.Skew = 0
	if want := (helper.Reached{TLS: "TLS 1.3", Issuer: "sfapitest authority", Dated: true}); reached != want {
		t.Errorf("got %+v, want %+v", reached, want)
	}
	if from := src.From(); from != "127.0.0.0/24" {
		t.Errorf("got %q as where the connection came from", from)
	}
	if server.Exchanges() != 0 {
		t.Error("a token came of it")
	}
}

// TestReachPlain has a clock that is not to be seen, and no TLS.
func TestReachPlain(t *testing.T) {
	server := newServer(t)
	server.SetTokenFault(sfapitest.Header("Age", "3"))
	reached, err := newSource(t, server).Reach(within(t, 5*time.Second))
	if err != nil || reached != (helper.Reached{}) {
		t.Errorf("got %+v, %v, want nothing", reached, err)
	}
}

// TestReachProxy wants the proxy named, without a password, and its refusal
// told from the server's.
func TestReachProxy(t *testing.T) {
	address, _ := connectProxy(t)
	proxy := *address
	proxy.User = nil
	src := newSource(t, newTLSServer(t))
	src.Proxy = http.ProxyURL(address)
	reached, err := src.Reach(within(t, 5*time.Second))
	if err != nil || reached.Proxy != proxy.Host || src.From() != proxy.Host {
		t.Errorf("got %+v, %v, from %q; want proxy %s", reached, err, src.From(), proxy.Host)
	}
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusProxyAuthRequired)
	}))
	t.Cleanup(refuses.Close)
	src = newSource(t, newTLSServer(t))
	address = must(address.Parse(strings.Replace(refuses.URL, "//", "//user:secret@", 1)))
	src.Proxy = http.ProxyURL(address)
	reached, err = src.Reach(within(t, 5*time.Second))
	var refused *helper.ProxyError
	if !errors.As(err, &refused) || refused.Status != 407 {
		t.Fatalf("got %v, want the proxy's 407", err)
	}
	if reached.Proxy != address.Host || strings.Contains(err.Error(), "secret") {
		t.Errorf("got proxy %q and error %v", reached.Proxy, err)
	}
}

func TestDiscover(t *testing.T) {
	server := newServer(t)
	src := newSource(t, server)
	want := helper.Metadata{Issuer: server.URL + "/c2id", TokenURL: server.TokenURL}
	for _, path := range []string{"/c2id/token", "/c2id/tokens", "/c2id/protocol/openid-connect/token"} {
		src.Profile.TokenURL = server.URL + path
		if got := src.Discover(within(t, 5*time.Second)); got != want {
			t.Errorf("%s: got %+v, want %+v", path, got, want)
		}
	}
	src.Profile.TokenURL = server.URL + "/elsewhere/token"
	if got := src.Discover(within(t, 5*time.Second)); got != (helper.Metadata{}) {
		t.Errorf("got %+v, where there is none", got)
	}
}

// TestDiscoverForeign wants nothing of a document that names another host: an
// assertion for that would be a credential there.
func TestDiscoverForeign(t *testing.T) {
	for _, body := range []string{
		`{"issuer":"https://evil.example","token_endpoint":"HERE/token"}`,
		`{"issuer":"HERE","token_endpoint":"https://evil.example/token"}`,
		`{"issuer":"HERE","token_endpoint":"HERE@evil.example/"}`,
		`{"issuer":"HERE","token_endpoint":"HERE/` + strings.Repeat("x", 500) + `"}`,
		`{"issuer":"HERE"}`, `[]`, ``, `<html>`,
	} {
		var server *httptest.Server
		server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, strings.ReplaceAll(body, "HERE", server.URL))
		}))
		src := &helper.Source{Profile: helper.Profile{TokenURL: server.URL + "/a/b/c/d/e/f/g/token"}}
		if got := src.Discover(within(t, 5*time.Second)); got != (helper.Metadata{}) {
			t.Errorf("%s: got %+v", body, got)
		}
		server.Close()
	}
}

func TestAskAPI(t *testing.T) {
	server := newServer(t)
	src := newSource(t, server)
	tests := []struct {
		name  string
		fault sfapitest.Fault
		ok    bool
	}{
		{"well", sfapitest.Header("X", "y"), true},
		{"not for everybody", answerWith(401, `{"detail":"Not authenticated"}`), true},
		{"web page", sfapitest.HTML(), false},
		{"redirect", sfapitest.Redirect("https://login.example/"), false},
		{"down", answerWith(503, `{}`), false},
		{"cut", sfapitest.Cut(), false},
	}
	for _, tt := range tests {
		server.SetAPIFault(tt.fault)
		if err := src.AskAPI(within(t, 5*time.Second)); (err == nil) != tt.ok {
			t.Errorf("%s: got %v, want success %t", tt.name, err, tt.ok)
		}
	}
	src.Profile.APIURL = ""
	if err := src.AskAPI(within(t, 5*time.Second)); !errors.Is(err, helper.ErrNoAPI) {
		t.Errorf("got %v, want that there is no API", err)
	}
}

// TestAPIDetail wants the API's own words, but no token in them, nor a part of
// one, nor what acts on a terminal.
func TestAPIDetail(t *testing.T) {
	server := newServer(t)
	src := newSource(t, server)
	token := src.get(t, helper.Want{})
	for body, want := range map[string]string{
		`{"detail":"Source IP incompatible."}`:                             "Source IP incompatible",
		`{"title":"Unauthorized","detail":"Token expired"}`:                "Token expired",
		`{"title":"Unauthorized"}`:                                         "Unauthorized",
		`{"detail":[{"msg":"a list"}]}`:                                    "",
		`{"detail":"\u001b[2Jgone\n"}`:                                     "?[2Jgone",
		`{"detail":"bad token ` + token.Value + `!"}`:                      "bad token (the token)",
		`{"detail":"bad token '` + token.Value[:40] + `...'"}`:             "bad token (the token)",
		`{"detail":"bad token=` + token.Value + `&x"}`:                     "bad (the token)",
		`{"detail":"` + strings.Repeat("x", 400) + `"}`:                    strings.Repeat("x", 300) + "...",
		`bad token ` + token.Value:                                         "",
		`{"detail":"bad token ` + token.Value[len(token.Value)-30:] + `"}`: "bad token (the token)",
	} {
		server.SetAPIFault(answerWith(403, body))
		_, err := src.Account(within(t, 5*time.Second), token)
		var answer *helper.AnswerError
		if !errors.As(err, &answer) || answer.Status != 403 || answer.Detail != want {
			t.Errorf("%s: got %+v, want detail %q", body, answer, want)
		}
		wantNoRun(t, err.Error(), token.Value)
	}
}

// TestServerTime wants it said that the server's time was tried, so that the
// clock is not blamed for what is something else's fault.
func TestServerTime(t *testing.T) {
	for _, https := range []bool{true, false} {
		server := newServer(t)
		if https {
			server = newTLSServer(t)
		}
		server.SetSkew(-2 * time.Hour)
		server.Remove(clientID)
		_, err := newSource(t, server).Token(within(t, 8*time.Second), helper.Want{})
		var refused *helper.RefusedError
		if !errors.As(err, &refused) || refused.ServerTime != https {
			t.Errorf("https %t: got %+v", https, refused)
		}
	}
}

// TestLastObtained wants the time of a token that has long expired.
func TestLastObtained(t *testing.T) {
	src := newSource(t, newServer(t))
	if got := src.LastObtained(); !got.IsZero() {
		t.Errorf("got %s from an empty cache", got)
	}
	token := src.get(t, helper.Want{})
	src.SetClock(func() time.Time { return time.Now().Add(48 * time.Hour) })
	if got := src.LastObtained(); got.UnixNano() != token.Obtained.UnixNano() {
		t.Errorf("got %s, want %s", got, token.Obtained)
	}
}
