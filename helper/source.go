// Package helper is the engine of sfcred: it turns a profile and a signer into
// access tokens, and says where a token may go.
//
// It makes RFC 7523 client assertions, exchanges them at the profile's token
// endpoint (RFC 6749 section 4.4), keeps tokens in a private cache that all
// processes of a user share, and lets one of them exchange for all that ask at
// once. It also keeps the config file, in which profiles are.
//
// It trusts the operating system's certificates and those of the profile's CA
// file, the clock within bounds, and files that only the user or root could
// have written. It knows no caller's protocol and no OS keychain: keys reach it
// as signers, and the environment as values.
package helper

import (
	"cmp"
	"context"
	"crypto"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"sfcred/keychain"
	"sfcred/keychain/jose"
)

// Source gives the tokens of one profile.
type Source struct {
	// Profile must have passed Check.
	Profile Profile
	// Signer opens the profile's key. It is called at most once for a token,
	// and never for one out of the cache.
	Signer func(context.Context) (crypto.MessageSigner, error)
	// CacheDir is the token cache's directory; empty means no cache.
	CacheDir string
	// Proxy chooses the proxy of a request, as in http.Transport.
	Proxy func(*http.Request) (*url.URL, error)
	// CAFiles are PEM files trusted beside the system's and the profile's.
	CAFiles []string
	// UserAgent is sent with each request.
	UserAgent string
	// Warn tells a person what went wrong though the answer is right; nil: nobody.
	Warn func(string)
	// Trace tells what is being done, without secrets; nil: nobody.
	Trace func(string)

	now func() time.Time     // for tests; nil: time.Now
	up  func() time.Duration // for tests; nil: Uptime
	do  doer                 // for tests; nil: the network

	from atomic.Value // a netip.Prefix, see From
	key  string       // see Key
}

// Want says what a caller wants of a token.
type Want struct {
	// MinTTL is how long the token must last, counted as at most half its life.
	MinTTL time.Duration
	// Force refuses a token whose exchange began before Since.
	Force bool
	// Since is when the command that asks was started.
	Since time.Time
}

// Token gives a token: out of the cache where there is one that lasts, else by
// an exchange that serves all processes that ask at the same time. Where the
// key or the server is out of reach and the cached token is still valid, it
// gives that, with a warning.
func (s *Source) Token(ctx context.Context, want Want) (Token, error) {
	e, err := s.openEntry()
	if err != nil {
		s.warn("%v; tokens are not kept", err)
	}
	defer e.close()
	cached, ok := e.token()
	if ok && s.serves(cached, want) {
		return cached, nil
	}
	t, err := s.fetch(ctx, e, want)
	if err == nil {
		return t, nil
	}
	if ok && cached.valid(s.clock()) && outOfReach(err) && !want.Force && ctx.Err() != context.Canceled {
		s.warn("%v; the cached token is still valid for %s", err, cached.left(s.clock()).Round(time.Second))
		return cached, nil
	}
	return Token{}, err
}

// outOfReach says whether an error is the key store's or the network's, which
// may pass by itself. A refusal or a mistake in the profile does not.
func outOfReach(err error) bool {
	var (
		store   *keychain.Error
		network *NetworkError
		answer  *AnswerError
	)
	return errors.As(err, &store) || errors.As(err, &network) || errors.As(err, &answer) ||
		errors.Is(err, context.DeadlineExceeded)
}

// serves says whether a cached token answers the request.
func (s *Source) serves(t Token, want Want) bool {
	if want.Force {
		return t.Obtained.After(want.Since) && t.valid(s.clock())
	}
	return t.lasts(s.clock(), want.MinTTL)
}

// fetch exchanges, one process at a time.
func (s *Source) fetch(ctx context.Context, e entry, want Want) (Token, error) {
	unlock, t, err := s.turn(ctx, e, want)
	if unlock == nil {
		return t, err
	}
	defer unlock()
	if ctx.Err() != nil { // or the key store would be blamed for it
		return Token{}, fmt.Errorf("wait for a turn to exchange: %w", cmp.Or(late(ctx), ctx.Err()))
	}
	signer, err := s.Signer(ctx)
	if err != nil {
		return Token{}, err
	}
	fingerprint, err := jose.Fingerprint(signer.Public())
	if err != nil {
		return Token{}, err
	}
	s.key = fingerprint
	if err := s.remembered(e, fingerprint, want); err != nil {
		return Token{}, err
	}
	return s.renew(ctx, e, signer, fingerprint)
}

// renew exchanges and keeps what came of it.
func (s *Source) renew(ctx context.Context, e entry, signer crypto.MessageSigner, fingerprint string) (Token, error) {
	began := s.clock()
	t, err := s.exchange(ctx, signer)
	var refused *RefusedError
	if errors.As(err, &refused) {
		e.refuse(fingerprint, began, s.clock(), refused)
	}
	if err != nil {
		return Token{}, err
	}
	if err := e.keep(t); err != nil {
		s.warn("token cache: %v; the token is not kept", err)
	}
	return t, nil
}

// Exchange asks the server itself, whatever the cache holds, and keeps nothing:
// login does it before there is a profile.
func (s *Source) Exchange(ctx context.Context, signer crypto.MessageSigner) (Token, error) {
	var err error
	if s.key, err = jose.Fingerprint(signer.Public()); err != nil {
		return Token{}, err
	}
	return s.exchange(ctx, signer)
}

// Key is the fingerprint of the key that was last used, or that would be where
// the config is sure of it; "" where it is not known.
func (s *Source) Key() string { return cmp.Or(s.key, s.knownFingerprint()) }

// Keep puts a token into the cache and wipes a remembered refusal.
func (s *Source) Keep(t Token) {
	e, err := s.openEntry()
	if err == nil {
		defer e.close()
		err = e.keep(t)
	}
	if err != nil {
		s.warn("%v; the token is not kept", err)
	}
}

// Cached gives the token in the cache if it answers the request: the warm path.
// It asks nobody, waits for nobody and says nothing.
func (s *Source) Cached(want Want) (Token, bool) {
	e, err := s.openEntry()
	if err != nil {
		return Token{}, false
	}
	defer e.close()
	t, ok := e.token()
	return t, ok && s.serves(t, want)
}

// LastObtained is when the exchange began that gave the token in the cache,
// which may have expired long ago, or be of before the clock was set; zero where
// there is none.
func (s *Source) LastObtained() time.Time {
	e, err := s.openEntry()
	if err != nil {
		return time.Time{}
	}
	defer e.close()
	t, _, _ := e.last()
	return t.Obtained
}

// Forget drops what the cache holds for the profile.
func (s *Source) Forget() error {
	e, err := s.openEntry()
	if err != nil {
		return nil // nothing of ours is there
	}
	defer e.close()
	if err := e.forget(); err != nil {
		return fmt.Errorf("token cache %q: %w", s.CacheDir, err)
	}
	return nil
}

// ReminderDue says whether a person may be reminded of something about the
// client: once a day, whichever process asks.
func (s *Source) ReminderDue() bool {
	e, err := s.openEntry()
	if err != nil {
		return false
	}
	defer e.close()
	return e.remind(s.clock())
}

// remembered gives a refusal of a moment ago that answers this request too.
func (s *Source) remembered(e entry, fingerprint string, want Want) error {
	refused, began := e.refused(fingerprint, s.clock())
	if refused == nil || want.Force && !began.After(want.Since) {
		return nil
	}
	refused.Remembered = true
	return refused
}

// turn waits until it is this process's turn to exchange and returns unlock, or
// returns another process's answer with a nil unlock. It waits until 2 s before
// the deadline (half of the time, where that is under 4 s) and then goes on
// alone: a lock saves work, it is not a right.
func (s *Source) turn(ctx context.Context, e entry, want Want) (unlock func(), t Token, err error) {
	alone := func() {}
	if e.dir == nil {
		return alone, Token{}, nil
	}
	patience, stop := context.WithDeadline(ctx, waitUntil(ctx))
	defer stop()
	for {
		unlock, _, err := e.dir.TryLock(e.key + ".lock")
		if err != nil {
			s.trace("token cache: lock: %v", err)
			return alone, Token{}, nil
		}
		if t, err, ok := s.settled(e, want); ok {
			if unlock != nil {
				unlock()
			}
			return nil, t, err
		}
		if unlock != nil { // the lock is ours
			return unlock, Token{}, nil
		}
		waitErr := e.dir.AwaitUnlock(patience, e.key+".lock")
		if waitErr != nil && ctx.Err() != nil {
			return nil, Token{}, fmt.Errorf("wait for another process's exchange: %w", cmp.Or(late(ctx), ctx.Err()))
		}
		// Also where the wait was in vain: one who went on alone before us may have
		// a token for all.
		if t, err, ok := s.settled(e, want); ok {
			return nil, t, err
		}
		if waitErr != nil {
			return alone, Token{}, nil
		}
	}
}

// settled says whether the cache answers the request by now: with a token, or
// with a refusal of a key that is known without opening its store.
func (s *Source) settled(e entry, want Want) (Token, error, bool) {
	if t, ok := e.token(); ok && s.serves(t, want) {
		return t, nil, true
	}
	if err := s.remembered(e, s.knownFingerprint(), want); err != nil {
		return Token{}, err, true
	}
	return Token{}, nil, false
}

// knownFingerprint is the key's, where the config is sure of it: an entry with
// an ID of its own never changes, and an agent's key is chosen by it; a file
// elsewhere may change.
func (s *Source) knownFingerprint() string {
	if s.Profile.KeyID == "" && s.Profile.Store != keychain.StoreAgent {
		return ""
	}
	return s.Profile.Fingerprint
}

// waitUntil is how long to wait for another process.
func waitUntil(ctx context.Context) time.Time {
	deadline, ok := ctx.Deadline()
	if !ok {
		return time.Now().Add(10 * time.Second)
	}
	left := time.Until(deadline)
	return deadline.Add(-min(2*time.Second, left/2))
}

func (s *Source) clock() time.Time {
	if s.now != nil {
		return s.now()
	}
	return time.Now()
}

func (s *Source) warn(format string, args ...any) {
	if s.Warn != nil {
		s.Warn(fmt.Sprintf(format, args...))
	}
}

func (s *Source) trace(format string, args ...any) {
	if s.Trace != nil {
		s.Trace(fmt.Sprintf(format, args...))
	}
}
