package sfapitest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"net/netip"
	"slices"
	"time"
)

// Client is a registered client. ID and Key are needed, the rest may be zero.
type Client struct {
	ID       string
	Key      crypto.PublicKey // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
	KeyID    string           // if set, a kid in an assertion's header must equal it
	Algs     []string         // JWS algorithms allowed; nil: RS256 and PS256, ES* of the curve, or EdDSA
	User     string           // login name, in the access token's scope as un:User
	UserID   int              // numeric account ID
	Name     string           // what the user called the client
	Expires  time.Time        // zero: never
	Source   []netip.Prefix   // addresses it may come from; empty: any
	Scopes   []string         // what may be asked for, and is granted where nothing is
	ReadOnly bool             // its level is too low to run commands
	Denied   []string         // paths below the API that its level is too low for, such as /account/clients
}

// allows reports whether c may sign with alg.
func (c Client) allows(alg string) bool {
	if c.Algs != nil {
		return slices.Contains(c.Algs, alg)
	}
	switch key := c.Key.(type) {
	case *rsa.PublicKey:
		return alg == "RS256" || alg == "PS256"
	case *ecdsa.PublicKey:
		return alg == algorithmOf(key)
	case ed25519.PublicKey:
		return alg == "EdDSA"
	}
	return false
}

// expired reports whether c's life has ended at now.
func (c Client) expired(now time.Time) bool {
	return !c.Expires.IsZero() && !now.Before(c.Expires)
}

// admits reports whether c may come from addr, an http.Request's RemoteAddr.
func (c Client) admits(addr string) bool {
	if len(c.Source) == 0 {
		return true
	}
	from, err := netip.ParseAddrPort(addr)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(c.Source, func(p netip.Prefix) bool { return p.Contains(from.Addr()) })
}
