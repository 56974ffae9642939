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
	for _, l := range fold(atoms(text), width-2) {
		s.line(faint, "  "+l)
	}
}

// command shows a command as a person would type it, on several lines where
// one is too long. A flag and its value stay together.
func (s *screen) command(words ...string) {
	var parts []string
	for i, w := range words {
		if i > 0 && strings.HasPrefix(words[i-1], "-") && !strings.HasPrefix(w, "-") {
			parts[len(parts)-1] += quote(w) + " "
			continue
		}
		parts = append(parts, quote(w)+" ")
	}
	s.typed(strings.Join(fold(parts, width-6), " \\\n"))
}

// typed shows what a person would type, a command of several lines indented.
func (s *screen) typed(text string) {
	s.line(bold, "$ "+strings.ReplaceAll(text, "\n", "\n    "))
}

// output shows what a process said, its tokens cut short.
func (s *screen) output(text string) {
	for l := range strings.Lines(text) {
		for _, part := range fold(atoms(shorten(strings.TrimRight(l, "\r\n"))), width-2) {
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

// atoms cuts text after blanks and commas, where a line may end.
func atoms(text string) []string {
	return regexp.MustCompile(`[^ ,]*[ ,]*`).FindAllString(text, -1)
}

// fold makes lines of at most limit characters; an atom that is longer has a
// line of its own.
func fold(atoms []string, limit int) []string {
	var lines []string
	line := ""
	for _, atom := range atoms {
		if line != "" && utf8.RuneCountInString(line+strings.TrimRight(atom, " ")) > limit {
			lines = append(lines, strings.TrimRight(line, " "))
			line = ""
		}
		line += atom
	}
	return append(lines, strings.TrimRight(line, " "))
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
