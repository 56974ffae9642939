package bazel_test

import (
	"bytes"
	"slices"
	"testing"

	"sfcred/integrations/bazel"
	"sfcred/integrations/setup"
	"sfcred/integrations/setup/setuptest"
)

var entry = setup.Entry{Profile: "lab", Hosts: []string{"cache.example.org", "*.build.example.org:8443"}, Helper: "sfcred-bazel"}

const lines = `common --credential_helper=cache.example.org=sfcred-bazel
common --credential_helper=*.build.example.org=sfcred-bazel
`

func TestText(t *testing.T) {
	if got, err := bazel.Setup().Text(entry); err != nil || got != lines {
		t.Errorf("got %q, %v, want %q", got, err, lines)
	}
}

// Bazel's own pattern takes names with a dot, and nothing else; for any other it
// fails each command.
func TestDomains(t *testing.T) {
	got, err := bazel.Domains([]string{"a.example.org", "a.example.org:8443", "localhost", "127.0.0.1:80", "[::1]:443", "*.x.example.org", "intranet"})
	if want := []string{"a.example.org", "127.0.0.1", "*.x.example.org"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestTextRefuses(t *testing.T) {
	for _, e := range []setup.Entry{
		{Profile: "lab", Hosts: []string{"localhost", "[::1]"}, Helper: "sfcred-bazel"},
		{Profile: "lab", Hosts: []string{"a.example.org"}, Helper: `/opt/a"b/sfcred-bazel`},
		{Profile: "lab", Hosts: []string{"a.example.org"}, Helper: `/opt/a\b/sfcred-bazel`},
	} {
		if got, err := bazel.Setup().Text(e); err == nil {
			t.Errorf("%+v: got %q", e, got)
		}
	}
}

func TestPathIsQuoted(t *testing.T) {
	e := setup.Entry{Profile: "lab", Hosts: []string{"a.example.org"}, Helper: "/opt/my bin/sfcred-bazel"}
	want := "common \"--credential_helper=a.example.org=/opt/my bin/sfcred-bazel\"\n"
	if got, err := bazel.Setup().Text(e); err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

const block = "# >>> sfcred setup bazel --profile lab\n" + lines + "# <<< sfcred setup"

func TestAddAndRemove(t *testing.T) {
	for text, want := range map[string]string{
		"":                                  block + "\n",
		"build --config=ci\n":               "build --config=ci\n" + block + "\n",
		"# mine\n\nbuild --jobs=2":          "# mine\n\nbuild --jobs=2\n" + block,
		"build \\\n  --jobs=2\n":            "build \\\n  --jobs=2\n" + block + "\n",
		"try-import %workspace%/user.rc\n#": "try-import %workspace%/user.rc\n#\n" + block,
	} {
		setuptest.Change(t, bazel.Setup(), entry, text, want)
	}
}

// A line that goes on would take in ours, in a comment too.
func TestAddRefuses(t *testing.T) {
	for _, text := range []string{"build \\\n", "build \\", "# comment \\\r\n", "a\x00\n", "# >>> sfcred setup bazel --profile lab\n"} {
		if got, err := bazel.Setup().Add([]byte(text), entry); err == nil {
			t.Errorf("%q: got %q", text, got)
		}
	}
}

func FuzzSetup(f *testing.F) {
	f.Add([]byte("build --jobs=2\n"))
	f.Add([]byte("build \\"))
	f.Add([]byte(block))
	setuptest.RoundTrip(f, bazel.Setup(), entry, bytes.HasPrefix)
}

func TestProfiles(t *testing.T) {
	setuptest.Profiles(t, bazel.Setup(), entry, "", "build --jobs=2\n")
}
