package goauth_test

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"sfcred/helper"
	"sfcred/integrations/goauth"
)

func TestPrefixes(t *testing.T) {
	got, err := goauth.Prefixes([]string{"API.nersc.gov", "*.example.org", "proxy.example.org:8443", "proxy.example.org:443", "[::1]:80", "localhost"})
	want := []string{
		"https://api.nersc.gov",
		"https://proxy.example.org:8443",
		"https://proxy.example.org", // as the go command spells it
		"https://[::1]:80",
		// Any port is meant, and this names 443; the second call serves the others.
		"https://localhost",
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("Prefixes: got %q, %v, want %q", got, err, want)
	}
	if got, err := goauth.Prefixes([]string{"*.example.org"}); err != nil || got != nil {
		t.Errorf("Prefixes of a wildcard: got %q, %v, want none", got, err)
	}
	if got, err := goauth.Prefixes([]string{"api.nersc.gov", "a\nb"}); err == nil || got != nil {
		t.Errorf("Prefixes of no host: got %q, %v, want an error alone", got, err)
	}
}

func TestOrigin(t *testing.T) {
	for _, test := range []struct{ url, want string }{ // want "": refused
		{"https://proxy.example.org/mod/example.com/!m/@v/list", "https://proxy.example.org"},
		{"https://proxy.example.org", "https://proxy.example.org"},
		{"https://example.org?go-get=1", "https://example.org"},
		{"https://example.org#x", "https://example.org"},
		// The go command looks for the bytes that it asked with.
		{"https://PROXY.example.org:443/", "https://PROXY.example.org:443"},
		// GOPROXY may have them; the host rule refuses them.
		{"https://u:p@proxy.example.org/", "https://u:p@proxy.example.org"},
		{"http://127.0.0.1/", ""}, // the host rule would let it pass
		{"HTTPS://proxy.example.org/", ""},
		{"proxy.example.org", ""},
		{"", ""},
	} {
		got, err := goauth.Origin(test.url)
		if got != test.want || (err != nil) != (test.want == "") || err != nil && !errors.Is(err, helper.ErrForeignHost) {
			t.Errorf("Origin(%s): got %q, %v, want %q", test.url, got, err, test.want)
		}
	}
}

func TestReply(t *testing.T) {
	for _, test := range []struct {
		token string
		urls  []string
		want  string
		ok    bool
	}{
		{"a.b.c", []string{"https://api.nersc.gov"}, "https://api.nersc.gov\n\nAuthorization: Bearer a.b.c\n\n", true},
		{"a.b.c", []string{"https://a", "https://b:8443", "https://[::1]"}, "https://a\nhttps://b:8443\nhttps://[::1]\n\nAuthorization: Bearer a.b.c\n\n", true},
		// A set without a URL would not be the grammar's.
		{"a.b.c", nil, "", true},
		{"", []string{"https://a"}, "", false},
		{"tok\n\nhttps://evil.example\n", []string{"https://a"}, "", false},
		{"t k", []string{"https://a"}, "", false},
		{"tok", []string{"https://a\nhttps://evil.example"}, "", false},
		{"tok", []string{"https://a\n"}, "", false},
		{"tok", []string{"https://a", ""}, "", false},
		{"tok", []string{"https://"}, "", false},
		{"tok", []string{"https://a/"}, "", false},
		{"tok", []string{"https://*.example.org"}, "", false},
		{"tok", []string{"https://u:p@a"}, "", false},
		{"tok", []string{"http://a"}, "", false},
	} {
		got, err := goauth.Reply(test.token, test.urls)
		if string(got) != test.want || (err == nil) != test.ok {
			t.Errorf("Reply(%q, %q): got %q, %v, want %q", test.token, test.urls, got, err, test.want)
		}
	}
}

// readSets reads a Response by its grammar, as strictly as the go command
// (parseUserAuth in cmd/go/internal/auth/userauth.go), and gives the header
// lines of each URL.
func readSets(text string) (map[string][]string, error) {
	sets := map[string][]string{}
	// block reads lines up to a blank one, which must be there.
	block := func() ([]string, error) {
		var lines []string
		for {
			line, rest, ok := strings.Cut(text, "\n")
			text = rest
			switch {
			case !ok:
				return nil, errors.New("a blank line is missing")
			case line == "":
				return lines, nil
			}
			lines = append(lines, line)
		}
	}
	for text != "" {
		urls, err := block()
		if err != nil {
			return nil, err
		}
		headers, err := block()
		if err != nil {
			return nil, err
		}
		for _, u := range urls {
			if _, err := url.ParseRequestURI(u); err != nil {
				return nil, err
			}
			sets[u] = headers
		}
		if len(urls) == 0 || slices.ContainsFunc(headers, func(h string) bool { return !strings.Contains(h, ": ") }) {
			return nil, fmt.Errorf("%q, %q is not a set", urls, headers)
		}
	}
	return sets, nil
}

// What the host rule lets pass is the origin of the URL that was asked for, and
// the go command reads back one header for that origin alone, or there is no
// answer.
func FuzzOrigin(f *testing.F) {
	f.Add("https://git.example.org/x", "a.b.c")
	f.Add("https://GIT.example.org:443", "a\nb")
	f.Add("https://git.example.org\n\nX: y\n\nhttps://evil.example/", "a b")
	f.Add("https://evil.example/https://git.example.org", "")
	f.Add("https://git.example.org@evil.example/", "\x00")
	hosts, err := helper.ParseHosts([]string{"git.example.org"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, rawURL, token string) {
		origin, err := goauth.Origin(rawURL)
		if err != nil {
			if origin != "" || !errors.Is(err, helper.ErrForeignHost) {
				t.Fatalf("an error, and an origin: %q, %v", origin, err)
			}
			return
		}
		answer, err := goauth.Reply(token, []string{origin})
		if err != nil {
			if answer != nil {
				t.Fatalf("an error, and an answer: %q", answer)
			}
			return
		}
		sets, err := readSets(string(answer))
		if err != nil || len(sets) != 1 || !slices.Equal(sets[origin], []string{"Authorization: Bearer " + token}) {
			t.Fatalf("%q was read back as %q, %v", answer, sets, err)
		}
		if _, err := hosts.Check(origin); err != nil {
			return
		}
		u, err := url.Parse(rawURL)
		if err == nil && (u.Scheme != "https" || !strings.EqualFold(u.Hostname(), "git.example.org") || u.User != nil) {
			t.Fatalf("%q passed as %q", rawURL, origin)
		}
	})
}
