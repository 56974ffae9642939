package main

import (
	"cmp"
	"context"
	"crypto"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"sfcred/keychain"
	"sfcred/keychain/jose"
)

// agentKey finds the key in the ssh-agent: the one that --key names, or the
// only one that can be used.
func (l *loginRun) agentKey() (*loginKey, error) {
	ctx, cancel := l.deadline(l.ctx)
	defer cancel()
	fingerprint, err := l.agentFingerprint(ctx)
	if err != nil {
		return nil, err
	}
	open := func(ctx context.Context) (crypto.MessageSigner, error) {
		return l.stores.Signer(ctx, keychain.Ref{Store: keychain.StoreAgent, Fingerprint: fingerprint})
	}
	signer, err := open(ctx)
	if errors.Is(err, keychain.ErrNotFound) {
		return nil, l.notInAgent(err, fingerprint)
	}
	if err != nil {
		return nil, err
	}
	p := &l.profile
	p.Fingerprint, p.KID = fingerprint, ""
	fit := slices.DeleteFunc(jose.Algorithms(signer.Public()), func(alg string) bool { return !keychain.AgentSigns(alg) })
	if alg := l.c.String("alg"); alg != "" && !keychain.AgentSigns(alg) {
		return nil, &usageError{text: fmt.Sprintf("--alg %s: an ssh-agent does not sign so; what fits the key is %s", alg, strings.Join(fit, ", "))}
	}
	if err := l.checkAlg(fit); err != nil {
		return nil, err
	}
	if !slices.Contains(fit, p.Alg) {
		p.Alg = fit[0]
	}
	return &loginKey{open: open}, l.clientID("")
}

// notInAgent adds how a key that sfcred has gets into the agent.
func (l *loginRun) notInAgent(err error, fingerprint string) error {
	config, loadErr := l.file.Load()
	if loadErr != nil {
		return err
	}
	if name := l.unlockable(config, fingerprint); name != "" {
		return &hintedError{err, []string{"sfcred unlock --agent " + name}}
	}
	return err
}

// agentFingerprint names the agent's key.
func (l *loginRun) agentFingerprint(ctx context.Context) (string, error) {
	if name := l.c.String("key"); name != "" {
		return l.namedFingerprint(name)
	}
	keys, err := l.stores.AgentKeys(ctx)
	if err != nil {
		return "", err
	}
	if len(keys) == 1 {
		return keys[0].Fingerprint, nil
	}
	if len(keys) == 0 {
		// A locked agent lists none, and cannot be asked whether it is.
		return "", &hintedError{
			&keychain.Error{Store: keychain.StoreAgent, Reason: "the ssh-agent has no key that can be used, or is locked", Err: keychain.ErrNotFound},
			[]string{"ssh-add -l", "ssh-add -X"},
		}
	}
	// Not in the hints: where zsh is typed to, "#" begins no comment.
	var names, hints []string
	for _, k := range keys {
		names = append(names, fmt.Sprintf("%s (%s)", k.Fingerprint, cmp.Or(k.Comment, "no comment")))
		hints = append(hints, l.again("--key", k.Fingerprint))
	}
	return "", &usageError{fmt.Sprintf("the ssh-agent has %d keys that can be used; which one is meant? %s", len(keys), strings.Join(names, ", ")), hints}
}

// namedFingerprint reads what --key says of an agent's key: its fingerprint, or
// the file of its public half.
func (l *loginRun) namedFingerprint(name string) (string, error) {
	if strings.HasPrefix(name, "SHA256:") {
		return name, nil
	}
	text, from, err := l.keyText()
	if err != nil {
		return "", err
	}
	public, err := jose.ParsePublic(text)
	if err != nil {
		return "", &usageError{text: fmt.Sprintf("%s: %v; in store ssh-agent a key is named by its public half", from, err), hints: l.publicHints(name)}
	}
	return jose.Fingerprint(public)
}

// publicHints names the public half that lies beside a private key.
func (l *loginRun) publicHints(name string) []string {
	if _, err := os.Stat(name + ".pub"); err != nil {
		return []string{"ssh-add -l"}
	}
	return []string{l.again("--key", name+".pub")}
}
