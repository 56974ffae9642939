package main

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sfcred/helper/sfapitest"
)

// TestRealKeyring has keys in gnome-keyring, on session buses of the test's own.
func TestRealKeyring(t *testing.T) {
	realParts(t, "gnome-keyring-daemon", "dbus-run-session", "dbus-send", "secret-tool")
	sfcred := release(t)
	for name, test := range map[string]func(*keyringUser){
		"every kind of key": realEveryKey,
		"locked":            realLocked,
		"no bus":            realNoBus,
		"bus dies":          realBusDies,
		"two profiles":      realTwoProfiles,
		"one profile twice": realOneProfileTwice,
	} {
		t.Run(name, func(t *testing.T) {
			u := newKeyringUser(t, sfcred)
			test(u)
			u.noLaunch()
		})
	}
}

// keyringUser has a home for a keyring, and a server.
type keyringUser struct {
	*user
	server *sfapitest.Server
}

func newKeyringUser(t *testing.T, sfcred string) *keyringUser {
	t.Helper()
	u := &keyringUser{newUser(t, sfcred), sfapitest.New()}
	t.Cleanup(u.server.Close)
	// https://github.com/cli/cli/issues/7582: each call of it leaves a bus and a
	// keyring behind. It is the first in PATH.
	u.write("bin/dbus-launch", []byte("#!/bin/sh\n: >\"$HOME/launched\"\n"))
	check(t, os.Chmod(u.path("bin", "dbus-launch"), 0o700))
	return u
}

// noLaunch asserts that nothing ran dbus-launch, which would have been seen.
func (u *keyringUser) noLaunch() {
	u.Helper()
	mark := u.path("home", "launched")
	if _, err := os.Stat(mark); err == nil {
		u.Error("dbus-launch was run")
	}
	u.works("sh", "-c", "dbus-launch")
	if _, err := os.Stat(mark); err != nil {
		u.Errorf("dbus-launch, when run, leaves no mark: %v", err)
	}
}

// What begins a session: the keyring with the password that opens it, or
// without.
const (
	unlocked = `printf pw | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1`
	locked   = `gnome-keyring-daemon --start --components=secrets >/dev/null 2>&1`
)

// session gives the user a session bus with a keyring on it, until end is
// called or the test is over. No process of it may be left then.
func (u *keyringUser) session(begin string) (in *keyringUser, end func()) {
	u.Helper()
	cmd := exec.CommandContext(u.Context(), "dbus-run-session", "--", "sh", "-c", begin+`
		until dbus-send --session --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.NameHasOwner string:org.freedesktop.secrets | grep -q true
		do sleep 0.02; done
		echo "$DBUS_SESSION_BUS_ADDRESS"
		cat`)
	cmd.Env = u.env
	cmd.WaitDelay = 5 * time.Second
	stdin, err := cmd.StdinPipe()
	check(u.T, err)
	cmd.Cancel = stdin.Close // killed, it would leave the bus behind
	stdout, err := cmd.StdoutPipe()
	check(u.T, err)
	check(u.T, cmd.Start())
	end = sync.OnceFunc(func() {
		stdin.Close()
		_, _ = io.Copy(io.Discard, stdout)
		_ = cmd.Wait() // the code is of no interest where the bus was killed
		u.noProcess()
	})
	u.Cleanup(end)
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		u.Fatalf("begin a session: %v", err)
	}
	in = &keyringUser{u.with("DBUS_SESSION_BUS_ADDRESS=" + strings.TrimSpace(address)), u.server}
	for _, name := range []string{"dbus-daemon", "gnome-keyring-d"} {
		if len(u.processes(name)) != 1 {
			u.Fatalf("got processes %v of %s, want one", u.processes(name), name)
		}
	}
	return in, end
}

// noProcess asserts that no process of the user's is left, or soon none.
func (u *keyringUser) noProcess() {
	u.Helper()
	for deadline := time.Now().Add(10 * time.Second); len(u.processes("")) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			u.Errorf("the session is over, and there are still the processes %v", u.processes(""))
			return
		}
	}
}

// processes are the running ones whose HOME is the user's, by name if that is
// not "".
func (u *keyringUser) processes(name string) (pids []int) {
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		env, _ := os.ReadFile(filepath.Join(dir, "environ")) // empty for one that has ended
		comm, _ := os.ReadFile(filepath.Join(dir, "comm"))
		if !bytes.Contains(env, []byte("HOME="+u.path("home")+"\x00")) || name != "" && string(comm) != name+"\n" {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// register has the server know a client.
func (u *keyringUser) register(id string, key any) {
	u.server.Add(sfapitest.Client{ID: id, Key: key.(crypto.Signer).Public(), User: "alice"})
}

// login is the login of a client to the keychain.
func (u *keyringUser) login(profile, client, key string, flags ...string) []string {
	return append([]string{"login", "--profile", profile, "--client-id", client, "--key", key,
		"--token-url", u.server.TokenURL, "--host", "127.0.0.1"}, flags...)
}

// entries are the values of sfcred's entries in the keyring, by secret-tool.
func (u *keyringUser) entries() (values []string) {
	u.Helper()
	for line := range strings.Lines(u.works("secret-tool", "search", "--all", "service", "sfcred")) {
		if value, ok := strings.CutPrefix(line, "secret = "); ok {
			values = append(values, strings.TrimSuffix(value, "\n"))
		}
	}
	return values
}

// setting is what a profile's section of the config file has for key.
func (u *keyringUser) setting(profile, key string) string {
	u.Helper()
	config, err := os.ReadFile(u.path("home", ".config", "sfcred", "config.toml"))
	check(u.T, err)
	_, section, _ := strings.Cut(string(config), "[profile."+profile+"]\n")
	section, _, _ = strings.Cut(section, "\n[")
	found := regexp.MustCompile(`(?m)^` + key + ` = "(.*)"$`).FindStringSubmatch(section)
	if found == nil {
		return ""
	}
	return found[1]
}

// entry is the value that a profile's entry has, and its name.
func (u *keyringUser) entry(profile string) (id, value string) {
	u.Helper()
	id = u.setting(profile, "key_id")
	value = u.works("secret-tool", "lookup", "service", "sfcred", "username", id)
	// What macOS and Windows take is some 2,500 bytes, and KDE no more than ASCII.
	if !regexp.MustCompile(`^[!-~]{20,1000}$`).MatchString(value) || strings.Contains(value, "PRIVATE KEY") {
		u.Errorf("the entry has %d bytes; want at most 1000, printable ASCII, no PEM", len(value))
	}
	return id, value
}

// gone asserts that the keyring has no entry of that name.
func (u *keyringUser) gone(id string) {
	u.Helper()
	if o := u.do("secret-tool", "lookup", "service", "sfcred", "username", id); o.code != 1 || o.stdout != "" {
		u.Errorf("secret-tool finds the entry %s (exit code %d)", id, o.code)
	}
}

// realKeys are one of each kind that is supported.
func realKeys() map[string]any {
	keys := map[string]any{}
	must := func(key any, err error) any {
		if err != nil {
			panic(err)
		}
		return key
	}
	for _, bits := range []int{2048, 3072, 4096} {
		keys[fmt.Sprintf("rsa%d", bits)] = must(rsa.GenerateKey(rand.Reader, bits))
	}
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		keys[strings.ToLower(curve.Params().Name)] = must(ecdsa.GenerateKey(curve, rand.Reader))
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	keys["ed25519"] = must(ed, err)
	return keys
}

// realEveryKey leads keys through a life: stored, used, given another client
// ID, moved to a file and back, replaced, removed.
func realEveryKey(u *keyringUser) {
	u, _ = u.session(unlocked)
	u.register("next", theKeys()["other"])
	next := u.writeKey("next.pem", theKeys()["other"])
	for name, key := range realKeys() {
		u.Run(name, func(t *testing.T) {
			u := &keyringUser{u.in(t), u.server}
			u.register("old-"+name, key)
			u.register("new-"+name, key)
			file := u.writeKey(name+".pem", key)
			u.works("sfcred", u.login(name, "old-"+name, file, "--delete-source")...)
			if _, err := os.Stat(file); err == nil {
				t.Error("the key file is still there")
			}
			u.used(name)
			first, value := u.entry(name)

			u.works("sfcred", "login", "-p", name, "--client-id", "new-"+name)
			if id, now := u.entry(name); id != first || now != value {
				t.Error("the entry is another one, after the client ID was changed")
			}
			u.server.Remove("old-" + name)
			u.used(name)

			second := u.toFileAndBack(name)
			u.gone(first)
			u.works("sfcred", u.login(name, "next", next, "--replace")...)
			u.used(name)
			third, now := u.entry(name)
			if now == value {
				t.Error("the entry has the old key, after it was replaced")
			}
			u.gone(second)

			u.answers("remove", "--yes", name)
			u.gone(third)
			u.wantEntries()
			u.fails(exitNothing, `^sfcred: error: no profile "`+name+`"`, "token", "-p", name)
		})
	}
}

// used asserts that the profile's key works, and that it is the one entry in
// the keyring.
func (u *keyringUser) used(profile string) {
	u.Helper()
	before := u.server.Exchanges()
	u.answers("token", "--force", "-p", profile)
	if got := u.server.Exchanges() - before; got != 1 {
		u.Errorf("the server gave %d tokens, want 1", got)
	}
	u.wantEntries(profile)
}

// wantEntries asserts that the keyring has the keys of these profiles, and none
// besides, and that none is noted as left behind.
func (u *keyringUser) wantEntries(profiles ...string) {
	u.Helper()
	var want []string
	for _, profile := range profiles {
		_, value := u.entry(profile)
		want = append(want, value)
	}
	got := u.entries()
	if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
		u.Errorf("the keyring has %d entries, want those of the profiles %q", len(got), profiles)
	}
	config, err := os.ReadFile(u.path("home", ".config", "sfcred", "config.toml"))
	check(u.T, err)
	if strings.Contains(string(config), "unfinished") {
		u.Errorf("the config notes keys that were left behind:\n%s", config)
	}
}

// toFileAndBack moves a key out of the keyring and into it again, and returns
// its new entry's name.
func (u *keyringUser) toFileAndBack(profile string) string {
	u.Helper()
	patient := u.with("SFCRED_TIMEOUT=60s", "SFCRED_PASSPHRASE_FILE="+u.write("passphrase", []byte("correct horse\n")))
	patient.answers("edit", profile, "--store", "file")
	u.wantEntries()
	patient.answers("edit", profile, "--store", "keychain")
	if left, _ := filepath.Glob(u.path("home", ".local", "share", "sfcred", "keys", "*")); len(left) > 0 {
		u.Errorf("key files are left: %q", left)
	}
	u.used(profile)
	return u.setting(profile, "key_id")
}

// loggedIn is a user with the profile "test" in an open keyring.
func (u *keyringUser) loggedIn() {
	u.Helper()
	u.register("client", theKeys()["key"])
	u.works("sfcred", u.login("test", "client", u.writeKey("key.pem", theKeys()["key"]))...)
}

// realLocked finds the keyring as a login over ssh does: made before, and the
// daemon runs, but nobody has given it the password.
func realLocked(u *keyringUser) {
	in, end := u.session(unlocked)
	in.loggedIn()
	end()

	in, end = u.session(locked)
	in.answers("token") // the login's, out of the cache
	began := time.Now()
	in.fails(exitStore, `^sfcred: error: profile "test": the keychain is locked\nsfcred: hint: sfcred unlock test\n$`, "token", "--force")
	if took := time.Since(began); took > 4*time.Second { // the deadline is 8 s
		u.Errorf("it took %v to see that the keychain is locked", took)
	}
	in.fails(exitStore, `^sfcred: error: profile "test": the keychain is locked\nsfcred: hint: sfcred unlock test\n$`, "assertion")
	// Nobody can be asked without a display.
	in.fails(exitStore, `^sfcred: error: profile "test": the keychain stayed locked: .*\nsfcred: hint: sfcred unlock test\n$`, "unlock")
	end()

	in, _ = u.session(unlocked)
	in.answers("unlock")
	in.answers("token", "--force")
	in.wantEntries("test")
}

func realNoBus(u *keyringUser) {
	if _, err := os.Stat(fmt.Sprintf("/run/user/%d/bus", os.Getuid())); err == nil {
		missing(u.T, "a machine without a session bus, which is not this test's to use")
	}
	for _, bus := range []string{"", "autolaunch:"} {
		in := &keyringUser{u.with("DBUS_SESSION_BUS_ADDRESS=" + bus), u.server}
		in.register("client", theKeys()["key"])
		key := in.writeKey("key.pem", theKeys()["key"])
		in.fails(exitStore, `^sfcred: error: there is no D-Bus session bus\nsfcred: hint: sfcred login .*--store file`, in.login("test", "client", key)...)
		in.fails(exitNothing, `^sfcred: error: `, "token")
	}
	if got := u.server.Exchanges(); got != 0 {
		u.Errorf("%d exchanges were made for a key that cannot be stored", got)
	}
	u.noProcess()
}

// realBusDies kills the bus between two commands.
func realBusDies(u *keyringUser) {
	in, end := u.session(unlocked)
	in.loggedIn()
	in.answers("token", "--force")
	check(u.T, syscall.Kill(u.processes("dbus-daemon")[0], syscall.SIGKILL))
	for len(u.processes("dbus-daemon")) > 0 {
		time.Sleep(time.Millisecond)
	}
	in.fails(exitStore, `^sfcred: error: profile "test": the session bus at unix:.* is dead\n`, "token", "--force")
	in.answers("token") // is still good
	end()

	in, _ = u.session(unlocked)
	in.answers("token", "--force")
	in.wantEntries("test")
}

// together runs commands of sfcred at the same time.
func (u *keyringUser) together(commands ...[]string) []outcome {
	all := make([]outcome, len(commands))
	var running sync.WaitGroup
	for i, args := range commands {
		running.Go(func() { all[i] = u.do("sfcred", args...) })
	}
	running.Wait()
	return all
}

// rounds is how often commands are run side by side, to meet each other.
const rounds = 5

func realTwoProfiles(u *keyringUser) {
	u, _ = u.session(unlocked)
	u.register("one", theKeys()["key"])
	u.register("two", theKeys()["ec"])
	one, two := u.writeKey("one.pem", theKeys()["key"]), u.writeKey("two.pem", theKeys()["ec"])
	for range rounds {
		for _, o := range u.together(u.login("one", "one", one), u.login("two", "two", two)) {
			if o.code != 0 {
				u.Errorf("exit code %d\n%s", o.code, o.stderr)
			}
		}
		u.answers("token", "--force", "-p", "one")
		u.answers("token", "--force", "-p", "two")
		u.wantEntries("one", "two")
		for _, o := range u.together([]string{"remove", "--yes", "one"}, []string{"remove", "--yes", "two"}) {
			if o.code != 0 {
				u.Errorf("exit code %d\n%s", o.code, o.stderr)
			}
		}
		u.wantEntries()
	}
}

// realOneProfileTwice has two logins to one profile, with the same key and with
// two. Whichever is last has its key there, and the other's is gone.
func realOneProfileTwice(u *keyringUser) {
	u, _ = u.session(unlocked)
	u.register("one", theKeys()["key"])
	u.register("two", theKeys()["ec"])
	one, two := u.writeKey("one.pem", theKeys()["key"]), u.writeKey("two.pem", theKeys()["ec"])
	for range rounds {
		logins := [][]string{u.login("test", "one", one), u.login("test", "one", one), u.login("test", "two", two, "--replace"), u.login("test", "one", one, "--replace")}
		for _, pair := range [][][]string{logins[:2], logins[2:]} {
			for _, o := range u.together(pair...) {
				if o.code != 0 {
					u.Errorf("exit code %d\n%s", o.code, o.stderr)
				}
			}
			u.answers("token", "--force")
			u.wantEntries("test")
		}
		u.answers("remove", "--yes", "test")
	}
	// Without --replace one of two keys is refused, and the other is kept.
	codes := 0
	for _, o := range u.together(u.login("test", "one", one), u.login("test", "two", two)) {
		codes += o.code
	}
	if codes != exitOK+exitUsage {
		u.Errorf("got %d as the sum of the exit codes, want one %d and one %d", codes, exitOK, exitUsage)
	}
	u.answers("token", "--force")
	u.wantEntries("test")
}
