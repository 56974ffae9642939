package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// parseDuration reads what parseSpan does, or a plain number of seconds.
func parseDuration(text string) (time.Duration, error) {
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(n) * time.Second, nil
	}
	return parseSpan(text)
}

// parseSpan reads Go's form, also with days before it, of 24 hours each: 90s,
// 8h30m, 30d, 1d12h.
func parseSpan(text string) (time.Duration, error) {
	const day = 24 * time.Hour
	days, rest, hasDays := strings.Cut(text, "d")
	if !hasDays {
		days, rest = "0", text
	}
	n, err := strconv.ParseUint(days, 10, 31)
	var d time.Duration
	if err == nil && (rest != "" || !hasDays) {
		d, err = time.ParseDuration(rest)
	}
	if err != nil || d < 0 || n > uint64((math.MaxInt64-d)/day) {
		return 0, fmt.Errorf("%q is not a duration such as 90s, 10m, 8h or 30d", text)
	}
	return time.Duration(n)*day + d, nil
}

// shortDuration leaves out the zeros of "8h0m0s".
func shortDuration(d time.Duration) string {
	switch {
	case d == 0:
		return "0s"
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return d.String()
}
