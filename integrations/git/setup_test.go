package git_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sfcred/integrations/git"
	"sfcred/integrations/setup"
)

var (
	entry = setup.Entry{Profile: "lab", Hosts: []string{"a.example.org", "*.b.example.org:8443"}, Program: "sfcred", Helper: git.Helper}
	keyA  = "credential.https://a.example.org.helper"
	keyB  = "credential.https://*.b.example.org:8443.helper"
)

// joined writes command lines so that they can be compared.
func joined(commands [][]string) string {
	var lines []string
	for _, c := range commands {
		lines = append(lines, strings.Join(c, "|"))
	}
	return strings.Join(lines, "\n")
}

func set(key, value string) string {
	return "config|--global|--replace-all|" + key + "|\nconfig|--global|--add|" + key + "|" + value
}

func TestCommands(t *testing.T) {
	want := set(keyA, "sfcred --profile lab") + "\n" + set(keyB, "sfcred --profile lab")
	if got := joined(git.Commands(entry)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// How the helper is called: by its name in PATH, by its path, or as sfcred with
// a config of its own.
func TestValue(t *testing.T) {
	tests := []struct {
		e    setup.Entry
		want string
	}{
		{setup.Entry{Helper: git.Helper}, "sfcred --profile lab"},
		{setup.Entry{Helper: "/opt/bin/git-credential-sfcred"}, "!/opt/bin/git-credential-sfcred --profile lab"},
		{setup.Entry{Helper: "/my bin/git-credential-sfcred"}, "!'/my bin/git-credential-sfcred' --profile lab"},
		{setup.Entry{Program: "sfcred", Config: "/c d/x"}, "!sfcred --config '/c d/x' --profile lab helper git"},
	}
	for _, tt := range tests {
		tt.e.Profile, tt.e.Hosts = "lab", []string{"a.example.org"}
		if got := joined(git.Commands(tt.e)); got != set(keyA, tt.want) {
			t.Errorf("got\n%s\nwant\n%s", got, set(keyA, tt.want))
		}
		// It is known again as the profile's.
		there := []git.Setting{{Key: keyA, Value: tt.want}}
		other := tt.e
		other.Profile, other.Hosts = "other", nil
		tt.e.Hosts = nil
		if got, want := git.Stale(there, tt.e), []string{keyA}; !slices.Equal(got, want) {
			t.Errorf("%s: stale: got %q, want %q", tt.want, got, want)
		}
		if got := git.Stale(there, other); got != nil {
			t.Errorf("%s: got %q for another profile", tt.want, got)
		}
	}
}

func TestMissing(t *testing.T) {
	const ours = "sfcred --profile lab"
	settings := func(pairs ...string) (all []git.Setting) {
		for i := 0; i < len(pairs); i += 2 {
			all = append(all, git.Setting{Key: pairs[i], Value: pairs[i+1]})
		}
		return all
	}
	a, b := set(keyA, ours), set(keyB, ours)
	tests := []struct {
		name   string
		there  []git.Setting
		want   string
		refuse bool
	}{
		{"nothing", nil, a + "\n" + b, false},
		{"all", settings(keyA, "", keyA, ours, keyB, "", keyB, ours), "", false},
		{"one", settings(keyA, "", keyA, ours), b, false},
		{"without the empty one", settings(keyA, ours, keyB, "", keyB, ours), a, false},
		{"twice", settings(keyA, "", keyA, ours, keyA, ours, keyB, "", keyB, ours), a, false},
		{"another profile's", settings(keyA, "", keyA, "sfcred --profile x", keyB, "", keyB, ours), a, false},
		{"by hand", settings(keyA, "", keyA, "!sfcred --profile lab helper git", keyB, "", keyB, "sfcred"), a + "\n" + b, false},
		{"another helper", settings(keyB, "store"), "", true},
		{"another helper beside ours", settings(keyA, "", keyA, ours, keyA, "!gh auth git-credential"), "", true},
		{"another helper for another host", settings("credential.https://x.helper", "store"), a + "\n" + b, false},
	}
	for _, tt := range tests {
		got, err := git.Missing(tt.there, entry)
		if joined(got) != tt.want || (err != nil) != tt.refuse {
			t.Errorf("%s: got\n%s\n%v, want\n%s", tt.name, joined(got), err, tt.want)
		}
	}
}

func TestUnset(t *testing.T) {
	ours := git.Setting{Key: keyA, Value: "sfcred --profile lab"}
	if got, want := joined([][]string{git.Unset([]git.Setting{{Key: keyA}, ours}, keyA, entry)}), "config|--global|--unset-all|"+keyA; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// What a person has added to the list stays.
	there := []git.Setting{{Key: keyA}, ours, {Key: keyA, Value: "store"}}
	if got, want := joined([][]string{git.Unset(there, keyA, entry)}), "config|--global|--unset-all|"+keyA+"|^sfcred --profile lab$"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// Ours goes by whatever path it was set.
	there = append(there, git.Setting{Key: keyA, Value: "!/old/git-credential-sfcred --profile lab"})
	want := "config|--global|--unset-all|" + keyA + `|^!/old/git-credential-sfcred --profile lab$|^sfcred --profile lab$`
	if got := joined([][]string{git.Unset(there, keyA, entry)}); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestEmpty(t *testing.T) {
	const head = "[credential \"https://a.example.org\"]"
	for text, want := range map[string]bool{
		"":                                  false,
		"[user]\n":                          false,
		"# c\n" + head + "\n":               true,
		"# c\n" + head:                      true,
		head + "\n\n[user]\n\tname = x\n":   true,
		head + "\r\n[user]\r\n":             true,
		head + "\n\tusername = x\n":         false,
		head + "\n# c\n[user]\n":            false,
		"[credential \"https://b\"]\n[a]\n": false,
	} {
		if got := git.Empty([]byte(text), keyA); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
	if got, want := strings.Join(git.RemoveSection(keyA), "|"), "config|--global|--remove-section|credential.https://a.example.org"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestParseSettings(t *testing.T) {
	const output = "file:/home/x/.gitconfig\x00credential.https://a.helper\n\x00file:/home/x/.gitconfig\x00credential.https://a.helper\nx\ny\x00"
	want := []git.Setting{
		{Key: "credential.https://a.helper", File: "/home/x/.gitconfig"},
		{Key: "credential.https://a.helper", Value: "x\ny", File: "/home/x/.gitconfig"},
	}
	if got, err := git.ParseSettings([]byte(output)); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if got, err := git.ParseSettings(nil); err != nil || got != nil {
		t.Errorf("nothing: got %q, %v", got, err)
	}
	if got, err := git.ParseSettings([]byte("x\x00y\nz\x00a\x00")); err == nil {
		t.Errorf("half a pair: got %q", got)
	}
}

func TestParseVersion(t *testing.T) {
	tests := []struct {
		output, version string
		bearer, fails   bool
	}{
		{"git version 2.39.5\n", "2.39.5", false, false},
		{"git version 2.39.5 (Apple Git-154)\n", "2.39.5", false, false},
		{"git version 2.46.0\n", "2.46.0", true, false},
		{"git version 2.47.1.windows.2\n", "2.47.1.windows.2", true, false},
		{"git version 3.0.0-rc1\n", "3.0.0-rc1", true, false},
		{"hub version 2.14\n", "", false, true},
		{"git version x\n", "", false, true},
		{"", "", false, true},
	}
	for _, tt := range tests {
		version, bearer, err := git.ParseVersion([]byte(tt.output))
		if version != tt.version || bearer != tt.bearer || (err != nil) != tt.fails {
			t.Errorf("%q: got %q, %v, %v", tt.output, version, bearer, err)
		}
	}
}

func TestUses(t *testing.T) {
	for value, want := range map[string]bool{
		"sfcred --profile lab": true, "!/opt/git-credential-sfcred": true, "!sfcred helper git": false, "store": false, "": false, "!'open": false,
	} {
		if got := git.Uses([]git.Setting{{Key: keyA, Value: value}}); got != want {
			t.Errorf("%q: got %v, want %v", value, got, want)
		}
	}
}

// Whose tokens the settings give, each once; a helper of another's is not ours.
func TestProfiles(t *testing.T) {
	setting := func(value string) git.Setting {
		return git.Setting{Key: "credential.https://x.example.helper", Value: value}
	}
	for want, values := range map[string][]string{
		"[]":             {"", "store", "/usr/bin/git-credential-libsecret", "!sfcred token"},
		`["lab"]`:        {"", "sfcred --profile lab", "sfcred --profile lab"},
		`["" "a" "lab"]`: {"sfcred --profile lab", "!sfcred --config /x --profile a helper git", "sfcred"},
	} {
		var settings []git.Setting
		for _, v := range values {
			settings = append(settings, setting(v))
		}
		if got := fmt.Sprintf("%q", git.Profiles(settings)); got != want {
			t.Errorf("%q: got %s, want %s", values, got, want)
		}
	}
}
