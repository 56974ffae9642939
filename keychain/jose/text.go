package jose

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// The text of a key, one line of ASCII without spaces:
//
//	sfcred1:RSA:E:P:Q:CHECK       public exponent, the two primes
//	sfcred1:EC:P-256:D:CHECK      curve, private number, as long as the curve
//	sfcred1:Ed25519:SEED:CHECK
//
// Numbers and bytes are base64url without padding. CHECK is the first 8 bytes
// of the SHA-256 of all that stands before its colon: another EC number or
// seed is a whole key too, and only CHECK tells that it is not the one that
// was stored.
const textVersion = "sfcred1"

// Text returns the secret of the key as one short line of ASCII, for a key
// store to keep; [ParseText] reads it. It is about 360 bytes for RSA 2048, 710
// for RSA 4096, 1,400 for RSA 8192, and under 130 for the others. Stores hold
// 2,560 bytes on Windows and some 3,000 on macOS; some corrupt what is not
// text (https://github.com/zalando/go-keyring/issues/143).
func (k *Key) Text() string {
	var body string
	switch private := k.private().(type) {
	case *rsa.PrivateKey:
		body = join("RSA", encode(big.NewInt(int64(private.E)).Bytes()),
			encode(private.Primes[0].Bytes()), encode(private.Primes[1].Bytes()))
	case *ecdsa.PrivateKey:
		scalar, err := private.Bytes()
		if err != nil {
			panic(err) // a Key was checked whole
		}
		body = join("EC", private.Curve.Params().Name, encode(scalar))
	case ed25519.PrivateKey:
		body = join("Ed25519", encode(private.Seed()))
	}
	body = join(textVersion, body)
	return join(body, textCheck(body))
}

// ParseText reads what [Key.Text] wrote, and checks the key whole again. Its
// errors never repeat the text.
func ParseText(s string) (*Key, error) {
	key, err := parseText(s)
	if err != nil {
		return nil, fmt.Errorf("parse stored key: %w", err)
	}
	return key, nil
}

func parseText(s string) (*Key, error) {
	if !strings.HasPrefix(s, textVersion+":") {
		return nil, errors.New("it is not in the form that sfcred stores")
	}
	end := strings.LastIndexByte(s, ':')
	if s[end+1:] != textCheck(s[:end]) {
		return nil, errors.New("it is damaged: the check at its end does not fit")
	}
	var raw any
	var err error
	fields := strings.Split(s[:end], ":")
	switch {
	case len(fields) == 5 && fields[1] == "RSA":
		raw, err = rsaOfText(fields[2], fields[3], fields[4])
	case len(fields) == 4 && fields[1] == "EC":
		raw, err = ecOfText(fields[2], fields[3])
	case len(fields) == 3 && fields[1] == "Ed25519":
		raw, err = ed25519OfText(fields[2])
	default:
		return nil, errors.New("it is of a kind that this version of sfcred does not know")
	}
	if err != nil {
		return nil, err
	}
	key, err := newKey(raw)
	if err != nil {
		return nil, err
	}
	if key.Text() != s {
		return nil, errors.New("it is damaged: a number has zeros before it")
	}
	return key, nil
}

// rsaOfText computes what is not kept. The private exponent is the one modulo
// (p-1)(q-1), as good as any other.
func rsaOfText(exponent, prime1, prime2 string) (*rsa.PrivateKey, error) {
	var numbers [3]*big.Int
	for i, field := range []string{exponent, prime1, prime2} {
		b, err := decode(field)
		if err != nil {
			return nil, err
		}
		if len(b)*8 > maxRSABits {
			return nil, errors.New("the RSA key is damaged: a number is too long")
		}
		numbers[i] = new(big.Int).SetBytes(b)
	}
	e, p, q := numbers[0], numbers[1], numbers[2]
	one := big.NewInt(1)
	order := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	if !e.IsInt64() || int64(int(e.Int64())) != e.Int64() || order.Sign() <= 0 {
		return nil, errors.New("the RSA key is damaged: a number is out of range")
	}
	d := new(big.Int).ModInverse(e, order)
	if d == nil {
		return nil, errors.New("the RSA key is damaged: its exponent does not fit its primes")
	}
	return &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: int(e.Int64())},
		D:         d,
		Primes:    []*big.Int{p, q},
	}, nil
}

func ecOfText(curve, scalar string) (*ecdsa.PrivateKey, error) {
	b, err := decode(scalar)
	if err != nil {
		return nil, err
	}
	for _, c := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		if c.Params().Name == curve {
			return ecKey(c, b)
		}
	}
	return nil, errCurve
}

func ed25519OfText(seed string) (ed25519.PrivateKey, error) {
	b, err := decode(seed)
	if err != nil {
		return nil, err
	}
	if len(b) != ed25519.SeedSize {
		return nil, errors.New("the Ed25519 key is damaged: it has a wrong length")
	}
	return ed25519.NewKeyFromSeed(b), nil
}

func join(fields ...string) string { return strings.Join(fields, ":") }

func textCheck(body string) string {
	hash := sha256.Sum256([]byte(body))
	return encode(hash[:8])
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// decode is strict, so that a key has one text; the error of encoding/base64
// is left out.
func decode(s string) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, errors.New("it is damaged: a number is not base64url")
	}
	return b, nil
}
