package helper_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sfcred/helper"
	"sfcred/keychain"
	"sfcred/keychain/disk/disktest"
	"sfcred/keychain/jose"
)

// plant puts a file in place. The old one goes first: file systems wait for the
// disk where it is cut short and written anew.
func plant(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	check(t, os.WriteFile(path, text, 0o600))
}

// Of a damaged cache file no token comes, whichever byte it is; and the file is
// replaced by one that does serve.
func TestFlipsToken(t *testing.T) {
	t.Parallel()
	server := newServer(t)
	src := newSource(t, server)
	given := map[string]bool{src.get(t, helper.Want{}).Value: true}
	whole := must(os.ReadFile(src.tokenFile()))
	damaged, served, bits := 0, 0, 0
	for what, text := range disktest.All(whole) {
		plant(t, src.tokenFile(), text)
		damaged++
		if _, ok := src.Cached(helper.Want{}); ok {
			served++
			t.Errorf("%s: got a token", what)
		}
		if damaged%100 == 0 { // an exchange each is a lot
			token := src.get(t, helper.Want{})
			if given[token.Value] {
				t.Errorf("%s: got a token of before", what)
			}
			given[token.Value] = true
			if again, ok := src.Cached(helper.Want{}); !ok || again.Value != token.Value {
				t.Errorf("%s: the file was not replaced", what)
			}
		}
	}
	for i := range whole {
		for bit := range 8 {
			text := bytes.Clone(whole)
			text[i] ^= 1 << bit
			bits++
			if _, _, ok := helper.DecodeToken(text); ok {
				served++
				t.Errorf("byte %d, bit %d: got a token", i, bit)
			}
		}
	}
	t.Logf("token cache file of %d bytes: %d damages and each of %d bits; tokens served out of it: %d; replaced %d of %d times",
		len(whole), damaged, bits, served, len(given)-1, damaged/100)
	wantCounts(t, server, len(given), 0)
}

// A damaged refusal is none: the server is asked.
func TestFlipsRefusal(t *testing.T) {
	t.Parallel()
	server := newServer(t)
	server.Remove(clientID)
	src := newSource(t, server)
	for range 2 { // that it is remembered when it is not damaged
		if _, err := src.Token(within(t, 8*time.Second), helper.Want{}); err == nil {
			t.Fatal("got a token, want a refusal")
		}
	}
	wantCounts(t, server, 0, 1)
	file := filepath.Join(src.CacheDir, src.Profile.CacheKey()+".refused")
	whole := must(os.ReadFile(file))
	server.Add(alice())
	damages, obeyed := 0, 0
	for what, text := range disktest.All(whole) {
		damages++
		plant(t, file, text)
		if refused := src.Refused(ed().Fingerprint()); refused != nil {
			obeyed++
			t.Errorf("%s: still refused: %v", what, refused)
		}
		if damages%100 == 0 { // an exchange each is a lot
			src.get(t, helper.Want{})
			check(t, src.Forget())
		}
	}
	t.Logf("file of a remembered refusal, %d bytes: %d damages; refusals out of it: %d", len(whole), damages, obeyed)
	wantCounts(t, server, damages/100, 1)
}

// A lock file holds nothing: whatever is in it, it locks, and stays as it is.
func TestFlipsLock(t *testing.T) {
	server := newServer(t)
	src := newSource(t, server)
	lock := filepath.Join(src.CacheDir, src.Profile.CacheKey()+".lock")
	src.get(t, helper.Want{})
	damages := 0
	for what, text := range disktest.All([]byte("12345\n")) {
		plant(t, lock, text)
		src.Forget()
		src.get(t, helper.Want{})
		damages++
		if got := must(os.ReadFile(lock)); !bytes.Equal(got, text) {
			t.Errorf("%s: the lock file has changed", what)
		}
	}
	t.Logf("lock file: %d contents, %d tokens", damages, server.Exchanges()-1)
	wantCounts(t, server, damages+1, 0)
}

// A damaged stamp does not keep a reminder away for longer than a day.
func TestFlipsReminder(t *testing.T) {
	src := newSource(t, newServer(t))
	now := time.Now()
	src.SetClock(func() time.Time { return now })
	src.ReminderDue()
	file := filepath.Join(src.CacheDir, src.Profile.CacheKey()+".reminded")
	whole := must(os.ReadFile(file))
	due, silent, lost := 0, 0, 0
	for what, text := range disktest.All(whole) {
		plant(t, file, text)
		if src.ReminderDue() {
			due++
			continue
		}
		silent++
		now = now.Add(24 * time.Hour)
		if !src.ReminderDue() {
			lost++
			t.Errorf("%s: no reminder for more than a day", what)
		}
		now = now.Add(-24 * time.Hour)
	}
	t.Logf("reminder's stamp, %d bytes: %d damages remind at once, %d within a day, %d later", len(whole), due, silent-lost, lost)
}

// What is learnt may be lost or read wrongly, but never stops a command, and is
// learnt anew.
func TestFlipsState(t *testing.T) {
	t.Parallel()
	file := helper.StateFile(filepath.Join(t.TempDir(), "state.json"))
	a, b := &helper.Profile{ClientID: "a", TokenURL: "https://x.example/token"}, &helper.Profile{ClientID: "b", TokenURL: "https://x.example/token"}
	at := time.Date(2026, 11, 25, 10, 20, 30, 0, time.UTC)
	learnt := helper.Learnt{User: "alice", Expires: at, Seen: at, Worked: at, Key: "SHA256:abc", Audience: "https://x.example/token", From: "192.0.2.0/24"}
	check(t, file.Learn(t.Context(), a, learnt))
	check(t, file.Learn(t.Context(), b, learnt))
	learnt.First = at
	whole := must(os.ReadFile(string(file)))
	nothing, same, other, damages := 0, 0, 0, 0
	for what, text := range disktest.All(whole) {
		plant(t, string(file), text)
		got := file.Learnt(a)
		got.EndsSoon(at)
		damages++
		switch got {
		case helper.Learnt{}:
			nothing++
		case learnt:
			same++
		default:
			other++
		}
		if damages%50 == 0 { // each waits for the disk
			check(t, file.Learn(t.Context(), a, learnt))
			if got := file.Learnt(a); got.User != "alice" || !got.Expires.Equal(at) {
				t.Errorf("%s: got %+v, want what was learnt anew", what, got)
			}
		}
	}
	t.Logf("state.json, %d bytes: %d damages: %d no knowledge, %d the same, %d something else", len(whole), damages, nothing, same, other)
}

// touched counts what is done to the stores.
type touched int

func (n *touched) Put(context.Context, keychain.Ref, *jose.Key) error { *n++; return nil }
func (n *touched) Delete(context.Context, keychain.Ref) error         { *n++; return nil }

// A damaged config is refused with its file and line, and then nothing changes
// it, nor a key; or it is a config, of which all is kept that is in it. That a
// letter in a name was another cannot be known.
func TestFlipsConfig(t *testing.T) {
	t.Parallel()
	file := helper.ConfigFile(filepath.Join(t.TempDir(), "config.toml"))
	before := must(helper.ParseConfig(string(file), []byte(fullConfig)))
	refused, theLine, useless, same, changed, lost := 0, 0, 0, 0, 0, 0
	fields := map[string]int{}
	stores := touched(0)
	for what, text := range disktest.All([]byte(fullConfig)) {
		c, err := helper.ParseConfig(string(file), text)
		if err != nil {
			var where *helper.ConfigError
			lines := 1 + bytes.Count(text, []byte("\n"))
			if !errors.As(err, &where) || c != nil || where.Path != string(file) || where.Line < 1 || where.Line > lines || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("%s: got %v, want its file and line", what, err)
			}
			refused++
			if where.Line == lineOfDamage(text) {
				theLine++
			} else if strings.Contains(err.Error(), "UTF-8") {
				t.Errorf("%s: got %v, want line %d", what, err, lineOfDamage(text))
			}
			if !keepsConfig(t, file, text, &stores) {
				lost++
				t.Errorf("%s: refused, and yet changed", what)
			}
			continue
		}
		written := must(c.Text())
		if again := must(helper.ParseConfig(string(file), written)); !reflect.DeepEqual(again, c) {
			lost++
			t.Errorf("%s: is not kept as it was read", what)
		}
		differs := differences(before, c)
		switch {
		case len(differs) == 0:
			same++
		case slices.ContainsFunc(c.Names(), func(name string) bool { return c.Profiles[name].Check() != nil }):
			useless++
		default:
			changed++
			for _, field := range differs {
				fields[field]++
			}
		}
	}
	t.Logf("config.toml, %d bytes: %d damages refused with file and line (%d with the very line), %d refused when the profile is used, %d read as the same, %d as something else; configs or keys that a command changed nonetheless: %d",
		len(fullConfig), refused, theLine, useless, same, changed, lost+int(stores))
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		t.Logf("  something else: %-24s %d", field, fields[field])
	}
	if stores != 0 {
		t.Errorf("the stores were touched %d times", stores)
	}
}

// lineOfDamage is the first line that is not as in fullConfig.
func lineOfDamage(text []byte) int {
	n := 0
	for n < len(text) && n < len(fullConfig) && text[n] == fullConfig[n] {
		n++
	}
	return 1 + strings.Count(fullConfig[:n], "\n")
}

// keepsConfig has every way to change a config fail on a text, and says whether
// that stands as it was.
func keepsConfig(t *testing.T, file helper.ConfigFile, text []byte, stores *touched) bool {
	t.Helper()
	plant(t, string(file), text)
	profile := func(*helper.Profile) (*helper.Profile, error) {
		return &helper.Profile{ClientID: "new", Store: keychain.StoreFile, KeyID: keychain.NewID()}, nil
	}
	_, orphans := file.RemoveOrphans(t.Context(), stores)
	failed := true
	for _, err := range []error{
		orphans,
		file.Update(t.Context(), func(c *helper.Config) error { c.Default = "ci"; return nil }),
		file.Install(t.Context(), stores, "nersc", []*jose.Key{ed()}, profile),
		file.Remove(t.Context(), stores, "nersc"),
	} {
		var where *helper.ConfigError
		failed = failed && errors.As(err, &where)
	}
	return failed && bytes.Equal(must(os.ReadFile(string(file))), text)
}

// differences names what is not the same in two configs.
func differences(a, b *helper.Config) []string {
	var names []string
	if a.Default != b.Default {
		names = append(names, "default")
	}
	if !slices.Equal(a.Unfinished, b.Unfinished) {
		names = append(names, "unfinished")
	}
	if !slices.Equal(a.Names(), b.Names()) {
		return append(names, "which profiles there are")
	}
	for _, name := range a.Names() {
		old, now := reflect.ValueOf(*a.Profiles[name]), reflect.ValueOf(*b.Profiles[name])
		for i := range old.NumField() {
			if !reflect.DeepEqual(old.Field(i).Interface(), now.Field(i).Interface()) {
				names = append(names, old.Type().Field(i).Name)
			}
		}
	}
	return names
}

// Of a config that was damaged and can still be read, a token goes only to the
// hosts that it names.
func TestFlipsHosts(t *testing.T) {
	p := helper.Profile{ClientID: "a", TokenURL: "https://x.example/token", Store: "pem", KeyFile: "/k", Hosts: []string{"api.example.org", "*.iri.example.org:6443", "127.0.0.1"}}
	line := []byte("[profile.a]\nclient_id = \"a\"\ntoken_url = \"https://x.example/token\"\nhosts = [\"" + strings.Join(p.Hosts, `", "`) + "\"]\nstore = \"pem\"\nkey_file = \"/k\"\n")
	asked := []string{"https://api.example.org/", "https://x.iri.example.org:6443/", "http://127.0.0.1:8080/", "https://evil.example/", "https://example.org/", "https://x.iri.example.org/"}
	refused, changed, opened := 0, 0, 0
	for what, text := range disktest.All(line) {
		c, err := helper.ParseConfig("config.toml", text)
		if err != nil || c.Profiles["a"] == nil || c.Profiles["a"].Check() != nil {
			refused++
			continue
		}
		got := c.Profiles["a"]
		if !slices.Equal(got.Hosts, p.Hosts) {
			changed++
		}
		for _, url := range asked {
			if _, err := got.CheckHost(url); err != nil {
				continue
			}
			if _, err := p.CheckHost(url); err != nil && slices.Equal(got.Hosts, p.Hosts) {
				t.Errorf("%s: the same hosts let %s through", what, url)
			}
			if strings.Contains(url, "evil") {
				opened++
				t.Errorf("%s: %q lets %s through", what, got.Hosts, url)
			}
		}
	}
	t.Logf("hosts of a profile: %d damages refused, %d read as another list; foreign hosts let through: %d", refused, changed, opened)
}
