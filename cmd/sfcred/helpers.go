package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"sfcred/helper"
	"sfcred/integrations/bazel"
	"sfcred/integrations/cargo"
	"sfcred/integrations/git"
	"sfcred/integrations/goauth"
	"sfcred/integrations/restish"
	"sfcred/integrations/terraform"
)

// chooseFor gives the profile that is meant, if its token may go to a URL that a
// tool names.
func (p *program) chooseFor(url string) (*chosen, error) {
	profile, err := p.choose()
	if err != nil {
		return nil, err
	}
	if _, err := profile.CheckHost(url); err != nil {
		return nil, &profileError{profile.name, err}
	}
	return profile, nil
}

// tokenFor gives the token for a URL that a tool names, if it may go there.
func (p *program) tokenFor(c *cli.Context, url string) (helper.Token, error) {
	profile, err := p.chooseFor(url)
	if err != nil {
		return helper.Token{}, err
	}
	return p.helperToken(c, profile)
}

// helperToken gives the token that a tool's command line asks for.
func (p *program) helperToken(c *cli.Context, profile *chosen) (helper.Token, error) {
	want, err := p.want(c)
	if err != nil {
		return helper.Token{}, err
	}
	return p.tokenOf(c.Context, profile, want)
}

// request reads what a tool asks, up to most bytes and one more, so that its
// room can say that it is too long. A tool that says nothing is not waited for
// longer than anything else.
func (p *program) request(ctx context.Context, most int64) ([]byte, error) {
	ctx, cancel := p.inTime(ctx)
	defer cancel()
	type result struct {
		input []byte
		err   error
	}
	done := make(chan result, 1)
	go func() {
		input, err := io.ReadAll(io.LimitReader(p.stdin, most+1))
		done <- result{input, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return nil, fmt.Errorf("read the request from standard input: %w", r.err)
		}
		return r.input, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("read the request from standard input: none came within %s", p.timeout)
	}
}

// answerBytes answers with what a room has made, or with its error.
func (p *program) answerBytes(reply []byte, err error) error {
	if err != nil || len(reply) == 0 {
		return err
	}
	return p.answer(string(reply))
}

// helperGit answers git. For a host that is not ours it is silent, so that git
// asks the next helper; for one of ours without a token it has git give up
// rather than ask a person for a password.
func (p *program) helperGit(c *cli.Context) error {
	if c.Args().First() == git.Capability { // nothing is said with it
		return p.answer(string(git.Capabilities()))
	}
	input, err := p.request(c.Context, git.MaxInput)
	if err != nil {
		return err
	}
	r, err := git.Parse(c.Args().First(), input)
	if err != nil {
		return err
	}
	switch {
	case r.Operation == git.Erase:
		return p.eraseGit(r)
	case r.Operation != git.Get || !r.Bearer:
		return nil // also what a git before 2.46 gets, which would send it as a password
	}
	profile, err := p.chooseFor(r.URL())
	if errors.Is(err, helper.ErrForeignHost) {
		return nil
	}
	if err != nil { // nobody knows whose the host is, and another helper may
		return err
	}
	t, err := p.helperToken(c, profile)
	if err != nil {
		return errors.Join(p.answer(string(git.Quit())), err)
	}
	return p.answerBytes(git.Reply(t.Value, t.HelperExpiry(time.Now())))
}

// eraseGit drops the cached token if it is the one that a server of ours has
// refused.
func (p *program) eraseGit(r git.Request) error {
	profile, err := p.chooseFor(r.URL())
	if errors.Is(err, helper.ErrForeignHost) {
		return nil
	}
	if err != nil {
		return err
	}
	source := p.source(profile.Profile, nil)
	if t, ok := source.Cached(helper.Want{}); ok && r.Erases(t.Value, t.Obtained, time.Now()) {
		return source.Forget()
	}
	return nil
}

// answerURL answers a tool whose request, on standard input, names a URL: by what
// its room reads of up to most bytes, and what that makes of the token.
func (p *program) answerURL(c *cli.Context, most int64, parse func([]byte) (string, error), reply func(string, time.Time) ([]byte, error)) error {
	input, err := p.request(c.Context, most)
	if err != nil {
		return err
	}
	url, err := parse(input)
	if err != nil {
		return err
	}
	t, err := p.tokenFor(c, url)
	if err != nil {
		return err
	}
	return p.answerBytes(reply(t.Value, t.HelperExpiry(time.Now())))
}

// helperBazel answers Bazel.
func (p *program) helperBazel(c *cli.Context) error {
	if err := bazel.Command(c.Args().Slice()); err != nil {
		return &usageError{text: err.Error()}
	}
	return p.answerURL(c, bazel.MaxInput, bazel.Parse, bazel.Reply)
}

// helperGo answers the go command: first with all hosts that have a name, later
// for a URL that was refused.
func (p *program) helperGo(c *cli.Context) error {
	if !c.Args().Present() {
		return p.firstGo(c)
	}
	if _, err := p.request(c.Context, 1<<20); err != nil { // the server's answer, which says nothing new
		return err
	}
	url := c.Args().First()
	origin, err := goauth.Origin(url)
	if err == nil {
		var t helper.Token
		if t, err = p.tokenFor(c, url); err == nil {
			return p.answerBytes(goauth.Reply(t.Value, []string{origin}))
		}
	}
	if errors.Is(err, helper.ErrForeignHost) {
		return nil
	}
	return err
}

func (p *program) firstGo(c *cli.Context) error {
	profile, err := p.choose()
	if err != nil {
		return err
	}
	prefixes, err := goauth.Prefixes(profile.Hosts)
	if err != nil || len(prefixes) == 0 {
		return err
	}
	t, err := p.helperToken(c, profile)
	if err != nil {
		return err
	}
	return p.answerBytes(goauth.Reply(t.Value, prefixes))
}

func cargoFlags() []cli.Flag {
	return []cli.Flag{&cli.BoolFlag{Name: "cargo-plugin", Usage: "as Cargo calls its providers"}}
}

// helperCargo answers Cargo, which may ask more than once.
func (p *program) helperCargo(c *cli.Context) error {
	if err := p.answer(string(cargo.Hello())); err != nil {
		return err
	}
	lines := bufio.NewScanner(p.stdin)
	lines.Buffer(nil, cargo.MaxLine+1)
	for lines.Scan() {
		if err := p.answerCargo(c, lines.Bytes()); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return p.failCargo(fmt.Errorf("read the request from standard input: %w", err))
	}
	return nil
}

// answerCargo answers one request.
func (p *program) answerCargo(c *cli.Context, line []byte) error {
	reply, err := p.cargoReply(c, line)
	if err != nil {
		return p.failCargo(err)
	}
	return p.answer(string(reply))
}

// failCargo has Cargo told too.
func (p *program) failCargo(err error) error {
	return errors.Join(p.answerBytes(cargo.Failed(err.Error())), err)
}

func (p *program) cargoReply(c *cli.Context, line []byte) ([]byte, error) {
	r, err := cargo.Parse(line)
	if err != nil {
		return nil, err
	}
	if err := p.takeCargoArgs(r.Args); err != nil {
		return nil, err
	}
	// Whose host it is counts before what is asked: a login to another registry
	// is another provider's.
	profile, err := p.chooseFor(r.URL)
	switch {
	case errors.Is(err, helper.ErrForeignHost):
		return cargo.Foreign()
	case err != nil:
		return nil, err
	case r.Kind != cargo.Get:
		return cargo.Unsupported()
	}
	t, err := p.helperToken(c, profile)
	if err != nil {
		return nil, err
	}
	return cargo.Reply(t.Value, t.HelperExpiry(time.Now()))
}

// takeCargoArgs takes the profile from what Cargo's configuration has behind
// our name: it comes with the request, not on the command line.
func (p *program) takeCargoArgs(args []string) error {
	joined, ok := strings.CutPrefix(strings.Join(args, "="), "--profile=")
	switch {
	case len(args) == 0:
		return nil
	case !ok || len(args) > 2 || helper.CheckName(joined) != nil:
		return &usageError{text: "behind sfcred-cargo there may be --profile NAME, and nothing else"}
	}
	p.profile = joined
	return nil
}

// helperTerraform answers Terraform.
func (p *program) helperTerraform(c *cli.Context) error {
	r, err := terraform.Parse(c.Args().Slice())
	if err != nil {
		return &usageError{text: err.Error()}
	}
	if r.Verb == terraform.Store {
		if _, err := p.request(c.Context, terraform.MaxInput); err != nil {
			return err
		}
		return r.Refusal()
	}
	if r.Verb == terraform.Forget {
		_, err := p.chooseFor(r.URL())
		switch {
		case errors.Is(err, helper.ErrForeignHost):
			return nil
		case err != nil:
			return err
		}
		return r.Refusal()
	}
	t, err := p.tokenFor(c, r.URL())
	if errors.Is(err, helper.ErrForeignHost) {
		return p.answer(string(terraform.None()))
	}
	if err != nil {
		return err
	}
	return p.answerBytes(terraform.Reply(t.Value))
}

// helperRestish answers Restish; to a host that is not ours the request goes as
// it is.
func (p *program) helperRestish(c *cli.Context) error {
	reply := func(token string, _ time.Time) ([]byte, error) { return restish.Reply(token) }
	err := p.answerURL(c, restish.MaxInput, restish.Parse, reply)
	if errors.Is(err, helper.ErrForeignHost) {
		return nil
	}
	return err
}
