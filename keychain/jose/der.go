package jose

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// errMalformed stands before the name of a format.
var errMalformed = errors.New("malformed")

// parseDER reads what a plain block holds. jwx wants it in PEM, and reads only
// the first block of what it gets, so it gets this one alone. Its errors are
// left out: they may quote the key.
func parseDER(label string, der []byte) (*Key, error) {
	public, err := inspectDER(label, der)
	if err != nil {
		return nil, err
	}
	var raw any
	parsed, err := jwk.ParseKey(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}), jwk.WithPEM(true))
	if err == nil {
		err = parsed.Raw(&raw)
	}
	if err != nil {
		return nil, fmt.Errorf("%w %s", errMalformed, formatOf(label))
	}
	key, err := newKey(raw)
	if err != nil {
		return nil, err
	}
	if public != nil && !isEncodingOf(public, key.Public()) {
		return nil, errMismatch
	}
	return key, nil
}

// inspectDER refuses by name what crypto/x509 refuses without one, and returns
// the public key that the file carries beside the private one, which
// crypto/x509 does not look at; nil if there is none.
func inspectDER(label string, der []byte) ([]byte, error) {
	var public []byte
	var err error
	switch label {
	case "RSA PRIVATE KEY":
		err = inspectPKCS1(der)
	case "EC PRIVATE KEY":
		public, err = inspectSEC1(der, nil)
	default:
		public, err = inspectPKCS8(der)
	}
	if err == errMalformed {
		err = fmt.Errorf("%w %s", errMalformed, formatOf(label))
	}
	return public, err
}

// inspectPKCS1 reads the start of an RSAPrivateKey, RFC 8017 appendix A.1.2.
func inspectPKCS1(der []byte) error {
	var key struct{ Version int }
	if _, err := asn1.Unmarshal(der, &key); err != nil {
		return errMalformed
	}
	if key.Version != 0 {
		return errPrimes
	}
	return nil
}

// inspectSEC1 reads an ECPrivateKey, RFC 5915 section 3. In PKCS#8 the curve
// stands outside of it. More stands for what comes behind, which encoding/asn1
// ignores: there is nothing, unless the tag of the public key is damaged.
func inspectSEC1(der []byte, curve asn1.ObjectIdentifier) ([]byte, error) {
	var key struct {
		Version    int
		PrivateKey []byte
		Curve      asn1.ObjectIdentifier `asn1:"optional,explicit,tag:0"`
		PublicKey  asn1.BitString        `asn1:"optional,explicit,tag:1"`
		More       asn1.RawValue         `asn1:"optional"`
	}
	_, err := asn1.Unmarshal(der, &key)
	more := key.More.FullBytes != nil
	switch {
	case more && key.More.Class == asn1.ClassContextSpecific && key.More.Tag == 0:
		return nil, errCurve // whose numbers are written out
	case err != nil, more:
		return nil, errMalformed
	}
	if curve == nil {
		curve = key.Curve
	}
	return key.PublicKey.Bytes, refuseCurve(curve)
}

func refuseCurve(curve asn1.ObjectIdentifier) error {
	switch curve.String() {
	case "1.2.840.10045.3.1.7", "1.3.132.0.34", "1.3.132.0.35":
		return nil
	}
	return errCurve
}

// namedCurve reads the parameters of an EC algorithm; its numbers may be
// written out instead.
func namedCurve(algorithm pkix.AlgorithmIdentifier) (asn1.ObjectIdentifier, error) {
	var curve asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal(algorithm.Parameters.FullBytes, &curve); err != nil {
		return nil, errCurve
	}
	return curve, nil
}

// inspectPKCS8 reads a OneAsymmetricKey, RFC 5958 section 2; More is as in
// inspectSEC1.
func inspectPKCS8(der []byte) ([]byte, error) {
	var key struct {
		Version    int
		Algorithm  pkix.AlgorithmIdentifier
		PrivateKey []byte
		Attributes []asn1.RawValue `asn1:"optional,tag:0,set"`
		PublicKey  asn1.BitString  `asn1:"optional,tag:1"`
		More       asn1.RawValue   `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(der, &key); err != nil || key.More.FullBytes != nil {
		return nil, errMalformed
	}
	switch key.Algorithm.Algorithm.String() {
	case oidRSA:
		return nil, inspectPKCS1(key.PrivateKey)
	case oidEC:
		curve, err := namedCurve(key.Algorithm)
		if err != nil {
			return nil, err
		}
		return inspectSEC1(key.PrivateKey, curve)
	case oidEd25519:
		return key.PublicKey.Bytes, nil
	}
	return nil, refuseAlgorithm(key.Algorithm)
}

// inspectPKIX reads a SubjectPublicKeyInfo, RFC 5280 section 4.1.
func inspectPKIX(der []byte) error {
	var key struct {
		Algorithm pkix.AlgorithmIdentifier
		PublicKey asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &key); err != nil {
		return errMalformed
	}
	switch key.Algorithm.Algorithm.String() {
	case oidRSA, oidEd25519:
		return nil
	case oidEC:
		curve, err := namedCurve(key.Algorithm)
		if err != nil {
			return err
		}
		return refuseCurve(curve)
	}
	return refuseAlgorithm(key.Algorithm)
}

// The algorithms of keys that can be used.
const (
	oidRSA     = "1.2.840.113549.1.1.1"
	oidEC      = "1.2.840.10045.2.1"
	oidEd25519 = "1.3.101.112"
)

// refuseAlgorithm names another one.
func refuseAlgorithm(algorithm pkix.AlgorithmIdentifier) error {
	switch algorithm.Algorithm.String() {
	case "1.3.101.110":
		return errX25519
	case "1.2.840.10040.4.1":
		return errDSA
	case "1.2.840.113549.1.1.10":
		return errors.New("an RSA key marked for PSS only: convert it to a plain RSA key")
	}
	return errKind
}

// isEncodingOf reports whether public is how pub is written: an EC point whole
// or compressed (SEC 1 section 2.3.3), or the 32 bytes of Ed25519.
func isEncodingOf(public []byte, pub crypto.PublicKey) bool {
	switch pub := pub.(type) {
	case *ecdsa.PublicKey:
		point, err := pub.Bytes()
		if err != nil {
			return false
		}
		size := scalarSize(pub.Curve)
		sign := 2 | point[2*size]&1
		compressed := append([]byte{sign}, point[1:1+size]...)
		return bytes.Equal(public, point) || bytes.Equal(public, compressed)
	case ed25519.PublicKey:
		return bytes.Equal(public, pub)
	}
	return false
}
