package jose

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
)

// Generate makes a new key for alg. bits counts for RSA, 2048 to 8192; 0 is
// 2048. The other algorithms have one size each, and bits is that or 0.
func Generate(alg string, bits int) (*Key, error) {
	raw, err := generate(alg, bits)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	key, err := newKey(raw)
	if err != nil {
		return nil, fmt.Errorf("generate key: %w", err)
	}
	return key, nil
}

func generate(alg string, bits int) (any, error) {
	switch alg {
	case "RS256", "RS384", "RS512", "PS256", "PS384", "PS512":
		if bits == 0 {
			bits = minRSABits
		}
		if err := checkBits(bits); err != nil {
			return nil, err
		}
		return rsa.GenerateKey(rand.Reader, bits)
	case "ES256":
		return generateEC(alg, elliptic.P256(), bits)
	case "ES384":
		return generateEC(alg, elliptic.P384(), bits)
	case "ES512":
		return generateEC(alg, elliptic.P521(), bits)
	case "EdDSA":
		if err := onlySize(alg, 256, bits); err != nil {
			return nil, err
		}
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}
	return nil, fmt.Errorf("algorithm %q is none of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA", alg)
}

func generateEC(alg string, curve elliptic.Curve, bits int) (any, error) {
	if err := onlySize(alg, curve.Params().BitSize, bits); err != nil {
		return nil, err
	}
	return ecdsa.GenerateKey(curve, rand.Reader)
}

func onlySize(alg string, only, bits int) error {
	if bits != 0 && bits != only {
		return fmt.Errorf("a key of %d bits: a key for %s always has %d", bits, alg, only)
	}
	return nil
}
