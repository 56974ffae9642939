package helper

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"sfcred/keychain"
	"sfcred/keychain/jose"
)

// keyStores is what changing keys needs of the stores.
type keyStores interface {
	Put(ctx context.Context, ref keychain.Ref, key *jose.Key) error
	Delete(ctx context.Context, ref keychain.Ref) error
}

// Install writes a profile, and drops the keys that it had and no longer has.
// keys are put into its entries that are new, of which there must be as many, in
// the order of the key in use and the pending one. The order is what keeps a key
// from being lost by whatever ends the process in between, and two from being
// changed by half: note the new entries, write them, read them back (Put does),
// switch the config, delete the old entries, strike the notes. change gets the
// profile as it stands under the lock (nil if there is none) and returns the one
// to write.
func (f ConfigFile) Install(ctx context.Context, stores keyStores, name string, keys []*jose.Key, change func(old *Profile) (*Profile, error)) error {
	return f.edit(ctx, func(c *Config, save func() error) error {
		old := c.Profiles[name]
		var given *Profile
		if old != nil { // a copy: change may make the new profile out of it
			given = new(*old)
		}
		p, err := change(given)
		if err != nil {
			return err
		}
		refs, err := putNew(ctx, stores, c, save, p, keys)
		if err != nil {
			return err
		}
		if c.Default == "" && p.HasKey() {
			c.Default = name
		}
		c.Profiles[name] = p
		for _, ref := range refs {
			c.strike(ref)
		}
		dropped := c.drop(old)
		if err := save(); err != nil {
			return f.undo(ctx, stores, refs, err)
		}
		return sweep(ctx, stores, c, save, dropped)
	})
}

// putNew puts the keys into the profile's new entries, and leaves notes of them
// in the config.
func putNew(ctx context.Context, stores keyStores, c *Config, save func() error, p *Profile, keys []*jose.Key) ([]keychain.Ref, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	fresh := slices.DeleteFunc(p.entries(), c.uses)
	if len(fresh) != len(keys) { // what fails below is cleaned up, which must not hit the only copy
		return nil, fmt.Errorf("store key: %d entries are new, not %d; those in use stay as they are", len(fresh), len(keys))
	}
	for _, ref := range fresh {
		c.note(ref)
	}
	if err := save(); err != nil {
		return nil, err
	}
	for i, ref := range fresh {
		if err := stores.Put(ctx, ref, keys[i]); err != nil {
			return nil, errors.Join(err, takeBack(ctx, stores, c, save, fresh))
		}
	}
	return fresh, nil
}

// takeBack deletes new entries that are not to be, and their notes. Where one
// cannot be deleted its note stays: something may be there.
func takeBack(ctx context.Context, stores keyStores, c *Config, save func() error, fresh []keychain.Ref) error {
	notes := len(c.Unfinished)
	for _, ref := range fresh {
		if remove(ctx, stores, ref) == nil {
			c.strike(ref)
		}
	}
	if len(c.Unfinished) == notes {
		return nil
	}
	return save()
}

// remove deletes an entry; one that is not there is as good.
func remove(ctx context.Context, stores keyStores, ref keychain.Ref) error {
	err := stores.Delete(ctx, ref)
	if errors.Is(err, keychain.ErrNotFound) {
		return nil
	}
	return err
}

// undo takes back new entries that the config could not be switched to. An
// error need not mean that the old file stands (a rename over NFS may have been
// done all the same), so the file itself is asked.
func (f ConfigFile) undo(ctx context.Context, stores keyStores, refs []keychain.Ref, cause error) error {
	if len(refs) == 0 {
		return cause
	}
	now, loadErr := f.Load()
	for _, ref := range refs {
		err := loadErr
		if err == nil && !now.uses(ref) {
			err = remove(ctx, stores, ref)
		}
		if err != nil {
			cause = errors.Join(cause, &OrphanError{Ref: ref, Err: err})
		}
	}
	return cause
}

// drop notes the entries that a profile had and nothing uses any more.
func (c *Config) drop(old *Profile) []keychain.Ref {
	if old == nil {
		return nil
	}
	dropped := slices.DeleteFunc(old.entries(), c.uses)
	for _, ref := range dropped {
		c.note(ref)
	}
	return dropped
}

// sweep deletes entries that were dropped, and their notes.
func sweep(ctx context.Context, stores keyStores, c *Config, save func() error, dropped []keychain.Ref) error {
	var failed error
	notes := len(c.Unfinished)
	for _, ref := range dropped {
		if err := remove(ctx, stores, ref); err != nil {
			failed = errors.Join(failed, &OrphanError{Ref: ref, Err: err})
			continue
		}
		c.strike(ref)
	}
	if len(c.Unfinished) == notes {
		return failed
	}
	return errors.Join(failed, save())
}

// OrphanError says that all was done but one thing: a key that is not
// used is still in its store. The config keeps a note of it.
type OrphanError struct {
	Ref keychain.Ref
	Err error
}

func (e *OrphanError) Error() string {
	return fmt.Sprintf("key %s, which no profile uses, is still in the %s store: %v", e.Ref.ID, e.Ref.Store, e.Err)
}

func (e *OrphanError) Unwrap() error { return e.Err }

// Remove forgets a profile, then its keys.
func (f ConfigFile) Remove(ctx context.Context, stores keyStores, name string) error {
	return f.edit(ctx, func(c *Config, save func() error) error {
		old := c.Profiles[name]
		if old == nil {
			return fmt.Errorf("%w: %q", ErrNoProfile, name)
		}
		delete(c.Profiles, name)
		if c.Default == name {
			c.Default = ""
		}
		dropped := c.drop(old)
		if err := save(); err != nil {
			return err
		}
		return sweep(ctx, stores, c, save, dropped)
	})
}

// RemoveOrphans deletes the keys that the config calls orphans, strikes the
// notes, and returns those that are gone.
func (f ConfigFile) RemoveOrphans(ctx context.Context, stores keyStores) ([]keychain.Ref, error) {
	var gone []keychain.Ref
	err := f.edit(ctx, func(c *Config, save func() error) error {
		if len(c.Unfinished) == 0 {
			return nil
		}
		var failed error
		for _, ref := range c.Orphans() {
			if err := remove(ctx, stores, ref); err != nil {
				failed = errors.Join(failed, &OrphanError{Ref: ref, Err: err})
				continue
			}
			c.strike(ref)
			gone = append(gone, ref)
		}
		c.Unfinished = stillOrphans(c)
		return errors.Join(failed, save())
	})
	return gone, err
}

// stillOrphans drops the notes of keys that a profile does use.
func stillOrphans(c *Config) []string {
	var notes []string
	for _, ref := range c.Orphans() {
		notes = append(notes, ref.Store+":"+ref.ID)
	}
	return notes
}
