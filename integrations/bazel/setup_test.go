package bazel_test

import (
	"bytes"
	"slices"
	"testing"

	"sfcred/integrations/bazel"
	"sfcred/integrations/setup"
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
		got, err := bazel.Setup().Add([]byte(text), entry)
		if err != nil || string(got) != want {
			t.Errorf("%q: got %q, %v, want %q", text, got, err, want)
		}
		if again, err := bazel.Setup().Add(got, entry); err != nil || !bytes.Equal(again, got) {
			t.Errorf("%q, again: got %q, %v", text, again, err)
		}
		if back, err := bazel.Setup().Remove(got, entry); err != nil || string(back) != text {
			t.Errorf("%q, removed: got %q, %v", text, back, err)
		}
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
	f.Fuzz(func(t *testing.T, text []byte) {
		before, err := bazel.Setup().Remove(text, entry)
		if err != nil {
			return
		}
		got, err := bazel.Setup().Add(before, entry)
		if err != nil {
			return
		}
		if !bytes.HasPrefix(got, before) {
			t.Errorf("%q: became %q", before, got)
		}
		if back, err := bazel.Setup().Remove(got, entry); err != nil || !bytes.Equal(back, before) {
			t.Errorf("%q: became %q, and then %q, %v", before, got, back, err)
		}
	})
}

// What was added is seen, and nothing where there is nothing.
func TestProfiles(t *testing.T) {
	tool := bazel.Setup()
	for _, text := range []string{"", "build --jobs=2\n"} {
		if got, err := tool.Profiles([]byte(text)); err != nil || len(got) != 0 {
			t.Errorf("%q: got %q, %v, want none", text, got, err)
		}
		added, err := tool.Add([]byte(text), entry)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tool.Profiles(added); err != nil || !slices.Equal(got, []string{entry.Profile}) {
			t.Errorf("%q: got %q, %v, want the profile", added, got, err)
		}
	}
}
