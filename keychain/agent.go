package keychain

import (
	"context"
	"crypto"
)

// checkAgent reports whether the ssh-agent answers.
func (s *Stores) checkAgent(ctx context.Context) error { panic("TODO") }

// agentSigner returns a signer with the agent's key of that fingerprint.
func (s *Stores) agentSigner(ctx context.Context, fingerprint string) (crypto.MessageSigner, error) {
	panic("TODO")
}
