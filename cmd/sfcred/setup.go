package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"sfcred/helper"
	"sfcred/integrations/setup"
)

// connection is one setup of a tool.
type connection struct {
	*program
	profile *chosen
	entry   setup.Entry
	link    *helperLink // nil where the tool calls sfcred itself
}

// connect finds out what a tool is to be told. link is the helper's own name,
// where the tool calls that, and dir where it looks for it, if not in PATH.
func (p *program) connect(c *cli.Context, link, dir string) (*connection, error) {
	profile, err := p.connectable(c)
	if err != nil {
		return nil, err
	}
	s := &connection{program: p, profile: profile}
	own, err := findLink("sfcred", "")
	if err != nil {
		return nil, err
	}
	s.entry = setup.Entry{
		Profile: profile.name, Hosts: profile.canonicalHosts(), URL: profile.exampleURL(),
		Program: own.command(), Path: own.program,
	}
	if p.config != "" { // which a helper's own name does not take
		s.entry.Config, err = filepath.Abs(p.config)
		return s, err
	}
	if link == "" {
		return s, nil
	}
	l, err := findLink(link, dir)
	if err != nil {
		return nil, err
	}
	s.link, s.entry.Helper = &l, l.command()
	return s, nil
}

// connectable is the profile that a tool is to get the tokens of.
func (p *program) connectable(c *cli.Context) (*chosen, error) {
	if c.Bool("write") && c.Bool("remove") {
		return nil, &usageError{text: "--write and --remove exclude each other"}
	}
	profile, err := p.choose()
	if errors.Is(err, helper.ErrNoProfile) && c.Bool("remove") && p.profile != "" {
		profile, err = &chosen{name: p.profile}, nil // what it left can still be taken out
	}
	if err != nil {
		return nil, err
	}
	if profile.name == envName && p.env.clientID != "" {
		return nil, &usageError{
			text:  fmt.Sprintf("the profile from SFCRED_ variables cannot be set up: %s would not have them", c.Command.Name),
			hints: []string{"sfcred login --help"},
		}
	}
	if len(profile.Hosts) == 0 && !c.Bool("remove") {
		return nil, &hintedError{
			fmt.Errorf("profile %q names no host, so %s would get no token", profile.name, c.Command.Name),
			[]string{"sfcred edit " + profile.name + " --host +HOST"},
		}
	}
	return profile, nil
}

// canonicalHosts are the profile's hosts as all tools get them.
func (c *chosen) canonicalHosts() []string {
	var hosts []string
	for _, entry := range c.Hosts {
		if h, err := helper.ParseHost(entry); err == nil {
			hosts = append(hosts, h.String())
		}
	}
	return hosts
}

// exampleURL is a URL that the profile's token may go to: of its API, else of the
// first host that has a name; "" if there is none.
func (c *chosen) exampleURL() string {
	if _, err := c.CheckHost(c.APIURL); err == nil {
		return c.APIURL
	}
	for _, host := range c.canonicalHosts() {
		if !strings.HasPrefix(host, "*.") {
			return "https://" + host + "/"
		}
	}
	return ""
}

// first is what is to be done before all else: the link, while it does not stand.
func (s *connection) first() string {
	if s.link == nil || s.link.stands() {
		return ""
	}
	return "# first: " + s.link.byHand() + "\n"
}

// makeLink makes the link, if there is to be one.
func (s *connection) makeLink() error {
	if s.link == nil {
		return nil
	}
	return s.link.make()
}

// removeLink takes the link away, unless it is known that something needs it.
func (s *connection) removeLink(used bool) {
	if s.link == nil || used {
		return
	}
	switch removed, err := s.link.remove(); {
	case err != nil:
		s.warn(err.Error())
	case removed:
		s.inform("removed the link %s", s.link.path)
	}
}

// printed is an error of --write, after what it could not write was printed, for
// a person to do it.
func (s *connection) printed(err error, print func() error) error {
	return errors.Join(err, print())
}

// system is what tools find their configuration by.
func (p *program) system() setup.System {
	return setup.System{
		Home: p.env.home, OS: runtime.GOOS, Getenv: os.Getenv,
		Exists: func(path string) bool { _, err := os.Stat(path); return err == nil },
	}
}

// setupLines is for a tool that is connected by what a person types.
func (p *program) setupLines(c *cli.Context, lines func(setup.Entry) string) error {
	if c.Bool("write") || c.Bool("remove") {
		name := c.Command.Name
		return &usageError{
			fmt.Sprintf("nothing is written for %s: what sfcred prints is for you to type or to paste", name),
			[]string{"sfcred setup " + name},
		}
	}
	s, err := p.connect(c, "", "")
	if err != nil {
		return err
	}
	return s.answer(lines(s.entry))
}

// toolCall is a run of a tool that is to be connected.
type toolCall struct {
	name    string
	args    []string
	without []string // variables that it is not to see
	env     []string // and those that it is
	dir     string
}

// ask runs a tool and gives what it printed.
func (p *program) ask(ctx context.Context, t toolCall) ([]byte, error) {
	ctx, cancel := p.deadline(ctx)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, t.name, t.args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Dir = t.dir
	cmd.Env = environ(t.without, t.env...)
	cmd.WaitDelay = 500 * time.Millisecond // a wrapper's child may hold the pipes
	p.trace(t.name + " " + strings.Join(t.args, " "))
	err := cmd.Run()
	what := t.name + " " + strings.Join(t.args[:min(2, len(t.args))], " ")
	if ctx.Err() != nil {
		return nil, fmt.Errorf("run %s: it did not answer within %s", what, p.timeout)
	}
	if err != nil {
		if text := strings.TrimSpace(stderr.String()); text != "" {
			return nil, fmt.Errorf("run %s: %w: %s", what, err, text)
		}
		return nil, fmt.Errorf("run %s: %w", what, err)
	}
	return stdout.Bytes(), nil
}
