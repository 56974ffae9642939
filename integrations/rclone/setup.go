// Package rclone knows how rclone's webdav backend gets a token from sfcred.
//
// It leaves out rclone's other backends, which have no command for a token.
package rclone

import (
	"fmt"
	"strings"

	"sfcred/integrations/setup"
)

// Lines are the rclone command that makes a remote. rclone cuts the command for
// the token at blanks, and runs it at the start and after each 401
// (https://rclone.org/webdav/).
func Lines(e setup.Entry) string {
	command := e.Command("token", "--url", e.Root())
	for i, word := range command {
		command[i] = csvWord(word)
	}
	return fmt.Sprintf("rclone config create sfcred-%s webdav url=%s vendor=other bearer_token_command=%s\n",
		e.Profile, setup.ShellWord(e.Root()), setup.ShellWord(strings.Join(command, " ")))
}

// csvWord writes a word as rclone reads it: a line of CSV with blanks between.
func csvWord(word string) string {
	if !strings.ContainsAny(word, " \"") {
		return word
	}
	return `"` + strings.ReplaceAll(word, `"`, `""`) + `"`
}
