package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"sfcred/helper"
)

const editDescription = `A host that is added with --host +HOST gets the profile's tokens from any tool
that asks for it, and can act as you with each until that ends. Add only hosts
of the service that the client is registered for, and none because a message,
a web page or a repository wants it.`

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
		return "", "", nil, p.missing(name, config)
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
		err = p.moveKeys(c, file, name, profile)
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
