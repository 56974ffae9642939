package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"reflect"

	"sfcred/helper"
	"sfcred/keychain"
	"sfcred/keychain/jose"
)

// swaps says that the login is to use a key that the profile has: the one in
// use, or one that waits for its client.
func (l *loginRun) swaps() bool {
	if l.old == nil {
		return false
	}
	waits := l.old.Pending != nil && !l.brings("key", "store", "command") && (l.brings("client-id") || !l.old.HasKey())
	return waits || l.onlyID() || l.stands()
}

// stands says that the command line has nothing that the profile does not have
// already, and no key: the same login was given before. It may have been killed
// when a pending key was in use already, which nobody could give it again.
func (l *loginRun) stands() bool {
	now, old := &l.profile, l.old
	return l.brings("client-id") && !l.brings("key", "store", "command", "replace") && old.HasKey() &&
		now.ClientID == old.ClientID && now.Alg == old.Alg && reflect.DeepEqual(settingsOf(now), settingsOf(old))
}

// swap gives the profile another client ID, and the pending key, if that works
// with it, or else leaves it the key in use.
func (l *loginRun) swap() error {
	if l.profile.ClientID == "" {
		if err := l.clientID(""); err != nil {
			return err
		}
	}
	if err := l.checkProfile(); err != nil {
		return err
	}
	var pending error
	if l.old.Pending != nil {
		if pending = l.promote(); pending == nil || !l.mayGoOn(pending) {
			return pending
		}
	}
	err := l.keepKey()
	var refused *helper.RefusedError
	var gone *pendingKeyError
	switch {
	case err == nil && pending != nil:
		l.warn("the pending key is not this client's and stays pending; the key in use was kept")
		l.say("hint", fmt.Sprintf("sfcred keygen --profile %s --show", l.name))
		return nil
	case err == nil || pending == nil:
		return err
	case errors.As(pending, &refused) && errors.As(err, &refused): // in the same words
		return fmt.Errorf("neither the pending key nor the one in use worked: %w", err)
	}
	if errors.As(pending, &gone) {
		pending = gone.error
	}
	return fmt.Errorf("the pending key: %v; the key in use: %w", pending, err)
}

// mayGoOn says whether the key in use is to be tried after the pending one has
// failed: where that is another client's, or gone. Anything else may pass, and
// a scope that is refused is so for the right key.
func (l *loginRun) mayGoOn(err error) bool {
	var refused *helper.RefusedError
	others := errors.As(err, &refused) && refused.AboutClient()
	gone := errors.Is(err, keychain.ErrNotFound) || errors.Is(err, keychain.ErrDamaged)
	return (others || gone) && l.old.HasKey() && l.onlyID()
}

// promote has the profile use its pending key, if that works with the client
// ID; the old key is dropped then, and only then.
func (l *loginRun) promote() (err error) {
	pending, before := l.old.Pending, l.profile
	p := &l.profile
	*p = p.Promoted()
	if l.c.IsSet("alg") {
		p.Alg = before.Alg
	}
	defer func() {
		if err != nil && !errors.As(err, new(*helper.OrphanError)) {
			l.profile = before
		}
	}()
	open, err := l.opener("the pending key's file", func(err error) error { return &pendingKeyError{l.name, l.old.Store, err} })
	if err != nil {
		return err
	}
	found, err := l.check(open)
	if err != nil {
		return err
	}
	ctx, cancel := l.deadline(l.ctx)
	defer cancel()
	err = l.file.Install(ctx, l.stores, l.name, nil, func(now *helper.Profile) (*helper.Profile, error) {
		if now == nil || now.Pending == nil || *now.Pending != *pending || now.Ref() != l.old.Ref() {
			return nil, l.changedMeanwhile()
		}
		return p, l.unchanged(now)
	})
	return l.installed(err, found)
}

// keepKey gives the profile another client ID, if the key that it has works
// with it.
func (l *loginRun) keepKey() error {
	open, err := l.opener("the key file", func(err error) error { return &profileError{l.name, err} })
	if err != nil {
		return err
	}
	found, err := l.check(open)
	if err != nil {
		return err
	}
	ctx, cancel := l.deadline(l.ctx)
	defer cancel()
	err = l.file.Update(ctx, func(config *helper.Config) error {
		now := config.Profiles[l.name]
		if now == nil || now.Ref() != l.old.Ref() {
			return l.changedMeanwhile()
		}
		l.profile.Pending = now.Pending
		config.Profiles[l.name] = &l.profile
		return l.unchanged(now)
	})
	return l.installed(err, found)
}

// opener opens the key that the profile is to use; file is what a key file is
// called, and about says of an error which key it is about. A person is asked
// for its passphrase now, while no deadline runs.
func (l *loginRun) opener(file string, about func(error) error) (opener, error) {
	l.stores.Passphrase = l.passphraseFromPerson() // another key, another passphrase
	if err := l.askAhead(l.ctx, l.stores, &l.profile, file); err != nil {
		return nil, about(err)
	}
	return func(ctx context.Context) (crypto.MessageSigner, error) {
		signer, err := openKey(ctx, l.stores, &l.profile)
		if err != nil {
			return nil, about(err)
		}
		return signer, l.checkAlg(jose.Algorithms(signer.Public()))
	}, nil
}
