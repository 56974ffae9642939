package keychain

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/zalando/go-keyring"
)

// open stands in for a look at a keychain that is there and open.
func open(context.Context, string) error { return nil }

func TestKeychain(t *testing.T) {
	keyring.MockInit()
	s := &Stores{look: open}
	if err := s.Check(t.Context(), StoreKeychain); err != nil {
		t.Errorf("Check: got %v, want nil", err)
	}
	roundTrip(t, s, StoreKeychain, newKey(t))
	// The largest key that people have fits the smallest keychain.
	roundTrip(t, s, StoreKeychain, rsaKey(t, 4096))
}

func TestKeychainEntryIsDamaged(t *testing.T) {
	keyring.MockInit()
	s, ref := &Stores{look: open}, Ref{Store: StoreKeychain, ID: NewID()}
	if err := keyring.Set(service, ref.ID, "canary"); err != nil {
		t.Fatal(err)
	}
	_, err := s.Key(t.Context(), ref)
	wantError(t, err, ErrDamaged, ref.ID)
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("got %q, want it without the entry", err)
	}
}

func TestKeychainTooLarge(t *testing.T) {
	keyring.MockInit() // takes any size, as the keychains of Linux do
	s, id := &Stores{look: open}, NewID()
	if err := s.putKeychain(t.Context(), id, strings.Repeat("x", maxEntry+1)); err == nil {
		t.Error("got nil, want an error")
	}
	if _, err := keyring.Get(service, id); !errors.Is(err, keyring.ErrNotFound) {
		t.Errorf("got %v, want nothing stored", err)
	}
	if err := s.putKeychain(t.Context(), id, strings.Repeat("x", maxEntry)); err != nil {
		t.Errorf("at the limit: got %v, want nil", err)
	}
}

// A locked keychain is not asked for a key, only told to take or delete one,
// since that prompts.
func TestKeychainLocked(t *testing.T) {
	keyring.MockInit()
	key, ref := newKey(t), Ref{Store: StoreKeychain, ID: NewID()}
	if err := keyring.Set(service, ref.ID, key.Text()); err != nil {
		t.Fatal(err)
	}
	s := &Stores{look: func(context.Context, string) error {
		return keychainError(ErrLocked, "the keychain is locked")
	}}
	_, err := s.Signer(t.Context(), ref)
	wantError(t, err, ErrLocked, "the keychain is locked")
	wantError(t, s.Check(t.Context(), StoreKeychain), ErrLocked, "the keychain is locked")
	if err := s.Put(t.Context(), Ref{Store: StoreKeychain, ID: NewID()}, key); err != nil {
		t.Errorf("Put: got %v, want nil", err)
	}
	if err := s.Delete(t.Context(), ref); err != nil {
		t.Errorf("Delete: got %v, want nil", err)
	}
}

func TestKeychainErrors(t *testing.T) {
	tests := []struct {
		err  error
		kind error
	}{
		{keyring.ErrNotFound, ErrNotFound},
		{keyring.ErrUnsupportedPlatform, ErrUnavailable},
		{errPanic, ErrUnavailable},
		// Whatever the text of an error of the service holds, it stops here.
		{errors.New("canary"), ErrUnavailable},
	}
	for _, tt := range tests {
		keyring.MockInitWithError(tt.err)
		_, err := (&Stores{look: open}).Signer(t.Context(), Ref{Store: StoreKeychain, ID: NewID()})
		wantError(t, err, tt.kind, "")
		if strings.Contains(err.Error(), "canary") {
			t.Errorf("got %q, want it without the service's text", err)
		}
	}
}

// hang never returns before the test ends.
func hang(t *testing.T) func() (string, error) {
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	return func() (string, error) { <-stop; return "", nil }
}

func TestAskEndsWithContext(t *testing.T) {
	_, err := ask(soon(t), false, hang(t))
	wantError(t, err, ErrTimeout, silence)
	_, err = ask(soon(t), true, hang(t))
	wantError(t, err, ErrTimeout, "nobody answered the keychain's prompt")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	called := false
	_, err = ask(ctx, false, func() (string, error) { called = true; return "", nil })
	if !errors.Is(err, context.Canceled) || called {
		t.Errorf("cancelled: got %v, called %v, want %v and no call", err, called, context.Canceled)
	}
}

// go-keyring does not check the types it is sent.
func TestAskSurvivesPanic(t *testing.T) {
	_, err := ask(t.Context(), false, func() (string, error) { panic("canary") })
	wantError(t, err, ErrUnavailable, "the keychain service broke off")
}
