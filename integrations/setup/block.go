package setup

import (
	"bytes"
	"errors"
	"strings"
)

// Lines of ours in a file where # begins a comment stand between two marks, so
// that they can be found again, and a person sees whose they are:
//
//	# >>> sfcred setup bazel --profile nersc
//	…
//	# <<< sfcred setup
//
// In a file that was not there a line before them says so, since only such a file
// may go again with the last of them.

// Mark is what a block is found by.
type Mark struct{ Tool, Profile string }

const (
	markBegin = "# >>> sfcred setup "
	markEnd   = "# <<< sfcred setup"
	markMade  = "# sfcred made this file, and removes it when nothing else is left in it"
)

func (m Mark) begin() string { return markBegin + m.Tool + " --profile " + m.Profile }

// ErrBlock says that the marks are not as they were written.
var ErrBlock = errors.New(`the lines "` + strings.TrimSpace(markBegin) + ` …" and "` + markEnd + `" do not come in pairs`)

// Put has the body between the marks: in the block that is there, or in a new
// one that begins at a byte of the text which a line begins at, or at its end. A
// text of nil is no file.
func (m Mark) Put(text []byte, at int, body string) ([]byte, error) {
	eol := EOL(text)
	block := strings.ReplaceAll(m.begin()+"\n"+strings.TrimSuffix(body, "\n")+"\n"+markEnd, "\n", eol)
	from, to, err := m.find(text)
	if err != nil {
		return nil, err
	}
	switch {
	case to > from: // what ends its last line stays
		return append(append(bytes.Clone(text[:from]), block...), text[to:]...), nil
	case text == nil:
		return []byte(markMade + "\n" + block + "\n"), nil
	case bytes.HasSuffix(text, []byte("\r")):
		return nil, errors.New("its last line has half a line end")
	case at == len(text) && at > 0 && text[at-1] != '\n':
		block = eol + block // and no line end behind it, as there was none
	default:
		block += eol
	}
	edited := insert(text, at, block)
	if _, _, err := m.find(edited); err != nil { // it was whole, so ours is within another
		return nil, errors.New("the place for it is within lines of sfcred's that somebody has changed")
	}
	return edited, nil
}

// Take gives the text without the block, if there is one; nil if Put made the
// file, and nothing else is in it.
func (m Mark) Take(text []byte) ([]byte, error) {
	rest, err := m.take(text)
	if err != nil {
		return rest, err
	}
	first, others, _ := bytes.Cut(rest, []byte("\n"))
	switch {
	case string(bytes.TrimSuffix(first, []byte("\r"))) != markMade, bytes.Contains(others, []byte(markBegin)):
		return rest, nil
	case len(others) == 0:
		return nil, nil
	}
	return others, nil
}

func (m Mark) take(text []byte) ([]byte, error) {
	from, to, err := m.find(text)
	if err != nil || from == to {
		return text, err
	}
	eol := EOL(text)
	switch rest := text[to:]; {
	case bytes.HasPrefix(rest, []byte("\r\n")):
		to += 2
	case bytes.HasPrefix(rest, []byte("\n")):
		to++
	case bytes.HasSuffix(text[:from], []byte(eol)): // see Put
		from -= len(eol)
	}
	return append(bytes.Clone(text[:from]), text[to:]...), nil
}

// find gives the block's first byte, and the one behind its last mark. It reads
// all blocks, for one whose end is missing would take in what comes behind it.
func (m Mark) find(text []byte) (from, to int, err error) {
	open := ""
	begin := 0
	at := 0
	for line := range bytes.Lines(text) {
		word := strings.TrimRight(string(line), "\r\n")
		switch {
		case strings.HasPrefix(word, markBegin):
			if open != "" || word == m.begin() && to > 0 {
				return 0, 0, ErrBlock
			}
			open, begin = word, at
		case word == markEnd:
			if open == "" {
				return 0, 0, ErrBlock
			}
			if open == m.begin() {
				from, to = begin, at+len(word)
			}
			open = ""
		}
		at += len(line)
	}
	if open != "" {
		return 0, 0, ErrBlock
	}
	return from, to, nil
}

// Profiles are those that have a block for the tool in the text.
func Profiles(text []byte, tool string) []string {
	var names []string
	for line := range bytes.Lines(text) {
		word := strings.TrimRight(string(line), "\r\n")
		if name, ok := strings.CutPrefix(word, markBegin+tool+" --profile "); ok {
			names = append(names, name)
		}
	}
	return names
}

// EOL is what ends the lines of a text.
func EOL(text []byte) string {
	if i := bytes.IndexByte(text, '\n'); i > 0 && text[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

func insert(text []byte, at int, more string) []byte {
	return append(append(bytes.Clone(text[:at]), more...), text[at:]...)
}
