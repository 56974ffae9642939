package git_test

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"sfcred/integrations/git"
	"sfcred/integrations/setup"
)

// shown writes settings as "git config --null --show-origin" does.
func shown(settings []git.Setting) []byte {
	var b strings.Builder
	for _, s := range settings {
		b.WriteString("file:" + s.File + "\x00" + s.Key + "\n" + s.Value + "\x00")
	}
	return []byte(b.String())
}

// applied is what "git config" makes of settings by one of the command lines
// that a setup has it run.
func applied(t *testing.T, settings []git.Setting, args []string) []git.Setting {
	t.Helper()
	drop := func(key string, which func(string) bool) []git.Setting {
		return slices.DeleteFunc(slices.Clone(settings), func(s git.Setting) bool { return s.Key == key && which(s.Value) })
	}
	all := func(string) bool { return true }
	switch {
	case len(args) == 5 && args[2] == "--replace-all":
		return append(drop(args[3], all), git.Setting{Key: args[3], Value: args[4], File: "f"})
	case len(args) == 5 && args[2] == "--add":
		return append(slices.Clone(settings), git.Setting{Key: args[3], Value: args[4], File: "f"})
	case len(args) == 4 && args[2] == "--unset-all":
		return drop(args[3], all)
	case len(args) == 5 && args[2] == "--unset-all":
		pattern, err := regexp.CompilePOSIX(args[4])
		if err != nil || strings.HasPrefix(args[4], "!") { // which git takes for not
			t.Fatalf("%q: %v", args, err)
		}
		return drop(args[3], pattern.MatchString)
	}
	t.Fatalf("git is to run %q", args)
	return nil
}

// others are the helpers that are not the profile's, for whichever key.
func others(settings []git.Setting, profile string) []git.Setting {
	return slices.DeleteFunc(slices.Clone(settings), func(s git.Setting) bool {
		return s.Value == "" || slices.Equal(git.Profiles([]git.Setting{s}), []string{profile})
	})
}

// What git shows is read as it is; a setup is done in one go, and taking it out
// leaves nothing of it; neither touches a helper of another's.
func FuzzSettings(f *testing.F) {
	const own, second = "credential.https://git.example.org.helper", "credential.https://a.example.org:8443.helper"
	for _, settings := range [][]git.Setting{
		{{own, "", "/f"}, {own, "sfcred --profile lab", "/f"}},
		{{own, "store", "/f"}, {second, "!/old/sfcred --profile lab helper git", "/f"}},
		{{own, "", "/f"}, {own, "sfcred --profile lab", "/f"}, {own, "!'/a (b)/sfcred' --profile lab helper git", "/f"}, {own, "cache", "/f"}},
		{{"credential.https://gone.example.org.helper", "sfcred --profile lab", "/f"}, {"credential.https://gone.example.org.helper", "!f() { x; }; f", "/f"}},
		{{"credential.helper", "sfcred --profile=lab", "/f"}, {second, "!sfcred -p lab helper git\nx", "/f"}},
		{{own, "sfcred --profile other", "/f"}},
	} {
		f.Add(shown(settings))
	}
	f.Add([]byte("file:/f\x00x"))
	f.Fuzz(func(t *testing.T, output []byte) {
		if !utf8.Valid(output) {
			return // of which package regexp knows nothing
		}
		settings, err := git.ParseSettings(output)
		if err != nil {
			if settings != nil {
				t.Fatalf("an error, and %q", settings)
			}
			return
		}
		if again, err := git.ParseSettings(shown(settings)); err != nil || !slices.Equal(again, settings) {
			t.Fatalf("%q: got %q, and of that %q, %v", output, settings, again, err)
		}
		for _, helper := range []string{git.Helper, "", "/my (b)in/git-credential-sfcred"} {
			e := setup.Entry{Profile: "lab", Hosts: []string{"git.example.org", "a.example.org:8443"}, Program: "sfcred", Helper: helper}
			if missing, err := git.Missing(settings, e); err == nil {
				done := settings
				for _, args := range missing {
					done = applied(t, done, args)
				}
				if more, err := git.Missing(done, e); err != nil || len(more) > 0 {
					t.Fatalf("%q became %q, where %q is missing, %v", settings, done, more, err)
				}
				if got, want := others(done, "lab"), others(settings, "lab"); !slices.Equal(got, want) && !wasSfcred(settings, got, want) {
					t.Fatalf("%q became %q", settings, done)
				}
			}
			none := e
			none.Hosts = nil
			out := settings
			for _, key := range git.Stale(settings, none) {
				out = applied(t, out, git.Unset(out, key, none))
			}
			if left := git.Stale(out, none); len(left) > 0 {
				t.Fatalf("%q became %q, with %q left", settings, out, left)
			}
			if got, want := others(out, "lab"), others(settings, "lab"); !slices.Equal(got, want) {
				t.Fatalf("%q became %q", settings, out)
			}
		}
	})
}

// wasSfcred says whether all that is missing of want is sfcred for another
// profile, at a host of ours: a host has one.
func wasSfcred(settings, got, want []git.Setting) bool {
	for _, s := range want {
		if !slices.Contains(got, s) && len(git.Profiles([]git.Setting{s})) == 0 {
			return false
		}
	}
	return true
}

// git's version is what git says, and new enough from 2.46 on.
func FuzzVersion(f *testing.F) {
	for _, text := range []string{"git version 2.46.0", "git version 2.39.5 (Apple Git-154)", "git version 2.46", "git version 3.x", "git version -2.99", "git version 2.99999999999999999999", "", "git"} {
		f.Add([]byte(text))
	}
	known := regexp.MustCompile(`^git version ((\d+)\.(\d+)(\.[^ ]*)?)( |$)`)
	f.Fuzz(func(t *testing.T, output []byte) {
		version, bearer, err := git.ParseVersion(output)
		if err != nil {
			if version != "" || bearer {
				t.Fatalf("an error, and %q, %v", version, bearer)
			}
			return
		}
		match := known.FindStringSubmatch(strings.Join(strings.Fields(string(output)), " "))
		if match == nil || match[1] != version {
			t.Fatalf("%q: got %q", output, version)
		}
		major, _ := strconv.Atoi(match[2])
		minor, _ := strconv.Atoi(match[3])
		if bearer != (major*100_000+minor >= 200_046) {
			t.Fatalf("%q: got %v", output, bearer)
		}
	})
}
