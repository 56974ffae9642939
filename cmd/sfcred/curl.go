package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"sfcred/helper"
	"sfcred/integrations/curl"
)

const curlDescription = `   Runs curl with these arguments, and hands it the header with the token in a
   pipe. One of the arguments is the URL, whose host must be one of the profile's;
   a URL that begins with a slash is below the profile's API:

       sfcred curl -sS /account/

   curl starts only when there is a token. Its options are known to sfcred, or
   refused: among them all that send the request elsewhere, bring other
   credentials or show the token (-K, -x, -k, -u, --next, --resolve, --trace).
   -v is filtered. ~/.curlrc is not read.

   sfcred ends as curl does: with its exit code, or by the same signal; with 125
   (126 not executable, 127 not found) where curl has not started.`

// curlHints says how else to type what is refused: our own flags before the word,
// and curl's without us.
func (p *program) curlHints(refused string) []string {
	if slices.Contains([]string{"--profile", "--timeout"}, refused) {
		return []string{"sfcred " + refused + " VALUE curl URL"}
	}
	words := []string{"sfcred"}
	if p.configFlag != "" {
		words = append(words, "--config", shellWord(p.configFlag))
	}
	if p.profile != p.env.profile {
		words = append(words, "--profile", shellWord(p.profile))
	}
	return []string{"curl -H @<(" + strings.Join(words, " ") + " header --url URL) URL"}
}

// curl runs curl with a token for the one URL that it is given.
func (p *program) curl(c *cli.Context) error {
	profile, err := p.choose()
	if err != nil {
		return err
	}
	command, err := curl.Parse(c.Args().Slice(), profile.APIURL)
	if err != nil {
		return err
	}
	command.CAFile = profile.CAFile
	checked, err := profile.CheckHost(command.URL)
	if err != nil {
		return &profileError{profile.name, err}
	}
	path, err := findProgram("curl")
	if err != nil {
		return err
	}
	if command.Location {
		if err := p.checkCurl(c.Context, path); err != nil {
			return err
		}
	}
	t, err := p.tokenForChild(c.Context, profile, helper.Want{MinTTL: time.Minute})
	if err != nil {
		return err
	}
	text, err := curl.Header(t.Value)
	if err != nil {
		return err
	}
	return p.runCurl(path, command, checked, text)
}

// runCurl runs curl with the header in hand.
func (p *program) runCurl(path string, command *curl.Command, checked *url.URL, text []byte) error {
	signals := heed()
	header, err := handOver(text, command.Stdin)
	if err != nil {
		return err
	}
	defer header.Close()
	s := streams{stdin: header.stdin}
	shown := func() {}
	if command.Verbose {
		if s.stderr, shown, err = p.hideHeader(); err != nil {
			return err
		}
	}
	child, err := p.startChild(path, command.Argv(checked, header.name), curlEnviron(), s, signals)
	s.stderr.Close() // nil is fine with it
	if err != nil {
		return notRun("curl", err)
	}
	code, by, err := child.attend()
	shown()
	return p.end(code, by, err)
}

// handed is the end of a pipe for curl to read the header from.
type handed struct {
	*os.File
	name  string   // by which curl opens it, "-" for its standard input
	stdin *os.File // curl's standard input; nil where that is ours
}

// handOver gives curl the header in a pipe: never in a file, an argument or a
// variable, which others can read. It is in there, and the other end closed,
// before curl starts, so that curl never sees an empty or half a header, even if
// sfcred is killed.
func handOver(text []byte, wantsStdin bool) (*handed, error) {
	r, err := filledPipe(text)
	if err != nil {
		return nil, fmt.Errorf("hand the header to curl: %w", err)
	}
	if name, ok := inherited(r); ok {
		return &handed{File: r, name: name}, nil
	}
	if wantsStdin {
		r.Close()
		return nil, &curl.OptionError{Option: "@-", Why: "standard input is needed for the header, since there is no /dev/fd"}
	}
	return &handed{File: r, name: "-", stdin: r}, nil
}

// filledPipe is a pipe with a text in it. A pipe takes 64 KiB on Linux (pipe(7)),
// 16 on macOS, 4 on Windows; tokens have one or two.
func filledPipe(text []byte) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	written := make(chan error, 1)
	go func() {
		_, err := w.Write(text)
		written <- err
	}()
	select {
	case err = <-written:
	case <-time.After(time.Second):
		err = fmt.Errorf("its %d bytes are too many for a pipe", len(text))
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// hideHeader is a standard error for curl that comes to ours without the token.
// To be waited for when curl has ended.
func (p *program) hideHeader() (w *os.File, wait func(), err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("read what curl says: %w", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer r.Close()
		hidden := curl.HideHeader(p.stderr)
		if _, err := io.Copy(hidden, r); err != nil {
			io.Copy(io.Discard, r) // nobody reads it, and curl must not wait for that
		}
		hidden.Close()
	}()
	return w, func() { <-done }, nil
}

// checkCurl asks curl for its version.
func (p *program) checkCurl(ctx context.Context, path string) error {
	ctx, cancel := p.deadline(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, path)
	cmd.Args, cmd.Env, cmd.WaitDelay = curl.VersionArgv(), curlEnviron(), time.Second
	printed, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("ask curl for its version: %w", err)
	}
	return curl.CheckVersion(printed)
}

// curlEnviron is curl's environment. It would write the keys of its connections
// to the file that SSLKEYLOGFILE names, and what is known of QUIC below QLOGDIR.
func curlEnviron() []string { return environ([]string{"SSLKEYLOGFILE", "QLOGDIR"}) }
