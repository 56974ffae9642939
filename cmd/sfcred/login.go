package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

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
		&cli.StringSliceFlag{Name: "host", Usage: "let the token go to `HOST` as well; may be repeated"},
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
	c       *cli.Context
	file    helper.ConfigFile
	stores  *keychain.Stores
	name    string
	old     *helper.Profile // what stands under the name, or nil
	profile helper.Profile
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

// checkSource refuses what cannot be done with the key where it comes from. The
// store may be that of the profile as it stands.
func (l *loginRun) checkSource() error {
	key, deletes, stays := l.c.String("key"), l.c.Bool("delete-source"), l.profile.Store == keychain.StorePEM
	noFile := key == "" || key == "-"
	switch {
	case deletes && stays:
		return &usageError{text: "--delete-source would delete the only copy: in store pem the key stays in its file"}
	case deletes && noFile:
		return &usageError{text: "--delete-source needs a file: --key FILE"}
	case stays && noFile:
		return &usageError{text: "store pem needs a file: --key FILE, or another --store"}
	}
	return nil
}

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
		u, err := helper.ParseURL(l.c.String("token-url"))
		if err != nil {
			return &usageError{text: "--token-url: " + err.Error()}
		}
		l.name = u.Hostname()
	default:
		l.name = firstOf(l.c.String("site"), helper.Sites()[0].Name)
	}
	if err := helper.CheckName(l.name); err != nil {
		return &usageError{text: err.Error()}
	}
	if l.name == envName {
		return &usageError{text: `the profile name "env" is taken by the one from SFCRED_ variables`}
	}
	l.old = config.Profiles[l.name]
	return nil
}

// onlyID says that the command line brings a client ID and no key.
func (l *loginRun) onlyID() bool {
	brings := func(flag string) bool { return l.c.IsSet(flag) }
	return brings("client-id") && !slices.ContainsFunc([]string{"key", "store", "site", "token-url"}, brings)
}

// swaps says that the login is to keep the key of a profile that stands.
func (l *loginRun) swaps() bool { return l.onlyID() && l.old != nil }

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
	case l.old == nil || c.IsSet("site"):
		site, ok := helper.FindSite(firstOf(c.String("site"), helper.Sites()[0].Name))
		if !ok {
			return &usageError{text: fmt.Sprintf("unknown site %q: nersc or nersc-dev; another service is named by --token-url", c.String("site"))}
		}
		p.TokenURL, p.APIURL, p.Audience, p.AllowForeignAudience, p.Hosts = site.TokenURL, site.APIURL, "", false, site.Hosts
	}
	for flag, field := range map[string]*string{"client-id": &p.ClientID, "api-url": &p.APIURL, "audience": &p.Audience, "scope": &p.Scope, "alg": &p.Alg, "store": &p.Store} {
		if c.IsSet(flag) {
			*field = c.String(flag)
		}
	}
	p.Store = firstOf(p.Store, keychain.StoreKeychain)
	p.AllowForeignAudience = p.AllowForeignAudience || c.Bool("allow-foreign-audience")
	for _, h := range c.StringSlice("host") {
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
	if c.IsSet("expires") {
		at, err := parseExpiry(c.String("expires"), time.Now())
		if err != nil {
			return &usageError{text: "--expires: " + err.Error()}
		}
		p.Expires = at
	} else if l.old != nil && p.ClientID != l.old.ClientID {
		p.Expires = time.Time{} // that was another client's
	}
	return nil
}

// addHost adds an entry once, in its canonical form.
func addHost(p *helper.Profile, entry string) error {
	h, err := helper.ParseHost(entry)
	if err != nil {
		return err
	}
	if !slices.Contains(p.Hosts, h.String()) {
		p.Hosts = append(p.Hosts, h.String())
	}
	return nil
}

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
		return &l.profile, l.mayReplace(old, false) // another login may have come between
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

// checkProfile says what is wrong with what was given, as wrong usage.
func (l *loginRun) checkProfile() error {
	err := l.profile.Check()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, helper.ErrForeignAudience):
		return &usageError{text: err.Error(), hints: []string{"sfcred login --allow-foreign-audience --help"}}
	}
	return &usageError{text: err.Error()}
}

// mayReplace refuses to drop another key that the profile has, unless that was
// asked for; a person may be asked now.
func (l *loginRun) mayReplace(old *helper.Profile, askNow bool) error {
	if old == nil || old.Fingerprint == l.profile.Fingerprint || l.c.Bool("replace") {
		return nil
	}
	refused := &usageError{
		text:  fmt.Sprintf("profile %q has another key already", l.name),
		hints: []string{l.again("--replace"), l.again("--profile OTHER_NAME")},
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

// again is the login command with one more flag, as far as it can be repeated.
func (l *loginRun) again(flag string) string {
	words := []string{"sfcred", "login"}
	if l.program.profile != "" && !strings.HasPrefix(flag, "--profile") {
		words = append(words, "--profile", l.name)
	}
	for _, name := range []string{"client-id", "key", "store", "site", "token-url"} {
		if v := l.c.String(name); l.c.IsSet(name) && !strings.ContainsAny(v, " '\"\\$`;&|<>()*?[]#~") {
			words = append(words, "--"+name, v)
		}
	}
	return strings.Join(append(words, flag), " ")
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
	if errors.Is(err, keychain.ErrLocked) && l.profile.Store == keychain.StoreKeychain {
		return nil // storing lets the keychain ask its owner
	}
	if err == nil && l.profile.Store == keychain.StoreFile {
		_, err = l.stores.Passphrase(l.c.Context, true, "the new key file")
	}
	return err
}

// checked is what an exchange has shown.
type checked struct {
	token   helper.Token
	user    string
	expires time.Time // of the client
	source  *helper.Source
}

// check exchanges with the key, and asks the API who it was for.
func (l *loginRun) check(signer crypto.MessageSigner) (*checked, error) {
	s := l.source(l.profile, func(context.Context) (crypto.MessageSigner, error) { return signer, nil })
	if l.c.Bool("no-check") {
		return &checked{source: s}, nil
	}
	ctx, cancel := l.deadline(l.c.Context)
	defer cancel()
	t, err := s.Exchange(ctx, signer)
	if err != nil {
		return nil, fmt.Errorf("check the key: %w", err)
	}
	found := &checked{token: t, user: t.User(), source: s}
	l.askAPI(found)
	want := l.c.String("user")
	switch {
	case want == "" || want == found.user:
		return found, nil
	case found.user == "":
		return nil, fmt.Errorf("neither token nor API tells whose the token is, so --user %s cannot be checked", want)
	}
	return nil, fmt.Errorf("the client's user is %q, not %q", found.user, want)
}

// askAPI finds out what the token itself does not say. That it cannot is no
// reason to refuse a login.
func (l *loginRun) askAPI(found *checked) {
	ctx, cancel := l.deadline(l.c.Context)
	defer cancel()
	var err error
	if found.user == "" {
		found.user, err = found.source.Account(ctx, found.token)
	}
	if err == nil {
		found.expires, err = found.source.ClientExpiry(ctx, found.token)
	}
	if err != nil {
		l.trace("ask the API: " + err.Error())
	}
}

// finish keeps what the check has shown, and says what was done.
func (l *loginRun) finish(found *checked) {
	if found.token.Value != "" {
		found.source.Keep(found.token)
		l.learn(&l.profile, found)
	}
	l.inform("%s", l.outcome(found))
	if len(l.profile.Hosts) == 0 {
		l.warn("the profile names no host, so helpers and --url give no token")
		l.say("hint", fmt.Sprintf("sfcred edit %s --host +HOST", l.name))
	}
}

// learn remembers what the server said of the client.
func (p *program) learn(profile *helper.Profile, found *checked) {
	state, ok := p.stateFile()
	if !ok || found.user == "" && found.expires.IsZero() {
		return
	}
	ctx, cancel := p.deadline(context.Background())
	defer cancel()
	known := state.Learnt(profile) // where the API did not answer this time
	learnt := helper.Learnt{
		User:    firstOf(found.user, known.User),
		Expires: firstTime(found.expires, known.Expires),
		Seen:    time.Now().UTC(),
	}
	if err := state.Learn(ctx, profile, learnt); err != nil {
		p.trace(err.Error())
	}
}

// outcome is the one line that says what was checked.
func (l *loginRun) outcome(found *checked) string {
	var b strings.Builder
	fmt.Fprintf(&b, "profile %q: ", l.name)
	if found.token.Value == "" {
		fmt.Fprintf(&b, "not checked")
	} else {
		fmt.Fprintf(&b, "checked: %s gave a token", l.profile.TokenURL)
		if found.user != "" {
			fmt.Fprintf(&b, " for %s", found.user)
		}
	}
	fmt.Fprintf(&b, "; key %s", storeWords(&l.profile))
	if at := firstTime(found.expires, l.profile.Expires); !at.IsZero() {
		fmt.Fprintf(&b, "; the client expires %s", at.UTC().Format("2006-01-02 15:04 UTC"))
	}
	return b.String()
}

// storeWords says where a profile's key is.
func storeWords(p *helper.Profile) string {
	switch p.Store {
	case keychain.StoreKeychain:
		return "in the keychain"
	case keychain.StoreFile:
		return "in an encrypted file"
	}
	return "in " + p.KeyFile
}

// deleteSource deletes the key file, last of all.
func (l *loginRun) deleteSource() error {
	if !l.c.Bool("delete-source") {
		return nil
	}
	path := l.c.String("key")
	target, err := filepath.EvalSymlinks(path)
	if err == nil {
		err = os.Remove(target)
	}
	if err == nil && target != filepath.Clean(path) {
		// A link that leads nowhere by now, unless it is a directory's.
		err = os.Remove(path)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("delete the key file: %w", err)
	}
	return nil
}

// swap gives the profile another client ID, if the key that it has works with
// it.
func (l *loginRun) swap() error {
	if err := l.checkProfile(); err != nil {
		return err
	}
	if err := askAhead(l.c.Context, l.stores, l.old, ""); err != nil {
		return &profileError{l.name, err}
	}
	ctx, cancel := l.deadline(l.c.Context)
	defer cancel()
	signer, err := l.stores.Signer(ctx, l.profile.Ref())
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
	err = l.file.Update(ctx, func(config *helper.Config) error {
		now := config.Profiles[l.name]
		if now == nil || now.Ref() != l.old.Ref() {
			return fmt.Errorf("profile %q was changed by another command in the meantime", l.name)
		}
		config.Profiles[l.name] = &l.profile
		return nil
	})
	if err != nil {
		return err
	}
	l.finish(found)
	return nil
}

// parseExpiry reads a time, a date (its end, in UTC) or a duration from now.
func parseExpiry(text string, now time.Time) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, text)
	if day, dayErr := time.Parse(time.DateOnly, text); dayErr == nil {
		at, err = day.Add(24*time.Hour-time.Second), nil
	}
	var days int
	if _, scanErr := fmt.Sscanf(text, "%dd", &days); scanErr == nil && fmt.Sprintf("%dd", days) == text && days > 0 && days <= 3650 {
		at, err = now.AddDate(0, 0, days), nil
	}
	if d, durErr := time.ParseDuration(text); durErr == nil && d > 0 {
		at, err = now.Add(d), nil
	}
	switch {
	case err != nil:
		return time.Time{}, fmt.Errorf("%q is neither a time (2026-12-31T12:00:00Z), a date, nor a duration such as 48h or 30d", text)
	case !at.After(now):
		return time.Time{}, fmt.Errorf("%q is in the past", text)
	}
	return at.UTC().Truncate(time.Second), nil
}

func firstTime(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.IsZero() {
			return t
		}
	}
	return time.Time{}
}
