package helper_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sfcred/helper"
)

// Whatever is in the file, what is learnt of a client comes back, and what was
// known of another stays or was never known.
func FuzzState(f *testing.F) {
	f.Add([]byte(`{"clients":{"a https://x.example/token":{"user":"alice","client_expires_at":"2030-01-02T03:04:05Z","seen_at":"2026-01-02T03:04:05Z"}}}`), "bob", int64(1_900_000_000))
	f.Add([]byte(`{"clients":{"b https://x.example/token":{"user":"\u001b[2J"},"b https://x.example/token":null}}`), "", int64(0))
	f.Add([]byte(`{"clients":[]}`), "x", int64(1))
	f.Add([]byte(`{"clients":null,"more":1}`), "\xff", int64(253402300799))
	f.Add([]byte(`{"clients":{"b https://x.example/token":{"client_expires_at":"9999-12-31T23:59:59-23:59"}}}`), "x", int64(1))
	f.Add([]byte(``), "x", int64(-1))
	path := filepath.Join(f.TempDir(), "state.json")
	a, b := &helper.Profile{ClientID: "a", TokenURL: "https://x.example/token"}, &helper.Profile{ClientID: "b", TokenURL: "https://x.example/token"}
	f.Fuzz(func(t *testing.T, text []byte, user string, seconds int64) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		file := helper.StateFile(path)
		before := file.Learnt(b)
		learnt := helper.Learnt{User: strings.ToValidUTF8(user, ""), Expires: time.Unix(seconds, 0).UTC(), Seen: time.Unix(1_800_000_000, 0).UTC()}
		if year := learnt.Expires.Year(); year < 0 || year > 9999 {
			return // see FuzzExpiry
		}
		if err := file.Learn(t.Context(), a, learnt); err != nil {
			t.Fatal(err)
		}
		learnt.First = file.Learnt(a).First
		if got := file.Learnt(a); got != learnt || got.First.IsZero() {
			t.Errorf("got %+v, want %+v", got, learnt)
		}
		if got := file.Learnt(b); got.User != before.User || !got.Expires.Equal(before.Expires) || !got.Seen.Equal(before.Seen) {
			t.Errorf("of another client: got %+v, want %+v", got, before)
		}
	})
}

// A remembered refusal is of the key that is asked about and a few seconds old,
// or there is none.
func FuzzRefusal(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	f.Add([]byte(`{"fingerprint":"SHA256:x","began_at":1799999999000000000,"refused_at":1799999999000000000,"error":{"status":401,"code":"invalid_client"}}`))
	f.Add([]byte(`{"fingerprint":"SHA256:x","refused_at":1800000001000000000,"error":{}}`))
	f.Add([]byte(`{"fingerprint":"SHA256:y","refused_at":1799999999000000000,"error":{}}`))
	f.Add([]byte(`{"fingerprint":"SHA256:x","refused_at":-9223372036854775808,"error":{"skew":9223372036854775807}}`))
	f.Add([]byte(`{"fingerprint":"SHA256:x","refused_at":1799999999000000000,"error":null}`))
	dir := filepath.Join(f.TempDir(), "cache")
	if err := os.Mkdir(dir, 0o700); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		refused, began := helper.Remembered(t, dir, text, "SHA256:x", now)
		if refused == nil {
			if !began.IsZero() {
				t.Fatal("no refusal, and when it began")
			}
			return
		}
		var file struct {
			Fingerprint string `json:"fingerprint"`
			At          int64  `json:"refused_at"`
		}
		if err := json.Unmarshal(text, &file); err != nil || file.Fingerprint != "SHA256:x" {
			t.Fatalf("got a refusal out of %q", text)
		}
		if age := now.Sub(time.Unix(0, file.At)); age < 0 || age >= 10*time.Second {
			t.Fatalf("got a refusal of %s ago", age)
		}
		if refused.Error() == "" {
			t.Fatal("a refusal without a word")
		}
	})
}

// However a server says when to come again, it is between now and tomorrow; what
// is a number means seconds, and what is a date the time until then.
func FuzzRetryAfter(f *testing.F) {
	const date = "Mon, 02 Jan 2006 15:04:05 GMT"
	for _, text := range []string{"", "0", "120", "-1", "1.5", "99999999999999999999", "Mon, 02 Jan 2006 15:06:05 GMT", "Monday, 02-Jan-06 15:04:05 GMT", "Mon Jan  2 15:04:05 2006", "Fri, 31 Dec 9999 23:59:59 GMT", " 7"} {
		f.Add(text, date)
		f.Add(text, text)
	}
	f.Fuzz(func(t *testing.T, text, date string) {
		got := helper.RetryAfter(http.Header{"Retry-After": {text}, "Date": {date}})
		if got < 0 || got > 24*time.Hour {
			t.Fatalf("got %s", got)
		}
		if n, err := strconv.Atoi(text); err == nil && n >= 0 && n < 86_400 && text[0] != '+' && got != time.Duration(n)*time.Second {
			t.Errorf("%q: got %s", text, got)
		}
		at, err := http.ParseTime(text)
		now, err2 := http.ParseTime(date)
		if err == nil && err2 == nil && at.After(now) && at.Sub(now) < 24*time.Hour && got != at.Sub(now) {
			t.Errorf("%q at %q: got %s, want %s", text, date, got, at.Sub(now))
		}
	})
}

// A client's expiry is a time that can be kept and shown, or none.
func FuzzExpiry(f *testing.F) {
	for _, text := range []string{"2026-11-25T16:30:00.123456+0000", "2026-11-25T16:30:00Z", "9999-12-31T23:59:59-0100", "0000-01-01T00:00:00+2359", "2026-11-25", "", "2026-11-25T16:30:00.123456789123+0000"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at, err := helper.ParseExpiry(text)
		if err != nil {
			if !at.IsZero() {
				t.Fatalf("both %s and %v", at, err)
			}
			return
		}
		kept, err := json.Marshal(at)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		var back time.Time
		if err := json.Unmarshal(kept, &back); err != nil || !back.Equal(at) {
			t.Errorf("%q: %s was kept as %s, %v", text, at, kept, err)
		}
	})
}

// The user that a token names is one that its scope has, as far as it can be
// printed, and nothing else.
func FuzzUser(f *testing.F) {
	for _, claims := range []string{`{"scope":["openid","un:alice"]}`, `{"scope":"openid un:alice"}`, `{"scope":["un:\u001b[2J"]}`, `{"scope":null}`, `{"scope":7}`, `{"scope":["un:"]}`, `{"SCOPE":"un:x","scope":["un:y"]}`, `[]`, `{"scope":[["un:x"]]}`} {
		f.Add(claims)
	}
	f.Fuzz(func(t *testing.T, claims string) {
		user := helper.Token{Value: "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".e30"}.User()
		if user == "" {
			return
		}
		if strings.ContainsFunc(user, func(r rune) bool { return r < ' ' || r > '~' }) || len(user) > 303 {
			t.Fatalf("got %q", user)
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal([]byte(claims), &members); err != nil {
			t.Fatalf("got %q out of what is no JSON: %v", user, err)
		}
		said := false
		for name, value := range members {
			var list []string
			var one string
			if json.Unmarshal(value, &one) == nil {
				list = strings.Fields(one)
			} else if json.Unmarshal(value, &list) != nil {
				continue
			}
			said = said || strings.EqualFold(name, "scope") && slices.ContainsFunc(list, func(s string) bool {
				name, ok := strings.CutPrefix(s, "un:")
				return ok && name != ""
			})
		}
		if !said {
			t.Errorf("%s: got %q", claims, user)
		}
	})
}
