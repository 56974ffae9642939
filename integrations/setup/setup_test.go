package setup_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"sfcred/integrations/setup"
)

func TestCommand(t *testing.T) {
	e := setup.Entry{Profile: "lab", Program: "sfcred", Path: "/opt/my bin/sfcred"}
	tests := []struct {
		got  []string
		want string
	}{
		{e.Command("helper", "go"), "sfcred|--profile|lab|helper|go"},
		{e.PathCommand("token"), "/opt/my bin/sfcred|--profile|lab|token"},
		{setup.Entry{Profile: "lab", Program: "sfcred", Config: "/x y/c"}.Command("token"), "sfcred|--config|/x y/c|--profile|lab|token"},
	}
	for _, tt := range tests {
		if got := strings.Join(tt.got, "|"); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}

func TestHost(t *testing.T) {
	for url, want := range map[string]string{
		"":                             "HOST",
		"https://api.example.org/v1/x": "api.example.org",
		"http://127.0.0.1:8080":        "127.0.0.1:8080",
		"https://[::1]:8443/":          "[::1]:8443",
	} {
		if got := (setup.Entry{URL: url}).Host(); got != want {
			t.Errorf("%q: got %q, want %q", url, got, want)
		}
	}
}

func TestShellWords(t *testing.T) {
	tests := []struct {
		line string
		want []string
	}{
		{"", nil},
		{"sfcred  --profile\tlab ", []string{"sfcred", "--profile", "lab"}},
		{`'/opt/my bin/sfcred' "a b" c\ d`, []string{"/opt/my bin/sfcred", "a b", "c d"}},
		{`a'b'"c"`, []string{"abc"}},
		{`'' x`, []string{"", "x"}},
		{`'a\b'`, []string{`a\b`}},
		{`'open`, nil},
		{`open\`, nil},
	}
	for _, tt := range tests {
		if got := setup.ShellWords(tt.line); !slices.Equal(got, tt.want) {
			t.Errorf("%q: got %q, want %q", tt.line, got, tt.want)
		}
	}
}

// What ShellLine writes, ShellWords reads.
func FuzzShellLine(f *testing.F) {
	f.Add("sfcred", "/opt/my bin/it's")
	f.Add("", "\\")
	f.Fuzz(func(t *testing.T, a, b string) {
		if !utf8.ValidString(a) || !utf8.ValidString(b) {
			return // no path that is written in a text
		}
		words := []string{a, b}
		if got := setup.ShellWords(setup.ShellLine(words)); !slices.Equal(got, words) {
			t.Errorf("%q: written %s, read %q", words, setup.ShellLine(words), got)
		}
	})
}

func TestIs(t *testing.T) {
	for word, want := range map[string]bool{
		"sfcred": true, "/usr/bin/sfcred": true, `C:\bin\sfcred.exe`: true, "sfcred-go": false, "mysfcred": false, "": false,
	} {
		if got := setup.Is(word, "sfcred"); got != want {
			t.Errorf("%q: got %v, want %v", word, got, want)
		}
	}
}

func TestProfileOf(t *testing.T) {
	for line, want := range map[string]string{
		"":                             "",
		"helper git":                   "",
		"--profile lab helper git":     "lab",
		"-p lab get":                   "lab",
		"--config c --profile=x token": "x",
		"--profile":                    "",
	} {
		if got := setup.ProfileOf(strings.Fields(line)); got != want {
			t.Errorf("%q: got %q, want %q", line, got, want)
		}
	}
}

func TestCheckText(t *testing.T) {
	for text, ok := range map[string]bool{"": true, "a\n": true, "ä": true, "a\x00b": false, "\xff\xfea": false} {
		if err := setup.CheckText([]byte(text)); (err == nil) != ok {
			t.Errorf("%q: got %v", text, err)
		}
	}
}
