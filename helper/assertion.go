package helper

import (
	"context"
	"crypto"
	"crypto/rand"
	"encoding/base64"
	"time"

	"sfcred/keychain/jose"
)

// assertionLife is how long an assertion is good for: the shortest of the
// lifetimes seen in use with this service. Some servers bound it
// (Connect2id's op.token.authJWTExpMaxAhead) and say only invalid_client.
const assertionLife = 5 * time.Minute

// Assertion makes a fresh client assertion (RFC 7523 section 3) with the
// profile's key.
func (s *Source) Assertion(ctx context.Context) (string, error) {
	signer, err := s.Signer(ctx)
	if err != nil {
		return "", err
	}
	return s.sign(signer, s.clock())
}

// sign makes an assertion that is issued at now. Its ID is new each time, for
// retries too: servers remember the IDs they have seen and refuse a second use.
func (s *Source) sign(signer crypto.MessageSigner, now time.Time) (string, error) {
	a := jose.Assertion{
		ClientID: s.Profile.ClientID,
		Audience: s.Profile.AudienceOrTokenURL(),
		ID:       newID(),
		IssuedAt: now,
		Expiry:   now.Add(assertionLife),
	}
	return a.Sign(signer, s.Profile.Alg, s.Profile.KID)
}

// newID is 128 random bits: what RFC 7519 section 4.1.7 asks of a jti.
func newID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand
	return base64.RawURLEncoding.EncodeToString(b[:])
}
