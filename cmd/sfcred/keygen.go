package main

import (
	"cmp"
	"crypto"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"sfcred/helper"
	"sfcred/keychain"
	"sfcred/keychain/jose"
)

func keygenFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "store", Usage: "make the key in `STORE`: keychain or file (encrypted) [that of the key in use, or keychain]"},
		&cli.StringFlag{Name: "alg", Usage: "make a key for `ALG`", Value: "RS256"},
		&cli.StringFlag{Name: "bits", Usage: "`BITS` of an RSA key [2048, as Iris makes them]"},
		&cli.BoolFlag{Name: "jwk", Usage: "print the public key as a JWK instead of PEM"},
		&cli.StringFlag{Name: "out", Usage: "write the public key to a new `FILE` instead of standard output"},
		&cli.BoolFlag{Name: "replace", Usage: "drop a key that is pending"},
		&cli.BoolFlag{Name: "show", Usage: "make no key: print the public half of the pending one, or else of the one in use"},
	}
}

// keygenRun is one keygen.
type keygenRun struct {
	*program
	c      *cli.Context
	file   helper.ConfigFile
	stores *keychain.Stores
	name   string
	old    *helper.Profile // what stands under the name, or nil
}

// keygen makes a key in its store, to be used once its public half has become a
// client; the key in use is left alone.
func (p *program) keygen(c *cli.Context) error {
	k := &keygenRun{program: p, c: c, stores: p.stores()}
	k.stores.Passphrase = p.passphraseFromPerson()
	if err := k.find(); err != nil {
		return err
	}
	if err := k.checkOut(); err != nil {
		return err
	}
	if c.Bool("show") {
		return k.show()
	}
	return k.make()
}

// find finds the profile that the key is for, which need not be there yet.
func (k *keygenRun) find() error {
	var err error
	if k.file, err = k.configFile(); err != nil {
		return err
	}
	config, err := k.file.Load()
	if err != nil {
		return err
	}
	k.name = cmp.Or(k.profile, config.Default, helper.Sites()[0].Name)
	if err := checkNewName(k.name); err != nil {
		return err
	}
	k.old = config.Profiles[k.name]
	return nil
}

// checkOut refuses to write over a file before a key is made: it could be the
// only copy of another.
func (k *keygenRun) checkOut() error {
	out := k.c.String("out")
	if out == "" {
		return nil
	}
	_, err := os.Lstat(out)
	if err == nil {
		return &usageError{text: fmt.Sprintf("--out: %s is there already", out)}
	}
	if !errors.Is(err, fs.ErrNotExist) || !isDir(filepath.Dir(out)) {
		return &usageError{text: fmt.Sprintf("--out: %v", err)}
	}
	return nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// store is the store that the key is to be made in.
func (k *keygenRun) store() (string, error) {
	store := k.c.String("store")
	if store == "" && k.old != nil && k.old.Store == keychain.StoreFile {
		store = keychain.StoreFile
	}
	store = cmp.Or(store, keychain.StoreKeychain)
	if store != keychain.StoreKeychain && store != keychain.StoreFile {
		return "", &usageError{text: fmt.Sprintf("a key is made in store keychain or file, not %q", store)}
	}
	return store, nil
}

// make makes a key and puts it beside the one in use.
func (k *keygenRun) make() error {
	store, err := k.store()
	if err != nil {
		return err
	}
	key, err := k.generate()
	if err != nil {
		return err
	}
	if err := k.mayReplace(); err != nil {
		return err
	}
	if err := k.prepare(store); err != nil {
		return err
	}
	pending := &helper.Pending{Store: store, KeyID: keychain.NewID(), Fingerprint: key.Fingerprint(), Alg: k.c.String("alg")}
	ctx, cancel := k.deadline(k.c.Context)
	defer cancel()
	err = k.file.Install(ctx, k.stores, k.name, []*jose.Key{key}, func(now *helper.Profile) (*helper.Profile, error) {
		if now == nil {
			now = &helper.Profile{}
		}
		if now.Pending != nil && (k.old == nil || k.old.Pending == nil || *now.Pending != *k.old.Pending) {
			return nil, fmt.Errorf("profile %q was changed by another command in the meantime", k.name)
		}
		now.Pending = pending
		return now, nil
	})
	if err != nil && !errors.As(err, new(*helper.OrphanError)) {
		return err
	}
	k.next(store)
	if printed := k.print(key.Public(), pending.Alg); printed != nil {
		return &hintedError{printed, []string{k.again("--show")}}
	}
	if k.c.String("out") == "" && isNowhere(k.stdout) {
		k.warn("standard output is closed, or nowhere: the public half was not shown")
		k.say("hint", k.again("--show"))
	}
	return err
}

// isNowhere says whether what is written is lost without an error: the Go runtime
// opens /dev/null in the place of a standard stream that is closed.
func isNowhere(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	null, nullErr := os.Stat(os.DevNull)
	return err == nil && nullErr == nil && os.SameFile(info, null)
}

// generate makes the key, in memory still.
func (k *keygenRun) generate() (*jose.Key, error) {
	bits := 0
	if text := k.c.String("bits"); text != "" {
		if _, err := fmt.Sscanf(text, "%d", &bits); err != nil || fmt.Sprint(bits) != text {
			return nil, &usageError{text: fmt.Sprintf("--bits %s: not a number", text)}
		}
	}
	key, err := jose.Generate(k.c.String("alg"), bits)
	if err != nil {
		return nil, &usageError{text: err.Error()}
	}
	return key, nil
}

// mayReplace refuses to drop a pending key, which may be registered by now,
// unless that was asked for.
func (k *keygenRun) mayReplace() error {
	if k.old == nil || k.old.Pending == nil || k.c.Bool("replace") {
		return nil
	}
	refused := &usageError{
		text:  fmt.Sprintf("profile %q has a pending key already", k.name),
		hints: []string{k.again("--show"), fmt.Sprintf("sfcred login --profile %s --client-id CLIENT_ID", k.name), k.again("--replace")},
	}
	tty, err := openTerminal()
	if err != nil {
		return refused
	}
	defer tty.close()
	yes, err := tty.confirm(k.c.Context, refused.text+"; replace it?")
	if err == nil && !yes {
		return refused
	}
	return err
}

// again is the keygen command as it was typed, with other flags.
func (k *keygenRun) again(more ...string) string {
	known := keygenFlags()
	if slices.Contains(more, "--show") { // the others say how a key is made
		known = slices.DeleteFunc(known, func(f cli.Flag) bool { return f.Names()[0] != "jwk" })
	}
	return k.program.again([]string{"keygen"}, known, &moreFlags{k.c, map[string]string{"profile": k.name}}, more)
}

// prepare finds out whether the key could be stored, and has a person asked
// while no deadline runs.
func (k *keygenRun) prepare(store string) error {
	err := k.checkStore(k.c.Context, k.stores, store, k.again("--store", "file"))
	if err == nil && store == keychain.StoreFile {
		_, err = k.stores.Passphrase(k.c.Context, true, "the new key file")
	}
	return err
}

// next tells what to do next.
func (k *keygenRun) next(store string) {
	k.inform("profile %q: a new key is pending, %s; register its public half, then log in with the client's ID", k.name, storeWords(&helper.Profile{Store: store}))
	k.say("hint", fmt.Sprintf("sfcred login --profile %s --client-id CLIENT_ID", k.name))
}

// show prints the public half of a key that is there.
func (k *keygenRun) show() error {
	if k.old == nil {
		return &hintedError{&missingError{name: k.name}, []string{fmt.Sprintf("sfcred keygen --profile %s", k.name)}}
	}
	profile, file := *k.old, "the key file"
	about := func(err error) error { return &profileError{k.name, err} }
	if profile.Pending != nil {
		profile, file = profile.Promoted(), "the pending key's file"
		about = func(err error) error { return &pendingKeyError{k.name, k.old.Store, err} }
	}
	if err := k.askAhead(k.c.Context, k.stores, &profile, file); err != nil {
		return about(err)
	}
	ctx, cancel := k.deadline(k.c.Context)
	defer cancel()
	signer, err := openKey(ctx, k.stores, &profile)
	if err != nil {
		return about(err)
	}
	return k.print(signer.Public(), profile.Alg)
}

// print gives the public key.
func (k *keygenRun) print(public crypto.PublicKey, alg string) error {
	text, err := jose.PublicPEM(public)
	if k.c.Bool("jwk") {
		text, err = jose.PublicJWK(public, alg)
	}
	if err != nil {
		return err
	}
	text = append([]byte(strings.TrimRight(string(text), "\n")), '\n')
	out := k.c.String("out")
	if out == "" {
		return k.answer(string(text))
	}
	if err := writeNew(out, text, 0o644); err != nil {
		return fmt.Errorf("write the public key: %w", err)
	}
	return nil
}

// writeNew writes a file that must not be there yet, for all to read. Of one that
// the disk does not take whole nothing stays, or the error says that it does.
func writeNew(path string, text []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = cmp.Or(err, f.Close())
	if err == nil {
		return nil
	}
	if left := os.Remove(path); left != nil {
		return fmt.Errorf("%w; what there is of it stays: %w", err, left)
	}
	return err
}
