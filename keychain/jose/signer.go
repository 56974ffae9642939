package jose

import (
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
)

// Signer returns a signer over whole messages. Its SignMessage hashes as the
// options say: a crypto.Hash for RSASSA-PKCS1-v1_5 and for ECDSA (answered in
// ASN.1), *rsa.PSSOptions for RSASSA-PSS, crypto.Hash(0) for Ed25519. Its Sign
// always fails: an ssh-agent cannot sign a digest, so nobody may count on it.
func (k *Key) Signer() crypto.MessageSigner { return &messageSigner{key: k} }

// Signer is [Key.Signer] for the key of a file. [Assertion.Sign] takes from it
// what the file says of the key, where its caller does not say otherwise.
func (f *File) Signer() crypto.MessageSigner {
	return &messageSigner{key: f.Key, alg: f.Alg, keyID: f.KeyID}
}

type messageSigner struct {
	key        *Key
	alg, keyID string // of the key's file; or ""
}

func (s *messageSigner) Public() crypto.PublicKey { return s.key.Public() }

func (s *messageSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("sign a digest: this key signs whole messages only")
}

func (s *messageSigner) SignMessage(rand io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	private := s.key.private()
	if _, isEd25519 := private.(ed25519.PrivateKey); isEd25519 {
		if opts != crypto.Hash(0) {
			return nil, errors.New("sign with an Ed25519 key: it takes the message without a hash or other options")
		}
		return private.Sign(rand, message, opts)
	}
	hash := opts.HashFunc()
	if hash != crypto.SHA256 && hash != crypto.SHA384 && hash != crypto.SHA512 {
		return nil, fmt.Errorf("sign with the hash %v: want SHA-256, SHA-384 or SHA-512", hash)
	}
	return private.Sign(rand, sum(hash, message), opts)
}
