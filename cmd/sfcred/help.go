package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"
)

// helpOf is the help on a command, a group or, for no path, on all.
func helpOf(app *cli.App, path []string) string {
	var b strings.Builder
	if len(path) == 0 {
		appHelp(&b, app)
		return b.String()
	}
	commands := app.Commands
	var command *cli.Command
	for _, name := range path {
		command = commands[slices.IndexFunc(commands, func(c *cli.Command) bool { return c.Name == name })]
		commands = command.Subcommands
	}
	commandHelp(&b, "sfcred "+strings.Join(path, " "), command)
	return b.String()
}

func appHelp(w io.Writer, app *cli.App) {
	fmt.Fprintf(w, "%s %s\n\nUSAGE:\n   %s\n\nCOMMANDS:\n", app.Name, app.Usage, app.UsageText)
	for _, category := range []string{"keys", "tokens", "helpers", "check"} {
		fmt.Fprintf(w, "   %s:\n", category)
		columns(w, "     ", func(row func(left, right string)) {
			for _, c := range app.Commands {
				if c.Category == category {
					row(strings.Join(c.Names(), ", "), c.Usage)
				}
			}
		})
	}
	fmt.Fprint(w, "\nFLAGS, before or behind the command:\n")
	flagHelp(w, app.Flags)
	fmt.Fprint(w, "\nFor one command: sfcred COMMAND --help\n")
}

func commandHelp(w io.Writer, name string, command *cli.Command) {
	usage := name
	if len(command.Subcommands) > 0 {
		usage += " TOOL" // both groups are of tools
	}
	usage += " [flags]"
	if command.SkipFlagParsing {
		usage = "sfcred [flags] " + command.Name
	}
	if command.ArgsUsage != "" {
		usage += " " + command.ArgsUsage
	}
	fmt.Fprintf(w, "%s: %s\n\nUSAGE:\n   %s\n\n", name, command.Usage, usage)
	if command.Description != "" {
		fmt.Fprintf(w, "%s\n\n", command.Description)
	}
	if len(command.Subcommands) > 0 {
		fmt.Fprint(w, "TOOLS:\n")
		columns(w, "   ", func(row func(left, right string)) {
			for _, c := range command.Subcommands {
				row(c.Name, c.Usage)
			}
		})
		fmt.Fprintln(w)
	}
	if command.SkipFlagParsing {
		fmt.Fprintf(w, "FLAGS are those of \"sfcred --help\", before %q.\n", command.Name)
		return
	}
	fmt.Fprint(w, "FLAGS, and those of \"sfcred --help\":\n")
	flagHelp(w, command.Flags)
}

// flagHelp lists flags; their usage has the value's name in backquotes, as the
// library wants it.
func flagHelp(w io.Writer, flags []cli.Flag) {
	columns(w, "   ", func(row func(left, right string)) {
		for _, f := range append(slices.Clip(flags), cli.HelpFlag) {
			usage := f.(cli.DocGenerationFlag).GetUsage()
			before, rest, _ := strings.Cut(usage, "`")
			value, after, _ := strings.Cut(rest, "`")
			var names []string
			for _, n := range f.Names() {
				hyphens := "--"
				if len(n) == 1 {
					hyphens = "-"
				}
				names = append(names, strings.TrimSpace(hyphens+n+" "+value))
			}
			left := strings.Join(names, ", ")
			if _, isList := f.(*cli.GenericFlag); isList {
				left += " [ " + left + " ]"
			}
			if s, ok := f.(*cli.StringFlag); ok && s.Value != "" {
				after += fmt.Sprintf(" [%s]", cmp.Or(s.DefaultText, s.Value))
			}
			row(left, before+value+after)
		}
	})
}

// columns writes rows of two columns.
func columns(w io.Writer, indent string, rows func(row func(left, right string))) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	rows(func(left, right string) { fmt.Fprintf(table, "%s%s\t%s\n", indent, left, right) })
	table.Flush()
}
