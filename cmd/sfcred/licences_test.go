//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// licences are those that a module may have, by words that are in the text of
// each and of no other here. All allow use in a BSD-3-Clause program.
var licences = []struct{ name, has, hasNot string }{
	{"BSD-3-Clause", `Redistribution and use in source and binary forms.*[Nn]either the name`, `advertising materials`},
	{"BSD-2-Clause", `Redistribution and use in source and binary forms`, `[Nn]either the name|advertising materials`},
	{"MIT-0", `MIT No Attribution.*Permission is hereby granted, free of charge`, `subject to the following conditions`},
	{"MIT", `Permission is hereby granted, free of charge.*The above copyright notice and this permission notice shall be included`, `Apache License`},
	{"ISC", `Permission to use, copy, modify, and distribute this software for any purpose`, `Redistribution`},
	{"Apache-2.0", `Apache License Version 2\.0, January 2004.*END OF TERMS AND CONDITIONS`, `Permission is hereby`},
}

// licenceOf names a licence by its text; "" if it is none of them.
func licenceOf(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	for _, l := range licences {
		if regexp.MustCompile(l.has).MatchString(text) && !regexp.MustCompile(l.hasNot).MatchString(text) {
			return l.name
		}
	}
	return ""
}

// listedLicences reads .github/LICENSES.md.
func listedLicences(t *testing.T) (licence, use map[string]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, ".github", "LICENSES.md"))
	check(t, err)
	licence, use = map[string]string{}, map[string]string{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 3 || !strings.Contains(cells[0], "/") {
			continue
		}
		name := strings.TrimSpace(cells[0])
		licence[name], use[name] = strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2])
	}
	return licence, use
}

// Each module is listed with its licence, which is one that goes with ours.
func TestLicences(t *testing.T) {
	listed, _ := listedLicences(t)
	cmd := exec.Command("go", "mod", "download", "-json")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		missing(t, "all modules, which go mod download does not find")
	}
	var modules []string
	for all := json.NewDecoder(bytes.NewReader(out)); ; {
		var m struct{ Path, Dir string }
		if err := all.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		modules = append(modules, m.Path)
		if listed[m.Path] == "" {
			t.Errorf("%s is not in .github/LICENSES.md", m.Path)
			continue
		}
		files, err := filepath.Glob(filepath.Join(m.Dir, "LICENSE*"))
		check(t, err)
		if len(files) != 1 {
			t.Errorf("%s has the licence files %q; want one", m.Path, files)
			continue
		}
		text, err := os.ReadFile(files[0])
		check(t, err)
		if got := licenceOf(string(text)); got != listed[m.Path] {
			t.Errorf("%s has licence %q by its text; .github/LICENSES.md says %q", m.Path, got, listed[m.Path])
		}
	}
	if len(modules) < 20 {
		t.Errorf("only %d modules", len(modules))
	}
	for module := range listed {
		if !slices.Contains(modules, module) {
			t.Errorf(".github/LICENSES.md lists %s, which go.mod does not", module)
		}
	}
	own, err := os.ReadFile(filepath.Join(root, "LICENSE"))
	check(t, err)
	if got := licenceOf(string(own)); got != "BSD-3-Clause" {
		t.Errorf("ours is %q by its text", got)
	}
}

// What is linked, on any platform, is said to be.
func TestLinkedModules(t *testing.T) {
	_, use := listedLicences(t)
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	check(t, err)
	tags := regexp.MustCompile(`(?m)^CGO_ENABLED=0 go build .*-tags (\S+)`).FindSubmatch(readme)
	if tags == nil {
		t.Fatal("README.md has no release line")
	}
	linked := map[string]bool{}
	for _, platform := range []string{"linux", "darwin", "windows"} {
		cmd := exec.Command("go", "list", "-deps", "-tags", string(tags[1]), "-f", "{{with .Module}}{{.Path}}{{end}}", "./cmd/sfcred")
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+platform)
		out, err := cmd.Output()
		if err != nil {
			missing(t, "all modules for "+platform)
		}
		for module := range strings.FieldsSeq(string(out)) {
			linked[module] = module != "sfcred"
		}
	}
	for module, where := range use {
		if linked[module] != (where == "program") {
			t.Errorf("%s: %q is said, linked: %v", module, where, linked[module])
		}
	}
}
