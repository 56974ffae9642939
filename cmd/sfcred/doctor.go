package main

import (
	"cmp"
	"context"
	"crypto"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"sfcred/helper"
	"sfcred/helper/diagnosis"
)

// The verdicts on a step. Scripts depend on them.
const (
	verdictOK   = "ok"
	verdictWarn = "warn" // it works, and something is not as it should be
	verdictFail = "fail"
	verdictSkip = "skip" // it does not apply, or depends on what failed
)

// step is what doctor found out about one thing.
type step struct {
	Name    string   `json:"name"`
	Verdict string   `json:"verdict"`
	Detail  string   `json:"detail"`
	Causes  []string `json:"causes"` // the likeliest first
	Kinds   []string `json:"kinds"`  // of the causes: words that stay the same
	Hint    string   `json:"hint"`   // what mends it, or where several causes are left, the next test
	certain bool     // the first cause is the only one
	code    int      // the exit code that a failure has
}

// examination is one run of doctor: what it has found so far, of which the
// later steps are made.
type examination struct {
	*program
	config    *helper.Config
	profile   *chosen
	source    *helper.Source
	warned    []string // by the source, in this step
	signer    crypto.MessageSigner
	signerErr error // why there is none
	reached   *helper.Reached
	token     helper.Token
	account   string // the user's name by the API, where that took the token
	steps     []step
}

// probe finds out about one thing, within --timeout.
type probe struct {
	name string
	look func(*examination, context.Context) step
}

// checks are in the order in which things are needed.
func (p *program) checks() []probe {
	checks := []probe{
		{"config", (*examination).checkConfig},
		{"profile", (*examination).checkProfile},
		{"key store", (*examination).checkStore},
		{"key", (*examination).checkKey},
		{"orphaned keys", (*examination).checkOrphans},
		{"name look-up", (*examination).checkName},
		{"TLS and proxy", (*examination).checkConnection},
		{"clock", (*examination).checkClock},
		{"exchange", (*examination).checkExchange},
		{"token", (*examination).checkToken},
		{"account", (*examination).checkAccount},
		{"client", (*examination).checkClient},
	}
	for _, t := range p.tools() {
		if t.look != nil {
			checks = append(checks, probe{t.name, t.check})
		}
	}
	return checks
}

// doctor checks all that has to work and says what it found of each, with the
// likely causes of what does not. What it prints can go into a ticket: there is
// no key and no token in it, and HOME is ~. Names stand in it: the user's and
// the client's, since whose they are is what often is wrong.
func (p *program) doctor(c *cli.Context) error {
	if err := p.takeName(c.Args().First()); err != nil {
		return err
	}
	x := &examination{program: p}
	if err := x.run(c.Context); err != nil {
		return err
	}
	print := x.printText
	if c.Bool("json") {
		print = x.printJSON
	}
	if err := print(); err != nil {
		return err
	}
	if code := x.code(); code != exitOK {
		return &verdictError{code}
	}
	return nil
}

// verdictError is a report that says what is wrong: only its exit code is left.
type verdictError struct{ code int }

func (e *verdictError) Error() string { return "" }

// run makes all checks.
func (x *examination) run(ctx context.Context) error {
	progress := x.progress()
	defer progress("")
	for _, check := range x.checks() {
		progress(check.name)
		stepCtx, cancel := x.deadline(ctx)
		s := check.look(x, stepCtx)
		cancel()
		if errors.As(x.caught, new(signalError)) {
			return errInterrupted
		}
		s.Name = check.name
		x.steps = append(x.steps, x.pasteable(s))
	}
	return nil
}

// progress tells a person at the terminal what is being checked.
func (x *examination) progress() func(name string) {
	f, ok := x.stderr.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return func(string) {}
	}
	return func(name string) {
		if name != "" {
			name = "checking " + name + " ..."
		}
		fmt.Fprintf(f, "\r\x1b[K%s", name)
	}
}

// pasteable takes out of a step what is not for everybody, or for a terminal.
func (x *examination) pasteable(s step) step {
	s.Detail, s.Hint = x.homeless(oneLine(withoutSecrets(s.Detail))), x.homeless(withoutSecrets(x.withConfig(s.Hint)))
	causes := []string{} // in JSON a list, also where it is empty
	for _, c := range s.Causes {
		causes = append(causes, x.homeless(oneLine(c)))
	}
	s.Causes = causes
	if s.Kinds == nil {
		s.Kinds = []string{}
	}
	return s
}

// homeless writes ~ for the home directory: its name is often a person's. Within
// quotes a shell would not read it so.
func (x *examination) homeless(text string) string {
	if home := strings.TrimRight(x.env.home, "/"); home != "" {
		text = strings.ReplaceAll(text, "'"+home+"/", "~/'")
		text = strings.ReplaceAll(text, home+"/", "~/")
	}
	return text
}

// passed, warned, skipped and failed are the verdicts.
func passed(format string, args ...any) step {
	return step{Verdict: verdictOK, Detail: fmt.Sprintf(format, args...)}
}

func warned(hint, format string, args ...any) step {
	return step{Verdict: verdictWarn, Detail: fmt.Sprintf(format, args...), Hint: hint}
}

func skipped(format string, args ...any) step {
	return step{Verdict: verdictSkip, Detail: fmt.Sprintf(format, args...)}
}

// but is the step with a word on what could not be done beside it.
func (s step) but(err error) step {
	if err == nil {
		return s
	}
	s.Detail += "; " + err.Error()
	if s.Verdict != verdictFail {
		s.Verdict = verdictWarn
	}
	return s
}

// failed is the verdict on an error, with the causes that the evidence leaves.
func (x *examination) failed(e diagnosis.Evidence) step {
	s := step{Verdict: verdictFail, Detail: e.Err.Error(), code: exitCode(e.Err)}
	found := diagnosis.Diagnose(e)
	for _, f := range found {
		s.Causes = append(s.Causes, f.String())
		s.Kinds = append(s.Kinds, string(f.Cause))
	}
	if len(found) > 0 {
		s.certain = found[0].Certain
	}
	if x.profile != nil {
		s.Hint = commands{x.profile.name, &x.profile.Profile}.hint(found, e)
	}
	if hints := x.hints(e.Err); s.Hint == "" && len(hints) > 0 {
		s.Hint = hints[0]
	}
	return s
}

// code is the exit code: that of the first failure.
func (x *examination) code() int {
	for _, s := range x.steps {
		if s.Verdict == verdictFail {
			return cmp.Or(s.code, exitFailed)
		}
	}
	return exitOK
}

// printJSON prints the report for programs.
func (x *examination) printJSON() error {
	return x.answerJSON(struct {
		OK       bool   `json:"ok"`
		ExitCode int    `json:"exit_code"`
		Steps    []step `json:"steps"`
		Version  string `json:"version"`
	}{x.code() == exitOK, x.code(), x.steps, version()})
}

// printText prints the report for people.
func (x *examination) printText() error {
	const indent = "                     " // as wide as verdict and name
	var b strings.Builder
	paint := x.painter()
	for _, s := range x.steps {
		fmt.Fprintf(&b, "%s  %-13s  %s\n", paint(s.Verdict), s.Name, s.Detail)
		for i, cause := range s.Causes {
			word := "or"
			switch {
			case s.certain:
				word = "cause"
			case i == 0:
				word = "likely"
			}
			fmt.Fprintf(&b, "%s%s: %s\n", indent, word, cause)
		}
		if s.Hint != "" {
			fmt.Fprintf(&b, "%shint: %s\n", indent, s.Hint)
		}
	}
	fmt.Fprintf(&b, "\n%s\n", x.overall())
	return x.answer(b.String())
}

// painter colours verdicts where a terminal shows them, unless NO_COLOR says
// no (https://no-color.org).
func (x *examination) painter() func(verdict string) string {
	f, ok := x.stdout.(*os.File)
	colours := ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	codes := map[string]int{verdictOK: 32, verdictWarn: 33, verdictFail: 31, verdictSkip: 2}
	return func(verdict string) string {
		if !colours {
			return fmt.Sprintf("%-4s", verdict)
		}
		return fmt.Sprintf("\x1b[%dm%-4s\x1b[0m", codes[verdict], verdict)
	}
}

// overall is the report in one line.
func (x *examination) overall() string {
	warnings := 0
	for _, s := range x.steps {
		switch {
		case s.Verdict == verdictWarn:
			warnings++
		case s.Verdict == verdictFail && s.certain && len(s.Causes) > 0:
			return fmt.Sprintf("it does not work: %s: %s", s.Name, s.Causes[0])
		case s.Verdict == verdictFail && len(s.Causes) > 0:
			return fmt.Sprintf("it does not work: %s: most likely %s", s.Name, s.Causes[0])
		case s.Verdict == verdictFail:
			return fmt.Sprintf("it does not work: %s: %s", s.Name, s.Detail)
		}
	}
	switch warnings {
	case 0:
		return "it works"
	case 1:
		return "it works, with one warning"
	}
	return fmt.Sprintf("it works, with %d warnings", warnings)
}
