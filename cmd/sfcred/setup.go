package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"sfcred/helper"
	"sfcred/integrations/kubectl"
)

func setupKubectlFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "write", Usage: "let kubectl write the entry into its configuration"},
		&cli.BoolFlag{Name: "remove", Usage: "let kubectl take the entry out again"},
		&cli.StringFlag{Name: "user", Usage: "call the entry `NAME` [sfcred-PROFILE]"},
	}
}

// setupKubectl connects kubectl: prints the entry, or has kubectl write it.
func (p *program) setupKubectl(c *cli.Context) error {
	profile, err := p.choose()
	if errors.Is(err, helper.ErrNoProfile) && c.Bool("remove") && p.profile != "" {
		profile, err = &chosen{name: p.profile}, nil // what it left can still be taken out
	}
	if err != nil {
		return err
	}
	if profile.name == envName && p.env.clientID != "" {
		return &usageError{text: "the profile from SFCRED_ variables cannot be set up: kubectl would not have them", hints: []string{"sfcred login --help"}}
	}
	if c.Bool("write") && c.Bool("remove") {
		return &usageError{text: "--write and --remove exclude each other"}
	}
	link, err := findLink(kubectl.Helper)
	if err != nil {
		return err
	}
	s := kubectlSetup{p, profile, link, p.kubectlEntry(profile, link, c.String("user"))}
	switch {
	case c.Bool("write"):
		return s.write(c.Context)
	case c.Bool("remove"):
		return s.remove(c.Context)
	}
	return s.print()
}

// kubectlEntry is what kubectl is to call. With a config file in a place of its
// own it cannot be the helper's own name, which takes no --config.
func (p *program) kubectlEntry(profile *chosen, link helperLink, user string) kubectl.Entry {
	e := kubectl.Entry{
		User:    cmp.Or(user, "sfcred-"+profile.name),
		Command: link.command(),
		Args:    []string{"--profile", profile.name},
	}
	if p.config != "" {
		if path, err := filepath.Abs(p.config); err == nil {
			e.Command = link.program
			e.Args = []string{"helper", "kubectl", "--config", path, "--profile", profile.name}
		}
	}
	return e
}

// kubectlSetup is one setup of kubectl.
type kubectlSetup struct {
	*program
	profile *chosen
	link    helperLink
	entry   kubectl.Entry
}

func (s kubectlSetup) linked() bool { return s.config == "" }

// print gives the entry, and what else there is to do, as a kubeconfig.
func (s kubectlSetup) print() error {
	var b strings.Builder
	if s.linked() && !s.link.stands() {
		fmt.Fprintf(&b, "# first: %s\n", s.link.byHand())
	}
	fmt.Fprintf(&b, "# kubectl config set-context --current --user=%s\n", s.entry.User)
	b.WriteString(s.entry.YAML())
	return s.answer(b.String())
}

// write makes the link and has kubectl write the entry. Where kubectl cannot,
// the entry is printed, so that a person can.
func (s kubectlSetup) write(ctx context.Context) error {
	version, err := s.kubectl(ctx, kubectl.VersionCommand())
	if err == nil {
		err = kubectl.ParseVersion(version)
	}
	if err != nil {
		return errors.Join(err, s.print())
	}
	view, err := s.view(ctx)
	if err != nil {
		return err
	}
	if view.Has(s.entry.User) && !view.Ours(s.entry.User) {
		return fmt.Errorf("kubectl's configuration has a user %q that is not sfcred's; give another name with --user", s.entry.User)
	}
	if s.linked() {
		if err := s.link.make(); err != nil {
			return err
		}
	}
	if view.Has(s.entry.User) {
		// kubectl would leave what else the entry has, and a token in it wins.
		if _, err := s.kubectl(ctx, s.entry.UnsetCommand()); err != nil {
			return err
		}
	}
	if _, err := s.kubectl(ctx, s.entry.SetCommand()); err != nil {
		return err
	}
	s.inform("kubectl's user %q gets its tokens from profile %q", s.entry.User, s.profile.name)
	s.adviseHosts(view)
	s.say("hint", "kubectl config set-context --current --user="+s.entry.User)
	return nil
}

// adviseHosts warns where no cluster of the kubeconfig could get a token.
func (s kubectlSetup) adviseHosts(view kubectl.View) {
	var foreign []string
	for _, server := range view.Servers() {
		if _, err := s.profile.CheckHost(server); err == nil {
			return
		}
		if u, err := helper.ParseURL(server); err == nil {
			foreign = append(foreign, fmt.Sprintf("sfcred edit %s --host +%s", s.profile.name, u.Host))
		}
	}
	if len(foreign) > 0 {
		s.warn("none of kubectl's clusters is among the profile's hosts, so none gets a token")
	}
	for _, hint := range foreign {
		s.say("hint", hint)
	}
}

// remove has kubectl take the entry out, and the link where nothing needs it.
func (s kubectlSetup) remove(ctx context.Context) error {
	view, err := s.view(ctx)
	if err != nil {
		return err
	}
	if view.Has(s.entry.User) {
		if !view.Ours(s.entry.User) {
			return fmt.Errorf("kubectl's user %q is not sfcred's; it stays", s.entry.User)
		}
		if _, err := s.kubectl(ctx, s.entry.UnsetCommand()); err != nil {
			return err
		}
	}
	if s.linked() && !view.OthersOurs(s.entry.User) {
		if err := s.link.remove(); err != nil {
			return err
		}
	}
	s.inform("kubectl has no user %q from sfcred", s.entry.User)
	for _, name := range view.Contexts(s.entry.User) {
		s.warn(fmt.Sprintf("kubectl's context %q still names this user", name))
		s.say("hint", fmt.Sprintf("kubectl config set-context %s --user=OTHER_USER", shellWord(name)))
	}
	return nil
}

func (s kubectlSetup) view(ctx context.Context) (kubectl.View, error) {
	output, err := s.kubectl(ctx, kubectl.ViewCommand())
	if err != nil {
		return kubectl.View{}, err
	}
	return kubectl.ParseView(output)
}

// kubectl runs kubectl and gives what it printed.
func (s kubectlSetup) kubectl(ctx context.Context, args []string) ([]byte, error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "kubectl", args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = 500 * time.Millisecond // a wrapper's child may hold the pipes
	s.trace("kubectl " + strings.Join(args, " "))
	err := cmd.Run()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("run kubectl %s: it did not answer within %s", strings.Join(args[:2], " "), s.timeout)
	}
	if err != nil {
		if text := strings.TrimSpace(stderr.String()); text != "" {
			return nil, fmt.Errorf("run kubectl %s: %w: %s", strings.Join(args[:2], " "), err, text)
		}
		return nil, fmt.Errorf("run kubectl %s: %w", strings.Join(args[:2], " "), err)
	}
	return stdout.Bytes(), nil
}
