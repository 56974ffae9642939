package helper_test

import (
	"context"
	"crypto"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sfcred/helper"
	"sfcred/helper/sfapitest"
	"sfcred/keychain"
)

// tokenFile is where the source's token lies.
func (s *source) tokenFile() string {
	return filepath.Join(s.CacheDir, s.Profile.CacheKey()+".token")
}

// cache puts a token with a life and an age into the source's cache.
func (s *source) cache(t testing.TB, life, age time.Duration) {
	t.Helper()
	obtained := time.Now().Add(-age)
	s.Keep(helper.Token{Value: "cached-" + strings.Repeat("x", 20), Obtained: obtained, Expires: obtained.Add(life)})
	if got := s.warnings(); got != nil {
		t.Fatalf("got warnings %q, want the token kept", got)
	}
}

func isCached(token helper.Token) bool { return strings.HasPrefix(token.Value, "cached-") }

// TestMinTTL serves a token while it has MinTTL left, which counts as at most
// half of its life. Clocks go on in a test, so all bounds have 5 s to spare.
func TestMinTTL(t *testing.T) {
	const life = 600 * time.Second
	tests := []struct {
		name        string
		left        time.Duration
		minTTL      time.Duration
		fromTheFile bool
	}{
		{"fresh", 595 * time.Second, time.Minute, true},
		{"just enough", 65 * time.Second, time.Minute, true},
		{"not enough", 55 * time.Second, time.Minute, false},
		{"any will do", 5 * time.Second, 0, true},
		{"expired", -time.Second, 0, false},
		{"more than there ever is, fresh", 595 * time.Second, time.Hour, true},
		{"more than half, at half", 305 * time.Second, 500 * time.Second, true},
		{"more than half, past half", 295 * time.Second, 500 * time.Second, false},
	}
	server := newServer(t)
	for _, tt := range tests {
		src := newSource(t, server)
		src.cache(t, life, life-tt.left)
		token := src.get(t, helper.Want{MinTTL: tt.minTTL})
		if isCached(token) != tt.fromTheFile || (src.opened == 0) != tt.fromTheFile {
			t.Errorf("%s: got it out of the cache: %v, key opened %d times; want %v", tt.name, isCached(token), src.opened, tt.fromTheFile)
		}
		if got := src.warnings(); got != nil {
			t.Errorf("%s: got warnings %q, want none", tt.name, got)
		}
		if again, ok := src.Cached(helper.Want{MinTTL: tt.minTTL}); !ok || again.Value != token.Value {
			t.Errorf("%s: Cached: got another token or none", tt.name)
		}
	}
}

// TestFreshIsServed wants a new token served however short its life is.
func TestFreshIsServed(t *testing.T) {
	server := newServer(t)
	server.SetPolicy(sfapitest.Policy{TokenLife: 20 * time.Second})
	src := newSource(t, server)
	first := src.get(t, helper.Want{MinTTL: time.Hour})
	if second := src.get(t, helper.Want{MinTTL: time.Hour}); second.Value != first.Value {
		t.Error("got another token, want the one that is new enough")
	}
	wantCounts(t, server, 1, 0)
}

// TestLasts has the bounds to the nanosecond.
func TestLasts(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	token := helper.Token{Value: "a", Obtained: now, Expires: now.Add(100 * time.Second)}
	tests := []struct {
		at, min time.Duration
		want    bool
	}{
		{40 * time.Second, 60 * time.Second, true},
		{0, 50 * time.Second, true},
		{50 * time.Second, 50 * time.Second, true},
		{50*time.Second + 1, 50 * time.Second, false},
		{50 * time.Second, 1000 * time.Second, true},
		{50*time.Second + 1, 1000 * time.Second, false},
		{100*time.Second - 1, 0, true},
		{100 * time.Second, 0, false},
		{100 * time.Second, -time.Hour, false}, // no want makes a dead token good
		{-2 * time.Second, 0, true},            // a clock stepped by a little
		{-2*time.Second - 1, 0, false},         // a clock set back
	}
	for _, tt := range tests {
		// 40 s of 100 with 60 wanted: 60 counts as 50, and 60 are left.
		if got := helper.Lasts(token, now.Add(tt.at), tt.min); got != tt.want {
			t.Errorf("after %s with %s wanted: got %v, want %v", tt.at, tt.min, got, tt.want)
		}
	}
}

// TestClockSetBack wants a token from the future not served: its expiry says
// nothing any more.
func TestClockSetBack(t *testing.T) {
	server := newServer(t)
	src := newSource(t, server)
	src.cache(t, time.Hour, -time.Minute)
	if token := src.get(t, helper.Want{}); isCached(token) {
		t.Error("got the token of a minute ahead")
	}
}

// TestForce wants an exchange that began after the command, which those who
// ask together share.
func TestForce(t *testing.T) {
	server := newServer(t)
	src := newSource(t, server)
	first := src.get(t, helper.Want{})
	began := time.Now()
	second := src.get(t, helper.Want{Force: true, Since: began})
	if second.Value == first.Value {
		t.Error("got the token of before")
	}
	if third := src.get(t, helper.Want{Force: true, Since: began}); third.Value != second.Value {
		t.Error("got another token for a command that began at the same time")
	}
	wantCounts(t, server, 2, 0)

	// All at once: each sees an exchange that began after it did.
	began = time.Now()
	var group sync.WaitGroup
	for range 20 {
		mine := newSourceIn(t, server, src.CacheDir)
		group.Go(func() {
			if _, err := mine.Token(within(t, 20*time.Second), helper.Want{Force: true, Since: began}); err != nil {
				t.Errorf("got %v, want a token", err)
			}
		})
	}
	group.Wait()
	wantCounts(t, server, 3, 0)
}

// TestForceNeverFallsBack wants no cached token for --force, whatever fails.
func TestForceNeverFallsBack(t *testing.T) {
	server := newServer(t)
	server.SetTokenFault(sfapitest.HTML())
	src := newSource(t, server)
	src.cache(t, time.Hour, 10*time.Minute)
	token, err := src.Token(within(t, 5*time.Second), helper.Want{Force: true, Since: time.Now()})
	var answer *helper.AnswerError
	if !errors.As(err, &answer) || token != (helper.Token{}) {
		t.Errorf("got a token: %v, and %v, want only an AnswerError", token.Value != "", err)
	}
	if got := src.warnings(); got != nil {
		t.Errorf("got warnings %q, want none", got)
	}
}

// TestFallback serves a token that does not last as long as was wanted, but
// is still valid, where the key or the server is out of reach.
func TestFallback(t *testing.T) {
	t.Parallel()
	locked := &keychain.Error{Store: "keychain", Reason: "the keychain is locked", Err: keychain.ErrLocked}
	type ill func(*source, *sfapitest.Server)
	together(t, map[string]ill{
		"the key is locked": func(src *source, _ *sfapitest.Server) {
			src.Signer = func(context.Context) (crypto.MessageSigner, error) { return nil, locked }
		},
		"the server is cut off":     func(_ *source, s *sfapitest.Server) { s.SetTokenFault(sfapitest.Cut()) },
		"the server is ill":         func(_ *source, s *sfapitest.Server) { s.SetTokenFault(sfapitest.Status(500, nil)) },
		"a portal stands before it": func(_ *source, s *sfapitest.Server) { s.SetTokenFault(sfapitest.HTML()) },
		"the server hangs":          func(_ *source, s *sfapitest.Server) { s.SetTokenFault(sfapitest.Delay(time.Minute)) },
	}, func(t *testing.T, spoil ill) {
		server := newServer(t)
		src := newSource(t, server)
		spoil(src, server)
		src.cache(t, 600*time.Second, 570*time.Second)
		token, err := src.Token(within(t, 1500*time.Millisecond), helper.Want{MinTTL: time.Minute})
		if err != nil || !isCached(token) {
			t.Fatalf("got %v, want the cached token", err)
		}
		if got := src.warnings(); len(got) != 1 || !strings.Contains(got[0], "; the cached token is still valid for ") {
			t.Errorf("got warnings %q, want one that says so", got)
		}
		// One that has expired is of no use.
		src.cache(t, 600*time.Second, 601*time.Second)
		if token, err := src.Token(within(t, 1500*time.Millisecond), helper.Want{}); err == nil || token != (helper.Token{}) {
			t.Errorf("expired: got %v, want an error alone", err)
		}
	})
	t.Run("refused", func(t *testing.T) {
		server := newServer(t)
		server.Remove(clientID)
		src := newSource(t, server)
		src.cache(t, 600*time.Second, 570*time.Second)
		var refused *helper.RefusedError
		if token, err := src.Token(within(t, 3*time.Second), helper.Want{MinTTL: time.Minute}); !errors.As(err, &refused) || token != (helper.Token{}) {
			t.Errorf("got %v, want a RefusedError alone", err)
		}
	})
	// What is wrong with the profile itself is not "out of reach", and would
	// be hidden until the token ends.
	t.Run("wrong algorithm", func(t *testing.T) {
		src := newSource(t, newServer(t))
		src.Profile.Alg = "RS256"
		src.cache(t, 600*time.Second, 570*time.Second)
		if _, err := src.Token(within(t, 3*time.Second), helper.Want{MinTTL: time.Minute}); err == nil {
			t.Error("got the cached token, want an error")
		}
	})
	t.Run("given up", func(t *testing.T) {
		src := newSource(t, newServer(t))
		src.cache(t, 600*time.Second, 570*time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		src.Signer = func(ctx context.Context) (crypto.MessageSigner, error) { cancel(); return nil, ctx.Err() }
		if _, err := src.Token(ctx, helper.Want{MinTTL: time.Minute}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
	})
}

// TestNotCached lists what leaves no token behind.
func TestNotCached(t *testing.T) {
	t.Run("no expires_in", func(t *testing.T) {
		server := newServer(t)
		server.SetTokenFault(sfapitest.Without("expires_in"))
		src := newSource(t, server)
		src.get(t, helper.Want{})
		if _, err := os.Stat(src.tokenFile()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("got %v, want no file", err)
		}
		src.get(t, helper.Want{MinTTL: time.Minute})
		wantCounts(t, server, 2, 0)
	})
	t.Run("cache none", func(t *testing.T) {
		server := newServer(t)
		src := newSource(t, server)
		src.Profile.Cache = "none"
		src.get(t, helper.Want{})
		src.get(t, helper.Want{})
		if _, err := os.Stat(src.CacheDir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("got %v, want no directory", err)
		}
		if got := src.warnings(); got != nil {
			t.Errorf("got warnings %q, want none", got)
		}
		wantCounts(t, server, 2, 0)
	})
	t.Run("no directory", func(t *testing.T) {
		server := newServer(t)
		src := newSourceIn(t, server, "")
		src.get(t, helper.Want{})
		if got := src.warnings(); got != nil {
			t.Errorf("got warnings %q, want none", got)
		}
	})
}

// TestCacheKey wants a token shared by those for whom it is the same, and by
// nobody else.
func TestCacheKey(t *testing.T) {
	base := helper.Profile{ClientID: "a", TokenURL: "https://x.example/token"}
	same := base
	same.APIURL, same.Hosts, same.Store, same.KeyID, same.KID = "https://y.example", []string{"y.example"}, "file", "x", "k"
	if same.CacheKey() != base.CacheKey() {
		t.Error("got another key for another place of the key, want the same")
	}
	seen := map[string]string{base.CacheKey(): "base"}
	for name, change := range map[string]func(*helper.Profile){
		"client":   func(p *helper.Profile) { p.ClientID = "b" },
		"URL":      func(p *helper.Profile) { p.TokenURL += "2" },
		"audience": func(p *helper.Profile) { p.Audience = "https://x.example" },
		"scope":    func(p *helper.Profile) { p.Scope = "https://x.example" },
		"alg":      func(p *helper.Profile) { p.Alg = "https://x.example" },
		// The same text, cut at another place.
		"cut": func(p *helper.Profile) { p.ClientID, p.TokenURL = "ah", "ttps://x.example/token" },
	} {
		p := base
		change(&p)
		if other, ok := seen[p.CacheKey()]; ok {
			t.Errorf("%s: got the key of %s", name, other)
		}
		seen[p.CacheKey()] = name
	}
}

// TestDamagedCache wants a file that is not whole ignored, replaced and not
// spoken of.
func TestDamagedCache(t *testing.T) {
	server := newServer(t)
	src := newSource(t, server)
	src.get(t, helper.Want{})
	whole := must(os.ReadFile(src.tokenFile()))
	flipped := append([]byte{}, whole...)
	flipped[len(flipped)-10] ^= 1
	exchanges := 1
	for name, text := range map[string][]byte{
		"empty": nil, "cut": whole[:len(whole)-1], "half": whole[:len(whole)/2], "twice": append(whole, whole...),
		"one bit": flipped, "other text": []byte("1 2 3\n{}\n"), "zeros": make([]byte, len(whole)),
		"too large": append(whole, make([]byte, 64<<10)...),
	} {
		check(t, os.WriteFile(src.tokenFile(), text, 0o600))
		src.get(t, helper.Want{})
		exchanges++
		if server.Exchanges() != exchanges {
			t.Errorf("%s: got %d exchanges, want %d", name, server.Exchanges(), exchanges)
		}
		src.get(t, helper.Want{})
	}
	wantCounts(t, server, exchanges, 0)
	if got := src.warnings(); got != nil {
		t.Errorf("got warnings %q, want none", got)
	}
}

// TestRefusalIsRemembered has everybody who asks in the next 10 s answered
// without the server, until something has changed.
func TestRefusalIsRemembered(t *testing.T) {
	server := newServer(t)
	server.Remove(clientID)
	src := newSource(t, server)
	now := time.Now()
	src.SetClock(func() time.Time { return now })
	wantRefused := func(step string, want helper.Want, remembered bool, refusals int) {
		t.Helper()
		_, err := src.Token(within(t, 5*time.Second), want)
		var refused *helper.RefusedError
		if !errors.As(err, &refused) || refused.Code != "invalid_client" || refused.Remembered != remembered {
			t.Errorf("%s: got %v, want a refusal, remembered: %v", step, err, remembered)
		}
		if server.Refusals() != refusals {
			t.Errorf("%s: got %d refusals, want %d", step, server.Refusals(), refusals)
		}
	}
	wantRefused("first", helper.Want{}, false, 1)
	opened := src.opened
	wantRefused("second", helper.Want{}, true, 1)
	if src.opened != opened {
		t.Error("the key's store was opened for a refusal that is known")
	}
	now = now.Add(10*time.Second - 1)
	wantRefused("9.9 s later", helper.Want{}, true, 1)
	now = now.Add(1)
	wantRefused("10 s later", helper.Want{}, false, 2)
	now = now.Add(-time.Second)
	wantRefused("clock set back", helper.Want{}, false, 3)
	// The config says nothing of the key: it is opened, and is the same.
	src.Profile.Fingerprint = ""
	wantRefused("unknown key", helper.Want{}, true, 3)
	// A file may have been replaced since the config was written.
	src.Profile.KeyID, src.Profile.Fingerprint = "", other().Fingerprint()
	wantRefused("pem", helper.Want{}, true, 3)
	began := now
	now = now.Add(time.Second)
	wantRefused("force", helper.Want{Force: true, Since: began}, false, 4)
	wantRefused("force, at the same time", helper.Want{Force: true, Since: began}, true, 4)
	wantRefused("force, later", helper.Want{Force: true, Since: now}, false, 5)
	// Another key is another matter.
	src.useKey(other())
	wantRefused("other key", helper.Want{}, false, 6)
	// The damaged file is no refusal.
	check(t, os.WriteFile(filepath.Join(src.CacheDir, src.Profile.CacheKey()+".refused"), []byte("{"), 0o600))
	wantRefused("damaged", helper.Want{}, false, 7)
	// login asks the server itself, and its success wipes it.
	src.useKey(ed())
	wantRefused("first key", helper.Want{}, false, 8)
	server.Add(alice())
	token, err := src.Exchange(within(t, 5*time.Second), ed().Signer())
	if err != nil {
		t.Fatal(err)
	}
	wantRefused("still remembered", helper.Want{}, true, 8)
	src.Keep(token)
	if got := src.get(t, helper.Want{}); got.Value != token.Value {
		t.Error("got another token than was kept")
	}
	src.Forget()
	src.get(t, helper.Want{})
	wantCounts(t, server, 2, 8)
}

// TestKeepWithoutExpiry wipes the refusal, though there is nothing to keep.
func TestKeepWithoutExpiry(t *testing.T) {
	server := newServer(t)
	server.Remove(clientID)
	src := newSource(t, server)
	if _, err := src.Token(within(t, 5*time.Second), helper.Want{}); err == nil {
		t.Fatal("got a token, want a refusal")
	}
	server.Add(alice())
	server.SetTokenFault(sfapitest.Without("expires_in"))
	src.Keep(must(src.Exchange(within(t, 5*time.Second), ed().Signer())))
	src.get(t, helper.Want{})
	wantCounts(t, server, 2, 1)
}

// TestLongToken wants the longest token that is taken to be kept, too.
func TestLongToken(t *testing.T) {
	server := newServer(t)
	server.SetTokenFault(sfapitest.With("access_token", strings.Repeat("A", 63<<10)))
	src := newSource(t, server)
	first := src.get(t, helper.Want{})
	if again := src.get(t, helper.Want{}); again.Value != first.Value {
		t.Error("got another token from the cache")
	}
	wantCounts(t, server, 1, 0)
}

// TestManyAtOnce has as many sources as there may be processes.
func TestManyAtOnce(t *testing.T) {
	t.Run("accepted", func(t *testing.T) {
		t.Parallel()
		server := newServer(t)
		tokens := atOnce(t, server, 200)
		for _, err := range tokens.errs {
			t.Errorf("got %v, want a token", err)
		}
		if len(tokens.values) != 1 {
			t.Errorf("got %d different tokens, want 1", len(tokens.values))
		}
		wantCounts(t, server, 1, 0)
	})
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		server := newServer(t)
		server.Remove(clientID)
		tokens := atOnce(t, server, 64)
		if len(tokens.errs) != 64 {
			t.Errorf("got %d errors, want 64", len(tokens.errs))
		}
		for _, err := range tokens.errs {
			if refused := (*helper.RefusedError)(nil); !errors.As(err, &refused) {
				t.Errorf("got %v, want a RefusedError", err)
			}
		}
		wantCounts(t, server, 0, 1)
	})
}

type outcomes struct {
	values map[string]bool
	errs   []error
}

// atOnce has n sources with one cold cache ask together.
func atOnce(t *testing.T, server *sfapitest.Server, n int) outcomes {
	t.Helper()
	cache := filepath.Join(t.TempDir(), "cache")
	start := make(chan struct{})
	out := outcomes{values: map[string]bool{}}
	var mu sync.Mutex
	var group sync.WaitGroup
	for range n {
		src := newSourceIn(t, server, cache)
		group.Go(func() {
			<-start
			token, err := src.Token(within(t, 60*time.Second), helper.Want{MinTTL: time.Minute})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				out.errs = append(out.errs, err)
				return
			}
			out.values[token.Value] = true
		})
	}
	close(start)
	group.Wait()
	return out
}

// TestNoTimeForTheKey has the deadline pass before the key is needed: that is
// not the key store's fault, which is not asked any more.
func TestNoTimeForTheKey(t *testing.T) {
	src := newSource(t, newServer(t))
	src.Signer = func(context.Context) (crypto.MessageSigner, error) {
		t.Error("the key store was asked")
		return nil, &keychain.Error{}
	}
	tooLate := errors.New("no answer within a moment")
	ctx, cancel := context.WithDeadlineCause(t.Context(), time.Now().Add(-time.Second), tooLate)
	defer cancel()
	_, err := src.Token(ctx, helper.Want{})
	if want := "wait for a turn to exchange: no answer within a moment"; err == nil || err.Error() != want || !errors.Is(err, tooLate) {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestSignerFails wants the error of the store as it is, and the lock free.
func TestSignerFails(t *testing.T) {
	server := newServer(t)
	src := newSource(t, server)
	locked := &keychain.Error{Store: "keychain", Reason: "the keychain is locked", Err: keychain.ErrLocked}
	src.Signer = func(context.Context) (crypto.MessageSigner, error) { return nil, locked }
	if _, err := src.Token(within(t, 5*time.Second), helper.Want{}); !errors.Is(err, keychain.ErrLocked) {
		t.Errorf("got %v, want %v", err, keychain.ErrLocked)
	}
	src.useKey(ed())
	src.get(t, helper.Want{})
	wantCounts(t, server, 1, 0)
}

// TestNobodyToWarn has the callbacks left out.
func TestNobodyToWarn(t *testing.T) {
	server := newServer(t)
	src := newSourceIn(t, server, filepath.Join(t.TempDir(), "no", "parent"))
	src.Warn, src.Trace = nil, nil
	src.get(t, helper.Want{})
}

// TestWaitUntil leaves 2 s, or half of a time that is under 4 s.
func TestWaitUntil(t *testing.T) {
	for total, left := range map[time.Duration]time.Duration{
		time.Minute: 2 * time.Second, 8 * time.Second: 2 * time.Second, 5 * time.Second: 2 * time.Second,
		3 * time.Second: 1500 * time.Millisecond, 2 * time.Second: time.Second,
	} {
		ctx := within(t, total)
		deadline, _ := ctx.Deadline()
		if got := deadline.Sub(helper.WaitUntil(ctx)); got > left || got < left-left/4 {
			t.Errorf("%s: got %s left, want %s", total, got, left)
		}
	}
	if got := time.Until(helper.WaitUntil(t.Context())); got <= 0 || got > time.Minute {
		t.Errorf("no deadline: got %s, want an end", got)
	}
}

// TestReminderDue wants one in a day, for all processes, and none where nobody
// could tell when the last one was.
func TestReminderDue(t *testing.T) {
	server := newServer(t)
	src := newSource(t, server)
	now := time.Now()
	src.SetClock(func() time.Time { return now })
	for _, step := range []struct {
		later time.Duration
		want  bool
	}{{0, true}, {time.Hour, false}, {23*time.Hour - time.Second, false}, {2 * time.Second, true}, {-48 * time.Hour, true}} {
		now = now.Add(step.later)
		if got := src.ReminderDue(); got != step.want {
			t.Errorf("%s later: got %v, want %v", step.later, got, step.want)
		}
	}
	check(t, os.WriteFile(filepath.Join(src.CacheDir, src.Profile.CacheKey()+".reminded"), []byte("soon"), 0o600))
	if !src.ReminderDue() {
		t.Error("damaged stamp: got none due")
	}
	if newSourceIn(t, server, "").ReminderDue() {
		t.Error("no cache: got one due")
	}
}
