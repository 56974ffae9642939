package main

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sfcred/helper"
)

// shelf is a place in memory.
type shelf struct {
	mu   sync.Mutex
	text []byte // nil: no file
	err  error  // of each write
}

func (s *shelf) WriteFile(_ string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.text = data
	}
	return s.err
}

func (s *shelf) RemoveOwn(_ string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if bytes.Equal(s.text, data) {
		s.text = nil
	}
	return nil
}

func (s *shelf) read() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.text)
}

func (s *shelf) setErr(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// keeping is a keeper at work, with a server that numbers its tokens.
type keeping struct {
	*keeper
	shelf *shelf
	life  time.Duration
	began time.Time

	mu     sync.Mutex
	set    time.Duration   // how far the clock was set ahead
	slept  time.Duration   // which timers do not see
	refuse error           // what the server answers instead
	tries  []time.Duration // since it began
	warned []string
}

// keep runs f beside a keeper of a first token, in time that passes at once.
func keep(t *testing.T, life time.Duration, f func(k *keeping)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		k := &keeping{shelf: &shelf{}, life: life, began: time.Now()}
		file := &tokenFile{path: "file", dir: k.shelf, closer: func() error { return nil }}
		k.keeper = &keeper{pace: usualPace(), file: file, renew: k.answer}
		k.keeper.warn = func(err error, _ time.Time, _ bool) {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.warned = append(k.warned, err.Error())
		}
		k.keeper.now = k.clock
		first := k.mint(0)
		if err := file.put(first.Value); err != nil {
			t.Fatal(err)
		}
		k.take(first, k.clock())
		ctx, cancel := context.WithCancel(t.Context())
		go k.run(ctx)
		f(k)
		cancel()
		synctest.Wait()
	})
}

func (k *keeping) mint(n int) helper.Token {
	t := helper.Token{Value: "token" + strconv.Itoa(n), Obtained: k.now().clock}
	if k.life != 0 {
		t.Expires = t.Obtained.Add(k.life)
	}
	return t
}

func (k *keeping) answer(context.Context, helper.Token) (helper.Token, error) {
	k.mu.Lock()
	k.tries = append(k.tries, time.Since(k.began))
	n, refuse := len(k.tries), k.refuse
	k.mu.Unlock()
	return k.mint(n), refuse
}

// refusing has the server answer with an error, or again with tokens.
func (k *keeping) refusing(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refuse = err
}

func (k *keeping) tried() []time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.tries)
}

func (k *keeping) wantWarned(t *testing.T, want ...string) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	if !slices.Equal(k.warned, want) {
		t.Errorf("warned %q, want %q", k.warned, want)
	}
}

func (k *keeping) want(t *testing.T, text string) {
	t.Helper()
	synctest.Wait()
	if got := k.shelf.read(); got != text {
		t.Errorf("after %s the file has %q, want %q", time.Since(k.began), got, text)
	}
}

func TestKeeperRenewsAhead(t *testing.T) {
	tests := []struct{ life, first time.Duration }{
		{10 * time.Minute, 8 * time.Minute},
		{time.Hour, 48 * time.Minute},
		{4 * time.Minute, 3 * time.Minute}, // a minute ahead
		{time.Minute, 30 * time.Second},    // and half of its life at most
		{2 * time.Second, time.Second},
		{0, 5 * time.Minute}, // no life is told
	}
	for _, tt := range tests {
		keep(t, tt.life, func(k *keeping) {
			time.Sleep(tt.first - time.Millisecond)
			k.want(t, "token0\n")
			time.Sleep(2 * time.Millisecond)
			k.want(t, "token1\n")
			time.Sleep(tt.first)
			k.want(t, "token2\n")
			if want := []time.Duration{tt.first, 2 * tt.first}; !slices.Equal(k.tried(), want) {
				t.Errorf("life %s: renewed after %v, want %v", tt.life, k.tried(), want)
			}
		})
	}
}

// A server that is away costs one warning, and tries that come more and more
// seldom; the old token stays until its end, and the next one comes when it can.
func TestKeeperOutage(t *testing.T) {
	keep(t, 10*time.Minute, func(k *keeping) {
		k.refusing(&helper.NetworkError{Doing: "post", Err: errors.New("down")})
		time.Sleep(10*time.Minute - time.Millisecond)
		k.want(t, "token0\n")
		time.Sleep(2 * time.Millisecond)
		k.want(t, "")
		time.Sleep(time.Hour)
		if n := len(k.tried()); n < 60 || n > 140 {
			t.Errorf("%d tries in 62 minutes, want about one a minute", n)
		}
		if pause := k.tried()[1] - k.tried()[0]; pause > time.Second {
			t.Errorf("the second try came after %s, want at most a second", pause)
		}
		k.refusing(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		k.want(t, "token"+strconv.Itoa(len(k.tried()))+"\n")
		k.wantWarned(t, "post: down")
		k.refusing(errors.New("again"))
		time.Sleep(9 * time.Minute)
		k.wantWarned(t, "post: down", "again")
	})
}

func TestKeeperSparesServerThatRefuses(t *testing.T) {
	keep(t, 10*time.Minute, func(k *keeping) {
		k.refusing(&profileError{"test", &helper.RefusedError{Code: "invalid_client"}})
		time.Sleep(9*time.Minute + 50*time.Second)
		if n := len(k.tried()); n < 2 || n > 4 {
			t.Errorf("%d tries in 110 s, want one in half a minute at most", n)
		}
		k.want(t, "token0\n")
		time.Sleep(11 * time.Second)
		k.want(t, "")
	})
}

// A disk that is full is as good as a server that is down: the token that stands
// is not touched.
func TestKeeperFullDisk(t *testing.T) {
	keep(t, 10*time.Minute, func(k *keeping) {
		k.shelf.setErr(errors.New("disk full"))
		time.Sleep(9 * time.Minute)
		k.want(t, "token0\n")
		k.shelf.setErr(nil)
		time.Sleep(time.Minute)
		k.want(t, "token"+strconv.Itoa(len(k.tried()))+"\n")
		k.wantWarned(t, "disk full")
	})
}

// A server whose tokens are over when they come is not asked all the time.
func TestKeeperUselessToken(t *testing.T) {
	keep(t, time.Nanosecond, func(k *keeping) {
		time.Sleep(10 * time.Second)
		if n := len(k.tried()); n > 21 {
			t.Errorf("%d tries in 10 s", n)
		}
	})
}

// When the command has ended, a renewal that was under way changes nothing.
func TestKeeperAfterTheEnd(t *testing.T) {
	keep(t, 10*time.Minute, func(k *keeping) {
		if err := k.file.close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(9 * time.Minute)
		k.want(t, "")
		if len(k.tried()) == 0 {
			t.Error("nothing was tried")
		}
	})
}
