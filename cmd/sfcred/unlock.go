package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/urfave/cli/v2"

	"sfcred/helper"
	"sfcred/keychain"
)

func unlockFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "agent", Usage: "load the key into the ssh-agent, whatever store it is in"},
		&cli.StringFlag{Name: "for", Usage: "have the agent forget the key after this `DURATION`, such as 8h or 1d", Value: "8h"},
		&cli.BoolFlag{Name: "confirm", Usage: "have the agent ask before each signature"},
	}
}

// unlock opens a profile's store: the keychain asks its owner, a key that is
// encrypted is loaded into the ssh-agent for a while.
func (p *program) unlock(c *cli.Context) error {
	_, name, profile, err := p.existing(c.Args().First())
	if err != nil {
		return err
	}
	toAgent := c.Bool("agent") || profile.Store == keychain.StoreFile
	switch pending := profile.Pending; {
	case !profile.HasKey() && !toAgent && pending != nil && pending.Store == keychain.StoreKeychain:
		if err := p.unlockKeychain(c.Context, pending.Ref()); err != nil {
			return &pendingKeyError{name, "", err}
		}
		return nil
	case !profile.HasKey():
		return &pendingError{name}
	case profile.Store == keychain.StoreAgent:
		return &usageError{text: fmt.Sprintf("the key of profile %q is the ssh-agent's own", name), hints: []string{"ssh-add -l"}}
	case toAgent:
		return p.loadIntoAgent(c, name, profile)
	case c.IsSet("for") || c.Bool("confirm"):
		return &usageError{text: "--for and --confirm are for a key in the ssh-agent", hints: []string{"sfcred unlock --agent " + name}}
	case profile.Store == keychain.StoreKeychain:
		if err := p.unlockKeychain(c.Context, profile.Ref()); err != nil {
			return &profileError{name, err}
		}
		return nil
	}
	return &usageError{
		fmt.Sprintf("the key of profile %q is %s, which is never locked", name, storeWords(profile)),
		[]string{"sfcred unlock --agent " + name},
	}
}

// unlockKeychain lets the keychain ask its owner. No deadline bounds a person.
func (p *program) unlockKeychain(ctx context.Context, ref keychain.Ref) error {
	stores := p.stores()
	look, cancel := p.deadline(ctx)
	_, err := stores.Signer(look, ref)
	cancel()
	if !errors.Is(err, keychain.ErrLocked) {
		return err
	}
	ctx, listen, stop := p.untilSignal(ctx)
	defer stop()
	listen()
	return stores.Unlock(ctx, ref)
}

// loadIntoAgent puts a copy of the key into the agent.
func (p *program) loadIntoAgent(c *cli.Context, name string, profile *helper.Profile) error {
	life, err := parseDuration(c.String("for"))
	if err != nil || life < time.Second || life%time.Second != 0 || life/time.Second > math.MaxUint32 {
		return &usageError{text: fmt.Sprintf("--for %s: not a duration in whole seconds, such as 8h or 1d", c.String("for"))}
	}
	if !keychain.AgentSigns(profile.Alg) {
		return &usageError{text: fmt.Sprintf("profile %q signs with %s, which no ssh-agent does", name, profile.Alg)}
	}
	stores := p.stores()
	stores.Passphrase = p.passphraseFromPerson()
	ctx, cancel := p.deadline(c.Context)
	err = stores.AgentKeeps(ctx) // before anybody types a passphrase
	cancel()
	if err != nil {
		return &profileError{name, err}
	}
	if err := p.askAhead(c.Context, stores, profile, "the key file"); err != nil {
		return &profileError{name, err}
	}
	ctx, cancel = p.deadline(c.Context)
	defer cancel()
	key, err := stores.Key(ctx, profile.Ref())
	if err == nil {
		err = stores.AddToAgent(ctx, key, "sfcred:"+name, keychain.AgentLimits{For: life, Confirm: c.Bool("confirm")})
	}
	if err != nil {
		return &profileError{name, err}
	}
	p.inform("profile %q: key in the ssh-agent for %s", name, shortDuration(life))
	return nil
}

// lock takes a profile's key out of the ssh-agent, and nothing else.
func (p *program) lock(c *cli.Context) error {
	_, name, profile, err := p.existing(c.Args().First())
	if err != nil {
		return err
	}
	switch {
	case !profile.HasKey():
		return &pendingError{name}
	case profile.Store == keychain.StoreAgent:
		return &usageError{text: fmt.Sprintf("the key of profile %q is the ssh-agent's own", name), hints: []string{"ssh-add -l", "ssh-add -d KEY_FILE"}}
	case profile.Store != keychain.StoreFile && !c.Bool("agent"):
		return &usageError{
			fmt.Sprintf("the key of profile %q is %s, which is not sfcred's to lock", name, storeWords(profile)),
			[]string{"sfcred lock --agent " + name},
		}
	}
	ctx, cancel := p.deadline(c.Context)
	defer cancel()
	err = p.stores().RemoveFromAgent(ctx, profile.Fingerprint)
	if errors.Is(err, keychain.ErrNotFound) {
		p.inform("profile %q: the key is not in the ssh-agent", name)
		return nil
	}
	if err != nil {
		return &profileError{name, err}
	}
	return nil
}
