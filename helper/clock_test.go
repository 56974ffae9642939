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

// TestClock lets the server's clock be off. Date has whole seconds, so that
// what is measured is up to a second less than the skew: the bounds are met by
// as much.
func TestClock(t *testing.T) {
	tests := []struct {
		skew  time.Duration // of the server, ahead
		https bool
		fault sfapitest.Fault
		ok    bool   // a token came of it
		tries int    // requests
		words string // of the warning, or of the error
	}{
		// The server allows for 10 s, and is asked no second time.
		{skew: 5 * time.Second, https: true, ok: true, tries: 1},
		{skew: -5 * time.Second, https: true, ok: true, tries: 1},
		{skew: -59 * time.Second, https: true, tries: 1},
		{skew: -63 * time.Second, https: true, ok: true, tries: 2, words: "this machine's clock is 1m"},
		{skew: -23*time.Hour - 59*time.Minute, https: true, ok: true, tries: 2, words: "this machine's clock is 23h59m"},
		{skew: -24*time.Hour - time.Minute, https: true, tries: 1, words: "this machine's clock is 24h1m"},
		// An assertion of 5 minutes is good for a server less than that ahead.
		{skew: 4 * time.Minute, https: true, ok: true, tries: 1},
		{skew: 6*time.Minute + 5*time.Second, https: true, ok: true, tries: 2, words: "this machine's clock is 6m"},
		{skew: 14*time.Minute + 59*time.Second, https: true, ok: true, tries: 2, words: "behind the server's; signed with the server's time instead"},
		{skew: 15*time.Minute + 3*time.Second, https: true, tries: 1, words: "this machine's clock is 15m"},
		{skew: 300*time.Hour + time.Minute, https: true, tries: 1, words: "this machine's clock is 300h"},
		// Plain http, even on loopback, proves nothing of who answered.
		{skew: 6*time.Minute + 5*time.Second, tries: 1, words: "this machine's clock is 6m"},
		// An answer out of a cache tells the time of another day.
		{skew: 6*time.Minute + 5*time.Second, https: true, fault: sfapitest.Header("Age", "0"), tries: 1},
		{skew: 6*time.Minute + 5*time.Second, https: true, fault: sfapitest.Header("Date", "six"), tries: 1},
		{skew: 6*time.Minute + 5*time.Second, https: true, fault: sfapitest.Header("Date", ""), tries: 1},
	}
	for _, tt := range tests {
		t.Run(tt.skew.String(), func(t *testing.T) {
			server := newServer(t)
			if tt.https {
				server = newTLSServer(t)
			}
			server.SetSkew(tt.skew)
			if tt.fault != nil {
				server.SetTokenFault(tt.fault)
			}
			src := newSource(t, server)
			token, err := src.Token(within(t, 8*time.Second), helper.Want{})
			if (err == nil) != tt.ok {
				t.Fatalf("got %v, want success %v", err, tt.ok)
			}
			if n := len(server.Requests()); n != tt.tries {
				t.Errorf("got %d requests, want %d", n, tt.tries)
			}
			words := strings.Join(src.warnings(), "\n")
			if err != nil {
				if words != "" {
					t.Errorf("got warning %q, want none", words)
				}
				wantSkewWords(t, err, tt.words)
				return
			}
			if !strings.Contains(words, tt.words) || (words == "") != (tt.words == "") {
				t.Errorf("got warning %q, want %q in it", words, tt.words)
			}
			// By our own clock, whatever the server's says.
			if left := time.Until(token.Expires); left > 600*time.Second || left < 590*time.Second {
				t.Errorf("got %s left, want 600s", left)
			}
			if got := src.get(t, helper.Want{}); got.Value != token.Value {
				t.Error("got another token, want the one just made")
			}
		})
	}
}

// wantSkewWords wants a refusal that tells of the clock, or does not.
func wantSkewWords(t *testing.T, err error, words string) {
	t.Helper()
	var refused *helper.RefusedError
	if !errors.As(err, &refused) {
		t.Fatalf("got %v, want a RefusedError", err)
	}
	if (refused.Skew != 0) != (words != "") || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "clock") != (words != "") {
		t.Errorf("got %q with skew %s, want %q in it", err, refused.Skew, words)
	}
}

// TestClockBounds has the bounds to the second, by a clock that stands.
func TestClockBounds(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for skew, tries := range map[time.Duration]int{
		0: 1, 59 * time.Second: 1, 60 * time.Second: 1, 61 * time.Second: 2,
		-59 * time.Second: 1, -60 * time.Second: 1, -61 * time.Second: 2,
		14*time.Minute + 59*time.Second: 2, 15 * time.Minute: 2, 15*time.Minute + time.Second: 1,
		-23*time.Hour - 59*time.Minute: 2, -24 * time.Hour: 2, -24*time.Hour - time.Second: 1,
	} {
		src := newSource(t, newServer(t))
		src.Profile.TokenURL = "https://x.example/token"
		src.SetClock(func() time.Time { return now })
		var issued []int64
		src.SetDo(func(r *http.Request) (*http.Response, error) {
			check(t, r.ParseForm())
			issued = append(issued, claimsOf(t, r.PostForm.Get("client_assertion")).Iat)
			answer := reply(401, `{"error":"invalid_client"}`)
			answer.Header.Set("Date", now.Add(skew).Format(http.TimeFormat))
			return answer, nil
		})
		_, err := exchange(t, src, 5*time.Second)
		if len(issued) != tries {
			t.Errorf("%s: got %d tries, want %d", skew, len(issued), tries)
		}
		if last := issued[len(issued)-1] - now.Unix(); tries == 2 && last != int64(skew.Seconds()) {
			t.Errorf("%s: got the second issued %d s ahead of our clock, want the server's time", skew, last)
		}
		words := ""
		if skew.Abs() > time.Minute {
			words = "this machine's clock is " + skew.Abs().String()
		}
		wantSkewWords(t, err, words)
	}
}

// TestDatesOfOtherAges has dates that are further off than a Duration can tell.
func TestDatesOfOtherAges(t *testing.T) {
	const most = 10 * 365 * 24 * time.Hour
	for date, want := range map[string]time.Duration{
		"Mon, 01 Jan 0001 00:00:00 GMT": -most, "Thu, 01 Jan 1970 00:00:00 GMT": -most, "Fri, 31 Dec 9999 23:59:59 GMT": most,
	} {
		_, err := helper.ReadToken(401, http.Header{"Date": {date}}, []byte(`{"error":"invalid_client"}`), time.Now())
		var refused *helper.RefusedError
		if !errors.As(err, &refused) || refused.Skew != want {
			t.Errorf("%s: got %v, want it %s off", date, err, want)
		}
	}
}

// TestClockStillRefused wants no third try, and the difference in the error.
func TestClockStillRefused(t *testing.T) {
	server := newTLSServer(t)
	server.SetSkew(-2 * time.Hour)
	server.Remove(clientID)
	src := newSource(t, server)
	_, err := src.Token(within(t, 8*time.Second), helper.Want{})
	wantSkewWords(t, err, "ahead of the server's")
	wantCounts(t, server, 0, 2)
	// Never stored: the next assertion has our own time again.
	server.Add(alice())
	src.get(t, helper.Want{Force: true, Since: time.Now()})
	wantCounts(t, server, 1, 3)
}

// TestLyingDate has the server name another time than it judges by: it gets
// one assertion more, made for itself alone, and no third.
func TestLyingDate(t *testing.T) {
	server := newTLSServer(t)
	server.SetSkew(-2 * time.Hour)
	server.SetTokenFault(sfapitest.Header("Date", time.Now().Add(10*time.Minute).UTC().Format(http.TimeFormat)))
	src := newSource(t, server)
	_, err := src.Token(within(t, 8*time.Second), helper.Want{})
	wantSkewWords(t, err, "behind the server's")
	wantCounts(t, server, 0, 2)
}
