package helper

import (
	"net/http"
	"testing"
	"time"
)

// SetClock makes the source see another time than everybody else, as if that
// had come by waiting.
func (s *Source) SetClock(now func() time.Time) {
	booted := (&Source{}).booted()
	s.SetClocks(now, func() time.Duration { return now().Round(0).Sub(booted) })
}

// SetClocks makes the source see another time, and another time since the
// machine was started: where one goes without the other the clock was set.
func (s *Source) SetClocks(now func() time.Time, up func() time.Duration) { s.now, s.up = now, up }

// SetDo replaces the network.
func (s *Source) SetDo(do func(*http.Request) (*http.Response, error)) { s.do = do }

// ReadToken judges a token endpoint's answer as the exchange does.
func ReadToken(status int, header http.Header, body []byte, began time.Time) (Token, error) {
	s := Source{now: func() time.Time { return began }}
	return s.readToken(answer{doing: "post https://x.example/token", status: status, header: header, body: body}, began)
}

// The cache file's form, and what is asked of it.
var (
	DecodeToken = decodeToken
	Encode      = Token.encode
	Lasts       = Token.lasts
	RetryAfter  = retryAfter
	ParseExpiry = parseExpiresAt

	WaitUntil = waitUntil
	DialerFor = dialerFor
)

// CacheKey is the name of the profile's cache files, without what follows the dot.
func (p *Profile) CacheKey() string { return p.cacheKey() }

// Text is the config file's text.
func (c *Config) Text() ([]byte, error) { return encodeTOML(c) }

// Refused is what is remembered for a key.
func (s *Source) Refused(fingerprint string) *RefusedError {
	e, err := s.openEntry()
	if err != nil {
		return nil
	}
	defer e.close()
	refused, _ := e.refused(fingerprint, s.clock())
	return refused
}

// Remembered is what is remembered for a key where the cache directory has text
// in the file of its refusal.
func Remembered(t testing.TB, dir string, text []byte, fingerprint string, now time.Time) (*RefusedError, time.Time) {
	t.Helper()
	s := Source{CacheDir: dir, Profile: Profile{ClientID: "x"}, now: func() time.Time { return now }}
	s.up = func() time.Duration { return now.Sub(time.Unix(0, 0)) } // as a file means that does not say
	e, err := s.openEntry()
	if err == nil {
		defer e.close()
		err = e.dir.WriteFile(e.key+".refused", []byte(digest(string(text))+"\n"+string(text)))
	}
	if err != nil {
		t.Fatal(err)
	}
	return e.refused(fingerprint, now)
}
