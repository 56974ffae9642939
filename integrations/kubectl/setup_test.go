package kubectl_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sfcred/integrations/kubectl"
)

func TestYAML(t *testing.T) {
	e := kubectl.Entry{User: "sfcred-nersc", Command: "sfcred-kubectl", Args: []string{"--profile", "nersc"}}
	const want = `users:
- name: "sfcred-nersc"
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: "sfcred-kubectl"
      args:
      - "--profile"
      - "nersc"
      interactiveMode: Never
      provideClusterInfo: true
      installHint: sfcred gives the token for this cluster; it has to be on this machine
`
	if got := e.YAML(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// The entry reads back as it was written, whatever is in a path: blanks,
// quotes, what YAML would take for a list, a comment or a number.
func TestYAMLReadsBack(t *testing.T) {
	for _, odd := range []string{
		"plain", "with blank", `with "quotes" and 'ticks'`, `C:\Users\x\sfcred.exe`, "# comment", "- item",
		"key: value", "yes", "0x10", "{a: b}", "line\nbreak", "tab\t", "Ünïcode", "\U0001f511", "&anchor", "%directive", "",
	} {
		e := kubectl.Entry{User: odd, Command: odd, Args: []string{"--profile", odd, odd}}
		got, err := readEntry(e.YAML())
		if err != nil || got.User != odd || got.Command != odd || !slices.Equal(got.Args, e.Args) {
			t.Errorf("%q: got %+v, %v", odd, got, err)
		}
	}
}

// readEntry reads the YAML that an Entry writes, as a YAML parser would: lines
// of a name and a double-quoted scalar, whose escapes YAML 1.2 section 5.7
// shares with Go but for \x, which is a code point there.
func readEntry(text string) (e kubectl.Entry, err error) {
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), `"`)
		unquote := func() (s string) {
			s, err = strconv.Unquote(`"` + value)
			if err != nil || strings.Contains(strings.ReplaceAll(value, `\\`, ""), `\x`) {
				err = fmt.Errorf("line %q: %v", line, err)
			}
			return s
		}
		switch name {
		case "- name: ":
			e.User = unquote()
		case "      command: ":
			e.Command = unquote()
		case "      - ":
			e.Args = append(e.Args, unquote())
		}
		if err != nil {
			return e, err
		}
	}
	return e, nil
}

func TestCommands(t *testing.T) {
	e := kubectl.Entry{User: "u", Command: "/opt/my bin/sfcred-kubectl", Args: []string{"--profile", "p"}}
	want := []string{
		"config", "set-credentials", "u", "--exec-api-version=client.authentication.k8s.io/v1",
		"--exec-command=/opt/my bin/sfcred-kubectl", "--exec-interactive-mode=Never", "--exec-provide-cluster-info=true",
		"--exec-arg=--profile", "--exec-arg=p",
	}
	if got := e.SetCommand(); !slices.Equal(got, want) {
		t.Errorf("set: got %q, want %q", got, want)
	}
	if got, want := e.UnsetCommand(), []string{"config", "delete-user", "u"}; !slices.Equal(got, want) {
		t.Errorf("unset: got %q, want %q", got, want)
	}
}

func TestParseVersion(t *testing.T) {
	version := func(major, minor, git string) string {
		return fmt.Sprintf(`{"clientVersion":{"major":%q,"minor":%q,"gitVersion":%q,"platform":"linux/amd64"},"kustomizeVersion":"v5"}`, major, minor, git)
	}
	for _, output := range []string{
		version("1", "30", "v1.30.0"),
		version("1", "35", "v1.35.1"),
		version("1", "31+", "v1.31.2-gke.100"), // some vendors' builds
	} {
		if err := kubectl.ParseVersion([]byte(output)); err != nil {
			t.Errorf("%s: got %v", output, err)
		}
	}
	var old *kubectl.OldError
	err := kubectl.ParseVersion([]byte(version("1", "29", "v1.29.5")))
	if !errors.As(err, &old) || err.Error() != "kubectl 1.29.5 cannot write this entry; 1.30 and later can" {
		t.Errorf("1.29: got %v", err)
	}
	for _, output := range []string{"", "{}", "v1.30.0", version("2", "0", "v2.0.0"), version("1", "", "v1"), version("1", "x", "v1.x"), version("", "30", "")} {
		if err := kubectl.ParseVersion([]byte(output)); err == nil || errors.As(err, &old) {
			t.Errorf("%s: got %v, want an error that is not *OldError", output, err)
		}
	}
}

func TestView(t *testing.T) {
	v, err := kubectl.ParseView([]byte(`{
		"users": [
			{"name": "ours", "user": {"exec": {"command": "sfcred-kubectl"}}},
			{"name": "whole", "user": {"exec": {"command": "/usr/bin/sfcred", "args": ["helper", "kubectl"]}}},
			{"name": "windows", "user": {"exec": {"command": "sfcred-kubectl.exe"}}},
			{"name": "other", "user": {"exec": {"command": "/usr/bin/not-sfcred"}}},
			{"name": "token", "user": {"token": "REDACTED"}}
		],
		"clusters": [
			{"name": "b", "cluster": {"server": "https://b"}},
			{"name": "a", "cluster": {"server": "https://a"}},
			{"name": "a2", "cluster": {"server": "https://a"}}
		]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		user      string
		has, ours bool
	}{
		{"ours", true, true}, {"whole", true, true}, {"windows", true, true},
		{"other", true, false}, {"token", true, false}, {"nosuch", false, false}, {"", false, false},
	} {
		if v.Has(test.user) != test.has || v.Ours(test.user) != test.ours {
			t.Errorf("%q: got %v, %v, want %v, %v", test.user, v.Has(test.user), v.Ours(test.user), test.has, test.ours)
		}
	}
	if got, want := v.Servers(), []string{"https://a", "https://b"}; !slices.Equal(got, want) {
		t.Errorf("servers: got %q, want %q", got, want)
	}
	if !v.OthersOurs("ours") {
		t.Error("another entry is ours, and was not seen")
	}
}

func TestViewOfLittle(t *testing.T) {
	// An empty kubeconfig has nulls where lists are.
	v, err := kubectl.ParseView([]byte(`{"kind":"Config","users":null,"clusters":null}`))
	if err != nil || v.Has("x") || v.OthersOurs("x") || len(v.Servers()) != 0 {
		t.Errorf("got %+v, %v", v, err)
	}
	one, err := kubectl.ParseView([]byte(`{"users":[{"name":"x","user":{"exec":{"command":"sfcred"}}}]}`))
	if err != nil || one.OthersOurs("x") {
		t.Errorf("the only entry is taken for another: %+v, %v", one, err)
	}
	for _, bad := range []string{"", "users:\n", `{"users":{}}`} {
		if _, err := kubectl.ParseView([]byte(bad)); err == nil {
			t.Errorf("%q: got no error", bad)
		}
	}
}
