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
      "seen_at": "2026-01-02T03:04:05Z"
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
	if got := file.Learnt(a); got != known {
		t.Errorf("got %+v, want %+v", got, known)
	}
	check(t, file.Forget(t.Context(), a))
	if got := file.Learnt(a); got != (helper.Learnt{}) {
		t.Errorf("forgotten: got %+v, want nothing", got)
	}
	if got := file.Learnt(b); got.User != "bob" {
		t.Errorf("got %+v, want bob left alone", got)
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
