package main

import (
	"cmp"
	"crypto"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"sfcred/helper"
	"sfcred/keychain"
	"sfcred/keychain/jose"
)

func loginFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "client-id", Usage: "the client's `ID`"},
		&cli.StringFlag{Name: "key", Usage: "read the private key from `FILE`, or from standard input for -"},
		&cli.StringFlag{Name: "store", Usage: "keep the key in `STORE`: keychain, file (encrypted) or pem (where it is) [keychain]"},
		&cli.StringFlag{Name: "site", Usage: "the service: `SITE` is nersc or nersc-dev [nersc]"},
		&cli.StringFlag{Name: "token-url", Usage: "another service's token endpoint, `URL`, instead of a site"},
		&cli.StringFlag{Name: "api-url", Usage: "base `URL` of the API"},
		&cli.StringFlag{Name: "audience", Usage: "the assertion's audience, `AUD` [the token URL]"},
		&cli.BoolFlag{Name: "allow-foreign-audience", Usage: "allow an audience on another host than the token URL"},
		&cli.StringFlag{Name: "scope", Usage: "ask for `SCOPE`"},
		listFlag("host", "let the token go to `HOST` as well; may be repeated"),
		&cli.StringFlag{Name: "alg", Usage: "sign with `ALG` [the key's own, RS256 for RSA]"},
		&cli.StringFlag{Name: "ca-file", Usage: "trust the certificates in `FILE` as well"},
		&cli.StringFlag{Name: "expires", Usage: "when the client expires: a `TIME` (RFC 3339), a date, or a duration such as 48h or 30d"},
		&cli.StringFlag{Name: "user", Usage: "fail if the token is not for the user `NAME`"},
		&cli.BoolFlag{Name: "no-check", Usage: "store the key without an exchange"},
		&cli.BoolFlag{Name: "replace", Usage: "drop the key that the profile has"},
		&cli.BoolFlag{Name: "delete-source", Usage: "delete the key file at last"},
	}
}

// loginRun is one login.
type loginRun struct {
	*program
	c          *cli.Context
	file       helper.ConfigFile
	stores     *keychain.Stores
	name       string
	old        *helper.Profile // what stands under the name, or nil
	sourceText []byte          // what the key file held; for --delete-source
	profile    helper.Profile
}

// login stores a key, or swaps the client ID of a profile that has one.
func (p *program) login(c *cli.Context) error {
	if err := checkLoginFlags(c); err != nil {
		return err
	}
	l := &loginRun{program: p, c: c, stores: p.stores()}
	l.stores.Passphrase = p.passphraseFromPerson()
	if err := l.find(); err != nil {
		return err
	}
	if err := l.settings(); err != nil {
		return err
	}
	if l.swaps() && !c.Bool("delete-source") {
		return l.swap()
	}
	if err := l.checkSource(); err != nil {
		return err
	}
	key, err := l.readKey()
	if err != nil {
		return err
	}
	return l.take(key)
}

// checkLoginFlags refuses flags that contradict each other.
func checkLoginFlags(c *cli.Context) error {
	store := c.String("store")
	switch {
	case !slices.Contains([]string{"", keychain.StoreKeychain, keychain.StoreFile, keychain.StorePEM}, store):
		return &usageError{text: fmt.Sprintf("unknown store %q: keychain, file or pem", store)}
	case c.IsSet("site") && c.IsSet("token-url"):
		return &usageError{text: "--site and --token-url exclude each other: a site is a preset for its own token URL"}
	case c.Bool("no-check") && (c.Bool("replace") || c.Bool("delete-source")):
		return &usageError{text: "--no-check never drops a key: it goes with neither --replace nor --delete-source"}
	case c.Bool("no-check") && c.IsSet("user"):
		return &usageError{text: "--user is found out by an exchange, which --no-check leaves out"}
	}
	return nil
}

// swaps says that the login is to keep the key of a profile that stands.
func (l *loginRun) swaps() bool { return l.onlyID() && l.old != nil }

// take checks a key and stores it.
func (l *loginRun) take(key *jose.Key) error {
	if err := l.checkProfile(); err != nil {
		return err
	}
	if err := l.mayReplace(l.old, true); err != nil {
		return err
	}
	if err := l.prepareStore(); err != nil {
		return err
	}
	checked, err := l.check(key.Signer())
	if err != nil {
		return err
	}
	ctx, cancel := l.deadline(l.c.Context)
	defer cancel()
	err = l.file.Install(ctx, l.stores, l.name, key, func(old *helper.Profile) (*helper.Profile, error) {
		if err := l.mayReplace(old, false); err != nil { // another login may have come between
			return nil, err
		}
		return &l.profile, l.unchanged(old)
	})
	var orphan *helper.OrphanError
	if err != nil && !errors.As(err, &orphan) {
		return err
	}
	l.finish(checked)
	if orphan != nil {
		return err
	}
	return l.deleteSource()
}

// mayReplace refuses to drop another key that the profile has, unless that was
// asked for; a person may be asked now.
func (l *loginRun) mayReplace(old *helper.Profile, askNow bool) error {
	if old == nil || old.Fingerprint == l.profile.Fingerprint || l.c.Bool("replace") {
		return nil
	}
	refused := &usageError{
		text:  fmt.Sprintf("profile %q has another key already", l.name),
		hints: []string{l.again("--replace"), l.again("--profile", "OTHER_NAME")},
	}
	if l.c.Bool("no-check") {
		refused.hints = refused.hints[1:]
		return refused
	}
	if !askNow {
		if l.old != nil && old.Fingerprint == l.old.Fingerprint {
			return nil // that is the one the person was asked about
		}
		return refused
	}
	tty, err := openTerminal()
	if err != nil {
		return refused
	}
	defer tty.close()
	yes, err := tty.confirm(l.c.Context, fmt.Sprintf("profile %q has another key already; replace it?", l.name))
	if err == nil && !yes {
		return refused
	}
	return err
}

// again is the login command as it was typed, with another flag.
func (l *loginRun) again(flag ...string) string {
	words := []string{"sfcred", "login"}
	instead := append(flag, "")[0]
	if l.program.profile != "" && instead != "--profile" {
		words = append(words, "--profile", l.program.profile)
	}
	for _, f := range l.c.Command.Flags {
		name := f.Names()[0]
		if !l.c.IsSet(name) || "--"+name == instead {
			continue
		}
		switch f.(type) {
		case *cli.BoolFlag:
			words = append(words, "--"+name)
		case *cli.GenericFlag:
			for _, v := range listOf(l.c, name) {
				words = append(words, "--"+name, shellWord(v))
			}
		default:
			words = append(words, "--"+name, shellWord(l.c.String(name)))
		}
	}
	return strings.Join(append(words, flag...), " ")
}

// prepareStore finds out whether the key could be stored, before anything is
// spent on an exchange, and has a person asked while no deadline runs.
func (l *loginRun) prepareStore() error {
	if l.profile.Store == keychain.StorePEM {
		path, err := filepath.Abs(l.c.String("key"))
		if err != nil {
			return fmt.Errorf("key file: %w", err)
		}
		l.profile.KeyFile, l.profile.KeyID = path, ""
		ctx, cancel := l.deadline(l.c.Context)
		defer cancel()
		_, err = l.stores.Key(ctx, l.profile.Ref()) // as every later command will read it
		return err
	}
	l.profile.KeyFile, l.profile.KeyID = "", keychain.NewID()
	ctx, cancel := l.deadline(l.c.Context)
	defer cancel()
	err := l.stores.Check(ctx, l.profile.Store)
	if l.profile.Store == keychain.StoreKeychain {
		switch {
		case errors.Is(err, keychain.ErrLocked):
			return nil // storing lets the keychain ask its owner
		case errors.Is(err, keychain.ErrUnavailable):
			return &hintedError{err, []string{l.again("--store", "file"), l.again("--store", "pem")}}
		}
	}
	if err == nil && l.profile.Store == keychain.StoreFile {
		_, err = l.stores.Passphrase(l.c.Context, true, "the new key file")
	}
	return err
}

// swap gives the profile another client ID, if the key that it has works with
// it.
func (l *loginRun) swap() error {
	if err := l.checkProfile(); err != nil {
		return err
	}
	if err := l.askAhead(l.c.Context, l.stores, l.old, ""); err != nil {
		return &profileError{l.name, err}
	}
	signer, err := l.openOld()
	if err != nil {
		return &profileError{l.name, err}
	}
	if err := l.checkAlg(jose.Algorithms(signer.Public())); err != nil {
		return err
	}
	found, err := l.check(signer)
	if err != nil {
		return err
	}
	ctx, cancel := l.deadline(l.c.Context)
	defer cancel()
	err = l.file.Update(ctx, func(config *helper.Config) error {
		now := config.Profiles[l.name]
		if now == nil || now.Ref() != l.old.Ref() {
			return l.unchanged(nil)
		}
		config.Profiles[l.name] = &l.profile
		return l.unchanged(now)
	})
	if err != nil {
		return err
	}
	l.finish(found)
	return nil
}

// unchanged refuses to write over settings that another command has changed
// while the server was asked. Another login with the same settings is no such
// change: whose key stays is mayReplace's.
func (l *loginRun) unchanged(now *helper.Profile) error {
	before := cmp.Or(l.old, &l.profile)
	if now == nil && l.old == nil || now != nil && reflect.DeepEqual(settingsOf(now), settingsOf(before)) {
		return nil
	}
	return &hintedError{
		fmt.Errorf("profile %q was changed by another command in the meantime", l.name),
		[]string{l.again()},
	}
}

// settingsOf is a profile without its client and key.
func settingsOf(p *helper.Profile) helper.Profile {
	return helper.Profile{
		TokenURL: p.TokenURL, APIURL: p.APIURL,
		Audience: p.Audience, AllowForeignAudience: p.AllowForeignAudience, Scope: p.Scope,
		Hosts: append([]string{}, p.Hosts...), Cache: p.Cache, CAFile: p.CAFile,
	}
}

// openOld opens the key that the profile has.
func (l *loginRun) openOld() (crypto.MessageSigner, error) {
	ctx, cancel := l.deadline(l.c.Context)
	defer cancel()
	return l.stores.Signer(ctx, l.profile.Ref())
}
