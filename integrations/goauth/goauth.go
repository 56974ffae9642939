// Package goauth speaks the protocol of a GOAUTH command, by which the go
// command (1.24 and later) gets credentials for module proxies and import
// paths.
//
// It is bytes in, bytes out, and trusts nothing that it is told: a module path,
// and so a URL, may come from anybody. It leaves out the HTTP response on
// standard input, since the answer is the same whatever the 4xx was, and plain
// http, for which the go command has no use for credentials.
package goauth

import (
	"errors"
	"fmt"
	"strings"

	"sfcred/helper"
)

// The protocol ("go help goauth"). Before its first https fetch the go command
// runs the command as it stands, for all hosts at once; after any 4xx with the
// URL as one more argument and the response on standard input.
//
//	Response      = { CredentialSet } .
//	CredentialSet = URLLine { URLLine } BlankLine { HeaderLine } BlankLine .
//	URLLine       = /* URL that starts with "https://" */ '\n' .
//	HeaderLine    = /* HTTP Request header, with ": " */ '\n' .
//	BlankLine     = '\n' .
//
// Nothing at all is the answer for "not mine". There is no word for a failure:
// the go command drops a command that exits with another code than 0, and shows
// its standard error only with -x.

// Prefixes are the URLs of the first answer: a profile's hosts, but for those
// with a wildcard, which no URL could name.
func Prefixes(hosts []string) ([]string, error) {
	var urls []string
	for _, entry := range hosts {
		h, err := helper.ParseHost(entry)
		if err != nil {
			return nil, err
		}
		if name := h.String(); !strings.HasPrefix(name, "*.") {
			urls = append(urls, "https://"+name)
		}
	}
	return urls, nil
}

// Origin is the URL of the second answer: the scheme and host of the URL that
// was refused, so that the go command does not ask for each path anew. It is
// spelt as the URL is, since the go command looks for the same bytes, its port
// and the case of its letters among them. The host rule must check all of the
// URL that was refused: a blank or a control byte in its path is a reason too.
func Origin(rawURL string) (string, error) {
	rest, ok := strings.CutPrefix(rawURL, "https://")
	if !ok {
		return "", fmt.Errorf("%w: the go command sends credentials over https only", helper.ErrForeignHost)
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	return "https://" + rest, nil
}

// Reply is the answer for some URLs, as Prefixes and Origin give them; for none
// it is empty.
func Reply(token string, urls []string) ([]byte, error) {
	if err := helper.CheckToken(token); err != nil {
		return nil, err
	}
	if len(urls) == 0 {
		return nil, nil
	}
	var b strings.Builder
	for _, u := range urls {
		// Whatever has passed here is one line, and names a host and nothing else.
		if origin, err := Origin(u); err != nil || origin != u {
			return nil, errors.New("a URL for the go command is https://host[:port]")
		}
		if _, err := helper.ParseURL(u); err != nil {
			return nil, err
		}
		b.WriteString(u + "\n")
	}
	b.WriteString("\nAuthorization: Bearer " + token + "\n\n")
	return []byte(b.String()), nil
}
