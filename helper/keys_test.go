package helper_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sfcred/helper"
	"sfcred/keychain"
	"sfcred/keychain/jose"
)

const (
	oldID = "oldoldoldoldoldoldoldold"
	newID = "newnewnewnewnewnewnewnew"

	pendingID = "pendingpendingpending"
)

// How a step goes wrong.
type fault string

const (
	none       fault = "nothing"
	errBefore  fault = "it fails and does nothing"
	errAfter   fault = "it fails though it was done"
	dieBefore  fault = "the process dies before it"
	dieAfter   fault = "the process dies after it"
	diskFull   fault = "no config is written from then on"
	allFails   fault = "nothing works from then on"
	failNoUndo fault = "it fails though it was done, and nothing works from then on"
)

var errBroken = errors.New("the store is broken")

// keys are key stores in a map, whose step goes wrong as the fault says.
type keys struct {
	t       *testing.T
	path    string // of the config
	entries map[keychain.Ref]*jose.Key
	steps   []string // what was done
	badStep int      // counted from 1
	fault   fault
	broken  bool // the store fails from now on
	text    []byte
	full    bool
}

func (k *keys) Put(_ context.Context, ref keychain.Ref, key *jose.Key) error {
	return k.step("put", func() error {
		if k.entries[ref] != nil {
			return fmt.Errorf("entry %s is there", ref.ID) // as the real ones never overwrite
		}
		k.entries[ref] = key
		return nil
	})
}

func (k *keys) Delete(_ context.Context, ref keychain.Ref) error {
	return k.step("delete", func() error {
		if k.entries[ref] == nil {
			return &keychain.Error{Store: ref.Store, Reason: "no such key", Err: keychain.ErrNotFound}
		}
		delete(k.entries, ref)
		return nil
	})
}

// step does one thing, or not.
func (k *keys) step(name string, do func() error) error {
	k.steps = append(k.steps, name)
	here := len(k.steps) == k.badStep
	if k.broken || here && k.fault == errBefore {
		return errBroken
	}
	if here && k.fault == dieBefore {
		panic(errBroken)
	}
	if err := do(); err != nil || !here {
		return err
	}
	switch k.fault {
	case dieAfter:
		panic(errBroken)
	case diskFull:
		k.fillDisk()
	case allFails:
		k.fillDisk()
		k.broken = true
	case errAfter:
		return errBroken
	case failNoUndo:
		k.fillDisk()
		k.broken = true
		return errBroken
	}
	return nil
}

// fillDisk lets no config be written, until freeDisk: a link to itself stands
// in its place, which stops root too.
func (k *keys) fillDisk() {
	var err error
	if k.text, err = os.ReadFile(k.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		k.t.Fatal(err)
	}
	_ = os.Remove(k.path)
	if err := os.Symlink(k.path, k.path); err != nil {
		k.t.Fatal(err)
	}
	k.full = true
}

func (k *keys) freeDisk() {
	if !k.full {
		return
	}
	if err := os.Remove(k.path); err != nil {
		k.t.Fatal(err)
	}
	if k.text != nil {
		if err := os.WriteFile(k.path, k.text, 0o600); err != nil {
			k.t.Fatal(err)
		}
	}
	k.full = false
}

// change is one way in which keys change.
type keyChange struct {
	old       *keychain.Ref // nil: there was no profile
	pending   string        // the ID of a key that waits
	isInstall bool
	run       func(*keys, helper.ConfigFile) error
}

func install(to keychain.Ref) func(*keys, helper.ConfigFile) error {
	return func(k *keys, file helper.ConfigFile) error {
		keys := []*jose.Key{other()}
		if to.ID == "" {
			keys = nil // it stays where it is
		}
		return file.Install(k.t.Context(), k, "p", keys, func(*helper.Profile) (*helper.Profile, error) {
			p := &helper.Profile{ClientID: "new", TokenURL: "https://x.example/token", Store: to.Store, KeyID: to.ID, KeyFile: to.Path}
			return p, k.step("change", func() error { return nil })
		})
	}
}

// keygen puts a pending key beside what there is.
func keygen(id string) func(*keys, helper.ConfigFile) error {
	return func(k *keys, file helper.ConfigFile) error {
		return file.Install(k.t.Context(), k, "p", []*jose.Key{third()}, func(p *helper.Profile) (*helper.Profile, error) {
			if p == nil {
				p = &helper.Profile{}
			}
			p.Pending = &helper.Pending{Store: "keychain", KeyID: id, Fingerprint: third().Fingerprint()}
			return p, k.step("change", func() error { return nil })
		})
	}
}

// both puts the key in use and the pending one into new entries.
func both(k *keys, file helper.ConfigFile) error {
	return file.Install(k.t.Context(), k, "p", []*jose.Key{other(), third()}, func(p *helper.Profile) (*helper.Profile, error) {
		pending := *p.Pending
		pending.KeyID = "new" + pendingID
		p.ClientID, p.KeyID, p.Pending = "new", newID, &pending
		return p, k.step("change", func() error { return nil })
	})
}

// promote has the pending key used, with a client of its own.
func promote(k *keys, file helper.ConfigFile) error {
	return file.Install(k.t.Context(), k, "p", nil, func(p *helper.Profile) (*helper.Profile, error) {
		p.ClientID, p.TokenURL, p.Store, p.KeyID, p.KeyFile, p.Pending = "promoted", "https://x.example/token", p.Pending.Store, p.Pending.KeyID, "", nil
		return p, k.step("change", func() error { return nil })
	})
}

// TestKeyChanges lets each step of each change go wrong in each way. Then what
// the config says must be usable, whole, and what is left over must be known.
func TestKeyChanges(t *testing.T) {
	t.Parallel()
	inKeychain, inFile := keychain.Ref{Store: "keychain", ID: oldID}, keychain.Ref{Store: "file", ID: newID}
	pem := keychain.Ref{Store: "pem", Path: "/home/alice/key.pem"}
	changes := map[string]keyChange{
		"first":    {nil, "", true, install(inFile)},
		"replace":  {&inKeychain, "", true, install(keychain.Ref{Store: "keychain", ID: newID})},
		"move":     {&inKeychain, "", true, install(inFile)},
		"to pem":   {&inKeychain, "", true, install(pem)},
		"from pem": {&pem, "", true, install(inFile)},

		"first keygen":          {nil, "", true, keygen(pendingID)},
		"keygen":                {&inKeychain, "", true, keygen(pendingID)},
		"keygen beside pem":     {&pem, "", true, keygen(pendingID)},
		"keygen again":          {&inKeychain, pendingID, true, keygen(newID)},
		"promote":               {&inKeychain, pendingID, true, promote},
		"promote beside pem":    {&pem, pendingID, true, promote},
		"login beside pending":  {&inKeychain, pendingID, true, install(inFile)},
		"both":                  {&inKeychain, pendingID, true, both},
		"remove with a pending": {&inKeychain, pendingID, false, func(k *keys, file helper.ConfigFile) error { return file.Remove(k.t.Context(), k, "p") }},

		"remove": {&inKeychain, "", false, func(k *keys, file helper.ConfigFile) error {
			return file.Remove(k.t.Context(), k, "p")
		}},
		"remove pem": {&pem, "", false, func(k *keys, file helper.ConfigFile) error {
			return file.Remove(k.t.Context(), k, "p")
		}},
	}
	steps := map[string]string{ // of each change, where nothing goes wrong
		"first": "change put", "replace": "change put delete", "move": "change put delete", "to pem": "change delete",
		"from pem": "change put", "remove": "delete", "remove pem": "",
		"first keygen": "change put", "keygen": "change put", "keygen beside pem": "change put", "keygen again": "change put delete",
		"promote": "change delete", "promote beside pem": "change",
		"login beside pending": "change put delete delete", "remove with a pending": "delete delete",
		"both": "change put put delete delete",
	}
	for name, change := range changes {
		k := runKeyChange(t, change, 0, none)
		if got := strings.Join(k.steps, " "); got != steps[name] {
			t.Errorf("%s: got steps %q, want %q", name, got, steps[name])
		}
		for bad := 1; bad <= len(k.steps)+1; bad++ { // one more: the cleaning up after a failure
			for _, f := range []fault{errBefore, errAfter, dieBefore, dieAfter, diskFull, allFails, failNoUndo} {
				t.Run(fmt.Sprintf("%s/step %d/%s", name, bad, f), func(t *testing.T) { runKeyChange(t, change, bad, f) })
			}
		}
	}
}

func runKeyChange(t *testing.T, change keyChange, badStep int, f fault) *keys {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	file := helper.ConfigFile(path)
	k := &keys{t: t, path: path, entries: map[keychain.Ref]*jose.Key{}, badStep: badStep, fault: f}
	// Another config's key, which must stay: the stores are shared.
	foreign := keychain.Ref{Store: "keychain", ID: "foreignforeignforeign"}
	k.entries[foreign] = ed()
	if change.old != nil {
		p := &helper.Profile{ClientID: "old", TokenURL: "https://x.example/token", Store: change.old.Store, KeyID: change.old.ID, KeyFile: change.old.Path}
		if err := file.Update(t.Context(), func(c *helper.Config) error { c.Profiles["p"] = p; return nil }); err != nil {
			t.Fatal(err)
		}
		if p.KeyID != "" {
			k.entries[p.Ref()] = ed()
		}
		if change.pending != "" {
			p.Pending = &helper.Pending{Store: "keychain", KeyID: change.pending, Fingerprint: third().Fingerprint()}
			k.entries[p.Pending.Ref()] = third()
			if err := file.Update(t.Context(), func(c *helper.Config) error { c.Profiles["p"] = p; return nil }); err != nil {
				t.Fatal(err)
			}
		}
	}
	err, died := lives(func() error { return change.run(k, file) })
	k.freeDisk()
	went := f != none && badStep <= len(k.steps)
	if !went && (err != nil || died) {
		t.Errorf("got %v, want success", err)
	}
	if went && (f == errBefore || f == failNoUndo) && err == nil {
		t.Error("got success, want the failure told")
	}
	config := wantUsable(t, k, file, change, err)
	if p := config.Profiles["p"]; err == nil && !died && (p != nil) != change.isInstall || p != nil && err == nil && !died && p.ClientID != "new" && p.ClientID != "promoted" && p.Pending == nil {
		t.Errorf("got profile %+v after success", p)
	}
	wantKnown(t, k, config, foreign)

	// Then all that is left over can be taken away.
	k.badStep, k.broken = 0, false
	if _, err := file.RemoveOrphans(t.Context(), k); err != nil {
		t.Fatalf("RemoveOrphans: %v", err)
	}
	config = must(file.Load())
	if len(config.Unfinished) != 0 {
		t.Errorf("got unfinished %q, want none after RemoveOrphans", config.Unfinished)
	}
	wantUsable(t, k, file, change, err)
	left := slices.Collect(maps.Keys(k.entries))
	for _, ref := range left {
		if ref != foreign && !has(config.Profiles["p"], ref) {
			t.Errorf("got %v still in its store, want it gone", ref)
		}
	}
	return k
}

// lives runs f and says whether the process died of it.
func lives(f func() error) (err error, died bool) {
	defer func() {
		if r := recover(); r != nil {
			if r != error(errBroken) {
				panic(r)
			}
			died = true
		}
	}()
	return f(), false
}

// wantUsable wants the profile that the config has to be the old one with the
// old key, or the new one with the new key.
func wantUsable(t *testing.T, k *keys, file helper.ConfigFile, change keyChange, err error) *helper.Config {
	t.Helper()
	config := must(file.Load())
	p := config.Profiles["p"]
	if p == nil && change.isInstall && change.old != nil {
		t.Error("the profile is gone")
	}
	if p != nil && p.Pending != nil {
		if got := k.entries[p.Pending.Ref()]; got == nil || got.Fingerprint() != third().Fingerprint() {
			t.Errorf("the config says pending key %v, whose entry is %v (error %v)", p.Pending.Ref(), got, err)
		}
	}
	if p != nil && p.Pending != nil && (p.Pending.KeyID == "new"+pendingID) != (p.KeyID == newID) { // see both
		t.Errorf("the config was changed by half: %+v with pending %+v", p, p.Pending)
	}
	if p == nil || p.KeyID == "" { // it is a file of the user's, which nobody touches
		return config
	}
	want := map[string]*jose.Key{"old": ed(), "new": other(), "promoted": third()}[p.ClientID]
	if got := k.entries[p.Ref()]; got == nil || got.Fingerprint() != want.Fingerprint() {
		t.Errorf("the config says key %v of the %s profile, whose entry is %v (error %v)", p.Ref(), p.ClientID, got, err)
	}
	return config
}

// wantKnown wants every key that no profile uses to be called an orphan, and
// no other.
func wantKnown(t *testing.T, k *keys, config *helper.Config, foreign keychain.Ref) {
	t.Helper()
	p, orphans := config.Profiles["p"], config.Orphans()
	for ref := range k.entries {
		used := has(p, ref)
		if slices.Contains(orphans, ref) != (!used && ref != foreign) {
			t.Errorf("got %v an orphan: %v; used: %v", ref, slices.Contains(orphans, ref), used)
		}
	}
}

func has(p *helper.Profile, ref keychain.Ref) bool {
	return p != nil && (p.Ref() == ref || p.Pending != nil && p.Pending.Ref() == ref)
}

// TestInstallWords wants what has gone wrong to be told apart: done but for
// the old key, or not done.
func TestInstallWords(t *testing.T) {
	old := keychain.Ref{Store: "keychain", ID: oldID}
	for _, want := range []struct {
		step   int // 2 put, 3 delete
		fault  fault
		client string
		orphan bool
		keys   int // are left
	}{
		{2, errBefore, "old", false, 1},
		{2, errAfter, "old", false, 1}, // what Put left is taken back
		{2, diskFull, "old", true, 2},  // the config can be neither switched nor read: nothing is deleted
		{2, allFails, "old", true, 2},
		{3, errBefore, "new", true, 2},
	} {
		path := filepath.Join(t.TempDir(), "config.toml")
		file := helper.ConfigFile(path)
		k := &keys{t: t, path: path, entries: map[keychain.Ref]*jose.Key{old: ed()}, badStep: want.step, fault: want.fault}
		_ = file.Update(t.Context(), func(c *helper.Config) error {
			c.Profiles["p"] = &helper.Profile{ClientID: "old", Store: "keychain", KeyID: oldID}
			return nil
		})
		err := install(keychain.Ref{Store: "keychain", ID: newID})(k, file)
		k.freeDisk()
		if len(k.entries) != want.keys {
			t.Errorf("step %d, %s: got %d keys left, want %d", want.step, want.fault, len(k.entries), want.keys)
		}
		var orphan *helper.OrphanError
		if err == nil || errors.As(err, &orphan) != want.orphan {
			t.Errorf("step %d, %s: got %v, want an OrphanError: %v", want.step, want.fault, err, want.orphan)
		}
		if got := must(file.Load()).Profiles["p"].ClientID; got != want.client {
			t.Errorf("step %d, %s: got the %s profile, want the %s", want.step, want.fault, got, want.client)
		}
	}
}

// TestInstallDefault wants the first profile to be the default, and no later.
func TestInstallDefault(t *testing.T) {
	file := helper.ConfigFile(filepath.Join(t.TempDir(), "config.toml"))
	k := &keys{t: t, entries: map[keychain.Ref]*jose.Key{}}
	for _, name := range []string{"b", "a"} {
		err := file.Install(t.Context(), k, name, []*jose.Key{ed()}, func(old *helper.Profile) (*helper.Profile, error) {
			if old != nil {
				t.Errorf("%s: got %+v, want no profile yet", name, old)
			}
			return &helper.Profile{Store: "file", KeyID: name + newID}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if c := must(file.Load()); c.Default != "b" || !slices.Equal(c.Names(), []string{"a", "b"}) {
		t.Errorf("got default %q of %q, want b of a, b", c.Default, c.Names())
	}
	if err := file.Remove(t.Context(), k, "b"); err != nil {
		t.Fatal(err)
	}
	if c := must(file.Load()); c.Default != "" || len(k.entries) != 1 {
		t.Errorf("got default %q and %d keys, want none and 1", c.Default, len(k.entries))
	}
	if err := file.Remove(t.Context(), k, "b"); !errors.Is(err, helper.ErrNoProfile) {
		t.Errorf("second time: got %v, want ErrNoProfile", err)
	}
}

// TestInstallRefused wants nothing done where change says no.
func TestInstallRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	k := &keys{t: t, entries: map[keychain.Ref]*jose.Key{}}
	err := helper.ConfigFile(path).Install(t.Context(), k, "p", []*jose.Key{ed()}, func(*helper.Profile) (*helper.Profile, error) {
		return nil, errBroken
	})
	if _, statErr := os.Stat(path); !errors.Is(err, errBroken) || len(k.steps) != 0 || !errors.Is(statErr, os.ErrNotExist) {
		t.Errorf("got %v, steps %q, config %v; want the refusal and nothing done", err, k.steps, statErr)
	}
}

// TestInstallOnUsedEntry wants an entry that holds a key in use never to be
// written nor "cleaned up": it may be the only copy.
func TestInstallOnUsedEntry(t *testing.T) {
	file := helper.ConfigFile(filepath.Join(t.TempDir(), "config.toml"))
	ref := keychain.Ref{Store: "keychain", ID: oldID}
	k := &keys{t: t, entries: map[keychain.Ref]*jose.Key{ref: ed()}}
	profile := func() *helper.Profile { return &helper.Profile{ClientID: "old", Store: ref.Store, KeyID: ref.ID} }
	if err := file.Update(t.Context(), func(c *helper.Config) error { c.Profiles["p"] = profile(); return nil }); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"p", "q"} {
		err := file.Install(t.Context(), k, name, []*jose.Key{other()}, func(*helper.Profile) (*helper.Profile, error) { return profile(), nil })
		if err == nil || k.entries[ref] != ed() {
			t.Errorf("%s: got %v and entry %v, want an error and the key untouched", name, err, k.entries[ref])
		}
	}
}

// TestInstallChangesInPlace wants the old key found even where change makes
// the new profile out of the old one.
func TestInstallChangesInPlace(t *testing.T) {
	file := helper.ConfigFile(filepath.Join(t.TempDir(), "config.toml"))
	k := &keys{t: t, entries: map[keychain.Ref]*jose.Key{}}
	for _, id := range []string{oldID, newID} {
		err := file.Install(t.Context(), k, "p", []*jose.Key{ed()}, func(p *helper.Profile) (*helper.Profile, error) {
			if p == nil {
				p = &helper.Profile{Store: "file"}
			}
			p.KeyID = id
			return p, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if c := must(file.Load()); len(k.entries) != 1 || len(c.Unfinished) != 0 {
		t.Errorf("got %d keys and unfinished %q, want 1 and none", len(k.entries), c.Unfinished)
	}
}

// TestSharedKey wants a key that another profile still uses to stay.
func TestSharedKey(t *testing.T) {
	file := helper.ConfigFile(filepath.Join(t.TempDir(), "config.toml"))
	shared := keychain.Ref{Store: "file", ID: oldID}
	k := &keys{t: t, entries: map[keychain.Ref]*jose.Key{shared: ed()}}
	err := file.Update(t.Context(), func(c *helper.Config) error {
		for _, name := range []string{"p", "q", "r"} {
			c.Profiles[name] = &helper.Profile{Store: shared.Store, KeyID: shared.ID}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Remove(t.Context(), k, "q"); err != nil {
		t.Error(err)
	}
	if err := install(keychain.Ref{Store: "file", ID: newID})(k, file); err != nil {
		t.Error(err)
	}
	if c := must(file.Load()); k.entries[shared] == nil || len(c.Unfinished) != 0 {
		t.Errorf("got the shared key %v and unfinished %q, want it there and none", k.entries[shared], c.Unfinished)
	}
	if err := file.Remove(t.Context(), k, "r"); err != nil || k.entries[shared] != nil {
		t.Errorf("got %v and the shared key %v, want it gone with its last user", err, k.entries[shared])
	}
}

// TestRemoveOrphans wants one that cannot be deleted kept in the notes, and
// the others gone.
func TestRemoveOrphans(t *testing.T) {
	file := helper.ConfigFile(filepath.Join(t.TempDir(), "config.toml"))
	a, b := keychain.Ref{Store: "file", ID: oldID}, keychain.Ref{Store: "keychain", ID: newID}
	k := &keys{t: t, entries: map[keychain.Ref]*jose.Key{a: ed(), b: ed()}, badStep: 1, fault: errBefore}
	err := file.Update(t.Context(), func(c *helper.Config) error {
		c.Profiles["p"] = &helper.Profile{Store: "file", KeyID: "used"}
		c.Unfinished = []string{"file:" + oldID, "keychain:" + newID, "file:used", "nonsense"}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	gone, err := file.RemoveOrphans(t.Context(), k)
	var orphan *helper.OrphanError
	if !errors.As(err, &orphan) || orphan.Ref != a || !slices.Equal(gone, []keychain.Ref{b}) {
		t.Errorf("got %v gone and %v, want only %v gone", gone, err, b)
	}
	if c := must(file.Load()); !slices.Equal(c.Unfinished, []string{"file:" + oldID}) || k.entries[a] == nil || k.entries[b] != nil {
		t.Errorf("got unfinished %q, want that of the key that is left", c.Unfinished)
	}
	// In a config that does not exist there is nothing to do, nor to write.
	missing := helper.ConfigFile(filepath.Join(t.TempDir(), "config.toml"))
	if gone, err := missing.RemoveOrphans(within(t, time.Second), k); err != nil || gone != nil {
		t.Errorf("no config: got %v, %v, want nothing", gone, err)
	}
	if _, err := os.Stat(string(missing)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no config: got %v, want none written", err)
	}
}
