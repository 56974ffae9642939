package jose

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"
)

// PublicPEM returns pub as PEM with the label "PUBLIC KEY" (PKIX), for a key of
// a kind that a [Key] may be.
func PublicPEM(pub crypto.PublicKey) ([]byte, error) {
	if _, err := checkPublic(pub); err != nil {
		return nil, fmt.Errorf("encode public key: %w", err)
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, errors.New("encode public key: crypto/x509 does not take it")
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// PublicJWK returns pub as a JWK on one line, without a line end: its numbers,
// "use":"sig", and as "alg" one of [Algorithms], the default for "". It has no
// "kid": whoever registers the key names it.
func PublicJWK(pub crypto.PublicKey, alg string) ([]byte, error) {
	if _, err := checkPublic(pub); err != nil {
		return nil, fmt.Errorf("encode public key: %w", err)
	}
	if alg == "" {
		alg = Algorithms(pub)[0]
	}
	if !fits(alg, pub) {
		return nil, fmt.Errorf("encode public key: %w", unfit(alg, pub))
	}
	key, err := jwk.FromRaw(pub)
	if err == nil {
		err = errors.Join(key.Set(jwk.AlgorithmKey, jwa.SignatureAlgorithm(alg)), key.Set(jwk.KeyUsageKey, jwk.ForSignature))
	}
	if err != nil {
		return nil, errors.New("encode public key: cannot make the JWK")
	}
	return json.Marshal(key)
}
