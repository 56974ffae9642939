// Package pnpm knows how pnpm gets a token for a registry from sfcred.
//
// It leaves out npm and yarn, which have no command for a token.
package pnpm

import (
	"fmt"
	"slices"
	"strings"

	"sfcred/integrations/setup"
)

// Lines are what a person adds to ~/.npmrc; a project's .npmrc may not name a
// command. pnpm wants a path, and cuts the line at blanks.
func Lines(e setup.Entry) string {
	command := e.PathCommand("token", "--url", e.Root())
	line := fmt.Sprintf("//%s/:tokenHelper=%s\n", e.Host(), strings.Join(command, " "))
	if slices.ContainsFunc(command, func(word string) bool { return strings.ContainsAny(word, " \t") }) {
		return "# pnpm does not find it: a path has a blank in it\n" + line
	}
	return line
}
