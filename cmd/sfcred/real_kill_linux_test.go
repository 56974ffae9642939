//go:build kill

package main

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"filippo.io/age"

	"sfcred/helper"
	"sfcred/helper/sfapitest"
	"sfcred/keychain"
	"sfcred/keychain/disk"
	"sfcred/keychain/jose"
	"sfcred/keychain/keychaintest"
)

// killCase is a command that changes keys, and what the config says before and
// after it, in the words of victim.state. Killed at any step, it must leave one
// or the other.
type killCase struct {
	name, before, after string
	args                []string // URL and API stand for the server's flags
	done                int      // the exit code of the command where all is done already
	only                string   // of the steps and the calls of the keychain, those that match; see below
	dialogue            string   // what a person is asked, if one is
}

// A new key file is slow to write and to open, as it should be. So where one is
// made, kills come only where it is made, where the config is put in place, and
// where the old key is deleted: the rest is as it is with the keychain.
const (
	inFiles  = `/keys/|mkdirat .*/keys$|renameat .*/config.toml$|exit`
	inPlace  = `renameat .*/keys/|renameat .*/config.toml$`
	deletion = `unlinkat .*/keys/`
)

var killCases = []killCase{
	{name: "login", before: "", after: "*test first key@keychain",
		args: []string{"login", "-p", "test", "--client-id", "first", "--key", "key.pem", "URL", "API"}},
	{name: "login and delete the source", before: "", after: "*test first key@keychain", done: exitFailed,
		args: []string{"login", "-p", "test", "--client-id", "first", "--key", "source.pem", "--delete-source", "URL"}},
	{name: "login with another key", before: "*test first key@keychain +ec@keychain", after: "*test second other@keychain +ec@keychain",
		args: []string{"login", "-p", "test", "--client-id", "second", "--key", "other.pem", "--replace"}},
	{name: "login with another client", before: "*test first key@keychain", after: "*test swapped key@keychain",
		args: []string{"login", "-p", "test", "--client-id", "swapped"}},
	{name: "login with the pending key", before: "*test first key@keychain +other@keychain", after: "*test second other@keychain",
		args: []string{"login", "-p", "test", "--client-id", "second"}},
	{name: "first login with a pending key", before: "test - - +other@keychain", after: "*test second other@keychain",
		args: []string{"login", "-p", "test", "--client-id", "second", "URL"}},
	{name: "keygen", before: "", after: "test - - +new@keychain", done: exitUsage,
		args: []string{"keygen", "-p", "test", "--alg", "ES256"}},
	{name: "keygen beside a key", before: "*test first key@keychain", after: "*test first key@keychain +new@keychain", done: exitUsage,
		args: []string{"keygen", "--alg", "ES256"}},
	{name: "keygen again", before: "*test first key@keychain +ec@keychain", after: "*test first key@keychain +new@keychain",
		args: []string{"keygen", "--alg", "ES256", "--replace"}},
	{name: "edit the store", before: "*test first key@file +ec@keychain", after: "*test first key@keychain +ec@keychain", done: exitUsage,
		args: []string{"edit", "--store", "keychain"}},
	{name: "edit the name", before: "*test first key@keychain +ec@keychain", after: "*next first key@keychain +ec@keychain", done: exitNothing,
		args: []string{"edit", "test", "--rename", "next"}},
	{name: "edit the hosts", before: "*test first key@keychain", after: "*test first key@keychain api.example",
		args: []string{"edit", "--host", "+api.example"}},
	{name: "remove", before: "*test first key@keychain; two second other@keychain", after: "two second other@keychain", done: exitNothing,
		args: []string{"remove", "--yes", "test"}},
	{name: "remove with a pending key", before: "*test first key@keychain +ec@file", after: "", done: exitNothing,
		args: []string{"remove", "--yes", "test"}},

	{name: "login, in files", before: "", after: "*test first key@file", only: inFiles,
		args: []string{"login", "-p", "test", "--store", "file", "--client-id", "first", "--key", "key.pem", "URL"}},
	{name: "login with another key, in files", before: "*test first key@file", after: "*test second other@file", only: inPlace + "|" + deletion,
		args: []string{"login", "-p", "test", "--client-id", "second", "--key", "other.pem", "--replace"}},
	{name: "login with the pending key, in files", before: "*test first key@file +other@file", after: "*test second other@file",
		args: []string{"login", "-p", "test", "--client-id", "second"}},
	{name: "keygen, in files", before: "*test first key@file +ec@file", after: "*test first key@file +new@file", only: inPlace + "|" + deletion,
		args: []string{"keygen", "--alg", "ES256", "--replace"}},
	{name: "edit the store, in files", before: "*test first key@keychain", after: "*test first key@file", done: exitUsage, only: inPlace + "|Item.Delete",
		args: []string{"edit", "--store", "file"}},
	{name: "edit the passphrase of two", before: "*test first key@file +ec@file", after: "*test first key@file +ec@file", only: inPlace + "|" + deletion,
		args: []string{"edit", "--new-passphrase"}, dialogue: "? new passphrase\n> staple\n? the same again\n> staple\n"},
	{name: "remove, in files", before: "*test first key@file +ec@file", after: "", done: exitNothing,
		args: []string{"remove", "--yes", "test"}},
}

// TestRealKill kills the released binary at every step that changes what is on
// the disk or in the keychain. Whatever has become of it, a key is never lost,
// and what is left over is known.
//
// A step is a system call by which one of the user's files is made, written,
// synced, locked, renamed or removed, or a word is said, and at last the exit.
// The kill comes at the entry of the call: what it does has not been done, and
// all before it has. For the keychain the service itself kills its client, when
// it hears a call.
func TestRealKill(t *testing.T) {
	needsSteps(t)
	sfcred := release(t)
	total := &tally{}
	t.Run("steps", func(t *testing.T) {
		for _, c := range killCases {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				v := newVictim(t, sfcred)
				defer func() { total.add(v.tally); t.Logf("%s: %v", c.name, v.tally) }()
				v.everywhere(c)
			})
		}
	})
	t.Run("another waits", func(t *testing.T) { newVictim(t, sfcred).whileAnotherWaits() })
	t.Run("waiting", func(t *testing.T) { newVictim(t, sfcred).whileItWaits() })
	t.Log("in all:", total)
}

// tally counts what was done in a case, and what was found.
type tally struct {
	mu                                                    sync.Mutex
	steps, calls, lost, torn, orphans, removed, temporary int
}

func (t *tally) add(other *tally) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.steps += other.steps
	t.calls += other.calls
	t.lost += other.lost
	t.torn += other.torn
	t.orphans += other.orphans
	t.removed += other.removed
	t.temporary += other.temporary
}

func (t *tally) String() string {
	return fmt.Sprintf("killed at %d steps and at %d calls of the keychain; lost keys %d, torn files %d; orphans found %d, removed %d; temporary files left %d",
		t.steps, t.calls, t.lost, t.torn, t.orphans, t.removed, t.temporary)
}

// victim is a user whose commands are killed.
type victim struct {
	*user
	server   *sfapitest.Server
	secrets  *keychaintest.Service
	tally    *tally
	foreign  map[keychain.Ref]string // what another config has in the stores
	killedAt []string                // the steps and calls so far
	left     map[keychain.Ref]bool   // orphans that were found
	known    map[string]bool         // what kills have left, as remains words it
	source   []byte                  // what source.pem holds
	proved   map[string]string       // what state said of a config and what is stored
	ids      []string                // of the keys that are seeded
	sealed   map[string][]byte       // their files, by ID
}

func newVictim(t *testing.T, sfcred string) *victim {
	t.Helper()
	secrets, err := keychaintest.Start()
	check(t, err)
	t.Cleanup(secrets.Close)
	server := sfapitest.New()
	t.Cleanup(server.Close)
	for id, key := range map[string]string{"first": "key", "swapped": "key", "second": "other", "third": "ec"} {
		server.Add(sfapitest.Client{ID: id, Key: theKeys()[key].(crypto.Signer).Public(), User: "alice"})
	}
	u := newUser(t, sfcred)
	for _, name := range []string{"key", "other", "ec"} {
		u.writeKey(name+".pem", theKeys()[name])
	}
	u.write("old", []byte("horse\n"))
	u.write("new", []byte("staple\n"))
	u = u.with("DBUS_SESSION_BUS_ADDRESS="+secrets.Address(), "SFCRED_TIMEOUT=60s", "SFCRED_PASSPHRASE_FILE="+u.path("old"))
	return &victim{user: u, server: server, secrets: secrets, tally: &tally{}, known: map[string]bool{}, proved: map[string]string{}, sealed: map[string][]byte{}}
}

func (v *victim) config() helper.ConfigFile {
	return helper.ConfigFile(v.path("home", ".config", "sfcred", "config.toml"))
}

func (v *victim) keyFile(id string) string {
	return v.path("home", ".local", "share", "sfcred", "keys", id+".age")
}

// seed gives the user a home with the profiles that state would word so. The
// stores have keys of another config, too: one it uses, and one it calls an
// orphan.
func (v *victim) seed(profiles string) {
	v.Helper()
	for _, dir := range []string{"home", "run"} {
		check(v.T, os.RemoveAll(v.path(dir)))
		check(v.T, os.Mkdir(v.path(dir), 0o700))
	}
	v.writeKey("source.pem", theKeys()["key"])
	var err error
	v.source, err = os.ReadFile(v.path("source.pem"))
	check(v.T, err)
	entries, seeded := map[string]string{}, 0
	put := func(key, store string) (id, fingerprint, alg string) {
		if seeded++; seeded > len(v.ids) { // the same ones each time
			v.ids = append(v.ids, keychain.NewID())
		}
		k, id := killKeys()[key], v.ids[seeded-1]
		if store == keychain.StoreFile {
			v.seal(id, k.Text())
		} else {
			entries[id] = k.Text()
		}
		return id, k.Fingerprint(), jose.Algorithms(k.Public())[0]
	}
	config := &helper.Config{Profiles: map[string]*helper.Profile{}}
	for words := range strings.SplitSeq(profiles, "; ") {
		if words == "" {
			continue
		}
		parts := strings.Fields(words)
		p := &helper.Profile{}
		name, isDefault := strings.CutPrefix(parts[0], "*")
		if isDefault {
			config.Default = name
		}
		if key, store, ok := strings.Cut(parts[2], "@"); ok {
			p.ClientID, p.TokenURL, p.APIURL, p.Hosts, p.Store = parts[1], v.server.TokenURL, v.server.APIURL, []string{"127.0.0.1"}, store
			p.KeyID, p.Fingerprint, p.Alg = put(key, store)
		}
		if len(parts) > 3 {
			key, store, _ := strings.Cut(parts[3][1:], "@")
			p.Pending = &helper.Pending{Store: store}
			p.Pending.KeyID, p.Pending.Fingerprint, p.Pending.Alg = put(key, store)
		}
		config.Profiles[name] = p
	}
	v.foreign, v.left = map[keychain.Ref]string{}, map[keychain.Ref]bool{}
	other := &helper.Config{Profiles: map[string]*helper.Profile{}}
	for _, store := range []string{keychain.StoreKeychain, keychain.StoreFile} {
		if profiles == "" && store == keychain.StoreFile {
			continue // there, directories are still to be made
		}
		used, fingerprint, alg := put("ed", store)
		orphan, _, _ := put("ed", store)
		other.Profiles[store] = &helper.Profile{ClientID: "foreign", TokenURL: v.server.TokenURL, Store: store, KeyID: used, Fingerprint: fingerprint, Alg: alg}
		other.Unfinished = append(other.Unfinished, store+":"+orphan)
		v.foreign[keychain.Ref{Store: store, ID: used}], v.foreign[keychain.Ref{Store: store, ID: orphan}] = "", ""
	}
	v.secrets.SetEntries("sfcred", entries)
	write := func(file helper.ConfigFile, c *helper.Config) {
		check(v.T, file.Update(v.Context(), func(now *helper.Config) error { *now = *c; return nil }))
	}
	if profiles != "" {
		write(v.config(), config)
	}
	write(helper.ConfigFile(v.path("other.toml")), other)
	for ref, content := range v.stored() {
		if _, ok := v.foreign[ref]; ok {
			v.foreign[ref] = content
		}
	}
}

// killKeys are those of theKeys that the cases are about, as the stores have them.
var killKeys = sync.OnceValue(func() map[string]*jose.Key {
	keys := map[string]*jose.Key{}
	for _, name := range []string{"key", "other", "ec", "ed"} {
		der, err := x509.MarshalPKCS8PrivateKey(theKeys()[name])
		if err != nil {
			panic(err)
		}
		file, err := jose.Parse(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil)
		if err != nil {
			panic(err)
		}
		keys[name] = file.Key
	}
	return keys
})

// seal writes a key file as the product does, but one that is quick to open.
func (v *victim) seal(id, text string) {
	v.Helper()
	if v.sealed[id] == nil {
		recipient, err := age.NewScryptRecipient("horse")
		check(v.T, err)
		recipient.SetWorkFactor(2)
		var sealed bytes.Buffer
		w, err := age.Encrypt(&sealed, recipient)
		check(v.T, err)
		_, err = io.WriteString(w, text)
		check(v.T, err)
		check(v.T, w.Close())
		v.sealed[id] = sealed.Bytes()
	}
	check(v.T, os.MkdirAll(filepath.Dir(v.keyFile(id)), 0o700))
	check(v.T, os.WriteFile(v.keyFile(id), v.sealed[id], 0o600))
}

// stored is all that is in the stores.
func (v *victim) stored() map[keychain.Ref]string {
	v.Helper()
	all := map[keychain.Ref]string{}
	for id, secret := range v.secrets.Entries() {
		all[keychain.Ref{Store: keychain.StoreKeychain, ID: id}] = secret
	}
	files, err := filepath.Glob(v.keyFile("*"))
	check(v.T, err)
	for _, path := range files {
		text, err := os.ReadFile(path)
		check(v.T, err)
		all[keychain.Ref{Store: keychain.StoreFile, ID: strings.TrimSuffix(filepath.Base(path), ".age")}] = string(text)
	}
	return all
}

// state words what the config says, having it proved: each key in use signs an
// assertion, and each that is pending shows its public half. The same bytes need
// no second proof.
//
//	*NAME CLIENT KEY@STORE +PENDING@STORE HOST; NAME - - +PENDING@STORE
func (v *victim) state() string {
	v.Helper()
	config, err := v.config().Load()
	if err != nil {
		v.tally.torn++
		v.Errorf("the config is torn: %v", err)
		return "torn"
	}
	text, _ := os.ReadFile(string(v.config())) // there may be none
	proof := fmt.Sprint(string(text), v.stored())
	if words, ok := v.proved[proof]; ok {
		return words
	}
	var all []string
	for _, name := range config.Names() {
		p := config.Profiles[name]
		words := []string{name, cmp.Or(p.ClientID, "-"), "-"}
		if config.Default == name {
			words[0] = "*" + name
		}
		if p.HasKey() {
			words[2] = v.signs(name, p) + "@" + p.Store
		}
		if p.Pending != nil {
			words = append(words, "+"+v.shows(name, p.Pending)+"@"+p.Pending.Store)
		}
		if len(p.Hosts) > 1 {
			words = append(words, p.Hosts[1:]...)
		}
		all = append(all, strings.Join(words, " "))
	}
	v.proved[proof] = strings.Join(all, "; ")
	return v.proved[proof]
}

// asks runs a command that opens a key, by the old passphrase or the new one.
func (v *victim) asks(args ...string) string {
	v.Helper()
	o := v.do("sfcred", args...)
	if o.code == exitStore && strings.Contains(o.stderr, "wrong passphrase") {
		o = v.with("SFCRED_PASSPHRASE_FILE="+v.path("new")).do("sfcred", args...)
	}
	if o.code != 0 || o.stderr != "" {
		v.tally.lost++
		v.Errorf("sfcred %s: exit code %d\n%s", strings.Join(args, " "), o.code, o.stderr)
	}
	return strings.TrimSpace(o.stdout)
}

// signs names the key that signs a profile's assertion, which must be the one
// that its config names, and the client its own.
func (v *victim) signs(profile string, p *helper.Profile) string {
	v.Helper()
	assertion := v.asks("assertion", "-p", profile)
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return "lost"
	}
	var claims struct{ Iss string }
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	check(v.T, err)
	check(v.T, json.Unmarshal(text, &claims))
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	check(v.T, err)
	for name, key := range killKeys() {
		if signed(key.Public(), parts[0]+"."+parts[1], signature) {
			if key.Fingerprint() != p.Fingerprint || claims.Iss != p.ClientID {
				v.Errorf("profile %q: an assertion of %s by %s, where the config says %s and %s", profile, claims.Iss, name, p.ClientID, p.Fingerprint)
			}
			return name
		}
	}
	return "unknown"
}

// signed says whether a signature is by a key, RSA PKCS#1 or ECDSA in P-256.
func signed(by crypto.PublicKey, text string, signature []byte) bool {
	sum := sha256.Sum256([]byte(text))
	switch by := by.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(by, crypto.SHA256, sum[:], signature) == nil
	case *ecdsa.PublicKey:
		return len(signature) == 64 && ecdsa.Verify(by, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
	}
	return false
}

// shows names a profile's pending key, "new" for one that keygen has made.
func (v *victim) shows(profile string, p *helper.Pending) string {
	v.Helper()
	block, _ := pem.Decode([]byte(v.asks("keygen", "--show", "-p", profile)))
	if block == nil {
		return "lost"
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	check(v.T, err)
	fingerprint, err := jose.Fingerprint(public)
	check(v.T, err)
	if fingerprint != p.Fingerprint {
		v.Errorf("profile %q: the pending key is %s, where the config says %s", profile, fingerprint, p.Fingerprint)
	}
	for name, key := range killKeys() {
		if key.Fingerprint() == fingerprint {
			return name
		}
	}
	return "new"
}

// command is a case's, with the server's flags.
func (v *victim) command(c killCase) []string {
	var args []string
	for _, arg := range c.args {
		switch arg {
		case "URL":
			args = append(args, "--token-url", v.server.TokenURL, "--host", "127.0.0.1")
		case "API":
			args = append(args, "--api-url", v.server.APIURL)
		default:
			args = append(args, arg)
		}
	}
	return args
}

// run runs a case's command, and kills it before the step with that number, from
// 0, or with -1 lets it come to its end. It returns the steps up to there.
func (v *victim) run(c killCase, number int) []string {
	v.Helper()
	dialogue := ""
	if c.dialogue != "" {
		dialogue = v.write("dialogue", []byte(c.dialogue))
	}
	var steps []string
	o, killed := v.step(func(step string) bool {
		steps = append(steps, step)
		return len(steps) == number+1
	}, dialogue, v.command(c)...)
	if killed != (len(steps) == number+1) || !killed && o.code != 0 {
		v.Fatalf("after %d steps: killed %t, exit code %d\n%s", len(steps), killed, o.code, o.stderr)
	}
	return steps
}

// everywhere kills a command at each of its steps and of its calls of the
// keychain.
func (v *victim) everywhere(c killCase) {
	v.seed(c.before)
	if got := v.state(); got != c.before {
		v.Fatalf("the profiles are %q, want %q", got, c.before)
	}
	steps := v.run(c, -1)
	if got := v.state(); got != c.after {
		v.Fatalf("not killed, the command leaves %q, want %q", got, c.after)
	}
	v.atEachStep(c, steps)
	if c.dialogue == "" {
		v.atEachCall(c)
	}
	v.wantKilledAt(c)
}

// wantKilledAt wants a command to have been killed where it does what the case
// is about.
func (v *victim) wantKilledAt(c killCase) {
	v.Helper()
	wanted := strings.Split(cmp.Or(c.only, "renameat .*/config.toml$"), "|")
	if keysIn(keychain.StoreKeychain, c.before) != keysIn(keychain.StoreKeychain, c.after) {
		wanted = append(wanted, "^org.freedesktop.Secret.")
	}
	if keysIn(keychain.StoreFile, c.before) != keysIn(keychain.StoreFile, c.after) {
		wanted = append(wanted, "^(renameat|unlinkat) .*/keys/")
	}
	for _, pattern := range wanted {
		if !slices.ContainsFunc(v.killedAt, regexp.MustCompile(pattern).MatchString) {
			v.Errorf("it was not killed at %q, but at\n%s", pattern, strings.Join(v.killedAt, "\n"))
		}
	}
}

// keysIn are the keys that a store has in a state.
func keysIn(store, state string) string {
	return strings.Join(regexp.MustCompile(`\w+@`+store).FindAllString(state, -1), " ")
}

// atEachStep kills a command at each of its steps that the case is about.
func (v *victim) atEachStep(c killCase, steps []string) {
	only := regexp.MustCompile(c.only)
	for number, step := range steps {
		if !only.MatchString(step) {
			continue
		}
		v.seed(c.before)
		if got := v.run(c, number); !slices.Equal(got, steps[:number+1]) {
			v.Fatalf("the steps were\n%s\nand now are\n%s", strings.Join(steps[:number+1], "\n"), strings.Join(got, "\n"))
		}
		v.tally.steps++
		v.killedAt = append(v.killedAt, step)
		if v.afterKill(c, number%2 == 0); v.Failed() {
			v.Fatalf("that was %q, killed after %d steps, before %q", c.name, number, step)
		}
	}
}

// atEachCall kills a command at each of its calls of the keychain that the case
// is about. The call has no effect, and those before it have.
func (v *victim) atEachCall(c killCase) {
	only := regexp.MustCompile(c.only)
	for n := 1; ; n++ {
		v.seed(c.before)
		var heard atomic.Int64
		var last atomic.Value
		started := make(chan bool)
		cmd := exec.CommandContext(v.Context(), v.path("bin", "sfcred"), v.command(c)...)
		cmd.Dir, cmd.Env = v.dir, v.env
		v.secrets.OnCall(func(method string) {
			<-started
			if only.MatchString(method) && heard.Add(1) == int64(n) {
				last.Store(method)
				v.secrets.FailBefore(1)
				_ = cmd.Process.Kill()
			}
		})
		check(v.T, cmd.Start())
		close(started)
		err := cmd.Wait()
		v.secrets.OnCall(nil)
		if heard.Load() < int64(n) {
			check(v.T, err)
			return
		}
		if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
			v.Fatalf("%q at call %d of the keychain: got %v, want it killed", c.name, n, err)
		}
		v.tally.calls++
		v.killedAt = append(v.killedAt, last.Load().(string))
		if v.afterKill(c, n%2 == 0); v.Failed() {
			v.Fatalf("that was %q, killed at call %d of the keychain, %s", c.name, n, last.Load())
		}
	}
}

// whileAnotherWaits kills a login that has the lock, which another to the same
// profile waits for. That one must get it, and have its way.
func (v *victim) whileAnotherWaits() {
	first := killCase{args: []string{"login", "-p", "test", "--client-id", "second", "--key", "other.pem", "--replace"}}
	next := []string{"login", "-p", "test", "--client-id", "third", "--key", "ec.pem", "--replace"}
	const before = "*test first key@keychain"
	v.seed(before)
	steps := v.run(first, -1)
	locked := slices.IndexFunc(steps, locksConfig)
	for number := locked + 1; number < len(steps); number++ {
		v.seed(before)
		// The other is begun at the first step under the lock, which it tries to
		// get again and again.
		var o outcome
		waits, ended, done := make(chan bool), make(chan bool), 0
		other := func() {
			defer close(ended)
			tries := 0
			o, _ = v.step(func(step string) bool {
				if locksConfig(step) {
					if tries++; tries == 3 {
						close(waits)
					}
				}
				return false
			}, "", next...)
		}
		_, killed := v.step(func(step string) bool {
			if done == locked+1 {
				go other()
				select {
				case <-waits:
				case <-ended:
				}
			}
			done++
			return done == number+1
		}, "", v.command(first)...)
		<-ended
		if !killed || o.code != 0 {
			v.Errorf("before %q: killed %t; the other has exit code %d\n%s", steps[number], killed, o.code, o.stderr)
		}
		if got, want := v.state(), "*test third ec@keychain"; got != want {
			v.Errorf("before %q: the profiles are %q, want %q", steps[number], got, want)
		}
		v.wantTold()
		v.tidy()
	}
}

func locksConfig(step string) bool { return step == "flock /home/.config/sfcred/config.toml.lock" }

// whileItWaits kills commands that wait for the lock, which the test has. It
// must be as if they had not been given, and the lock be the test's still.
func (v *victim) whileItWaits() {
	for _, c := range killCases {
		if !slices.Contains([]string{"login with another key", "login with the pending key", "keygen again", "edit the store", "edit the name", "remove"}, c.name) {
			continue
		}
		v.seed(c.before)
		unlock, err := disk.Lock(v.Context(), string(v.config())+".lock")
		check(v.T, err)
		tries := 0
		if _, killed := v.step(func(step string) bool {
			if locksConfig(step) {
				tries++
			}
			return tries == 3
		}, "", v.command(c)...); !killed {
			v.Errorf("%s: it was not killed", c.name)
		}
		if got := v.state(); got != c.before {
			v.Errorf("%s: the profiles are %q, want %q", c.name, got, c.before)
		}
		v.wantOnlyUsed()
		v.fails(exitFailed, "another command has held it all the time", "--timeout", "100ms", "edit", "test", "--host", "+x.example")
		unlock()
		if o := v.do("sfcred", v.command(c)...); o.code != 0 || v.state() != c.after {
			v.Errorf("%s: given again, exit code %d, profiles %q\n%s", c.name, o.code, v.state(), o.stderr)
		}
		v.wantOnlyUsed()
	}
}

// afterKill wants a key to be there, the old one or the new one, and what is
// left over to be known; and the command to work when it is given again, before
// that is cleaned up or after. It need not be given twice where kills have left
// the same.
func (v *victim) afterKill(c killCase, tidyFirst bool) {
	v.Helper()
	remains := fmt.Sprint(tidyFirst, v.remains())
	state := v.state()
	if state != c.before && state != c.after {
		v.tally.lost++
		v.Errorf("the profiles are %q, want %q or %q", state, c.before, c.after)
	}
	if source, err := os.ReadFile(v.path("source.pem")); err == nil && !bytes.Equal(source, v.source) || err != nil && state != c.after {
		v.tally.lost++
		v.Errorf("the source has %d bytes, %v, and the profiles are %q", len(source), err, state)
	}
	v.wantWhole()
	v.wantTold()
	if tidyFirst || v.known[remains] {
		v.tidy()
	}
	if v.known[remains] {
		return
	}
	v.known[remains] = true
	o := v.givenAgain(c)
	if o.code != 0 && !(state == c.after && o.code == c.done) {
		v.Errorf("given again, the command has exit code %d\n%s", o.code, o.stderr)
	}
	if !tidyFirst {
		v.wantTold()
		v.tidy()
	}
	if got := v.state(); got != c.after {
		v.Errorf("given again, the command leaves %q, want %q", got, c.after)
	}
	if _, err := os.Stat(v.path("source.pem")); slices.Contains(c.args, "--delete-source") != errors.Is(err, fs.ErrNotExist) {
		v.Errorf("given again, the command leaves the source file so: %v", err)
	}
	v.wantOnlyUsed()
}

// remains words what a kill has left: the config, which files and entries there
// are, and how large they are. Random names are numbered as the config has them.
func (v *victim) remains() string {
	v.Helper()
	text, _ := os.ReadFile(string(v.config())) // there may be none
	numbers := map[string]string{}
	plain := func(text string) string {
		return unlikeNames.ReplaceAllStringFunc(text, func(name string) string {
			if numbers[name] == "" {
				numbers[name] = fmt.Sprintf("<%d>", len(numbers))
			}
			return numbers[name]
		})
	}
	all := []string{plain(string(text))}
	for id, secret := range v.secrets.Entries() {
		if _, foreign := v.foreign[keychain.Ref{Store: keychain.StoreKeychain, ID: id}]; !foreign {
			all = append(all, fmt.Sprintf("%s %d", plain(id), len(secret)))
		}
	}
	for _, dir := range []string{"home", "run"} {
		check(v.T, filepath.WalkDir(v.path(dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			path = temporary.ReplaceAllString(plain(path), "$1*")
			all = append(all, fmt.Sprintf("%s %d %v", path, info.Size(), info.Mode()))
			return nil
		}))
	}
	slices.Sort(all[1:])
	return strings.Join(all, "\n")
}

var (
	unlikeNames = regexp.MustCompile(`\b([a-z2-7]{26}|[A-Z2-7]{26})\b|SHA256:[A-Za-z0-9+/]{43}`)
	temporary   = regexp.MustCompile(`(/\.tmp-.*\.\w+?)\d+$`)
)

// givenAgain runs a case's command as it is. A person who does not know whether
// the keys have the new passphrase tries one, and then the other, for all of them.
func (v *victim) givenAgain(c killCase) (o outcome) {
	v.Helper()
	if c.dialogue == "" {
		return v.do("sfcred", v.command(c)...)
	}
	for _, had := range []string{"old", "new"} {
		dialogue := v.write("dialogue", []byte(c.dialogue))
		command := append([]string{dialogue, v.path("bin", "sfcred")}, v.command(c)...)
		if o = v.with("SFCRED_PASSPHRASE_FILE="+v.path(had)).do("person", command...); o.code == 0 {
			break
		}
	}
	return o
}

// wantWhole wants no file to be torn. One that was being written is temporary.
func (v *victim) wantWhole() {
	v.Helper()
	check(v.T, filepath.WalkDir(v.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || filepath.Dir(path) == v.dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode() != 0o600 {
			v.Errorf("%s has mode %v", path, info.Mode())
		}
		text, err := os.ReadFile(path)
		torn := false
		switch base := d.Name(); {
		case strings.HasPrefix(base, ".tmp-"):
			v.tally.temporary++
		case base == "state.json":
			torn = !json.Valid(text)
		case strings.HasSuffix(base, ".token"):
			torn = strings.Count(string(text), "\n") != 2 || !strings.HasSuffix(string(text), "\n")
		}
		if torn {
			v.tally.torn++
			v.Errorf("%s is torn: it has %d bytes", path, len(text))
		}
		return err
	}))
}

// used are the keys that the config uses.
func (v *victim) used() map[keychain.Ref]bool {
	v.Helper()
	config, err := v.config().Load()
	check(v.T, err)
	used := map[keychain.Ref]bool{}
	for _, p := range config.Profiles {
		if p.HasKey() {
			used[p.Ref()] = true
		}
		if p.Pending != nil {
			used[p.Pending.Ref()] = true
		}
	}
	return used
}

// unused are the keys in the stores that neither config uses.
func (v *victim) unused() (refs []keychain.Ref) {
	v.Helper()
	used, stored := v.used(), v.stored()
	for ref := range stored {
		if _, foreign := v.foreign[ref]; !foreign && !used[ref] {
			refs = append(refs, ref)
		}
	}
	for ref, content := range v.foreign {
		if stored[ref] != content {
			v.Errorf("another config's key %v is gone or changed", ref)
		}
	}
	return refs
}

// wantTold wants each key that is not used to be an orphan to the config, and
// status and doctor to tell of it.
func (v *victim) wantTold() {
	v.Helper()
	config, err := v.config().Load()
	check(v.T, err)
	orphans := config.Orphans()
	for _, ref := range v.unused() {
		if !v.left[ref] {
			v.left[ref] = true
			v.tally.orphans++
		}
		if !slices.Contains(orphans, ref) {
			v.Errorf("nothing knows of %v", ref)
		}
	}
	if len(orphans) == 0 {
		return
	}
	for _, command := range []string{"status", "doctor"} {
		args := []string{command}
		if names := config.Names(); len(names) > 0 {
			args = append(args, names[0])
		}
		o := v.with("SFCRED_PASSPHRASE_FILE=").do("sfcred", args...)
		told := strings.Contains(o.stdout+o.stderr, "orphaned keys") && strings.Contains(o.stdout+o.stderr, "sfcred remove --orphans")
		if !told {
			v.Errorf("the config has orphans %v, and %s (exit code %d) says:\n%s%s", orphans, command, o.code, o.stdout, o.stderr)
		}
	}
}

// tidy removes the orphans, and nothing else.
func (v *victim) tidy() {
	v.Helper()
	before, used, stored := len(v.unused()), v.used(), v.stored()
	if o := v.do("sfcred", "remove", "--orphans"); o.code != 0 || !strings.Contains(o.stderr, "orphaned keys removed") {
		v.Errorf("remove --orphans: exit code %d\n%s", o.code, o.stderr)
	}
	v.tally.removed += before - len(v.unused())
	now := v.stored()
	for ref := range used {
		if !v.used()[ref] || now[ref] != stored[ref] {
			v.tally.lost++
			v.Errorf("remove --orphans: the key %v, which is used, is gone or changed", ref)
		}
	}
	v.wantOnlyUsed()
}

// wantOnlyUsed wants the stores to have the keys that are used, and no trace of
// another.
func (v *victim) wantOnlyUsed() {
	v.Helper()
	if left := v.unused(); len(left) > 0 {
		v.Errorf("there are still the unused keys %v", left)
	}
	config, err := v.config().Load()
	check(v.T, err)
	if len(config.Unfinished) > 0 {
		v.Errorf("the config still notes %q", config.Unfinished)
	}
	if files, _ := filepath.Glob(filepath.Join(filepath.Dir(v.keyFile("")), ".tmp-*")); len(files) > 0 {
		v.Errorf("what was written of a key is still there: %q", files)
	}
}
