package helper

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"sfcred/keychain"
	"sfcred/keychain/disk"
)

// configLimit bounds what is read: hundreds of profiles are a few hundred kB.
const configLimit = 1 << 20 // 1 MiB

// Config is what the config file holds.
type Config struct {
	// Default names the profile that is meant where none is named.
	Default string
	// Unfinished names keys ("store:id") that were being written, moved or
	// removed. Where none of this config's profiles has such a key, it is an
	// orphan: nothing else in the stores is, since other configs share them.
	Unfinished []string
	// Profiles are by name.
	Profiles map[string]*Profile
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
		if slices.Contains(p.entries(), ref) {
			return true
		}
	}
	return false
}

// HasClient says whether a profile is for the same client as p, so that what is
// kept of the client is its too.
func (c *Config) HasClient(p *Profile) bool {
	for _, other := range c.Profiles {
		if other.stateKey() == p.stateKey() {
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
	ref := keychain.Ref{Store: p.Store, ID: p.KeyID, Path: p.KeyFile, Command: p.Command, Shell: p.Shell}
	if p.Store == keychain.StoreAgent {
		ref.Fingerprint = p.Fingerprint
	}
	return ref
}

// entries lists the profile's keys that are ours to delete: those in stores that
// name them by an ID.
func (p *Profile) entries() []keychain.Ref {
	var refs []keychain.Ref
	if p.KeyID != "" {
		refs = append(refs, keychain.Ref{Store: p.Store, ID: p.KeyID})
	}
	if p.Pending != nil && p.Pending.KeyID != "" {
		refs = append(refs, p.Pending.Ref())
	}
	return refs
}

// ParseConfig reads a config file's text. Unknown keys are errors: a misspelt
// "hosts" must not quietly mean "no hosts".
func ParseConfig(path string, text []byte) (*Config, error) {
	c, err := decodeTOML(text)
	var fault *tomlError
	if errors.As(err, &fault) {
		return nil, &ConfigError{Path: path, Line: fault.line(text), Problem: fault.problem}
	}
	return c, err
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
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("lock config %s: another command has held it all the time", f)
	case !errors.Is(err, errors.ErrUnsupported): // a home without locks still wants its login
		return fmt.Errorf("lock config: %w", err)
	}
	c, err := f.Load()
	if err != nil {
		return err
	}
	save := func() error {
		text, err := encodeTOML(c)
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
