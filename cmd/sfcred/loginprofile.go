package main

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"sfcred/helper"
	"sfcred/keychain"
)

// find finds the profile that is meant, and what stands under its name.
func (l *loginRun) find() error {
	var err error
	if l.file, err = l.configFile(); err != nil {
		return err
	}
	config, err := l.file.Load()
	if err != nil {
		return err
	}
	switch {
	case l.program.profile != "":
		l.name = l.program.profile
	case l.onlyID() && config.Default != "":
		l.name = config.Default
	case l.c.IsSet("token-url"):
		if u, err := helper.ParseURL(l.c.String("token-url")); err == nil {
			l.name = u.Hostname()
		}
	default:
		l.name = cmp.Or(l.c.String("site"), helper.Sites()[0].Name)
	}
	if err := checkNewName(l.name, l.again("--profile", "NAME")); err != nil {
		return err
	}
	l.old = config.Profiles[l.name]
	if url := l.c.String("token-url"); url != "" && l.program.profile == "" && l.old != nil && l.old.HasKey() && l.old.TokenURL != url {
		return &usageError{
			fmt.Sprintf("profile %q, which would be this one's name too, is for %s", l.name, withoutQuery(l.old.TokenURL)),
			[]string{l.again("--profile", "NAME")},
		}
	}
	return nil
}

// checkNewName refuses what no profile can be called.
func checkNewName(name string, hints ...string) error {
	if err := helper.CheckName(name); err != nil {
		return &usageError{err.Error(), hints}
	}
	if name == envName {
		return &usageError{text: `the profile name "env" is taken by the one from SFCRED_ variables`}
	}
	return nil
}

// brings says that the command line has one of the flags.
func (l *loginRun) brings(flags ...string) bool { return slices.ContainsFunc(flags, l.c.IsSet) }

// onlyID says that the command line brings a client ID and no key.
func (l *loginRun) onlyID() bool {
	return l.brings("client-id") && !l.brings("key", "store", "command", "site", "token-url")
}

// settings fills in the profile: what stands, or a site; then the flags.
func (l *loginRun) settings() error {
	p, c := &l.profile, l.c
	if l.old != nil {
		*p = *l.old
		p.Hosts = slices.Clone(p.Hosts)
	}
	switch {
	case c.IsSet("token-url"):
		p.TokenURL, p.APIURL, p.Audience, p.AllowForeignAudience, p.Hosts = c.String("token-url"), "", "", false, nil
	case p.TokenURL == "" || c.IsSet("site"):
		site := l.site()
		p.TokenURL, p.APIURL, p.Audience, p.AllowForeignAudience, p.Hosts = site.TokenURL, site.APIURL, "", false, site.Hosts
	}
	if c.IsSet("command") {
		p.Store = keychain.StoreCommand
	}
	for flag, field := range map[string]*string{"client-id": &p.ClientID, "api-url": &p.APIURL, "audience": &p.Audience, "scope": &p.Scope, "alg": &p.Alg, "store": &p.Store} {
		if c.IsSet(flag) {
			*field = c.String(flag)
		}
	}
	p.Store = cmp.Or(p.Store, keychain.StoreKeychain)
	p.AllowForeignAudience = p.AllowForeignAudience || c.Bool("allow-foreign-audience")
	for _, h := range listOf(c, "host") {
		if err := addHost(p, h); err != nil {
			return &usageError{text: "--host: " + err.Error()}
		}
	}
	if c.IsSet("ca-file") {
		path, err := filepath.Abs(c.String("ca-file"))
		if err != nil {
			return fmt.Errorf("--ca-file: %w", err)
		}
		p.CAFile = path
	}
	expires, err := expiryFlag(c)
	if c.IsSet("expires") {
		p.Expires = expires
	}
	return err
}

// site is the preset that is meant: the one that is named, or whose name the
// profile has, or the default.
func (l *loginRun) site() helper.Site {
	for _, name := range []string{l.c.String("site"), l.name} {
		if site, ok := helper.FindSite(name); ok {
			return site
		}
	}
	return helper.Sites()[0]
}

// addHost adds an entry once, in its canonical form.
func addHost(p *helper.Profile, entry string) error {
	h, err := helper.ParseHost(entry)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(p.Hosts, func(entry string) bool { return isHost(entry, h) }) {
		p.Hosts = append(p.Hosts, h.String())
	}
	return nil
}

// isHost says whether an entry, however it is written, means the host.
func isHost(entry string, h helper.Host) bool {
	e, err := helper.ParseHost(entry)
	return err == nil && e == h
}

// checkProfile says what is wrong with what was given, as wrong usage.
func (l *loginRun) checkProfile() error {
	if l.old != nil && l.profile.ClientID != l.old.ClientID && !l.c.IsSet("expires") {
		l.profile.Expires = time.Time{} // that was another client's
	}
	err := l.profile.Check()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, helper.ErrForeignAudience):
		return &usageError{text: err.Error(), hints: []string{"sfcred login --allow-foreign-audience --help"}}
	}
	return &usageError{text: err.Error()}
}
