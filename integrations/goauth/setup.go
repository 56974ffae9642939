package goauth

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"sfcred/integrations/setup"
)

// GOAUTH is a list with semicolons between its commands; their words are quoted
// with ' or ", within which nothing is escaped (cmd/internal/quoted). The value
// of a variable that is not set is "netrc".

const unset = "netrc"

// Helper is the name under which sfcred is this helper and nothing else, for who
// makes the link.
const Helper = "sfcred-go"

// GetCommand is the go command line that shows the value.
func GetCommand() []string { return []string{"env", "GOAUTH"} }

// SetCommand is the go command line that sets a value; "" has it unset.
func SetCommand(value string) []string {
	if value == "" {
		return []string{"env", "-u", "GOAUTH"}
	}
	return []string{"env", "-w", "GOAUTH=" + value}
}

// Add gives the value in which sfcred is asked first. Whatever was there stays
// behind it, as it is.
func Add(value string, e setup.Entry) (string, error) {
	if value = strings.TrimSpace(value); value == "" {
		value = unset
	}
	command, err := line(e.Command("helper", "go"))
	if err != nil {
		return "", err
	}
	parts := strings.Split(value, ";")
	for i, part := range parts {
		switch {
		case strings.TrimSpace(part) == "off":
			return "", errors.New("GOAUTH is off, and nothing may stand beside that")
		case ours(part, e):
			if strings.TrimSpace(part) == command {
				return value, nil
			}
			parts[i] = strings.Replace(part, strings.TrimSpace(part), command, 1)
			return strings.Join(parts, ";"), nil
		}
	}
	return command + "; " + value, nil
}

// Remove gives the value without what Add has put in; "" if it is then what it
// is when nobody has set it.
func Remove(value string, e setup.Entry) string {
	all := strings.Split(value, ";")
	parts := slices.DeleteFunc(slices.Clone(all), func(part string) bool { return ours(part, e) })
	if len(parts) == len(all) {
		return value
	}
	rest := strings.TrimSpace(strings.Join(parts, ";"))
	if rest == unset {
		return ""
	}
	return rest
}

// Profiles are those whose tokens the value gives, "" being the default's.
func Profiles(value string) []string {
	var names []string
	for command := range strings.SplitSeq(value, ";") {
		if words := wordsOf(command); isHelper(words) {
			names = append(names, setup.ProfileOf(words))
		}
	}
	return setup.Unique(names)
}

// ours says whether a command is sfcred, for this profile.
func ours(command string, e setup.Entry) bool {
	words := wordsOf(command)
	return isHelper(words) && setup.ProfileOf(words) == e.Profile
}

func isHelper(words []string) bool {
	return len(words) > 0 && setup.Is(words[0], Helper) ||
		len(words) > 2 && setup.Is(words[0], "sfcred") && slices.Equal(words[len(words)-2:], []string{"helper", "go"})
}

// wordsOf reads a command as the go command does (quoted.Split there), with
// backslashes that mean themselves, as in a path of Windows; nil if a quote is not
// closed.
func wordsOf(command string) []string {
	const blanks = " \t\n\r"
	var words []string
	for rest := strings.TrimLeft(command, blanks); rest != ""; rest = strings.TrimLeft(rest, blanks) {
		word, closed := "", true
		if quote := rest[:1]; quote == "'" || quote == `"` {
			word, rest, closed = strings.Cut(rest[1:], quote)
		} else if end := strings.IndexAny(rest, blanks); end >= 0 {
			word, rest = rest[:end], rest[end:]
		} else {
			word, rest = rest, ""
		}
		if !closed {
			return nil
		}
		words = append(words, word)
	}
	return words
}

// line writes a command line as the go command reads it.
func line(words []string) (string, error) {
	quoted := make([]string, len(words))
	for i, w := range words {
		switch {
		case strings.Contains(w, ";") || strings.Contains(w, "'") && strings.Contains(w, `"`) || strings.ContainsAny(w, "\n\r"):
			return "", fmt.Errorf("%q cannot be written in GOAUTH", w)
		case strings.Contains(w, "'"):
			w = `"` + w + `"`
		case strings.ContainsAny(w, " \t\""):
			w = "'" + w + "'"
		}
		quoted[i] = w
	}
	return strings.Join(quoted, " "), nil
}

// EnvPath is the file in which "go env -w" keeps values (EnvFile in
// cmd/go/internal/cfg); "" where GOENV says that there is none. To look into it
// leaves nothing running, as the go command does, which counts its runs.
func EnvPath(s setup.System) (string, error) {
	switch path := s.Getenv("GOENV"); path {
	case "off":
		return "", nil
	case "":
	default:
		return path, nil
	}
	const folder, name = "go", "env"
	switch s.OS {
	case "windows":
		if dir := s.Getenv("APPDATA"); dir != "" {
			return filepath.Join(dir, folder, name), nil
		}
		return "", setup.ErrNoHome
	case "darwin", "ios":
		return s.InHome("Library", "Application Support", folder, name)
	}
	if dir := s.Getenv("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, folder, name), nil
	}
	return s.InHome(".config", folder, name)
}

// Kept is GOAUTH as such a file has it, or "": lines of NAME=VALUE, of which the
// last counts (readEnvFile there).
func Kept(text []byte) string {
	kept := ""
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), "GOAUTH="); ok {
			kept = value
		}
	}
	return kept
}
