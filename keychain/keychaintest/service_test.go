//go:build linux

package keychaintest_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"sfcred/keychain/keychaintest"
)

const (
	root       = dbus.ObjectPath("/org/freedesktop/secrets")
	login      = root + "/collection/login"
	alias      = root + "/aliases/default"
	service    = "org.freedesktop.Secret.Service."
	collection = "org.freedesktop.Secret.Collection."
	item       = "org.freedesktop.Secret.Item."
	get        = "org.freedesktop.DBus.Properties.Get"
)

type secret struct {
	Session           dbus.ObjectPath
	Parameters, Value []byte
	ContentType       string
}

func start(t *testing.T) *keychaintest.Service {
	t.Helper()
	s, err := keychaintest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func wantEntries(t *testing.T, s *keychaintest.Service, entries map[string]string) {
	t.Helper()
	if got := s.Entries(); !maps.Equal(got, entries) {
		t.Errorf("got entries %q, want %q", got, entries)
	}
}

func connect(t *testing.T, s *keychaintest.Service) *dbus.Conn {
	t.Helper()
	conn, err := dbus.Connect(s.Address(), dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// call calls the secret service; its results go to results.
func call(t *testing.T, conn *dbus.Conn, path dbus.ObjectPath, method string, args []any, results ...any) {
	t.Helper()
	if err := conn.Object("org.freedesktop.secrets", path).Call(method, 0, args...).Store(results...); err != nil {
		t.Fatalf("%s of %s: %v", method, path, err)
	}
}

func openSession(t *testing.T, conn *dbus.Conn) dbus.ObjectPath {
	t.Helper()
	var output dbus.Variant
	var session dbus.ObjectPath
	call(t, conn, root, service+"OpenSession", []any{"plain", dbus.MakeVariant("")}, &output, &session)
	return session
}

// createArgs are those of CreateItem for an entry of user.
func createArgs(session dbus.ObjectPath, user, value string, replace bool) []any {
	properties := map[string]dbus.Variant{
		item + "Attributes": dbus.MakeVariant(map[string]string{"username": user, "service": "test"}),
	}
	return []any{properties, secret{session, []byte{}, []byte(value), "text/plain"}, replace}
}

func create(t *testing.T, conn *dbus.Conn, args []any) dbus.ObjectPath {
	t.Helper()
	var path, prompt dbus.ObjectPath
	call(t, conn, login, collection+"CreateItem", args, &path, &prompt)
	return path
}

func search(t *testing.T, conn *dbus.Conn, attributes map[string]string) []dbus.ObjectPath {
	t.Helper()
	var found []dbus.ObjectPath
	call(t, conn, login, collection+"SearchItems", []any{attributes}, &found)
	return found
}

func TestRefusals(t *testing.T) {
	s := start(t)
	conn, other := connect(t, s), connect(t, s)
	session, foreign := openSession(t, conn), openSession(t, other)
	entry := create(t, conn, createArgs(session, "alice", "one", true))
	closed := openSession(t, conn)
	call(t, conn, closed, "org.freedesktop.Secret.Session.Close", nil)

	const (
		locked     = "org.freedesktop.Secret.Error.IsLocked"
		noSession  = "org.freedesktop.Secret.Error.NoSession"
		noObject   = "org.freedesktop.Secret.Error.NoSuchObject"
		noMethod   = "org.freedesktop.DBus.Error.UnknownMethod"
		badArgs    = "org.freedesktop.DBus.Error.InvalidArgs"
		notOffered = "org.freedesktop.DBus.Error.NotSupported"
	)
	tests := []struct {
		name   string
		mode   keychaintest.Mode
		path   dbus.ObjectPath
		method string
		args   []any
		want   string
	}{
		{"locked secret", keychaintest.LockedDismissed, entry, item + "GetSecret", []any{session}, locked},
		{"locked entry", keychaintest.LockedGranted, entry, item + "Delete", nil, locked},
		{"locked collection", keychaintest.LockedUnanswered, login, collection + "CreateItem", createArgs(session, "bob", "two", true), locked},
		{"no session", 0, entry, item + "GetSecret", []any{root}, noSession},
		{"closed session", 0, entry, item + "GetSecret", []any{closed}, noSession},
		{"session of another client", 0, entry, item + "GetSecret", []any{foreign}, noSession},
		{"secret of no session", 0, login, collection + "CreateItem", createArgs(root, "bob", "two", true), noSession},
		{"session closed twice", 0, closed, "org.freedesktop.Secret.Session.Close", nil, noObject},
		{"encrypted session", 0, root, service + "OpenSession", []any{"dh-ietf1024-sha256-aes128-cbc-pkcs7", dbus.MakeVariant("")}, notOffered},
		{"no such entry", 0, login + "/0", item + "Delete", nil, noObject},
		{"no such prompt", 0, root + "/prompt/0", "org.freedesktop.Secret.Prompt.Prompt", []any{""}, noObject},
		{"no collection", keychaintest.NoCollection, login, get, []any{"org.freedesktop.Secret.Collection", "Locked"}, noObject},
		{"entry of no collection", keychaintest.NoCollection, entry, item + "GetSecret", []any{session}, noObject},
		{"no such method", 0, root, service + "Steal", nil, noMethod},
		{"method of another object", 0, login, item + "Delete", nil, noMethod},
		{"no such property", 0, entry, get, []any{"org.freedesktop.Secret.Collection", "Locked"}, noMethod},
		{"property without a name", 0, login, get, []any{"org.freedesktop.Secret.Collection"}, badArgs},
		{"too few arguments", 0, root, service + "OpenSession", []any{"plain"}, badArgs},
		{"one path in place of several", 0, root, service + "Unlock", []any{login}, badArgs},
		{"no attributes", 0, login, collection + "CreateItem", []any{map[string]dbus.Variant{}, secret{Session: session}, true}, badArgs},
	}
	for _, tt := range tests {
		s.SetMode(tt.mode)
		err := conn.Object("org.freedesktop.secrets", tt.path).Call(tt.method, 0, tt.args...).Err
		if got := (dbus.Error{}); !errors.As(err, &got) || got.Name != tt.want {
			t.Errorf("%s: got %v, want %s", tt.name, err, tt.want)
		}
	}
	wantEntries(t, s, map[string]string{"alice": "one"})
	err := conn.Object("org.example", "/").Call("org.example.Call", 0).Err
	if got := (dbus.Error{}); !errors.As(err, &got) || got.Name != "org.freedesktop.DBus.Error.ServiceUnknown" {
		t.Errorf("other service: got %v, want ServiceUnknown", err)
	}
}

// What a program can see without touching an entry.
func TestLook(t *testing.T) {
	tests := []struct {
		mode        keychaintest.Mode
		owned       bool
		collections int
		alias       dbus.ObjectPath
		locked      bool
	}{
		{keychaintest.Unlocked, true, 1, login, false},
		{keychaintest.LockedGranted, true, 1, login, true},
		{keychaintest.LockedDismissed, true, 1, login, true},
		{keychaintest.LockedUnanswered, true, 1, login, true},
		{keychaintest.NoCollection, true, 0, "/", false},
	}
	s := start(t)
	conn := connect(t, s)
	entry := create(t, conn, createArgs(openSession(t, conn), "alice", "one", true))
	for _, tt := range tests {
		s.SetMode(tt.mode)
		if got := owned(t, conn); got != tt.owned {
			t.Errorf("mode %d: got owner %t, want %t", tt.mode, got, tt.owned)
		}
		var value dbus.Variant
		call(t, conn, root, get, []any{"org.freedesktop.Secret.Service", "Collections"}, &value)
		if got, ok := value.Value().([]dbus.ObjectPath); !ok || len(got) != tt.collections {
			t.Errorf("mode %d: got collections %v, want %d", tt.mode, value, tt.collections)
		}
		var got dbus.ObjectPath
		call(t, conn, root, service+"ReadAlias", []any{"default"}, &got)
		if got != tt.alias {
			t.Errorf("mode %d: got default %q, want %q", tt.mode, got, tt.alias)
		}
		var open, shut []dbus.ObjectPath
		call(t, conn, root, service+"SearchItems", []any{map[string]string{"username": "alice"}}, &open, &shut)
		if tt.collections == 0 {
			if len(open)+len(shut) != 0 {
				t.Errorf("mode %d: found %q and %q, want nothing", tt.mode, open, shut)
			}
			continue
		}
		if tt.locked {
			open, shut = shut, open
		}
		if len(open) != 1 || open[0] != entry || len(shut) != 0 {
			t.Errorf("mode %d: found %q and %q, want %q in one of them", tt.mode, open, shut, entry)
		}
		for path, kind := range map[dbus.ObjectPath]string{login: "Collection", entry: "Item"} {
			var locked bool
			call(t, conn, path, get, []any{"org.freedesktop.Secret." + kind, "Locked"}, &locked)
			if locked != tt.locked {
				t.Errorf("mode %d: got %s locked %t, want %t", tt.mode, kind, locked, tt.locked)
			}
		}
	}
	s.SetMode(keychaintest.NoService)
	if owned(t, conn) {
		t.Error("no service: got an owner")
	}
}

func owned(t *testing.T, conn *dbus.Conn) (owned bool) {
	t.Helper()
	if err := conn.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, "org.freedesktop.secrets").Store(&owned); err != nil {
		t.Fatal(err)
	}
	return owned
}

func TestReplaceKeepsThePath(t *testing.T) {
	s := start(t)
	conn := connect(t, s)
	session := openSession(t, conn)
	first := create(t, conn, createArgs(session, "alice", "one", true))
	if got := create(t, conn, createArgs(session, "alice", "two", true)); got != first {
		t.Errorf("got %q, want %q", got, first)
	}
	var got secret
	call(t, conn, first, item+"GetSecret", []any{session}, &got)
	if string(got.Value) != "two" || got.Session != session || got.ContentType != "text/plain" {
		t.Errorf("got %q, want the secret that was put", got)
	}
	// Without replace there are two of the same attributes.
	second := create(t, conn, createArgs(session, "alice", "three", false))
	create(t, conn, createArgs(session, "bob", "four", false))
	found := search(t, conn, map[string]string{"username": "alice"})
	if len(found) != 2 || found[0] != first || found[1] != second {
		t.Errorf("got %q, want %q and %q", found, first, second)
	}
	if found := search(t, conn, map[string]string{"username": "alice", "colour": ""}); len(found) != 0 {
		t.Errorf("got %q, want nothing for an attribute that the entries do not have", found)
	}
}

// A client finds what was put there without it, and nothing else.
func TestSetEntries(t *testing.T) {
	s := start(t)
	conn := connect(t, s)
	session := openSession(t, conn)
	create(t, conn, createArgs(session, "alice", "one", true))
	want := map[string]string{"bob": "two", "carol": "three"}
	s.SetEntries("test", want)
	wantEntries(t, s, want)
	found := search(t, conn, map[string]string{"username": "bob", "service": "test"})
	if len(found) != 1 {
		t.Fatalf("got %q, want one entry", found)
	}
	var got secret
	call(t, conn, found[0], item+"GetSecret", []any{session}, &got)
	if string(got.Value) != "two" || got.Session != session {
		t.Errorf("got %q, want the secret that was put, for this session", got)
	}
}

func TestLock(t *testing.T) {
	s := start(t)
	conn := connect(t, s)
	entry := create(t, conn, createArgs(openSession(t, conn), "alice", "one", true))
	var paths []dbus.ObjectPath
	var prompt dbus.ObjectPath
	call(t, conn, root, service+"Lock", []any{[]dbus.ObjectPath{alias}}, &paths, &prompt)
	if len(paths) != 0 || prompt != "/" {
		t.Errorf("got %q, prompt %q, want nothing locked", paths, prompt)
	}
	wantUnlocked := func(path dbus.ObjectPath) {
		t.Helper()
		call(t, conn, root, service+"Unlock", []any{[]dbus.ObjectPath{path}}, &paths, &prompt)
		if len(paths) != 1 || paths[0] != path || prompt != "/" {
			t.Errorf("got %q, prompt %q, want %q unlocked", paths, prompt, path)
		}
	}
	wantUnlocked(login)
	wantUnlocked(entry)
	call(t, conn, root, service+"Lock", []any{[]dbus.ObjectPath{login}}, &paths, &prompt)
	if len(paths) != 1 || paths[0] != login || prompt != "/" {
		t.Errorf("got %q, prompt %q, want %q locked", paths, prompt, login)
	}
}

// Prompts whose signal must not come are followed by one whose signal must.
// Since they come in order, the first to arrive tells.
func TestPromptSignals(t *testing.T) {
	for name, tt := range map[string]struct {
		mode  keychaintest.Mode
		match bool
	}{
		"unanswered":    {keychaintest.LockedUnanswered, true},
		"not asked for": {keychaintest.LockedDismissed, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			conn := connect(t, s)
			signals := make(chan *dbus.Signal, 10)
			conn.Signal(signals)
			s.SetMode(tt.mode)
			prompt(t, conn, tt.match)
			s.SetMode(keychaintest.LockedDismissed)
			last := prompt(t, conn, true)
			signal := <-signals
			if signal.Path != last || signal.Name != "org.freedesktop.Secret.Prompt.Completed" {
				t.Errorf("got %s of %s, want the signal of %s alone", signal.Name, signal.Path, last)
			}
			var dismissed bool
			var unlocked dbus.Variant
			if err := dbus.Store(signal.Body, &dismissed, &unlocked); err != nil || !dismissed {
				t.Errorf("got %v, %v, want it dismissed", signal.Body, err)
			}
		})
	}
}

// prompt has a prompt to open the collection shown, and returns its path.
func prompt(t *testing.T, conn *dbus.Conn, match bool) (path dbus.ObjectPath) {
	t.Helper()
	var unlocked []dbus.ObjectPath
	call(t, conn, root, service+"Unlock", []any{[]dbus.ObjectPath{login}}, &unlocked, &path)
	if len(unlocked) != 0 || path == "/" {
		t.Fatalf("got %q, prompt %q, want a prompt", unlocked, path)
	}
	if match {
		if err := conn.AddMatchSignal(dbus.WithMatchObjectPath(path)); err != nil {
			t.Fatal(err)
		}
	}
	call(t, conn, path, "org.freedesktop.Secret.Prompt.Prompt", []any{""})
	return path
}

func TestSilence(t *testing.T) {
	s := start(t)
	conn := connect(t, s)
	collections := func(conn *dbus.Conn) error {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		return conn.Object("org.freedesktop.secrets", root).CallWithContext(ctx, get, 0, "org.freedesktop.Secret.Service", "Collections").Err
	}
	s.SetMode(keychaintest.SilentService)
	if !owned(t, conn) {
		t.Error("silent service: got no owner")
	}
	if err := collections(connect(t, s)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("silent service: got %v, want no reply", err)
	}
	s.SetMode(keychaintest.Silent)
	if err := collections(conn); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("silent, old connection: got %v, want no reply", err)
	}
	socket, err := net.Dial("unix", strings.TrimPrefix(s.Address(), "unix:path="))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	if _, err := socket.Write([]byte("\x00AUTH\r\n")); err != nil {
		t.Fatal(err)
	}
	if err := socket.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := socket.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("silent, new connection: got %d bytes, %v, want nothing", n, err)
	}
	s.SetMode(keychaintest.Unlocked)
	if err := collections(conn); err != nil {
		t.Errorf("after the silence: got %v, want nil", err)
	}
}

func TestConnectionsAtOnce(t *testing.T) {
	s := start(t)
	s.OnCall(func(string) { s.Entries() })
	var clients sync.WaitGroup
	for i := range 4 {
		conn := connect(t, s)
		session := openSession(t, conn)
		clients.Go(func() {
			for j := range 20 {
				args := createArgs(session, fmt.Sprintf("user %d-%d", i, j%10), fmt.Sprint(j), true)
				if err := conn.Object("org.freedesktop.secrets", login).Call(collection+"CreateItem", 0, args...).Err; err != nil {
					t.Error(err)
				}
			}
		})
	}
	clients.Wait()
	entries := s.Entries()
	if len(entries) != 40 || entries["user 3-9"] != "19" {
		t.Errorf("got %q, want ten users of four clients with the last secret of each", entries)
	}
}

func TestClose(t *testing.T) {
	s, err := keychaintest.Start()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(strings.TrimPrefix(s.Address(), "unix:path="))
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("got directory %v, %v, want one for the user alone", info, err)
	}
	conn := connect(t, s)
	s.SetMode(keychaintest.SilentService) // and a call under way
	pending := conn.Object("org.freedesktop.secrets", root).Go(service+"ReadAlias", 0, nil, "default")
	s.Close()
	if err := (<-pending.Done).Err; err == nil {
		t.Error("got a reply after Close")
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want the directory gone", err)
	}
	if conn, err := dbus.Connect(s.Address()); err == nil {
		conn.Close()
		t.Error("got a connection after Close")
	}
}
