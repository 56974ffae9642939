package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"sfcred/helper"
	"sfcred/keychain"
)

func editFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "rename", Usage: "give the profile another `NAME`"},
		listFlag("host", "add a host (`+HOST`) or take one away (-HOST); may be repeated"),
		&cli.StringFlag{Name: "api-url", Usage: "base `URL` of the API; empty for none"},
		&cli.StringFlag{Name: "expires", Usage: "when the client expires: a `TIME` (RFC 3339), a date, or a duration such as 48h or 30d"},
		&cli.StringFlag{Name: "store", Usage: "move the key to `STORE`: keychain or file"},
		&cli.BoolFlag{Name: "new-passphrase", Usage: "give the key file a new passphrase"},
	}
}

// existing finds a profile of the config for a command that changes it.
func (p *program) existing(name string) (helper.ConfigFile, string, *helper.Profile, error) {
	config, err := p.loadConfig()
	if err != nil {
		return "", "", nil, err
	}
	file, err := p.configFile()
	if err != nil {
		return "", "", nil, err
	}
	if err := p.takeName(name); err != nil {
		return "", "", nil, err
	}
	name = cmp.Or(p.profile, config.Default)
	profile := config.Profiles[name]
	if profile == nil {
		return "", "", nil, &missingError{name: name, near: near(name, config.Names()), known: len(config.Profiles)}
	}
	return file, name, profile, nil
}

// use makes a profile the default.
func (p *program) use(c *cli.Context) error {
	file, name, _, err := p.existing(c.Args().First())
	if err != nil {
		return err
	}
	ctx, cancel := p.deadline(c.Context)
	defer cancel()
	return file.Update(ctx, func(config *helper.Config) error {
		if config.Profiles[name] == nil {
			return &missingError{name: name}
		}
		config.Default = name
		return nil
	})
}

// edit changes a profile.
func (p *program) edit(c *cli.Context) error {
	if c.NumFlags() == 0 {
		return &usageError{text: "nothing to change", hints: []string{"sfcred edit --help"}}
	}
	file, name, profile, err := p.existing(c.Args().First())
	if err != nil {
		return err
	}
	expires, err := expiryFlag(c)
	if err != nil {
		return err
	}
	change := editChange(c, name, expires)
	var orphan *helper.OrphanError
	if c.IsSet("store") || c.Bool("new-passphrase") {
		// Tried out first: a key must not have been moved by a command that
		// then turns out to be wrong.
		config, err := file.Load()
		if err == nil {
			err = change(config)
		}
		if err != nil {
			return err
		}
		err = p.moveKey(c, file, name, profile)
		if errors.As(err, &orphan); err != nil && orphan == nil {
			return err
		}
	}
	ctx, cancel := p.deadline(c.Context)
	defer cancel()
	if err := file.Update(ctx, change); err != nil {
		return err
	}
	if c.IsSet("expires") {
		p.warnOverruled(profile, expires)
	}
	if orphan != nil { // all was done but one thing
		return orphan
	}
	return nil
}

// askPEM has the passphrase of a key file asked for, if it has one. Reading the
// file is bounded; the person is not, so a deadline that has passed meanwhile
// is no error: the next one finds the answer known.
func (p *program) askPEM(ctx context.Context, stores *keychain.Stores, ref keychain.Ref) error {
	ctx, cancel := p.deadline(ctx)
	defer cancel()
	_, err := stores.Key(ctx, ref)
	if errors.Is(err, keychain.ErrTimeout) {
		return nil
	}
	return err
}

// editChange changes the settings of the profile name as the flags say.
func editChange(c *cli.Context, name string, expires time.Time) func(*helper.Config) error {
	return func(config *helper.Config) error {
		p := config.Profiles[name]
		if p == nil {
			return &missingError{name: name}
		}
		if c.IsSet("api-url") {
			p.APIURL = c.String("api-url")
		}
		if c.IsSet("expires") {
			p.Expires = expires
		}
		for _, entry := range listOf(c, "host") {
			if err := editHost(p, entry); err != nil {
				return &usageError{text: "--host: " + err.Error()}
			}
		}
		if err := p.Check(); err != nil {
			return &usageError{text: err.Error()}
		}
		return rename(config, name, c.String("rename"))
	}
}

func editHost(p *helper.Profile, entry string) error {
	gone, minus := strings.CutPrefix(entry, "-")
	if !minus {
		return addHost(p, strings.TrimPrefix(entry, "+"))
	}
	h, err := helper.ParseHost(gone)
	if err != nil {
		return err
	}
	before := len(p.Hosts)
	p.Hosts = slices.DeleteFunc(p.Hosts, func(entry string) bool { return isHost(entry, h) })
	if len(p.Hosts) == before {
		return fmt.Errorf("%s is not among the profile's hosts", h)
	}
	return nil
}

// rename moves a profile to another name; "" means that it keeps its own.
func rename(config *helper.Config, name, to string) error {
	if to == "" || to == name {
		return nil
	}
	if err := helper.CheckName(to); err != nil {
		return &usageError{text: err.Error()}
	}
	if config.Profiles[to] != nil || to == envName {
		return &usageError{text: fmt.Sprintf("there is a profile %q already", to)}
	}
	config.Profiles[to] = config.Profiles[name]
	delete(config.Profiles, name)
	if config.Default == name {
		config.Default = to
	}
	return nil
}

// moveKey moves the key to another store, or to another file with a new
// passphrase: written, read back, switched to, and only then deleted.
func (p *program) moveKey(c *cli.Context, file helper.ConfigFile, name string, profile *helper.Profile) error {
	if !profile.HasKey() {
		return &pendingError{name}
	}
	to := cmp.Or(c.String("store"), profile.Store)
	if err := mayMove(profile.Store, to, c.Bool("new-passphrase")); err != nil {
		return err
	}
	stores := p.stores()
	stores.Passphrase = p.movePassphrase(c.Bool("new-passphrase"))
	ctx, cancel := p.deadline(c.Context)
	err := stores.Check(ctx, to)
	cancel()
	if err != nil && !(to == keychain.StoreKeychain && errors.Is(err, keychain.ErrLocked)) {
		return err
	}
	if err := p.askAhead(c.Context, stores, profile, "the key file", to); err != nil {
		return err
	}
	ctx, cancel = p.deadline(c.Context)
	defer cancel()
	key, err := stores.Key(ctx, profile.Ref())
	if err != nil {
		return &profileError{name, err}
	}
	return file.Install(ctx, stores, name, key, func(now *helper.Profile) (*helper.Profile, error) {
		if now == nil || now.Ref() != profile.Ref() {
			return nil, fmt.Errorf("profile %q was changed by another command in the meantime", name)
		}
		moved := *now
		moved.Store, moved.KeyID, moved.KeyFile, moved.Command, moved.Shell = to, keychain.NewID(), "", "", false
		moved.Fingerprint = key.Fingerprint()
		return &moved, nil
	})
}

// mayMove refuses the moves that make no sense.
func mayMove(from, to string, newPassphrase bool) error {
	isEntry := to == keychain.StoreKeychain || to == keychain.StoreFile
	switch {
	case newPassphrase && to != keychain.StoreFile:
		return &usageError{text: "--new-passphrase is for a key in store file"}
	case newPassphrase && from == keychain.StoreFile:
		return nil
	case !isEntry || from == keychain.StoreAgent:
		return &usageError{text: fmt.Sprintf("a key cannot be moved from %s to %q; what can be is keychain or file", from, to)}
	case from == to:
		return &usageError{text: fmt.Sprintf("the key is in store %s already", to)}
	}
	return nil
}

// movePassphrase gives the passphrases of a move. A new one that replaces the
// old one must be a person's: the file that SFCRED_PASSPHRASE_FILE names holds
// one passphrase only.
func (p *program) movePassphrase(replaced bool) passphraser {
	person := p.passphraseFromPerson()
	fromFile := p.passphraseFromFile()
	if !replaced || fromFile == nil {
		return person
	}
	env := p.env
	p.env.passphraseFile = ""
	typed := p.passphraseFromPerson()
	p.env = env
	if typed == nil {
		return nil
	}
	return func(ctx context.Context, confirm bool, what string) ([]byte, error) {
		if confirm {
			return typed(ctx, confirm, what)
		}
		return fromFile(ctx, confirm, what)
	}
}

// askAhead has a person asked, for the key that a profile has, in what file
// names, and for one that is to be in store to, while no deadline runs for the
// person: those that start later find the answers known.
func (p *program) askAhead(ctx context.Context, stores *keychain.Stores, profile *helper.Profile, file, to string) error {
	if stores.Passphrase == nil {
		return nil
	}
	var err error
	switch profile.Store {
	case keychain.StoreFile:
		_, err = stores.Passphrase(ctx, false, file)
	case keychain.StorePEM: // only the file itself tells whether it is encrypted; a command is not run twice
		err = p.askPEM(ctx, stores, profile.Ref())
	}
	if err == nil && to == keychain.StoreFile {
		_, err = stores.Passphrase(ctx, true, "the new key file")
	}
	return err
}
