package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"sfcred/keychain/jose"
)

// typedKey is what a person types or pastes for a private key, line by line: a
// PEM, maybe after a line with its client ID or behind other blocks, JSON, or
// the name of a file.
type typedKey struct {
	home string // what ~ means
	text []byte // the key
	path string // or its file
}

const (
	noKeyLine  = "neither the beginning of a key nor the name of a file; once more:"
	noKeyBlock = "that is no private key; once more:"
)

// take judges a line at once, since a person who waits for nothing cannot tell
// that from a hang; more says that others are there already, as in a paste. It
// returns true for the last line, and what is to be said of one that cannot be
// meant. What comes late of a paste is not lost by that: it goes on from what
// could have been its beginning.
func (k *typedKey) take(line string, more bool) (done bool, reply string) {
	word := strings.TrimSpace(line)
	bare := strings.TrimLeft(word, `"'`) // of a value from an environment file
	began := string(k.text)
	k.text = append(k.text, line+"\n"...)
	switch begins, ends := strings.Count(began, pemBegin), strings.Count(began, pemEnd); {
	case len(k.text) > maxKeyInput:
		return true, ""
	case strings.HasPrefix(began, "{"):
		return json.Valid(k.text) || word == "" && !more, ""
	case begins > ends:
		return k.takePEM(word, more)
	case strings.HasPrefix(bare, pemBegin): // it is whole if its line ends are written out
		return strings.Contains(bare, pemEnd) && strings.Contains(bare, "PRIVATE KEY-----"), ""
	case strings.HasPrefix(bare, "{"):
		k.text = []byte(line + "\n")
		return json.Valid(k.text), ""
	case strings.HasPrefix(word, "PuTTY-User-Key-File-"), strings.HasPrefix(word, "ssh-"):
		return true, "" // the parser names it
	case k.isFile(word):
		return true, ""
	case begins > 0 || word == "" && more:
		// Between blocks, or between a client ID and its key.
	case jose.IsClientID(word):
		k.text = []byte(word + "\n")
	default:
		k.text = nil
	}
	if !more {
		reply = noKeyLine
	}
	return false, reply
}

const (
	pemBegin = "-----BEGIN "
	pemEnd   = "-----END "
)

// takePEM takes a line of a block of PEM, which ends with its END line. An
// empty line ends it only where no header of an encrypted key stands before
// that (RFC 1421 section 4.4).
func (k *typedKey) takePEM(word string, more bool) (done bool, reply string) {
	lines := strings.Split(strings.TrimRight(string(k.text), "\n"), "\n")
	switch last := lines[len(lines)-1]; {
	case strings.HasPrefix(word, pemEnd) && strings.Contains(word, "PRIVATE KEY-----"):
		return true, ""
	case strings.HasPrefix(word, pemEnd) && !more:
		return false, noKeyBlock
	case word == "" && !more:
		return !strings.Contains(last, ": "), ""
	}
	return false, ""
}

// isFile takes a word for the name of a file, if there is one.
func (k *typedKey) isFile(word string) bool {
	if below, ok := strings.CutPrefix(word, "~/"); ok {
		word = filepath.Join(k.home, below)
	}
	info, err := os.Stat(word)
	if word == "" || err != nil || info.IsDir() {
		return false
	}
	k.text, k.path = nil, word
	return true
}
