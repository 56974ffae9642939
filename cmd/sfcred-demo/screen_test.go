package main

import (
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestShorten(t *testing.T) {
	const jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl-_"
	for text, want := range map[string]string{
		jwt:                       "eyJhbGciOiJS…",
		"Bearer " + jwt + "\n":    "Bearer eyJhbGciOiJS…\n",
		`{"token":"` + jwt + `"}`: `{"token":"eyJhbGciOiJS…"}`,
		jwt + " " + jwt:           "eyJhbGciOiJS… eyJhbGciOiJS…",
		"eyJ is no token":         "eyJ is no token",
		"":                        "",
	} {
		if got := shorten(text); got != want {
			t.Errorf("shorten(%q): got %q, want %q", text, got, want)
		}
	}
}

func FuzzFold(f *testing.F) {
	f.Add("", 1)
	f.Add("a, b,c  d", 3)
	f.Add("sfcred: error: one word that is muchlongerthanaline …", 10)
	f.Add(" ,, ,", 2)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		if !utf8.ValidString(text) {
			return
		}
		parts := atoms(text)
		if strings.Join(parts, "") != text {
			t.Fatalf("atoms(%q): got %q, want the same text", text, parts)
		}
		lines := fold(parts, limit)
		unblank := func(s string) string { return strings.ReplaceAll(s, " ", "") }
		if got := strings.Join(lines, ""); unblank(got) != unblank(text) {
			t.Errorf("fold(%q): got %q, want nothing lost but blanks", text, lines)
		}
		for _, l := range lines {
			alone := slices.ContainsFunc(parts, func(p string) bool { return strings.TrimRight(p, " ") == l })
			if utf8.RuneCountInString(l) > limit && !alone {
				t.Errorf("fold(%q, %d): got a line %q, which is longer and could be folded", text, limit, l)
			}
		}
	})
}

// TestQuote asks the shell itself.
func TestQuote(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no POSIX shell")
	}
	for _, word := range []string{"plain/word.pem", "", "two words", "it's", "$HOME", "a\nb", "~", "*", "[::1]", `"\`, "#x", "a;b"} {
		out, err := exec.Command("sh", "-c", "printf %s "+quote(word)).Output()
		if err != nil || string(out) != word {
			t.Errorf("quote(%q): the shell got %q (%v) from %s", word, out, err, quote(word))
		}
	}
}

func TestCommand(t *testing.T) {
	var b strings.Builder
	s := &screen{w: &b}
	s.command("sfcred", "login", "--profile", "demo", "--no-check", "--token-url", "https://127.0.0.1:40000/c2id/token", "--key", "my key")
	want := "$ sfcred login --profile demo --no-check \\\n    --token-url https://127.0.0.1:40000/c2id/token --key 'my key'\n"
	if got := b.String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestColour(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if newScreen(file).colour {
		t.Error("got colour in a file, want none")
	}
	var b strings.Builder
	s := &screen{w: &b, colour: true}
	s.line(bold, "bold")
	s.line(plain, "plain")
	if got, want := b.String(), "\x1b[1mbold\x1b[0m\nplain\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
