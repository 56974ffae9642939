package helper

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
)

// Reached is what a connection to the token URL's server shows before anything
// is asked of it.
type Reached struct {
	// Proxy is the host of the proxy that it goes through, or "".
	Proxy string
	// TLS is its version, such as "TLS 1.3"; "" for plain http.
	TLS string
	// Issuer is who signed the server's certificate.
	Issuer string
	// Skew is how far the server's clock is ahead of ours, to the second, if
	// Dated.
	Skew  time.Duration
	Dated bool
}

// Reach connects to the token URL's server and takes down how. What the server
// answers to a GET there does not matter: RFC 6749 section 3.2 has it serve POST.
func (s *Source) Reach(ctx context.Context) (Reached, error) {
	reached := Reached{Proxy: s.ProxyHost(s.Profile.TokenURL)}
	do, err := s.client(s.Profile.TokenURL)
	if err != nil {
		return reached, err
	}
	watched := func(req *http.Request) (*http.Response, error) {
		resp, err := do(req)
		if err == nil && resp.TLS != nil {
			reached.TLS = tls.VersionName(resp.TLS.Version)
			if certificates := resp.TLS.PeerCertificates; len(certificates) > 0 {
				issuer := certificates[0].Issuer
				reached.Issuer = printable(cmp.Or(strings.Join(issuer.Organization, ", "), issuer.CommonName))
			}
		}
		return resp, err
	}
	a, err := s.ask(ctx, watched, s.Profile.TokenURL)
	if err != nil {
		return reached, err
	}
	if date, err := http.ParseTime(a.header.Get("Date")); err == nil && a.header.Get("Age") == "" {
		// Date has whole seconds, so half of one is what it is off by itself.
		skew := skewOf(date.Add(500*time.Millisecond), s.clock())
		reached.Skew, reached.Dated = skew.Round(time.Second), true
	}
	return reached, nil
}

// ask makes a GET request without a token. Whatever the status is, it is an
// answer.
func (s *Source) ask(ctx context.Context, do doer, rawURL string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, rawURL, nil)
	if err != nil {
		return answer{}, fmt.Errorf("ask: %w", err)
	}
	return s.roundTrip(do, req)
}

// Metadata is what an authorization server says of itself.
type Metadata struct {
	Issuer   string `json:"issuer"`
	TokenURL string `json:"token_endpoint"`
}

// Discover asks the token URL's server for its metadata (OpenID Connect
// Discovery 1.0 section 4), below each folder that the token URL is in: the
// zero Metadata says that there is none. It is for telling a person what may
// be wrong; nothing is ever done by it, so it counts only if all that it names
// is on the token URL's own host.
func (s *Source) Discover(ctx context.Context) Metadata {
	u, err := parseEndpoint(s.Profile.TokenURL)
	if err != nil {
		return Metadata{}
	}
	do, err := s.client(s.Profile.TokenURL)
	if err != nil {
		return Metadata{}
	}
	const most = 5
	folder := path.Dir("/" + strings.Trim(u.Path, "/"))
	for range most {
		at := url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimRight(folder, "/") + "/.well-known/openid-configuration"}
		a, err := s.ask(ctx, do, at.String())
		if err != nil {
			return Metadata{}
		}
		var m Metadata
		if a.status == http.StatusOK && json.Unmarshal(a.body, &m) == nil && onHost(u, m.Issuer) && onHost(u, m.TokenURL) {
			return m
		}
		if folder == "/" {
			break
		}
		folder = path.Dir(folder)
	}
	return Metadata{}
}

func onHost(u *url.URL, rawURL string) bool {
	const most = 500 // it is shown
	other, err := parseEndpoint(rawURL)
	return err == nil && len(rawURL) <= most && other.Scheme == u.Scheme && sameHost(u, other)
}

// AskAPI asks the profile's API for something that needs no token, and gives
// the answer's error if that is not the API's own: a web page, a redirect, or
// none at all.
func (s *Source) AskAPI(ctx context.Context) error {
	if s.Profile.APIURL == "" {
		return ErrNoAPI
	}
	do, err := s.client(s.Profile.APIURL)
	if err != nil {
		return err
	}
	a, err := s.ask(ctx, do, strings.TrimRight(s.Profile.APIURL, "/")+"/status")
	if err != nil {
		return err
	}
	if a.isHTML() || !json.Valid(a.body) || a.status >= 500 {
		return a.unexpected()
	}
	return nil
}
