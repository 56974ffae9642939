package jose_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"strings"
	"testing"

	"sfcred/keychain/jose"
)

func TestRefusedFixtures(t *testing.T) {
	want := map[string]string{
		"refused.certificate.pem":               "a certificate, not a private key",
		"refused.request.pem":                   "a certificate request, not a private key",
		"refused.public.pem":                    "a public key, not a private key",
		"refused.public.pkcs1.pem":              "a public key, not a private key",
		"refused.dsa.openssh.pem":               "a DSA key: only RSA, EC and Ed25519 are supported",
		"refused.dsa.pkcs8.pem":                 "a DSA key: only RSA, EC and Ed25519 are supported",
		"refused.ed448.pkcs8.pem":               "a key of an unsupported kind: only RSA, EC and Ed25519 are supported",
		"refused.x25519.pkcs8.pem":              "an X25519 key, which cannot sign",
		"refused.secp256k1.pkcs8.pem":           "an EC key on an unsupported curve: only P-256, P-384 and P-521 are supported",
		"refused.secp256k1.sec1.pem":            "an EC key on an unsupported curve: only P-256, P-384 and P-521 are supported",
		"refused.explicit.pkcs8.pem":            "an EC key on an unsupported curve: only P-256, P-384 and P-521 are supported",
		"refused.explicit.sec1.pem":             "an EC key on an unsupported curve: only P-256, P-384 and P-521 are supported",
		"refused.rsa512.pkcs1.pem":              "an RSA key of 512 bits: at least 2048 are needed",
		"refused.rsa1024.pkcs1.pem":             "an RSA key of 1024 bits: at least 2048 are needed",
		"refused.rsa-three-primes.pkcs1.pem":    "an RSA key with more than two primes",
		"refused.rsa-pss.pkcs8.pem":             "an RSA key marked for PSS only: convert it to a plain RSA key",
		"refused.p12":                           "a binary file, such as DER or PKCS#12: convert it to PEM",
		"refused.encrypted-pkcs8-pbes1.pem":     "an encrypted PKCS#8 key in an unsupported scheme: only PBES2 with PBKDF2 and AES or 3DES in CBC mode is supported",
		"refused.encrypted-pkcs8-scrypt.pem":    "an encrypted PKCS#8 key in an unsupported scheme: only PBES2 with PBKDF2 and AES or 3DES in CBC mode is supported",
		"refused.encrypted-pkcs8-k1.pem":        "an EC key on an unsupported curve: only P-256, P-384 and P-521 are supported",
		"refused.legacy-encrypted-k1.pem":       "an EC key on an unsupported curve: only P-256, P-384 and P-521 are supported",
		"refused.openssh-aes256-gcm.pem":        "an OpenSSH key in an unsupported cipher: only AES-256 in CTR or CBC mode is supported",
		"refused.legacy-encrypted-camellia.pem": "an encrypted PEM that is malformed or not in DES, 3DES or AES",
	}
	entries, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasPrefix(name, "refused.") {
			continue
		}
		seen++
		refused(t, name, fixture(t, name), want[name])
	}
	if seen != len(want) {
		t.Errorf("refused %d files, want %d", seen, len(want))
	}
}

func refused(t *testing.T, name string, data []byte, want string) {
	t.Helper()
	file, err := jose.Parse(data, func() ([]byte, error) { return []byte(passphrase), nil })
	if err == nil || file != nil {
		t.Errorf("%s: got %v, %v, want an error", name, file, err)
		return
	}
	if got := err.Error(); got != "parse key: "+want {
		t.Errorf("%s: got error %q, want %q", name, got, "parse key: "+want)
	}
}

func TestRefusedText(t *testing.T) {
	key := rsa2048()
	pkcs1 := string(encodePEM("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)))
	private := string(with(jwkOf(ec256()), nil))
	public := string(with(jwkOf(&ec256().PublicKey), nil))
	x25519 := must(ecdh.X25519().GenerateKey(rand.Reader))
	const (
		neither   = "neither PEM nor JSON"
		noJWK     = "JSON without a key: neither a JWK, nor a JWKS, nor client_id and secret"
		publicKey = "a public key, not a private key"
		curve     = "an EC key on an unsupported curve: only P-256, P-384 and P-521 are supported"
		binary    = "a binary file, such as DER or PKCS#12: convert it to PEM"
		kind      = "a key of an unsupported kind: only RSA, EC and Ed25519 are supported"
		truncated = "the PEM ends before its END line"
	)
	for _, test := range []struct{ name, data, want string }{
		{"nothing", "", "empty"},
		{"blank space", " \r\n\t", "empty"},
		{"only a BOM", "\uFEFF", "empty"},
		{"only quotes", `""`, "empty"},
		{"too large", strings.Repeat(" ", 64<<10) + "x", "larger than 64 KiB, which no key file is"},
		{"UTF-16", "\xff\xfe-\x00-\x00", "UTF-16 text: save it as UTF-8"},
		{"DER", string(x509.MarshalPKCS1PrivateKey(key)), binary},
		{"NUL", "abc\x00", binary},
		{"HTML", "<!DOCTYPE html><title>Sign in</title>", neither},
		{"words", "the quick brown fox", neither},
		{"only a client ID", "abcdefghij123", neither},
		{"base64 without its lines", encode(x509.MarshalPKCS1PrivateKey(key)), neither},
		{"PuTTY", "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n", "a PuTTY key: convert it to OpenSSH with puttygen"},

		{"OpenSSH public RSA", "ssh-rsa AAAAB3NzaC1yc2E me@here", publicKey},
		{"OpenSSH public EC", "ecdsa-sha2-nistp256 AAAA", publicKey},
		{"OpenSSH public Ed25519", "ssh-ed25519 AAAA", publicKey},
		{"OpenSSH public of a hardware key", "sk-ssh-ed25519@openssh.com AAAA", publicKey},
		{"RFC 4716", "---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n", publicKey},

		{"truncated PEM", pkcs1[:900], truncated},
		{"only a BEGIN line", "-----BEGIN PRIVATE KEY-----\n", truncated},
		{"key whole, certificate truncated", pkcs1 + "-----BEGIN CERTIFICATE-----\nMIIC", truncated},
		{"another END", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "malformed PEM"},
		{"bytes that are not base64", strings.Replace(pkcs1, "MII", "M*I", 1), "malformed PEM"},
		{"lines run together", strings.ReplaceAll(pkcs1, "\n", " "), truncated},
		{"BEGIN inside a line", "KEY=" + pkcs1, "malformed PEM"},
		{"a line is missing", strings.Replace(pkcs1, strings.Split(pkcs1, "\n")[5]+"\n", "", 1), "malformed PKCS#1 PEM"},
		{"PKCS#8 under the name of PKCS#1", string(encodePEM("RSA PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(key)))), "malformed PKCS#1 PEM"},
		{"empty block", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n", "malformed PKCS#8 PEM"},
		{"two private keys", pkcs1 + string(pkcs8(ec256())), "a PEM with 2 private keys: want exactly one"},
		{"only EC PARAMETERS", string(encodePEM("EC PARAMETERS", []byte{6, 0})), "a PEM without a private key"},
		{"DSA", string(encodePEM("DSA PRIVATE KEY", []byte{48, 0})), "a DSA key: only RSA, EC and Ed25519 are supported"},
		{"unknown label", string(encodePEM("ANY PRIVATE KEY", []byte{48, 0})), kind},
		{"PGP", string(encodePEM("PGP PRIVATE KEY BLOCK", []byte{48, 0})), "a PEM without a private key"},
		{"OpenSSH without its magic", string(encodePEM("OPENSSH PRIVATE KEY", []byte("openssh-key-v2"))), "malformed OpenSSH key"},
		{"encrypted PKCS#8 that is none", string(encodePEM("ENCRYPTED PRIVATE KEY", []byte{48, 0})), "malformed encrypted PKCS#8 PEM"},

		{"JSON array", "[" + private + "]", noJWK},
		{"empty object", "{}", noJWK},
		{"Google's service account", `{"type":"service_account","private_key":"-----BEGIN PRIVATE KEY-----\n"}`, noJWK},
		{"only a client ID in JSON", `{"client_id":"abc"}`, noJWK},
		{"truncated JSON", private[:len(private)/2], "malformed JSON"},
		{"two objects", private + private, "malformed JSON"},
		{"client ID that is none", `{"client_id":"a b","secret":` + private + `}`, "client_id is not a client ID"},
		{"client ID that is a number", `{"client_id":7,"secret":` + private + `}`, "client_id is not a client ID"},
		{"secret of words", `{"client_id":"abc","secret":"hunter2"}`, "secret is not a JWK"},
		{"secret null", `{"client_id":"abc","secret":null}`, "secret is not a JWK"},
		{"secret public", `{"client_id":"abc","private_key_jwk":` + public + `}`, "private_key_jwk: a public key, not a private key"},
		{"jwk public", `{"client_id":"abc","jwk":` + public + `}`, "jwk: a public key, not a private key"},
		{"jwk of words", `{"client_id":"abc","jwk":"hunter2"}`, "jwk is not a JWK"},
		{"secret in a secret", `{"client_id":"abc","secret":{"client_id":"abc","secret":` + private + `}}`, "secret: " + noJWK},

		{"public JWK", public, publicKey},
		{"public RSA JWK", string(with(jwkOf(&key.PublicKey), nil)), publicKey},
		{"symmetric", `{"kty":"oct","k":"c2VjcmV0"}`, "a symmetric key, not a private key"},
		{"kty unknown", `{"kty":"AKP","d":"AA"}`, kind},
		{"kty no string", `{"kty":7,"d":"AA"}`, kind},
		{"secp256k1", `{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA","d":"AA"}`, curve},
		{"X25519", string(with(map[string]any{"kty": "OKP", "crv": "X25519", "d": encode(x25519.Bytes()), "x": encode(x25519.PublicKey().Bytes())}, nil)), "an X25519 key, which cannot sign"},
		{"Ed448", `{"kty":"OKP","crv":"Ed448","x":"AA","d":"AA"}`, kind},
		{"three primes", string(with(jwkOf(key), map[string]any{"oth": []any{map[string]any{"r": "AA", "d": "AA", "t": "AA"}}})), "an RSA key with more than two primes"},
		{"too many bits", string(with(jwkOf(key), map[string]any{"n": encode(new(big.Int).Lsh(key.N, 8192).Bytes())})), "an RSA key of 10240 bits: at most 8192 are supported"},
		{"not base64url", string(with(jwkOf(key), map[string]any{"d": "!"})), "malformed JWK"},
		{"member of another type", string(with(jwkOf(key), map[string]any{"p": 7})), "malformed JWK"},
		{"empty JWKS", `{"keys":[]}`, "a JWKS with 0 private keys: want exactly one"},
		{"JWKS of a server", `{"keys":[` + public + `]}`, "a JWKS with 0 private keys: want exactly one"},
		{"JWKS with two", `{"keys":[` + private + `,` + string(with(jwkOf(key), nil)) + `]}`, "a JWKS with 2 private keys: want exactly one"},
		{"JWKS that is no list", `{"keys":{}}`, "malformed JWKS"},
	} {
		refused(t, test.name, []byte(test.data), test.want)
	}
}

// Files can ask for work that would never end, or for a block size that makes
// crypto/cipher panic. A few bytes are changed in a good file.
func TestHostileEncryption(t *testing.T) {
	const scheme = "an encrypted PKCS#8 key in an unsupported scheme: only PBES2 with PBKDF2 and AES or 3DES in CBC mode is supported"
	block, _ := pem.Decode(fixture(t, "rsa.encrypted-pkcs8.pem"))
	good := block.Bytes
	for _, test := range []struct {
		name, old, new, want string
	}{
		{"134 million iterations", "\x02\x02\x08\x00\x30\x0c\x06\x08", "\x02\x04\x08\x00\x00\x00\x06\x08", scheme},
		{"no iterations", "\x02\x02\x08\x00", "\x02\x02\x00\x00", scheme},
		{"IV that is no OCTET STRING", "\x01\x2a\x04\x10", "\x01\x2a\x05\x10", scheme},
		{"AES in GCM mode", "\x03\x04\x01\x2a", "\x03\x04\x01\x2e", scheme},
		{"data that are no whole blocks", "\x04\x82\x04\xd0", "\x04\x82\x04\xcf", "malformed encrypted PKCS#8 PEM"},
		{"unknown hash", "\x0d\x02\x09", "\x0d\x02\x3f", scheme},
	} {
		hostile := bytes.Replace(good, []byte(test.old), []byte(test.new), 1)
		if bytes.Equal(hostile, good) {
			t.Errorf("%s: the fixture has no such bytes", test.name)
		}
		refused(t, test.name, encodePEM("ENCRYPTED PRIVATE KEY", hostile), test.want)
	}
}
