package helper_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"sfcred/helper"
)

func TestState(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "state.json")
	file := helper.StateFile(path)
	a := &helper.Profile{ClientID: "a", TokenURL: "https://x.example/token"}
	b := &helper.Profile{ClientID: "a", TokenURL: "https://y.example/token"} // IDs are unique to a server only
	if got := file.Learnt(a); got != (helper.Learnt{}) {
		t.Errorf("missing file: got %+v, want nothing", got)
	}
	check(t, file.Forget(t.Context(), a))
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("Forget: got %v, want no file made", err)
	}
	known := helper.Learnt{
		User: "alice", Expires: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), Seen: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	check(t, file.Learn(t.Context(), a, known))
	check(t, file.Learn(t.Context(), b, helper.Learnt{User: "bob"}))
	want := `{
  "clients": {
    "a https://x.example/token": {
      "user": "alice",
      "client_expires_at": "2030-01-02T03:04:05Z",
      "seen_at": "2026-01-02T03:04:05Z",
      "first_seen_at": "2026-01-02T03:04:05Z"
    },
    "a https://y.example/token": {
      "user": "bob"
    }
  }
}
`
	if got := string(must(os.ReadFile(path))); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	known.First = known.Seen
	if got := file.Learnt(a); got != known {
		t.Errorf("got %+v, want %+v", got, known)
	}
	// Seen again it is not seen for the first time, until it is another one.
	again := known
	again.Seen = known.Seen.Add(time.Hour)
	check(t, file.Learn(t.Context(), a, again))
	if got := file.Learnt(a); got != again || got.First != known.First {
		t.Errorf("again: got %+v, want %+v", got, again)
	}
	again.Expires = again.Expires.Add(time.Hour)
	check(t, file.Learn(t.Context(), a, again))
	if got := file.Learnt(a).First; got != again.Seen {
		t.Errorf("extended: got first seen %s, want %s", got, again.Seen)
	}
	check(t, file.Forget(t.Context(), a))
	if got := file.Learnt(a); got != (helper.Learnt{}) {
		t.Errorf("forgotten: got %+v, want nothing", got)
	}
	if got := file.Learnt(b); got.User != "bob" {
		t.Errorf("got %+v, want bob left alone", got)
	}
}

// TestEndsSoon has clients for 2, 30 and 60 days.
func TestEndsSoon(t *testing.T) {
	first := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for _, c := range []struct {
		life, left time.Duration
		want       bool
	}{
		{2 * day, 2 * day, false},
		{2 * day, day, false},
		{2 * day, day - time.Second, true},
		{30 * day, 6 * day, false},
		{30 * day, 6*day - time.Second, true},
		{60 * day, 12 * day, false},
		{60 * day, 12*day - time.Second, true},
		{60 * day, time.Second, true},
		{60 * day, 0, false}, // it has ended
		{60 * day, -day, false},
	} {
		l := helper.Learnt{Expires: first.Add(c.life), First: first}
		if got := l.EndsSoon(l.Expires.Add(-c.left)); got != c.want {
			t.Errorf("%s of %s left: got %v, want %v", c.left, c.life, got, c.want)
		}
	}
	// As the user has said it, nobody knows how long it was to live.
	told := helper.Learnt{Expires: first}
	if told.EndsSoon(first.Add(-day)) || !told.EndsSoon(first.Add(time.Second-day)) {
		t.Error("told: want the last day only")
	}
	if (helper.Learnt{}).EndsSoon(first) {
		t.Error("unknown: got soon")
	}
}

// TestDamagedState wants no knowledge out of it, and a new file with the next
// thing that is learnt.
func TestDamagedState(t *testing.T) {
	p := &helper.Profile{ClientID: "a", TokenURL: "https://x.example/token"}
	for _, text := range []string{"", "{", "null", "[]", `{"clients":null}`, `{"clients":{"a https://x.example/token":{"client_expires_at":"soon"}}}`, "{}x"} {
		file := helper.StateFile(filepath.Join(t.TempDir(), "state.json"))
		check(t, os.WriteFile(string(file), []byte(text), 0o600))
		if got := file.Learnt(p); got != (helper.Learnt{}) {
			t.Errorf("%q: got %+v, want nothing", text, got)
		}
		check(t, file.Forget(t.Context(), p))
		check(t, file.Learn(t.Context(), p, helper.Learnt{User: "alice"}))
		if got := file.Learnt(p); got.User != "alice" {
			t.Errorf("%q: got %+v, want alice", text, got)
		}
	}
}

// TestLearnTogether loses nothing of what several learn at once.
func TestLearnTogether(t *testing.T) {
	file := helper.StateFile(filepath.Join(t.TempDir(), "state.json"))
	profile := func(i int) *helper.Profile { return &helper.Profile{ClientID: fmt.Sprint("client", i)} }
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			if err := file.Learn(within(t, 20*time.Second), profile(i), helper.Learnt{User: "alice"}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for i := range 20 {
		if got := file.Learnt(profile(i)); got.User != "alice" {
			t.Errorf("client %d: got %+v, want alice", i, got)
		}
	}
}
