package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// width is how long a line gets before it is folded, in characters.
const width = 78

// Styles, as SGR codes (ECMA-48, 8.3.117).
const (
	plain = ""
	bold  = "\x1b[1m"
	faint = "\x1b[2m"
	reset = "\x1b[0m"
)

// screen is where the tour is seen.
type screen struct {
	w      io.Writer
	colour bool
	err    error // of the first write that failed
}

// newScreen uses colour on a terminal, unless NO_COLOR is set
// (https://no-color.org) or the terminal is dumb.
func newScreen(w io.Writer) *screen {
	f, ok := w.(*os.File)
	colour := ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return &screen{w: w, colour: colour}
}

// line writes one line.
func (s *screen) line(style, text string) {
	if s.err != nil {
		return
	}
	if s.colour && style != plain {
		text = style + text + reset
	}
	_, s.err = fmt.Fprintln(s.w, text)
}

// heading begins a step.
func (s *screen) heading(text string) {
	s.line(plain, "")
	s.line(bold, text)
}

// remark says what a newcomer may ask.
func (s *screen) remark(text string) {
	for _, l := range fold(text, width-2) {
		s.line(faint, "  "+l)
	}
}

// command shows a command as a person would type it, on several lines where
// one is too long.
func (s *screen) command(text string) {
	lines := fold(text, width-6)
	for i, l := range lines {
		indent := "    "
		if i == 0 {
			indent = "$ "
		}
		if i < len(lines)-1 {
			l += ` \`
		}
		s.line(bold, indent+l)
	}
}

// output shows what a process said, its tokens cut short.
func (s *screen) output(text string) {
	for l := range strings.Lines(text) {
		for _, part := range fold(shorten(strings.TrimRight(l, "\r\n")), width-2) {
			s.line(plain, "  "+part)
		}
	}
}

// shorten leaves of each token what tells it from another kind of text: the
// first 12 characters of a JWT are those of its header, which is no secret.
func shorten(text string) string {
	jwt := regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]+`)
	return jwt.ReplaceAllStringFunc(text, func(token string) string { return token[:12] + "…" })
}

// fold breaks text at blanks into lines of at most limit characters; a word
// that is longer has a line of its own.
func fold(text string, limit int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= limit:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}

// typed is a command line for a POSIX shell.
func typed(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quote(w)
	}
	return strings.Join(quoted, " ")
}

// quote quotes a word for a POSIX shell where that is needed.
func quote(word string) string {
	safe := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("/._-+:@%,=", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !safe(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
