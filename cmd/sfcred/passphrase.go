package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"sfcred/keychain"
)

// passphraser gives the passphrase of a key, as keychain.Stores asks for it.
type passphraser = func(ctx context.Context, confirm bool, what string) ([]byte, error)

// passphraseFromFile reads the file that SFCRED_PASSPHRASE_FILE names; it is
// nil where that is not set, so that a store knows there is nobody to ask.
func (p *program) passphraseFromFile() passphraser {
	path := p.env.passphraseFile
	if path == "" {
		return nil
	}
	return func(ctx context.Context, confirm bool, _ string) ([]byte, error) {
		ctx, cancel := p.deadline(ctx) // asked ahead, it has no other
		defer cancel()
		text, err := keychain.ReadPassphrase(ctx, path)
		if err == nil && confirm && len(text) == 0 {
			err = errNoPassphrase()
		}
		return text, err
	}
}

// passphraseFromPerson asks on the terminal, once for all that is done with the
// answer: no deadline that starts later then bounds the person.
func (p *program) passphraseFromPerson() passphraser {
	if ask := p.passphraseFromFile(); ask != nil {
		return func(ctx context.Context, confirm bool, what string) ([]byte, error) {
			text, err := ask(ctx, confirm, what)
			if err == nil && confirm {
				p.warnShort(text)
			}
			return text, err
		}
	}
	if tty, err := openTerminal(); err != nil {
		return nil
	} else {
		tty.close()
	}
	known := map[string][]byte{}
	return func(ctx context.Context, confirm bool, what string) ([]byte, error) {
		kind := "passphrase"
		if confirm {
			kind = "new passphrase"
		}
		if text, ok := known[kind]; ok {
			return text, nil
		}
		text, err := p.askPassphrase(ctx, kind, confirm, what)
		if err == nil {
			known[kind] = text
		}
		return text, err
	}
}

// askPassphrase asks for a passphrase, for a new one twice.
func (p *program) askPassphrase(ctx context.Context, kind string, confirm bool, what string) ([]byte, error) {
	tty, err := openTerminal()
	if err != nil {
		return nil, err
	}
	defer tty.close()
	ctx = context.WithoutCancel(ctx) // a deadline bounds no person
	text, err := tty.secret(ctx, fmt.Sprintf("%s of %s:", kind, what))
	if err != nil || !confirm {
		return text, err
	}
	again, err := tty.secret(ctx, "the same again:")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(text, again) {
		return nil, errors.New("the two passphrases differ")
	}
	if len(text) == 0 {
		return nil, errNoPassphrase()
	}
	p.warnShort(text)
	return text, nil
}

// warnShort tells of a new passphrase that is no obstacle to who has the file.
func (p *program) warnShort(text []byte) {
	const enough = 8
	if utf8.RuneCount(text) < enough {
		p.warnOnce(fmt.Sprintf("the passphrase has fewer than %d characters: whoever gets hold of the key file can guess it", enough))
	}
}

// errNoPassphrase refuses an empty passphrase before anything is spent on it.
func errNoPassphrase() error {
	return &keychain.Error{Store: keychain.StoreFile, Reason: "the new passphrase is empty", Err: keychain.ErrPassphrase}
}
