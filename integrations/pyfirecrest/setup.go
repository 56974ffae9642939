// Package pyfirecrest knows how pyFirecREST gets a token from sfcred.
package pyfirecrest

import (
	"fmt"

	"sfcred/integrations/setup"
)

// Lines are what a person types in a shell. pyFirecREST runs the command for each
// request, by a shell.
func Lines(e setup.Entry) string {
	return fmt.Sprintf("export FIRECREST_TOKEN_COMMAND=%s\n", setup.ShellWord(e.ShellCommand("token", "--url", e.Root())))
}
