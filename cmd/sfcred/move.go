package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"sfcred/helper"
	"sfcred/keychain"
	"sfcred/keychain/jose"
)

// keyMove is one key of a profile on its way to another entry.
type keyMove struct {
	from    helper.Profile // with the key as the one in use
	pending bool
	key     *jose.Key
}

// moveKeys moves the key to another store, or to another file with a new
// passphrase; a pending key in a file gets that passphrase, too. They are
// written, read back, switched to, and only then deleted where they were.
func (p *program) moveKeys(c *cli.Context, file helper.ConfigFile, name string, profile *helper.Profile) error {
	to, replaced := cmp.Or(c.String("store"), profile.Store), c.Bool("new-passphrase")
	moves, err := keyMoves(name, profile, to, c.IsSet("store"), replaced)
	if err != nil {
		return err
	}
	if moves[0].pending {
		to = keychain.StoreFile
	}
	stores := p.stores()
	stores.Passphrase = p.movePassphrase(replaced)
	ctx, cancel := p.deadline(c.Context)
	err = stores.Check(ctx, to)
	cancel()
	if err != nil && !(to == keychain.StoreKeychain && errors.Is(err, keychain.ErrLocked)) {
		return err
	}
	for _, m := range moves {
		if err := p.openMove(c.Context, stores, m); err != nil {
			if m.pending {
				return &pendingKeyError{name, profile.Store, err}
			}
			return &profileError{name, err}
		}
	}
	if to == keychain.StoreFile {
		if _, err := stores.Passphrase(c.Context, true, "the new key file"); err != nil {
			return err
		}
	}
	return p.installMoves(c.Context, file, stores, name, to, moves)
}

// keyMoves lists the keys that are to be moved.
func keyMoves(name string, profile *helper.Profile, to string, toStore, replaced bool) ([]*keyMove, error) {
	pending := replaced && profile.Pending != nil && profile.Pending.Store == keychain.StoreFile
	var moves []*keyMove
	switch {
	case !profile.HasKey() && (toStore || !pending):
		return nil, &pendingError{name}
	case toStore || profile.Store == keychain.StoreFile || !pending:
		if err := mayMove(profile.Store, to, replaced); err != nil {
			return nil, err
		}
		moves = append(moves, &keyMove{from: *profile})
	}
	if pending {
		moves = append(moves, &keyMove{from: profile.Promoted(), pending: true})
	}
	return moves, nil
}

// openMove reads the key, and has its own passphrase asked for.
func (p *program) openMove(ctx context.Context, stores *keychain.Stores, m *keyMove) error {
	own, what := *stores, "the key file"
	if m.pending {
		own.Passphrase, what = p.movePassphrase(true), "the pending key's file"
	}
	if err := p.askAhead(ctx, &own, &m.from, what); err != nil {
		return err
	}
	ctx, cancel := p.deadline(ctx)
	defer cancel()
	var err error
	m.key, err = own.Key(ctx, m.from.Ref())
	return err
}

// installMoves writes the keys to their new entries, and switches to all of them
// at once: with two, nobody is to guess later which has which passphrase.
func (p *program) installMoves(ctx context.Context, file helper.ConfigFile, stores *keychain.Stores, name, to string, moves []*keyMove) error {
	var keys []*jose.Key
	for _, m := range moves {
		keys = append(keys, m.key)
	}
	ctx, cancel := p.deadline(ctx)
	defer cancel()
	return file.Install(ctx, stores, name, keys, func(now *helper.Profile) (*helper.Profile, error) {
		for _, m := range moves {
			if now == nil || !m.apply(now, to) {
				return nil, fmt.Errorf("profile %q was changed by another command in the meantime", name)
			}
		}
		return now, nil
	})
}

// apply gives the key a new entry in the profile, if it is still the one there.
func (m *keyMove) apply(now *helper.Profile, to string) bool {
	switch {
	case m.pending && (now.Pending == nil || now.Pending.Ref() != m.from.Ref()):
		return false
	case m.pending:
		pending := *now.Pending
		pending.KeyID = keychain.NewID()
		now.Pending = &pending
	case now.Ref() != m.from.Ref():
		return false
	default:
		now.Store, now.KeyID, now.KeyFile, now.Command, now.Shell = to, keychain.NewID(), "", "", false
		now.Fingerprint = m.key.Fingerprint()
	}
	return true
}

// mayMove refuses the moves that make no sense.
func mayMove(from, to string, newPassphrase bool) error {
	isEntry := to == keychain.StoreKeychain || to == keychain.StoreFile
	switch {
	case newPassphrase && to != keychain.StoreFile:
		return &usageError{text: "--new-passphrase is for a key in store file"}
	case newPassphrase && from == keychain.StoreFile:
		return nil
	case from == keychain.StoreAgent:
		return &usageError{text: "a key in the ssh-agent cannot be moved: the agent gives none away"}
	case !isEntry:
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

// askAhead has a person asked for the passphrase of the key that a profile has,
// in what file names, while no deadline runs for the person: those that start
// later find the answer known.
func (p *program) askAhead(ctx context.Context, stores *keychain.Stores, profile *helper.Profile, file string) error {
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
	return err
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
