// Package keychain keeps private keys in key stores and hands out signers: in
// the keychain of the operating system, in a file encrypted with a passphrase,
// in a key file that stays where the user has it, in an ssh-agent, or with a
// program that prints the key.
//
// It trusts the operating system's keychain service and root, and any process
// of the same user: none of the keychains protects from those. It trusts
// neither a session bus to answer, nor a key file to be private, nor an
// ssh-agent to do what it says: every call ends with its context, a key that
// others can read is refused, and what an agent signs is verified.
//
// It leaves out who is asked for a passphrase and how, which key belongs to
// which profile, and what to do about an error; it never falls back from one
// store to another.
package keychain

import (
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"

	"sfcred/keychain/jose"
)

// The stores a key can be in; the values stand in the config.
const (
	StoreKeychain = "keychain" // the keychain of the operating system
	StoreFile     = "file"     // a file encrypted with a passphrase
	StorePEM      = "pem"      // a key file left where it is
	StoreAgent    = "ssh-agent"
	StoreCommand  = "command" // a program that prints the key
)

// Kinds of [Error], for errors.Is.
var (
	// ErrNotFound says that the store has no such key.
	ErrNotFound = errors.New("no such key in the key store")
	// ErrLocked says that the store wants a person: to unlock it, or for a
	// passphrase that cannot be had.
	ErrLocked = errors.New("the key store is locked")
	// ErrUnavailable says that there is no such store here, or none to use.
	ErrUnavailable = errors.New("the key store is out of reach")
	// ErrTimeout says that the context's deadline passed while the store, or a
	// person at its prompt, was waited for.
	ErrTimeout = errors.New("the key store did not answer in time")
	// ErrPassphrase says that the passphrase does not open the key.
	ErrPassphrase = errors.New("wrong passphrase")
	// ErrDamaged says that what the store holds is not a key.
	ErrDamaged = errors.New("the stored key is damaged")
)

// Error says why a key store did not give, take or delete a key. Err is one of
// the kinds above or a [*disk.UnsafeError].
type Error struct {
	Store  string // one of the stores above
	Reason string // for people, complete in itself
	Err    error
}

func (e *Error) Error() string { return e.Reason }

// Unwrap returns the kind.
func (e *Error) Unwrap() error { return e.Err }

// Ref says where one key is.
type Ref struct {
	Store string
	ID    string // for StoreKeychain and StoreFile, from NewID
	Path  string // for StorePEM, of the key file

	Fingerprint string // for StoreAgent, of the public key, as jose.Fingerprint gives it
	Command     string // for StoreCommand, with its arguments
	Shell       bool   // for StoreCommand: a shell runs it
}

// NewID returns a name for a new key: 26 random letters and digits.
func NewID() string { return strings.ToLower(rand.Text()) }

// validID reports whether id can be a name from NewID. Others are refused,
// for the name becomes a file name and an argument of a program.
func validID(id string) bool {
	for _, c := range []byte(id) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return len(id) >= 16 && len(id) <= 64
}

// Stores gives access to all key stores. In the zero value StoreKeychain and
// plain keys in StorePEM can be used.
type Stores struct {
	// Dir is the directory of StoreFile. It is made when it is needed.
	Dir string

	// Bus is the value of DBUS_SESSION_BUS_ADDRESS, "" if it is unset. It
	// counts on Linux and BSD only.
	Bus string

	// Passphrase asks for the passphrase of what, such as `key file "x"`;
	// confirm says that it is a new one. nil means that there is nobody to
	// ask. It is called at most once by each method, and its errors are
	// wrapped.
	Passphrase func(ctx context.Context, confirm bool, what string) ([]byte, error)

	// Agent is the value of SSH_AUTH_SOCK, "" if it is unset: on Windows that
	// is its own ssh-agent, elsewhere none.
	Agent string

	// Stderr gets what the program of StoreCommand says; nil: nobody.
	Stderr io.Writer

	// Nested says that the program of a StoreCommand has called us. It is not
	// run again: that would go on for ever.
	Nested bool

	// Stubbable for testing.
	look       func(ctx context.Context, id string) error // for lookAtKeychain
	runtimeDir string                                     // for /run/user/UID
	workFactor int                                        // for scryptWorkFactor
}

// Check reports whether keys can be put into a store, as an [Error] that says
// why not. It asks nobody anything and changes nothing.
func (s *Stores) Check(ctx context.Context, store string) error {
	switch store {
	case StoreKeychain:
		return s.checkKeychain(ctx)
	case StoreFile:
		return s.checkFile()
	case StorePEM, StoreCommand:
		return nil
	case StoreAgent:
		return s.checkAgent(ctx)
	}
	return unknown(store)
}

// Signer returns a signer with the key at ref. It never makes the operating
// system prompt: a locked keychain is ErrLocked at once.
func (s *Stores) Signer(ctx context.Context, ref Ref) (crypto.MessageSigner, error) {
	switch ref.Store {
	case StoreAgent:
		return s.agentSigner(ctx, ref.Fingerprint)
	case StorePEM, StoreCommand:
		file, err := s.File(ctx, ref)
		if err != nil {
			return nil, err
		}
		return file.Signer(), nil
	}
	key, err := s.Key(ctx, ref)
	if err != nil {
		return nil, err
	}
	return key.Signer(), nil
}

// Key returns the key at ref, to be put into another store. Like
// [Stores.Signer] it never makes the operating system prompt.
func (s *Stores) Key(ctx context.Context, ref Ref) (*jose.Key, error) {
	var text string
	var err error
	switch ref.Store {
	case StoreKeychain:
		text, err = s.readKeychain(ctx, ref.ID)
	case StoreFile:
		text, err = s.readFile(ctx, ref.ID)
	case StorePEM, StoreCommand:
		file, err := s.File(ctx, ref)
		if err != nil {
			return nil, err
		}
		return file.Key, nil
	case StoreAgent:
		return nil, errors.New("an ssh-agent signs with its keys, and gives none away")
	default:
		return nil, unknown(ref.Store)
	}
	if err != nil {
		return nil, err
	}
	key, err := jose.ParseText(text)
	if err != nil {
		return nil, &Error{ref.Store, fmt.Sprintf("key %s in store %q is damaged", ref.ID, ref.Store), ErrDamaged}
	}
	return key, nil
}

// File returns the key file at ref, of StorePEM or as the program of
// StoreCommand prints it, with what it says of its key.
func (s *Stores) File(ctx context.Context, ref Ref) (*jose.File, error) {
	switch ref.Store {
	case StorePEM:
		return s.readPEM(ctx, ref.Path)
	case StoreCommand:
		return s.runCommand(ctx, ref.Command, ref.Shell)
	}
	return nil, unknown(ref.Store)
}

// Put stores key at ref, in StoreKeychain or StoreFile, reads it back and
// compares. It never overwrites. The operating system may prompt to unlock its
// keychain, for a person is there. After an error, and after ctx has ended,
// the entry may be there: the caller deletes it.
func (s *Stores) Put(ctx context.Context, ref Ref, key *jose.Key) error {
	switch ref.Store {
	case StoreKeychain:
		return s.putKeychain(ctx, ref.ID, key.Text())
	case StoreFile:
		return s.putFile(ctx, ref.ID, key.Text())
	case StorePEM, StoreAgent, StoreCommand:
		return fmt.Errorf("keys are not written to store %q", ref.Store)
	}
	return unknown(ref.Store)
}

// Delete deletes the key at ref from StoreKeychain or StoreFile; ErrNotFound
// if it is not there. The operating system may prompt, as in [Stores.Put].
func (s *Stores) Delete(ctx context.Context, ref Ref) error {
	switch ref.Store {
	case StoreKeychain:
		return s.deleteKeychain(ctx, ref.ID)
	case StoreFile:
		return s.deleteFile(ref.ID)
	case StorePEM, StoreAgent, StoreCommand:
		return fmt.Errorf("keys in store %q are not deleted, they are the user's", ref.Store)
	}
	return unknown(ref.Store)
}

// CheckStore refuses the name of a store that there is not.
func CheckStore(store string) error {
	switch store {
	case StoreKeychain, StoreFile, StorePEM, StoreAgent, StoreCommand:
		return nil
	}
	return unknown(store)
}

func unknown(store string) error { return fmt.Errorf("unknown key store %q", store) }

func badID(id string) error { return fmt.Errorf("%q is no key id", id) }

// bounded runs f, which knows no context, until ctx ends; then f is abandoned
// and the error is late for a deadline, else ctx's own.
func bounded[T any](ctx context.Context, late error, f func() (T, error)) (T, error) {
	var none T
	if ctx.Err() != nil {
		return none, ended(ctx, late)
	}
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := f()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		return none, ended(ctx, late)
	}
}

// ended returns the error for a context that has ended.
func ended(ctx context.Context, late error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return late
	}
	return fmt.Errorf("wait for the key store: %w", ctx.Err())
}
