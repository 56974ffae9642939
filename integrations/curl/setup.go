package curl

import (
	"fmt"

	"sfcred/integrations/setup"
)

// Lines are what a person types in a shell: sfcred runs curl, or, for what that
// refuses, curl gets the header through a pipe. In neither is anything sent
// without a token, nor is the token on a command line.
func Lines(e setup.Entry) string {
	return fmt.Sprintf(`url=%s
%s "$url"
# or:
header=$(%s --url "$url") && printf '%%s\n' "$header" | curl -H @- "$url"
`, setup.ShellWord(e.ExampleURL()), e.ShellCommand("curl"), e.ShellCommand("header"))
}
