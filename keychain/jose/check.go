package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
)

// Refusals that more than one format comes to.
var (
	errMismatch = errors.New("the public part does not belong to the private part")
	errDSA      = errors.New("a DSA key: only RSA, EC and Ed25519 are supported")
	errX25519   = errors.New("an X25519 key, which cannot sign")
	errKind     = errors.New("a key of an unsupported kind: only RSA, EC and Ed25519 are supported")
	errCurve    = errors.New("an EC key on an unsupported curve: only P-256, P-384 and P-521 are supported")
	errPrimes   = errors.New("an RSA key with more than two primes")
)

// newKey checks what a parser made, which may be no more than numbers.
func newKey(raw any) (*Key, error) {
	var private crypto.Signer
	var err error
	switch raw := raw.(type) {
	case *rsa.PrivateKey:
		private, err = checkRSA(raw)
	case *ecdsa.PrivateKey:
		private, err = checkEC(raw)
	case ed25519.PrivateKey:
		private, err = checkEd25519(raw)
	case *ed25519.PrivateKey:
		private, err = checkEd25519(*raw)
	default:
		return nil, errKind
	}
	if err != nil {
		return nil, err
	}
	return &Key{func() crypto.Signer { return private }}, nil
}

// try makes a signature and verifies it. It finds what the sums over the
// numbers do not, such as a prime that is none.
func (k *Key) try() error {
	opts := signerOpts(Algorithms(k.Public())[0])
	message := []byte("trial")
	signature, err := k.Signer().SignMessage(rand.Reader, message, opts)
	if err == nil {
		err = verify(k.Public(), message, signature, opts)
	}
	if err != nil {
		return fmt.Errorf("the %s key is damaged: a trial signature does not verify", k.Type())
	}
	return nil
}

// checkRSA needs N, E and D, and takes two primes, which may both be 0, and the
// CRT values if there are any. Without primes it recovers them, since a Key is
// kept by its primes.
func checkRSA(raw *rsa.PrivateKey) (*rsa.PrivateKey, error) {
	if err := checkBits(raw.N.BitLen()); err != nil {
		return nil, err
	}
	damaged := errors.New("the RSA key is damaged: its numbers do not belong together")
	for _, number := range append([]*big.Int{raw.N, raw.D}, raw.Primes...) {
		if number.Sign() < 0 {
			return nil, damaged // OpenSSH's form has a sign, and crypto/rsa looks at the bytes only
		}
	}
	key := &rsa.PrivateKey{PublicKey: raw.PublicKey, D: raw.D, Primes: raw.Primes}
	switch {
	case len(raw.Primes) != 2:
		return nil, errPrimes
	case raw.Primes[0].Sign() == 0 && raw.Primes[1].Sign() == 0: // jwx, for none
		p, q := factor(raw.N, raw.E, raw.D)
		if p == nil {
			return nil, damaged
		}
		key.Primes = []*big.Int{p, q}
	default:
		// All three or none (RFC 7518 section 6.3.2); rsa ignores fewer.
		crt := raw.Precomputed
		if (crt.Dp == nil) != (crt.Dq == nil) || (crt.Dp == nil) != (crt.Qinv == nil) {
			return nil, errors.New("the RSA key is damaged: some of dp, dq and qi are missing")
		}
		key.Precomputed.Dp, key.Precomputed.Dq, key.Precomputed.Qinv = crt.Dp, crt.Dq, crt.Qinv
	}
	key.Precompute()
	if key.Validate() != nil {
		return nil, damaged
	}
	return key, nil
}

// checkBits checks the size of an RSA key.
func checkBits(bits int) error {
	if bits < minRSABits {
		return fmt.Errorf("an RSA key of %d bits: at least %d are needed", bits, minRSABits)
	}
	if bits > maxRSABits {
		return fmt.Errorf("an RSA key of %d bits: at most %d are supported", bits, maxRSABits)
	}
	return nil
}

// factor recovers the primes of n from the exponents; nil if they do not
// belong to n. NIST SP 800-56B revision 2, appendix C.1, with the first 32
// primes as bases: each of them fails for half of all keys. A wrong d shows at
// the first.
func factor(n *big.Int, e int, d *big.Int) (p, q *big.Int) {
	one := big.NewInt(1)
	if e < 3 || d.Sign() <= 0 || d.Cmp(n) >= 0 || n.Bit(0) == 0 {
		return nil, nil
	}
	k := new(big.Int).Mul(d, big.NewInt(int64(e)))
	k.Sub(k, one)
	for base := int64(2); base <= 131; base++ {
		if g := big.NewInt(base); g.ProbablyPrime(0) {
			root, ok := rootOfOne(g, k, n)
			if !ok {
				return nil, nil
			}
			if root != nil {
				p = new(big.Int).GCD(nil, nil, root.Sub(root, one), n)
				return p, new(big.Int).Div(n, p)
			}
		}
	}
	return nil, nil
}

// rootOfOne looks among g^(k/2), g^(k/4), … for a square root of 1 modulo n
// other than ±1; nil if there is none. It is not ok if g^k is not 1.
func rootOfOne(g, k, n *big.Int) (root *big.Int, ok bool) {
	one := big.NewInt(1)
	minusOne := new(big.Int).Sub(n, one)
	halvings := k.TrailingZeroBits()
	y := new(big.Int).Exp(g, new(big.Int).Rsh(k, halvings), n)
	for range halvings {
		if y.Cmp(one) == 0 || y.Cmp(minusOne) == 0 {
			return nil, true
		}
		square := new(big.Int).Mul(y, y)
		square.Mod(square, n)
		if square.Cmp(one) == 0 {
			return y, true
		}
		y = square
	}
	return nil, y.Cmp(one) == 0
}

var errScalar = errors.New("the EC key is damaged: its private number is out of range")

// checkEC needs the curve, the public point and D.
func checkEC(raw *ecdsa.PrivateKey) (*ecdsa.PrivateKey, error) {
	if Algorithms(&raw.PublicKey) == nil {
		return nil, errCurve
	}
	scalar, err := raw.Bytes()
	if err != nil {
		return nil, errScalar
	}
	key, err := ecKey(raw.Curve, scalar)
	if err != nil {
		return nil, err
	}
	if !key.PublicKey.Equal(&raw.PublicKey) {
		return nil, errMismatch
	}
	return key, nil
}

// ecKey makes a key of its scalar.
func ecKey(curve elliptic.Curve, scalar []byte) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.ParseRawPrivateKey(curve, scalar)
	if err != nil {
		return nil, errScalar
	}
	return key, nil
}

// scalarSize is the length in bytes of a private number, and of r and of s.
func scalarSize(curve elliptic.Curve) int { return (curve.Params().BitSize + 7) / 8 }

// checkEd25519 takes seed and public key, one after the other.
func checkEd25519(raw ed25519.PrivateKey) (ed25519.PrivateKey, error) {
	if len(raw) != ed25519.PrivateKeySize {
		return nil, errors.New("the Ed25519 key is damaged: it has a wrong length")
	}
	key := ed25519.NewKeyFromSeed(raw.Seed())
	if !key.Equal(raw) {
		return nil, errMismatch
	}
	return key, nil
}
