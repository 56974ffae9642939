package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"fmt"
	"io"

	"golang.org/x/crypto/ssh"
)

// Key is a private key that was checked whole: RSA of 2048 to 8192 bits with
// two primes, EC on P-256, P-384 or P-521, or Ed25519. Only [Key.Text] and
// [Key.AgentKey] give its secret away; printing a Key by any verb gives its
// kind and fingerprint, and encoding/json finds nothing in it. [Parse],
// [ParseText] and [Generate] make one; the zero value is not usable.
type Key struct {
	// private returns *rsa.PrivateKey, *ecdsa.PrivateKey or ed25519.PrivateKey.
	// A function, because fmt calls no methods on unexported fields: where a
	// Key lies inside another struct, %s would print through a pointer.
	private func() crypto.Signer
}

// Type returns "RSA", "EC" or "Ed25519".
func (k *Key) Type() string {
	name, _ := describe(k.Public())
	return name
}

// Bits returns the size in bits of the RSA modulus or of the curve: 2048 to
// 8192, 256, 384 or 521.
func (k *Key) Bits() int {
	_, bits := describe(k.Public())
	return bits
}

// Public returns the public key: *rsa.PublicKey, *ecdsa.PublicKey or
// ed25519.PublicKey.
func (k *Key) Public() crypto.PublicKey { return k.private().Public() }

// AgentKey returns the secret itself, *rsa.PrivateKey, *ecdsa.PrivateKey or
// ed25519.PrivateKey, for an ssh-agent to keep. It is not a copy: the caller
// leaves it as it is.
func (k *Key) AgentKey() any { return k.private() }

// Fingerprint returns "SHA256:…" as "ssh-keygen -l" prints it for the public
// key.
func (k *Key) Fingerprint() string {
	fingerprint, err := Fingerprint(k.Public())
	if err != nil {
		return "" // cannot be: every kind that a Key may be has an SSH form
	}
	return fingerprint
}

// String returns a line for people, without the secret, such as
// "RSA 2048 key SHA256:…".
func (k Key) String() string {
	if k.private == nil {
		return "no key"
	}
	return fmt.Sprintf("%s %d key %s", k.Type(), k.Bits(), k.Fingerprint())
}

// Format writes what [Key.String] returns, whatever the verb: %+v, %#v and %x
// would otherwise look inside.
func (k Key) Format(f fmt.State, _ rune) { io.WriteString(f, k.String()) }

// Fingerprint returns "SHA256:…" as "ssh-keygen -l" prints it, for an RSA, EC
// or Ed25519 public key of package crypto; anything else is an error.
func Fingerprint(pub crypto.PublicKey) (string, error) {
	key, err := ssh.NewPublicKey(pub)
	if err != nil {
		return "", fmt.Errorf("fingerprint a key of type %T: not RSA, EC or Ed25519", pub)
	}
	return ssh.FingerprintSHA256(key), nil
}

// describe names the type of a public key as [Key.Type] does, and its bits;
// the Go type and 0 for one that is not ours.
func describe(pub crypto.PublicKey) (string, int) {
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		return "RSA", pub.N.BitLen()
	case *ecdsa.PublicKey:
		return "EC", pub.Curve.Params().BitSize
	case ed25519.PublicKey:
		return "Ed25519", 256
	}
	return fmt.Sprintf("%T", pub), 0
}
