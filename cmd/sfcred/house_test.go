package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the module's, from here.
const root = "../.."

// room is a folder's name in the order of imports: cmd, integrations, helper,
// keychain.
func room(path string) string {
	first, _, _ := strings.Cut(filepath.ToSlash(path), "/")
	return first
}

// The rooms that each room may import of; and those packages that import
// nothing of ours, whatever their room may.
var (
	below = map[string][]string{
		"cmd":          {"cmd", "integrations", "helper", "keychain"},
		"integrations": {"integrations", "helper", "keychain"},
		"helper":       {"helper", "keychain"},
		"keychain":     {"keychain"},
	}
	leaves = []string{"keychain/jose", "keychain/disk", "helper/sfapitest", "keychain/keychaintest", "keychain/disk/disktest"}
	// Each of the given packages is in one room, so that it can be refitted.
	given = map[string]string{
		"github.com/urfave/cli":         "cmd/",
		"github.com/zalando/go-keyring": "keychain",
		"github.com/lestrrat-go/jwx":    "keychain/jose",
	}
)

// source is a Go file of the module.
type source struct {
	dir, name string // relative to the module's root, with slashes
	file      *ast.File
	fset      *token.FileSet
}

func (s source) test() bool { return strings.HasSuffix(s.name, "_test.go") }

func (s source) at(pos token.Pos) string { return s.fset.Position(pos).String() }

// sources parses all Go files of the module, for whatever platform they are. A
// folder with a go.mod of its own is another module.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root {
			_, err := os.Stat(filepath.Join(path, "go.mod"))
			if err == nil || strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" {
				return filepath.SkipDir
			}
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		all = append(all, source{filepath.ToSlash(filepath.Dir(rel)), d.Name(), file, fset})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 50 {
		t.Fatalf("only %d Go files below %s", len(all), root)
	}
	return all
}

// Imports run cmd → integrations → helper → keychain, and may skip a step. A
// test may import a fake from a room beside it, as an external package.
func TestImportsNeverTurnBack(t *testing.T) {
	for _, s := range sources(t) {
		for _, spec := range s.file.Imports {
			path := strings.Trim(spec.Path.Value, `"`)
			ours, ok := strings.CutPrefix(path, "sfcred/")
			if !ok || ours == s.dir && s.test() {
				continue
			}
			if !slices.Contains(below[room(s.dir)], room(ours)) {
				t.Errorf("%s: %s imports %s", s.at(spec.Pos()), s.dir, ours)
			}
			if slices.Contains(leaves, s.dir) && !s.test() {
				t.Errorf("%s: %s imports %s, and should import nothing of ours", s.at(spec.Pos()), s.dir, ours)
			}
		}
	}
}

func TestGivenPackagesHaveOneRoom(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range sources(t) {
		for _, spec := range s.file.Imports {
			path := strings.Trim(spec.Path.Value, `"`)
			for module, home := range given {
				if path != module && !strings.HasPrefix(path, module+"/") {
					continue
				}
				seen[module] = true
				if !inRoom(s, home) {
					t.Errorf("%s: %s imports %s, whose place is %s", s.at(spec.Pos()), s.dir, path, home)
				}
			}
		}
	}
	for module := range given {
		if !seen[module] {
			t.Errorf("nothing imports %s", module)
		}
	}
}

// inRoom says whether a file is where a given package may be. The tests of the
// Secret Service in memory drive it as the product does.
func inRoom(s source, home string) bool {
	return s.dir == home || strings.HasSuffix(home, "/") && strings.HasPrefix(s.dir, home) ||
		s.dir == home+"/keychaintest" && s.test()
}

// processWide is what only the command may touch, by package: "*" is all of it.
var processWide = map[string][]string{
	"os":  {"Exit", "Getenv", "LookupEnv", "Environ", "ExpandEnv", "Stdout", "Stderr", "Stdin", "Args"},
	"log": {"*"},
	"fmt": {"Print", "Printf", "Println"},
}

func TestProcessIsTheCommands(t *testing.T) {
	for _, s := range sources(t) {
		if room(s.dir) == "cmd" || s.test() {
			continue
		}
		names := importNames(s.file)
		ast.Inspect(s.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, ok := sel.X.(*ast.Ident)
			if !ok {
				return true
			}
			if banned := processWide[names[pkg.Name]]; slices.Contains(banned, sel.Sel.Name) || slices.Contains(banned, "*") {
				t.Errorf("%s: %s uses %s.%s", s.at(sel.Pos()), s.dir, names[pkg.Name], sel.Sel.Name)
			}
			return true
		})
	}
}

// importNames gives the path of each import by the name it has in a file.
func importNames(file *ast.File) map[string]string {
	names := map[string]string{}
	for _, spec := range file.Imports {
		path := strings.Trim(spec.Path.Value, `"`)
		name := path[strings.LastIndexByte(path, '/')+1:]
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = path
	}
	return names
}

// An init runs at each start, also of the commands that do not need it.
func TestNoInit(t *testing.T) {
	for _, s := range sources(t) {
		if s.test() {
			continue
		}
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: %s has an init", s.at(f.Pos()), s.dir)
			}
		}
	}
}

// A new tool touches one room and one line: tools.go has all that the commands
// know of the rooms' tools, and no other file of theirs a list of them.
func TestToolsHaveOneTable(t *testing.T) {
	tools := new(program).tools()
	isTool := func(name string) bool {
		return slices.ContainsFunc(tools, func(t tool) bool { return t.name == name })
	}
	rooms := map[string]bool{} // whether the commands use it
	for _, s := range sources(t) {
		if name, ok := strings.CutPrefix(s.dir, "integrations/"); ok && !s.test() && name != "setup" && name != "request" && !strings.Contains(name, "/") {
			if _, seen := rooms[name]; !seen {
				rooms[name] = false
			}
		}
		if s.dir != "cmd/sfcred" || s.test() {
			continue
		}
		names := importNames(s.file)
		for _, path := range names {
			if name, ok := strings.CutPrefix(path, "sfcred/integrations/"); ok && name != "setup" {
				rooms[name] = true
			}
		}
		if s.name == "tools.go" {
			continue
		}
		named := map[string]bool{}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BasicLit:
				if name := strings.Trim(n.Value, "\"`"); isTool(name) {
					named[name] = true
				}
			case *ast.SelectorExpr:
				pkg, ok := n.X.(*ast.Ident)
				if ok && (n.Sel.Name == "Setup" || n.Sel.Name == "Lines") && strings.HasPrefix(names[pkg.Name], "sfcred/integrations/") {
					t.Errorf("%s: %s.%s belongs into tools.go", s.at(n.Pos()), pkg.Name, n.Sel.Name)
				}
			}
			return true
		})
		if len(named) > 2 { // two are those that it runs
			t.Errorf("%s is a second table: it names %v", s.name, slices.Sorted(maps.Keys(named)))
		}
	}
	for name, used := range rooms {
		if !used {
			t.Errorf("no command uses the room %s", name)
		}
		if _, err := os.Stat(filepath.Join(root, "integrations", name, "README.md")); err != nil {
			t.Error(err)
		}
	}
	if len(rooms) < 10 {
		t.Errorf("only %d rooms", len(rooms))
	}
}

// What stands at the top level is what a newcomer sees first. Dot folders, and
// what is not in the repository, are not looked at.
func TestTopLevel(t *testing.T) {
	allowed := []string{"cmd", "helper", "keychain", "integrations", "go.mod", "go.sum", "README.md", "LICENSE", "CHANGELOG.md"}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		built := slices.Contains([]string{"sfcred", "sfcred-demo"}, strings.TrimSuffix(e.Name(), ".exe"))
		if !strings.HasPrefix(e.Name(), ".") && !built && !slices.Contains(allowed, e.Name()) {
			t.Errorf("%s stands at the top level", e.Name())
		}
	}
	module, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(module), "module sfcred\n") || strings.Contains(string(module), "\nreplace ") {
		t.Error("go.mod is of another module, or replaces a dependency")
	}
}

// SECURITY.md names the test that holds each of its claims.
func TestSecurityNamesTests(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, ".github/SECURITY.md"))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]bool{}
	for _, s := range sources(t) {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && s.test() {
				tests[f.Name.Name] = true
			}
		}
	}
	named := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+|[a-z_]+\\.txtar)`").FindAllStringSubmatch(string(text), -1)
	for _, match := range named {
		if _, err := os.Stat(filepath.Join("testdata", match[1])); err != nil && !tests[match[1]] {
			t.Errorf("there is no %s", match[1])
		}
	}
	if len(named) < 30 {
		t.Errorf("only %d tests are named", len(named))
	}
}
