// Package wget knows how wget gets a header from sfcred.
//
// It leaves out wget's redirects: wget sends the header along to whatever host
// it is led to.
package wget

import (
	"fmt"

	"sfcred/integrations/setup"
)

// Lines are what a person types in any shell. wget reads headers from its
// command line, which others can see, or from a file, which must be a real one;
// so there is one for as long as wget runs, closed to others.
func Lines(e setup.Entry) string {
	return fmt.Sprintf(`url=%s
(
  umask 077 && file=$(mktemp) && trap 'rm -f "$file"' EXIT &&
  header=$(%s --url "$url") && printf 'header = %%s\n' "$header" >"$file" &&
  wget --config="$file" --max-redirect=0 "$url"
)
`, setup.ShellWord(e.ExampleURL()), e.ShellCommand("header"))
}
