package keychain

import (
	"context"
	"crypto"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"sfcred/keychain/jose"
)

// maxComment bounds in characters what is shown of a key's comment, which is
// mostly a path or user@host.
const maxComment = 64

// agentError makes an [Error] of StoreAgent.
func agentError(kind error, format string, args ...any) error {
	return &Error{StoreAgent, fmt.Sprintf(format, args...), kind}
}

// AgentKey is a key that an ssh-agent has and that can sign an assertion.
type AgentKey struct {
	Public      crypto.PublicKey // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
	Fingerprint string           // as jose.Fingerprint gives it
	Comment     string           // for people, from whoever loaded the key: printable and short
}

// AgentSigns reports whether keys in an ssh-agent sign for alg. RFC 9987 knows
// neither RSA-PSS nor RSA with SHA-384; with SHA-512 it could, but a server that
// takes RS512 takes RS256.
func AgentSigns(alg string) bool {
	return slices.Contains([]string{"RS256", "ES256", "ES384", "ES512", "EdDSA"}, alg)
}

// AgentKeys returns the keys of the running ssh-agent that can sign an
// assertion, in the agent's order. A locked agent lists none.
func (s *Stores) AgentKeys(ctx context.Context) ([]AgentKey, error) {
	var keys []AgentKey
	err := s.withAgent(ctx, unanswered, func(c *agentConn) (err error) {
		keys, _, err = c.keys()
		return err
	})
	if err != nil {
		return nil, err
	}
	return keys, nil
}

// checkAgent reports whether the ssh-agent answers.
func (s *Stores) checkAgent(ctx context.Context) error {
	_, err := s.AgentKeys(ctx)
	return err
}

// keys lists the keys that can sign an assertion, each once, and says how many
// keys of any kind the agent listed.
func (c *agentConn) keys() (usable []AgentKey, all int, err error) {
	listed, err := c.client.List()
	if err != nil && c.wire.refused() {
		return nil, 0, agentError(ErrLocked, "the ssh-agent at %q refuses to list its keys: it may be locked", c.path)
	}
	if err != nil {
		return nil, 0, c.broken()
	}
	for _, key := range listed {
		found, ok := usableKey(key)
		same := func(k AgentKey) bool { return k.Fingerprint == found.Fingerprint }
		if ok && !slices.ContainsFunc(usable, same) {
			usable = append(usable, found)
		}
	}
	return usable, len(listed), nil
}

// usableKey passes over what cannot sign an assertion: certificates, keys of
// FIDO tokens (sk-), which sign more than the message, DSA, short RSA keys,
// and what is no key at all.
func usableKey(key *agent.Key) (AgentKey, bool) {
	switch key.Format {
	case ssh.KeyAlgoRSA, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoED25519:
	default:
		return AgentKey{}, false
	}
	parsed, err := ssh.ParsePublicKey(key.Blob)
	if err != nil {
		return AgentKey{}, false
	}
	withCrypto, ok := parsed.(ssh.CryptoPublicKey)
	if !ok {
		return AgentKey{}, false
	}
	pub := withCrypto.CryptoPublicKey()
	fingerprint, err := jose.Fingerprint(pub)
	if err != nil || len(jose.Algorithms(pub)) == 0 {
		return AgentKey{}, false
	}
	return AgentKey{pub, fingerprint, printable(key.Comment)}, true
}

// find returns the key of that fingerprint.
func (c *agentConn) find(fingerprint string) (AgentKey, error) {
	keys, all, err := c.keys()
	if err != nil {
		return AgentKey{}, err
	}
	for _, key := range keys {
		if key.Fingerprint == fingerprint {
			return key, nil
		}
	}
	if all == 0 {
		return AgentKey{}, agentError(ErrNotFound, "the ssh-agent at %q has no key %q: it lists none at all, as it does when it is locked", c.path, fingerprint)
	}
	return AgentKey{}, agentError(ErrNotFound, "the ssh-agent at %q has no key %q", c.path, fingerprint)
}

// printable takes out of a comment what could act on a terminal or hide text.
func printable(comment string) string {
	shown := strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, comment)
	runes := []rune(shown)
	return string(runes[:min(len(runes), maxComment)])
}
