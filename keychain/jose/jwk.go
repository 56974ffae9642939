package jose

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

var (
	errPublic = errors.New("a public key, not a private key")
	errNoJWK  = errors.New("JSON without a key: neither a JWK, nor a JWKS, nor client_id and secret")
)

// members is a JSON object whose values are not looked into yet. Other than
// struct fields, its names are compared exactly.
type members map[string]json.RawMessage

// text returns a member that is a string, or "".
func (m members) text(name string) string {
	var s string
	if json.Unmarshal(m[name], &s) != nil {
		return ""
	}
	return s
}

func (m members) has(name string) bool { return m[name] != nil }

// parseJSON reads a JWK, a JWKS, or what Iris and the clients of SFAPI write:
// {"client_id": …, "secret": JWK}, where "private_key_jwk" or "jwk" may stand
// for "secret", and the JWK may be a string that holds its JSON.
func parseJSON(data []byte) (*File, error) {
	if !json.Valid(data) {
		return nil, fmt.Errorf("%w JSON", errMalformed)
	}
	var object members
	if json.Unmarshal(data, &object) != nil {
		return nil, errNoJWK
	}
	for _, name := range []string{"secret", "private_key_jwk", "jwk"} {
		if object.has(name) {
			return parseClient(object, name)
		}
	}
	return parseKeyObject(data, object)
}

func parseClient(client members, secret string) (*File, error) {
	id := client.text("client_id")
	if client.has("client_id") && !IsClientID(id) {
		return nil, errors.New("client_id is not a client ID")
	}
	data := []byte(client[secret])
	if s := client.text(secret); s != "" {
		data = []byte(s)
	}
	var object members
	if json.Unmarshal(data, &object) != nil || object == nil {
		return nil, fmt.Errorf("%s is not a JWK", secret)
	}
	file, err := parseKeyObject(data, object)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", secret, err)
	}
	file.ClientID, file.Format = id, "client JSON"
	return file, nil
}

func parseKeyObject(data []byte, object members) (*File, error) {
	switch {
	case object.has("keys"):
		return parseJWKS(object["keys"])
	case object.has("kty"):
		return parseJWK(data, object)
	}
	return nil, errNoJWK
}

// parseJWKS takes the only private key of a set (RFC 7517 section 5), whatever
// public and symmetric keys stand beside it.
func parseJWKS(list json.RawMessage) (*File, error) {
	var keys []json.RawMessage
	if json.Unmarshal(list, &keys) != nil {
		return nil, fmt.Errorf("%w JWKS", errMalformed)
	}
	var private []json.RawMessage
	var object members
	for _, data := range keys {
		var m members
		if json.Unmarshal(data, &m) == nil && m.has("d") {
			private, object = append(private, data), m
		}
	}
	if len(private) != 1 {
		return nil, fmt.Errorf("a JWKS with %d private keys: want exactly one", len(private))
	}
	file, err := parseJWK(private[0], object)
	if err != nil {
		return nil, err
	}
	file.Format = "JWKS"
	return file, nil
}

// parseJWK reads a private key of RFC 7517. The errors of jwx are left out:
// they may quote the key.
func parseJWK(data []byte, object members) (*File, error) {
	if err := refuseJWK(object); err != nil {
		return nil, err
	}
	parsed, err := jwk.ParseKey(data)
	if err != nil {
		return nil, fmt.Errorf("%w JWK", errMalformed)
	}
	var raw any
	rsaKey, isRSA := parsed.(jwk.RSAPrivateKey)
	if isRSA && longExponent(rsaKey.E()) || parsed.Raw(&raw) != nil {
		return nil, errors.New("the JWK is damaged: its numbers do not belong together")
	}
	key, err := newKey(raw)
	if err != nil {
		return nil, err
	}
	file := &File{Key: key, KeyID: parsed.KeyID(), Format: "JWK"}
	if alg := object.text("alg"); slices.Contains(Algorithms(key.Public()), alg) {
		file.Alg = alg
	}
	return file, nil
}

// longExponent reports whether e is one that jwx cuts to its last 64 bits;
// crypto/rsa takes 31.
func longExponent(e []byte) bool { return new(big.Int).SetBytes(e).BitLen() > 31 }

// refuseJWK names what jwx would refuse without a name, or accept.
func refuseJWK(object members) error {
	if object.text("kty") == "oct" {
		return errors.New("a symmetric key, not a private key")
	}
	if err := refuseKind(object); err != nil {
		return err
	}
	if !object.has("d") {
		return errPublic
	}
	if object.has("oth") {
		return errPrimes
	}
	return nil
}

// refuseKind names the kinds of JWK that cannot be used.
func refuseKind(object members) error {
	curve := object.text("crv")
	switch object.text("kty") {
	case "RSA":
		return nil
	case "EC":
		if curve != "P-256" && curve != "P-384" && curve != "P-521" {
			return errCurve
		}
		return nil
	case "OKP":
		if curve == "X25519" {
			return errX25519
		}
		if curve == "Ed25519" {
			return nil
		}
	}
	return errKind
}
