package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"sfcred/helper"
)

// pace is how eagerly tokens are renewed.
type pace struct {
	ahead func(life time.Duration) time.Duration // of a token's end
	least time.Duration                          // between two renewals, whatever the tokens say
	first time.Duration                          // pause after a failure; it doubles
	most  time.Duration                          // that it grows to
	wake  time.Duration                          // how long to sleep at most
	blind time.Duration                          // a token's life where the server tells none
}

// usualPace renews when four fifths of a token's life are over, so that who has
// read it can use it for a while, and a server may be away for some time; a
// minute before its end at the latest, unless that is more than half of its
// life. Timers stand still while a machine sleeps, so the clock is looked at
// every 5 s: who comes back to a laptop finds a token that has ended no longer
// than that. The life of a token that tells none is taken to be half of the
// service's ten minutes.
func usualPace() pace {
	return pace{
		ahead: func(life time.Duration) time.Duration { return min(max(life/5, time.Minute), life/2) },
		least: 500 * time.Millisecond,
		first: time.Second,
		most:  time.Minute,
		wake:  5 * time.Second,
		blind: 5 * time.Minute,
	}
}

// keeper keeps the token in a file fresh.
type keeper struct {
	pace
	file  *tokenFile
	renew func(context.Context, helper.Token) (helper.Token, error) // gives a newer one
	warn  func(err error, ends time.Time, over bool)                // once for each time of failures
	now   func() moment                                             // but in tests, that of the machine

	token helper.Token
	due   moment        // to be renewed
	ends  moment        // of the token's life; zero: it is not known
	pause time.Duration // since the last failure; 0: there was none
}

// moment is a time by the clock, and by how long the machine has been up: the
// clock may be set back, and both may have missed something that the other has
// not. The timers of Go stand still while a machine sleeps.
type moment struct {
	clock time.Time
	up    time.Duration
}

// thisMoment is now. Where the machine does not tell how long it has been up, the
// clock is all there is.
func thisMoment() moment {
	now := time.Now()
	up, ok := helper.Uptime()
	if !ok {
		up = time.Duration(now.UnixNano())
	}
	return moment{now.Round(0), up}
}

func (m moment) add(d time.Duration) moment { return moment{m.clock.Add(d), m.up + d} }

// left is how long it is to a moment by whichever comes first.
func (m moment) left(now moment) time.Duration { return min(m.clock.Sub(now.clock), m.up-now.up) }

func (m moment) reached(now moment) bool { return m.left(now) <= 0 }

// newKeeper keeps t fresh in a file.
func (p *program) newKeeper(file *tokenFile, t helper.Token) *keeper {
	k := &keeper{pace: p.pace, file: file, renew: p.renewal(), warn: p.warnNotRenewed(file), now: thisMoment}
	k.take(t, k.now())
	return k
}

// run renews until ctx ends.
func (k *keeper) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(k.step(ctx)):
		}
	}
}

// step does what is due, and says when to come again.
func (k *keeper) step(ctx context.Context) time.Duration {
	if k.due.reached(k.now()) {
		k.try(ctx)
	}
	now := k.now()
	if k.over(now) {
		// Who finds no file knows what is wrong; who finds an old token blames
		// the service that refuses it.
		_ = k.file.clear() // again in a while
	}
	next := min(k.wake, k.due.left(now))
	if k.ends != (moment{}) && !k.over(now) {
		next = min(next, k.ends.left(now))
	}
	return next
}

// try renews once.
func (k *keeper) try(ctx context.Context) {
	t, err := k.renew(ctx, k.token)
	if err == nil {
		err = k.file.put(t.Value)
	}
	now := k.now()
	switch {
	case ctx.Err() != nil: // the command has ended
	case err != nil:
		if k.pause == 0 {
			k.warn(err, k.ends.clock, k.over(now))
		}
		k.fail(err, now)
	default:
		k.take(t, now)
		k.pause = 0
		if k.due.left(now) < k.least {
			k.due = now.add(k.least)
		}
	}
}

// take has a token be the one in the file.
func (k *keeper) take(t helper.Token, now moment) {
	k.token, k.ends, k.due = t, moment{}, now.add(k.blind)
	if !t.Expires.IsZero() {
		k.ends = now.add(t.Expires.Round(0).Sub(now.clock))
		k.due = k.ends.add(-k.ahead(t.Expires.Sub(t.Obtained)))
	}
}

// fail puts the next try off. A refusal does not pass by itself, so the server
// is spared.
func (k *keeper) fail(err error, now moment) {
	k.pause = min(max(2*k.pause, k.first), k.most)
	if errors.As(err, new(*helper.RefusedError)) {
		k.pause = k.most
	}
	k.due = now.add(k.pause/2 + rand.N(k.pause/2+1))
}

func (k *keeper) over(now moment) bool { return k.ends != (moment{}) && k.ends.reached(now) }

// renewal gives tokens newer than the one at hand. The profile is read anew each
// time, since its client does not live for ever; and program is a copy, so that
// a signal which ends a try does not end more.
func (p *program) renewal() func(context.Context, helper.Token) (helper.Token, error) {
	mine, last := *p, ""
	return func(ctx context.Context, old helper.Token) (helper.Token, error) {
		profile, err := mine.choose()
		if err != nil {
			return helper.Token{}, err
		}
		source := mine.source(profile.Profile, profile.open)
		source.Warn = func(text string) { // each time the same would be a nuisance
			if text != last {
				mine.warn(text)
			}
			last = text
		}
		ctx, cancel := mine.inTime(ctx)
		defer cancel()
		t, err := source.Token(ctx, helper.Want{Force: true, Since: old.Obtained})
		if err != nil {
			return helper.Token{}, &profileError{profile.name, mine.explain(profile.name, source, askedAt{}, err)}
		}
		return t, nil
	}
}

// warnNotRenewed tells a person that a token could not be renewed, and what
// becomes of it.
func (p *program) warnNotRenewed(file *tokenFile) func(error, time.Time, bool) {
	return func(err error, ends time.Time, over bool) {
		fate := "the old one stays"
		switch {
		case over:
			fate = "the old one has ended, and there is no file until there is a new one"
		case !ends.IsZero():
			fate = "the old one lasts until " + clockTime(ends) + ", and then the file goes"
		}
		p.warn(fmt.Sprintf("renew the token in %s: %v; %s", file.path, err, fate))
		for _, hint := range p.hints(err) {
			p.say("hint", hint)
		}
	}
}
