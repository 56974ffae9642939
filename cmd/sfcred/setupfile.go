package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"sfcred/integrations/setup"
	"sfcred/keychain/disk"
)

// maxConfig bounds the configuration of a tool. People write these files.
const maxConfig = 1 << 20 // 1 MiB

// setupFile connects a tool whose configuration is a file.
func (p *program) setupFile(c *cli.Context, tool setup.File) error {
	dir := ""
	if tool.HelperDir != nil {
		var err error
		if dir, err = tool.HelperDir(p.system()); err != nil {
			return fmt.Errorf("the link %s: %w", tool.Helper, err)
		}
	}
	s, err := p.connect(c, tool.Helper, dir)
	if err != nil {
		return err
	}
	if tool.Helper != "" && s.link == nil {
		return &usageError{text: fmt.Sprintf("%s calls %s, which takes no --config: the profile must be in the config file in its usual place", tool.Name, tool.Helper)}
	}
	path, err := tool.Path(p.system())
	if err != nil {
		return fmt.Errorf("the configuration of %s: %w", tool.Name, err)
	}
	f := fileSetup{s, tool, path}
	switch {
	case c.Bool("write"):
		return f.write()
	case c.Bool("remove"):
		return f.remove()
	}
	return f.print()
}

// fileSetup is one setup in a file.
type fileSetup struct {
	*connection
	tool setup.File
	path string
}

// print gives what belongs in the file, and what else there is to do.
func (s fileSetup) print() error {
	text, err := s.tool.Text(s.entry)
	if err != nil {
		return err
	}
	var b strings.Builder
	comment := func(line string) { b.WriteString(s.tool.Comment + " " + strings.TrimPrefix(line, "# ") + "\n") }
	if first := s.first(); first != "" {
		comment(strings.TrimSuffix(first, "\n"))
	}
	if s.otherDefault() {
		comment("and where " + s.tool.Name + " runs: " + s.exportProfile())
	}
	comment("in " + s.path + ":")
	b.WriteString(text)
	return s.answer(b.String())
}

// otherDefault says whether the tool would get another profile than this one,
// which it cannot name.
func (s fileSetup) otherDefault() bool {
	if !s.tool.Default {
		return false
	}
	config, err := s.loadConfig()
	return err != nil || config.Default != s.profile.name
}

func (s fileSetup) exportProfile() string { return "export SFCRED_PROFILE=" + s.profile.name }

// write makes the link and edits the file. Where the file is not one to be
// edited, what belongs in it is printed, so that a person can.
func (s fileSetup) write() error {
	err := disk.Edit(s.path, maxConfig, func(text []byte) ([]byte, error) {
		edited, err := s.tool.Add(text, s.entry)
		if err != nil {
			return nil, fmt.Errorf("edit %q: %w", s.path, err)
		}
		return edited, s.makeLink()
	})
	if err != nil {
		return s.printed(err, s.print)
	}
	s.inform("%s gets its tokens from profile %q, as %s says", s.tool.Name, s.profile.name, s.path)
	if s.otherDefault() {
		s.warn(fmt.Sprintf("%s cannot name a profile, and takes the default where it is not told of this one", s.tool.Name))
		s.say("hint", s.exportProfile())
	}
	return nil
}

// remove takes out of the file what write has put in, and the link where nothing
// in the file needs it. A file that write has made goes too when nothing else is
// left in it.
func (s fileSetup) remove() error {
	used := false
	err := disk.Edit(s.path, maxConfig, func(text []byte) ([]byte, error) {
		if text == nil {
			return nil, nil
		}
		rest, err := s.tool.Remove(text, s.entry)
		if err != nil {
			return nil, fmt.Errorf("edit %q: %w", s.path, err)
		}
		used = s.tool.Uses != nil && s.tool.Uses(rest)
		return rest, nil
	})
	if err != nil {
		return err
	}
	s.inform("%s has nothing of profile %q from sfcred", s.path, s.profile.name)
	s.removeLink(used)
	return nil
}
