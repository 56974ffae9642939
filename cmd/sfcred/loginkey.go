package main

import (
	"cmp"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"

	"sfcred/helper"
	"sfcred/keychain"
	"sfcred/keychain/disk"
	"sfcred/keychain/jose"
)

// maxKeyInput is one byte more than jose.Parse takes, so that it says so.
const maxKeyInput = 64<<10 + 1

// loginKey is the key that a login is about.
type loginKey struct {
	open opener
	key  *jose.Key // nil where it stays in the agent
}

// copied is the key if the profile's store keeps a copy of it.
func (k *loginKey) copied(p *helper.Profile) []*jose.Key {
	if p.KeyID == "" {
		return nil
	}
	return []*jose.Key{k.key}
}

// readKey reads the key that the login is about, and fills in what of the
// profile depends on it.
func (l *loginRun) readKey() (*loginKey, error) {
	switch l.profile.Store {
	case keychain.StoreAgent:
		return l.agentKey()
	case keychain.StoreCommand:
		return l.commandKey()
	}
	text, from, err := l.keyText()
	if err != nil {
		return nil, err
	}
	file, err := jose.Parse(text, l.keyPassphrase(from))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	l.warnOpen()
	return l.fileKey(file)
}

// fileKey takes what a key file says of its key, where the command line does
// not say otherwise.
func (l *loginRun) fileKey(file *jose.File) (*loginKey, error) {
	p := &l.profile
	if err := l.clientID(file.ClientID); err != nil {
		return nil, err
	}
	p.Fingerprint, p.KID = file.Key.Fingerprint(), file.KeyID
	fit := jose.Algorithms(file.Key.Public())
	switch {
	case l.c.IsSet("alg"):
		if err := l.checkAlg(fit); err != nil {
			return nil, err
		}
	case file.Alg != "":
		p.Alg = file.Alg
	case !slices.Contains(fit, p.Alg):
		p.Alg = fit[0]
	}
	open := func(context.Context) (crypto.MessageSigner, error) { return file.Key.Signer(), nil }
	return &loginKey{open, file.Key}, nil
}

// commandKey runs the command that prints the key.
func (l *loginRun) commandKey() (*loginKey, error) {
	p := &l.profile
	if l.c.IsSet("command") {
		p.Command, p.Shell = l.c.String("command"), l.c.Bool("shell")
	}
	if p.Command == "" {
		return nil, &usageError{text: "store command needs a command that prints the key", hints: []string{l.again("--command", "'pass show nersc/key'")}}
	}
	if err := keychain.CheckCommand(p.Command, p.Shell); err != nil {
		return nil, &usageError{text: "--command: " + err.Error()}
	}
	ref := keychain.Ref{Store: keychain.StoreCommand, Command: p.Command, Shell: p.Shell}
	ctx, cancel := l.deadline(l.ctx)
	defer cancel()
	file, err := l.stores.File(ctx, ref)
	if err != nil {
		return nil, err
	}
	return l.fileKey(file)
}

// checkAlg refuses an algorithm that does not fit the key.
func (l *loginRun) checkAlg(fit []string) error {
	if alg := l.c.String("alg"); l.c.IsSet("alg") && !slices.Contains(fit, alg) {
		return &usageError{text: fmt.Sprintf("--alg %s does not fit the key; what fits is %s", alg, strings.Join(fit, ", "))}
	}
	return nil
}

// keyText reads the key from the file, standard input or the terminal, and
// says where it came from.
func (l *loginRun) keyText() (text []byte, from string, err error) {
	path := l.c.String("key")
	switch {
	case l.asksForKey():
		if text, path, err = l.askKey(); err != nil || path == "" {
			return text, "pasted key", err
		}
		l.answered("key", path)
	case path == "-":
		text, err = io.ReadAll(io.LimitReader(l.stdin, maxKeyInput))
		if err != nil {
			return nil, "", fmt.Errorf("read the key from standard input: %w", err)
		}
		return text, cmp.Or(l.from, "key on standard input"), nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, "", fmt.Errorf("read the key: %w", err)
	}
	defer f.Close()
	text, err = io.ReadAll(io.LimitReader(f, maxKeyInput))
	if err != nil {
		return nil, "", fmt.Errorf("read the key: %w", err)
	}
	l.sourceText = text
	return text, fmt.Sprintf("key file %s", path), nil
}

// asksForKey says whether a person is to type the key, or paste it.
func (l *loginRun) asksForKey() bool {
	key := l.c.String("key")
	return key == "" && l.profile.Store != keychain.StoreAgent && l.profile.Store != keychain.StoreCommand || key == "-" && isTerminal(l.stdin)
}

// warnOpen tells that others can read the file the key came from.
func (l *loginRun) warnOpen() {
	path := cmp.Or(l.answers["key"], l.c.String("key"))
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return
	}
	if _, modes := disk.Owner(info); modes && info.Mode().Perm()&0o077 != 0 && !l.c.Bool("delete-source") && l.profile.Store != keychain.StorePEM {
		l.program.warn(fmt.Sprintf("key file %s can be read by others (mode %04o), and still holds the key", path, info.Mode().Perm()))
	}
}

// isTerminal says whether a stream, to read or to write, is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// askKey asks for the key on the terminal: what is pasted, or the name of its
// file.
func (l *loginRun) askKey() (text []byte, path string, err error) {
	tty, err := openTerminal()
	if err != nil {
		return nil, "", &usageError{text: "no key: " + err.Error(), hints: []string{l.againWithKey()}}
	}
	defer tty.close()
	typed := &typedKey{home: l.env.home}
	err = tty.secretLines(l.ctx, "private key (paste PEM or JWK, or type its file's name; it is not shown):", typed.take)
	return typed.text, typed.path, err
}

// keyPassphrase asks for the passphrase of an encrypted key file.
func (l *loginRun) keyPassphrase(from string) func() ([]byte, error) {
	ask := l.stores.Passphrase
	if ask == nil {
		return nil
	}
	return func() ([]byte, error) { return ask(l.ctx, false, from) }
}

// clientID decides on the client ID: the flag's, the file's, or the one that
// the profile has.
func (l *loginRun) clientID(inFile string) error {
	p := &l.profile
	switch {
	case l.c.IsSet("client-id"):
		if inFile != "" && inFile != p.ClientID {
			l.program.warn(fmt.Sprintf("the key carries the client ID %s; --client-id %s is taken", inFile, p.ClientID))
		}
		return nil
	case inFile != "":
		p.ClientID = inFile
		return nil
	case p.ClientID != "":
		return nil
	}
	missing := &usageError{text: "no client ID: the key does not carry one", hints: []string{l.again("--client-id", "CLIENT_ID")}}
	tty, err := openTerminal()
	if err != nil {
		return missing
	}
	defer tty.close()
	p.ClientID, err = tty.ask(l.ctx, "client ID:")
	if errors.Is(err, io.EOF) || err == nil && p.ClientID == "" {
		return missing
	}
	l.answered("client-id", p.ClientID)
	return err
}
