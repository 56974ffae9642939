package helper

import (
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// answerLimit bounds what is read of an answer: 1 MiB, as x/oauth2 does.
const answerLimit = 1 << 20

// Bounds within which the server's clock is believed. Ahead is short, since an
// assertion dated into the future is a credential that lies in wait; behind is
// long, since one dated into the past is worth nothing.
const (
	skewIgnored = 60 * time.Second
	skewAhead   = 15 * time.Minute
	skewBehind  = -24 * time.Hour
)

// RefusedError says that the server refused the client (RFC 6749 section 5.2).
type RefusedError struct {
	Status      int    `json:"status"`
	Code        string `json:"code"` // the OAuth error code
	Description string `json:"description,omitempty"`
	// Skew is how far the server's clock is ahead of ours, where the answer
	// told and it is more than a minute off; with it the time of day is a
	// likely cause.
	Skew time.Duration `json:"skew,omitempty"`
	// ServerTime is set where the assertion was signed with the server's time
	// too, so that Skew is hardly the cause.
	ServerTime bool `json:"server_time,omitempty"`
	// From is the network that was refused, as Source.From gives it.
	From string `json:"from,omitempty"`
	// Remembered is set where the answer is one of a few seconds ago.
	Remembered bool `json:"-"`
}

func (e *RefusedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the server refused the client: %s", e.Code)
	if e.Description != "" {
		fmt.Fprintf(&b, " (%s)", e.Description)
	}
	if e.Skew != 0 {
		fmt.Fprintf(&b, "; %s", skewWords(e.Skew))
	}
	if e.ServerTime {
		b.WriteString(", and to sign with the server's time did not help")
	}
	if e.Remembered {
		b.WriteString("; asked a moment ago, not asked again")
	}
	return b.String()
}

func skewWords(skew time.Duration) string {
	if skew < 0 {
		return fmt.Sprintf("this machine's clock is %s ahead of the server's", (-skew).Round(time.Second))
	}
	return fmt.Sprintf("this machine's clock is %s behind the server's", skew.Round(time.Second))
}

// NetworkError says that there was no answer to be had from a server.
type NetworkError struct {
	Doing string // "exchange at https://…"
	Err   error
}

func (e *NetworkError) Error() string { return e.Doing + ": " + e.Err.Error() }
func (e *NetworkError) Unwrap() error { return e.Err }

// AnswerError says that a server's answer is not what its protocol says.
type AnswerError struct {
	Doing   string
	Problem string
	URL     string // without query
	// HTML is set for a web page: a captive portal or a wrong URL.
	HTML bool
	// Status is the answer's HTTP status.
	Status int
	// Redirect is the host that a redirect is to, or "".
	Redirect string
	// Denied is set where it is the API that does not take the token: 401 and
	// 403 are its own words for that. Detail is what it says of it, or "".
	Denied bool
	Detail string
}

func (e *AnswerError) Error() string {
	if e.Detail != "" {
		return fmt.Sprintf("%s: %s (%s)", e.Doing, e.Problem, e.Detail)
	}
	return e.Doing + ": " + e.Problem
}

// exchange signs assertions with signer until the server has given a token or
// a refusal, or there is no time left.
func (s *Source) exchange(ctx context.Context, signer crypto.MessageSigner) (Token, error) {
	do, err := s.client(s.Profile.TokenURL)
	if err != nil {
		return Token{}, err
	}
	t, err := s.exchangeAt(ctx, do, signer, 0)
	var refused *RefusedError
	if !errors.As(err, &refused) || !refused.AboutClient() || !believable(refused.Skew) || !s.trustsDate() {
		return t, err
	}
	s.warn("%s; signed with the server's time instead", skewWords(refused.Skew))
	t, err = s.exchangeAt(ctx, do, signer, refused.Skew)
	if errors.As(err, &refused) {
		refused.ServerTime = true
	}
	return t, err
}

// AboutClient says whether it was the assertion that was refused, and not what
// was asked for with it.
func (e *RefusedError) AboutClient() bool {
	return e.Code == "invalid_client" || e.Code == "invalid_grant" || e.Code == "unauthorized_client"
}

// believable says whether a second try with the server's time makes sense.
func believable(skew time.Duration) bool {
	return skew > 0 && skew <= skewAhead || skew < 0 && skew >= skewBehind
}

// trustsDate says whether a Date header came from the token URL's own server:
// TLS is verified on every connection that we make, and plain http is not.
func (s *Source) trustsDate() bool {
	u, err := ParseURL(s.Profile.TokenURL)
	return err == nil && u.Scheme == "https"
}

// exchangeAt exchanges, with retries, as if the time were shift later.
func (s *Source) exchangeAt(ctx context.Context, do doer, signer crypto.MessageSigner, shift time.Duration) (Token, error) {
	var t Token
	err := s.retry(ctx, func() error {
		assertion, err := s.sign(signer, s.clock().Add(shift))
		if err != nil {
			return err
		}
		t, err = s.post(ctx, do, assertion)
		return err
	})
	return t, err
}

// post makes one exchange (RFC 6749 section 4.4, RFC 7523 section 2.2). The
// assertion goes into the body: a query would end in access logs.
func (s *Source) post(ctx context.Context, do doer, assertion string) (Token, error) {
	form := url.Values{
		"grant_type":            {"client_credentials"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {assertion},
	}
	if s.Profile.Scope != "" {
		form.Set("scope", s.Profile.Scope)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Profile.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return Token{}, fmt.Errorf("token URL: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	began, booted := s.clock(), s.booted()
	a, err := s.roundTrip(do, req)
	if err != nil {
		return Token{}, err
	}
	// The token's times are by the clock as it is now, if it was set meanwhile.
	if set := s.booted().Sub(booted); set.Abs() > steered {
		began = began.Round(0).Add(set)
	}
	// A server that repeats what it was sent would put a credential, good for
	// minutes, into an error and the file of the remembered refusal.
	a.body = bytes.ReplaceAll(a.body, []byte(assertion), []byte("(the assertion)"))
	return s.readToken(a, began)
}

// readToken judges the token endpoint's answer.
func (s *Source) readToken(a answer, began time.Time) (Token, error) {
	var body struct {
		AccessToken string      `json:"access_token"`
		TokenType   string      `json:"token_type"`
		ExpiresIn   jsonSeconds `json:"expires_in"`
		Error       string      `json:"error"`
		Description looseString `json:"error_description"`
	}
	err := json.Unmarshal(a.body, &body)
	switch {
	case err == nil && isRefusal(a.status, body.Error):
		return Token{}, &RefusedError{
			Status:      a.status,
			Code:        printable(body.Error),
			Description: printable(strings.TrimRight(string(body.Description), ". ")),
			Skew:        s.skew(a),
			From:        s.From(),
		}
	case a.status != http.StatusOK:
		return Token{}, a.unexpected()
	case err != nil:
		return Token{}, a.problem("is not OAuth")
	case body.AccessToken == "":
		return Token{}, a.problem("has no access_token in it")
	case body.TokenType != "" && !strings.EqualFold(body.TokenType, "Bearer"):
		return Token{}, a.problem(fmt.Sprintf("is a token of type %q, not Bearer", printable(body.TokenType)))
	case !sendable(body.AccessToken):
		return Token{}, a.problem("is a token that cannot stand in a header")
	}
	t := Token{Value: body.AccessToken, Obtained: began}
	if body.ExpiresIn > 0 {
		t.Expires = began.Add(time.Duration(body.ExpiresIn) * time.Second)
	}
	return t, nil
}

// isRefusal says whether an error is the server's word on the client: RFC 6749
// section 5.2 has status 400 or 401 and a code in lower case. Firewalls and
// frameworks have JSON errors of their own, and a server that is not well says
// so in the same form (section 4.1.2.1).
func isRefusal(status int, code string) bool {
	if status != http.StatusBadRequest && status != http.StatusUnauthorized && status != http.StatusForbidden {
		return false
	}
	if code == "" || code == "server_error" || code == "temporarily_unavailable" {
		return false
	}
	return strings.Trim(code, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// looseString is text that matters too little to fail for: what is not a
// string is empty.
type looseString string

func (s *looseString) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		*s = looseString(text)
	}
	return nil
}

// jsonSeconds is expires_in: a number by RFC 6749 section 5.1, a string from
// some servers. Anything that is not a positive count of seconds is zero: the
// token is good, only its expiry is not known.
type jsonSeconds int64

func (n *jsonSeconds) UnmarshalJSON(b []byte) error {
	const most = 10 * 365 * 24 * 3600 // ten years: beyond that a number is a mistake
	f, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	if err != nil || math.IsNaN(f) || f < 1 || f > most {
		*n = 0
		return nil
	}
	*n = jsonSeconds(f)
	return nil
}

// skew is how far the server's clock is ahead of ours by the answer's Date, or
// zero where it does not tell: a cache on the way (Age, RFC 9111 section 5.1)
// gives the time of another day.
func (s *Source) skew(a answer) time.Duration {
	date, err := http.ParseTime(a.header.Get("Date"))
	if err != nil || a.header.Get("Age") != "" {
		return 0
	}
	skew := skewOf(date, s.clock())
	if skew.Abs() <= skewIgnored {
		return 0
	}
	return skew.Round(time.Second)
}

// skewOf is how far a date is ahead of now. A Duration ends at 292 years, and
// beyond ten nobody needs to know how many.
func skewOf(date, now time.Time) time.Duration {
	const most = 10 * 365 * 24 * time.Hour
	return max(-most, min(date.Sub(now), most))
}

// answer is an HTTP answer, read whole.
type answer struct {
	doing  string
	url    string // without query
	status int
	header http.Header
	body   []byte
}

// roundTrip sends a request and reads the answer, up to answerLimit.
func (s *Source) roundTrip(do doer, req *http.Request) (answer, error) {
	url := withoutSecrets(req.URL.String())
	doing := strings.ToLower(req.Method) + " " + url
	s.trace("%s", doing)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", s.UserAgent)
	resp, err := do(req)
	if err != nil {
		return answer{}, &NetworkError{Doing: doing, Err: transportError{err, late(req.Context())}}
	}
	defer resp.Body.Close()
	a := answer{doing: doing, url: url, status: resp.StatusCode, header: resp.Header}
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, answerLimit+1))
	s.trace("%s: status %d, %d bytes", doing, a.status, len(a.body))
	if err != nil {
		return answer{}, &NetworkError{Doing: doing, Err: fmt.Errorf("read the answer: %w", transportError{err, late(req.Context())})}
	}
	if len(a.body) > answerLimit {
		return answer{}, a.problem("is larger than 1 MiB")
	}
	return a, nil
}

// transportError is an error of net/http in fewer words: without method and
// URL, which ours has said, and without what the server sent, of which
// net/http quotes what it could not read. late is what is to be said instead
// where the time was up.
type transportError struct{ err, late error }

// late is why there was no more time, or nil: the caller's words, if the context
// has them as its cause.
func late(ctx context.Context) error {
	switch cause := context.Cause(ctx); {
	case !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil
	case cause != ctx.Err():
		return cause
	}
	return errNoAnswer
}

var errNoAnswer = errors.New("no answer in time")

func (e transportError) Error() string {
	err := e.err
	if e.late != nil {
		return e.late.Error()
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	text := err.Error()
	var certificate *tls.CertificateVerificationError // quotes names, and is needed whole
	if !errors.As(err, &certificate) {
		text, _, _ = strings.Cut(text, `"`)
	}
	return strings.TrimRight(printable(text), ": ")
}

func (e transportError) Unwrap() []error {
	if e.late == nil {
		return []error{e.err}
	}
	return []error{e.err, e.late}
}

// unexpected is the error for a status that is not OAuth's.
func (a answer) unexpected() error {
	switch {
	case a.status >= 300 && a.status < 400:
		target, host := "", ""
		if u, err := url.Parse(a.header.Get("Location")); err == nil && u.Host != "" {
			target, host = " to "+printable(u.Scheme+"://"+u.Host), printable(u.Host)
		}
		err := a.problem("is a redirect" + target + ", which is not followed")
		err.Redirect = host
		return err
	case retryable(a.status):
		return &busyError{err: a.problem("is " + statusWords(a.status)), after: retryAfter(a.header)}
	default:
		return a.problem("is " + statusWords(a.status))
	}
}

func statusWords(status int) string {
	return strings.TrimSpace(fmt.Sprintf("status %d %s", status, http.StatusText(status)))
}

func (a answer) problem(what string) *AnswerError {
	html := a.isHTML()
	if html {
		what += ": a web page"
	}
	return &AnswerError{Doing: a.doing, URL: a.url, Problem: "the answer " + what, HTML: html, Status: a.status}
}

func (a answer) isHTML() bool {
	media, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	return media == "text/html" || bytes.HasPrefix(bytes.TrimSpace(a.body), []byte("<"))
}
