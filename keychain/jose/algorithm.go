package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha256" // RS256, PS256, ES256
	_ "crypto/sha512" // the 384 and 512 of each family
	"errors"
	"fmt"
	"slices"
	"strings"
)

// minRSABits is the least that RFC 7518 sections 3.3 and 3.5 allow to sign
// with. maxRSABits keeps the text of a key, and the time to check a hostile
// one, within bounds.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// Algorithms returns the JWS algorithms (RFC 7518 section 3.1, RFC 8037) that
// fit a public key, the default first; none if the key is of another kind or
// an RSA key that is too short for them.
func Algorithms(pub crypto.PublicKey) []string {
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		if pub.N.BitLen() >= minRSABits {
			return []string{"RS256", "PS256", "RS384", "RS512", "PS384", "PS512"}
		}
	case *ecdsa.PublicKey:
		switch pub.Curve {
		case elliptic.P256():
			return []string{"ES256"}
		case elliptic.P384():
			return []string{"ES384"}
		case elliptic.P521():
			return []string{"ES512"}
		}
	case ed25519.PublicKey:
		return []string{"EdDSA"}
	}
	return nil
}

// fits reports whether alg is one of the algorithms of pub.
func fits(alg string, pub crypto.PublicKey) bool {
	return slices.Contains(Algorithms(pub), alg)
}

// unfit is the error for an algorithm that is none of [Algorithms].
func unfit(alg string, pub crypto.PublicKey) error {
	name, bits := describe(pub)
	text := fmt.Sprintf("algorithm %q does not fit the key (%s %d)", alg, name, bits)
	if fit := Algorithms(pub); fit != nil {
		text += "; what fits is " + strings.Join(fit, ", ")
	}
	return errors.New(text)
}

// signerOpts says to a signer how one of [Algorithms] signs. PSS has a salt as
// long as the hash (RFC 7518 section 3.5); Ed25519 takes the message itself.
func signerOpts(alg string) crypto.SignerOpts {
	switch alg {
	case "RS256", "ES256":
		return crypto.SHA256
	case "RS384", "ES384":
		return crypto.SHA384
	case "RS512", "ES512":
		return crypto.SHA512
	case "PS256":
		return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	case "PS384":
		return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA384}
	case "PS512":
		return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA512}
	}
	return crypto.Hash(0) // EdDSA
}

// verify checks a signature as a [crypto.MessageSigner] gives it: ECDSA in
// ASN.1, not as r||s.
func verify(pub crypto.PublicKey, message, signature []byte, opts crypto.SignerOpts) error {
	var digest []byte
	if hash := opts.HashFunc(); hash != 0 {
		digest = sum(hash, message)
	}
	var ok bool
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		if pss, isPSS := opts.(*rsa.PSSOptions); isPSS {
			ok = rsa.VerifyPSS(pub, pss.Hash, digest, signature, pss) == nil
		} else {
			ok = rsa.VerifyPKCS1v15(pub, opts.HashFunc(), digest, signature) == nil
		}
	case *ecdsa.PublicKey:
		ok = ecdsa.VerifyASN1(pub, digest, signature)
	case ed25519.PublicKey:
		ok = ed25519.Verify(pub, message, signature)
	}
	if !ok {
		return errors.New("the signature does not verify with the public key")
	}
	return nil
}

func sum(hash crypto.Hash, message []byte) []byte {
	h := hash.New()
	h.Write(message)
	return h.Sum(nil)
}
