package main

import "github.com/urfave/cli/v2"

// app is the tree of commands. The library describes them and reads the values
// of their flags; what it would print, or end the process for, by itself is not
// used: see parseLine, invoke and helpOf.
func (p *program) app(tools []tool) *cli.App {
	return &cli.App{
		Name:      "sfcred",
		Usage:     "gives short-lived access tokens to the tools that ask for one",
		UsageText: "sfcred [flags] COMMAND [flags] [NAME]",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "profile", Aliases: []string{"p"}, Usage: "use the profile `NAME` [SFCRED_PROFILE]"},
			&cli.StringFlag{Name: "config", Usage: "use the config `FILE` [SFCRED_CONFIG]"},
			&cli.StringFlag{Name: "timeout", Usage: "give an answer within this `DURATION` [SFCRED_TIMEOUT, 8s]"},
			&cli.BoolFlag{Name: "verbose", Usage: "say what is being done [SFCRED_VERBOSE]"},
			&cli.BoolFlag{Name: "version", Usage: "print the version"},
		},
		Commands: p.commands(tools),
	}
}

func (p *program) commands(tools []tool) []*cli.Command {
	return []*cli.Command{
		{
			Name: "login", Category: "keys", Action: p.login, Flags: loginFlags(),
			Usage: "store a client's private key, after an exchange has shown that it works",
		},
		{
			Name: "import", Category: "keys", Action: p.importKeys, ArgsUsage: "[PATH]...", Flags: importFlags(),
			Usage: "find the keys in files and variables, and log in with those that are chosen",
		},
		{
			Name: "keygen", Category: "keys", Action: p.keygen, Flags: keygenFlags(),
			Usage: "make a key for a client to be registered, and print its public half",
		},
		{
			Name: "list", Category: "keys", Action: p.list,
			Usage: "list the profiles",
			Flags: []cli.Flag{
				&cli.BoolFlag{Name: "json", Usage: "print JSON"},
				&cli.BoolFlag{Name: "refresh", Usage: "ask the servers when the clients expire"},
			},
		},
		{
			Name: "use", Category: "keys", Action: p.use, ArgsUsage: "NAME",
			Usage: "make a profile the default",
		},
		{
			Name: "edit", Category: "keys", Action: p.edit, ArgsUsage: "[NAME]", Flags: editFlags(),
			Usage: "change a profile", Description: editDescription,
		},
		{
			Name: "remove", Aliases: []string{"logout"}, Category: "keys", Action: p.remove, ArgsUsage: "[NAME]",
			Usage: "forget a profile, its key and its tokens",
			Flags: []cli.Flag{
				&cli.BoolFlag{Name: "yes", Aliases: []string{"y"}, Usage: "do not ask"},
				&cli.BoolFlag{Name: "orphans", Usage: "remove the keys that an interrupted command left behind, and nothing else"},
			},
		},
		{
			Name: "unlock", Category: "keys", Action: p.unlock, ArgsUsage: "[NAME]", Flags: unlockFlags(),
			Usage: "open a key store, or load the key into the ssh-agent for a while",
		},
		{
			Name: "lock", Category: "keys", Action: p.lock, ArgsUsage: "[NAME]",
			Usage: "take the key out of the ssh-agent",
			Flags: []cli.Flag{&cli.BoolFlag{Name: "agent", Usage: "also where the key is in another store than file"}},
		},
		{
			Name: "token", Category: "tokens", Action: p.token,
			Usage: "print an access token",
			Flags: append([]cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print JSON, with the expiry"}}, tokenFlags()...),
		},
		{
			Name: "header", Category: "tokens", Action: p.header,
			Usage: "print the HTTP header with an access token",
			Flags: append([]cli.Flag{
				&cli.BoolFlag{Name: "value", Usage: "leave out \"Authorization: \""},
				&cli.BoolFlag{Name: "raw", Usage: "leave out \"Bearer \""},
			}, tokenFlags()...),
		},
		{
			Name: "assertion", Category: "tokens", Action: p.assertion,
			Usage: "print a fresh signed client assertion",
		},
		{
			Name: "curl", Category: "tokens", Action: p.curl, ArgsUsage: "CURL-ARG...", SkipFlagParsing: true,
			Usage: "run curl with the header, for one URL of the profile's hosts", Description: curlDescription,
		},
		{
			Name: "exec", Category: "tokens", Action: p.exec, ArgsUsage: "-- CMD [ARG]...", Flags: execFlags(),
			Usage: "run a command with a file that has a fresh token in it until the command ends", Description: execDescription,
		},
		{
			Name: "helper", Category: "helpers",
			Usage:       "speak a tool's own protocol",
			Subcommands: commandsOf(tools, tool.helper),
		},
		{
			Name: "setup", Category: "helpers",
			Usage:       "print, write or remove the configuration that connects a tool",
			Subcommands: commandsOf(tools, tool.setup),
		},
		{
			Name: "status", Category: "check", Action: p.status, ArgsUsage: "[NAME]",
			Usage: "show where things stand, without the network",
		},
		{
			Name: "doctor", Category: "check", Action: p.doctor, ArgsUsage: "[NAME]",
			Usage: "check all that has to work, and tell the causes of what does not",
			Flags: []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print JSON"}},
		},
		{
			Name: "completion", Category: "check", Action: p.completion, ArgsUsage: "SHELL [WORD]...", Flags: completionFlags(),
			Usage: "print the script by which bash, zsh, fish or powershell completes sfcred's words",
		},
		{
			Name: "version", Category: "check", Action: p.version,
			Usage: "print the version",
		},
		{
			Name: "help", Category: "check", ArgsUsage: "[COMMAND]",
			Usage: "print help",
		},
	}
}
