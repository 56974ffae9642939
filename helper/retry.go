package helper

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"
)

// tries bounds how often one exchange is tried: a server that is down should
// cost about two seconds, not the whole deadline.
const tries = 4

// busyError is an answer that asks to come again.
type busyError struct {
	err   *AnswerError
	after time.Duration
}

func (e *busyError) Error() string { return e.err.Error() }
func (e *busyError) Unwrap() error { return e.err }

// retry calls f until it works, fails for good, or there is no time for
// another try.
func (s *Source) retry(ctx context.Context, f func() error) error {
	pause := 250 * time.Millisecond
	for try := 1; ; try++ {
		err := f()
		wait, again := comeAgain(err)
		if !again || try == tries || ctx.Err() != nil {
			return err
		}
		wait = max(wait, pause/2+rand.N(pause/2+1))
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= wait {
			return err
		}
		s.trace("%v; trying again in %s", err, wait.Round(time.Millisecond))
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
		pause *= 2
	}
}

// comeAgain says whether an error may pass by itself, and how long the server
// asked to wait.
func comeAgain(err error) (time.Duration, bool) {
	var busy *busyError
	if errors.As(err, &busy) {
		return busy.after, true
	}
	var network *NetworkError
	if !errors.As(err, &network) {
		return 0, false
	}
	// A certificate, a protocol or a name that is wrong now is wrong in a second
	// too.
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var alert tls.AlertError
	var record tls.RecordHeaderError
	lasting := errors.As(err, &certificate) || errors.As(err, &alert) || errors.As(err, &record) ||
		errors.Is(err, http.ErrSchemeMismatch) || errors.As(err, &dns) && dns.IsNotFound
	return 0, !lasting
}

// retryable lists the statuses that mean "not now" (RFC 9110 section 15.6, RFC
// 6585 section 4).
func retryable(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// retryAfter reads Retry-After in both forms (RFC 9110 section 10.2.3).
func retryAfter(h http.Header) time.Duration {
	const most = 24 * time.Hour // longer is the same as never
	text := h.Get("Retry-After")
	if n, err := strconv.ParseUint(text, 10, 31); err == nil || errors.Is(err, strconv.ErrRange) {
		return min(time.Duration(n)*time.Second, most)
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	// By the server's own clock where it tells, since ours may be off.
	now := time.Now()
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return min(max(0, at.Sub(now)), most)
}
