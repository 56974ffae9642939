package main

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// clock is the keeper's.
func (k *keeping) clock() moment {
	k.mu.Lock()
	defer k.mu.Unlock()
	return moment{time.Now().Add(k.set + k.slept), time.Since(k.began) + k.slept}
}

// jump sets the clock.
func (k *keeping) jump(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.set += d
}

// sleep has the machine sleep.
func (k *keeping) sleep(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.slept += d
}

// A machine that has slept has a new token as soon as it looks at the clock; one
// whose clock was set has the next one in time.
func TestTimeJumpsKeeper(t *testing.T) {
	const minute = time.Minute
	soon := 2*minute + usualPace().wake
	const year = 366 * 24 * time.Hour
	for name, tt := range map[string]struct{ set, slept, first time.Duration }{ // 2 minutes after the first token
		"nothing":                 {0, 0, 8 * minute},
		"slept an hour":           {0, time.Hour, soon},
		"slept a week":            {0, 7 * 24 * time.Hour, soon},
		"slept 6 minutes":         {0, 6 * minute, soon},
		"slept 5 minutes":         {0, 5 * minute, 3 * minute},
		"ahead a year":            {year, 0, soon},
		"ahead a lifetime":        {80 * year, 0, soon},
		"back a second":           {-time.Second, 0, 8 * minute},
		"back an hour":            {-time.Hour, 0, 8 * minute},
		"back a year":             {-year, 0, 8 * minute},
		"back to the Sixties":     {-40 * year, 0, 8 * minute}, // from 2000, where synctest begins
		"slept an hour, and back": {-time.Hour, time.Hour, soon},
		"slept a week, and ahead": {time.Hour, 7 * 24 * time.Hour, soon},
	} {
		t.Run(name, func(t *testing.T) {
			keep(t, 10*minute, func(k *keeping) {
				time.Sleep(2 * minute)
				k.jump(tt.set)
				k.sleep(tt.slept)
				time.Sleep(tt.first - 2*minute + time.Millisecond)
				k.want(t, "token1\n")
				if tried := k.tried(); len(tried) != 1 || tried[0] > tt.first {
					t.Fatalf("renewed after %v, want once, after %s at most", tried, tt.first)
				}
				// And goes on as ever.
				time.Sleep(8 * minute)
				k.want(t, "token2\n")
				k.wantWarned(t)
			})
		})
	}
}

// Whatever is done to the clock, there is never a token in the file that has
// ended, but for the moment after a sleep until the clock is looked at; and a
// server is not asked more often than something has happened.
func TestTimeJumpsKeeperWalk(t *testing.T) {
	const life, walks, length = 10 * time.Minute, 40, 100
	steps := []time.Duration{time.Second, time.Minute, 9 * time.Minute, time.Hour, 9 * time.Hour, 400 * 24 * time.Hour}
	var looks, jumps, sleeps, renewals, ended, missing, eager int
	for seed := range uint64(walks) {
		r := rand.New(rand.NewPCG(seed, 7))
		keep(t, life, func(k *keeping) {
			var slept time.Duration
			got := map[string]time.Duration{"token0\n": 0} // when each token came, by the truth
			happened := 0
			for range length {
				time.Sleep(time.Duration(r.IntN(120)) * time.Second)
				step := steps[r.IntN(len(steps))]
				switch r.IntN(4) {
				case 0:
					k.jump(step)
					jumps, happened = jumps+1, happened+1
				case 1:
					k.jump(-step)
					jumps, happened = jumps+1, happened+1
				case 2:
					k.sleep(step)
					slept += step
					sleeps, happened = sleeps+1, happened+1
					time.Sleep(k.wake)
				}
				synctest.Wait()
				age := time.Since(k.began) + slept
				for i, at := range k.tried() {
					if name := "token" + strconv.Itoa(i+1) + "\n"; got[name] == 0 {
						got[name] = at + slept
					}
				}
				looks++
				switch text := k.shelf.read(); {
				case text == "":
					missing++
				case !strings.HasPrefix(text, "token") || age-got[text] >= life:
					ended++
				}
			}
			tries := len(k.tried())
			renewals += tries
			if tries > happened+int(time.Since(k.began)/(8*time.Minute)) {
				eager++
			}
		})
	}
	t.Logf("%d looks at the file, the clock set %d times and %d sleeps: %d renewals; tokens that had ended: %d, no token: %d, walks with more renewals than reasons: %d",
		looks, jumps, sleeps, renewals, ended, missing, eager)
	if ended != 0 || missing != 0 || eager != 0 {
		t.Error("want none of the last three")
	}
}
