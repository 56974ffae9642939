package keychain

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestSplitCommand(t *testing.T) {
	tests := []struct {
		command string
		want    []string
	}{
		{"pass", []string{"pass"}},
		{"pass show nersc/key", []string{"pass", "show", "nersc/key"}},
		{"  pass \t show  ", []string{"pass", "show"}},
		{`op read "op://Private/NERSC key/private key"`, []string{"op", "read", "op://Private/NERSC key/private key"}},
		{`vault kv get '-field=it is "quoted"' x`, []string{"vault", "kv", "get", `-field=it is "quoted"`, "x"}},
		{`pass "bob's key"`, []string{"pass", "bob's key"}},
		{`pass '' ""`, []string{"pass", "", ""}},
		{`"pass"	'show'`, []string{"pass", "show"}},
		// There are no escapes.
		{`type C:\keys\nersc.pem`, []string{"type", `C:\keys\nersc.pem`}},
		{`type "C:\my keys\"`, []string{"type", `C:\my keys\`}},
		// Nor is there a shell.
		{"pass $HOME `id` $(id) a;b && c | d > e * ~ #", []string{"pass", "$HOME", "`id`", "$(id)", "a;b", "&&", "c", "|", "d", ">", "e", "*", "~", "#"}},
		{"pass clé\u00a0café", []string{"pass", "clé\u00a0café"}},
	}
	for _, tt := range tests {
		if got, err := SplitCommand(tt.command); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%q: got %q, %v, want %q", tt.command, got, err, tt.want)
		}
	}
}

func TestSplitCommandRefuses(t *testing.T) {
	tests := []struct{ command, want string }{
		{"", "the command is empty"},
		{" \t ", "the command is empty"},
		{"'' canary", "the command's program is empty"},
		{`pass "canary`, `word 2 of the command: its quote " is not closed`},
		{"'canary", "word 1 of the command: its quote ' is not closed"},
		{"pass canary '", "word 3 of the command: its quote ' is not closed"},
		// A shell would glue these, goauth would not.
		{`pass "canary"x`, "word 2 of the command: it goes on after its quote: put quotes around the whole word"},
		{`pass 'canary''x'`, "word 2 of the command: it goes on after its quote: put quotes around the whole word"},
		{`op --account="my canary"`, "word 2 of the command: a quote stands inside it: put quotes around the whole word"},
		{"pass bob's", "word 2 of the command: a quote stands inside it: put quotes around the whole word"},
		{"pass canary\n", "the command has a line break or another control character in it"},
		{"pass 'can\x00ary'", "the command has a line break or another control character in it"},
		{"pass \x1b[2J", "the command has a line break or another control character in it"},
		{"pass \u009b", "the command has a line break or another control character in it"},
		{"pass \xff", "the command is not UTF-8 text"},
		{"VAULT_TOKEN=canary vault read x", "the command begins with a variable, which only a shell can set"},
		{"KEY=/canary/key.pem cat x", "the command begins with a variable, which only a shell can set"},
		{"./pass canary", `the command's program "./pass" is a relative path: give an absolute one, or a name in PATH`},
		{"bin/pass canary", `the command's program "bin/pass" is a relative path: give an absolute one, or a name in PATH`},
		{"../pass", `the command's program "../pass" is a relative path: give an absolute one, or a name in PATH`},
		{"~/bin/pass", `the command's program "~/bin/pass" is a relative path: give an absolute one, or a name in PATH`},
		{"pass/", `the command's program "pass/" is a relative path: give an absolute one, or a name in PATH`},
	}
	for _, tt := range tests {
		words, err := SplitCommand(tt.command)
		if words != nil || err == nil || err.Error() != tt.want {
			t.Errorf("%q: got %q, %v, want %q", tt.command, words, err, tt.want)
		}
		if checked := CheckCommand(tt.command, false); checked == nil || checked.Error() != tt.want || errors.As(checked, new(*Error)) {
			t.Errorf("CheckCommand %q: got %v, want %q", tt.command, checked, tt.want)
		}
	}
}

// A name is found in PATH; where PATH leads by way of the current directory, the
// program may be anybody's.
func TestCheckCommand(t *testing.T) {
	name := "sfcred-test-program"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	dir := t.TempDir()
	program := filepath.Join(dir, name)
	if err := os.WriteFile(program, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "missing")
	long := strings.Repeat("ü", 100)
	tests := []struct {
		path, command string
		shell         bool
		want          string // "" if it can be run
	}{
		{dir, name + " canary", false, ""},
		{"", "'" + program + "' canary", false, ""},
		{"", name + " canary", false, "is not in PATH"},
		{dir, "missing canary", false, `command "missing" is not in PATH`},
		{dir, "'" + missing + "' canary", false, "there is no command "},
		{dir, long + " canary", false, `command "` + long[:80] + `…" is not in PATH`},
		{".", name + " canary", false, "by way of the current directory"},
		// Of this only the shell knows.
		{"", "canary | x", true, ""},
		{"", "./canary", true, ""},
	}
	t.Chdir(dir)
	for _, tt := range tests {
		t.Setenv("PATH", tt.path)
		err := CheckCommand(tt.command, tt.shell)
		if tt.want == "" {
			if err != nil {
				t.Errorf("%q in PATH %q: got %v, want nil", tt.command, tt.path, err)
			}
			continue
		}
		wantError(t, err, ErrUnavailable, tt.want)
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: got %q, want it without the arguments", tt.command, err)
		}
	}
	t.Setenv("PATH", ".")
	t.Setenv("GODEBUG", "execerrdot=0")
	wantError(t, CheckCommand(name, false), ErrUnavailable, "by way of the current directory")

	for _, command := range []string{"", "echo\ncanary", "\xff"} {
		if err := CheckCommand(command, true); err == nil || errors.As(err, new(*Error)) {
			t.Errorf("%q for a shell: got %v, want it refused", command, err)
		}
	}
}

// quote writes a word as a command has it, if it can.
func quote(word string) (string, bool) {
	for _, q := range []string{"'", `"`} {
		if !strings.Contains(word, q) {
			return q + word + q, true
		}
	}
	return "", false
}

// Words that are quoted and joined come back; so do those of any command that is
// taken. Nothing else is ever among them, and no words come with an error.
func FuzzSplitCommand(f *testing.F) {
	f.Add("pass show nersc/key", "a b", "")
	f.Add(`op read "op://x/y z"`, `C:\my keys\`, "it's")
	f.Add("  'a' b\t", `"`, "'")
	f.Add(`a "b"c`, "\x00", "\xff")
	f.Add("A=b c", "é", "\u2028")
	f.Fuzz(func(t *testing.T, command, a, b string) {
		words, err := SplitCommand(command)
		switch {
		case err != nil && words != nil:
			t.Fatalf("both the words %q and the error %v", words, err)
		case err == nil:
			again(t, words)
			if got, want := letters(strings.Join(words, "")), letters(command); got != want {
				t.Errorf("got the letters %q, want %q", got, want)
			}
		}
		if checkText("x "+a+" "+b) == nil {
			again(t, []string{"x", a, b})
		}
	})
}

// again quotes, joins and splits words.
func again(t *testing.T, words []string) {
	t.Helper()
	var quoted []string
	for _, word := range words {
		q, ok := quote(word)
		if !ok {
			return // it has both quotes, so no command has it
		}
		quoted = append(quoted, q)
	}
	got, err := SplitCommand(strings.Join(quoted, " "))
	if err != nil || !slices.Equal(got, words) {
		t.Errorf("got %q, %v, want %q", got, err, words)
	}
}

// letters is what is left of a text without blanks and quotes.
func letters(text string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t'\"", r) {
			return -1
		}
		return r
	}, text)
}
