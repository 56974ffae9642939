package goauth_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"sfcred/integrations/goauth"
	"sfcred/integrations/setup"
)

// goWords reads a command as the go command does (cmd/internal/quoted.Split).
func goWords(t *testing.T, s string) []string {
	t.Helper()
	var words []string
	for {
		s = strings.TrimLeft(s, " \t\n\r")
		if s == "" {
			return words
		}
		if c := s[0]; c == '"' || c == '\'' {
			word, rest, ok := strings.Cut(s[1:], string(c))
			if !ok {
				t.Fatalf("%q: a quote is not closed", s)
			}
			words, s = append(words, word), rest
			continue
		}
		end := strings.IndexAny(s, " \t\n\r")
		if end < 0 {
			end = len(s)
		}
		words, s = append(words, s[:end]), s[end:]
	}
}

// parts are the commands of a value, without the blanks around them.
func parts(value string) []string {
	var all []string
	for part := range strings.SplitSeq(value, ";") {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, part)
		}
	}
	if all == nil {
		return []string{"netrc"} // that is what none means
	}
	return all
}

// Whatever GOAUTH is: what is added is one command that the go command reads as
// ours; twice is as once; and all other commands stay as they were, in their
// order, when it is added and when it is taken out again.
func FuzzValue(f *testing.F) {
	for _, program := range []string{"sfcred", "/my bin/sfcred", `C:\bin\sfcred.exe`, `C:\my bin\sfcred.exe`, "/it's/sfcred", "/it's my bin/sfcred"} {
		for _, value := range []string{"netrc", "", "off", "git /home/x;netrc", ours + "; netrc", "netrc;/old/sfcred --profile lab helper go ;x", `'C:\b\sfcred.exe' --profile lab helper go`, "sfcred-go -p lab;'", ";;"} {
			f.Add(value, program)
		}
	}
	f.Fuzz(func(t *testing.T, value, program string) {
		if !setup.Is(program, "sfcred") || program != strings.TrimSpace(program) {
			return // a name, or an absolute path
		}
		e := setup.Entry{Profile: "lab", Program: program}
		got, err := goauth.Add(value, e)
		if err != nil {
			if got != "" {
				t.Fatalf("an error, and %q", got)
			}
			return
		}
		command := slices.IndexFunc(parts(got), func(part string) bool { return goauth.Profiles(part) != nil && goauth.Profiles(part)[0] == "lab" })
		if command < 0 || !slices.Equal(goWords(t, parts(got)[command]), []string{program, "--profile", "lab", "helper", "go"}) {
			t.Fatalf("%q became %q", value, got)
		}
		if again, err := goauth.Add(got, e); err != nil || again != got {
			t.Fatalf("%q became %q, and then %q, %v", value, got, again, err)
		}
		others := func(value string) []string {
			return slices.DeleteFunc(parts(value), func(part string) bool { return slices.Equal(goauth.Profiles(part), []string{"lab"}) })
		}
		back := goauth.Remove(got, e)
		if slices.Contains(goauth.Profiles(back), "lab") {
			t.Fatalf("%q, removed: got %q", got, back)
		}
		want := others(value)
		if len(want) == 0 {
			want = parts("")
		}
		if !slices.Equal(others(back), want) {
			t.Fatalf("%q became %q, and then %q", value, got, back)
		}
	})
}

// What is kept is the value of the last line for GOAUTH.
func FuzzKept(f *testing.F) {
	for _, text := range []string{"GOAUTH=netrc\n", "GOAUTH=a\r\nGOFLAGS=-x\nGOAUTH=b", "#GOAUTH=x\n GOAUTH=y\nXGOAUTH=z", "GOAUTH=\n", ""} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got := goauth.Kept(text)
		if strings.ContainsAny(got, "\n") || got != "" && !bytes.Contains(text, []byte("GOAUTH="+got)) {
			t.Fatalf("%q: got %q", text, got)
		}
		if again := goauth.Kept(append(bytes.Clone(text), "\nGOAUTH=new; x\nGOFLAGS=\n"...)); again != "new; x" {
			t.Fatalf("%q: got %q", text, again)
		}
	})
}
