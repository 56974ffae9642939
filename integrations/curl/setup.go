// Package curl knows how curl gets a header from sfcred.
//
// It leaves out all that curl does with it.
package curl

import (
	"fmt"

	"sfcred/integrations/setup"
)

// Lines are what a person types in a shell. Nothing is sent without a token, and
// the token is on no command line.
func Lines(e setup.Entry) string {
	return fmt.Sprintf(`url=%s
header=$(%s --url "$url") && printf '%%s\n' "$header" | curl -H @- "$url"
`, setup.ShellWord(e.ExampleURL()), e.ShellCommand("header"))
}
