//go:build linux

package keychain

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// busConfig is a private session bus; %s is what it can start.
const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:tmpdir=/tmp</listen>%s
<policy context="default"><allow send_destination="*"/><allow receive_type="*"/><allow own="*"/></policy>
</busconfig>`

// TestReal runs against dbus-daemon and gnome-keyring-daemon, each row on a
// bus of its own, with SFCRED_REAL=1 only.
func TestReal(t *testing.T) {
	if os.Getenv("SFCRED_REAL") != "1" {
		t.Skip("needs SFCRED_REAL=1, dbus-run-session and gnome-keyring-daemon")
	}
	rows := map[string]struct {
		activation string // the program the bus can start as the service
		play       func(t *testing.T, s *Stores)
	}{
		"store and lock": {"", realStoreAndLock},
		"no service":     {"", realNoService},
		"never starts":   {`/bin/sh -c "exec sleep 20 >/dev/null 2>&1"`, realNeverStarts},
		"crashes":        {"/bin/false", realCrashes},
		"started by bus": {"/usr/bin/gnome-keyring-daemon --start --foreground --components=secrets", realNoCollection},
		"silent service": {"", realSilent},
		"bus that stops": {"", realBusStops},
	}
	if row, ok := rows[os.Getenv(roleEnv)]; ok {
		row.play(t, &Stores{Bus: os.Getenv(busAddressSetting)})
		return
	}
	for _, program := range []string{"dbus-run-session", "gnome-keyring-daemon"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatal(err)
		}
	}
	for name, row := range rows {
		start := time.Now()
		out, err := onPrivateBus(t, child(t, name), row.activation).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		t.Logf("%s, %v:\n%s", name, time.Since(start).Round(time.Millisecond), out)
	}
}

// onPrivateBus lets cmd run on a session bus, in a home of its own.
func onPrivateBus(t *testing.T, cmd *exec.Cmd, activation string) *exec.Cmd {
	t.Helper()
	home := t.TempDir()
	servicedir := ""
	if activation != "" {
		servicedir = "<servicedir>" + home + "</servicedir>"
		file := "[D-BUS Service]\nName=" + secrets + "\nExec=" + activation + "\n"
		if err := os.WriteFile(filepath.Join(home, secrets+".service"), []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config := filepath.Join(home, "bus.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, busConfig, servicedir), 0o600); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable() // /proc/self/exe would be dbus-run-session
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	session := exec.CommandContext(ctx, "dbus-run-session", append([]string{"--config-file=" + config, "--", exe, "-test.v"}, cmd.Args[1:]...)...)
	session.WaitDelay = time.Second // what the bus started may outlive it
	session.Env = append(cmd.Env, "HOME="+home, "XDG_RUNTIME_DIR="+home, "XDG_DATA_HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home, "DISPLAY=", "WAYLAND_DISPLAY=")
	return session
}

// gnomeKeyring starts the daemon with an open login collection.
func gnomeKeyring(t *testing.T) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets")
	cmd.Stdin = strings.NewReader("correct horse")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	conn := connect(t)
	for {
		var owned bool
		if err := conn.BusObject().Call(nameHasOwner, 0, secrets).Store(&owned); err != nil {
			t.Fatal(err)
		}
		if owned {
			return
		}
		if t.Context().Err() != nil {
			t.Fatal("gnome-keyring-daemon did not start")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func connect(t *testing.T) *dbus.Conn {
	t.Helper()
	conn, err := dbus.Connect(os.Getenv(busAddressSetting))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func realStoreAndLock(t *testing.T, s *Stores) {
	gnomeKeyring(t)
	if err := s.Check(t.Context(), StoreKeychain); err != nil {
		t.Fatalf("Check: %v", err)
	}
	roundTrip(t, s, StoreKeychain, newKey(t))
	roundTrip(t, s, StoreKeychain, rsaKey(t, 4096))

	ref, key := Ref{Store: StoreKeychain, ID: NewID()}, newKey(t)
	if err := s.Put(t.Context(), ref, key); err != nil {
		t.Fatal(err)
	}
	err := connect(t).Object(secrets, secretsPath).Call(serviceInterface+".Lock", 0, []dbus.ObjectPath{loginPath}).Err
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	_, err = s.Signer(t.Context(), ref)
	t.Logf("locked: %v after %v", err, time.Since(start))
	wantError(t, err, ErrLocked, "the keychain is locked")
	wantError(t, s.Check(t.Context(), StoreKeychain), ErrLocked, "the keychain is locked")
	// Without a display the prompt cannot be shown.
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	err = s.Put(ctx, Ref{Store: StoreKeychain, ID: NewID()}, key)
	t.Logf("put when locked: %v", err)
	wantError(t, err, ErrLocked, "could not be shown")
	wantError(t, s.Delete(ctx, ref), ErrLocked, "could not be shown")
}

func realNoService(t *testing.T, s *Stores) {
	everyCall(t, s, ErrUnavailable, "there is no keychain service on the session bus")
}

func realNeverStarts(t *testing.T, s *Stores) {
	everyCall(t, s, ErrTimeout, "the keychain service did not start")
}

func realCrashes(t *testing.T, s *Stores) {
	everyCall(t, s, ErrUnavailable, "cannot be started")
}

// The bus starts gnome-keyring-daemon, but nobody has logged in with a password.
func realNoCollection(t *testing.T, s *Stores) {
	everyCallWithin(t, 10*time.Second, s, ErrUnavailable, "no default collection")
}

// realSilent owns the service's name and never answers a call.
func realSilent(t *testing.T, s *Stores) {
	conn, err := dbus.Connect(os.Getenv(busAddressSetting), dbus.WithHandler(silentHandler{}))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if reply, err := conn.RequestName(secrets, 0); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("RequestName: %v, %v", reply, err)
	}
	// Calls end in a channel that nobody reads.
	conn.Eavesdrop(make(chan *dbus.Message, 1000))
	everyCall(t, s, ErrTimeout, silence)
}

type silentHandler struct{}

func (silentHandler) LookupObject(dbus.ObjectPath) (dbus.ServerObject, bool) { return nil, false }

// realBusStops kills the bus after a key was stored: go-keyring has a
// connection open by then.
func realBusStops(t *testing.T, s *Stores) {
	gnomeKeyring(t)
	ref := Ref{Store: StoreKeychain, ID: NewID()}
	if err := s.Put(t.Context(), ref, newKey(t)); err != nil {
		t.Fatal(err)
	}
	var pid uint32
	if err := connect(t).BusObject().Call("org.freedesktop.DBus.GetConnectionUnixProcessID", 0, "org.freedesktop.DBus").Store(&pid); err != nil {
		t.Fatal(err)
	}
	bus, err := os.FindProcess(int(pid))
	if err != nil {
		t.Fatal(err)
	}
	if err := bus.Kill(); err != nil {
		t.Fatal(err)
	}
	for { // until the socket is closed, too
		if _, err := dbus.Connect(s.Bus); err != nil {
			break
		}
	}
	everyCall(t, s, ErrUnavailable, "is dead")
}

func everyCall(t *testing.T, s *Stores, kind error, text string) {
	t.Helper()
	everyCallWithin(t, 300*time.Millisecond, s, kind, text)
}

// everyCallWithin expects the same error of all calls.
func everyCallWithin(t *testing.T, limit time.Duration, s *Stores, kind error, text string) {
	t.Helper()
	ref := Ref{Store: StoreKeychain, ID: NewID()}
	calls := map[string]func(ctx context.Context) error{
		"Check":  func(ctx context.Context) error { return s.Check(ctx, StoreKeychain) },
		"Signer": func(ctx context.Context) error { _, err := s.Signer(ctx, ref); return err },
		"Put":    func(ctx context.Context) error { return s.Put(ctx, ref, newKey(t)) },
		"Delete": func(ctx context.Context) error { return s.Delete(ctx, ref) },
	}
	for name, call := range calls {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		start := time.Now()
		err := call(ctx)
		t.Logf("%s: %v after %v", name, err, time.Since(start).Round(100*time.Microsecond))
		wantError(t, err, kind, text)
		cancel()
	}
}
