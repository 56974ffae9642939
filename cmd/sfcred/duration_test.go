package main

import (
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	const day = 24 * time.Hour
	good := map[string]time.Duration{
		"90": 90 * time.Second, "0": 0, "90s": 90 * time.Second, "8h30m": 8*time.Hour + 30*time.Minute, "100ms": 100 * time.Millisecond,
		"1d": day, "30d": 30 * day, "1d12h": 36 * time.Hour, "106751d": 106751 * day,
	}
	for text, want := range good {
		if got, err := parseDuration(text); err != nil || got != want {
			t.Errorf("%q: got %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "d", "-1d", "1d-2h", "-5s", "1.5d", "1dd", "1d ", "12h1d", "106752d", "106751d24h", "9999999999d", "soon"} {
		if got, err := parseDuration(text); err == nil || got != 0 {
			t.Errorf("%q: got %v, %v; want an error", text, got, err)
		}
	}
	// Of a client's expiry a plain number could be anything.
	if got, err := parseSpan("30"); err == nil {
		t.Errorf("span 30: got %v", got)
	}
}
