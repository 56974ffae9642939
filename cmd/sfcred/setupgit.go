package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/urfave/cli/v2"

	"sfcred/integrations/git"
	"sfcred/integrations/setup"
)

func (p *program) gitConnector() connector {
	return connector{
		usage: "connect git for the profile's hosts, by git config", connect: p.setupGit,
		link: git.Helper, look: p.gitConnections,
	}
}

// setupGit connects git: prints the commands, or runs them.
func (p *program) setupGit(c *cli.Context) error {
	connection, err := p.connect(c, git.Helper, "")
	if err != nil {
		return err
	}
	s := gitSetup{connection}
	switch {
	case c.Bool("write"):
		return s.write(c.Context)
	case c.Bool("remove"):
		return s.remove(c.Context)
	}
	return s.show(c.Context)
}

// gitSetup is one setup of git.
type gitSetup struct{ *connection }

// show prints the commands, and warns of somebody's helper that they would take
// away. Where git cannot be asked, they are printed all the same.
func (s gitSetup) show(ctx context.Context) error {
	if settings, err := s.settings(ctx); err == nil {
		if _, err := git.Missing(settings, s.entry); err != nil {
			s.warn(err.Error())
		}
	}
	return s.print()
}

func (s gitSetup) print() error {
	var b strings.Builder
	b.WriteString(s.first())
	for _, args := range git.Commands(s.entry) {
		fmt.Fprintf(&b, "git %s\n", setup.ShellLine(args))
	}
	return s.answer(b.String())
}

// write makes the link, and has git set what is not yet as it should be.
func (s gitSetup) write(ctx context.Context) error {
	output, err := s.git(ctx, git.VersionCommand())
	if err != nil {
		return s.printed(err, s.print)
	}
	version, bearer, err := git.ParseVersion(output)
	if err != nil {
		return s.printed(err, s.print)
	}
	settings, err := s.settings(ctx)
	if err != nil {
		return err
	}
	missing, err := git.Missing(settings, s.entry)
	if err != nil {
		return s.printed(err, s.print)
	}
	if err := s.makeLink(); err != nil {
		return err
	}
	for _, args := range missing {
		if _, err := s.git(ctx, args); err != nil {
			return err
		}
	}
	if err := s.unset(ctx, settings, s.entry); err != nil {
		return err
	}
	s.inform("git gets tokens for %s from profile %q", strings.Join(s.entry.Hosts, ", "), s.profile.name)
	if !bearer {
		s.warn(fmt.Sprintf("git %s takes no bearer tokens, and gets none: 2.46 and later do", version))
	}
	return nil
}

// remove has git take out what is the profile's, and the link where no other
// setting needs it.
func (s gitSetup) remove(ctx context.Context) error {
	settings, err := s.settings(ctx)
	if err != nil {
		return err
	}
	none := s.entry
	none.Hosts = nil
	if err := s.unset(ctx, settings, none); err != nil {
		return err
	}
	if settings, err = s.settings(ctx); err != nil {
		return err
	}
	s.inform("git has no helper of profile %q from sfcred", s.profile.name)
	s.removeLink(git.Uses(settings))
	return nil
}

// unset takes the profile's helper off the hosts that the entry does not have.
func (s gitSetup) unset(ctx context.Context, settings []git.Setting, e setup.Entry) error {
	for _, key := range git.Stale(settings, e) {
		if _, err := s.git(ctx, git.Unset(settings, key, e)); err != nil {
			return err
		}
		text, err := os.ReadFile(git.FileOf(settings, key))
		if err != nil || !git.Empty(text, key) {
			continue
		}
		if _, err := s.git(ctx, git.RemoveSection(key)); err != nil {
			return err
		}
	}
	return nil
}

func (s gitSetup) settings(ctx context.Context) ([]git.Setting, error) {
	output, err := s.git(ctx, git.ListCommand())
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return nil, nil // there is none
	}
	if err != nil {
		return nil, err
	}
	return git.ParseSettings(output)
}

func (s gitSetup) git(ctx context.Context, args []string) ([]byte, error) {
	return s.ask(ctx, toolCall{name: "git", args: args})
}
