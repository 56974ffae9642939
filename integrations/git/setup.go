package git

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sfcred/integrations/setup"
)

// Helper is the name that git makes of the helper "sfcred".
const Helper = "git-credential-sfcred"

// oldest is the first git 2.x that takes a bearer token from a helper.
const oldest = 46

// A helper is set for the profile's hosts and for no other. git gathers helpers
// of all settings that match a URL; an empty one takes those before it off the
// list (gitcredentials(7)):
//
//	[credential "https://gitlab.example.org"]
//		helper =
//		helper = sfcred --profile lab
//
// git's *.example.org is one label, ours one or more: deeper names are left out.

// Setting is a value in git's configuration, and the file that it is in.
type Setting struct{ Key, Value, File string }

const keyPrefix, keySuffix = "credential.", ".helper"

func key(host string) string { return keyPrefix + "https://" + host + keySuffix }

// value is the helper, to which git adds the operation before it gives it to a
// shell. A name that is no path is git-credential-NAME to it.
func value(e setup.Entry) string {
	switch words := []string{e.Helper, "--profile", e.Profile}; e.Helper {
	case "":
		return "!" + e.ShellCommand("helper", "git")
	case Helper:
		return "sfcred --profile " + e.Profile
	default:
		return "!" + setup.ShellLine(words)
	}
}

// VersionCommand and ListCommand are the command lines of git whose output
// ParseVersion and ParseSettings read.
func VersionCommand() []string { return []string{"version"} }

// ListCommand shows all helpers for single hosts in the user's configuration;
// git ends with 1 if there is none.
func ListCommand() []string {
	return []string{"config", "--global", "--null", "--show-origin", "--get-regexp", `^credential\..*\.helper$`}
}

// ParseVersion gives git's version, and whether it takes bearer tokens.
func ParseVersion(output []byte) (version string, bearer bool, err error) {
	fields := strings.Fields(string(output)) // git version 2.39.5 (Apple Git-154)
	if len(fields) >= 3 && fields[0] == "git" && fields[1] == "version" {
		parts := strings.Split(fields[2], ".")
		major, err1 := strconv.ParseUint(parts[0], 10, 16)
		if len(parts) > 1 && err1 == nil {
			if minor, err := strconv.ParseUint(parts[1], 10, 16); err == nil {
				return fields[2], major > 2 || major == 2 && minor >= oldest, nil
			}
		}
	}
	return "", false, errors.New("git does not say its version in a form that is known")
}

// ParseSettings reads pairs of a file, and a key and value with a line end
// between them.
func ParseSettings(output []byte) ([]Setting, error) {
	var settings []Setting
	parts := strings.Split(strings.TrimSuffix(string(output), "\x00"), "\x00")
	if len(output) == 0 {
		return nil, nil
	}
	for pair := range slices.Chunk(parts, 2) {
		if len(pair) < 2 {
			return nil, errors.New("git does not show its settings in a form that is known")
		}
		key, value, _ := strings.Cut(pair[1], "\n")
		settings = append(settings, Setting{key, value, strings.TrimPrefix(pair[0], "file:")})
	}
	return settings, nil
}

// Commands are the command lines of git that set the helper for the profile's
// hosts, as if there were none.
func Commands(e setup.Entry) [][]string {
	var commands [][]string
	for _, host := range e.Hosts {
		commands = append(commands, set(key(host), value(e))...)
	}
	return commands
}

func set(key, value string) [][]string {
	return [][]string{
		{"config", "--global", "--replace-all", key, ""},
		{"config", "--global", "--add", key, value},
	}
}

// Missing is Commands less what is as it should be. A helper of another's for a
// host of the profile is an error: with ours it would no longer be asked.
func Missing(settings []Setting, e setup.Entry) ([][]string, error) {
	var commands [][]string
	for _, host := range e.Hosts {
		there := valuesOf(settings, key(host))
		for _, v := range there {
			if v != "" && !ours(v) {
				return nil, fmt.Errorf("git has another helper for %s: %q; the commands that are printed replace it", host, v)
			}
		}
		if !slices.Equal(there, []string{"", value(e)}) {
			commands = append(commands, set(key(host), value(e))...)
		}
	}
	return commands, nil
}

// Stale are the keys with a helper for the profile that is not for one of its
// hosts; for a profile without hosts, all.
func Stale(settings []Setting, e setup.Entry) []string {
	var keys []string
	for _, s := range settings {
		current := slices.ContainsFunc(e.Hosts, func(h string) bool { return key(h) == s.Key })
		if belongs(s.Value, e) && !current && !slices.Contains(keys, s.Key) {
			keys = append(keys, s.Key)
		}
	}
	return keys
}

// Unset is the command line of git that takes the profile's helper off a key; of
// another helper's list, that alone, by whichever path it is called there.
func Unset(settings []Setting, key string, e setup.Entry) []string {
	unset := []string{"config", "--global", "--unset-all", key}
	var own []string
	others := false
	for _, v := range valuesOf(settings, key) {
		switch {
		case belongs(v, e):
			own = append(own, "^"+escape(v)+"$")
		case v != "":
			others = true
		}
	}
	if others {
		return append(unset, strings.Join(setup.Unique(own), "|"))
	}
	return unset
}

// Empty says whether a key's section is in a configuration file with nothing in
// it, no comment either. "--unset-all" leaves it so if a comment stands before
// it; "--remove-section" would take comments behind it along.
func Empty(text []byte, key string) bool {
	head := `[credential "` + sectionOf(key) + `"]`
	lines := strings.Split(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n")
	i := slices.IndexFunc(lines, func(l string) bool { return strings.TrimSpace(l) == head })
	if i < 0 {
		return false
	}
	for _, line := range lines[i+1:] {
		if line = strings.TrimSpace(line); line != "" {
			return strings.HasPrefix(line, "[")
		}
	}
	return true
}

// RemoveSection is the command line of git that takes out a key's section.
func RemoveSection(key string) []string {
	return []string{"config", "--global", "--remove-section", keyPrefix + sectionOf(key)}
}

func sectionOf(key string) string {
	return strings.TrimSuffix(strings.TrimPrefix(key, keyPrefix), keySuffix)
}

// Uses says whether a setting calls the helper by its own name.
func Uses(settings []Setting) bool {
	return slices.ContainsFunc(settings, func(s Setting) bool {
		words := wordsOf(s.Value)
		return len(words) > 0 && setup.Is(words[0], Helper)
	})
}

// Profiles are those whose tokens the settings give, "" being the default's.
func Profiles(settings []Setting) []string {
	var names []string
	for _, s := range settings {
		if ours(s.Value) {
			names = append(names, setup.ProfileOf(wordsOf(s.Value)))
		}
	}
	return setup.Unique(names)
}

func valuesOf(settings []Setting, key string) []string {
	var values []string
	for _, s := range settings {
		if s.Key == key {
			values = append(values, s.Value)
		}
	}
	return values
}

// ours says whether a helper is sfcred, for whichever profile.
func ours(value string) bool {
	words := wordsOf(value)
	return len(words) > 0 && (setup.Is(words[0], Helper) ||
		len(words) > 2 && setup.Is(words[0], "sfcred") && slices.Equal(words[len(words)-2:], []string{"helper", "git"}))
}

func belongs(value string, e setup.Entry) bool {
	return ours(value) && setup.ProfileOf(wordsOf(value)) == e.Profile
}

// wordsOf is the command line of a helper as git would run it.
func wordsOf(value string) []string {
	if command, ok := strings.CutPrefix(value, "!"); ok {
		return setup.ShellWords(command)
	}
	words := setup.ShellWords(value)
	if len(words) > 0 && !strings.ContainsAny(words[0], `/\`) {
		words[0] = "git-credential-" + words[0]
	}
	return words
}

// escape makes an extended regular expression of a text.
func escape(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) { // a path need not be UTF-8
		if strings.IndexByte(`\.[]()*+?{}|^$`, c) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String()
}

// FileOf is the file that a key is in.
func FileOf(settings []Setting, key string) string {
	for _, s := range settings {
		if s.Key == key {
			return s.File
		}
	}
	return ""
}
