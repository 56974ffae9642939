package jose

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/lestrrat-go/jwx/v2/jwk"
	"golang.org/x/crypto/ssh"
)

// errPrivate is what a private key gets where a public one is wanted.
var errPrivate = errors.New("a private key: only its public half is wanted")

// ParsePublic reads a public key of at most 64 KiB: PEM (PKIX or PKCS#1), a
// line of a .pub or authorized_keys file, or a JWK. The key is of a kind that a
// [Key] may be. Everything else is refused by its name, and no error repeats
// any of data.
func ParsePublic(data []byte) (crypto.PublicKey, error) {
	pub, err := parsePublic(data)
	if err != nil {
		return nil, fmt.Errorf("parse public key: %w", err)
	}
	return pub, nil
}

func parsePublic(data []byte) (crypto.PublicKey, error) {
	text, err := textOf(data)
	if err != nil {
		return nil, err
	}
	var raw any
	switch {
	case text[0] == '{' || text[0] == '[':
		raw, err = publicOfJSON([]byte(text))
	case strings.Contains(text, pemBegin):
		raw, err = publicOfPEM(text)
	case strings.HasPrefix(text, "PuTTY-User-Key-File-"):
		err = errPrivate
	default:
		raw, err = publicOfSSH(text)
	}
	if err != nil {
		return nil, err
	}
	return checkPublic(raw)
}

// publicOfPEM reads the only block of a PEM.
func publicOfPEM(text string) (any, error) {
	blocks, err := pemBlocks(unfold(text))
	if err != nil {
		return nil, err
	}
	for _, block := range blocks {
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return nil, errPrivate
		}
	}
	if len(blocks) > 1 {
		return nil, fmt.Errorf("a PEM with %d blocks: want exactly one", len(blocks))
	}
	return publicOfBlock(blocks[0])
}

// publicOfBlock leaves out the errors of crypto/x509: they may quote the key.
func publicOfBlock(block *pem.Block) (any, error) {
	malformed := fmt.Errorf("%w public key PEM", errMalformed)
	switch block.Type {
	case "PUBLIC KEY":
		if err := inspectPKIX(block.Bytes); err == errMalformed {
			return nil, malformed
		} else if err != nil {
			return nil, err
		}
		if pub, err := x509.ParsePKIXPublicKey(block.Bytes); err == nil {
			return pub, nil
		}
		return nil, malformed
	case "RSA PUBLIC KEY":
		if pub, err := x509.ParsePKCS1PublicKey(block.Bytes); err == nil {
			return pub, nil
		}
		return nil, malformed
	case "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE":
		return nil, errors.New("a certificate, not a public key")
	case "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST":
		return nil, errors.New("a certificate request, not a public key")
	}
	return nil, errors.New("a PEM without a public key")
}

// publicOfJSON reads a public key of RFC 7517. The errors of jwx are left out:
// they may quote the key.
func publicOfJSON(data []byte) (any, error) {
	if !json.Valid(data) {
		return nil, fmt.Errorf("%w JSON", errMalformed)
	}
	var object members
	_ = json.Unmarshal(data, &object) // an array leaves it empty
	switch {
	case object.has("d") || object.has("secret") || object.has("private_key_jwk"):
		return nil, errPrivate
	case object.has("keys"):
		return nil, errors.New("a JWKS: want a single JWK out of it")
	case !object.has("kty"):
		return nil, errors.New("JSON without a key: not a JWK")
	case object.text("kty") == "oct":
		return nil, errors.New("a symmetric key, not a public key")
	}
	if err := refuseKind(object); err != nil {
		return nil, err
	}
	parsed, err := jwk.ParseKey(data)
	if err != nil {
		return nil, fmt.Errorf("%w JWK", errMalformed)
	}
	var raw any
	rsaKey, isRSA := parsed.(jwk.RSAPublicKey)
	if isRSA && longExponent(rsaKey.E()) || parsed.Raw(&raw) != nil {
		return nil, errors.New("the JWK is damaged: its numbers do not belong together")
	}
	return raw, nil
}

// publicOfSSH reads the only line of a .pub or authorized_keys file, sshd(8),
// that is neither empty nor a comment.
func publicOfSSH(text string) (any, error) {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	if strings.HasPrefix(text, "---- BEGIN SSH2 PUBLIC KEY") {
		return nil, errors.New(`an SSH2 public key: convert it with "ssh-keygen -i"`)
	}
	if len(lines) == 0 {
		return nil, errors.New("no key, only comments")
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(lines[0]))
	switch {
	case err != nil && strings.HasPrefix(lines[0], "ssh-dss "):
		return nil, errDSA // which package ssh does not know any more
	case err != nil && isSSHPublic(lines[0]):
		return nil, fmt.Errorf("%w OpenSSH public key", errMalformed)
	case err != nil:
		return nil, errors.New("neither PEM, nor JSON, nor an OpenSSH public key")
	case len(lines) > 1:
		return nil, errors.New("a file with more than one line: want a single public key")
	}
	return cryptoOfSSH(key)
}

// cryptoOfSSH refuses by name what is a key for ssh only.
func cryptoOfSSH(key ssh.PublicKey) (any, error) {
	_, isCertificate := key.(*ssh.Certificate)
	switch {
	case isCertificate:
		return nil, errors.New("an OpenSSH certificate, not a public key")
	case strings.HasPrefix(key.Type(), "sk-"):
		return nil, errors.New("a key of a hardware security key (FIDO), which signs for ssh only")
	}
	if key, ok := key.(ssh.CryptoPublicKey); ok {
		return key.CryptoPublicKey(), nil
	}
	return nil, errKind
}

// checkPublic checks what a parser made, which may be no more than numbers.
func checkPublic(raw any) (crypto.PublicKey, error) {
	switch pub := raw.(type) {
	case *rsa.PublicKey:
		if err := checkBits(pub.N.BitLen()); err != nil {
			return nil, err
		}
		if pub.N.Sign() < 0 || pub.N.Bit(0) == 0 || pub.E < 3 || pub.E&1 == 0 || pub.E > 1<<31-1 {
			return nil, errors.New("the RSA key is damaged: a number is out of range")
		}
		return pub, nil
	case *ecdsa.PublicKey:
		if Algorithms(pub) == nil {
			return nil, errCurve
		}
		if _, err := pub.Bytes(); err != nil {
			return nil, errors.New("the EC key is damaged: its point is not on its curve")
		}
		return pub, nil
	case ed25519.PublicKey:
		if len(pub) != ed25519.PublicKeySize {
			return nil, errors.New("the Ed25519 key is damaged: it has a wrong length")
		}
		return pub, nil
	case *ecdh.PublicKey:
		return nil, errX25519
	}
	return nil, errKind
}
