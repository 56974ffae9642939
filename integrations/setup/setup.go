// Package setup is what the setups of the tools have in common: what a tool is
// to call, and how lines of ours are kept in a file of the user's.
//
// It is bytes in, bytes out. It trusts the profile and the paths that it is
// given; of a user's file it believes nothing, and what it cannot read for sure
// it leaves alone. It leaves out what each tool's configuration means, which is
// its room's, and files and processes, which are the command's.
package setup

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// Entry is what a tool is to be told.
type Entry struct {
	Profile string   // whose token it gets
	Hosts   []string // where that may go, as helper.Host writes them
	URL     string   // of the profile's API, else of a host; "" if all hosts are wildcards
	Program string   // sfcred: its name, where PATH finds it, or else its path
	Path    string   // of sfcred
	Helper  string   // the helper's own name, likewise; "" where it cannot be called so
	Config  string   // the config file, where it has a place of its own
}

// Command is a command line of sfcred's: what is behind the flags that say whose
// profile is meant.
func (e Entry) Command(words ...string) []string { return e.with(e.Program, words) }

// PathCommand is Command for a tool that wants a path.
func (e Entry) PathCommand(words ...string) []string { return e.with(e.Path, words) }

func (e Entry) with(program string, words []string) []string {
	line := []string{program}
	if e.Config != "" {
		line = append(line, "--config", e.Config)
	}
	return append(append(line, "--profile", e.Profile), words...)
}

// ShellCommand is Command for a shell.
func (e Entry) ShellCommand(words ...string) string { return ShellLine(e.Command(words...)) }

// ExampleURL is URL, or one to be filled in.
func (e Entry) ExampleURL() string {
	if e.URL == "" {
		return "https://HOST/"
	}
	return e.URL
}

// Host is the host of ExampleURL, with its port.
func (e Entry) Host() string {
	_, rest, _ := strings.Cut(e.ExampleURL(), "://")
	host, _, _ := strings.Cut(rest, "/")
	return host
}

// Root is ExampleURL without its path.
func (e Entry) Root() string {
	scheme, _, _ := strings.Cut(e.ExampleURL(), "://")
	return scheme + "://" + e.Host() + "/"
}

// System is what a tool finds its configuration by.
type System struct {
	Home   string // "" if there is none
	OS     string // as runtime.GOOS has it
	Getenv func(string) string
	Exists func(path string) bool
}

// ErrNoHome says that there is no place for a tool's configuration.
var ErrNoHome = errors.New("HOME is not set, so there is no place for it")

// InHome is a path below the home directory.
func (s System) InHome(elements ...string) (string, error) {
	if s.Home == "" {
		return "", ErrNoHome
	}
	return filepath.Join(append([]string{s.Home}, elements...)...), nil
}

// File is a tool whose configuration is a file, and how that is edited. Add and
// Remove get the whole of it, nil where there is none, and change nothing that
// is not ours; Remove gives back, byte for byte, what Add was given, and so nil,
// which removes the file, only where there was none. What they cannot read for
// sure they refuse with an error.
type File struct {
	Name      string // the tool, as people call it
	Helper    string // the helper's own name, where the tool calls that, or ""
	Comment   string // what begins a comment
	Path      func(System) (string, error)
	HelperDir func(System) (string, error) // where the tool looks for the helper; nil for beside sfcred
	Text      func(Entry) (string, error)  // what is to be in the file, for a person
	Add       func(text []byte, e Entry) ([]byte, error)
	Remove    func(text []byte, e Entry) ([]byte, error)
	Profiles  func(text []byte) ([]string, error) // whose tokens something there gets, "" being the default's
	Uses      func(text []byte) bool              // whether something there calls the helper by its own name; nil if nothing could
	Default   bool                                // the tool can name no profile, and so gets the default one, or SFCRED_PROFILE's
}

// CheckText refuses what no line can be added to.
func CheckText(text []byte) error {
	if !utf8.Valid(text) || slices.Contains(text, 0) {
		return errors.New("it is not UTF-8 text")
	}
	return nil
}

// Is says whether a word of a command line is the program, or the link, of that
// name.
func Is(word, name string) bool {
	base := word[strings.LastIndexAny(word, `/\`)+1:]
	return strings.TrimSuffix(base, ".exe") == name
}

// ProfileOf is the profile that words of a command line name; "" is the default.
func ProfileOf(words []string) string {
	for i, w := range words {
		if name, ok := strings.CutPrefix(w, "--profile="); ok {
			return name
		}
		if (w == "--profile" || w == "-p") && i+1 < len(words) {
			return words[i+1]
		}
	}
	return ""
}

// Unique sorts names, and leaves each in once.
func Unique(names []string) []string {
	names = slices.Clone(names)
	slices.Sort(names)
	return slices.Compact(names)
}

// ShellLine is a command line as a shell reads it.
func ShellLine(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = ShellWord(w)
	}
	return strings.Join(quoted, " ")
}

// ShellWord quotes a word for a shell where that is needed.
func ShellWord(word string) string {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("/._-+:@%,=", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// ShellWords takes a command line apart as a shell does that has nothing to
// expand; one that is not closed gives nil.
func ShellWords(line string) []string {
	var words []string
	var word strings.Builder
	in, quote := false, rune(0)
	escaped := false
	for _, r := range line {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			in, escaped = true, true
		case r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			in, quote = true, r
		case r == ' ' || r == '\t':
			if in {
				words = append(words, word.String())
				word.Reset()
			}
			in = false
		default:
			in = true
			word.WriteRune(r)
		}
	}
	if quote != 0 || escaped {
		return nil
	}
	if in {
		words = append(words, word.String())
	}
	return words
}
