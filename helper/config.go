package helper

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"sfcred/keychain"
	"sfcred/keychain/disk"
)

// configLimit bounds what is read: hundreds of profiles are a few hundred kB.
const configLimit = 1 << 20 // 1 MiB

// Config is what the config file holds.
type Config struct {
	// Default names the profile that is meant where none is named.
	Default string `toml:"default,omitempty"`
	// Unfinished names keys ("store:id") that were being written, moved or
	// removed. Where none of this config's profiles has such a key, it is an
	// orphan: nothing else in the stores is, since other configs share them.
	Unfinished []string `toml:"unfinished,omitempty"`
	// Profiles are by name.
	Profiles map[string]*Profile `toml:"profile,omitempty"`
}

// ErrNoProfile says that there is no profile for this request.
var ErrNoProfile = errors.New("no such profile")

// ConfigError tells where a config file is wrong.
type ConfigError struct {
	Path    string
	Line    int // from 1; 0 where the fault has no line
	Problem string
}

func (e *ConfigError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("config file %s: %s", e.Path, e.Problem)
	}
	return fmt.Sprintf("config file %s, line %d: %s", e.Path, e.Line, e.Problem)
}

// Names lists the profiles in alphabetical order.
func (c *Config) Names() []string {
	return slices.Sorted(maps.Keys(c.Profiles))
}

// Orphans lists the keys under unfinished that no profile uses.
func (c *Config) Orphans() []keychain.Ref {
	var refs []keychain.Ref
	for _, note := range c.Unfinished {
		store, id, ok := strings.Cut(note, ":")
		ref := keychain.Ref{Store: store, ID: id}
		if ok && !c.uses(ref) {
			refs = append(refs, ref)
		}
	}
	return refs
}

func (c *Config) uses(ref keychain.Ref) bool {
	for _, p := range c.Profiles {
		if p.Ref() == ref {
			return true
		}
	}
	return false
}

// note and strike keep Unfinished.
func (c *Config) note(ref keychain.Ref) {
	if n := ref.Store + ":" + ref.ID; ref.ID != "" && !slices.Contains(c.Unfinished, n) {
		c.Unfinished = append(c.Unfinished, n)
	}
}

func (c *Config) strike(ref keychain.Ref) {
	c.Unfinished = slices.DeleteFunc(c.Unfinished, func(n string) bool { return n == ref.Store+":"+ref.ID })
}

// Ref says where the profile's key is.
func (p *Profile) Ref() keychain.Ref {
	return keychain.Ref{Store: p.Store, ID: p.KeyID, Path: p.KeyFile}
}

// ParseConfig reads a config file's text. Unknown keys are errors: a misspelt
// "hosts" must not quietly mean "no hosts".
func ParseConfig(path string, text []byte) (*Config, error) {
	c := &Config{}
	known, err := toml.NewDecoder(bytes.NewReader(text)).Decode(c)
	if err != nil {
		return nil, configError(path, err)
	}
	// The library takes anything but a table for an empty map, and the next
	// change would write the profiles away.
	if kind := known.Type("profile"); kind != "" && kind != "Hash" {
		return nil, &ConfigError{Path: path, Line: lineOf(text, toml.Key{"profile"}), Problem: `"profile" is not a table`}
	}
	if unknown := known.Undecoded(); len(unknown) > 0 {
		key := unknown[0]
		return nil, &ConfigError{Path: path, Line: lineOf(text, key), Problem: fmt.Sprintf("unknown key %q", printable(key.String()))}
	}
	if c.Profiles == nil {
		c.Profiles = map[string]*Profile{}
	}
	for name, p := range c.Profiles {
		if err := CheckName(name); err != nil {
			return nil, &ConfigError{Path: path, Problem: err.Error()}
		}
		if p == nil {
			return nil, &ConfigError{Path: path, Problem: fmt.Sprintf("profile %q is empty", name)}
		}
	}
	return c, nil
}

func configError(path string, err error) error {
	e := &ConfigError{Path: path, Problem: strings.TrimPrefix(printable(err.Error()), "toml: ")}
	var syntax toml.ParseError
	var key string
	if errors.As(err, &syntax) {
		e.Line, e.Problem = syntax.Position.Line, printable(syntax.Message)
	} else if n, _ := fmt.Sscanf(err.Error(), "toml: line %d (last key %q):", &e.Line, &key); n == 2 {
		// A wrong type has no error type of its own, only these words.
		_, problem, _ := strings.Cut(err.Error(), "): ")
		e.Problem = printable(fmt.Sprintf("%q: %s", key, problem))
	}
	return e
}

// lineOf finds the line where a key is set, which the library does not tell of
// a key that it does not know; 0 if it is written in a way that is not found.
func lineOf(text []byte, key toml.Key) int {
	name := key[len(key)-1]
	for i, line := range strings.Split(string(text), "\n") {
		left, _, _ := strings.Cut(line, "=")
		left = strings.Trim(left, " \t\r[]\"'")
		if left == name || left == key.String() {
			return i + 1
		}
	}
	return 0
}

// text is the file's whole content.
func (c *Config) text() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("# Written by sfcred; comments are not kept. Change it with: sfcred edit\n")
	e := toml.NewEncoder(&b)
	e.Indent = ""
	if err := e.Encode(c); err != nil {
		return nil, fmt.Errorf("encode config: %w", err)
	}
	return b.Bytes(), nil
}

// ConfigFile is the config file at a path.
type ConfigFile string

// Load reads the config; a missing file is an empty config. A file that others
// could have written is refused with a *disk.UnsafeError: it says where keys
// are used.
func (f ConfigFile) Load() (*Config, error) {
	text, err := disk.ReadPrivate(string(f), configLimit)
	if errors.Is(err, fs.ErrNotExist) {
		return &Config{Profiles: map[string]*Profile{}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	return ParseConfig(string(f), text)
}

// Update changes the config under its lock. What change returns an error for
// is not written.
func (f ConfigFile) Update(ctx context.Context, change func(*Config) error) error {
	return f.edit(ctx, func(c *Config, save func() error) error {
		if err := change(c); err != nil {
			return err
		}
		return save()
	})
}

// edit runs change under the lock; each save writes the whole file anew.
func (f ConfigFile) edit(ctx context.Context, change func(c *Config, save func() error) error) error {
	unlock, err := disk.Lock(ctx, string(f)+".lock")
	switch {
	case err == nil:
		defer unlock()
	case !errors.Is(err, errors.ErrUnsupported): // a home without locks still wants its login
		return fmt.Errorf("lock config: %w", err)
	}
	c, err := f.Load()
	if err != nil {
		return err
	}
	save := func() error {
		text, err := c.text()
		if err != nil {
			return err
		}
		if len(text) > configLimit {
			return fmt.Errorf("write config: larger than %d bytes, which could not be read again", configLimit)
		}
		if err := disk.WriteFile(string(f), text); err != nil {
			return fmt.Errorf("write config: %w", err)
		}
		return nil
	}
	return change(c, save)
}
