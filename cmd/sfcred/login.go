package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"

	"github.com/urfave/cli/v2"

	"sfcred/helper"
	"sfcred/keychain"
	"sfcred/keychain/keyfiles"
)

func loginFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "client-id", Usage: "the client's `ID`"},
		&cli.StringFlag{Name: "key", Usage: "read the private key from `FILE`, or from standard input for -; of an ssh-agent's, the public key or its SHA256:… fingerprint"},
		&cli.StringFlag{Name: "store", Usage: "keep the key in `STORE`: keychain, file (encrypted), pem (where it is), ssh-agent or command [keychain]"},
		&cli.StringFlag{Name: "command", Usage: "have `COMMAND` print the key each time, as \"pass show nersc/key\""},
		&cli.BoolFlag{Name: "shell", Usage: "run --command by a shell"},
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

// flags are what a login is told: by its command line, or by import for each
// key that it has found.
type flags interface {
	IsSet(name string) bool
	String(name string) string
	Bool(name string) bool
	Generic(name string) any
}

// loginRun is one login.
type loginRun struct {
	*program
	c          flags
	ctx        context.Context
	file       helper.ConfigFile
	stores     *keychain.Stores
	name       string
	old        *helper.Profile   // what stands under the name, or nil
	sourceText []byte            // what the key file held; for --delete-source
	from       string            // what the key on standard input is called, or ""
	answers    map[string]string // what a person has said instead of flags
	profile    helper.Profile
	stored     bool // it is in the config
}

// login stores a key, or swaps the client ID of a profile that has one.
func (p *program) login(c *cli.Context) error {
	l := &loginRun{program: p, c: c, ctx: c.Context}
	return l.run()
}

func (l *loginRun) run() error {
	if err := l.checkFlags(); err != nil {
		return err
	}
	l.stores = l.program.stores()
	l.stores.Passphrase = l.passphraseFromPerson()
	if err := l.find(); err != nil {
		return err
	}
	if err := l.settings(); err != nil {
		return err
	}
	if l.old != nil && l.old.Pending != nil && l.c.Bool("no-check") {
		return &usageError{text: fmt.Sprintf("profile %q has a pending key, which --no-check cannot tell from the one in use", l.name)}
	}
	if l.swaps() && !l.c.Bool("delete-source") {
		return l.swap()
	}
	if err := l.checkSource(); err != nil {
		return err
	}
	if l.asksForKey() { // not in vain
		if err := l.checkStore(); err != nil {
			return err
		}
	}
	key, err := l.readKey()
	if err != nil {
		return err
	}
	return l.take(key)
}

// checkFlags refuses flags that contradict each other.
func (l *loginRun) checkFlags() error {
	c, store := l.c, l.c.String("store")
	switch {
	case store != "" && keychain.CheckStore(store) != nil:
		return &usageError{text: fmt.Sprintf("unknown store %q: keychain, file, pem, ssh-agent or command", store)}
	case keyfiles.LooksLikeKey(c.String("key")):
		return &usageError{"--key holds a key, where the name of a file is wanted", []string{"sfcred login --key KEY_FILE"}}
	case c.IsSet("command") && store != "" && store != keychain.StoreCommand:
		return &usageError{text: fmt.Sprintf("--command is for store command, not %s", store)}
	case c.IsSet("command") && c.IsSet("key"):
		return &usageError{text: "--command and --key exclude each other: the command prints the key"}
	case c.Bool("shell") && !c.IsSet("command"):
		return &usageError{text: "--shell goes with --command"}
	case c.Bool("no-check") && (c.Bool("replace") || c.Bool("delete-source")):
		return &usageError{text: "--no-check never drops a key: it goes with neither --replace nor --delete-source"}
	case c.Bool("no-check") && c.IsSet("user"):
		return &usageError{text: "--user is found out by an exchange, which --no-check leaves out"}
	}
	return checkService(c)
}

// checkService refuses a service that cannot be meant.
func checkService(c flags) error {
	_, known := helper.FindSite(c.String("site"))
	switch {
	case c.IsSet("site") && c.IsSet("token-url"):
		return &usageError{text: "--site and --token-url exclude each other: a site is a preset for its own token URL"}
	case c.IsSet("site") && !known:
		return &usageError{text: fmt.Sprintf("unknown site %q: nersc or nersc-dev; another service is named by --token-url", c.String("site"))}
	case c.IsSet("token-url"):
		if _, err := helper.ParseURL(c.String("token-url")); err != nil {
			return &usageError{text: "--token-url: " + err.Error()}
		}
	}
	return nil
}

// take checks a key and stores it.
func (l *loginRun) take(key *loginKey) error {
	if err := l.checkProfile(); err != nil {
		return err
	}
	if err := l.mayReplace(l.old, true); err != nil {
		return err
	}
	if err := l.prepareStore(); err != nil {
		return err
	}
	checked, err := l.check(key.open)
	if err != nil {
		return err
	}
	ctx, cancel := l.deadline(l.ctx)
	defer cancel()
	err = l.file.Install(ctx, l.stores, l.name, key.copied(&l.profile), func(old *helper.Profile) (*helper.Profile, error) {
		if err := l.mayReplace(old, false); err != nil { // another login may have come between
			return nil, err
		}
		return &l.profile, l.unchanged(old)
	})
	if err := l.installed(err, checked); err != nil {
		return err
	}
	return l.deleteSource()
}

// installed ends a login whose profile was written; that a key is left over is
// told at last.
func (l *loginRun) installed(err error, found *checked) error {
	var orphan *helper.OrphanError
	if err == nil || errors.As(err, &orphan) {
		l.stored = true
		l.finish(found)
	}
	return err
}

// mayReplace refuses to drop another key that the profile has, unless that was
// asked for; a person may be asked now.
func (l *loginRun) mayReplace(old *helper.Profile, askNow bool) error {
	same := old == nil || !old.HasKey() || old.Fingerprint == l.profile.Fingerprint
	// An agent forgets: what it has is no copy.
	loses := old != nil && old.KeyID != "" && l.profile.Store == keychain.StoreAgent
	if l.c.Bool("replace") || same && !loses {
		return nil
	}
	text := fmt.Sprintf("profile %q has another key already", l.name)
	if same {
		text = fmt.Sprintf("profile %q has this key %s, where it would be deleted", l.name, storeWords(old))
	}
	refused := &usageError{text, []string{l.again("--replace"), l.again("--profile", "OTHER_NAME")}}
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
	yes, err := tty.confirm(l.ctx, text+"; replace it?")
	if err == nil && !yes {
		return refused
	}
	return err
}

// again is the login command as it was typed, and answered, with other flags.
func (l *loginRun) again(more ...string) string {
	own := map[string]string{"profile": l.program.profile}
	maps.Copy(own, l.answers)
	text := l.program.again([]string{"login"}, loginFlags(), &moreFlags{l.c, own}, more)
	if l.from != "" { // the variable that import has the key from
		text = "printenv " + l.from + " | " + text
	}
	return text
}

// againWithKey is the login command with a key file, and a client ID where none
// was said.
func (l *loginRun) againWithKey() string {
	more := []string{"--key", "KEY_FILE"}
	if l.profile.ClientID == "" {
		more = append([]string{"--client-id", "CLIENT_ID"}, more...)
	}
	return l.again(more...)
}

// answered notes what a person has said in place of a flag.
func (l *loginRun) answered(flag, value string) {
	if l.answers == nil {
		l.answers = map[string]string{}
	}
	l.answers[flag] = value
}

// prepareStore finds out whether the key could be stored, before anything is
// spent on an exchange, and has a person asked while no deadline runs.
func (l *loginRun) prepareStore() error {
	l.profile.KeyFile, l.profile.KeyID = "", ""
	if l.profile.Store != keychain.StoreCommand {
		l.profile.Command, l.profile.Shell = "", false
	}
	if l.profile.Store == keychain.StorePEM {
		path, err := filepath.Abs(l.c.String("key"))
		if err != nil {
			return fmt.Errorf("key file: %w", err)
		}
		l.profile.KeyFile = path
		ctx, cancel := l.deadline(l.ctx)
		defer cancel()
		_, err = l.stores.Key(ctx, l.profile.Ref()) // as every later command will read it
		return err
	}
	if l.profile.Store == keychain.StoreAgent || l.profile.Store == keychain.StoreCommand {
		return nil // the key has come from there
	}
	l.profile.KeyID = keychain.NewID()
	err := l.checkStore()
	if err == nil && l.profile.Store == keychain.StoreFile {
		_, err = l.stores.Passphrase(l.ctx, true, "the new key file")
	}
	return err
}

// checkStore finds out whether a key could be stored.
func (l *loginRun) checkStore() error {
	pem := []string{"--store", "pem"}
	if key := l.c.String("key"); key == "" || key == "-" {
		pem = append(pem, "--key", "KEY_FILE")
	}
	return l.program.checkStore(l.ctx, l.stores, l.profile.Store, l.again("--store", "file"), l.again(pem...))
}

// checkStore finds out whether a key could be put into a store. Where there is no
// keychain, the hints say how to do without.
func (p *program) checkStore(ctx context.Context, stores *keychain.Stores, store string, without ...string) error {
	if store != keychain.StoreKeychain && store != keychain.StoreFile {
		return nil
	}
	ctx, cancel := p.deadline(ctx)
	defer cancel()
	err := stores.Check(ctx, store)
	switch {
	case store == keychain.StoreKeychain && errors.Is(err, keychain.ErrLocked):
		return nil // storing lets the keychain ask its owner
	case store == keychain.StoreKeychain && errors.Is(err, keychain.ErrUnavailable):
		return &hintedError{err, without}
	}
	return err
}

// unchanged refuses to write over settings that another command has changed
// while the server was asked. Another login with the same settings is no such
// change: whose key stays is mayReplace's.
func (l *loginRun) unchanged(now *helper.Profile) error {
	before := cmp.Or(l.old, &l.profile)
	if now == nil && l.old == nil || now != nil && reflect.DeepEqual(settingsOf(now), settingsOf(before)) {
		return nil
	}
	return l.changedMeanwhile()
}

func (l *loginRun) changedMeanwhile() error {
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
