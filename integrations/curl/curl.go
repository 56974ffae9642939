// Package curl understands a command line of curl, so that the token goes along
// with a request to the URL that was checked, and nowhere else.
//
// It is words in, words out. It trusts the profile's host rule, which its caller
// applies to [Command.URL], and the curl that is run. It does not trust the
// command line, which a script may have put together from what others said:
// what it does not know it refuses. It leaves out everything that curl can do
// beside one request over HTTP: more than one URL, other protocols, proxies of
// its own, other credentials, traces.
package curl

import (
	"fmt"
	"net/url"
	"strings"

	"sfcred/helper"
)

// Command is a command line of curl that was understood.
type Command struct {
	URL      string // to be checked by the profile's hosts
	Verbose  bool   // standard error has the request's headers: see HideHeader
	Location bool   // follows redirects: see CheckVersion
	Stdin    bool   // may read standard input
	CAFile   string // the authorities to trust, if the line does not name any

	namesCA bool
	globoff bool
	options []string // in their long form, the values as words of their own
}

// OptionError is a word of a command line that is not passed on to curl. It
// never has an option's value in it.
type OptionError struct {
	Option string // as curl calls it, or "URL"
	Why    string
}

func (e *OptionError) Error() string { return fmt.Sprintf("curl %s: %s", e.Option, e.Why) }

// Parse reads curl's arguments. A URL that begins with a slash is below apiURL,
// which may be empty.
//
// Long names are taken in full, in lower case and without "no-" before them.
// curl is more forgiving, and each version in its own way (7.88 takes "--PROX",
// 8.14 does not), so what is meant here could be another thing there.
func Parse(args []string, apiURL string) (*Command, error) {
	c := &Command{}
	var urls []string
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		var err error
		switch {
		case word == "--": // the rest are URLs, whatever they look like
			urls, args = append(urls, args...), nil
		case word == "--url":
			if len(args) == 0 {
				return nil, &OptionError{word, "needs a value"}
			}
			urls, args = append(urls, args[0]), args[1:]
		case strings.HasPrefix(word, "--"):
			args, err = c.long(word[2:], args)
		case strings.HasPrefix(word, "-"):
			args, err = c.short(word[1:], args)
		default:
			urls = append(urls, word)
		}
		if err != nil {
			return nil, err
		}
	}
	if len(urls) != 1 {
		return nil, &OptionError{"URL", fmt.Sprintf("there are %d, and must be one", len(urls))}
	}
	var err error
	c.URL, err = c.readURL(urls[0], apiURL)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// long takes in an option by its long name, and returns the words behind it.
func (c *Command) long(name string, args []string) ([]string, error) {
	o, ok := find(func(o option) bool { return o.name == name })
	if !ok && strings.Contains(name, "=") {
		return nil, &OptionError{shown(name), "a value must be the next word"}
	}
	if !ok {
		return nil, &OptionError{shown(name), unknown}
	}
	return c.take(o, "--"+name, nil, args)
}

// short takes in options by their letters: any number of those that are on or
// off, then perhaps one with a value, which is the rest of the word or the next.
func (c *Command) short(letters string, args []string) ([]string, error) {
	if letters == "" {
		return nil, &OptionError{"-", unknown}
	}
	for i := range len(letters) {
		o, ok := find(func(o option) bool { return o.letter != 0 && o.letter == letters[i] })
		if !ok {
			return nil, &OptionError{shownLetter(letters[i]), unknown}
		}
		shown := "-" + letters[i:i+1]
		if o.kind != valued {
			if _, err := c.take(o, shown, nil, nil); err != nil {
				return nil, err
			}
			continue
		}
		var joined []string
		if rest := letters[i+1:]; rest != "" {
			joined = []string{rest}
		}
		return c.take(o, shown, joined, args)
	}
	return args, nil
}

// take takes in an option. Its value, if it has one, is joined or else the next
// word.
func (c *Command) take(o option, shown string, joined, args []string) ([]string, error) {
	words := append(joined, args...)
	switch {
	case o.kind == refused:
		return nil, &OptionError{shown, o.why}
	case o.kind == onOff:
		c.set(o.name)
		return args, nil
	case len(words) == 0:
		return nil, &OptionError{shown, "needs a value"}
	}
	value := words[0]
	if o.check != nil {
		if why := o.check(value); why != "" {
			return nil, &OptionError{shown, why}
		}
	}
	c.Stdin = c.Stdin || o.reads && readsStdin(value)
	c.namesCA = c.namesCA || o.name == "cacert" || o.name == "capath"
	c.options = append(c.options, "--"+o.name, value)
	return words[1:], nil
}

// set takes in an option that is on or off.
func (c *Command) set(name string) {
	switch name {
	case "disable": // it always stands first
		return
	case "globoff": // it always stands there
		c.globoff = true
		return
	case "verbose":
		// Twice is more than twice as much to curl 8.10 and later: the whole
		// request, in a form in which no header can be told.
		if c.Verbose {
			return
		}
		c.Verbose = true
	case "location":
		c.Location = true
	}
	c.options = append(c.options, "--"+name)
}

// readURL gives the URL that is meant, in a form in which curl has nothing to
// guess, complete or expand.
func (c *Command) readURL(text, apiURL string) (string, error) {
	if strings.HasPrefix(text, "/") && !strings.HasPrefix(text, "//") {
		if apiURL == "" {
			return "", &OptionError{"URL", "it begins with a slash, and the profile has no API URL"}
		}
		text = strings.TrimRight(apiURL, "/") + text
	}
	text, _, _ = strings.Cut(text, "#") // no server gets to see it
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || !strings.EqualFold(scheme, "https") && !strings.EqualFold(scheme, "http") {
		return "", &OptionError{"URL", "it must begin with https:// or, below the profile's API, with a slash"}
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	authority, path := rest[:end], rest[end:]
	if !c.globoff && strings.ContainsAny(path, "{}[]") {
		return "", &OptionError{"URL", "braces and brackets make several of it, and are taken as they are with -g only"}
	}
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return scheme + "://" + authority + escapePath(path), nil
}

// escapePath escapes what may not stand in a path (RFC 3986 section 3.3) and
// what net/url would otherwise escape together with all that is escaped already:
// its "/a%2Fb{c}" is "/a/b%7Bc%7D".
func escapePath(pathQuery string) string {
	path, query, hasQuery := strings.Cut(pathQuery, "?")
	var b strings.Builder
	for i := range len(path) {
		if c := path[i]; strings.IndexByte("\"<>^`{|}", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	if hasQuery {
		b.WriteString("?" + query)
	}
	return b.String()
}

// Header is the file that curl reads the header from.
func Header(token string) ([]byte, error) {
	if err := helper.CheckToken(token); err != nil {
		return nil, err
	}
	return []byte("Authorization: Bearer " + token + "\n"), nil
}

// Argv is the command line for curl, its name included: for the URL as the check
// has understood it, and a file with the header in it, "-" for standard input.
func (c *Command) Argv(checked *url.URL, headerFile string) []string {
	argv := []string{"curl", "--disable", "--globoff"}
	// Plain http is for loopback only, where a redirect may stay so. Nothing
	// redirects from https to where the request could be read on its way.
	redir := "=https"
	if checked.Scheme == "http" {
		redir = "=http,https"
	}
	argv = append(argv, "--proto", "="+checked.Scheme, "--proto-redir", redir, "--tlsv1.2")
	if helper.Loopback(checked) {
		// A proxy is another machine. To others, over https, it hands on what it
		// cannot read; -H is not for it (curl 7.42.1 and later).
		argv = append(argv, "--noproxy", "*")
	}
	if c.CAFile != "" && !c.namesCA {
		argv = append(argv, "--cacert", c.CAFile)
	}
	// Before what the line says: an option that reads a file reads it when its
	// turn comes, and finds no token in this one any more.
	argv = append(argv, "--header", "@"+headerFile)
	argv = append(argv, c.options...)
	return append(argv, "--url", checked.String())
}
