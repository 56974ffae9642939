package helper

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"sfcred/keychain"
)

// Profile is our local name for a client: who it is, where its tokens come
// from and where they may go, and where its key is. It holds no secret. Its
// keys in the config file are listed by fields.
type Profile struct {
	// ClientID is the client's ID as the authorization server knows it.
	ClientID string
	// TokenURL is the token endpoint (RFC 6749 section 3.2).
	TokenURL string
	// APIURL is the base of the API that the tokens are for; it may be empty.
	APIURL string
	// Audience goes into the assertion in place of the token URL: some servers
	// want their issuer (draft-ietf-oauth-rfc7523bis).
	Audience string
	// AllowForeignAudience permits an audience on another host than the token
	// URL. An assertion made for another server is a credential there.
	AllowForeignAudience bool
	// Scope is asked for at the exchange; empty asks for none.
	Scope string
	// Hosts lists where the token may go, in the form that ParseHost reads.
	Hosts []string
	// Alg is the JWS algorithm (RFC 7518 section 3.1); empty means the key's own.
	Alg string
	// KID goes into the assertion's header if it is not empty.
	KID string
	// Fingerprint is that of the public key, as ssh-keygen -l prints it.
	Fingerprint string
	// Store names the key store.
	Store string
	// KeyID is the entry of the stores that name entries by a random ID.
	KeyID string
	// KeyFile is the path of the key of the pem store.
	KeyFile string
	// Command prints the key of the command store; Shell has a shell run it.
	Command string
	Shell   bool
	// Pending is a key that waits for its client; nil: none.
	Pending *Pending
	// Expires is when the client expires, where the user has said so.
	Expires time.Time
	// Cache is "none" where tokens must not be kept.
	Cache string
	// CAFile names PEM certificates that are trusted beside the system's.
	CAFile string
}

// Pending is a key that was made for a client that is yet to be registered. It
// is beside the key in use, or there is no such key, nor client, yet.
type Pending struct {
	Store, KeyID, Fingerprint string
	// Alg is the JWS algorithm it was made for.
	Alg string
}

// Ref says where the key is.
func (p *Pending) Ref() keychain.Ref { return keychain.Ref{Store: p.Store, ID: p.KeyID} }

// Promoted is the profile with its pending key as the one in use.
func (p *Profile) Promoted() Profile {
	promoted, pending := *p, p.Pending
	promoted.Store, promoted.KeyID, promoted.Fingerprint, promoted.Alg = pending.Store, pending.KeyID, pending.Fingerprint, pending.Alg
	promoted.KeyFile, promoted.Command, promoted.Shell, promoted.KID, promoted.Pending = "", "", false, "", nil
	return promoted
}

// HasKey says whether the profile has a key to make tokens with.
func (p *Profile) HasKey() bool { return p.Store != "" }

// Check says what is wrong with a profile before anything is done with it.
func (p *Profile) Check() error {
	for _, store := range p.stores() {
		if err := keychain.CheckStore(store); err != nil {
			return err
		}
	}
	if !p.HasKey() && p.Pending != nil { // login will say the rest
		_, err := ParseHosts(p.Hosts)
		return err
	}
	if err := CheckClientID(p.ClientID); err != nil {
		return err
	}
	token, err := parseEndpoint(p.TokenURL)
	if err != nil {
		return fmt.Errorf("token URL: %w", err)
	}
	if p.APIURL != "" {
		if _, err := parseEndpoint(p.APIURL); err != nil {
			return fmt.Errorf("API URL: %w", err)
		}
	}
	if p.Audience != "" && !p.AllowForeignAudience {
		audience, err := ParseURL(p.Audience)
		if err != nil || !sameHost(audience, token) {
			return fmt.Errorf("audience %q: %w", printable(p.Audience), ErrForeignAudience)
		}
	}
	if p.Cache != "" && p.Cache != "none" {
		return fmt.Errorf(`cache %q: the only value is "none"`, printable(p.Cache))
	}
	_, err = ParseHosts(p.Hosts)
	return err
}

// stores names the stores of the profile's keys; one from variables has none.
func (p *Profile) stores() (names []string) {
	if p.Store != "" {
		names = append(names, p.Store)
	}
	if p.Pending != nil {
		names = append(names, p.Pending.Store)
	}
	return names
}

// sameHost compares host and port; https://a and https://a:443 are one.
func sameHost(a, b *url.URL) bool {
	return a.Hostname() == b.Hostname() && effectivePort(a.Port(), a.Scheme) == effectivePort(b.Port(), b.Scheme)
}

// ErrForeignAudience refuses an audience on another host than the token URL.
var ErrForeignAudience = errors.New("not on the token URL's host, so the assertion would be a credential elsewhere")

// AudienceOrTokenURL is the assertion's aud.
func (p *Profile) AudienceOrTokenURL() string {
	if p.Audience != "" {
		return p.Audience
	}
	return p.TokenURL
}

// CheckHost says whether the profile's token may go to rawURL, and returns the
// URL as it was understood. The error wraps ErrForeignHost.
func (p *Profile) CheckHost(rawURL string) (*url.URL, error) {
	hosts, err := ParseHosts(p.Hosts)
	if err != nil {
		return nil, err
	}
	return hosts.Check(rawURL)
}

// CheckClientID accepts what RFC 6749 appendix A.1 calls VSCHAR, less blanks
// and quotes: an ID that a shell, a header or a terminal could mistake is a
// slip of the clipboard.
func CheckClientID(id string) error {
	if id == "" {
		return errors.New("the client ID is empty")
	}
	bad := func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\'' || r == '\\' }
	if len(id) > 256 || strings.ContainsFunc(id, bad) {
		return errors.New("the client ID has blanks, quotes or unprintable characters, or is longer than 256")
	}
	return nil
}

// parseEndpoint reads a URL that we ourselves connect to: https, or http on
// loopback, where nobody can listen on the way.
func parseEndpoint(rawURL string) (*url.URL, error) {
	if rawURL == "" {
		return nil, errors.New("it is empty")
	}
	u, err := ParseURL(rawURL)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "https" && !isLoopback(u.Hostname()) {
		return nil, fmt.Errorf("%q: plain http is only for this machine itself (127.0.0.1, [::1], localhost)", withoutSecrets(rawURL))
	}
	if u.Fragment != "" {
		return nil, fmt.Errorf("%q: a fragment has no meaning here", withoutSecrets(rawURL))
	}
	return u, nil
}

// CheckName accepts a profile's name: it stands in files, commands and
// sentences, so it is letters, digits, dots, hyphens and underscores.
func CheckName(name string) error {
	bad := func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._-", r))
	}
	if name == "" || len(name) > 64 || strings.ContainsFunc(name, bad) || strings.ContainsAny(name[:1], "._-") {
		return fmt.Errorf("profile name %q: letters, digits, dots, hyphens and underscores, at most 64, beginning with a letter or digit", printable(name))
	}
	return nil
}

// Site is a preset: a service's URLs and hosts.
type Site struct {
	Name     string
	TokenURL string
	APIURL   string
	Hosts    []string
}

// Sites lists the presets, the default first. The URLs are those of NERSC's own
// client (sfapi_client, src/sfapi_client/_async/client.py and tests/conftest.py).
func Sites() []Site {
	return []Site{
		{
			Name:     "nersc",
			TokenURL: "https://oidc.nersc.gov/c2id/token",
			APIURL:   "https://api.nersc.gov/api/v1.2",
			Hosts:    []string{"api.nersc.gov", "api.iri.nersc.gov"},
		},
		{
			Name:     "nersc-dev",
			TokenURL: "https://oidc-dev.nersc.gov/c2id/token",
			APIURL:   "https://api-dev.nersc.gov/api/v1.2",
			Hosts:    []string{"api-dev.nersc.gov"},
		},
	}
}

// FindSite gives a preset by its name.
func FindSite(name string) (Site, bool) {
	sites := Sites()
	i := slices.IndexFunc(sites, func(s Site) bool { return s.Name == name })
	if i < 0 {
		return Site{}, false
	}
	return sites[i], true
}
