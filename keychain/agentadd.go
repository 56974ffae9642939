package keychain

import (
	"context"
	"fmt"
	"math"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"sfcred/keychain/jose"
)

// AgentLimits says what an ssh-agent holds a key to.
type AgentLimits struct {
	For     time.Duration // when it drops the key; whole seconds, more than none
	Confirm bool          // it asks the user before each signature
}

// AddToAgent loads key into the running ssh-agent, within limits, and looks
// that it is there; the limits of a key that is there already change. It
// refuses an agent that is another user's or forwarded from another machine,
// and gpg-agent, which writes keys to its disk. After an error and after ctx
// has ended the key may be there, within its limits.
func (s *Stores) AddToAgent(ctx context.Context, key *jose.Key, comment string, limits AgentLimits) error {
	seconds := limits.For / time.Second
	if limits.For <= 0 || limits.For%time.Second != 0 || seconds > math.MaxUint32 {
		return fmt.Errorf("load a key into the ssh-agent for %v: want whole seconds, more than none and at most %d", limits.For, uint32(math.MaxUint32))
	}
	added := agent.AddedKey{
		PrivateKey:       key.AgentKey(),
		Comment:          printable(comment),
		LifetimeSecs:     uint32(seconds),
		ConfirmBeforeUse: limits.Confirm,
	}
	return s.withAgent(ctx, unanswered, func(c *agentConn) error {
		if err := c.refuse(); err != nil {
			return err
		}
		err := c.client.Add(added)
		if err != nil && c.wire.refused() {
			return agentError(ErrLocked, "the ssh-agent at %q did not take the key: "+
				"it is locked, or takes none for a limited time or with a confirmation, as that of Windows", c.path)
		}
		if err != nil {
			return c.broken()
		}
		_, err = c.find(key.Fingerprint())
		return err
	})
}

// AgentKeeps reports whether the running ssh-agent is one that
// [Stores.AddToAgent] would load a key into: to be asked before a person is.
func (s *Stores) AgentKeeps(ctx context.Context) error {
	return s.withAgent(ctx, unanswered, (*agentConn).refuse)
}

// RemoveFromAgent takes the key of that fingerprint, and no other, out of the
// running ssh-agent, and looks that it is gone; ErrNotFound if it is not there.
func (s *Stores) RemoveFromAgent(ctx context.Context, fingerprint string) error {
	return s.withAgent(ctx, unanswered, func(c *agentConn) error { return c.remove(fingerprint) })
}

func (c *agentConn) remove(fingerprint string) error {
	key, err := c.find(fingerprint)
	if err != nil {
		return err
	}
	public, err := ssh.NewPublicKey(key.Public)
	if err != nil {
		return c.broken() // cannot be: the key was listed
	}
	// A refusal may mean that the key has run out by now: the list tells.
	if err := c.client.Remove(public); err != nil && !c.wire.refused() {
		return c.broken()
	}
	keys, _, err := c.keys()
	if err != nil {
		return err
	}
	for _, key := range keys {
		if key.Fingerprint == fingerprint {
			return agentError(ErrUnavailable, "the ssh-agent at %q still has key %s after it was told to remove it", c.path, fingerprint)
		}
	}
	return nil
}
