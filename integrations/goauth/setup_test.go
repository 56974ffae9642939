package goauth_test

import (
	"path/filepath"
	"slices"
	"testing"

	"sfcred/integrations/goauth"
	"sfcred/integrations/setup"
)

var entry = setup.Entry{Profile: "lab", Program: "sfcred"}

const ours = "sfcred --profile lab helper go"

// What Add makes of a value; Remove gives it back each time, and "" for the one
// that is not set.
func TestAddAndRemove(t *testing.T) {
	tests := []struct{ name, value, want, back string }{
		{"not set", "netrc", ours + "; netrc", ""},
		{"empty", "", ours + "; netrc", ""},
		{"a command", "/bin/other -x;netrc", ours + "; /bin/other -x;netrc", "/bin/other -x;netrc"},
		{"git", "git /home/x", ours + "; git /home/x", "git /home/x"},
		{"another profile", "sfcred --profile x helper go; netrc", ours + "; sfcred --profile x helper go; netrc", "sfcred --profile x helper go; netrc"},
	}
	for _, tt := range tests {
		got, err := goauth.Add(tt.value, entry)
		if err != nil || got != tt.want {
			t.Errorf("%s: got %q, %v, want %q", tt.name, got, err, tt.want)
		}
		if again, err := goauth.Add(got, entry); err != nil || again != got {
			t.Errorf("%s, again: got %q, %v", tt.name, again, err)
		}
		if back := goauth.Remove(got, entry); back != tt.back {
			t.Errorf("%s, removed: got %q, want %q", tt.name, back, tt.back)
		}
	}
}

// Ours is brought up to date where it stands.
func TestAddReplaces(t *testing.T) {
	for value, want := range map[string]string{
		"netrc; /old/sfcred --profile lab helper go": "netrc; " + ours,
		"sfcred-go --profile lab;netrc":              ours + ";netrc",
		"netrc;" + ours:                              "netrc;" + ours,
	} {
		if got, err := goauth.Add(value, entry); err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", value, got, err, want)
		}
	}
}

// What has nothing of ours is not touched.
func TestRemoveNothing(t *testing.T) {
	for _, value := range []string{"netrc", "off", " git /x ; netrc", "sfcred --profile x helper go;netrc"} {
		if got := goauth.Remove(value, entry); got != value {
			t.Errorf("%q: got %q", value, got)
		}
	}
}

func TestAddQuotes(t *testing.T) {
	for program, want := range map[string]string{
		"/my bin/sfcred":      "'/my bin/sfcred' --profile lab helper go; netrc",
		"/it's/sfcred":        `"/it's/sfcred" --profile lab helper go; netrc`,
		`C:\bin\sfcred.exe`:   `C:\bin\sfcred.exe --profile lab helper go; netrc`,
		"/it's my bin/sfcred": `"/it's my bin/sfcred" --profile lab helper go; netrc`,
		"/a;b/sfcred":         "",
		`/a'"/sfcred`:         "",
	} {
		got, err := goauth.Add("netrc", setup.Entry{Profile: "lab", Program: program})
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q, %v, want %q", program, got, err, want)
		}
		if back := goauth.Remove(got, setup.Entry{Profile: "lab"}); back != "" && setup.Is(program, "sfcred") {
			t.Errorf("%s, removed: got %q", program, back)
		}
	}
}

func TestAddRefusesOff(t *testing.T) {
	if got, err := goauth.Add("off", entry); err == nil {
		t.Errorf("got %q", got)
	}
}

func TestCommands(t *testing.T) {
	if got, want := goauth.SetCommand("x; netrc"), []string{"env", "-w", "GOAUTH=x; netrc"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := goauth.SetCommand(""), []string{"env", "-u", "GOAUTH"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Whose tokens a value gives, each once; "" is the default profile's.
func TestProfiles(t *testing.T) {
	for value, want := range map[string][]string{
		"":                     {},
		"netrc; git /home/x":   {},
		ours + "; netrc":       {"lab"},
		"sfcred-go; " + ours:   {"", "lab"},
		ours + ";" + ours:      {"lab"},
		"sfcred token; sfcred": {},
	} {
		if got := goauth.Profiles(value); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", value, got, want)
		}
	}
}

func TestEnvPath(t *testing.T) {
	for want, env := range map[string]map[string]string{
		"/home/x/.config/go/env": {},
		"/xdg/go/env":            {"XDG_CONFIG_HOME": "/xdg"},
		"/elsewhere":             {"GOENV": "/elsewhere", "XDG_CONFIG_HOME": "/xdg"},
		"":                       {"GOENV": "off"},
	} {
		s := setup.System{Home: "/home/x", OS: "linux", Getenv: func(name string) string { return env[name] }}
		if got, err := goauth.EnvPath(s); err != nil || filepath.ToSlash(got) != want {
			t.Errorf("%v: got %q, %v, want %q", env, got, err, want)
		}
	}
}

func TestKept(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "GOPROXY=off\n": "", "#GOAUTH=x\n": "", "GOAUTH=\n": "",
		"GOPROXY=off\nGOAUTH=a b; netrc\n": "a b; netrc", "GOAUTH=a\r\nGOAUTH=b\r\n": "b", " GOAUTH=a\n": "", "GOAUTH=a": "a",
	} {
		if got := goauth.Kept([]byte(text)); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
