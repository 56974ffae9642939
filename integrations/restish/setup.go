package restish

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"sfcred/integrations/setup"
)

// Setup connects Restish with an API of the profile's name. Restish's own
// commands could write it too ("restish config set"), but there is none that
// would show what is there with nothing left out.
func Setup() setup.File {
	return setup.File{
		Name: "Restish", Comment: "//",
		Path: configPath,
		Text: text, Add: add, Remove: remove, Profiles: profiles,
	}
}

// configPath is as in Restish's internal/config/paths.go.
func configPath(s setup.System) (string, error) {
	if path := s.Getenv("RSH_CONFIG"); path != "" {
		return filepath.Abs(path)
	}
	if dir := s.Getenv("RSH_CONFIG_DIR"); dir != "" {
		return filepath.Abs(filepath.Join(dir, "restish.json"))
	}
	if dir := s.Getenv("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "restish", "restish.json"), nil
	}
	if s.OS == "windows" {
		if dir := s.Getenv("APPDATA"); dir != "" {
			return filepath.Join(dir, "restish", "restish.json"), nil
		}
		return "", setup.ErrNoHome
	}
	return s.InHome(".config", "restish", "restish.json")
}

const indent = "  "

func text(e setup.Entry) (string, error) {
	api, err := api(e)
	if err != nil {
		return "", err
	}
	return whole(deeper(member(e.Profile, api), 2)), nil
}

// made is a file that was not there before, which the blank line at its end says:
// JSON has no comments, and only such a file may go again with its API.
func made(member string) string { return whole(member) + "\n" }

// whole is a file with one API in it.
func whole(member string) string {
	return "{\n" + indent + `"apis": {` + "\n" + member + "\n" + indent + "}\n}\n"
}

// api is what Restish is to know of the profile's API.
func api(e setup.Entry) (string, error) {
	if e.URL == "" {
		return "", errors.New("the profile names no API, and no host without a wildcard")
	}
	command := e.ShellCommand("helper", "restish")
	return fmt.Sprintf(`{
  "base_url": %s,
  "profiles": {
    "default": {
      "auth": {
        "type": "external-tool",
        "params": {
          "commandline": %s,
          "omitbody": "true"
        }
      }
    }
  }
}`, quote(e.URL), quote(command)), nil
}

func member(name, value string) string { return quote(name) + ": " + value }

func deeper(text string, levels int) string {
	in := strings.Repeat(indent, levels)
	return in + strings.ReplaceAll(text, "\n", "\n"+in)
}

// quote writes a string of JSON without the escapes that are for HTML.
func quote(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(s) != nil { // which no string makes it do
		return `""`
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// add puts the API last among those that are there.
func add(text []byte, e setup.Entry) ([]byte, error) {
	value, err := api(e)
	if err != nil {
		return nil, err
	}
	first := deeper(member(e.Profile, value), 2)
	switch {
	case text == nil:
		return []byte(made(first)), nil
	case isBlank(text):
		return append(bytes.Clone(text), "\n"+whole(first)...), nil
	}
	root, apis, err := read(text)
	if err != nil {
		return nil, err
	}
	eol := setup.EOL(text)
	lines := func(s string) string { return strings.ReplaceAll(s, "\n", eol) }
	if apis == nil {
		block := `"apis": {` + "\n" + deeper(member(e.Profile, value), 1) + "\n}"
		return notMade(root.append(text, lines(deeper(block, 1)), ""), first), nil
	}
	if there := apis.find(e.Profile); there != nil {
		if same(text[there.value:there.to], value) {
			return text, nil
		}
		if !ours(text[there.value:there.to], e) {
			return nil, fmt.Errorf("it has an API %q already", e.Profile)
		}
		return splice(text, there.value, there.to, strings.TrimLeft(lines(deeper(value, 2)), " ")), nil
	}
	return notMade(apis.append(text, lines(first), indent), first), nil
}

// notMade keeps a file that was there, and had no API, from being taken for one
// that sfcred made.
func notMade(edited []byte, first string) []byte {
	if string(edited) == made(first) {
		return append(edited, '\n')
	}
	return edited
}

// isBlank says whether a file has nothing in it but what JSON takes for blanks.
func isBlank(text []byte) bool { return len(bytes.Trim(text, " \t\r\n")) == 0 }

// remove takes out the API, and what then is empty.
func remove(text []byte, e setup.Entry) ([]byte, error) {
	if isBlank(text) {
		return text, nil
	}
	root, apis, err := read(text)
	if err != nil {
		return nil, err
	}
	if apis == nil {
		return text, nil
	}
	there := apis.find(e.Profile)
	if there == nil || !ours(text[there.value:there.to], e) {
		return text, nil
	}
	if len(apis.members) > 1 {
		return apis.cut(text, e.Profile), nil
	}
	first := indent + indent + string(text[there.from:there.to])
	before, ok := bytes.CutSuffix(text, []byte("\n"+whole(first)))
	switch {
	case string(text) == made(first):
		return nil, nil
	case ok && isBlank(before):
		return before, nil
	}
	return root.cut(text, "apis"), nil
}

// profiles are those of which there is an API that asks sfcred.
func profiles(text []byte) ([]string, error) {
	if isBlank(text) {
		return nil, nil
	}
	_, apis, err := read(text)
	if err != nil || apis == nil {
		return nil, err
	}
	var names []string
	for _, m := range apis.members {
		if words := commandOf(text[m.value:m.to]); words != nil {
			names = append(names, setup.ProfileOf(words))
		}
	}
	return setup.Unique(names), nil
}

// ours says whether an API is one that sfcred wrote, be it that paths or hosts
// have changed since.
func ours(value []byte, e setup.Entry) bool {
	words := commandOf(value)
	return words != nil && setup.ProfileOf(words) == e.Profile
}

// commandOf is the command line of an API that sfcred wrote; nil for another.
func commandOf(value []byte) []string {
	var in struct {
		BaseURL  string `json:"base_url"`
		Profiles map[string]struct {
			Auth struct {
				Type   string            `json:"type"`
				Params map[string]string `json:"params"`
			} `json:"auth"`
		} `json:"profiles"`
	}
	dec := json.NewDecoder(bytes.NewReader(value))
	dec.DisallowUnknownFields() // what a person has added is not to go with it
	if dec.Decode(&in) != nil || len(in.Profiles) != 1 {
		return nil
	}
	auth := in.Profiles["default"].Auth
	words := setup.ShellWords(auth.Params["commandline"])
	if auth.Type != "external-tool" || len(words) < 3 || !setup.Is(words[0], "sfcred") ||
		!slices.Equal(words[len(words)-2:], []string{"helper", "restish"}) {
		return nil
	}
	return words
}

// same says whether two texts are the same JSON.
func same(a []byte, b string) bool {
	var ca, cb bytes.Buffer
	return json.Compact(&ca, a) == nil && json.Compact(&cb, []byte(b)) == nil && bytes.Equal(ca.Bytes(), cb.Bytes())
}

// object is where an object and its members stand in a text.
type object struct {
	inside  int // the byte behind its first brace
	members []position
	brace   int // its last byte
}

type position struct {
	name            string
	from, value, to int
}

func (o *object) find(name string) *position {
	for i := range o.members {
		if o.members[i].name == name {
			return &o.members[i]
		}
	}
	return nil
}

// append puts a member last; indent is that of the object.
func (o *object) append(text []byte, member, indent string) []byte {
	eol := setup.EOL(text)
	if n := len(o.members); n > 0 {
		at := o.members[n-1].to
		return splice(text, at, at, ","+eol+member)
	}
	if bytes.IndexByte(text[o.inside:o.brace], '\n') < 0 {
		return splice(text, o.inside, o.brace, eol+member+eol+indent)
	}
	return splice(text, o.inside, o.inside, eol+member)
}

// cut takes a member out, as append has put it in.
func (o *object) cut(text []byte, name string) []byte {
	i := slices.IndexFunc(o.members, func(p position) bool { return p.name == name })
	switch {
	case i > 0:
		return splice(text, o.members[i-1].to, o.members[i].to, "")
	case len(o.members) > 1:
		return splice(text, o.members[0].from, o.members[1].from, "")
	}
	return splice(text, o.inside, o.brace, "")
}

func splice(text []byte, from, to int, with string) []byte {
	return slices.Concat(text[:from], []byte(with), text[to:])
}

// read finds the members of a file that must be JSON, and those of its "apis".
func read(text []byte) (root, apis *object, err error) {
	if err := setup.CheckText(text); err != nil {
		return nil, nil, err
	}
	if !json.Valid(text) {
		return nil, nil, errors.New("it is not JSON, or has comments, which are not understood here")
	}
	if root, err = readObject(text, 0); err != nil {
		return nil, nil, fmt.Errorf("it %w", err)
	}
	there := root.find("apis")
	if there == nil {
		return root, nil, nil
	}
	if apis, err = readObject(text, there.value); err != nil {
		return nil, nil, fmt.Errorf("its \"apis\" %w", err)
	}
	return root, apis, nil
}

// readObject finds the members of the object that begins at a byte of the text,
// which is known to be JSON.
func readObject(text []byte, at int) (*object, error) {
	dec := json.NewDecoder(bytes.NewReader(text[at:]))
	token, err := dec.Token()
	if err != nil || token != json.Delim('{') {
		return nil, errors.New("is not an object")
	}
	o := &object{inside: at + int(dec.InputOffset())}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return nil, err
		}
		name, _ := token.(string)
		nameEnd := at + int(dec.InputOffset())
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, err
		}
		to := at + int(dec.InputOffset())
		if o.find(name) != nil {
			return nil, fmt.Errorf("has %q twice", name)
		}
		from := o.inside
		if n := len(o.members); n > 0 {
			from = o.members[n-1].to
		}
		from += bytes.IndexByte(text[from:nameEnd], '"')
		o.members = append(o.members, position{name, from, to - len(raw), to})
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	o.brace = at + int(dec.InputOffset()) - 1
	return o, nil
}
