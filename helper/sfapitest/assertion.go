package sfapitest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// maxJTI is the longest jti accepted, in bytes: since each is remembered, it
// must be bounded.
const maxJTI = 256

// authenticate judges a client assertion as RFC 7523 section 3 has it and
// returns the client that made it. The error is the true reason of a refusal,
// for the request log alone.
func (s *Server) authenticate(r *http.Request, assertion string) (Client, error) {
	token, err := parseJWS(assertion)
	if err != nil {
		return Client{}, fmt.Errorf("the assertion is no compact JWS: %w", err)
	}
	c, err := s.issuer(token.claims)
	if err != nil {
		return Client{}, err
	}
	if err := checkSignature(token, c); err != nil {
		return Client{}, err
	}
	policy, now := s.currentPolicy(), s.now()
	if err := checkAudience(token.claims, policy); err != nil {
		return Client{}, err
	}
	if err := checkTimes(token.claims, policy, now); err != nil {
		return Client{}, err
	}
	if c.expired(now) {
		return Client{}, fmt.Errorf("the client expired at %s", c.Expires.UTC().Format(time.RFC3339))
	}
	if !policy.SourceAtAPI && !c.admits(r.RemoteAddr) {
		return Client{}, fmt.Errorf("the source address %s is not one of the client's", r.RemoteAddr)
	}
	return c, s.spend(c.ID, token.claims, now)
}

// issuer returns the client that iss and sub both name (RFC 7523 section 3,
// 1 and 2.B).
func (s *Server) issuer(claims object) (Client, error) {
	iss, ok := claims.text("iss")
	if !ok {
		return Client{}, errors.New("iss is not a string")
	}
	if sub, ok := claims.text("sub"); !ok || sub != iss {
		return Client{}, errors.New("sub is not the same string as iss")
	}
	c, ok := s.client(iss)
	if !ok {
		return Client{}, errors.New("iss is no known client")
	}
	return c, nil
}

// checkSignature judges the header against what c registered, then the
// signature. A header may hold alg, kid and typ only: anything more, such as
// crit or a key of the sender's own, is not what a client of ours sends.
func checkSignature(token jws, c Client) error {
	for name := range token.header {
		if name != "alg" && name != "kid" && name != "typ" {
			return fmt.Errorf("the header has a member %.32q", name)
		}
	}
	alg, ok := token.header.text("alg")
	if !ok || !c.allows(alg) {
		return fmt.Errorf("alg %.16q is not allowed for the client", alg)
	}
	if typ, ok := token.header.text("typ"); token.header.has("typ") &&
		(!ok || typ != "JWT" && typ != "client-authentication+jwt") {
		return fmt.Errorf("typ %.32q is not that of a client assertion", typ)
	}
	if kid, ok := token.header.text("kid"); token.header.has("kid") &&
		(!ok || c.KeyID != "" && kid != c.KeyID) {
		return errors.New("kid is not that of the registered key")
	}
	return token.verify(alg, c.Key)
}

// checkAudience wants an accepted aud, as a string unless the policy says
// otherwise.
func checkAudience(claims object, policy Policy) error {
	if aud, ok := claims.text("aud"); ok {
		if !slices.Contains(policy.Audiences, aud) {
			return fmt.Errorf("aud is %.128q, not %q", aud, policy.Audiences)
		}
		return nil
	}
	var list []string
	if !policy.AudienceArray || json.Unmarshal(claims["aud"], &list) != nil {
		return errors.New("aud is not a string")
	}
	for _, aud := range list {
		if slices.Contains(policy.Audiences, aud) {
			return nil
		}
	}
	return fmt.Errorf("aud holds none of %q", policy.Audiences)
}

// checkTimes judges exp, which must be there, and iat and nbf, which may be
// absent.
func checkTimes(claims object, policy Policy, now time.Time) error {
	at := unixSeconds(now)
	exp, ok := claims.seconds("exp")
	if !ok {
		return errors.New("exp is not a number")
	}
	if exp <= at {
		return fmt.Errorf("exp is %.0f s in the past", at-exp)
	}
	if limit := policy.MaxAhead + policy.Leeway; exp-at > limit.Seconds() {
		return fmt.Errorf("exp is %.0f s ahead, more than %s", exp-at, policy.MaxAhead)
	}
	for _, name := range []string{"iat", "nbf"} {
		if !claims.has(name) {
			continue
		}
		t, ok := claims.seconds(name)
		if !ok {
			return fmt.Errorf("%s is not a number", name)
		}
		if t-at > policy.Leeway.Seconds() {
			return fmt.Errorf("%s is %.0f s in the future", name, t-at)
		}
	}
	return nil
}

// spend uses up the assertion's jti, which is good once until its exp has
// passed (RFC 7523 section 3, 7).
func (s *Server) spend(id string, claims object, now time.Time) error {
	jti, ok := claims.text("jti")
	if !ok || jti == "" {
		return errors.New("jti is not a string with something in it")
	}
	if len(jti) > maxJTI {
		return fmt.Errorf("jti is longer than %d bytes", maxJTI)
	}
	exp, _ := claims.seconds("exp")
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, until := range s.used {
		if until <= unixSeconds(now) {
			delete(s.used, key)
		}
	}
	key := id + "\x00" + jti
	if _, twice := s.used[key]; twice {
		return errors.New("jti was used before")
	}
	s.used[key] = exp
	return nil
}

func unixSeconds(t time.Time) float64 {
	return float64(t.UnixMicro()) / 1e6
}
