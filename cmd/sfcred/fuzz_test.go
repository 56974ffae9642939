package main

import (
	"errors"
	"io/fs"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sfcred/helper"
	"sfcred/keychain/jose"
)

// A duration is what Go means by it, with days before that, or so many seconds; an
// expiry lies ahead, in a form that can be kept, and reads the same again.
func FuzzTimes(f *testing.F) {
	for _, text := range []string{"8s", "0", "90", "-1s", "1h30m", "2562047h48m", "99999999999", "30d", "2026-12-31", "2026-12-31T12:00:00Z", "9999-12-31T23:59:59-01:00", "٣", "1e3", "", " 1s"} {
		f.Add(text)
	}
	now := time.Date(2026, 11, 24, 12, 0, 0, 500, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := parseDuration(text); err == nil {
			days, rest, ok := strings.Cut(text, "d")
			if !ok {
				days, rest = "0", text
			} else if rest == "" {
				rest = "0"
			}
			want, err := time.ParseDuration(rest)
			if n, numErr := strconv.ParseUint(days, 10, 31); numErr == nil {
				want += time.Duration(n) * 24 * time.Hour
			} else {
				err = numErr
			}
			if n, numErr := strconv.ParseUint(text, 10, 31); numErr == nil {
				want, err = time.Duration(n)*time.Second, nil
			}
			if err != nil || d != want || d < 0 {
				t.Errorf("%q: got %s, want %s, %v", text, d, want, err)
			}
		} else if d != 0 {
			t.Errorf("%q: both %s and %v", text, d, err)
		}
		at, err := parseExpiry(text, now)
		if err != nil {
			if !at.IsZero() {
				t.Errorf("%q: both %s and %v", text, at, err)
			}
			return
		}
		if at.Before(now.Truncate(time.Second)) || at.Nanosecond() != 0 || at.Location() != time.UTC {
			t.Errorf("%q: got %s", text, at)
		}
		if kept, err := at.MarshalText(); err != nil {
			t.Errorf("%q: %v", text, err)
		} else if again, err := parseExpiry(string(kept), now.Add(-time.Second)); err != nil || !again.Equal(at) {
			t.Errorf("%q: %s reads as %s, %v", text, kept, again, err)
		}
	})
}

// A token file's mode gives the owner reading, others nothing, and nobody more
// than to read and write; it reads the same again.
func FuzzMode(f *testing.F) {
	for _, text := range []string{"0640", "600", "0", "0777", "644", "+640", "0o640", "00000640", "-1", "1640"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		mode, err := parseMode(text)
		if err != nil {
			if mode != 0 {
				t.Errorf("%q: both %o and %v", text, mode, err)
			}
			return
		}
		if mode&^0o660 != 0 || mode&0o400 == 0 {
			t.Errorf("%q: got %o", text, mode)
		}
		if again, err := parseMode("0" + strconv.FormatUint(uint64(mode), 8)); err != nil || again != mode {
			t.Errorf("%q: %o reads as %o, %v", text, mode, again, err)
		}
		if n, err := strconv.ParseUint(strings.TrimLeft(text, "0"), 8, 32); err != nil || fs.FileMode(n) != mode {
			t.Errorf("%q: got %o", text, mode)
		}
	})
}

// A word that is quoted for a shell is that word again, and one only, by the
// rules of POSIX (XCU 2.2), and has nothing in it that a terminal does not show.
func FuzzShellWord(f *testing.F) {
	for _, word := range []string{"", "plain", "a b", "it's", `"$HOME"`, "`id`", "a\nb", "-n", "~", "#", "\\", "''", "é", "$'x'"} {
		f.Add(word)
	}
	f.Fuzz(func(t *testing.T, word string) {
		quoted := shellWord(word)
		got, ok := posixWord(quoted)
		if !ok || got != word || oneLine(quoted) != quoted {
			t.Errorf("%q became %q, which a shell reads as %q", word, quoted, got)
		}
	})
}

// posixWord reads what a shell takes for one word, of plain characters, single
// quotes and backslashes, or between $' and ' with octal numbers for bytes.
func posixWord(text string) (word string, ok bool) {
	var b strings.Builder
	if inner, dollar := strings.CutPrefix(text, "$'"); dollar {
		inner, ok = strings.CutSuffix(inner, "'")
		for i := 0; i < len(inner) && ok; i++ {
			switch n, err := strconv.ParseUint(inner[min(i+1, len(inner)):min(i+4, len(inner))], 8, 8); {
			case inner[i] == '\'':
				return "", false
			case inner[i] != '\\':
				b.WriteByte(inner[i])
			case err == nil && len(inner) >= i+4:
				b.WriteByte(byte(n))
				i += 3
			case i+1 < len(inner) && (inner[i+1] == '\'' || inner[i+1] == '\\'):
				b.WriteByte(inner[i+1])
				i++
			default:
				return "", false
			}
		}
		return b.String(), ok
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\'':
			end := strings.IndexByte(text[i+1:], '\'')
			if end < 0 {
				return "", false
			}
			b.WriteString(text[i+1 : i+1+end])
			i += end + 1
		case c == '\\' && i+1 < len(text) && text[i+1] != '\n':
			i++
			b.WriteByte(text[i])
		case strings.IndexByte("|&;<>()$`\\\" \t\n*?[#~", c) >= 0 || c >= 0x80:
			return "", false
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), text != ""
}

// A command line that can be meant is the same again when it is written out in
// full; what cannot is wrong usage. No flag is lost, and none comes from behind
// "--".
func FuzzLine(f *testing.F) {
	for _, line := range []string{
		"token", "--profile x token --force", "token -p x --min-ttl=60s", "helper git get", "exec -- sh -c 'x' --profile y", "exec --env X -- a", "login --host a --host b",
		"remove x --yes", "remove --yes=false x", "token --url=", "token --min-ttl", "helper", "", "--", "help token", "--version", "token --help", "nosuch", "token x", "-p", "exec true",
		"edit -H a +H b", "--config= list", "logout x", "use", "token --force=maybe",
	} {
		f.Add(strings.ReplaceAll(line, " ", "\x00"))
	}
	p := new(program)
	app := p.app(p.tools())
	f.Fuzz(func(t *testing.T, text string) {
		words := strings.Split(text, "\x00")
		l, err := parseLine(app, words)
		if err != nil {
			if !errors.As(err, new(*usageError)) && !errors.As(err, new(*bareError)) {
				t.Fatalf("%q: %v is no wrong usage", words, err)
			}
			return
		}
		if l.help || l.version {
			return
		}
		if l.command == nil || l.command.Action == nil {
			t.Fatalf("%q: accepted without a command", words)
		}
		full := slices.Concat(l.global, l.path, l.flags, []string{"--"}, l.args)
		again, err := parseLine(app, full)
		if err != nil {
			t.Fatalf("%q was written as %q: %v", words, full, err)
		}
		same := again.command.Name == l.command.Name && slices.Equal(again.path, l.path) && slices.Equal(again.args, l.args) &&
			reflect.DeepEqual(again.global, l.global) && reflect.DeepEqual(again.flags, l.flags)
		if !same {
			t.Errorf("%q was written as %q, which reads as %+v", words, full, again)
		}
		if i := slices.Index(words, "--"); i >= 0 && !slices.Equal(l.args[max(0, len(l.args)-len(words[i+1:])):], words[i+1:]) && !valueAt(words, i) {
			t.Errorf("%q: what stands behind -- is %q", words, l.args)
		}
	})
}

// valueAt says whether the word may be the value of a flag ahead of it.
func valueAt(words []string, i int) bool { return i > 0 && strings.HasPrefix(words[i-1], "-") }

// What is pasted is taken for whole once it is: a key that is read as one never
// waits for more than an empty line, and stays that key.
func FuzzTypedKey(f *testing.F) {
	for _, name := range []string{"testdata/encrypted.pem"} {
		text := must(os.ReadFile(name))
		f.Add(string(text))
		f.Add(string(text[:len(text)/2]))
	}
	f.Add(keyLine())
	f.Add(`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}`)
	f.Add("{\n}\n\n")
	f.Add("-----BEGIN CERTIFICATE-----\n\n-----END CERTIFICATE-----\n")
	f.Fuzz(func(t *testing.T, text string) {
		pasted := []byte(strings.Trim(text, " \t\r\n"))
		_, err := jose.Load(pasted, nil)
		if err != nil && !errors.Is(err, jose.ErrEncrypted) {
			return
		}
		k := &typedKey{home: t.TempDir()}
		lines := append(strings.Split(string(pasted), "\n"), "")
		for i, line := range lines {
			done, _ := k.take(line, i < len(lines)-2)
			if k.path != "" {
				return // its name is that of a file here
			}
			if !done {
				continue
			}
			if _, err := jose.Load(k.text, nil); err != nil && !errors.Is(err, jose.ErrEncrypted) {
				t.Errorf("%q is a key, and %q was made of it: %v", pasted, k.text, err)
			}
			return
		}
		t.Errorf("%q is a key, and is waited for", pasted)
	})
}

// A variable for a token is a name that means nothing to shells and loaders. The
// hosts of the profile from variables are those that are said, each one that can
// be read, and of the preset only where no token URL is set; or usage is wrong.
func FuzzVariables(f *testing.F) {
	for _, name := range []string{"TOKEN", "path", "Ld_PRELOAD", "1X", "", "A=B", "é", "_", "SFCRED_X", "a b"} {
		f.Add(name, "api.example.org, *.example.org:8443", "https://x.example/token")
		f.Add(name, "api.example.org,,\t[::1]:1 ", "")
	}
	f.Add("X", "a.b/c", "http://x.example/token")
	f.Add("X", ",", "https://x.example/?a=b#c")
	f.Fuzz(func(t *testing.T, name, hosts, tokenURL string) {
		if err := checkVariable(name); err == nil {
			if !regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`).MatchString(name) || regexp.MustCompile(`(?i)^(PATH|HOME|IFS|ENV|BASH_ENV|(LD|DYLD|SFCRED|LC)_.*)$`).MatchString(name) {
				t.Fatalf("took %q", name)
			}
		} else if oneLine(err.Error()) != err.Error() {
			t.Fatalf("%q: %q", name, err)
		}
		p := &program{env: environment{clientID: "abc", privateKeyFile: "/key", tokenURL: tokenURL, hosts: hosts}}
		profile, err := p.chooseEnv()
		if err != nil {
			if !errors.As(err, new(*usageError)) || profile != nil {
				t.Fatalf("got %v, %v", profile, err)
			}
			return
		}
		var want []string
		if tokenURL == "" {
			want = append(want, helper.Sites()[0].Hosts...)
		}
		want = append(want, strings.FieldsFunc(hosts, func(r rune) bool { return r == ',' })...)
		for i := range want {
			want[i] = strings.TrimSpace(want[i])
		}
		want = slices.DeleteFunc(want, func(host string) bool { return host == "" })
		if _, err := helper.ParseHosts(profile.Hosts); err != nil || !slices.Equal(profile.Hosts, want) {
			t.Fatalf("%q: got %q, want %q, %v", hosts, profile.Hosts, want, err)
		}
		if tokenURL != "" && (profile.TokenURL != tokenURL || profile.APIURL != "") {
			t.Fatalf("%q: got %+v", tokenURL, profile.Profile)
		}
	})
}
