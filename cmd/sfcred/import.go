package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"sfcred/helper"
	"sfcred/keychain"
	"sfcred/keychain/keyfiles"
)

func importFlags() []cli.Flag {
	flags := []cli.Flag{
		&cli.BoolFlag{Name: "all", Usage: "import all that is found, without asking"},
		&cli.BoolFlag{Name: "dry-run", Usage: "only show what is found"},
		&cli.BoolFlag{Name: "json", Usage: "print what is found as JSON; import it only with --all"},
		&cli.StringFlag{Name: "store", Usage: "keep the keys in `STORE`: keychain, file (encrypted) or pem (where they are) [keychain]"},
	}
	// These mean for each key what they mean for login.
	asForLogin := []string{"site", "token-url", "api-url", "host", "ca-file", "delete-source"}
	for _, f := range loginFlags() {
		if slices.Contains(asForLogin, f.Names()[0]) {
			flags = append(flags, f)
		}
	}
	return flags
}

// offer is a key that was found, as the profile that it would become.
type offer struct {
	keyfiles.Found
	name string
	has  string // the profile that has it already, or ""

	imported bool  // by now, whatever err says of what is left over
	err      error // or nil
}

// importKeys finds the keys that people have lying about, and logs in with
// those that are chosen.
func (p *program) importKeys(c *cli.Context) error {
	if err := checkImportFlags(c); err != nil {
		return err
	}
	file, err := p.configFile()
	if err != nil {
		return err
	}
	config, err := file.Load()
	if err != nil {
		return err
	}
	found, problems, err := p.findKeys(c)
	if err != nil {
		return err
	}
	offers := offersOf(found, config, importName(c))
	if err := p.nameOffer(c, offers); err != nil {
		return err
	}
	if c.Bool("dry-run") || c.Bool("json") && !c.Bool("all") {
		return errors.Join(p.reportOffers(c, offers, problems), noKeyNamed(c, offers))
	}
	for _, problem := range problems {
		p.warn(problem.String())
	}
	chosen, err := p.chooseOffers(c, offers)
	if err != nil {
		return err
	}
	failed := p.importChosen(c, chosen)
	if c.Bool("json") {
		return errors.Join(p.reportOffers(c, offers, nil), failed)
	}
	return failed
}

func checkImportFlags(c *cli.Context) error {
	switch store := c.String("store"); {
	case !slices.Contains([]string{"", keychain.StoreKeychain, keychain.StoreFile, keychain.StorePEM}, store):
		return &usageError{text: fmt.Sprintf("a found key can go into store keychain, file or pem, not %q", store)}
	case store == keychain.StorePEM && c.Bool("delete-source"):
		return &usageError{text: "--delete-source would delete the only copy: in store pem the key stays in its file"}
	case slices.ContainsFunc(c.Args().Slice(), keyfiles.LooksLikeKey):
		return &usageError{"import was given a key, where names of files are wanted", []string{"sfcred import KEY_FILE"}}
	}
	if name := c.String("profile"); name != "" {
		if err := checkNewName(name); err != nil {
			return err
		}
	}
	for _, h := range listOf(c, "host") {
		if _, err := helper.ParseHost(h); err != nil {
			return &usageError{text: "--host: " + err.Error()}
		}
	}
	return checkService(c)
}

// importAgain is the import command as it was typed, with another flag.
func (p *program) importAgain(c *cli.Context, more ...string) string {
	known := importFlags()
	if slices.Contains(more, "--dry-run") { // which asks and takes nothing
		known = slices.DeleteFunc(known, func(f cli.Flag) bool { return slices.Contains([]string{"all", "delete-source"}, f.Names()[0]) })
	}
	return p.again([]string{"import"}, known, c, more, c.Args().Slice()...)
}

// findKeys looks in all places, or in those that the command line names.
func (p *program) findKeys(c *cli.Context) ([]keyfiles.Found, []keyfiles.Problem, error) {
	ctx, cancel := p.deadline(c.Context)
	defer cancel()
	search := keyfiles.Search{Home: p.env.home, Paths: c.Args().Slice(), Lookup: os.Getenv}
	if dir, err := os.Getwd(); err == nil {
		search.Dir = dir
	}
	return search.Find(ctx)
}

// importName is what a profile is called first: its site, or its server.
func importName(c *cli.Context) string {
	if u, err := helper.ParseURL(c.String("token-url")); err == nil && helper.CheckName(u.Hostname()) == nil {
		return u.Hostname()
	}
	return cmp.Or(c.String("site"), helper.Sites()[0].Name)
}

// offersOf names each key: after its site, or after its file where that is
// taken.
func offersOf(found []keyfiles.Found, config *helper.Config, site string) []*offer {
	taken := map[string]bool{envName: true}
	for name := range config.Profiles {
		taken[name] = true
	}
	var offers []*offer
	for _, f := range found {
		o := &offer{Found: f, has: profileWith(config, f)}
		o.name = o.has
		offers = append(offers, o)
	}
	// One without a client ID may come to nothing, and takes what name is left.
	for _, hasID := range []bool{true, false} {
		for _, o := range offers {
			if o.has == "" && (o.ClientID != "") == hasID {
				o.name = freeName(taken, site, nameOfFile(o.Found))
				taken[o.name] = true
			}
		}
	}
	return offers
}

// nameOffer has --profile name the only key that is offered. SFCRED_PROFILE says
// which profile is used, and not what new ones are called: it plays no part.
func (p *program) nameOffer(c *cli.Context, offers []*offer) error {
	name, fresh := c.String("profile"), 0
	for _, o := range offers {
		if o.has == "" && name != "" {
			o.name = name
			fresh++
		}
	}
	if fresh > 1 {
		return &usageError{text: fmt.Sprintf("--profile %s is one name, and %d keys are found", name, fresh), hints: []string{p.again([]string{"import"}, importFlags(), c, nil, "PATH")}}
	}
	return nil
}

// profileWith is the profile that has the key already.
func profileWith(config *helper.Config, f keyfiles.Found) string {
	for _, name := range config.Names() {
		p := config.Profiles[name]
		client := f.ClientID != "" && p.ClientID == f.ClientID
		key := f.Fingerprint != "" && p.Fingerprint == f.Fingerprint
		if key && (client || f.ClientID == "") || client && f.Encrypted {
			return name
		}
	}
	return ""
}

// nameOfFile makes a profile's name of a file's or a variable's.
func nameOfFile(f keyfiles.Found) string {
	name := cmp.Or(f.Variable, strings.TrimSuffix(filepath.Base(f.Path), filepath.Ext(f.Path)))
	name = strings.Map(func(r rune) rune {
		if helper.CheckName("x"+string(r)) != nil {
			return '-'
		}
		return r
	}, strings.ToLower(name))
	if name = strings.TrimLeft(name, "._-"); helper.CheckName(name) != nil {
		return "key"
	}
	return name
}

// freeName is the first of the names that is free, or the last with a number.
func freeName(taken map[string]bool, names ...string) string {
	for _, name := range names {
		if !taken[name] {
			return name
		}
	}
	for n := 2; ; n++ {
		if name := fmt.Sprintf("%s-%d", names[len(names)-1], n); !taken[name] {
			return name
		}
	}
}

// importChosen imports one key after the other; one that fails keeps no other
// back.
func (p *program) importChosen(c *cli.Context, chosen []*offer) error {
	var failed error
	for _, o := range chosen {
		o.imported, o.err = p.importOne(c, o)
		if errors.Is(o.err, errInterrupted) || errors.As(p.caught, new(signalError)) {
			return o.err
		}
		if o.err != nil {
			o.err = fmt.Errorf("import %s as %q: %w", o.place(), o.name, o.err)
			p.tell(o.err)
			failed = cmp.Or[error](failed, &saidError{o.err})
		}
	}
	return failed
}

// checkImportStore finds out whether keys could be stored, once for all.
func (p *program) checkImportStore(c *cli.Context) error {
	store, stores := cmp.Or(c.String("store"), keychain.StoreKeychain), p.stores()
	stores.Passphrase = p.passphraseFromPerson()
	return p.checkStore(c.Context, stores, store, p.importAgain(c, "--store", "file"), p.importAgain(c, "--store", "pem"))
}

// noKeyNamed fails where files were named, and no key is in them.
func noKeyNamed(c *cli.Context, offers []*offer) error {
	if len(offers) == 0 && c.Args().Present() {
		return errors.New("no key found in what was named")
	}
	return nil
}

// chooseOffers asks which keys are wanted.
func (p *program) chooseOffers(c *cli.Context, offers []*offer) ([]*offer, error) {
	if err := noKeyNamed(c, offers); err != nil {
		return nil, err
	}
	if len(offers) == 0 {
		p.inform("no key found")
	}
	var fresh []*offer
	for _, o := range offers {
		if o.has != "" {
			p.inform("%s: profile %q has it already", o.place(), o.has)
			continue
		}
		fresh = append(fresh, o)
	}
	if len(fresh) == 0 {
		return nil, nil
	}
	if c.Bool("all") {
		return fresh, p.checkImportStore(c)
	}
	tty, err := openTerminal()
	if err != nil {
		return nil, &usageError{"which keys to import is not said, and there is no terminal to ask on", []string{p.importAgain(c, "--dry-run"), p.importAgain(c, "--all")}}
	}
	defer tty.close()
	if err := p.checkImportStore(c); err != nil {
		return nil, err
	}
	return p.askOffers(c, tty, fresh)
}

// askOffers asks about one key after the other.
func (p *program) askOffers(c *cli.Context, tty *terminal, fresh []*offer) ([]*offer, error) {
	var chosen []*offer
	for _, o := range fresh {
		for _, warning := range o.Warnings {
			p.warn(o.place() + ": " + warning)
		}
		yes, err := tty.confirm(c.Context, fmt.Sprintf("import %s as profile %q?", o.Found, o.name))
		if err != nil {
			return nil, err
		}
		if yes {
			chosen = append(chosen, o)
		}
	}
	return chosen, nil
}

// importOne is a login with a key that was found; imported says whether it is
// one by now, also where an error tells of something that is left over.
func (p *program) importOne(c *cli.Context, o *offer) (imported bool, err error) {
	own := *p
	own.profile = o.name
	told := &moreFlags{c, map[string]string{"key": o.Path}}
	if o.ClientID != "" {
		told.own["client-id"] = o.ClientID
	}
	l := &loginRun{program: &own, c: told, ctx: c.Context}
	if o.Variable != "" {
		told.own["key"], own.stdin, l.from = "-", bytes.NewReader(o.Text()), o.Variable
	}
	err = l.run()
	p.caught = cmp.Or(p.caught, own.caught)
	if err == nil && o.Variable != "" && c.Bool("delete-source") {
		p.warn("the variable " + o.Variable + " still holds the key")
		p.say("hint", "unset "+o.Variable)
	}
	return l.stored, err
}

// place is where the key was found, for people.
func (o *offer) place() string { return cmp.Or(o.Variable, shellWord(o.Path)) }

// kind is what the key is.
func (o *offer) kind() string {
	if o.Encrypted {
		return "encrypted"
	}
	return fmt.Sprintf("%s %d", o.Type, o.Bits)
}

// mode is the file's, or "" where there is none.
func (o *offer) mode() string {
	if o.Mode == 0 {
		return ""
	}
	return fmt.Sprintf("%04o", o.Mode)
}
