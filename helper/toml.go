package helper

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2/unstable"
)

// The config file as TOML (https://toml.io). The library takes the text apart;
// what the keys mean is decided here, without reflection: the file is read for
// every answer, and the library's own decoder would take longer than all the
// rest, or, as others do, not say in which line a key is that it does not know.

// field is a key of a profile and where its value is kept: a *string, *bool,
// *[]string or *time.Time.
type field struct {
	key    string
	value  any
	always bool // written even where it is empty
}

// fields lists the keys of a profile in the order in which they are written.
func (p *Profile) fields() []field {
	return []field{
		{"client_id", &p.ClientID, p.HasKey()},
		{"token_url", &p.TokenURL, p.HasKey()},
		{"api_url", &p.APIURL, false},
		{"audience", &p.Audience, false},
		{"allow_foreign_audience", &p.AllowForeignAudience, false},
		{"scope", &p.Scope, false},
		{"hosts", &p.Hosts, p.HasKey() || p.Hosts != nil},
		{"alg", &p.Alg, false},
		{"kid", &p.KID, false},
		{"fingerprint", &p.Fingerprint, false},
		{"store", &p.Store, p.HasKey()},
		{"key_id", &p.KeyID, false},
		{"key_file", &p.KeyFile, false},
		{"command", &p.Command, false},
		{"shell", &p.Shell, false},
		{"expires", &p.Expires, false},
		{"cache", &p.Cache, false},
		{"ca_file", &p.CAFile, false},
	}
}

// fields lists the keys of the table "pending".
func (p *Pending) fields() []field {
	return []field{
		{"store", &p.Store, true},
		{"key_id", &p.KeyID, true},
		{"fingerprint", &p.Fingerprint, true},
		{"alg", &p.Alg, false},
	}
}

// tomlError is a fault in the text, at a byte of it.
type tomlError struct {
	offset  int
	problem string
}

func (e *tomlError) Error() string { return e.problem }

// line counts from 1.
func (e *tomlError) line(text []byte) int { return 1 + bytes.Count(text[:e.offset], []byte("\n")) }

// tomlReader fills in a config.
type tomlReader struct {
	parser unstable.Parser
	config *Config
	table  []string
	seen   map[string]bool // keys and tables that were set, which TOML allows once
}

// decodeTOML reads a config file's text; its errors are *tomlError.
func decodeTOML(text []byte) (*Config, error) {
	if !utf8.Valid(text) {
		return nil, &tomlError{notUTF8(text), "it is not UTF-8 text"}
	}
	r := &tomlReader{config: &Config{Profiles: map[string]*Profile{}}, seen: map[string]bool{}}
	r.parser.Reset(text)
	for r.parser.NextExpression() {
		if err := r.expression(r.parser.Expression()); err != nil {
			return nil, err
		}
	}
	var syntax *unstable.ParserError
	if err := r.parser.Error(); errors.As(err, &syntax) {
		return nil, &tomlError{r.offset(syntax.Highlight), printable(syntax.Message)}
	} else if err != nil {
		return nil, &tomlError{0, "it is not TOML"}
	}
	return r.config, nil
}

// notUTF8 is where a text stops being UTF-8.
func notUTF8(text []byte) int {
	at := 0
	for at < len(text) {
		r, size := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	return at
}

// offset is where a piece of the text stands in it.
func (r *tomlReader) offset(piece []byte) int {
	if len(piece) == 0 {
		return 0
	}
	return int(r.parser.Range(piece).Offset)
}

// expression reads a table's head, or a key and its value.
func (r *tomlReader) expression(e *unstable.Node) error {
	path, at := r.path(e)
	switch e.Kind {
	case unstable.KeyValue:
		return r.set(append(slices.Clone(r.table), path...), at, e.Value())
	case unstable.Table:
		r.table = path
		if err := r.once(path, at); err != nil {
			return err
		}
		if len(path) == 1 && path[0] == "profile" {
			return nil
		}
		if len(path) == 2 && path[0] == "profile" || isPending(path) {
			return r.profile(path[1], at)
		}
	}
	return unknownKey(path, at)
}

// path reads a dotted key, and says where it stands.
func (r *tomlReader) path(e *unstable.Node) (path []string, at int) {
	for parts := e.Key(); parts.Next(); {
		part := parts.Node()
		if path == nil {
			at = int(part.Raw.Offset)
		}
		path = append(path, string(part.Data))
	}
	return path, at
}

func unknownKey(path []string, at int) error {
	return &tomlError{at, fmt.Sprintf("unknown key %q", printable(strings.Join(path, ".")))}
}

// once refuses what is set a second time.
func (r *tomlReader) once(path []string, at int) error {
	key := strings.Join(path, "\x00")
	if r.seen[key] {
		return &tomlError{at, fmt.Sprintf("%q is set twice", printable(strings.Join(path, ".")))}
	}
	r.seen[key] = true
	return nil
}

// profile makes sure that there is a profile of that name.
func (r *tomlReader) profile(name string, at int) error {
	if err := CheckName(name); err != nil {
		return &tomlError{at, err.Error()}
	}
	if r.config.Profiles[name] == nil {
		r.config.Profiles[name] = &Profile{}
	}
	return nil
}

// set gives a key its value.
func (r *tomlReader) set(path []string, at int, v *unstable.Node) error {
	if v.Kind == unstable.InlineTable && (len(path) <= 2 && path[0] == "profile" || isPending(path)) {
		for children := v.Children(); children.Next(); {
			child := children.Node()
			more, at := r.path(child)
			if err := r.set(append(slices.Clone(path), more...), at, child.Value()); err != nil {
				return err
			}
		}
		return nil
	}
	if err := r.once(path, at); err != nil {
		return err
	}
	switch {
	case len(path) == 1 && path[0] == "default":
		return assign(&r.config.Default, path, at, v)
	case len(path) == 1 && path[0] == "unfinished":
		return assign(&r.config.Unfinished, path, at, v)
	case len(path) == 3 && path[0] == "profile":
		if err := r.profile(path[1], at); err != nil {
			return err
		}
		if isPending(path) {
			return wrongType(path, at, "a table")
		}
		return assignField(r.config.Profiles[path[1]].fields(), path, at, v)
	case len(path) == 4 && isPending(path[:3]):
		if err := r.profile(path[1], at); err != nil {
			return err
		}
		p := r.config.Profiles[path[1]]
		if p.Pending == nil {
			p.Pending = &Pending{}
		}
		return assignField(p.Pending.fields(), path, at, v)
	case len(path) <= 2 && path[0] == "profile":
		return wrongType(path, at, "a table")
	}
	return unknownKey(path, at)
}

// isPending says whether a path is that of a profile's table "pending".
func isPending(path []string) bool {
	return len(path) == 3 && path[0] == "profile" && path[2] == "pending"
}

// assignField stores a value in the field that the path ends with.
func assignField(fields []field, path []string, at int, v *unstable.Node) error {
	for _, f := range fields {
		if f.key == path[len(path)-1] {
			return assign(f.value, path, at, v)
		}
	}
	return unknownKey(path, at)
}

func wrongType(path []string, at int, want string) error {
	return &tomlError{at, fmt.Sprintf("%q wants %s", printable(strings.Join(path, ".")), want)}
}

// assign stores a value of the type that to points to.
func assign(to any, path []string, at int, v *unstable.Node) error {
	switch to := to.(type) {
	case *string:
		if v.Kind != unstable.String {
			return wrongType(path, at, "a string")
		}
		*to = string(v.Data)
	case *bool:
		if v.Kind != unstable.Bool {
			return wrongType(path, at, "true or false")
		}
		*to = v.Data[0] == 't'
	case *time.Time:
		text := strings.Replace(string(v.Data), " ", "T", 1)
		t, err := time.Parse(time.RFC3339, text)
		t = t.UTC().Truncate(time.Second) // as it is written
		// time.Parse takes an hour of one digit, https://go.dev/issue/54580.
		if v.Kind != unstable.DateTime || err != nil || text[len("2026-12-31T12")] != ':' || t.Year() < 1970 || t.Year() > 9999 {
			return wrongType(path, at, "a time with its zone, such as 2026-12-31T12:00:00Z")
		}
		*to = t
	case *[]string:
		if v.Kind != unstable.Array {
			return wrongType(path, at, "a list of strings")
		}
		*to = []string{}
		for items := v.Children(); items.Next(); {
			if items.Node().Kind != unstable.String {
				return wrongType(path, at, "a list of strings")
			}
			*to = append(*to, string(items.Node().Data))
		}
	}
	return nil
}

// encodeTOML writes the whole of a config; text that is not UTF-8, which a file
// name may be, is an error.
func encodeTOML(c *Config) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("# Written by sfcred; comments are not kept. Change it with: sfcred edit\n")
	writeFields(&b, []field{{"default", &c.Default, false}, {"unfinished", &c.Unfinished, false}})
	for _, name := range c.Names() {
		head := name
		if strings.Contains(name, ".") {
			head = quote(name)
		}
		fmt.Fprintf(&b, "\n[profile.%s]\n", head)
		writeFields(&b, c.Profiles[name].fields())
		if pending := c.Profiles[name].Pending; pending != nil {
			fmt.Fprintf(&b, "\n[profile.%s.pending]\n", head)
			writeFields(&b, pending.fields())
		}
	}
	if !utf8.Valid(b.Bytes()) {
		return nil, errors.New("encode config: a path or another value is not UTF-8 text")
	}
	return b.Bytes(), nil
}

func writeFields(b *bytes.Buffer, fields []field) {
	for _, f := range fields {
		text := ""
		empty := false
		switch v := f.value.(type) {
		case *string:
			text, empty = quote(*v), *v == ""
		case *bool:
			text, empty = fmt.Sprint(*v), !*v
		case *time.Time:
			text, empty = v.UTC().Format(time.RFC3339), v.IsZero()
		case *[]string:
			quoted := make([]string, len(*v))
			for i, s := range *v {
				quoted[i] = quote(s)
			}
			text, empty = "["+strings.Join(quoted, ", ")+"]", len(*v) == 0
		}
		if f.always || !empty {
			fmt.Fprintf(b, "%s = %s\n", f.key, text)
		}
	}
}

// quote writes a basic string.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
