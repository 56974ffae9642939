package keychain

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"sfcred/keychain/jose"
)

// agentSigner returns a signer with the agent's key of that fingerprint.
func (s *Stores) agentSigner(ctx context.Context, fingerprint string) (crypto.MessageSigner, error) {
	var key AgentKey
	err := s.withAgent(ctx, unanswered, func(c *agentConn) (err error) {
		key, err = c.find(fingerprint)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &agentSigner{ctx, s, key}, nil
}

// agentSigner keeps to the contract of [jose.Key.Signer]. It connects for each
// signature, since nobody closes a signer.
type agentSigner struct {
	ctx    context.Context // the caller's of Signer; SignMessage has none
	stores *Stores
	key    AgentKey
}

func (a *agentSigner) Public() crypto.PublicKey { return a.key.Public }

func (a *agentSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("sign a digest: an ssh-agent signs whole messages only")
}

func (a *agentSigner) SignMessage(_ io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	way, err := a.key.way(opts)
	if err != nil {
		return nil, err
	}
	const silence = "did not sign in time, or nobody confirmed or touched the key"
	var signature []byte
	err = a.stores.withAgent(a.ctx, silence, func(c *agentConn) (err error) {
		signature, err = c.sign(a.key, message, way)
		return err
	})
	if err != nil {
		return nil, err
	}
	return signature, nil
}

// sign returns a signature that verifies, in the form of package crypto.
func (c *agentConn) sign(key AgentKey, message []byte, way signingWay) ([]byte, error) {
	public, err := ssh.NewPublicKey(key.Public)
	if err != nil {
		return nil, c.broken() // cannot be: the key was listed
	}
	signature, err := c.client.SignWithFlags(public, message, way.flags)
	switch {
	case err != nil && c.wire.refused():
		return nil, agentError(ErrLocked, "the ssh-agent at %q refused to sign with key %s: "+
			"it was not confirmed, the agent is locked, or the key has left it", c.path, key.Fingerprint)
	case err != nil:
		return nil, c.broken()
	case signature.Format != way.format: // before RFC 8332, agents signed with SHA-1 only
		return nil, agentError(ErrUnavailable, "the ssh-agent at %q made another signature than the %s that was asked for", c.path, way.format)
	case public.Verify(message, signature) != nil:
		return nil, agentError(ErrUnavailable, "the ssh-agent at %q made a signature that does not verify with key %s", c.path, key.Fingerprint)
	}
	return fromSSH(key.Public, signature.Blob)
}

// signingWay is how an agent signs with one kind of key: what is asked of it,
// and the type of the signature that is to come back.
type signingWay struct {
	opts   crypto.SignerOpts
	flags  agent.SignatureFlags
	format string
}

// wayOf returns how an agent signs for alg, one of those of [AgentSigns].
func wayOf(alg string) signingWay {
	switch alg {
	case "RS256":
		return signingWay{crypto.SHA256, agent.SignatureFlagRsaSha256, ssh.KeyAlgoRSASHA256}
	case "ES256":
		return signingWay{crypto.SHA256, 0, ssh.KeyAlgoECDSA256}
	case "ES384":
		return signingWay{crypto.SHA384, 0, ssh.KeyAlgoECDSA384}
	case "ES512":
		return signingWay{crypto.SHA512, 0, ssh.KeyAlgoECDSA521}
	}
	return signingWay{crypto.Hash(0), 0, ssh.KeyAlgoED25519} // EdDSA
}

// way returns how the agent signs with the key, if that is what opts want.
func (k AgentKey) way(opts crypto.SignerOpts) (signingWay, error) {
	alg := jose.Algorithms(k.Public)[0] // the only one, but for RSA
	way := wayOf(alg)
	if _, isPSS := opts.(*rsa.PSSOptions); isPSS {
		return way, agentError(ErrUnavailable, "an ssh-agent makes no RSA-PSS signatures (PS256, PS384, PS512): with an RSA key it signs %s", alg)
	}
	if opts != way.opts {
		return way, agentError(ErrUnavailable, "an ssh-agent signs with key %s for %s only", k.Fingerprint, alg)
	}
	return way, nil
}

// fromSSH turns a signature that was verified from its form in SSH into that of
// package crypto.
func fromSSH(pub crypto.PublicKey, blob []byte) ([]byte, error) {
	switch pub := pub.(type) {
	case *rsa.PublicKey: // some agents leave out leading zeros (RFC 8332 section 3)
		signature := make([]byte, pub.Size())
		return new(big.Int).SetBytes(blob).FillBytes(signature), nil
	case *ecdsa.PublicKey: // two mpints (RFC 5656 section 3.1.2)
		var parts struct{ R, S *big.Int }
		if err := ssh.Unmarshal(blob, &parts); err != nil {
			return nil, err
		}
		return asn1.Marshal(parts)
	case ed25519.PublicKey:
		return blob, nil
	}
	return nil, errors.ErrUnsupported
}
