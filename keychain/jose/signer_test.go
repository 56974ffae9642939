package jose_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"strings"
	"testing"

	"sfcred/keychain/jose"
)

func TestSignMessage(t *testing.T) {
	message := []byte("message")
	digest := sha256.Sum256(message)
	pss := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	for _, test := range []struct {
		name   string
		key    any
		opts   crypto.SignerOpts
		verify func(signature []byte) bool
	}{
		{"RSA", rsa2048(), crypto.SHA256, func(s []byte) bool {
			return rsa.VerifyPKCS1v15(&rsa2048().PublicKey, crypto.SHA256, digest[:], s) == nil
		}},
		{"RSA PSS", rsa2048(), pss, func(s []byte) bool {
			return rsa.VerifyPSS(&rsa2048().PublicKey, crypto.SHA256, digest[:], s, pss) == nil
		}},
		{"ECDSA", ec256(), crypto.SHA256, func(s []byte) bool {
			return ecdsa.VerifyASN1(&ec256().PublicKey, digest[:], s)
		}},
		{"Ed25519", ed(), crypto.Hash(0), func(s []byte) bool {
			return ed25519.Verify(ed().Public().(ed25519.PublicKey), message, s)
		}},
	} {
		signer := keyOf(t, test.key).Signer()
		signature, err := signer.SignMessage(rand.Reader, message, test.opts)
		if err != nil || !test.verify(signature) {
			t.Errorf("%s: the signature does not verify, error %v", test.name, err)
		}
		// The standard library's helper takes the same way.
		if signature, err = crypto.SignMessage(signer, rand.Reader, message, test.opts); err != nil || !test.verify(signature) {
			t.Errorf("%s by crypto.SignMessage: the signature does not verify, error %v", test.name, err)
		}
		if signature, err := signer.Sign(rand.Reader, digest[:], test.opts); err == nil || signature != nil {
			t.Errorf("%s: signed a digest, want an error", test.name)
		}
	}
}

func TestSignMessageRefuses(t *testing.T) {
	for _, test := range []struct {
		name string
		key  any
		opts crypto.SignerOpts
	}{
		{"RSA without a hash", rsa2048(), crypto.Hash(0)},
		{"RSA with SHA-1", rsa2048(), crypto.SHA1},
		{"ECDSA with a hash that is not linked", ec256(), crypto.BLAKE2b_256},
		{"Ed25519 with a hash", ed(), crypto.SHA512},
		{"Ed25519 with a context", ed(), &ed25519.Options{Context: "x"}},
	} {
		if signature, err := keyOf(t, test.key).Signer().SignMessage(rand.Reader, []byte("m"), test.opts); err == nil {
			t.Errorf("%s: got %d bytes, want an error", test.name, len(signature))
		}
	}
}

func TestAlgorithms(t *testing.T) {
	const ofRSA = "RS256 PS256 RS384 RS512 PS384 PS512"
	want := map[string]string{
		"RSA 2048": ofRSA, "RSA 3072": ofRSA,
		"EC 256": "ES256", "EC 384": "ES384", "EC 521": "ES512", "Ed25519 256": "EdDSA",
	}
	for name, key := range generated() {
		if got := strings.Join(jose.Algorithms(key.Public()), " "); got != want[name] {
			t.Errorf("%s: got %q, want %q", name, got, want[name])
		}
	}
	small := must(rsa.GenerateKey(rand.Reader, 1024))
	for _, pub := range []crypto.PublicKey{nil, "key", &small.PublicKey, rsa2048()} {
		if got := jose.Algorithms(pub); got != nil {
			t.Errorf("%T: got %q, want none", pub, got)
		}
		if _, isRSA := pub.(*rsa.PublicKey); isRSA {
			continue // a short key still has a fingerprint
		}
		if got, err := jose.Fingerprint(pub); err == nil {
			t.Errorf("%T: got the fingerprint %s, want an error", pub, got)
		}
	}
}
