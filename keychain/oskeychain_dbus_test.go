//go:build !darwin && !windows

package keychain

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/zalando/go-keyring"
)

const (
	defaultPath = dbus.ObjectPath("/org/freedesktop/secrets/collection/Default_5fkeyring")
	itemPath    = loginPath + "/1"
	promptPath  = dbus.ObjectPath("/org/freedesktop/secrets/prompt/1")
)

// healthy is a service with an open login collection that has the entry asked
// for, open too.
func healthy() fakeBus {
	return fakeBus{
		"Hello":                             values(":1.2"),
		"NameHasOwner":                      values(true),
		"Get Collections":                   variant([]dbus.ObjectPath{defaultPath, loginPath}),
		"ReadAlias":                         values(defaultPath),
		"Get Locked " + string(loginPath):   variant(false),
		"Get Locked " + string(defaultPath): variant(false),
		"Get Locked " + string(itemPath):    variant(false),
		"SearchItems":                       values([]dbus.ObjectPath{itemPath}),
	}
}

func TestLookAtService(t *testing.T) {
	login, item := "Get Locked "+string(loginPath), "Get Locked "+string(itemPath)
	noLogin := healthy().with("Get Collections", variant([]dbus.ObjectPath{defaultPath}))
	tests := []struct {
		name string
		bus  fakeBus
		kind error // nil if nothing is wrong
		text string
	}{
		{"healthy", healthy(), nil, ""},
		{"default collection", noLogin, nil, ""},
		{"locked", healthy().with(login, variant(true)), ErrLocked, "the keychain is locked"},
		{"default collection locked", noLogin.with("Get Locked "+string(defaultPath), variant(true)), ErrLocked, "the keychain is locked"},
		// KeePassXC asks for each entry.
		{"entry locked", healthy().with(item, variant(true)), ErrLocked, "the key's entry in the keychain is locked"},
		{"no such entry", healthy().with("SearchItems", values([]dbus.ObjectPath{})), ErrNotFound, "the keychain has no such key"},
		// gnome-keyring, started by the bus in a session without a desktop.
		{"no collection", noLogin.with("ReadAlias", values(dbus.ObjectPath("/"))), ErrUnavailable, "no default collection"},
		{"no service", healthy().with("Get Collections", failing("org.freedesktop.DBus.Error.ServiceUnknown")), ErrUnavailable, "there is no keychain service on the session bus"},
		{"service that crashes at its start", healthy().with("Get Collections", failing("org.freedesktop.DBus.Error.Spawn.ChildExited")), ErrUnavailable, "cannot be started"},
		{"bus gave up on the service", healthy().with("Get Collections", failing("org.freedesktop.DBus.Error.NoReply")), ErrTimeout, silence},
		{"error of the service", healthy().with("Get Collections", failing("org.example.Odd")), ErrUnavailable, `"org.example.Odd"`},
		// go-keyring would panic.
		{"wrong type", healthy().with("Get Collections", variant("none")), ErrUnavailable, "broke off"},
		{"wrong type of Locked", healthy().with(login, variant("no")), ErrUnavailable, "broke off"},
		{"hang-up", healthy().with(login, reply{silent: true, hangUp: true}), ErrUnavailable, "is dead"},
		{"hang-up at Hello", healthy().with("Hello", reply{silent: true, hangUp: true}), ErrUnavailable, "is dead"},
		{"bus silent at Hello", healthy().without("Hello"), ErrTimeout, "did not answer"},
		{"service silent", healthy().without("Get Collections"), ErrTimeout, silence},
		{"stalled within a header", healthy().with("Get Collections", reply{body: []any{dbus.MakeVariant("")}, first: 20}), ErrTimeout, silence},
		{"stalled within a body", healthy().with("Get Collections", reply{body: []any{dbus.MakeVariant([]dbus.ObjectPath{loginPath})}, first: 90}), ErrTimeout, silence},
		{"service silent late", healthy().without(item), ErrTimeout, silence},
		{"service never starts", healthy().with("NameHasOwner", values(false)).without("Get Collections"), ErrTimeout, "the keychain service did not start"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx := t.Context()
			if tt.kind == ErrTimeout {
				ctx = soon(t)
			}
			t.Setenv(busAddressSetting, "") // to be put back
			err := (&Stores{Bus: tt.bus.start(t)}).lookAtService(ctx, NewID())
			if tt.kind == nil {
				if err != nil {
					t.Errorf("got %v, want nil", err)
				}
				return
			}
			wantError(t, err, tt.kind, tt.text)
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("got %q, want it without the service's text", err)
			}
		})
	}
}

func TestLookIsCancelled(t *testing.T) {
	t.Setenv(busAddressSetting, "")
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	s := &Stores{Bus: healthy().without("Get Collections").start(t)}
	if err := s.lookAtService(ctx, NewID()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func TestSessionBus(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "bus")
	text := filepath.Join(dir, "dbus-session")
	s := &Stores{runtimeDir: dir}
	check := func(bus, want string) {
		t.Helper()
		s.Bus = bus
		got, err := s.sessionBus()
		if got != want || (err == nil) != (want != "") {
			t.Errorf("with %q: got %q, %v, want %q", bus, got, err, want)
		}
	}
	check("", "")
	check("autolaunch:", "")
	check("unix:path=/x", "unix:path=/x")
	// godbus would take this one for the word of dbus-launch.
	for content, want := range map[string]string{
		"DBUS_SESSION_BUS_ADDRESS=unix:abstract=/tmp/dbus-1\n": "unix:abstract=/tmp/dbus-1",
		"DBUS_SESSION_BUS_ADDRESS=\n":                          "",
		"DBUS_SESSION_BUS_ADDRESS=autolaunch:\n":               "",
		"something else":                                       "",
	} {
		if err := os.WriteFile(text, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		check("", want)
	}
	if err := os.WriteFile(socket, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	check("", "unix:path="+dbus.EscapeBusAddressValue(socket))
	check("autolaunch:", "unix:path="+dbus.EscapeBusAddressValue(socket))
	check("unix:path=/x", "unix:path=/x")
}

// godbus runs dbus-launch where it finds no bus, and each run leaves a daemon
// behind. A planted one shows that it is not run, whatever is wrong.
func TestDBusLaunchIsNeverRun(t *testing.T) {
	// A process of its own, in which nobody replaced go-keyring by a mock.
	if os.Getenv(roleEnv) == "" {
		run(t, child(t, "launch"))
		return
	}
	dir := t.TempDir()
	marker := filepath.Join(dir, "launched")
	script := "#!/bin/sh\n: >" + marker + "\nexit 1\n"
	if err := os.WriteFile(filepath.Join(dir, "dbus-launch"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	empty, dead := t.TempDir(), t.TempDir()
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dead, "bus"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	listener.Close()

	tests := []struct {
		name   string
		stores Stores
		text   string
	}{
		{"no bus", Stores{runtimeDir: empty}, "there is no D-Bus session bus"},
		{"autolaunch", Stores{Bus: "autolaunch:", runtimeDir: empty}, "there is no D-Bus session bus"},
		{"autolaunch with a scope", Stores{Bus: "autolaunch:scope=*user", runtimeDir: empty}, "cannot be used"},
		{"dead socket", Stores{Bus: "unix:path=" + filepath.Join(dead, "bus")}, "is dead"},
		{"socket gone", Stores{Bus: "unix:path=" + filepath.Join(dead, "gone")}, "is dead"},
		{"dead socket found", Stores{runtimeDir: dead}, "is dead"},
		{"not an address", Stores{Bus: "rubbish"}, "cannot be used"},
	}
	for _, tt := range tests {
		t.Setenv(busAddressSetting, "")
		s, ref := &tt.stores, Ref{Store: StoreKeychain, ID: NewID()}
		_, signerErr := s.Signer(t.Context(), ref)
		for _, err := range []error{signerErr, s.Check(t.Context(), StoreKeychain), s.Put(t.Context(), ref, newKey(t)), s.Delete(t.Context(), ref)} {
			wantError(t, err, ErrUnavailable, tt.text)
		}
	}
	if _, err := os.Stat(marker); err == nil {
		t.Fatal("dbus-launch was run")
	}
	// The socket may go between our look and go-keyring's.
	t.Setenv(busAddressSetting, "")
	_ = (&Stores{runtimeDir: dead}).lookAtService(t.Context(), "")
	if _, err := keyring.Get(service, NewID()); err == nil {
		t.Error("got an entry from a dead bus")
	} else {
		wantError(t, explain(err), ErrUnavailable, "dead")
	}
	if _, err := os.Stat(marker); err == nil {
		t.Fatal("dbus-launch was run after the socket had gone")
	}
}

func TestSocketThatNeverAnswers(t *testing.T) {
	t.Setenv(busAddressSetting, "")
	socket := filepath.Join(t.TempDir(), "bus")
	listener, err := net.Listen("unix", socket) // and nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	s, ref := &Stores{Bus: "unix:path=" + socket}, Ref{Store: StoreKeychain, ID: NewID()}
	text := "the session bus at unix:path=" + socket + " did not answer"
	_, err = s.Signer(soon(t), ref)
	wantError(t, err, ErrTimeout, text)
	wantError(t, s.Check(soon(t), StoreKeychain), ErrTimeout, text)
	wantError(t, s.Put(soon(t), ref, newKey(t)), ErrTimeout, text)
	wantError(t, s.Delete(soon(t), ref), ErrTimeout, text)
}

// What go-keyring itself runs into after the look. Each needs a process in
// which it has not connected yet and is not replaced by a mock.
func TestPromptOfKeychain(t *testing.T) {
	locked := healthy().with("Get Locked "+string(loginPath), variant(true))
	none := []dbus.ObjectPath{}
	prompting := locked.with("AddMatch", values()).with("RemoveMatch", values()).with("Unlock", values(none, promptPath))
	tests := map[string]struct {
		bus  fakeBus
		kind error
		text string
	}{
		// The prompt is on a screen nobody looks at.
		"unanswered": {prompting.with("Prompt", values()), ErrTimeout, "nobody answered the keychain's prompt"},
		"dismissed":  {locked.with("Unlock", values(none, dbus.ObjectPath("/"))), ErrLocked, "dismissed"},
		"refused":    {locked.with("Unlock", failing("org.freedesktop.Secret.Error.IsLocked")), ErrLocked, "the keychain is locked"},
		// The user logs out while the prompt is shown; go-keyring panics.
		"logout": {prompting.with("Prompt", reply{hangUp: true}), ErrUnavailable, "broke off"},
	}
	role := os.Getenv(roleEnv)
	if role == "" {
		for name := range tests {
			run(t, child(t, name))
		}
		return
	}
	tt := tests[role]
	t.Setenv(busAddressSetting, "")
	s, ref := &Stores{Bus: tt.bus.start(t)}, Ref{Store: StoreKeychain, ID: NewID()}
	// On the get path it is locked, at once: nothing is waited for.
	_, err := s.Signer(t.Context(), ref)
	wantError(t, err, ErrLocked, "the keychain is locked")
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	wantError(t, s.Delete(ctx, ref), tt.kind, tt.text)
}
