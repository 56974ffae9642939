package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sfcred/integrations/git"
	"sfcred/integrations/goauth"
	"sfcred/integrations/setup"
)

// connections is what of a tool's configuration has it call sfcred.
type connections struct {
	profiles []string // whose tokens it gets; "" is the default's
	link     bool     // it is called by its own name
	broken   string   // what does not work of it, or ""
}

// errNotInstalled says that a tool is not there, and so not connected.
var errNotInstalled = errors.New("not installed")

// check says whether and how the tool is connected.
func (t tool) check(x *examination, ctx context.Context) step {
	there, err := t.look(ctx)
	switch {
	case errors.Is(err, setup.ErrNoHome), err != nil && x.env.home == "":
		return skipped("%v", setup.ErrNoHome)
	case err != nil && !errors.Is(err, errNotInstalled):
		return warned("", "%v", err)
	case there.broken != "":
		return warned(fmt.Sprintf("sfcred setup %s --write", t.name), "%s", there.broken)
	}
	var words []string
	for _, profile := range there.profiles {
		if profile != "" && x.config != nil && x.config.Profiles[profile] == nil {
			return warned(fmt.Sprintf("sfcred setup %s --remove --profile %s", t.name, shellWord(profile)), "connected for profile %q, which there is none of", profile)
		}
		words = append(words, connectedFor(profile))
	}
	link, broken := t.findLink(x)
	switch {
	case broken:
		return warned("ls -l "+shellWord(link), "%s is not this sfcred", link)
	case there.link && link == "":
		return warned(fmt.Sprintf("sfcred setup %s --write", t.name), "%s, by %s, which is not there", strings.Join(words, " and "), t.linkName())
	case link != "":
		words = append(words, "called as "+link)
	case len(words) == 0 && err != nil:
		return skipped("%v", err)
	case len(words) == 0:
		return skipped("not connected")
	}
	return passed("%s", strings.Join(words, "; "))
}

func connectedFor(profile string) string {
	if profile == "" {
		return "connected for the default profile"
	}
	return fmt.Sprintf("connected for profile %q", profile)
}

// findLink finds sfcred's own name for the tool, where the tool looks for it. It
// is broken if it is not, or not any more, this program.
func (t tool) findLink(x *examination) (path string, broken bool) {
	dir := ""
	if t.dir != nil {
		var err error
		if dir, err = t.dir(x.system()); err != nil {
			return "", false
		}
	}
	link, err := findLink(t.linkName(), dir)
	if err != nil {
		return "", false
	}
	if _, err := os.Lstat(link.path); err == nil {
		return link.path, !link.stands()
	}
	path, err = exec.LookPath(t.linkName())
	if err != nil || !filepath.IsAbs(path) || dir != "" {
		return "", false
	}
	return path, !sameFile(path, link.program) && !sameContent(path, link.program)
}

// installed says whether there is a program of that name.
func installed(name string) error {
	if _, err := exec.LookPath(name); err != nil {
		return errNotInstalled
	}
	return nil
}

// kubectlConnections asks kubectl for the entries that call sfcred.
func (p *program) kubectlConnections(ctx context.Context) (connections, error) {
	if err := installed("kubectl"); err != nil {
		return connections{}, err
	}
	view, err := kubectlSetup{connection: &connection{program: p}}.view(ctx)
	if err != nil {
		return connections{}, err
	}
	var there connections
	for _, e := range view.Entries() {
		if _, err := exec.LookPath(e.Command); err != nil && there.broken == "" {
			there.broken = fmt.Sprintf("user %q calls %s, which is not there", e.User, e.Command)
		}
		there.profiles = append(there.profiles, setup.ProfileOf(e.Args))
	}
	there.profiles = setup.Unique(there.profiles)
	return there, nil
}

func (p *program) gitConnections(ctx context.Context) (connections, error) {
	if err := installed("git"); err != nil {
		return connections{}, err
	}
	settings, err := gitSetup{&connection{program: p}}.settings(ctx)
	return connections{profiles: git.Profiles(settings), link: git.Uses(settings)}, err
}

// goConnections looks where "go env -w" writes.
func (p *program) goConnections(context.Context) (connections, error) {
	value := os.Getenv("GOAUTH") // wins
	if value == "" {
		path, err := goauth.EnvPath(p.system())
		if err != nil || path == "" {
			return connections{}, err
		}
		text, err := readConfiguration(path)
		if err != nil {
			return connections{}, err
		}
		value = goauth.Kept(text)
	}
	return connections{profiles: goauth.Profiles(value)}, nil
}

// fileConnections looks into the file that a tool is configured by.
func (p *program) fileConnections(f setup.File) (connections, error) {
	path, err := f.Path(p.system())
	if err != nil {
		return connections{}, err
	}
	text, err := readConfiguration(path)
	if err != nil || text == nil {
		return connections{}, err
	}
	profiles, err := f.Profiles(text)
	if err != nil {
		return connections{}, fmt.Errorf("read %q: %w", path, err)
	}
	uses := len(profiles) > 0 && f.Helper != ""
	if f.Uses != nil {
		uses = uses && f.Uses(text)
	}
	return connections{profiles: profiles, link: uses}, nil
}

// readConfiguration reads a file that its user writes; nil if there is none.
func readConfiguration(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
	case !info.Mode().IsRegular():
		err = errors.New("not a file")
	case info.Size() > maxConfig:
		err = fmt.Errorf("larger than %d bytes", maxConfig)
	default:
		var text []byte
		if text, err = os.ReadFile(path); err == nil {
			return text, nil
		}
	}
	return nil, fmt.Errorf("read %q: %w", path, err)
}
