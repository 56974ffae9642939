package cargo

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"

	"sfcred/integrations/setup"
)

// Helper is the name under which Cargo calls sfcred: it passes a provider no
// words on the command line but its own.
const Helper = "sfcred-cargo"

const (
	table    = "registry"
	listKey  = "global-credential-providers"
	builtIn  = "cargo:token" // all that Cargo asks where the list is not set
	listText = listKey + ` = ["` + builtIn + `", `
)

// Setup connects Cargo in its user's configuration
// (https://doc.rust-lang.org/cargo/reference/config.html), as the last of the
// providers for all registries, which is asked first and says no for a registry
// that is not the profile's. So it serves registries that a workspace names, too.
func Setup() setup.File {
	return setup.File{
		Name: "Cargo", Helper: Helper, Comment: "#",
		Path: configPath,
		Text: text, Add: add, Remove: remove, Profiles: profiles,
		Uses: func(text []byte) bool { return bytes.Contains(text, []byte(Helper)) },
	}
}

// configPath takes the old name where that is there, as Cargo does even where
// both are.
func configPath(s setup.System) (string, error) {
	dir := s.Getenv("CARGO_HOME")
	if dir == "" {
		var err error
		if dir, err = s.InHome(".cargo"); err != nil {
			return "", err
		}
	}
	if old := filepath.Join(dir, "config"); s.Exists(old) {
		return old, nil
	}
	return filepath.Join(dir, "config.toml"), nil
}

func mark(e setup.Entry) setup.Mark { return setup.Mark{Tool: "cargo", Profile: e.Profile} }

func text(e setup.Entry) (string, error) {
	p, err := provider(e)
	if err != nil {
		return "", err
	}
	return "[" + table + "]\n" + listText + p + "]\n", nil
}

// provider is the list's entry, as a TOML string. Cargo cuts it at blanks, and
// knows no quotes (PathAndArgs::from_whitespace_separated_string).
func provider(e setup.Entry) (string, error) {
	if strings.ContainsAny(e.Helper, " \t\n\r") {
		return "", fmt.Errorf("cargo takes no path with a blank in it, such as %q, in this list", e.Helper)
	}
	s := e.Helper + " --profile " + e.Profile
	if strings.ContainsAny(s, "\\\"") {
		return "'" + s + "'", nil // a path of Windows
	}
	return `"` + s + `"`, nil
}

func add(text []byte, e setup.Entry) ([]byte, error) {
	p, err := provider(e)
	if err != nil {
		return nil, err
	}
	c, err := readConfig(text)
	if err != nil {
		return nil, err
	}
	var edited []byte
	switch {
	case c.list != nil:
		edited, err = c.list.add(text, e, p)
	case c.elsewhere:
		err = fmt.Errorf("it has keys of %q outside of a table [%s]", table, table)
	case c.behindHead > 0:
		edited, err = mark(e).Put(text, c.behindHead, listText+p+"]")
	default:
		edited, err = mark(e).Put(text, len(text), "["+table+"]\n"+listText+p+"]")
	}
	if err != nil {
		return nil, err
	}
	return c.checkRest(edited)
}

func remove(text []byte, e setup.Entry) ([]byte, error) {
	c, err := readConfig(text)
	if err != nil || c.list == nil || c.list.find(e) < 0 {
		return text, err
	}
	edited, err := takeBlock(c.list.remove(text, e))
	if err != nil {
		return nil, err
	}
	return c.checkRest(edited)
}

// profiles are those with an entry in the list.
func profiles(text []byte) ([]string, error) {
	c, err := readConfig(text)
	if err != nil || c.list == nil {
		return nil, err
	}
	var names []string
	for _, x := range c.list.entries {
		if len(x.words) > 0 && setup.Is(x.words[0], Helper) {
			names = append(names, setup.ProfileOf(x.words[1:]))
		}
	}
	return setup.Unique(names), nil
}

// takeBlock takes out the lines of ours around a list that is as if it were not
// there. They are the first profile's; others may have joined it.
func takeBlock(text []byte) ([]byte, error) {
	c, err := readConfig(text)
	if err != nil || c.list == nil || !c.list.isDefault() {
		return text, err
	}
	for _, profile := range setup.Profiles(text, "cargo") {
		without, err := setup.Mark{Tool: "cargo", Profile: profile}.Take(text)
		if err != nil {
			return text, nil // no lines of ours any more
		}
		if after, err := readConfig(without); err == nil && after.list == nil {
			return without, nil
		}
	}
	return text, nil
}

// config is what matters in a configuration.
type config struct {
	list       *list
	behindHead int  // the first byte of the line behind [registry]
	elsewhere  bool // keys of registry that are not below its head
	rest       []string
}

// list is the value of the list of providers.
type list struct {
	entries []listEntry
}

type listEntry struct {
	from, to int
	words    []string
}

// checkRest gives an edit that has left all other keys what they are. One that
// stands behind a head of ours, for example, would go to another table with it.
func (c *config) checkRest(edited []byte) ([]byte, error) {
	after, err := readConfig(edited)
	if err != nil {
		return nil, fmt.Errorf("with the change %w", err)
	}
	if !slices.Equal(c.rest, after.rest) {
		return nil, errors.New("other keys would no longer mean the same")
	}
	return edited, nil
}

// readConfig reads a text that must be TOML.
func readConfig(text []byte) (*config, error) {
	if err := setup.CheckText(text); err != nil {
		return nil, err
	}
	r := configReader{text: text, seen: map[string]bool{}}
	r.parser.Reset(text)
	for r.parser.NextExpression() {
		if err := r.expression(r.parser.Expression()); err != nil {
			return nil, err
		}
	}
	if err := r.parser.Error(); err != nil {
		var syntax *unstable.ParserError
		if errors.As(err, &syntax) && len(syntax.Highlight) > 0 {
			at := int(r.parser.Range(syntax.Highlight).Offset)
			return nil, fmt.Errorf("line %d is not TOML", r.line(at))
		}
		return nil, errors.New("it is not TOML")
	}
	return &r.config, nil
}

type configReader struct {
	text   []byte
	parser unstable.Parser
	config config
	head   []string // the table that is being read
	lists  int      // how many tables of its kind, for one in double brackets
	seen   map[string]bool
}

func (r *configReader) line(at int) int { return 1 + bytes.Count(r.text[:at], []byte("\n")) }

func (r *configReader) expression(e *unstable.Node) error {
	path, from, to := keyOf(e)
	switch e.Kind {
	case unstable.KeyValue:
		return r.keyValue(append(slices.Clone(r.head), path...), from, e)
	case unstable.ArrayTable:
		r.lists++
		r.head = append(path, strconv.Itoa(r.lists))
		return nil
	case unstable.Table:
		r.head = path
		if slices.Equal(path, []string{table}) {
			r.config.behindHead = len(r.text)
			if i := bytes.IndexByte(r.text[to:], '\n'); i >= 0 {
				r.config.behindHead = to + i + 1
			}
		}
		return r.once("["+strings.Join(path, "\x00"), from)
	}
	return nil // a comment
}

func (r *configReader) keyValue(path []string, from int, e *unstable.Node) error {
	if err := r.once(strings.Join(path, "\x00"), from); err != nil {
		return err
	}
	if len(path) == 2 && path[0] == table && path[1] == listKey && len(r.head) == 1 {
		var err error
		r.config.list, err = r.list(e.Value())
		return err
	}
	if path[0] == table && len(r.head) == 0 {
		r.config.elsewhere = true
	}
	r.config.rest = append(r.config.rest, strings.Join(path, "\x00")+"\x00"+string(r.parser.Raw(e.Raw)))
	return nil
}

// once refuses what TOML allows once.
func (r *configReader) once(key string, at int) error {
	if r.seen[key] {
		return fmt.Errorf("line %d sets a key or a table a second time", r.line(at))
	}
	r.seen[key] = true
	return nil
}

// list reads the list; the parser does not say where it begins, but where each
// of its strings does.
func (r *configReader) list(v *unstable.Node) (*list, error) {
	bad := fmt.Errorf("%s.%s is not a list of strings", table, listKey)
	if v.Kind != unstable.Array {
		return nil, bad
	}
	l := &list{}
	for items := v.Children(); items.Next(); {
		item := items.Node()
		if item.Kind != unstable.String {
			return nil, bad
		}
		from := int(item.Raw.Offset)
		l.entries = append(l.entries, listEntry{from, from + int(item.Raw.Length), strings.Fields(string(item.Data))})
	}
	return l, nil
}

// isDefault says whether the list is what Cargo has where there is none.
func (l *list) isDefault() bool {
	return len(l.entries) == 1 && slices.Equal(l.entries[0].words, []string{builtIn})
}

// find gives the place of the profile's entry, or -1.
func (l *list) find(e setup.Entry) int {
	return slices.IndexFunc(l.entries, func(x listEntry) bool {
		return len(x.words) > 0 && setup.Is(x.words[0], Helper) && setup.ProfileOf(x.words[1:]) == e.Profile
	})
}

// add puts an entry last, where it is asked first, or in the place of the one
// that is there.
func (l *list) add(text []byte, e setup.Entry, entry string) ([]byte, error) {
	if i := l.find(e); i >= 0 {
		return splice(text, l.entries[i].from, l.entries[i].to, entry), nil
	}
	if len(l.entries) == 0 {
		return nil, fmt.Errorf("%s.%s is empty, which to Cargo is as good as %q", table, listKey, builtIn)
	}
	end := l.entries[len(l.entries)-1].to
	return splice(text, end, end, ", "+entry), nil
}

// remove takes an entry out as add has put it in: with what is between it and
// the one before.
func (l *list) remove(text []byte, e setup.Entry) []byte {
	i := l.find(e)
	switch {
	case i < 0:
		return text
	case i > 0:
		return splice(text, l.entries[i-1].to, l.entries[i].to, "")
	case len(l.entries) > 1:
		return splice(text, l.entries[0].from, l.entries[1].from, "")
	}
	return splice(text, l.entries[0].from, l.entries[0].to, "")
}

func splice(text []byte, from, to int, with string) []byte {
	return slices.Concat(text[:from], []byte(with), text[to:])
}

// keyOf reads a dotted key, and says where it is.
func keyOf(e *unstable.Node) (path []string, from, to int) {
	for parts := e.Key(); parts.Next(); {
		part := parts.Node()
		if path == nil {
			from = int(part.Raw.Offset)
		}
		path = append(path, string(part.Data))
		to = int(part.Raw.Offset) + int(part.Raw.Length)
	}
	return path, from, to
}
