package terraform

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"sfcred/integrations/setup"
)

// Helper is the name of the file that Terraform runs for the helper "sfcred".
const Helper = "terraform-credentials-sfcred"

// Setup connects Terraform in its CLI configuration file
// (https://developer.hashicorp.com/terraform/cli/config/config-file), which
// OpenTofu reads too where it has none of its own.
func Setup() setup.File {
	return setup.File{
		Name: "Terraform", Helper: Helper, Comment: "#",
		Path: configPath, HelperDir: pluginDir,
		Text: text, Add: add, Remove: remove, Profiles: profiles,
		Uses: func(text []byte) bool { return bytes.Contains(text, []byte(`credentials_helper "sfcred"`)) },
	}
}

func configPath(s setup.System) (string, error) {
	if path := s.Getenv("TF_CLI_CONFIG_FILE"); path != "" {
		return filepath.Abs(path)
	}
	if s.OS == "windows" {
		if dir := s.Getenv("APPDATA"); dir != "" {
			return filepath.Join(dir, "terraform.rc"), nil
		}
		return "", setup.ErrNoHome
	}
	return s.InHome(".terraformrc")
}

// pluginDir is where Terraform looks for helpers, and nowhere else.
func pluginDir(s setup.System) (string, error) {
	if s.OS == "windows" {
		if dir := s.Getenv("APPDATA"); dir != "" {
			return filepath.Join(dir, "terraform.d", "plugins"), nil
		}
		return "", setup.ErrNoHome
	}
	return s.InHome(".terraform.d", "plugins")
}

func profiles(text []byte) ([]string, error) { return setup.Profiles(text, "terraform"), nil }

func mark(e setup.Entry) setup.Mark { return setup.Mark{Tool: "terraform", Profile: e.Profile} }

// text needs no escapes: a profile's name is letters, digits and ._-.
func text(e setup.Entry) (string, error) {
	return fmt.Sprintf("credentials_helper \"sfcred\" {\n  args = [\"--profile\", %s]\n}\n", strconv.Quote(e.Profile)), nil
}

func add(text []byte, e setup.Entry) ([]byte, error) {
	without, err := remove(text, e)
	if err != nil {
		return nil, err
	}
	names, err := topLevel(string(without))
	if err != nil {
		return nil, err
	}
	if others := setup.Profiles(without, "terraform"); len(others) > 0 {
		return nil, fmt.Errorf("there is one helper for all hosts, and it is profile %q's", others[0])
	}
	if slices.Contains(names, "credentials_helper") {
		return nil, errors.New("it has a credentials_helper, and there can be one only")
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

// topLevel gives the names that stand outside of all braces in a file of HCL,
// quoted or not, if the text is one in which a block can be put at the end: each
// brace, string and comment is closed. It is no parser; what it does not know for
// sure, heredocs and JSON, it refuses.
func topLevel(text string) ([]string, error) {
	s := hclScanner{rest: text}
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		return nil, errors.New("it is JSON")
	}
	for s.rest != "" {
		if err := s.step(); err != nil {
			return nil, fmt.Errorf("line %d: %w", 1+strings.Count(text[:len(text)-len(s.rest)], "\n"), err)
		}
	}
	if len(s.open) > 0 {
		return nil, fmt.Errorf("a %q is not closed", s.open[len(s.open)-1])
	}
	return s.names, nil
}

type hclScanner struct {
	rest  string
	open  []byte   // the brackets that are
	names []string // outside of all
}

// step takes one word or sign off.
func (s *hclScanner) step() error {
	switch c := s.rest[0]; {
	case strings.HasPrefix(s.rest, "/*"):
		_, rest, ok := strings.Cut(s.rest[2:], "*/")
		if !ok {
			return errors.New("a comment is not closed")
		}
		s.rest = rest
	case c == '#', strings.HasPrefix(s.rest, "//"):
		_, s.rest, _ = strings.Cut(s.rest, "\n")
	case strings.HasPrefix(s.rest, "<<"):
		return errors.New("a heredoc is not understood here")
	case c == '"':
		return s.quoted()
	case c == '{', c == '[', c == '(':
		s.open = append(s.open, c)
		s.rest = s.rest[1:]
	case c == '}', c == ']', c == ')':
		last := len(s.open) - 1
		if last < 0 || !strings.Contains("{} [] ()", string([]byte{s.open[last], c})) {
			return fmt.Errorf("a %q closes nothing", c)
		}
		s.open = s.open[:last]
		s.rest = s.rest[1:]
	case isNameByte(c):
		end := strings.IndexFunc(s.rest, func(r rune) bool { return r >= 0x80 || !isNameByte(byte(r)) })
		if end < 0 {
			end = len(s.rest)
		}
		s.name(s.rest[:end])
		s.rest = s.rest[end:]
	default:
		s.rest = s.rest[1:]
	}
	return nil
}

func isNameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("_-.", c) >= 0
}

func (s *hclScanner) name(name string) {
	if len(s.open) == 0 {
		s.names = append(s.names, name)
	}
}

// quoted takes a string off. One with ${ in it may have strings in that again.
func (s *hclScanner) quoted() error {
	for i := 1; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case c == '\\':
			i++
		case c == '\n':
			return errors.New("a string is not closed")
		case c == '$' && strings.HasPrefix(s.rest[i:], "${"):
			return errors.New("a string with ${ is not understood here")
		case c == '"':
			s.name(s.rest[1:i])
			s.rest = s.rest[i+1:]
			return nil
		}
	}
	return errors.New("a string is not closed")
}
