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
// every 30 s. The life of a token that tells none is taken to be half of the
// service's ten minutes.
func usualPace() pace {
	return pace{
		ahead: func(life time.Duration) time.Duration { return min(max(life/5, time.Minute), life/2) },
		least: 500 * time.Millisecond,
		first: time.Second,
		most:  time.Minute,
		wake:  30 * time.Second,
		blind: 5 * time.Minute,
	}
}

// keeper keeps the token in a file fresh.
type keeper struct {
	pace
	file  *tokenFile
	renew func(context.Context, helper.Token) (helper.Token, error) // gives a newer one
	warn  func(err error, ends time.Time)                           // once for each time of failures

	token helper.Token
	due   time.Time     // to be renewed
	ends  time.Time     // of the token's life; zero: it is not known
	pause time.Duration // since the last failure; 0: there was none
}

// newKeeper keeps t fresh in a file.
func (p *program) newKeeper(file *tokenFile, t helper.Token) *keeper {
	k := &keeper{pace: p.pace, file: file, renew: p.renewal(), warn: p.warnNotRenewed(file)}
	k.take(t, time.Now())
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
	if reached(k.due, time.Now()) {
		k.try(ctx)
	}
	now := time.Now()
	if k.over(now) {
		// Who finds no file knows what is wrong; who finds an old token blames
		// the service that refuses it.
		_ = k.file.clear() // again in a while
	}
	next := min(k.wake, k.due.Sub(now))
	if !k.ends.IsZero() && !k.over(now) {
		next = min(next, k.ends.Sub(now))
	}
	return next
}

// try renews once.
func (k *keeper) try(ctx context.Context) {
	t, err := k.renew(ctx, k.token)
	if err == nil {
		err = k.file.put(t.Value)
	}
	now := time.Now()
	switch {
	case ctx.Err() != nil: // the command has ended
	case err != nil:
		if k.pause == 0 {
			k.warn(err, k.ends)
		}
		k.fail(err, now)
	default:
		k.take(t, now)
		k.pause = 0
		if soon := now.Add(k.least); k.due.Before(soon) {
			k.due = soon
		}
	}
}

// take has a token be the one in the file.
func (k *keeper) take(t helper.Token, now time.Time) {
	k.token, k.ends, k.due = t, time.Time{}, now.Add(k.blind)
	if !t.Expires.IsZero() {
		k.ends = now.Add(t.Expires.Round(0).Sub(now.Round(0)))
		k.due = k.ends.Add(-k.ahead(t.Expires.Sub(t.Obtained)))
	}
}

// fail puts the next try off. A refusal does not pass by itself, so the server
// is spared.
func (k *keeper) fail(err error, now time.Time) {
	k.pause = min(max(2*k.pause, k.first), k.most)
	if errors.As(err, new(*helper.RefusedError)) {
		k.pause = k.most
	}
	k.due = now.Add(k.pause/2 + rand.N(k.pause/2+1))
}

func (k *keeper) over(now time.Time) bool { return !k.ends.IsZero() && reached(k.ends, now) }

// reached says whether a time has come, by the clock or by the time that has
// passed: the clock goes on while the machine sleeps, and may be set back.
func reached(at, now time.Time) bool { return !now.Before(at) || !now.Round(0).Before(at.Round(0)) }

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
func (p *program) warnNotRenewed(file *tokenFile) func(error, time.Time) {
	return func(err error, ends time.Time) {
		fate := "the old one stays"
		switch {
		case !ends.IsZero() && reached(ends, time.Now()):
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
