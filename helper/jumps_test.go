package helper_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sfcred/helper"
)

// machine is a machine whose clock is set now and then, and the truth about it.
type machine struct {
	wall time.Time     // by its clock
	up   time.Duration // since it was started, sleep included
	age  time.Duration // since the test began: the truth
}

func newMachine() *machine { return &machine{wall: time.Unix(1_800_000_000, 0), up: 40 * time.Hour} }

// pass lets time go by, awake or asleep.
func (m *machine) pass(d time.Duration) { m.wall, m.up, m.age = m.wall.Add(d), m.up+d, m.age+d }

// set sets the clock.
func (m *machine) set(d time.Duration) { m.wall = m.wall.Add(d) }

// restart takes a minute; the cache is on a disk.
func (m *machine) restart() { m.pass(time.Minute); m.up = 30 * time.Second }

// steps are how clocks are set: by a daemon that starts late, by hand, by a
// battery that was empty, by a zone taken for another.
var steps = []time.Duration{
	time.Hour, 2 * time.Hour, 9 * time.Hour, 11 * time.Second, time.Minute, 9 * time.Minute,
	30 * 24 * time.Hour, 56 * 365 * 24 * time.Hour, time.Second, 600 * time.Second,
}

// jump sets the clock by one of the steps and, now and then, back to the truth,
// so that times come a second time.
func (m *machine) jump(r *rand.Rand) {
	step := steps[r.IntN(len(steps))]
	switch r.IntN(3) {
	case 0:
		m.set(step)
	case 1:
		m.set(-step)
	case 2:
		m.wall = time.Unix(1_800_000_000, 0).Add(m.age)
	}
}

// slack is what a clock may be steered without being called set.
const slack = 10 * time.Second

// A token that has ended by the truth is never served, whatever is done to the
// clock between two commands and during an exchange, and none is said to last
// longer than it does; a refusal is not remembered longer than it may.
func TestTimeJumpsWalk(t *testing.T) {
	const life, walks, length = 600 * time.Second, 12, 150
	var asked, cached, exchanged, remembered, jumps, restarts, expired, toldLonger, tooOld int
	for seed := range uint64(walks) {
		r := rand.New(rand.NewPCG(seed, 7))
		m := newMachine()
		ends, spoken := map[string]time.Duration{}, time.Duration(0)
		refusing := false
		src := newSource(t, newServer(t))
		src.Profile.TokenURL = "https://x.example/token"
		src.SetClocks(func() time.Time { return m.wall }, func() time.Duration { return m.up })
		src.SetDo(func(*http.Request) (*http.Response, error) {
			exchanged++
			issued := m.age
			m.pass(time.Duration(r.IntN(5)) * time.Second)
			if r.IntN(4) == 0 {
				m.jump(r)
				jumps++
			}
			if refusing {
				spoken = m.age
				return reply(401, `{"error":"invalid_client"}`), nil
			}
			name := fmt.Sprintf("token-%d-%d", seed, exchanged)
			ends[name] = issued + life
			return reply(200, fmt.Sprintf(`{"access_token":%q,"token_type":"Bearer","expires_in":%d}`, name, int(life.Seconds()))), nil
		})
		for range length {
			switch n := r.IntN(20); {
			case n < 10:
				m.pass(time.Duration(r.IntN(120)) * time.Second)
			case n < 13:
				m.pass(time.Duration(r.IntN(4000)) * time.Second) // asleep, say
			case n < 17:
				m.jump(r)
				jumps++
			case n < 18:
				m.restart()
				restarts++
			default:
				refusing = !refusing
			}
			asked++
			before := exchanged
			want := helper.Want{MinTTL: time.Duration(r.IntN(2)) * time.Minute, Force: r.IntN(10) == 0, Since: m.wall}
			token, err := src.Token(within(t, 30*time.Second), want)
			var refused *helper.RefusedError
			switch {
			case errors.As(err, &refused):
				if exchanged == before {
					remembered++
				}
				if m.age-spoken > 10*time.Second+slack {
					tooOld++
				}
				continue
			case err != nil:
				t.Fatalf("got %v, want a token or a refusal", err)
			case exchanged == before:
				cached++
			}
			left := ends[token.Value] - m.age
			if left <= -slack {
				expired++
			}
			if token.Expires.Sub(m.wall) > left+slack {
				toldLonger++
			}
		}
	}
	t.Logf("asked %d times, with the clock set %d times and %d restarts: %d answers out of the cache, %d exchanges, %d remembered refusals; tokens that had ended: %d, said to last longer than they do: %d, refusals remembered too long: %d",
		asked, jumps, restarts, cached, exchanged, remembered, expired, toldLonger, tooOld)
	if expired != 0 || toldLonger != 0 || tooOld != 0 {
		t.Error("want none of the last three")
	}
	if cached < asked/5 || remembered == 0 || exchanged < asked/5 {
		t.Error("the walks do not show much")
	}
}

// oddTimes are what a clock may say that was never set, or set wrongly.
var oddTimes = map[string]time.Time{
	"year 1":         time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC),
	"1901":           time.Unix(-1<<31, 0),
	"a moment early": time.Unix(-1, 0),
	"1970":           time.Unix(0, 0),
	"1980":           time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC),
	"2038":           time.Unix(1<<31, 0),
	"2106":           time.Unix(1<<32, 0),
	"2262":           time.Unix(0, 1<<63-1),
	"2263":           time.Date(2263, 1, 1, 0, 0, 0, 0, time.UTC),
	"year 9999":      time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
	"year 11111":     time.Date(11111, 1, 1, 0, 0, 0, 0, time.UTC),
}

// An exchange in whatever year ends in a token or in an error that says what is
// wrong, and leaves nothing behind that another year takes for its own.
func TestTimeJumpsOddYears(t *testing.T) {
	served, refusals, wrong := 0, 0, 0
	for name, odd := range oddTimes {
		src := newSource(t, newTLSServer(t)) // which has the right time
		at, up := odd, 40*time.Hour
		src.SetClocks(func() time.Time { return at }, func() time.Duration { return up })
		token, err := src.Token(within(t, 8*time.Second), helper.Want{})
		var refused *helper.RefusedError
		switch {
		case errors.As(err, &refused):
			refusals++
			wantSkewWords(t, err, "this machine's clock is ")
		case err != nil:
			t.Errorf("%s: got %v, want a refusal that names the difference", name, err)
		default:
			served++
			if left := token.Expires.Sub(at); left > 600*time.Second || left < 590*time.Second {
				t.Errorf("%s: got %s left, want 600s", name, left)
			}
		}
		// The clock is set right: what is in the cache is of another time.
		at = time.Now()
		if _, ok := src.Cached(helper.Want{}); ok {
			wrong++
			t.Errorf("%s: got a token of then", name)
		}
		src.get(t, helper.Want{})
	}
	t.Logf("%d odd years: %d tokens, %d refusals that name the difference; tokens served in another year: %d", len(oddTimes), served, refusals, wrong)
}

// Who waits for another process's exchange is not led astray by a clock that is
// set meanwhile: both have the one token, in time, and say rightly when it ends.
func TestTimeJumpsWaiting(t *testing.T) {
	t.Parallel()
	jumps := map[string]time.Duration{
		"back a minute": -time.Minute, "back a year": -366 * 24 * time.Hour, "back to the Seventies": -50 * 366 * 24 * time.Hour,
		"ahead a minute": time.Minute, "ahead an hour": time.Hour, "ahead a year": 366 * 24 * time.Hour, "not": 0,
	}
	together(t, jumps, func(t *testing.T, jump time.Duration) {
		server := newServer(t)
		var set atomic.Int64
		clock := func() time.Time { return time.Now().Add(time.Duration(set.Load())) }
		uptime := func() time.Duration { up, _ := helper.Uptime(); return up }
		first, second := newSource(t, server), newSource(t, server)
		second.CacheDir = first.CacheDir
		first.SetClocks(clock, uptime)
		second.SetClocks(clock, uptime)
		asked, answer := make(chan struct{}), make(chan struct{})
		first.SetDo(func(*http.Request) (*http.Response, error) {
			close(asked)
			<-answer
			return reply(200, `{"access_token":"first","token_type":"Bearer","expires_in":600}`), nil
		})
		second.SetDo(func(*http.Request) (*http.Response, error) {
			return reply(200, `{"access_token":"second","token_type":"Bearer","expires_in":600}`), nil
		})
		get := func(src *source) {
			token, err := src.Token(within(t, 20*time.Second), helper.Want{})
			if err != nil || token.Value != "first" {
				t.Errorf("got the token %q, %v, want the first", token.Value, err)
			}
			if left := token.Expires.Sub(clock()); jump != 0 && (left > 600*time.Second || left < 500*time.Second) {
				t.Errorf("got %s left, want about 600s", left)
			}
		}
		var group sync.WaitGroup
		group.Go(func() { get(first) })
		<-asked
		group.Go(func() { get(second) })
		time.Sleep(100 * time.Millisecond) // by when it waits, most likely
		set.Store(int64(jump))
		close(answer)
		group.Wait()
	})
}

// The clock that is set between two tries moves neither the deadline nor the
// pause, and each assertion is of the time that the clock has.
func TestTimeJumpsRetrying(t *testing.T) {
	tries, late := 0, 0
	for _, jump := range []time.Duration{0, -time.Second, -time.Hour, -366 * 24 * time.Hour, time.Second, time.Hour, 366 * 24 * time.Hour} {
		for _, after := range []string{"", "1", "30", "date", "Fri, 31 Dec 9999 23:59:59 GMT"} {
			src := newSource(t, newServer(t))
			src.Profile.TokenURL = "https://x.example/token"
			synctest.Test(t, func(t *testing.T) {
				began, set := time.Now(), time.Duration(0)
				clock := func() time.Time { return time.Now().Add(set) }
				src.SetClocks(clock, func() time.Duration { return time.Since(began) })
				src.SetDo(func(r *http.Request) (*http.Response, error) {
					tries++
					check(t, r.ParseForm())
					if iat := claimsOf(t, r.PostForm.Get("client_assertion")).Iat; iat != clock().Unix() {
						t.Errorf("got an assertion of %s, want of %s", time.Unix(iat, 0), clock())
					}
					set += jump
					answer := reply(503, "")
					answer.Header.Set("Retry-After", after)
					if after == "date" { // by the server's time, which is right
						answer.Header.Set("Date", began.UTC().Format(http.TimeFormat))
						answer.Header.Set("Retry-After", began.Add(time.Second).UTC().Format(http.TimeFormat))
					}
					return answer, nil
				})
				ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
				defer cancel()
				_, err := src.Exchange(ctx, ed().Signer())
				var busy *helper.AnswerError
				if took := time.Since(began); !errors.As(err, &busy) || took > 8*time.Second {
					late++
					t.Errorf("set by %s at each try, Retry-After %q: got %v after %s, want a busy server within 8s", jump, after, err, took)
				}
			})
		}
	}
	t.Logf("%d tries, the clock set at each; exchanges that ended late or otherwise than they should: %d", tries, late)
}

// What lies in the cache with a date in the future, or from before there were
// such files, is neither served nor obeyed, and is replaced.
func TestTimeJumpsFuture(t *testing.T) {
	files, obeyed := 0, 0
	for _, ahead := range []time.Duration{time.Minute, time.Hour, 400 * 24 * time.Hour, 80 * 366 * 24 * time.Hour, -56 * 366 * 24 * time.Hour} {
		server := newServer(t)
		src := newSource(t, server)
		then := time.Now().Add(ahead)
		up, _ := helper.Uptime()
		at := then
		src.SetClocks(func() time.Time { return at }, func() time.Duration { return up })
		src.Keep(helper.Token{Value: "cached-then", Obtained: then, Expires: then.Add(600 * time.Second)})
		src.ReminderDue()
		server.Remove(clientID)
		if _, err := src.Token(within(t, 8*time.Second), helper.Want{Force: true, Since: at}); err == nil {
			t.Fatal("got a token, want a refusal to be remembered")
		}
		server.Add(alice())
		// A file's own date counts for nothing.
		entries := must(os.ReadDir(src.CacheDir))
		for _, e := range entries {
			check(t, os.Chtimes(filepath.Join(src.CacheDir, e.Name()), then, then))
			files++
		}
		at = time.Now()
		if got := src.LastObtained(); !got.Equal(then) { // a clock that is behind shows by it
			t.Errorf("%s ahead: last obtained %s, want %s", ahead, got, then)
		}
		if token := src.get(t, helper.Want{}); isCached(token) {
			obeyed++
			t.Errorf("%s ahead: got the token of then", ahead)
		}
		if !src.ReminderDue() || src.ReminderDue() {
			obeyed++
			t.Errorf("%s ahead: want one reminder due, and no more", ahead)
		}
		before := server.Exchanges()
		src.get(t, helper.Want{})
		if server.Exchanges() != before {
			t.Errorf("%s ahead: the new token was not kept", ahead)
		}
	}
	t.Logf("%d files of another time; tokens served and reminders withheld because of them: %d", files, obeyed)
	// What was learnt of a client in the future does not hide that it ends.
	now := time.Now()
	for _, first := range []time.Duration{0, -time.Hour, 24 * time.Hour, 100 * 366 * 24 * time.Hour} {
		l := helper.Learnt{Expires: now.Add(time.Hour), First: now.Add(first), Seen: now.Add(first), Worked: now.Add(first)}
		if !l.EndsSoon(now) {
			t.Errorf("first seen %s ahead: a client that expires in an hour does not end soon", first)
		}
	}
}
