// Package httpie knows how HTTPie, and xh, which takes the same command lines,
// get a header from sfcred.
//
// It leaves out HTTPie's plugins for authentication.
package httpie

import (
	"fmt"

	"sfcred/integrations/setup"
)

// Lines are what a person types in bash or zsh for HTTPie.
func Lines(e setup.Entry) string { return lines("http", e) }

// XHLines are the same for xh.
func XHLines(e setup.Entry) string { return lines("xh", e) }

// lines send nothing without a token, have the token on no command line, and let
// no .netrc take its place.
func lines(program string, e setup.Entry) string {
	return fmt.Sprintf(`url=%s
header=$(%s --value --url "$url") && %s --ignore-netrc GET "$url" Authorization:@<(printf %%s "$header")
`, setup.ShellWord(e.ExampleURL()), e.ShellCommand("header"), program)
}
