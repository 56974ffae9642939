package main

import (
	"fmt"
	"time"

	"sfcred/helper"
)

// parseExpiry reads a time, a date (its end, in UTC) or a duration from now.
func parseExpiry(text string, now time.Time) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, text)
	if day, dayErr := time.Parse(time.DateOnly, text); dayErr == nil {
		at, err = day.Add(24*time.Hour-time.Second), nil
	}
	if d, spanErr := parseSpan(text); spanErr == nil {
		at, err = now.Add(d), nil
	}
	switch {
	case err != nil:
		return time.Time{}, fmt.Errorf("%q is neither a time (2026-12-31T12:00:00Z), a date, nor a duration such as 48h or 30d", text)
	case !at.After(now):
		return time.Time{}, fmt.Errorf("%q is in the past", text)
	case at.UTC().Year() > 9999: // for which RFC 3339 has no form
		return time.Time{}, fmt.Errorf("%q is beyond the year 9999", text)
	}
	return at.UTC().Truncate(time.Second), nil
}

// expiryFlag is what --expires says; zero if it is not there.
func expiryFlag(c flags) (time.Time, error) {
	if !c.IsSet("expires") {
		return time.Time{}, nil
	}
	at, err := parseExpiry(c.String("expires"), time.Now())
	if err != nil {
		return time.Time{}, &usageError{text: "--expires: " + err.Error()}
	}
	return at, nil
}

// remind tells a person, once a day, that the client is about to expire.
func (p *program) remind(profile *chosen) {
	if !isTerminal(p.stderr) {
		return
	}
	known := p.learnt(&profile.Profile)
	if known.Expires.IsZero() {
		known = helper.Learnt{Expires: clientExpiry(&profile.Profile, known)}
	}
	if !known.EndsSoon(time.Now()) || !p.source(profile.Profile, nil).ReminderDue() {
		return
	}
	p.warn(fmt.Sprintf("profile %q: the client expires %s", profile.name, expiryWords(&known.Expires, "")))
	if profile.Pending != nil { // it may be registered by now
		p.say("hint", fmt.Sprintf("sfcred login --profile %s --client-id CLIENT_ID", profile.name))
		return
	}
	p.say("hint", fmt.Sprintf("sfcred keygen --profile %s", profile.name))
}

// clientExpiry is when a profile's client expires, by what is known of it: the
// API's word, or else what the user has given by hand.
func clientExpiry(profile *helper.Profile, known helper.Learnt) time.Time {
	return firstTime(known.Expires, profile.Expires)
}

// warnOverruled tells that an expiry which was just given by hand does not count.
func (p *program) warnOverruled(profile *helper.Profile, given time.Time) {
	known := p.learnt(profile).Expires
	if known.IsZero() || known.Sub(given).Abs() <= time.Minute {
		return
	}
	p.warn(fmt.Sprintf("--expires does not count: the API says that the client %s", endWords(known)))
}

// endWords says when something ends.
func endWords(at time.Time) string {
	if isNever(at) {
		return "never expires"
	}
	return at.UTC().Format("expires 2006-01-02 15:04 UTC")
}

// isNever says whether a time is how servers say that there is none.
func isNever(at time.Time) bool { return at.Year() >= 9999 }

func firstTime(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}

// expiryWords says how long something lasts.
func expiryWords(at *time.Time, unknown string) string {
	if at == nil {
		return unknown
	}
	left := time.Until(*at)
	switch {
	case left <= 0:
		return "expired"
	case isNever(*at):
		return "never"
	case left < time.Hour:
		return fmt.Sprintf("in %dm%02ds", int(left.Minutes()), int(left.Seconds())%60)
	case left < 48*time.Hour:
		return fmt.Sprintf("in %d hours", int(left.Hours()))
	}
	return fmt.Sprintf("in %d days", int(left.Hours()/24))
}

// jsonTime is RFC 3339 in UTC and whole seconds, rounded down, or null.
func jsonTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Second)
	return &t
}
