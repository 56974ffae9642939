package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"sfcred/helper"
)

// remove forgets a profile, its key and its tokens.
func (p *program) remove(c *cli.Context) error {
	if c.Bool("orphans") {
		return p.removeOrphans(c)
	}
	if !c.Args().Present() {
		return &usageError{text: "remove needs the NAME of a profile", hints: []string{"sfcred list"}}
	}
	file, name, profile, err := p.existing(c.Args().First())
	if err != nil {
		return err
	}
	if !c.Bool("yes") {
		if err := p.confirmRemoval(c, name, profile); err != nil {
			return err
		}
	}
	stores := p.stores()
	ctx, cancel := p.deadline(c.Context)
	defer cancel()
	err = file.Remove(ctx, stores, name)
	var orphan *helper.OrphanError
	if err != nil && !errors.As(err, &orphan) {
		return err
	}
	if config, loadErr := file.Load(); loadErr == nil && config.HasClient(profile) {
		return err // token and expiry are another profile's too
	}
	if err := p.source(*profile, nil).Forget(); err != nil {
		p.warn(fmt.Sprintf("the cached token stays until it expires: %v", err))
	}
	if state, ok := p.stateFile(); ok {
		ctx, cancel := p.deadline(c.Context) // a keychain may have used up the other
		defer cancel()
		if err := state.Forget(ctx, profile); err != nil {
			p.warn(fmt.Sprintf("what was learnt of the client stays: %v", err))
		}
	}
	return err
}

// confirmRemoval asks a person; where there is none it wants --yes.
func (p *program) confirmRemoval(c *cli.Context, name string, profile *helper.Profile) error {
	unsure := &usageError{text: fmt.Sprintf("profile %q is not removed without a yes", name), hints: []string{"sfcred remove --yes " + name}}
	tty, err := openTerminal()
	if err != nil {
		return unsure
	}
	defer tty.close()
	question := fmt.Sprintf("remove profile %q and its key, which is %s?", name, storeWords(profile))
	switch {
	case !profile.HasKey():
		question = fmt.Sprintf("remove profile %q and its pending key?", name)
	case profile.KeyID == "" && profile.KeyFile == "":
		question = fmt.Sprintf("remove profile %q? its key stays where it is", name)
	case profile.KeyID == "":
		question = fmt.Sprintf("remove profile %q? its key stays %s", name, storeWords(profile))
	case profile.Pending != nil:
		question = fmt.Sprintf("remove profile %q, its key, which is %s, and its pending key?", name, storeWords(profile))
	}
	yes, err := tty.confirm(c.Context, question)
	if err == nil && !yes {
		return unsure
	}
	return err
}

// removeOrphans removes the keys that interrupted commands left behind.
func (p *program) removeOrphans(c *cli.Context) error {
	if c.Args().Present() {
		return &usageError{text: "--orphans goes without a NAME"}
	}
	file, err := p.configFile()
	if err != nil {
		return err
	}
	ctx, cancel := p.deadline(c.Context)
	defer cancel()
	gone, err := file.RemoveOrphans(ctx, p.stores())
	if err == nil || len(gone) > 0 {
		p.inform("orphaned keys removed: %d", len(gone))
	}
	return err
}
