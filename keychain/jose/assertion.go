package jose

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"
	"unicode/utf8"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
	"github.com/lestrrat-go/jwx/v2/jwt"
)

// Assertion holds what a client says of itself to a token endpoint, RFC 7523
// section 3. All fields are needed.
type Assertion struct {
	ClientID string    // "iss" and "sub"
	Audience string    // "aud", as one string
	ID       string    // "jti", new for each assertion
	IssuedAt time.Time // "iat", cut to whole seconds
	Expiry   time.Time // "exp", cut to whole seconds; after IssuedAt
}

// Sign returns the assertion as a compact JWS (RFC 7515 section 7.1) with alg,
// one of [Algorithms] for the signer's public key, and kid in its header. Where
// they are "", what the key's file said counts, for alg else the key's default;
// a kid need not be. The signature is verified before it is handed out. An
// error of the signer is wrapped.
func (a Assertion) Sign(signer crypto.MessageSigner, alg, kid string) (string, error) {
	pub := signer.Public()
	alg, kid = chosen(signer, alg, kid)
	if !fits(alg, pub) {
		return "", fmt.Errorf("sign assertion: %w", unfit(alg, pub))
	}
	header, err := header(alg, kid)
	if err != nil {
		return "", fmt.Errorf("sign assertion: %w", err)
	}
	claims, err := a.claims()
	if err != nil {
		return "", fmt.Errorf("sign assertion: %w", err)
	}
	input := encode(header) + "." + encode(claims)
	signature, err := sign(signer, alg, []byte(input))
	if err != nil {
		return "", fmt.Errorf("sign assertion: %w", err)
	}
	return input + "." + encode(signature), nil
}

// chosen fills in what the caller left open.
func chosen(signer crypto.MessageSigner, alg, kid string) (string, string) {
	if s, ok := signer.(*messageSigner); ok {
		alg, kid = cmp.Or(alg, s.alg), cmp.Or(kid, s.keyID)
	}
	if fit := Algorithms(signer.Public()); alg == "" && len(fit) > 0 {
		alg = fit[0]
	}
	return alg, kid
}

// header makes {"alg":…,"kid":…,"typ":"JWT"}.
func header(alg, kid string) ([]byte, error) {
	h := jws.NewHeaders()
	err := errors.Join(h.Set(jws.AlgorithmKey, jwa.SignatureAlgorithm(alg)), h.Set(jws.TypeKey, "JWT"))
	if kid != "" {
		if !utf8.ValidString(kid) {
			return nil, errors.New("the key ID is not UTF-8")
		}
		err = errors.Join(err, h.Set(jws.KeyIDKey, kid))
	}
	if err != nil {
		return nil, errors.New("cannot make the header")
	}
	return json.Marshal(h)
}

// claims makes the JSON of the assertion. The names are jwx's constants: jwx
// v2 does not escape names (GHSA-4cf7-xm37-g63h), so none may come from
// outside.
func (a Assertion) claims() ([]byte, error) {
	for _, field := range []struct{ name, value string }{
		{"client ID", a.ClientID}, {"audience", a.Audience}, {"ID", a.ID},
	} {
		if field.value == "" {
			return nil, fmt.Errorf("the %s is empty", field.name)
		}
		if !utf8.ValidString(field.value) {
			return nil, fmt.Errorf("the %s is not UTF-8", field.name)
		}
	}
	if !a.Expiry.After(a.IssuedAt) {
		return nil, errors.New("the expiry is not after the time of issue")
	}
	token, err := jwt.NewBuilder().
		Issuer(a.ClientID).Subject(a.ClientID).Audience([]string{a.Audience}).
		JwtID(a.ID).IssuedAt(a.IssuedAt).Expiration(a.Expiry).Build()
	if err != nil {
		return nil, errors.New("cannot make the claims")
	}
	// Else "aud" is an array, which some servers refuse.
	token.Options().Enable(jwt.FlattenAudience)
	return json.Marshal(token)
}

// sign returns the signature in the form of RFC 7518 section 3.
func sign(signer crypto.MessageSigner, alg string, input []byte) ([]byte, error) {
	opts := signerOpts(alg)
	signature, err := signer.SignMessage(rand.Reader, input, opts)
	if err != nil {
		return nil, err
	}
	if err := verify(signer.Public(), input, signature, opts); err != nil {
		return nil, err
	}
	if pub, isEC := signer.Public().(*ecdsa.PublicKey); isEC {
		return fixedWidth(signature, scalarSize(pub.Curve))
	}
	return signature, nil
}

// fixedWidth turns an ECDSA signature from ASN.1 to r||s, RFC 7518 section
// 3.4. It was verified, so r and s are in range.
func fixedWidth(signature []byte, size int) ([]byte, error) {
	var parts struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(signature, &parts); err != nil {
		return nil, errors.New("the ECDSA signature is not ASN.1")
	}
	fixed := make([]byte, 2*size)
	parts.R.FillBytes(fixed[:size])
	parts.S.FillBytes(fixed[size:])
	return fixed, nil
}
