package bazel

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"sfcred/helper"
	"sfcred/integrations/setup"
)

// Helper is the name under which sfcred is this helper: Bazel passes no
// arguments.
const Helper = "sfcred-bazel"

// Setup connects Bazel in the user's own .bazelrc, which counts in all
// workspaces (https://bazel.build/run/bazelrc).
func Setup() setup.File {
	return setup.File{
		Name: "Bazel", Helper: Helper, Comment: "#",
		Path: func(s setup.System) (string, error) { return s.InHome(".bazelrc") },
		Text: text, Add: add, Remove: remove, Profiles: profiles,
		Uses:    func(text []byte) bool { return bytes.Contains(text, []byte(Helper)) },
		Default: true,
	}
}

func profiles(text []byte) ([]string, error) { return setup.Profiles(text, "bazel"), nil }

func mark(e setup.Entry) setup.Mark { return setup.Mark{Tool: "bazel", Profile: e.Profile} }

// text has a line for each host, so that no other download asks the helper.
func text(e setup.Entry) (string, error) {
	domains, err := Domains(e.Hosts)
	if err != nil {
		return "", err
	}
	if len(domains) == 0 {
		return "", errors.New("bazel takes a helper for names with a dot or IPv4 addresses only, and the profile has no such host")
	}
	var b strings.Builder
	for _, d := range domains {
		word, err := rcWord("--credential_helper=" + d + "=" + filepath.ToSlash(e.Helper))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "common %s\n", word)
	}
	return b.String(), nil
}

// Domains are the hosts as Bazel can name them: it knows no ports, and fails
// every command for a name without a dot or in brackets (DOMAIN_PATTERN in
// CredentialHelperProvider.java). Its *.example.org is also example.org itself,
// for which the helper then says no.
func Domains(hosts []string) ([]string, error) {
	var domains []string
	seen := map[string]bool{}
	for _, entry := range hosts {
		h, err := helper.ParseHost(entry)
		if err != nil {
			return nil, err
		}
		name := h.String()
		if strings.HasPrefix(name, "[") {
			continue
		}
		name, _, _ = strings.Cut(name, ":")
		if strings.Contains(name, ".") && !seen[name] {
			seen[name] = true
			domains = append(domains, name)
		}
	}
	return domains, nil
}

// rcWord is a word as Bazel reads it in a line: blanks and # need quotes, and
// within them a backslash takes the meaning off what follows
// (blaze_util::Tokenize).
func rcWord(word string) (string, error) {
	switch {
	case strings.ContainsAny(word, "\"'\\\n\r"):
		return "", fmt.Errorf("the path in %q cannot be written in a .bazelrc", word)
	case strings.ContainsAny(word, " \t#"):
		return `"` + word + `"`, nil
	}
	return word, nil
}

func add(text []byte, e setup.Entry) ([]byte, error) {
	if err := check(text); err != nil {
		return nil, err
	}
	body, err := Setup().Text(e)
	if err != nil {
		return nil, err
	}
	return mark(e).Put(text, len(text), body)
}

func remove(text []byte, e setup.Entry) ([]byte, error) {
	if err := setup.CheckText(text); err != nil {
		return nil, err
	}
	return mark(e).Take(text)
}

// check refuses a file whose last line goes on in the next: even a comment's
// would (RcFile::ParseFile takes backslash and line end out first of all).
func check(text []byte) error {
	if strings.HasSuffix(strings.TrimRight(string(text), "\r\n"), `\`) {
		return errors.New("its last line ends in a backslash, and so would go on in ours")
	}
	return setup.CheckText(text)
}
