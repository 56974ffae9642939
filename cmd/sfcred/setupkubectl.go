package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"sfcred/helper"
	"sfcred/integrations/kubectl"
)

func (p *program) kubectlConnector() connector {
	return connector{
		usage: "connect kubectl, by kubectl config", connect: p.setupKubectl,
		flags: []cli.Flag{&cli.StringFlag{Name: "user", Usage: "call the entry `NAME` [sfcred-PROFILE]"}},
		link:  kubectl.Helper, look: p.kubectlConnections,
	}
}

// setupKubectl connects kubectl: prints the entry, or has kubectl write it.
func (p *program) setupKubectl(c *cli.Context) error {
	connection, err := p.connect(c, kubectl.Helper, "")
	if err != nil {
		return err
	}
	user := c.String("user")
	if oneLine(user) != user {
		return &usageError{text: fmt.Sprintf("--user %q: no name for a user", user)}
	}
	s := kubectlSetup{connection, connection.kubectlEntry(user)}
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
func (s *connection) kubectlEntry(user string) kubectl.Entry {
	e := kubectl.Entry{
		User:    cmp.Or(user, "sfcred-"+s.profile.name),
		Command: s.entry.Helper,
		Args:    []string{"--profile", s.profile.name},
	}
	if s.link == nil {
		e.Command = s.entry.Path
		e.Args = []string{"helper", "kubectl", "--config", s.entry.Config, "--profile", s.profile.name}
	}
	return e
}

// kubectlSetup is one setup of kubectl.
type kubectlSetup struct {
	*connection
	entry kubectl.Entry
}

// print gives the entry, and what else there is to do, as a kubeconfig.
func (s kubectlSetup) print() error {
	var b strings.Builder
	b.WriteString(s.first())
	if s.link != nil { // who lists sfcred allows all that it can run
		b.WriteString(s.entry.Allow())
	}
	fmt.Fprintf(&b, "# kubectl config set-context --current --user=%s\n", shellWord(s.entry.User))
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
		return s.printed(err, s.print)
	}
	view, err := s.view(ctx)
	if err != nil {
		return err
	}
	if view.Has(s.entry.User) && !view.Ours(s.entry.User) {
		return fmt.Errorf("kubectl's configuration has a user %q that is not sfcred's; give another name with --user", s.entry.User)
	}
	if err := s.makeLink(); err != nil {
		return err
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
	s.adviseKuberc()
	s.say("hint", "kubectl config set-context --current --user="+shellWord(s.entry.User))
	return nil
}

// adviseHosts warns where no cluster of the kubeconfig could get a token. How a
// host is added a person reads in the help, with what that means: a kubeconfig may
// be somebody else's.
func (s kubectlSetup) adviseHosts(view kubectl.View) {
	var foreign []string
	for _, server := range view.Servers() {
		if _, err := s.profile.CheckHost(server); err == nil {
			return
		}
		if u, err := helper.ParseURL(server); err == nil {
			foreign = append(foreign, u.Host)
		}
	}
	if len(foreign) > 0 {
		s.warn("none of kubectl's clusters is among the profile's hosts, so none gets a token: " + strings.Join(foreign, ", "))
		s.say("hint", "sfcred edit --help")
	}
}

// adviseKuberc warns where kubectl would not run what it is to call.
func (s kubectlSetup) adviseKuberc() {
	path := kubectl.Kuberc(s.env.home, os.Getenv("KUBERC"))
	text, err := os.ReadFile(path)
	if err != nil || !s.entry.Shut(text) {
		return
	}
	s.warn(fmt.Sprintf("%s holds kubectl to a list of commands, and %s is not on it", path, s.entry.Command))
	s.say("hint", "${EDITOR:-vi} "+shellWord(path))
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
	s.inform("kubectl has no user %q from sfcred", s.entry.User)
	s.removeLink(view.OthersOurs(s.entry.User))
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
	return s.ask(ctx, toolCall{name: "kubectl", args: args})
}
