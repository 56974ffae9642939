// Package pnpm knows how pnpm gets a token for a registry from sfcred.
//
// It leaves out npm and yarn, which have no command for a token.
package pnpm

import (
	"fmt"

	"sfcred/integrations/setup"
)

// Lines are what a person types in a shell. pnpm runs what a line in ~/.npmrc
// names (a project's .npmrc may not), and sends what that prints as the whole
// header. pnpm 12 takes arguments there and adds "Bearer" where it is not; pnpm
// 10 wants the path of a program and adds nothing. So there is a script, which
// does for both.
func Lines(e setup.Entry) string {
	return fmt.Sprintf(`mkdir -p ~/.local/bin
cat >~/.local/bin/sfcred-pnpm-%[1]s <<'END'
#!/bin/sh
exec %[2]s
END
chmod 755 ~/.local/bin/sfcred-pnpm-%[1]s
echo "//%[3]s/:tokenHelper=$HOME/.local/bin/sfcred-pnpm-%[1]s" >>~/.npmrc
`, e.Profile, setup.ShellLine(e.PathCommand("header", "--value", "--url", e.Root())), e.Host())
}
