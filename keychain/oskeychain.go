package keychain

import (
	"context"
	"errors"
	"fmt"

	"github.com/zalando/go-keyring"
)

// service is the name under which entries are filed; the user name of an entry
// is the key's id.
const service = "sfcred"

// maxEntry is the most bytes an entry has on any platform, so that none is a
// surprise: Windows takes 2560 (CRED_MAX_CREDENTIAL_BLOB_SIZE). macOS takes
// some 3000, where a command line of exactly 4096 would be cut and reported as
// done, https://github.com/zalando/go-keyring/issues/153.
const maxEntry = 2560

// errPanic stands for a panic in go-keyring, which trusts the service to send
// the types it should, and a prompt's signal to come before the bus goes.
var errPanic = errors.New("go-keyring panicked")

// keychainError makes an [Error] of StoreKeychain.
func keychainError(kind error, format string, args ...any) error {
	return &Error{StoreKeychain, fmt.Sprintf(format, args...), kind}
}

// checkKeychain reads an entry that cannot be there.
func (s *Stores) checkKeychain(ctx context.Context) error {
	if _, err := s.readKeychain(ctx, NewID()); !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}

func (s *Stores) readKeychain(ctx context.Context, id string) (string, error) {
	if !validID(id) {
		return "", badID(id)
	}
	if err := s.lookAtKeychain(ctx, id); err != nil {
		return "", err
	}
	return getEntry(ctx, false, id)
}

func (s *Stores) putKeychain(ctx context.Context, id, text string) error {
	if !validID(id) {
		return badID(id)
	}
	if len(text) > maxEntry {
		return fmt.Errorf("the key needs %d bytes in the keychain, which takes %d", len(text), maxEntry)
	}
	prompting, err := s.mayPrompt(ctx)
	if err != nil {
		return err
	}
	// Set replaces what is there.
	if _, err := getEntry(ctx, prompting, id); err == nil {
		return fmt.Errorf("the keychain has a key %s already", id)
	} else if !errors.Is(err, ErrNotFound) {
		return err
	}
	_, err = ask(ctx, prompting, func() (string, error) { return "", keyring.Set(service, id, text) })
	if err != nil {
		return err
	}
	back, err := getEntry(ctx, prompting, id)
	if err != nil {
		return err
	}
	if back != text {
		return keychainError(ErrDamaged, "the keychain gave back something else than was put into it")
	}
	return nil
}

// Unlock lets the operating system ask its owner to unlock its keychain, and
// waits for that as long as ctx lasts. It is for a keychain that has just been
// found locked: one that is not there is not noticed in time.
func (s *Stores) Unlock(ctx context.Context, ref Ref) error {
	if ref.Store != StoreKeychain || !validID(ref.ID) {
		return badID(ref.ID)
	}
	_, err := getEntry(ctx, true, ref.ID)
	return err
}

func (s *Stores) deleteKeychain(ctx context.Context, id string) error {
	if !validID(id) {
		return badID(id)
	}
	prompting, err := s.mayPrompt(ctx)
	if err != nil {
		return err
	}
	_, err = ask(ctx, prompting, func() (string, error) { return "", keyring.Delete(service, id) })
	return err
}

// lookAtKeychain says what go-keyring would run into, without a prompt; see
// lookAtService. An empty id is about no entry.
func (s *Stores) lookAtKeychain(ctx context.Context, id string) error {
	if s.look != nil {
		return s.look(ctx, id)
	}
	return s.lookAtService(ctx, id)
}

// mayPrompt reports whether the keychain is there but locked, so that the next
// call makes it prompt.
func (s *Stores) mayPrompt(ctx context.Context) (bool, error) {
	err := s.lookAtKeychain(ctx, "")
	if errors.Is(err, ErrLocked) {
		return true, nil
	}
	return false, err
}

func getEntry(ctx context.Context, prompting bool, id string) (string, error) {
	return ask(ctx, prompting, func() (string, error) { return keyring.Get(service, id) })
}

// ask calls go-keyring, which knows no context, within ctx. prompting says
// that a prompt is to be expected, and so what was waited for in vain.
func ask(ctx context.Context, prompting bool, call func() (string, error)) (string, error) {
	late := keychainError(ErrTimeout, silence)
	if prompting {
		late = keychainError(ErrTimeout, "nobody answered the keychain's prompt")
	}
	return bounded(ctx, late, func() (value string, err error) {
		defer func() {
			if recover() != nil {
				err = errPanic
			}
			err = explain(err)
		}()
		return call()
	})
}

// explain turns an error of go-keyring into ours. Its text may come from the
// service, so it goes no further.
func explain(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, keyring.ErrNotFound):
		return keychainError(ErrNotFound, "the keychain has no such key")
	case errors.Is(err, keyring.ErrUnsupportedPlatform):
		return keychainError(ErrUnavailable, "there is no keychain on this platform")
	case errors.Is(err, keyring.ErrSetDataTooBig):
		return errors.New("the key is too large for the keychain")
	case errors.Is(err, errPanic):
		return keychainError(ErrUnavailable, "the keychain service broke off")
	}
	return explainPlatform(err)
}
