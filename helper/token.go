package helper

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// Token is an access token and what is known of it. All times are in the frame
// of the local clock.
type Token struct {
	Value string // never in a log, an error or an argument
	// Obtained is when the exchange that gave it began.
	Obtained time.Time
	// Expires is zero where the server did not say.
	Expires time.Time
}

// left is how long the token is still good for.
func (t Token) left(now time.Time) time.Duration { return t.Expires.Sub(now) }

// lasts says whether the token may be served to somebody who needs it for min.
// min counts as at most half of the token's life, so that a caller who asks
// for more than the server ever gives is not sent to the server each time.
func (t Token) lasts(now time.Time, min time.Duration) bool {
	if life := t.Expires.Sub(t.Obtained); min > life/2 {
		min = life / 2
	}
	return t.valid(now) && t.left(now) >= min
}

// valid says whether the token can still be used. One that was obtained in the
// future is not ours to trust: the clock was set back, and its expiry says
// nothing.
func (t Token) valid(now time.Time) bool {
	const jitter = 2 * time.Second // clocks are stepped that much all the time
	return t.left(now) > 0 && !t.Obtained.After(now.Add(jitter))
}

// HelperExpiry is the expiry to tell other programs: 30 s early, since most use
// a token to its last moment, but never so early that a short-lived token
// seems to have expired before it was handed over. Zero if it is not known.
func (t Token) HelperExpiry(now time.Time) time.Time {
	if t.Expires.IsZero() {
		return t.Expires
	}
	return t.Expires.Add(-min(30*time.Second, max(0, t.left(now)/2)))
}

// claims are those of an access token that is a JWT (RFC 9068). The token is
// not verified: it came from the server itself, and they are only shown.
type claims struct {
	Scope  scopeClaim `json:"scope"`
	Expiry float64    `json:"exp"` // Unix seconds by the server's clock
}

func (t Token) claims() claims {
	var c claims
	parts := strings.Split(t.Value, ".")
	if len(parts) != 3 {
		return c
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(payload, &c) != nil {
		return claims{}
	}
	return c
}

// User is the login name that the service writes into a token's scope claim as
// "un:NAME", or "".
func (t Token) User() string {
	for _, s := range t.claims().Scope {
		if name, ok := strings.CutPrefix(s, "un:"); ok {
			return printable(name)
		}
	}
	return ""
}

// ClaimedExpiry is when the token ends by its own word and the server's clock;
// zero where it does not say.
func (t Token) ClaimedExpiry() time.Time {
	const most = 253402300799 // the year 9999
	exp := t.claims().Expiry
	if exp < 1 || exp > most {
		return time.Time{}
	}
	return time.Unix(int64(exp), 0)
}

// scopeClaim is a list (as Connect2id writes it) or one string with blanks
// between (RFC 8693 section 4.2).
type scopeClaim []string

func (s *scopeClaim) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*s = strings.Fields(one)
		return nil
	}
	return json.Unmarshal(b, (*[]string)(s))
}

// CheckToken refuses a token that could not stand in a header, or would end a
// line in it: what writes tokens for other programs asks once more.
func CheckToken(value string) error {
	if !sendable(value) {
		return errors.New("the token cannot stand in a header")
	}
	return nil
}

// sendable says whether a token can stand in a header: visible ASCII (RFC 6749
// appendix A.12), without blanks, so that it stays one word for a shell too, and
// no more than any server takes.
func sendable(token string) bool {
	return token != "" && len(token) <= tokenLimit && !strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' })
}
