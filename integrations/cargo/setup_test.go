package cargo_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"

	"sfcred/integrations/cargo"
	"sfcred/integrations/setup"
	"sfcred/integrations/setup/setuptest"
)

var (
	entry = setup.Entry{Profile: "lab", Helper: "sfcred-cargo"}
	other = setup.Entry{Profile: "other", Helper: "sfcred-cargo"}
)

const (
	begin = "# >>> sfcred setup cargo --profile lab\n"
	end   = "# <<< sfcred setup"
	list  = "global-credential-providers = [\"cargo:token\", \"sfcred-cargo --profile lab\"]\n"
)

func TestText(t *testing.T) {
	if got, err := cargo.Setup().Text(entry); err != nil || got != "[registry]\n"+list {
		t.Errorf("got %q, %v", got, err)
	}
	windows := setup.Entry{Profile: "lab", Helper: `C:\bin\sfcred-cargo.exe`}
	want := "[registry]\nglobal-credential-providers = [\"cargo:token\", 'C:\\bin\\sfcred-cargo.exe --profile lab']\n"
	if got, err := cargo.Setup().Text(windows); err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	// Cargo would cut the path at the blank.
	if got, err := cargo.Setup().Text(setup.Entry{Profile: "lab", Helper: "/my bin/sfcred-cargo"}); err == nil {
		t.Errorf("a path with a blank: got %q", got)
	}
}

func TestAddAndRemove(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"nothing", "", begin + "[registry]\n" + list + end + "\n"},
		{
			"other tables", "[net] # mine\ngit-fetch-with-cli = true\n",
			"[net] # mine\ngit-fetch-with-cli = true\n" + begin + "[registry]\n" + list + end + "\n",
		},
		{"no line end", "[net]\nretry = 3", "[net]\nretry = 3\n" + begin + "[registry]\n" + list + end},
		{
			"the table", "[registry]  # mine\ndefault = \"lab\"\n\n[net]\n",
			"[registry]  # mine\n" + begin + list + end + "\ndefault = \"lab\"\n\n[net]\n",
		},
		{"the table alone", "[registry]", "[registry]\n" + begin + strings.TrimSuffix(list, "\n") + "\n" + end},
		{
			"the list", "[registry]\nglobal-credential-providers = [ \"cargo:libsecret\" ] # c\n",
			"[registry]\nglobal-credential-providers = [ \"cargo:libsecret\", \"sfcred-cargo --profile lab\" ] # c\n",
		},
		{
			"the list in lines", "[registry]\nglobal-credential-providers = [\n  'a', # c\n  \"b c\", # d\n]\n",
			"[registry]\nglobal-credential-providers = [\n  'a', # c\n  \"b c\", \"sfcred-cargo --profile lab\", # d\n]\n",
		},
		{
			"a registry", "[registries.lab]\nindex = \"sparse+https://x/\"\n",
			"[registries.lab]\nindex = \"sparse+https://x/\"\n" + begin + "[registry]\n" + list + end + "\n",
		},
		{
			"lines of Windows", "[net]\r\nretry = 3\r\n",
			"[net]\r\nretry = 3\r\n" + strings.ReplaceAll(begin+"[registry]\n"+list+end+"\n", "\n", "\r\n"),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { setuptest.Change(t, cargo.Setup(), entry, tt.text, tt.want) })
	}
}

// A second profile joins the list, and each can go first.
func TestTwoProfiles(t *testing.T) {
	for _, text := range []string{"", "[registry]\ndefault = \"x\"\n", "[registry]\nglobal-credential-providers = [\"a\"]\n"} {
		for _, order := range [][]setup.Entry{{entry, other}, {other, entry}} {
			got := []byte(text)
			for _, e := range []setup.Entry{entry, other} {
				var err error
				if got, err = cargo.Setup().Add(got, e); err != nil {
					t.Fatal(err)
				}
			}
			if n := bytes.Count(got, []byte("sfcred-cargo --profile")); n != 2 {
				t.Errorf("%q: %d entries in %q, want 2", text, n, got)
			}
			for _, e := range order {
				var err error
				if got, err = cargo.Setup().Remove(got, e); err != nil {
					t.Fatal(err)
				}
			}
			if string(got) != text {
				t.Errorf("%q: got %q at the end", text, got)
			}
		}
	}
}

// The link may have moved.
func TestAddReplaces(t *testing.T) {
	text := "[registry]\nglobal-credential-providers = [\"/old/sfcred-cargo --profile lab\", \"z\"]\n"
	want := "[registry]\nglobal-credential-providers = [\"sfcred-cargo --profile lab\", \"z\"]\n"
	if got, err := cargo.Setup().Add([]byte(text), entry); err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if got, err := cargo.Setup().Remove([]byte(text), entry); err != nil || string(got) != "[registry]\nglobal-credential-providers = [\"z\"]\n" {
		t.Errorf("removed: got %q, %v", got, err)
	}
}

func TestAddRefuses(t *testing.T) {
	tests := []struct{ name, text string }{
		{"no TOML", "[registry\n"},
		{"no TOML in the last line", "a = 1\nb = \n"},
		{"a table twice", "[registry]\n[registry]\n"},
		{"a key twice", "[net]\nretry = 1\nretry = 2\n"},
		{"a dotted key", "registry.default = \"lab\"\n"},
		{"an inline table", "registry = { default = \"lab\" }\n"},
		{"an empty list", "[registry]\nglobal-credential-providers = []\n"},
		{"no list", "[registry]\nglobal-credential-providers = \"a\"\n"},
		{"no strings", "[registry]\nglobal-credential-providers = [1]\n"},
		{"no text", "\xff"},
		{"half a block", begin},
	}
	for _, tt := range tests {
		if got, err := cargo.Setup().Add([]byte(tt.text), entry); err == nil {
			t.Errorf("%s: got %q", tt.name, got)
		}
	}
}

// With the head of ours would go what somebody wrote below it.
func TestRemoveRefuses(t *testing.T) {
	text := begin + "[registry]\n" + list + end + "\ndefault = \"lab\"\n"
	if got, err := cargo.Setup().Remove([]byte(text), entry); err == nil {
		t.Errorf("got %q", got)
	}
}

func TestPath(t *testing.T) {
	old := false
	home := ""
	s := setup.System{
		Home:   filepath.FromSlash("/home/x"),
		Getenv: func(name string) string { return map[string]string{"CARGO_HOME": home}[name] },
		Exists: func(string) bool { return old },
	}
	for _, tt := range []struct {
		home string
		old  bool
		want string
	}{
		{"", false, "/home/x/.cargo/config.toml"},
		{"", true, "/home/x/.cargo/config"},
		{filepath.FromSlash("/c"), false, "/c/config.toml"},
	} {
		old, home = tt.old, tt.home
		if got, err := cargo.Setup().Path(s); err != nil || filepath.ToSlash(got) != tt.want {
			t.Errorf("got %q, %v, want %q", got, err, tt.want)
		}
	}
}

func FuzzSetup(f *testing.F) {
	f.Add([]byte("[registry]\nglobal-credential-providers = [\n  'a', # c\n  \"b c\", # d\n]\n"))
	f.Add([]byte("[registry]\n[a]\nb = 1"))
	f.Add([]byte("a.b = '''x\ny'''\n[[c]]\n[[c]]\nd = {e = 1}\n"))
	f.Add([]byte(begin + "[registry]\n" + list + end))
	setuptest.RoundTrip(f, cargo.Setup(), entry, nil)
}

// What is added is, to a whole reader of TOML, the entry behind those that were
// there, and everything else is as it was.
func FuzzTOML(f *testing.F) {
	f.Add([]byte("[registry]\nglobal-credential-providers = [\n  'a', # c\n  \"b c\", # d\n]\n"))
	f.Add([]byte("[registry]\ndefault = \"x\"\n[net]\nretry = 0x3\n[[c]]\nd = 1979-05-27\n"))
	f.Add([]byte("[registry.a]\nb = '''\n[registry]\n'''\n"))
	f.Add([]byte("[a.b]\n[a]\nc.d = {e = [{}, 1e3, inf]}"))
	f.Add([]byte("\"registry\".x = 1\r\n[registries]\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var before, after map[string]any
		if toml.Unmarshal(text, &before) != nil {
			return
		}
		added, err := cargo.Setup().Add(text, entry)
		if err != nil {
			return
		}
		if err := toml.Unmarshal(added, &after); err != nil {
			t.Fatalf("%q became %q: %v", text, added, err)
		}
		want := []any{"cargo:token"}
		registry, _ := before["registry"].(map[string]any)
		if registry == nil {
			registry = map[string]any{}
		}
		if list, ok := registry["global-credential-providers"].([]any); ok {
			want = list
		}
		if names, _ := cargo.Setup().Profiles(text); slices.Contains(names, entry.Profile) {
			return // it is replaced
		}
		registry["global-credential-providers"] = append(slices.Clone(want), "sfcred-cargo --profile lab")
		before["registry"] = registry
		if got, want := fmt.Sprint(after), fmt.Sprint(before); got != want {
			t.Fatalf("%q became %q: got %s, want %s", text, added, got, want)
		}
	})
}

func TestProfiles(t *testing.T) {
	setuptest.Profiles(t, cargo.Setup(), entry, "", "[build]\njobs = 2\n")
}
