package helper_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
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
