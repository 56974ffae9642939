package main

// What sfcred says, and where.
//
// Standard output carries the answer: what a protocol asks for, a token, a
// report. It is built whole and written once. On failure it is empty, or holds
// the protocol's own word for failure.
//
// Everything said to people goes to standard error, a line at a time, in lower
// case and without a full stop:
//
//	sfcred: error: what was being done to what: why it failed
//	sfcred: warning: what is not as it should be, though the answer is right
//	sfcred: hint: a command that can be pasted
//	sfcred: what was done (login and its like, and --verbose)
//
// Success is silent unless a person asked. No secret, and no text of others
// with control characters in it, reaches a terminal.

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf16"
)

func (p *program) say(kind, text string) {
	if kind == "hint" {
		text = p.withConfig(text)
	}
	prefix := "sfcred: "
	if kind != "" {
		prefix += kind + ": "
	}
	// One write a line, so that lines of processes side by side stay whole.
	fmt.Fprintf(p.stderr, "%s%s\n", prefix, oneLine(withoutSecrets(text)))
}

// withConfig is a command that, pasted, does not act on another config.
func (p *program) withConfig(command string) string {
	rest, ok := strings.CutPrefix(command, "sfcred ")
	if !ok || p.configFlag == "" || strings.HasPrefix(rest, "--config") {
		return command
	}
	return "sfcred --config " + shellWord(p.configFlag) + " " + rest
}

func (p *program) inform(format string, args ...any) { p.say("", fmt.Sprintf(format, args...)) }
func (p *program) warn(text string)                  { p.say("warning", text) }

// warnOnce warns of what may come up again and again.
func (p *program) warnOnce(text string, hints ...string) {
	if p.warned[text] {
		return
	}
	if p.warned == nil {
		p.warned = map[string]bool{}
	}
	p.warned[text] = true
	p.warn(text)
	for _, hint := range hints {
		p.say("hint", hint)
	}
}

func (p *program) trace(text string) {
	if p.verbose {
		p.say("", text)
	}
}

// fail tells a person of an error and gives the exit code that goes with it.
func (p *program) fail(err error) int {
	p.tell(err)
	return exitCode(err)
}

// tell tells a person of an error, and what to type.
func (p *program) tell(err error) {
	var said *saidError
	if errors.As(err, &said) {
		return
	}
	if text := err.Error(); text != "" {
		p.say("error", text)
	}
	for _, hint := range p.hints(err) {
		p.say("hint", hint)
	}
}

// answer writes the whole of a command's answer to standard output.
func (p *program) answer(text string) error {
	// A closed pipe must come back as an error, not end the process without a
	// word (os/signal, "SIGPIPE"). Nothing is started after an answer that
	// could inherit this.
	signal.Ignore(syscall.SIGPIPE)
	if _, err := io.WriteString(p.stdout, text); err != nil {
		return fmt.Errorf("write the answer: %w", err)
	}
	return nil
}

// oneLine makes a line of what a library or a server may have said in several,
// and drops what could steer a terminal, or show text in another order than it
// has (https://trojansource.codes).
func oneLine(text string) string {
	lines := strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' })
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.Join(lines, "; "))
}

// withoutSecrets takes out what is a key by its PEM, and what is a token or an
// assertion by its form: a compact JWS (RFC 7515, section 7.1), whose header is
// JSON. People mistake an argument or a variable for another, and errors quote what
// no file or profile has as its name.
func withoutSecrets(text string) string {
	if strings.Contains(text, "eyJ") {
		jws := regexp.MustCompile(`eyJ[\w-]{8,}(\.[\w-]+){1,2}`) // two parts are left of one that is cut
		text = jws.ReplaceAllString(text, "(a token)")
	}
	before, rest, found := strings.Cut(text, "-----BEGIN ")
	if !found {
		return text
	}
	_, rest, _ = strings.Cut(rest, "-----END ")
	_, rest, _ = strings.Cut(rest, "-----")
	return before + "(a key)" + withoutSecrets(rest)
}

// plainJSON writes the same as text, with what cannot be printed as escapes: of
// that JSON asks it for U+0000 to U+001F only (RFC 8259 section 7).
func plainJSON(text []byte) string {
	if !bytes.ContainsFunc(text, func(r rune) bool { return r >= 0x7f && !unicode.IsPrint(r) }) {
		return string(text)
	}
	var b strings.Builder
	for _, r := range string(text) {
		if r < 0x7f || unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}
