package keychain_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zalando/go-keyring"

	"sfcred/keychain/keychaintest"
)

// What keychaintest promises is tried with go-keyring itself, here, since no
// other package of ours may import it.

// clientEnv makes the test binary a client: go-keyring keeps one connection
// for the life of a process, and takes its address from the environment.
const clientEnv = "KEYCHAINTEST_CLIENT"

func TestMain(m *testing.M) {
	if os.Getenv(clientEnv) == "" {
		os.Exit(m.Run())
	}
	if err := client(os.Args[1], os.Args[2:]); err != nil {
		fmt.Print(err)
		os.Exit(1)
	}
}

// client makes one call of go-keyring for the service "test".
func client(call string, args []string) error {
	switch call {
	case "set":
		return keyring.Set("test", args[0], args[1])
	case "get":
		value, err := keyring.Get("test", args[0])
		fmt.Print(value)
		return err
	case "delete":
		return keyring.Delete("test", args[0])
	case "clear":
		return keyring.DeleteAll("test")
	}
	return errors.New("no such call")
}

// ask makes a call in a process of its own and returns what it printed, which
// is the error where there was one.
func ask(t *testing.T, s *keychaintest.Service, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...)
	// The race detector's exit would take a second.
	cmd.Env = append(os.Environ(), clientEnv+"=1", "GORACE=atexit_sleep_ms=0", "DBUS_SESSION_BUS_ADDRESS="+s.Address())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if stderr.Len() > 0 {
		t.Errorf("%q: got %q on stderr, want nothing", args, &stderr)
	}
	return string(out), err
}

// want makes a call that must succeed.
func want(t *testing.T, s *keychaintest.Service, output string, args ...string) {
	t.Helper()
	if got, err := ask(t, s, args...); err != nil || got != output {
		t.Errorf("%q: got %q, %v, want %q", args, got, err, output)
	}
}

// wantFailure makes a call that must fail.
func wantFailure(t *testing.T, s *keychaintest.Service, output string, args ...string) {
	t.Helper()
	if got, err := ask(t, s, args...); err == nil || !strings.Contains(got, output) {
		t.Errorf("%q: got %q, %v, want the failure %q", args, got, err, output)
	}
}

func wantEntries(t *testing.T, s *keychaintest.Service, entries map[string]string) {
	t.Helper()
	if got := s.Entries(); !maps.Equal(got, entries) {
		t.Errorf("got entries %q, want %q", got, entries)
	}
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

// record returns a function that gives the methods called since it was called
// last.
func record(s *keychaintest.Service) func() []string {
	var mutex sync.Mutex
	var methods []string
	s.OnCall(func(method string) {
		mutex.Lock()
		defer mutex.Unlock()
		methods = append(methods, method)
	})
	return func() []string {
		mutex.Lock()
		defer mutex.Unlock()
		last := methods
		methods = nil
		return last
	}
}

func TestEntries(t *testing.T) {
	s := start(t)
	notFound := keyring.ErrNotFound.Error()
	wantFailure(t, s, notFound, "get", "alice")
	wantFailure(t, s, notFound, "delete", "alice")
	want(t, s, "", "set", "alice", "one")
	want(t, s, "", "set", "bob", "two")
	want(t, s, "one", "get", "alice")
	want(t, s, "", "set", "alice", "three")
	want(t, s, "three", "get", "alice")
	wantEntries(t, s, map[string]string{"alice": "three", "bob": "two"})
	want(t, s, "", "delete", "alice")
	wantFailure(t, s, notFound, "get", "alice")
	want(t, s, "two", "get", "bob")
	want(t, s, "", "clear")
	wantEntries(t, s, nil)
}

func TestSecretsAreBytes(t *testing.T) {
	s := start(t)
	for _, secret := range []string{"", "a\nb", "ü\xff", strings.Repeat("x", 1<<16)} {
		want(t, s, "", "set", "alice", secret)
		want(t, s, secret, "get", "alice")
	}
}

// What go-keyring says in the modes in which it says something.
func TestModes(t *testing.T) {
	tests := []struct {
		name string
		mode keychaintest.Mode
		fail string // of get, set and delete
	}{
		{"dismissed", keychaintest.LockedDismissed, "failed to unlock correct collection '/org/freedesktop/secrets/collection/login'"},
		{"no collection", keychaintest.NoCollection, "failed to unlock correct collection '/org/freedesktop/secrets/aliases/default'"},
		{"no service", keychaintest.NoService, "org.freedesktop.DBus.Error.ServiceUnknown"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t)
			want(t, s, "", "set", "alice", "one")
			s.SetMode(tt.mode)
			wantFailure(t, s, tt.fail, "get", "alice")
			wantFailure(t, s, tt.fail, "set", "alice", "two")
			wantFailure(t, s, tt.fail, "delete", "alice")
			wantEntries(t, s, map[string]string{"alice": "one"})
			s.SetMode(keychaintest.Unlocked)
			want(t, s, "one", "get", "alice")
		})
	}
}

func TestPromptIsGranted(t *testing.T) {
	const prompt = "org.freedesktop.Secret.Prompt.Prompt"
	s := start(t)
	want(t, s, "", "set", "alice", "one")
	called := record(s)
	s.SetMode(keychaintest.LockedGranted)
	want(t, s, "one", "get", "alice")
	if got := called(); !slices.Contains(got, prompt) {
		t.Errorf("locked: got calls %q, want a prompt", got)
	}
	want(t, s, "", "set", "alice", "two")
	want(t, s, "", "delete", "alice")
	if got := called(); slices.Contains(got, prompt) {
		t.Errorf("opened by another client: got calls %q, want no prompt", got)
	}
}

func TestProcessesAtOnce(t *testing.T) {
	s := start(t)
	all := map[string]string{}
	var processes sync.WaitGroup
	for i := range 6 {
		user, secret := fmt.Sprint("user ", i), fmt.Sprint("secret ", i)
		all[user] = secret
		processes.Go(func() {
			want(t, s, "", "set", user, secret)
			want(t, s, secret, "get", user)
		})
	}
	processes.Wait()
	wantEntries(t, s, all)
}

// The connection breaks before and after each call that Set makes.
func TestFail(t *testing.T) {
	s := start(t)
	called := record(s)
	want(t, s, "", "set", "alice", "one")
	methods := called()
	s.OnCall(nil)
	made := slices.Index(methods, "org.freedesktop.Secret.Collection.CreateItem")
	if last := methods[len(methods)-1]; made < 0 || last != "org.freedesktop.Secret.Session.Close" {
		t.Fatalf("got calls %q, want CreateItem, and Close at the end", methods)
	}
	for i, method := range methods {
		for name, fail := range map[string]func(int){"before": s.FailBefore, "after": s.FailAfter} {
			want(t, s, "", "clear")
			fail(i + 1)
			_, err := ask(t, s, "set", "alice", "one")
			// go-keyring does not care about the last call.
			if fails := i < len(methods)-1; (err != nil) != fails {
				t.Errorf("%s %s: got %v, want failure %t", name, method, err, fails)
			}
			stored := i > made || i == made && name == "after"
			if got := len(s.Entries()) == 1; got != stored {
				t.Errorf("%s %s: got stored %t, want %t", name, method, got, stored)
			}
		}
	}
}

func TestFailIsTakenBack(t *testing.T) {
	s := start(t)
	s.FailBefore(1)
	s.FailAfter(1)
	s.FailBefore(0)
	s.FailAfter(0)
	want(t, s, "", "set", "alice", "one")
}

// What OnCall's function sets holds for the call that it was told of.
func TestOnCallComesFirst(t *testing.T) {
	s := start(t)
	s.OnCall(func(method string) {
		if strings.HasSuffix(method, ".CreateItem") {
			s.FailBefore(1)
		}
	})
	wantFailure(t, s, "", "set", "alice", "one")
	wantEntries(t, s, nil)
	s.OnCall(func(method string) {
		if strings.HasSuffix(method, ".Unlock") {
			s.SetMode(keychaintest.LockedDismissed)
		}
	})
	wantFailure(t, s, "failed to unlock", "set", "alice", "one")
}
