package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"sfcred/helper"
	"sfcred/keychain"
	"sfcred/keychain/jose"
)

// status shows one profile on one screen, without the network.
func (p *program) status(c *cli.Context) error {
	profile, err := p.named(c.Args().First())
	if err != nil {
		p.tellOrphans()
		return err
	}
	ctx, cancel := p.deadline(c.Context)
	defer cancel()
	var b strings.Builder
	for _, l := range p.statusLines(ctx, profile) {
		fmt.Fprintf(&b, "%-14s  %s\n", l[0], oneLine(withoutSecrets(l[1])))
	}
	return p.answer(b.String())
}

// statusLines are the names of what there is to say of a profile, and the words.
func (p *program) statusLines(ctx context.Context, profile *chosen) [][2]string {
	config, err := p.loadConfig()
	if err != nil {
		config = &helper.Config{} // the profile came from variables
	}
	name := profile.name
	if config.Default == name {
		name += " (default)"
	}
	known := p.learnt(&profile.Profile)
	lines := [][2]string{
		{"profile", name},
		{"client", profile.ClientID},
		{"client expires", expiryWords(jsonTime(clientExpiry(&profile.Profile, known)), "unknown")},
		{"user", cmp.Or(known.User, "unknown")},
		{"token URL", withoutQuery(profile.TokenURL)},
		{"API", cmp.Or(withoutQuery(profile.APIURL), "none")},
		{"hosts", cmp.Or(strings.Join(profile.Hosts, ", "), "none, so helpers get no token")},
		{"key", p.keyWords(ctx, profile)},
	}
	if pending := profile.Pending; pending != nil {
		lines = append(lines, [2]string{"pending key", storeWords(&helper.Profile{Store: pending.Store}) + ", " + pending.Fingerprint})
	}
	lines = append(lines, [2]string{"token", p.tokenWords(profile)})
	if path, err := p.configPath(); err == nil {
		lines = append(lines, [2]string{"config", path})
	}
	cache := "none"
	if profile.Cache != "none" {
		cache = p.cacheDir()
	}
	lines = append(lines, [2]string{"cache", cache})
	if orphans := len(config.Orphans()); orphans > 0 {
		lines = append(lines, [2]string{"orphaned keys", fmt.Sprintf("%d, to be removed with: sfcred remove --orphans", orphans)})
	}
	return lines
}

// tellOrphans tells of orphans where there is no profile to show them with: the
// command that left them behind may have been about the only one.
func (p *program) tellOrphans() {
	config, err := p.loadConfig()
	if err != nil {
		return // which is what the command fails with
	}
	if orphans := config.Orphans(); len(orphans) > 0 {
		p.warn(fmt.Sprintf("orphaned keys: %d", len(orphans)))
		p.say("hint", "sfcred remove --orphans")
	}
}

// keyWords says where the key is and whether it can be used now.
func (p *program) keyWords(ctx context.Context, profile *chosen) string {
	where := storeWords(&profile.Profile)
	switch {
	case profile.Shell:
		where += ": " + profile.Command
	case profile.Store == "" && p.env.privateKeyFile != "":
		where = "in " + p.env.privateKeyFile
	case profile.Store == "":
		where = "in SFCRED_PRIVATE_KEY"
	}
	signer, err := p.stores().Signer(ctx, profile.Ref())
	if err != nil {
		if signer, err = profile.open(ctx); err == nil && profile.Store != "" {
			where += " and, unlocked, in the ssh-agent"
		}
	}
	if errors.Is(err, keychain.ErrLocked) && profile.Store == keychain.StoreFile {
		return fmt.Sprintf("%s, %s", where, profile.Fingerprint)
	}
	fingerprint := ""
	if err == nil {
		fingerprint, err = jose.Fingerprint(signer.Public())
	}
	switch {
	case err != nil && profile.Store == keychain.StoreKeychain && !strings.Contains(err.Error(), "keychain"):
		return fmt.Sprintf("%s: %v", where, err) // of a session bus, say
	case err != nil:
		return err.Error() // which says where
	}
	words := fmt.Sprintf("%s, %s", where, fingerprint)
	if profile.Fingerprint != "" && profile.Fingerprint != fingerprint {
		words += ", which is another key than at login"
	}
	return words
}

func (p *program) tokenWords(profile *chosen) string {
	t, ok := p.source(profile.Profile, nil).Cached(helper.Want{})
	if !ok {
		return "none cached"
	}
	return fmt.Sprintf("cached, valid for %s", time.Until(t.Expires).Round(time.Second))
}
