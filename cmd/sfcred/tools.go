package main

import (
	"cmp"
	"context"

	"github.com/urfave/cli/v2"

	"sfcred/integrations/bazel"
	"sfcred/integrations/cargo"
	"sfcred/integrations/curl"
	"sfcred/integrations/httpie"
	"sfcred/integrations/pnpm"
	"sfcred/integrations/pyfirecrest"
	"sfcred/integrations/rclone"
	"sfcred/integrations/restish"
	"sfcred/integrations/setup"
	"sfcred/integrations/terraform"
	"sfcred/integrations/wget"
)

// tools has a line for each tool. All that lists tools is made from it: the
// helpers and the names by which the program is one of them, the setups, the
// steps of doctor, what completes a word. A line is the tool's name, the protocol
// in which it is answered, and how it is connected; either may be left out.
//
// A new tool has a room in integrations and a line here. Where its protocol is
// unlike the others, helpers.go has how it is answered; where its configuration
// is neither a file nor for a person to type, a file of its own has how it is
// connected.
func (p *program) tools() []tool {
	return []tool{
		{"kubectl", protocol{"", "answer kubectl's exec credential protocol", p.helperKubectl, nil}, p.kubectlConnector()},
		{"git", protocol{"OPERATION", "answer git's credential helper protocol", p.helperGit, nil}, p.gitConnector()},
		{"go", protocol{"[URL]", "answer the go command as a GOAUTH command", p.helperGo, nil}, p.goConnector()},
		{"bazel", protocol{"[COMMAND]", "answer the credential helper protocol of Bazel and others", p.helperBazel, nil}, p.inFile(bazel.Setup())},
		{"cargo", protocol{"", "answer Cargo's credential provider protocol", p.helperCargo, cargoFlags()}, p.inFile(cargo.Setup())},
		{"terraform", protocol{"VERB [HOST]", "answer Terraform's credentials helper protocol", p.helperTerraform, nil}, p.inFile(terraform.Setup())},
		{"restish", protocol{"", "answer Restish as an external tool", p.helperRestish, nil}, p.inFile(restish.Setup())},
		{"curl", protocol{}, p.byHand("print a command line for curl", curl.Lines)},
		{"httpie", protocol{}, p.byHand("print a command line for HTTPie", httpie.Lines)},
		{"xh", protocol{}, p.byHand("print a command line for xh", httpie.XHLines)},
		{"wget", protocol{}, p.byHand("print a command line for wget", wget.Lines)},
		{"rclone", protocol{}, p.byHand("print the command that makes a WebDAV remote", rclone.Lines)},
		{"pnpm", protocol{}, p.byHand("print commands for a line in ~/.npmrc", pnpm.Lines)},
		{"pyfirecrest", protocol{}, p.byHand("print the variable for pyFirecREST", pyfirecrest.Lines)},
	}
}

// tool is one that is answered, connected, or both.
type tool struct {
	name     string
	protocol protocol
	connector
}

// protocol is how a tool asks for a token.
type protocol struct {
	args, usage string // of the helper, as cli.Command has them
	answer      cli.ActionFunc
	flags       []cli.Flag
}

// connector is how a tool is told of sfcred, and how it is seen that it was.
type connector struct {
	usage   string
	connect cli.ActionFunc
	flags   []cli.Flag
	link    string                                     // the helper's own name, where it is not sfcred-TOOL
	dir     func(setup.System) (string, error)         // where the tool looks for that; nil for beside sfcred
	look    func(context.Context) (connections, error) // nil where nothing is written that could be seen
}

// inFile connects a tool whose configuration is a file.
func (p *program) inFile(f setup.File) connector {
	return connector{
		usage:   "connect " + f.Name + ", in its configuration file",
		connect: func(c *cli.Context) error { return p.setupFile(c, f) },
		link:    f.Helper, dir: f.HelperDir,
		look: func(context.Context) (connections, error) { return p.fileConnections(f) },
	}
}

// byHand connects a tool by what a person types.
func (p *program) byHand(usage string, lines func(setup.Entry) string) connector {
	return connector{usage: usage, connect: func(c *cli.Context) error { return p.setupLines(c, lines) }}
}

// linkName is the name by which the program is the tool's helper.
func (t tool) linkName() string { return cmp.Or(t.link, "sfcred-"+t.name) }

// helper is the tool's command of "sfcred helper", or nil.
func (t tool) helper() *cli.Command {
	if t.protocol.answer == nil {
		return nil
	}
	return &cli.Command{
		Name: t.name, ArgsUsage: t.protocol.args, Usage: t.protocol.usage, Action: t.protocol.answer,
		Flags: append(t.protocol.flags, minTTLFlag()),
	}
}

// setup is the tool's command of "sfcred setup", or nil.
func (t tool) setup() *cli.Command {
	if t.connect == nil {
		return nil
	}
	return &cli.Command{
		Name: t.name, Usage: t.usage, Action: t.connect,
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "write", Usage: "apply it"},
			&cli.BoolFlag{Name: "remove", Usage: "take it out again"},
		}, t.flags...),
	}
}

// commandsOf makes a group's commands: of each tool the one that command gives.
func commandsOf(tools []tool, command func(tool) *cli.Command) []*cli.Command {
	var commands []*cli.Command
	for _, t := range tools {
		if c := command(t); c != nil {
			commands = append(commands, c)
		}
	}
	return commands
}
