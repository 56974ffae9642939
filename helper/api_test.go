package helper_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"sfcred/helper"
	"sfcred/helper/sfapitest"
)

func TestAccount(t *testing.T) {
	server := newServer(t)
	src := newSource(t, server)
	token := src.get(t, helper.Want{})
	for _, slash := range []string{"", "/", "//"} {
		src.Profile.APIURL = server.APIURL + slash
		if user, err := src.Account(within(t, 5*time.Second), token); err != nil || user != "alice" {
			t.Errorf("API URL with %q: got %q, %v, want alice", slash, user, err)
		}
	}
	token.Value = "worthless-worthless"
	_, err := src.Account(within(t, 5*time.Second), token)
	var answer *helper.AnswerError
	if !errors.As(err, &answer) || answer.Status != 401 {
		t.Errorf("bad token: got %v, want 401", err)
	}
	wantNoRun(t, err.Error(), token.Value)
}

// TestAccountName wants no other's bytes on the terminal.
func TestAccountName(t *testing.T) {
	server := newServer(t)
	src := newSource(t, server)
	token := src.get(t, helper.Want{})
	server.SetAPIFault(sfapitest.With("name", "al\x1b[31mice\n"))
	if user, err := src.Account(within(t, 5*time.Second), token); err != nil || user != "al?[31mice?" {
		t.Errorf("got %q, %v, want plain text", user, err)
	}
}

// TestAPIBadAnswers wants no answer made out of what is none.
func TestAPIBadAnswers(t *testing.T) {
	server := newServer(t)
	src := newSource(t, server)
	token := src.get(t, helper.Want{})
	for name, fault := range map[string]sfapitest.Fault{
		"web page": sfapitest.HTML(), "empty": sfapitest.Empty(), "503": sfapitest.Status(503, nil),
		"403": sfapitest.Status(403, nil), "too large": sfapitest.Huge(2 << 20), "short": sfapitest.Short(), "array": answerWith(200, "[]"),
	} {
		server.SetAPIFault(fault)
		user, err := src.Account(within(t, 5*time.Second), token)
		wantNetworkError(t, err, false)
		if user != "" {
			t.Errorf("%s: got user %q together with %v", name, user, err)
		}
	}
}

// TestAPIHosts wants the token sent only where the profile says: our own calls
// are under the rule of everybody.
func TestAPIHosts(t *testing.T) {
	server, foreign := newServer(t), newServer(t)
	src := newSource(t, server)
	token := src.get(t, helper.Want{})

	src.Profile.Hosts = []string{strings.TrimPrefix(server.URL, "http://")}
	src.Profile.APIURL = foreign.APIURL // another port
	if _, err := src.Account(within(t, 5*time.Second), token); !errors.Is(err, helper.ErrForeignHost) {
		t.Errorf("got %v, want ErrForeignHost", err)
	}
	src.Profile.APIURL = ""
	if _, err := src.Account(within(t, 5*time.Second), token); !errors.Is(err, helper.ErrNoAPI) {
		t.Errorf("got %v, want ErrNoAPI", err)
	}
	// The real API redirects, and a redirect may lead anywhere.
	src.Profile.APIURL = server.APIURL
	server.SetAPIFault(sfapitest.Redirect(foreign.APIURL + "/account/"))
	var answer *helper.AnswerError
	if _, err := src.Account(within(t, 5*time.Second), token); !errors.As(err, &answer) || answer.Status != 307 {
		t.Errorf("got %v, want the redirect not followed", err)
	}
	if n := len(foreign.Requests()); n != 0 {
		t.Errorf("got %d requests at the other server, want 0", n)
	}
}

// TestAPIRequest pins what the API is sent.
func TestAPIRequest(t *testing.T) {
	src := newSource(t, newServer(t))
	var got *http.Request
	src.SetDo(func(r *http.Request) (*http.Response, error) { got = r; return reply(200, `{"name":"alice"}`), nil })
	_, err := src.Account(t.Context(), helper.Token{Value: "abc"})
	if err != nil || got.Method != "GET" || got.URL.String() != src.Profile.APIURL+"/account/" || got.Header.Get("Authorization") != "Bearer abc" {
		t.Errorf("got %v, %s %s with %q", err, got.Method, got.URL, got.Header.Get("Authorization"))
	}
}

func TestClientExpiry(t *testing.T) {
	expires := time.Now().Add(48 * time.Hour).UTC().Truncate(time.Microsecond)
	a, b := alice(), alice()
	a.Expires, b.ID = expires, "other"
	server := newServer(t, b, a)
	src := newSource(t, server)
	token := src.get(t, helper.Want{})
	if got, err := src.ClientExpiry(within(t, 5*time.Second), token); err != nil || !got.Equal(expires) || got.Location() != time.UTC {
		t.Errorf("got %v, %v, want %v in UTC", got, err, expires)
	}
	for name, list := range map[string]string{
		"not listed": `[{"clientId":"other","expiresAt":"2030-01-02T03:04:05.000000+0000"}]`,
		"no list":    `[]`,
		"null":       `[{"clientId":"` + clientID + `","expiresAt":null}]`,
		"missing":    `[{"clientId":"` + clientID + `"}]`,
	} {
		server.SetAPIFault(answerWith(200, list))
		if got, err := src.ClientExpiry(within(t, 5*time.Second), token); err != nil || !got.IsZero() {
			t.Errorf("%s: got %v, %v, want no time", name, got, err)
		}
	}
	server.SetAPIFault(answerWith(200, `[{"clientId":"`+clientID+`","expiresAt":"so\u001bon"}]`))
	var answer *helper.AnswerError
	if got, err := src.ClientExpiry(within(t, 5*time.Second), token); !errors.As(err, &answer) || !got.IsZero() || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("got %v, %v, want an AnswerError in plain text", got, err)
	}
}

func TestParseExpiry(t *testing.T) {
	want := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	for text, fraction := range map[string]time.Duration{
		"2030-01-02T03:04:05.678901+0000": 678901 * time.Microsecond, // the service's
		"2030-01-01T19:04:05.000000-0800": 0,
		"2030-01-02T03:04:05+0000":        0,
		"2030-01-02T03:04:05Z":            0,
		"2030-01-02T04:04:05.5+01:00":     500 * time.Millisecond,
	} {
		if got, err := helper.ParseExpiry(text); err != nil || !got.Equal(want.Add(fraction)) {
			t.Errorf("%s: got %v, %v, want %v", text, got, err, want.Add(fraction))
		}
	}
	// Without a zone nobody knows when that is.
	for _, text := range []string{"2030-01-02T03:04:05", "2030-01-02", "1893553445", "2030-13-02T03:04:05Z"} {
		if got, err := helper.ParseExpiry(text); err == nil {
			t.Errorf("%s: got %v, want an error", text, got)
		}
	}
}
