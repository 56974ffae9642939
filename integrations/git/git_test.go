package git_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sfcred/helper"
	"sfcred/integrations/git"
)

// asked is a get as git 2.47.3 of Debian 13 sends it after a 401.
const asked = "capability[]=authtype\ncapability[]=state\nprotocol=https\nhost=git.example.org\nwwwauth[]=Bearer realm=\"lab\"\nwwwauth[]=Basic realm=\"lab\"\n"

// refused is an erase of git 2.47.3, after the server said 401 to our answer.
const refused = "capability[]=authtype\nauthtype=Bearer\ncredential=a.b.c\nephemeral=1\nprotocol=https\nhost=git.example.org:8443\npassword_expiry_utc=1795510070\nwwwauth[]=Bearer realm=\"lab\"\n"

func TestParse(t *testing.T) {
	type want struct {
		url        string
		bearer     bool
		credential string
	}
	for _, test := range []struct {
		operation, input string
		want             want
	}{
		{"get", asked, want{"https://git.example.org/", true, ""}},
		{"erase", refused, want{"https://git.example.org:8443/", true, "a.b.c"}},
		// git 2.39 of Debian 12 knows of no capability.
		{"get", "protocol=https\nhost=git.example.org\n", want{"https://git.example.org/", false, ""}},
		// A blank line ends the request, as does the end of the input.
		{"get", "protocol=https\nhost=a\n\nhost=b\nnonsense", want{"https://a/", false, ""}},
		{"get", "protocol=https\nhost=a", want{"https://a/", false, ""}},
		// Only with credential.useHttpPath; any byte can be in it.
		{"get", "protocol=https\nhost=a\npath=r\xc3\xa4po\xff\n", want{"https://a/", false, ""}},
		// What is after the first "=" is the value.
		{"get", "protocol=https\nhost=a=b\n", want{"https://a=b/", false, ""}},
		{"get", "protocol=http\nhost=127.0.0.1:8080\n", want{"http://127.0.0.1:8080/", false, ""}},
		{"get", "protocol=https\nhost=[::1]:8443\n", want{"https://[::1]:8443/", false, ""}},
		// git send-email, a certificate's passphrase: not ours by its scheme.
		{"get", "protocol=smtp\nhost=smtp.example.org:587\n", want{"smtp://smtp.example.org:587/", false, ""}},
		{"get", "protocol=cert\nhost=\npath=path/to\n", want{"cert:///", false, ""}},
		// https://api.nersc.gov%2F.evil.example, undone by git.
		{"get", "protocol=https\nhost=api.nersc.gov/.evil.example\n", want{"https://api.nersc.gov%2F.evil.example/", false, ""}},
		{"get", "protocol=https\nhost=api.nersc.gov?.evil.example\n", want{"https://api.nersc.gov%3F.evil.example/", false, ""}},
		{"get", "protocol=https\nhost=api.nersc.gov#.evil.example\n", want{"https://api.nersc.gov%23.evil.example/", false, ""}},
		// A list may be begun anew, and may hold what is not known.
		{"get", "capability[]=authtype\ncapability[]=\nprotocol=https\nhost=a\n", want{"https://a/", false, ""}},
		{"get", "capability[]=x\ncapability[]=\ncapability[]=authtype\nprotocol=https\nhost=a\n", want{"https://a/", true, ""}},
		{"get", "capability=authtype\nprotocol=https\nhost=a\n", want{"https://a/", false, ""}}, // not a list
		// Attributes that are not known, twice too.
		{"get", "protocol=https\nnew=1\nnew=2\n=\nhost=a\nusername=elvis\n", want{"https://a/", false, ""}},
		// As long as a line may be.
		{"get", "protocol=https\nhost=a\npath=" + strings.Repeat("x", 65530) + "\n", want{"https://a/", false, ""}},
	} {
		got, err := git.Parse(test.operation, []byte(test.input))
		if err != nil || got.Operation != test.operation || (want{got.URL(), got.Bearer, got.Credential}) != test.want {
			t.Errorf("Parse(%s, %q): got %+v %s, %v, want %+v", test.operation, test.input, got, got.URL(), err, test.want)
		}
	}
}

// What is to be ignored is not even read.
func TestParseOtherOperations(t *testing.T) {
	for _, operation := range []string{"store", "capability", "", "Get", "approve"} {
		got, err := git.Parse(operation, []byte("nonsense\x00"))
		if err != nil || got != (git.Request{Operation: operation}) {
			t.Errorf("Parse(%s): got %+v, %v, want nothing but the operation", operation, got, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, test := range []struct{ input, want string }{
		{"", "git's request has no protocol"},
		{"\nprotocol=https\nhost=a\n", "git's request has no protocol"},
		// git that dies of a CR in the host has sent this much.
		{"protocol=https\n", "git's request has no host"},
		{"protocol=https\nhost=a\nhost=b\n", "git's request has more than one host"},
		{"protocol=https\nprotocol=https\nhost=a\n", "git's request has more than one protocol"},
		{"protocol=https\nhost=a\ncredential=x\ncredential=y\n", "git's request has more than one credential"},
		{"protocol=https\nsekret\n", `line 2 of git's request has no "="`},
		// With credential.protectProtocol=false, and from git before 2.48.1.
		{"protocol=https\nhost=a\r\n", "line 2 of git's request has a NUL or a CR"},
		{"protocol=https\nhost=a\rhost=b\n", "line 2 of git's request has a NUL or a CR"},
		{"protocol=https\nhost=a\x00\n", "line 2 of git's request has a NUL or a CR"},
		{"path=" + strings.Repeat("x", 65531) + "\n", "line 1 of git's request is longer than 65535 bytes"},
		{strings.Repeat("a=b\n", 1<<18) + "\n", "git's request is larger than 1 MiB"},
	} {
		for _, operation := range []string{"get", "erase"} {
			got, err := git.Parse(operation, []byte(test.input))
			if err == nil || err.Error() != test.want || got != (git.Request{}) {
				t.Errorf("Parse(%s, %.99q): got %+v, %v, want %s", operation, test.input, got, err, test.want)
			}
		}
	}
}

func TestErases(t *testing.T) {
	now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	erase := func(operation, credential string) git.Request {
		return git.Request{Operation: operation, Credential: credential}
	}
	for _, test := range []struct {
		request git.Request
		token   string
		age     time.Duration
		want    bool
	}{
		{erase("erase", "tok"), "tok", time.Minute, true},
		{erase("erase", "tok"), "tok", 31 * time.Second, true},
		{erase("erase", "tok"), "tok", 30 * time.Second, false},
		{erase("erase", "tok"), "tok", 0, false},
		{erase("erase", "tok"), "tok", -time.Hour, false}, // the clock was set back
		// Another has got a new one since.
		{erase("erase", "old"), "tok", time.Minute, false},
		// A password's, or of a helper beside us.
		{erase("erase", ""), "tok", time.Minute, false},
		{erase("erase", ""), "", time.Minute, false},
		{erase("get", "tok"), "tok", time.Minute, false},
		{erase("store", "tok"), "tok", time.Minute, false},
	} {
		if got := test.request.Erases(test.token, now.Add(-test.age), now); got != test.want {
			t.Errorf("%+v, token %q of %s: got %v, want %v", test.request, test.token, test.age, got, test.want)
		}
	}
}

func TestReply(t *testing.T) {
	for _, test := range []struct {
		token   string
		expires time.Time
		want    string // "" is an error
	}{
		// Whole seconds, rounded down.
		{"a.b-c_d~e+f/g=", time.Unix(1_800_000_000, 999_999_999), "capability[]=authtype\nauthtype=Bearer\ncredential=a.b-c_d~e+f/g=\nephemeral=1\npassword_expiry_utc=1800000000\n"},
		{"tok", time.Time{}, "capability[]=authtype\nauthtype=Bearer\ncredential=tok\nephemeral=1\n"},
		{"", time.Time{}, ""},
		{"tok\nquit=1", time.Time{}, ""},
		{"tok\r", time.Time{}, ""},
		{"t\x00k", time.Time{}, ""},
		{"t k", time.Time{}, ""},
	} {
		got, err := git.Reply(test.token, test.expires)
		if string(got) != test.want || (err != nil) != (test.want == "") {
			t.Errorf("Reply(%q): got %q, %v, want %q", test.token, got, err, test.want)
		}
	}
	if got, want := string(git.Quit()), "quit=1\n"; got != want {
		t.Errorf("Quit: got %q, want %q", got, want)
	}
	if got, want := string(git.Capabilities()), "version 0\ncapability authtype\n"; got != want {
		t.Errorf("Capabilities: got %q, want %q", got, want)
	}
}

// readCredential reads attributes as git does (credential_read in credential.c):
// the last of a key counts, and a blank line ends them.
func readCredential(text string) (map[string]string, error) {
	values := map[string]string{}
	for line := range strings.SplitSeq(text, "\n") {
		if line == "" {
			break
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			return nil, fmt.Errorf("invalid credential line: %s", line)
		}
		values[key] = value
	}
	return values, nil
}

// What is accepted is what git means by it; a host that passes the host rule is
// the one that git connects to; and git reads back the token that was given, or
// there is no answer.
func FuzzParse(f *testing.F) {
	f.Add([]byte(asked), "a.b.c", int64(1_800_000_000))
	f.Add([]byte(refused), "a.b.c\n", int64(0))
	f.Add([]byte("protocol=https\nhost=git.example.org/x\n"), "", int64(1))
	f.Add([]byte("protocol=https\nhost=evil.example\n\nhost=git.example.org\n"), "a=b", int64(1))
	f.Add([]byte("protocol=https\nhost=git.example.org\r\nhost=evil.example\n"), "quit=1", int64(1))
	f.Add([]byte("capability[]=authtype\ncapability[]=\nprotocol=https\nhost=GIT.example.org:443"), "é", int64(1))
	hosts, err := helper.ParseHosts([]string{"git.example.org"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, input []byte, token string, at int64) {
		for _, operation := range []string{"get", "erase"} {
			r, err := git.Parse(operation, input)
			if err != nil {
				if r != (git.Request{}) {
					t.Fatalf("an error, and a request: %+v", r)
				}
				continue
			}
			means, err := readCredential(string(input))
			if err != nil || means["credential"] != r.Credential || r.Bearer && !slices.Contains(strings.Split(string(input), "\n"), "capability[]=authtype") {
				t.Fatalf("got %+v, git means %q, %v", r, means, err)
			}
			if _, err := hosts.Check(r.URL()); err == nil {
				host := strings.ToLower(means["host"])
				if !strings.EqualFold(means["protocol"], "https") || host != "git.example.org" && host != "git.example.org:443" {
					t.Fatalf("%q passed as %s", means, r.URL())
				}
			}
		}
		expires := time.Unix(at, 0)
		answer, err := git.Reply(token, expires)
		if err != nil {
			if answer != nil {
				t.Fatalf("an error, and an answer: %q", answer)
			}
			return
		}
		back, err := readCredential(string(answer))
		if err != nil || len(back) != 5 || back["credential"] != token || back["authtype"] != "Bearer" ||
			back["password_expiry_utc"] != strconv.FormatInt(at, 10) {
			t.Fatalf("%q was read back as %q, %v", answer, back, err)
		}
	})
}
