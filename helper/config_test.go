package helper_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"

	"sfcred/helper"
	"sfcred/keychain"
)

const fullConfig = `# Written by sfcred; comments are not kept. Change it with: sfcred edit
default = "nersc"
unfinished = ["keychain:aaaa", "file:bbbb"]

[profile.agent]
client_id = "eeee"
token_url = "https://x.example/token"
hosts = []
fingerprint = "SHA256:def"
store = "ssh-agent"

[profile.ci]
client_id = "ccccdddd"
token_url = "http://127.0.0.1:8080/token"
hosts = []
store = "pem"
key_file = "/run/secrets/key.pem"

[profile.made]

[profile.made.pending]
store = "keychain"
key_id = "ddddeeeeffffgggg"
fingerprint = "SHA256:ghi"

[profile.nersc]
client_id = "aaaabbbbcccc1"
token_url = "https://oidc.nersc.gov/c2id/token"
api_url = "https://api.nersc.gov/api/v1.2"
audience = "https://issuer.example"
allow_foreign_audience = true
scope = "a b"
hosts = ["api.nersc.gov", "*.example.org:6443"]
alg = "RS256"
kid = "key \"1\""
fingerprint = "SHA256:abc"
store = "keychain"
key_id = "aaaabbbbccccddddeeeeffff22"
expires = 2026-11-25T10:20:30Z
cache = "none"
ca_file = "/etc/ca.pem"

[profile.nersc.pending]
store = "file"
key_id = "bbbbccccddddeeee"
fingerprint = "SHA256:jkl"
alg = "ES256"

[profile.pass]
client_id = "ffff"
token_url = "https://x.example/token"
hosts = []
store = "command"
command = "pass show nersc"
shell = true
`

func fullProfiles() *helper.Config {
	return &helper.Config{
		Default:    "nersc",
		Unfinished: []string{"keychain:aaaa", "file:bbbb"},
		Profiles: map[string]*helper.Profile{
			"nersc": {
				ClientID: "aaaabbbbcccc1", TokenURL: "https://oidc.nersc.gov/c2id/token",
				APIURL: "https://api.nersc.gov/api/v1.2", Audience: "https://issuer.example", AllowForeignAudience: true,
				Scope: "a b", Hosts: []string{"api.nersc.gov", "*.example.org:6443"}, Alg: "RS256", KID: `key "1"`,
				Fingerprint: "SHA256:abc", Store: "keychain", KeyID: "aaaabbbbccccddddeeeeffff22",
				Expires: time.Date(2026, 11, 25, 10, 20, 30, 0, time.UTC), Cache: "none", CAFile: "/etc/ca.pem",
				Pending: &helper.Pending{Store: "file", KeyID: "bbbbccccddddeeee", Fingerprint: "SHA256:jkl", Alg: "ES256"},
			},
			"agent": {ClientID: "eeee", TokenURL: "https://x.example/token", Hosts: []string{}, Store: "ssh-agent", Fingerprint: "SHA256:def"},
			"pass":  {ClientID: "ffff", TokenURL: "https://x.example/token", Hosts: []string{}, Store: "command", Command: "pass show nersc", Shell: true},
			"made":  {Pending: &helper.Pending{Store: "keychain", KeyID: "ddddeeeeffffgggg", Fingerprint: "SHA256:ghi"}},
			"ci":    {ClientID: "ccccdddd", TokenURL: "http://127.0.0.1:8080/token", Hosts: []string{}, Store: "pem", KeyFile: "/run/secrets/key.pem"},
		},
	}
}

// TestConfigText pins the file to the byte: sorted, and without what is zero.
func TestConfigText(t *testing.T) {
	if got := string(must(fullProfiles().Text())); got != fullConfig {
		t.Errorf("got:\n%s\nwant:\n%s", got, fullConfig)
	}
	got, err := helper.ParseConfig("config.toml", []byte(fullConfig))
	if err != nil {
		t.Fatal(err)
	}
	if want := fullProfiles(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got.Profiles["nersc"], want.Profiles["nersc"])
	}
}

func TestParseConfig(t *testing.T) {
	const profile = "[profile.a]\nclient_id = \"x\"\n"
	tests := map[string]struct {
		text string
		line int    // of the error; -1: there is none
		want string // in its words
	}{
		"empty":                {"", -1, ""},
		"a comment":            {"# hello\r\n", -1, ""},
		"a name with a dot":    {"[profile.\"a.b\"]\n", -1, ""},
		"unknown at the top":   {"defualt = \"a\"\n", 1, `unknown key "defualt"`},
		"unknown in a profile": {profile + "host = [\"x\"]\n", 3, `unknown key "profile.a.host"`},
		"unknown table":        {"\n[profiles.a]\nclient_id = \"x\"\n", 2, "unknown key"},
		"unknown twice named":  {profile + "[profile.b]\n# x = 1\nx = 1\n", 5, `unknown key "profile.b.x"`},
		"no value":             {profile + "store =\n", 3, "at start of value"},
		"not closed":           {"default = \"a\n", 1, ""},
		"not TOML":             {"{\"default\": 1}\n", 1, ""},
		"key twice":            {profile + "client_id = \"y\"\n", 3, "client_id"},
		"table twice":          {profile + profile, 3, "profile.a"},
		"a number for text":    {profile + "token_url = 5\n", 3, "wants a string"},
		"text for a list":      {profile + "hosts = \"x\"\n", 3, "wants a list of strings"},
		"numbers in a list":    {profile + "hosts = [1]\n", 3, "wants a list of strings"},
		"text for a switch":    {profile + "allow_foreign_audience = \"yes\"\n", 3, "wants true or false"},
		"text for a time":      {profile + "expires = \"soon\"\n", 3, ""},
		"an hour of one digit": {profile + "expires = 2026-11-25 0:20:30Z\n", 3, ""},
		"text for profiles":    {"profile = \"x\"\n", 1, ""},
		"text for a profile":   {"[profile]\na = \"x\"\n", 2, ""},
		"a name with a slash":  {"[profile.\"a/b\"]\n", 1, "profile name"},
		"an empty name":        {"[profile.\"\"]\n", 1, "profile name"},
		"an inline table":      {"profile = { a = { client_id = \"x\", hosts = [] } }\n", -1, ""},
		"a dotted key":         {"profile.a.client_id = \"x\"\n", -1, ""},
		"a pending key":        {profile + "[profile.a.pending]\nstore = \"file\"\nkey_id = \"y\"\n", -1, ""},
		"a pending key inline": {profile + "pending = { store = \"file\" }\n", -1, ""},
		"a pending key alone":  {"[profile.a.pending]\nstore = \"file\"\n", -1, ""},
		"pending twice":        {profile + "[profile.a.pending]\n[profile.a.pending]\n", 4, "profile.a.pending"},
		"unknown in pending":   {profile + "[profile.a.pending]\nclient_id = \"y\"\n", 4, `unknown key "profile.a.pending.client_id"`},
		"text for pending":     {profile + "pending = \"x\"\n", 3, "wants a table"},
		"another table":        {profile + "[profile.a.other]\n", 3, "unknown key"},
		"a list of tables":     {"[[profile]]\n", 1, "unknown key"},
		"no UTF-8":             {"default = \"\xff\"\n", 1, ""},
		"NUL":                  {"default = \"\x00\"\n", 1, ""},
		"an escape":            {"\x1b[31m = 1\n", 1, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := helper.ParseConfig("x.toml", []byte(tt.text))
			if tt.line < 0 {
				if err != nil || c.Profiles == nil {
					t.Fatalf("got %v, %v, want a config with a map", c, err)
				}
				return
			}
			var wrong *helper.ConfigError
			if !errors.As(err, &wrong) || c != nil {
				t.Fatalf("got %v, %v, want a ConfigError", c, err)
			}
			if wrong.Path != "x.toml" || wrong.Line != tt.line || !strings.Contains(wrong.Problem, tt.want) {
				t.Errorf("got %q (line %d), want line %d and %q", err, wrong.Line, tt.line, tt.want)
			}
			prefix := "config file x.toml: "
			if tt.line > 0 {
				prefix = fmt.Sprintf("config file x.toml, line %d: ", tt.line)
			}
			if !strings.HasPrefix(err.Error(), prefix) || strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("got %q, want one plain line that begins with %q", err, prefix)
			}
		})
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "config.toml")
	file := helper.ConfigFile(path)
	if c, err := file.Load(); err != nil || c.Profiles == nil || len(c.Profiles) != 0 {
		t.Errorf("missing: got %+v, %v, want an empty config", c, err)
	}
	check(t, file.Update(t.Context(), func(c *helper.Config) error { *c = *fullProfiles(); return nil }))
	if info := must(os.Stat(path)); info.Mode().Perm() != 0o600 && filepath.Separator == '/' {
		t.Errorf("got mode %s, want 0600", info.Mode())
	}
	if text := must(os.ReadFile(path)); string(text) != fullConfig {
		t.Errorf("got:\n%s\nwant:\n%s", text, fullConfig)
	}
	if c := must(file.Load()); !reflect.DeepEqual(c, fullProfiles()) {
		t.Errorf("got %+v, want what was written", c)
	}
	// What change refuses is not written.
	no := errors.New("no")
	if err := file.Update(t.Context(), func(c *helper.Config) error { c.Default = "x"; return no }); !errors.Is(err, no) {
		t.Errorf("got %v, want %v", err, no)
	}
	if text := must(os.ReadFile(path)); string(text) != fullConfig {
		t.Error("got the file changed, want it as it was")
	}
	// What is wrong is neither read nor replaced.
	check(t, os.WriteFile(path, []byte("x = 1\n"), 0o600))
	var wrong *helper.ConfigError
	err := file.Update(t.Context(), func(*helper.Config) error { t.Error("change was called"); return nil })
	if !errors.As(err, &wrong) || wrong.Path != path || wrong.Line != 1 {
		t.Errorf("got %v, want a ConfigError with path and line", err)
	}
	if text := must(os.ReadFile(path)); string(text) != "x = 1\n" {
		t.Error("got the file changed, want it as it was")
	}
	check(t, os.Remove(path))
	check(t, os.Mkdir(path, 0o700))
	if _, err := file.Load(); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("directory: got %v, want an error", err)
	}
}

// TestConfigLimit wants no file read that is larger, and none written that
// could not be read again.
func TestConfigLimit(t *testing.T) {
	file := helper.ConfigFile(filepath.Join(t.TempDir(), "config.toml"))
	comment := func(n int) []byte { return append(bytes.Repeat([]byte("#"), n-1), '\n') }
	check(t, os.WriteFile(string(file), comment(1<<20), 0o600))
	if _, err := file.Load(); err != nil {
		t.Errorf("1 MiB: %v", err)
	}
	check(t, os.WriteFile(string(file), comment(1<<20+1), 0o600))
	if _, err := file.Load(); err == nil || !strings.Contains(err.Error(), "larger than 1048576 bytes") {
		t.Errorf("more than 1 MiB: got %v, want it refused", err)
	}
	check(t, os.Remove(string(file)))
	check(t, file.Update(t.Context(), func(c *helper.Config) error { c.Default = "small"; return nil }))
	err := file.Update(t.Context(), func(c *helper.Config) error { c.Default = strings.Repeat("x", 1<<20); return nil })
	if err == nil {
		t.Error("got no error, want a file that is too large not written")
	}
	if c, err := file.Load(); err != nil || c.Default != "small" {
		t.Errorf("got %v, want the file as it was", err)
	}
}

// TestUpdateTogether loses no change of any of those who write at once. Each
// has a lock of its own: they exclude each other as processes do.
func TestUpdateTogether(t *testing.T) {
	file := helper.ConfigFile(filepath.Join(t.TempDir(), "config.toml"))
	var group sync.WaitGroup
	for i := range 30 {
		group.Go(func() {
			err := file.Update(within(t, 20*time.Second), func(c *helper.Config) error {
				c.Profiles[fmt.Sprintf("p%d", i)] = &helper.Profile{ClientID: "x"}
				return nil
			})
			if err != nil {
				t.Errorf("got %v", err)
			}
		})
	}
	group.Wait()
	if got := len(must(file.Load()).Profiles); got != 30 {
		t.Errorf("got %d profiles, want 30", got)
	}
}

// TestUpdateWaits ends with its context where another has the lock.
func TestUpdateWaits(t *testing.T) {
	file := helper.ConfigFile(filepath.Join(t.TempDir(), "config.toml"))
	err := file.Update(t.Context(), func(*helper.Config) error {
		soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := file.Update(soon, func(*helper.Config) error { return nil }); err == nil || !strings.HasSuffix(err.Error(), "another command has held it all the time") {
			t.Errorf("got %v, want the lock named", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestOrphans(t *testing.T) {
	c := fullProfiles()
	c.Unfinished = []string{"keychain:aaaabbbbccccddddeeeeffff22", "file:aaaabbbbccccddddeeeeffff22", "none"}
	// The same ID in another store is another key.
	got, want := c.Orphans(), []keychain.Ref{{Store: "file", ID: "aaaabbbbccccddddeeeeffff22"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestProfileCheck(t *testing.T) {
	tests := map[string]struct {
		change func(*helper.Profile)
		want   string // "": it is good
	}{
		"as it is":                {func(*helper.Profile) {}, ""},
		"no hosts":                {func(p *helper.Profile) { p.Hosts = nil }, ""},
		"no API":                  {func(p *helper.Profile) { p.APIURL = "" }, ""},
		"no client ID":            {func(p *helper.Profile) { p.ClientID = "" }, "the client ID is empty"},
		"a blank in the ID":       {func(p *helper.Profile) { p.ClientID = "a b" }, "the client ID has blanks"},
		"a quote in the ID":       {func(p *helper.Profile) { p.ClientID = `"a"` }, "the client ID has blanks"},
		"an ID too long":          {func(p *helper.Profile) { p.ClientID = strings.Repeat("a", 257) }, "longer than 256"},
		"no token URL":            {func(p *helper.Profile) { p.TokenURL = "" }, "token URL: it is empty"},
		"http":                    {func(p *helper.Profile) { p.TokenURL = "http://oidc.nersc.gov/" }, "plain http is only for this machine"},
		"a secret in the URL":     {func(p *helper.Profile) { p.TokenURL = "https://u:sekret@oidc.nersc.gov/" }, "user info is refused"},
		"a fragment":              {func(p *helper.Profile) { p.TokenURL += "#x" }, "a fragment has no meaning here"},
		"http for the API":        {func(p *helper.Profile) { p.APIURL = "http://api.nersc.gov/" }, "API URL: "},
		"a bad host":              {func(p *helper.Profile) { p.Hosts = []string{"api.nersc.gov", "*"} }, `host "*"`},
		"a cache that is not":     {func(p *helper.Profile) { p.Cache = "off" }, `cache "off": the only value is "none"`},
		"cache none":              {func(p *helper.Profile) { p.Cache = "none" }, ""},
		"audience":                {func(p *helper.Profile) { p.Audience = "https://oidc.nersc.gov/c2id" }, ""},
		"audience with a port":    {func(p *helper.Profile) { p.Audience = "https://oidc.nersc.gov:443/c2id" }, ""},
		"audience elsewhere":      {func(p *helper.Profile) { p.Audience = "https://evil.example/c2id" }, "the assertion would be a credential elsewhere"},
		"audience below":          {func(p *helper.Profile) { p.Audience = "https://x.oidc.nersc.gov/" }, "the assertion would be a credential elsewhere"},
		"audience, another port":  {func(p *helper.Profile) { p.Audience = "https://oidc.nersc.gov:8443/" }, "the assertion would be a credential elsewhere"},
		"audience that is no URL": {func(p *helper.Profile) { p.Audience = "urn:x" }, "the assertion would be a credential elsewhere"},
		"unknown store":           {func(p *helper.Profile) { p.Store = "floppy" }, `unknown key store "floppy"`},
		"unknown store, of a key that waits": {func(p *helper.Profile) {
			p.Store, p.Pending = "file", &helper.Pending{Store: "floppy"}
		}, `unknown key store "floppy"`},
		"known stores": {func(p *helper.Profile) {
			p.Store, p.Pending = "ssh-agent", &helper.Pending{Store: "keychain"}
		}, ""},
		"audience elsewhere, allowed": {func(p *helper.Profile) {
			p.Audience, p.AllowForeignAudience = "urn:x", true
		}, ""},
	}
	for name, tt := range tests {
		p := helper.Profile{
			ClientID: clientID, TokenURL: "https://oidc.nersc.gov/c2id/token",
			APIURL: "https://api.nersc.gov/api/v1.2", Hosts: []string{"api.nersc.gov"},
		}
		tt.change(&p)
		err := p.Check()
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "sekret") {
			t.Errorf("%s: got the secret in %q", name, err)
		}
		foreign := strings.Contains(tt.want, "elsewhere")
		if errors.Is(err, helper.ErrForeignAudience) != foreign {
			t.Errorf("%s: got %v, want ErrForeignAudience: %v", name, err, foreign)
		}
	}
}

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{
		"nersc": true, "nersc-dev": true, "a.b_c-1": true, "9": true, strings.Repeat("a", 64): true,
		"": false, "a b": false, "a/b": false, "../a": false, ".a": false, "-a": false, "_a": false,
		"a\n": false, "ü": false, "a\"b": false, strings.Repeat("a", 65): false,
	} {
		if err := helper.CheckName(name); (err == nil) != ok {
			t.Errorf("%q: got %v, want good: %v", name, err, ok)
		}
	}
}

func TestSites(t *testing.T) {
	for _, site := range helper.Sites() {
		p := helper.Profile{ClientID: "x", TokenURL: site.TokenURL, APIURL: site.APIURL, Hosts: site.Hosts}
		if err := p.Check(); err != nil {
			t.Errorf("%s: %v", site.Name, err)
		}
		if _, err := p.CheckHost(p.APIURL); err != nil {
			t.Errorf("%s: its own API: %v", site.Name, err)
		}
		if got, ok := helper.FindSite(site.Name); !ok || got.TokenURL != site.TokenURL || helper.CheckName(site.Name) != nil {
			t.Errorf("%s: got %+v, %v", site.Name, got, ok)
		}
	}
	if helper.Sites()[0].Name != "nersc" {
		t.Errorf("got default %s, want nersc", helper.Sites()[0].Name)
	}
	if got, ok := helper.FindSite("x"); ok {
		t.Errorf("got %+v, want none", got)
	}
}

// wantMeant wants the config to say what a whole reader of TOML makes of the text.
func wantMeant(t *testing.T, text []byte, c *helper.Config) {
	t.Helper()
	var meant struct {
		Default, Unfinished any
		Profile             map[string]map[string]any
	}
	if err := toml.Unmarshal(text, &meant); err != nil {
		t.Fatalf("%q is taken, and is no TOML: %v", text, err)
	}
	if len(c.Profiles) != len(meant.Profile) {
		t.Fatalf("%q: got %q", text, c.Names())
	}
	for name, p := range c.Profiles {
		for key, value := range map[string]string{
			"client_id": p.ClientID, "token_url": p.TokenURL, "api_url": p.APIURL, "audience": p.Audience, "scope": p.Scope, "kid": p.KID,
			"fingerprint": p.Fingerprint, "store": p.Store, "key_id": p.KeyID, "key_file": p.KeyFile, "command": p.Command, "ca_file": p.CAFile,
		} {
			if said, ok := meant.Profile[name][key]; ok && said != value || !ok && value != "" {
				t.Fatalf("%q: got %s %q, want %q", text, key, value, said)
			}
		}
		if hosts, _ := meant.Profile[name]["hosts"].([]any); fmt.Sprint(hosts) != fmt.Sprint(p.Hosts) {
			t.Fatalf("%q: got hosts %q, want %q", text, p.Hosts, hosts)
		}
		if shell, _ := meant.Profile[name]["shell"].(bool); shell != p.Shell {
			t.Fatalf("%q: got shell %v, want %v", text, p.Shell, shell)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(fullConfig))
	for _, s := range []string{"", "x = 1", "[profile.a]\nhosts = ['a\tb']\nexpires = 2026-01-02", "profile.a.kid = \"\\u0000\\U0010ffff\"",
		"[profile.\"a.b\"]\nkid = '''\n\\'''", "expires = 0001-01-01T00:00:00Z", "[profile.a]\nexpires = 2026-01-02T03:04:05.678+23:59", "Default = 'x'\ndefault = 'y'"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := helper.ParseConfig("x", text)
		if err != nil {
			if wrong := (*helper.ConfigError)(nil); !errors.As(err, &wrong) || c != nil {
				t.Fatalf("got %v, %v, want a ConfigError alone", c, err)
			}
			return
		}
		wantMeant(t, text, c)
		written, err := c.Text()
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := helper.ParseConfig("x", written)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, written)
		}
		if rewritten := must(again.Text()); !bytes.Equal(rewritten, written) {
			t.Fatalf("got\n%s\nwant\n%s", rewritten, written)
		}
		for name, p := range c.Profiles {
			q := *again.Profiles[name]
			if !q.Expires.Equal(p.Expires) {
				t.Fatalf("%s: got expiry %s, want %s", name, q.Expires, p.Expires)
			}
			q.Expires = p.Expires
			if len(p.Hosts) == 0 {
				q.Hosts = p.Hosts // a missing list is an empty one
			}
			if !reflect.DeepEqual(q, *p) {
				t.Fatalf("%s: got %+v, want %+v", name, q, *p)
			}
		}
	})
}
