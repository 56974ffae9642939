package sfapitest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha256" // for crypto.SHA256.New
	_ "crypto/sha512" // for crypto.SHA384.New and crypto.SHA512.New
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// jws is a compact JWS (RFC 7515 section 7.1) taken apart, not yet verified.
type jws struct {
	header object
	claims object
	input  []byte // what the signature is over
	sig    []byte
}

// parseJWS takes compact apart: three parts of canonical base64url, a JSON
// object in each of the first two. Its errors never quote what they read.
func parseJWS(compact string) (jws, error) {
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		return jws{}, fmt.Errorf("it has %d parts, not 3", len(parts))
	}
	var decoded [3][]byte
	for i, name := range []string{"header", "payload", "signature"} {
		b, err := decodeBase64URL(parts[i])
		if err != nil {
			return jws{}, fmt.Errorf("its %s is %w", name, err)
		}
		decoded[i] = b
	}
	header, err := parseObject(decoded[0])
	if err != nil {
		return jws{}, fmt.Errorf("its header is %w", err)
	}
	claims, err := parseObject(decoded[1])
	if err != nil {
		return jws{}, fmt.Errorf("its payload is %w", err)
	}
	input := compact[:len(parts[0])+1+len(parts[1])]
	return jws{header: header, claims: claims, input: []byte(input), sig: decoded[2]}, nil
}

// decodeBase64URL reads s as RFC 7515 section 2 writes it. To encode again
// and compare is what refuses padding, stray bits at the end and the line
// breaks that encoding/base64 skips.
func decodeBase64URL(s string) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || base64.RawURLEncoding.EncodeToString(b) != s {
		return nil, errors.New("not canonical base64url")
	}
	return b, nil
}

// verify checks the signature by alg and key; alg comes from our own list of
// what the client may use, so none and HS* have no case here.
func (j jws) verify(alg string, key crypto.PublicKey) error {
	var valid bool
	switch key := key.(type) {
	case *rsa.PublicKey:
		switch hash := hashOf(alg); {
		case strings.HasPrefix(alg, "RS") && hash != 0:
			valid = rsa.VerifyPKCS1v15(key, hash, digest(hash, j.input), j.sig) == nil
		case strings.HasPrefix(alg, "PS") && hash != 0:
			// RFC 7518 section 3.5: the salt is as long as the hash.
			opts := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
			valid = rsa.VerifyPSS(key, hash, digest(hash, j.input), j.sig, opts) == nil
		default:
			return fmt.Errorf("alg %q does not fit an RSA key", alg)
		}
	case *ecdsa.PublicKey:
		if alg != algorithmOf(key) {
			return fmt.Errorf("alg %q does not fit a key on %s", alg, key.Params().Name)
		}
		valid = verifyECDSA(key, hashOf(alg), j.input, j.sig)
	case ed25519.PublicKey:
		if alg != "EdDSA" {
			return fmt.Errorf("alg %q does not fit an Ed25519 key", alg)
		}
		valid = ed25519.Verify(key, j.input, j.sig)
	default:
		return fmt.Errorf("a key of type %T is not supported", key)
	}
	if !valid {
		return errors.New("its signature is not by the registered key")
	}
	return nil
}

// verifyECDSA checks the r||s form of RFC 7518 section 3.4, each half as wide
// as the curve's order, leading zeros included.
func verifyECDSA(key *ecdsa.PublicKey, hash crypto.Hash, input, sig []byte) bool {
	width := (key.Params().BitSize + 7) / 8
	if len(sig) != 2*width {
		return false
	}
	r, s := new(big.Int).SetBytes(sig[:width]), new(big.Int).SetBytes(sig[width:])
	return ecdsa.Verify(key, digest(hash, input), r, s)
}

// algorithmOf names the one algorithm that RFC 7518 section 3.4 has for key's
// curve; "" for any other curve.
func algorithmOf(key *ecdsa.PublicKey) string {
	switch key.Curve {
	case elliptic.P256():
		return "ES256"
	case elliptic.P384():
		return "ES384"
	case elliptic.P521():
		return "ES512"
	}
	return ""
}

func hashOf(alg string) crypto.Hash {
	switch alg {
	case "RS256", "PS256", "ES256":
		return crypto.SHA256
	case "RS384", "PS384", "ES384":
		return crypto.SHA384
	case "RS512", "PS512", "ES512":
		return crypto.SHA512
	}
	return 0
}

func digest(hash crypto.Hash, input []byte) []byte {
	h := hash.New()
	h.Write(input)
	return h.Sum(nil)
}
