package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"sfcred/integrations/kubectl"
)

// connectedTool is a tool that sfcred can be connected to, and how to see
// whether it is.
type connectedTool struct {
	name string
	// link is the name of sfcred's own by which the tool may call it.
	link string
	// connections asks the tool's room what of its configuration calls sfcred;
	// nil where only the link can be looked for.
	connections func(context.Context) ([]toolEntry, error)
}

// toolEntry is an entry in a tool's configuration that has it call sfcred.
type toolEntry struct {
	what    string // such as: user "sfcred-nersc"
	command string // what is called
	profile string // whose token it gets; "" for the default's
}

// errNotInstalled says that a tool is not there, and so not connected.
var errNotInstalled = errors.New("not installed")

// connectedTools has a line for each tool.
func (p *program) connectedTools() []connectedTool {
	return []connectedTool{
		{"kubectl", kubectl.Helper, p.kubectlConnections},
		{"git", "git-credential-sfcred", nil},
		{"bazel", "sfcred-bazel", nil},
		{"go", "sfcred-go", nil},
		{"cargo", "sfcred-cargo", nil},
		{"terraform", "terraform-credentials-sfcred", nil},
		{"restish", "sfcred-restish", nil},
	}
}

// check says whether and how the tool is connected.
func (t connectedTool) check(x *examination, ctx context.Context) step {
	var entries []toolEntry
	var err error
	if t.connections != nil {
		if entries, err = t.connections(ctx); err != nil && !errors.Is(err, errNotInstalled) {
			return warned("", "%v", err)
		}
	}
	var words []string
	for _, c := range entries {
		if problem := x.problemOf(c); problem != "" {
			return warned(fmt.Sprintf("sfcred setup %s --write", t.name), "%s %s", c.what, problem)
		}
		words = append(words, c.words())
	}
	link, broken := findOwnName(t.link)
	switch {
	case broken:
		return warned("ls -l "+shellWord(link), "%s is not this sfcred", link)
	case link != "":
		words = append(words, "called as "+link)
	case len(words) == 0 && err != nil:
		return skipped("%v", err)
	case len(words) == 0:
		return skipped("not connected")
	}
	return passed("%s", strings.Join(words, "; "))
}

func (c toolEntry) words() string {
	if c.profile == "" {
		return c.what + " gets the default profile's token"
	}
	return fmt.Sprintf("%s gets profile %q's token", c.what, c.profile)
}

// problemOf says why an entry does not work, or "".
func (x *examination) problemOf(c toolEntry) string {
	if _, err := exec.LookPath(c.command); err != nil {
		return fmt.Sprintf("calls %s, which is not there", c.command)
	}
	if c.profile != "" && x.config != nil && x.config.Profiles[c.profile] == nil {
		return fmt.Sprintf("is for profile %q, which there is none of", c.profile)
	}
	return ""
}

// findOwnName finds the link of that name beside sfcred or in PATH. It is broken
// if it is not, or not any more, this program.
func findOwnName(name string) (path string, broken bool) {
	link, err := findLink(name, "")
	if err != nil {
		return "", false
	}
	if _, err := os.Lstat(link.path); err == nil {
		return link.path, !link.stands()
	}
	path, err = exec.LookPath(name)
	if err != nil || !filepath.IsAbs(path) {
		return "", false
	}
	return path, !sameFile(path, link.program) && !sameContent(path, link.program)
}

// kubectlConnections asks kubectl for the entries that call sfcred.
func (p *program) kubectlConnections(ctx context.Context) ([]toolEntry, error) {
	if _, err := exec.LookPath("kubectl"); err != nil {
		return nil, errNotInstalled
	}
	view, err := kubectlSetup{connection: &connection{program: p}}.view(ctx)
	if err != nil {
		return nil, err
	}
	var entries []toolEntry
	for _, e := range view.Entries() {
		entries = append(entries, toolEntry{fmt.Sprintf("user %q", e.User), e.Command, profileIn(e.Args)})
	}
	return entries, nil
}

// profileIn is the profile that a command line of sfcred's names, or "".
func profileIn(args []string) string {
	for i, arg := range args {
		if name, ok := strings.CutPrefix(arg, "--profile="); ok {
			return name
		}
		if (arg == "--profile" || arg == "-p") && i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}
