package curl_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode"

	"sfcred/helper"
	"sfcred/integrations/curl"
)

const api = "https://api.example.org/v1"

// argv is what a line of words becomes, without what stands before and behind in
// each: "" if it is refused.
func argv(t *testing.T, line string, want string) *curl.Command {
	t.Helper()
	c, err := curl.Parse(strings.Fields(line), api)
	if err != nil {
		t.Errorf("%s: %v", line, err)
		return nil
	}
	checked, err := url.Parse(c.URL)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(c.Argv(checked, "/dev/fd/9"), " ")
	full := "curl --disable --globoff --proto =https --proto-redir =https --tlsv1.2 --header @/dev/fd/9 " + want
	if got != full {
		t.Errorf("%s: got\n%s\nwant\n%s", line, got, full)
	}
	return c
}

func TestParse(t *testing.T) {
	for _, test := range []struct{ line, want string }{
		{"/account/", "--url https://api.example.org/v1/account/"},
		{"/", "--url https://api.example.org/v1/"},
		{"https://api.example.org", "--url https://api.example.org/"},
		{"https://api.example.org?a#b", "--url https://api.example.org/?a"},
		{"HTTPS://api.example.org/a?b#c#d", "--url https://api.example.org/a?b"},
		{"https://[::1]:8443/a", "--noproxy * --url https://[::1]:8443/a"},
		{"--url /a", "--url https://api.example.org/v1/a"},
		{"-- /a", "--url https://api.example.org/v1/a"},
		{"-s -- /a", "--silent --url https://api.example.org/v1/a"},
		// Letters run together; the one with a value takes the rest, or the next word.
		{"-sSfg /a", "--silent --show-error --fail --url https://api.example.org/v1/a"},
		{"-sXPOST /a", "--silent --request POST --url https://api.example.org/v1/a"},
		{"-sX POST /a", "--silent --request POST --url https://api.example.org/v1/a"},
		{"/a -ofile -d@- -d x", "--output file --data @- --data x --url https://api.example.org/v1/a"},
		{"-vvsv --verbose /a", "--verbose --silent --url https://api.example.org/v1/a"},
		{"-q /a", "--url https://api.example.org/v1/a"},
		// A value may look like an option, or like the end of them.
		{"-d --next --data -- -o -K /a", "--data --next --data -- --output -K --url https://api.example.org/v1/a"},
		{"-H A: -H B; /a", "--header A: --header B; --url https://api.example.org/v1/a"},
		{"-4 -# -0 /a", "--ipv4 --progress-bar --http1.0 --url https://api.example.org/v1/a"},
		{"--http2 --max-time 5 /a", "--http2 --max-time 5 --url https://api.example.org/v1/a"},
		{"--tlsv1.3 /a", "--tlsv1.3 --url https://api.example.org/v1/a"},
		{"-g /a{b}[1]?{c}", "--url https://api.example.org/v1/a%7Bb%7D[1]?{c}"},
		{"-g /a%2Fb%20{c}|", "--url https://api.example.org/v1/a%2Fb%20%7Bc%7D%7C"},
	} {
		want := test.want
		if rest, ok := strings.CutPrefix(want, "--noproxy * "); ok { // stands elsewhere
			c, err := curl.Parse(strings.Fields(test.line), api)
			if err != nil || !slices.Contains(c.Argv(mustURL(t, c.URL), "-"), "--noproxy") || !strings.HasSuffix(rest, c.URL) {
				t.Errorf("%s: got %+v, %v", test.line, c, err)
			}
			continue
		}
		argv(t, test.line, want)
	}
}

func mustURL(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestParseTellsWhatToLookAfter(t *testing.T) {
	for _, test := range []struct {
		line                     string
		verbose, location, stdin bool
	}{
		{"/a", false, false, false},
		{"-sv /a", true, false, false},
		{"-sL /a", false, true, false},
		{"--location --verbose /a", true, true, false},
		{"-T- /a", false, false, true},
		{"-T . /a", false, false, true},
		{"-T file-name.txt /a", false, false, false},
		{"-d@- /a", false, false, true},
		{"--json @- /a", false, false, true},
		{"--data-urlencode a@- /a", false, false, true},
		{"-F a=@-;type=x /a", false, false, true},
		{"-F a=<- /a", false, false, true},
		{"-F a=@b,- /a", false, false, true},
		{"-w @- /a", false, false, true},
		{"-b - /a", false, false, true},
		{"--data-raw @- /a", false, false, false},
		{"-o - /a", false, false, false},
	} {
		c, err := curl.Parse(strings.Fields(test.line), api)
		if err != nil || c.Verbose != test.verbose || c.Location != test.location || c.Stdin != test.stdin {
			t.Errorf("%s: got %+v, %v", test.line, c, err)
		}
	}
}

func TestArgvForLoopback(t *testing.T) {
	c, err := curl.Parse([]string{"http://localhost:8080/a"}, "")
	if err != nil {
		t.Fatal(err)
	}
	c.CAFile = "ca.pem"
	got := strings.Join(c.Argv(mustURL(t, c.URL), "-"), " ")
	want := "curl --disable --globoff --proto =http --proto-redir =http,https --tlsv1.2 --noproxy * --cacert ca.pem --header @- --url http://localhost:8080/a"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// What a line says of authorities goes before the profile's.
func TestArgvCA(t *testing.T) {
	for line, want := range map[string]bool{"/a": true, "--cacert x /a": false, "--capath x /a": false} {
		c, err := curl.Parse(strings.Fields(line), api)
		if err != nil {
			t.Fatal(err)
		}
		c.CAFile = "ca.pem"
		if got := slices.Contains(c.Argv(mustURL(t, c.URL), "-"), "ca.pem"); got != want {
			t.Errorf("%s: the profile's CA file is there: got %v, want %v", line, got, want)
		}
	}
}

// Each line is refused because of the option, and with no more of it than that.
func TestParseRefuses(t *testing.T) {
	for line, option := range map[string]string{
		"":                                   "URL",
		"-s":                                 "URL",
		"--":                                 "URL",
		"a":                                  "URL",
		"api.example.org/a":                  "URL",
		"//api.example.org/a":                "URL",
		"https:/api.example.org/a":           "URL",
		"https:api.example.org/a":            "URL",
		"ftp://api.example.org/a":            "URL",
		"file:///secret":                     "URL",
		"ipfs://secret":                      "URL",
		"/a /b":                              "URL",
		"/a --url /b":                        "URL",
		"-- /a -s":                           "URL",
		"-s -- /a --url /b":                  "URL",
		"/a{1,2}":                            "URL",
		"/a[1-2]":                            "URL",
		"https://api.example.org?[1-2]":      "URL",
		"--url":                              "--url",
		"-d":                                 "-d",
		"/a -sX":                             "-X",
		"/a --data":                          "--data",
		"-K secret /a":                       "-K",
		"-Ksecret /a":                        "-K",
		"-sSKsecret /a":                      "-K",
		"--config secret /a":                 "--config",
		"/a --next /b":                       "--next",
		"/a -: /b":                           "-:",
		"-Z /a":                              "-Z",
		"--parallel /a":                      "--parallel",
		"--variable a=secret /a":             "--variable",
		"--expand-url {{secret}}":            "--expand-url",
		"--connect-to ::secret: /a":          "--connect-to",
		"--resolve a:443:secret /a":          "--resolve",
		"-x secret /a":                       "-x",
		"-xsecret /a":                        "-x",
		"-sxsecret /a":                       "-x",
		"--proxy secret /a":                  "--proxy",
		"--preproxy secret /a":               "--preproxy",
		"--proxy1.0 secret /a":               "--proxy1.0",
		"--socks4 secret /a":                 "--socks4",
		"--socks4a secret /a":                "--socks4a",
		"--socks5 secret /a":                 "--socks5",
		"--socks5-hostname secret /a":        "--socks5-hostname",
		"--noproxy secret /a":                "--noproxy",
		"--proxy-header secret /a":           "--proxy-header",
		"--proxy-insecure /a":                "--proxy-insecure",
		"-p /a":                              "-p",
		"-U secret /a":                       "-U",
		"--unix-socket secret /a":            "--unix-socket",
		"--abstract-unix-socket secret /a":   "--abstract-unix-socket",
		"--interface secret /a":              "--interface",
		"--dns-servers secret /a":            "--dns-servers",
		"--doh-url https://secret /a":        "--doh-url",
		"--request-target secret /a":         "--request-target",
		"--alt-svc secret /a":                "--alt-svc",
		"--hsts secret /a":                   "--hsts",
		"--haproxy-protocol /a":              "--haproxy-protocol",
		"--url-query secret /a":              "--url-query",
		"--location-trusted /a":              "--location-trusted",
		"--follow /a":                        "--follow",
		"--trace secret /a":                  "--trace",
		"--trace-ascii secret /a":            "--trace-ascii",
		"--trace-config secret /a":           "--trace-config",
		"--trace-time /a":                    "--trace-time",
		"--trace-ids /a":                     "--trace-ids",
		"--libcurl secret /a":                "--libcurl",
		"--stderr secret /a":                 "--stderr",
		"-u secret /a":                       "-u",
		"-usecret /a":                        "-u",
		"-n /a":                              "-n",
		"--netrc-file secret /a":             "--netrc-file",
		"--netrc-optional /a":                "--netrc-optional",
		"--oauth2-bearer secret /a":          "--oauth2-bearer",
		"--anyauth /a":                       "--anyauth",
		"--basic /a":                         "--basic",
		"--negotiate /a":                     "--negotiate",
		"--aws-sigv4 secret /a":              "--aws-sigv4",
		"-k /a":                              "-k",
		"-sk /a":                             "-k",
		"--insecure /a":                      "--insecure",
		"--ciphers secret /a":                "--ciphers",
		"--tls-max 1.0 /a":                   "--tls-max",
		"-1 /a":                              "-1",
		"-2 /a":                              "-2",
		"-3 /a":                              "-3",
		"--tlsv1.0 /a":                       "--tlsv1.0",
		"--tlsv1.1 /a":                       "--tlsv1.1",
		"--tlsv1 /a":                         "--tlsv1",
		"--proto =all /a":                    "--proto",
		"--proto-default http /a":            "--proto-default",
		"--proto-redir +http /a":             "--proto-redir",
		"-E secret /a":                       "-E",
		"--engine secret /a":                 "--engine",
		"--help secret":                      "--help",
		"-h":                                 "-h",
		"-M":                                 "-M",
		"-V":                                 "-V",
		"-sV /a":                             "-V",
		"--version /a":                       "--version",
		"-H @secret /a":                      "-H",
		"-H@- /a":                            "-H",
		"-H secret /a":                       "-H",
		"-H :secret /a":                      "-H",
		"-H ;secret /a":                      "-H",
		"-H a;secret /a":                     "-H",
		"-H Host:secret /a":                  "-H",
		"-H host: /a":                        "-H",
		"-H HOST; /a":                        "-H",
		"-H :authority:secret /a":            "-H",
		"-H Authorization:secret /a":         "-H",
		"-sHauthorization; /a":               "-H",
		"--header AUTHORIZATION: /a":         "--header",
		"-X a:b /a":                          "-X",
		"--request /secret /a":               "--request",
		"--silen /a":                         "--silen",
		"--SILENT /a":                        "--SILENT",
		"--no-silent /a":                     "--no-silent",
		"--no-globoff /a":                    "--no-globoff",
		"--no-disable /a":                    "--no-disable",
		"--data=secret /a":                   "--data",
		"--url=https://secret/":              "--url",
		"--nosuch secret /a":                 "--nosuch",
		"--nosuch:secret /a":                 "--nosuch",
		"--silent\tsecret":                   "URL",
		"-$secret /a":                        "-$",
		"-s@secret /a":                       "-@",
		"-\xe2\x80\x93data secret /a":        "-?",
		"\xe2\x80\x93data secret /a":         "URL",
		"- /a":                               "-",
		"-s- /a":                             "--",
		"--- /a":                             "---",
		"--=secret /a":                       "--",
		"-silent /a":                         "-l",
		"--disable --config secret /a":       "--config",
		"--fail --no-fail --location-trus x": "--no-fail",
	} {
		c, err := curl.Parse(strings.Fields(line), api)
		var refused *curl.OptionError
		if c != nil || !errors.As(err, &refused) || refused.Option != option {
			t.Errorf("%q: got %+v, %v, want %s refused", line, c, err, option)
			continue
		}
		if strings.Contains(err.Error(), "secret") || refused.Why == "" {
			t.Errorf("%q: the error says %q", line, err)
		}
	}
	for _, args := range [][]string{
		{"-H", "A: b\r\nAuthorization: x", "/a"},
		{"-H", "A: b\nc", "/a"},
		{"-H", "A : b", "/a"},
		{"-H", "", "/a"},
		{"-X", "", "/a"},
		{"-X", "GET /b HTTP/1.1\r\nHost: x", "/a"},
		{"-A", "a\nb", "/a"},
		{"-e", "a\rb", "/a"},
		{"-b", "a=\nb", "/a"},
		{"-r", "0-1\r\nA: b", "/a"},
		{"", "/a"},
		{"-", "/a"},
	} {
		if c, err := curl.Parse(args, api); err == nil {
			t.Errorf("%q: got %+v, want it refused", args, c)
		}
	}
	if c, err := curl.Parse([]string{"/a"}, ""); err == nil {
		t.Errorf("a path without an API: got %+v", c)
	}
}

// The table of hosts has the right answer for each URL, also for curl.
func TestHosts(t *testing.T) {
	text, err := os.ReadFile("../../helper/testdata/hosts.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Hosts []string
		URL   string
		OK    bool
		Why   string
	}
	if err := json.Unmarshal(text, &cases); err != nil || len(cases) < 60 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	for _, c := range cases {
		hosts, err := helper.ParseHosts(c.Hosts)
		if err != nil {
			t.Fatal(err)
		}
		var checked *url.URL
		command, err := curl.Parse([]string{"-g", "--url", c.URL}, "")
		if err == nil {
			checked, err = hosts.Check(command.URL)
		}
		if (err == nil) != c.OK {
			t.Errorf("%q for %q (%s): got %v, want ok %v", c.URL, c.Hosts, c.Why, err, c.OK)
			continue
		}
		if !c.OK {
			continue
		}
		argv := command.Argv(checked, "-")
		if _, err := hosts.Check(argv[len(argv)-1]); err != nil || argv[len(argv)-2] != "--url" {
			t.Errorf("%q became %q: %v", c.URL, argv, err)
		}
	}
}

// readBack reads an argv as curl does, as far as it is of the form that Argv
// makes: long options, each with its value.
func readBack(argv []string, valued func(name string) bool) (options [][2]string, ok bool) {
	for words := argv[1:]; len(words) > 0; {
		name, is := strings.CutPrefix(words[0], "--")
		if !is || name == "" {
			return nil, false
		}
		if !valued(name) {
			options, words = append(options, [2]string{name}), words[1:]
			continue
		}
		if len(words) < 2 {
			return nil, false
		}
		options, words = append(options, [2]string{name, words[1]}), words[2:]
	}
	return options, true
}

// Whatever is accepted, curl gets one URL, the one that was checked, as the
// last, no option that is not harmless, the header before whatever reads a file,
// and all that was said, and nothing else that was not ours to say.
func FuzzParse(f *testing.F) {
	for _, line := range []string{
		"-sSfL -XPOST -d@- -H\nA: b\n/account/?a=b#c",
		"--url\nhttps://api.example.org/\n-v\n--\n",
		"-g\n--\nhttps://api.example.org/{a}[1]",
		"-d\n--next\n-o\n--url\nhttps://api.example.org\n-K",
		"https://api.example.org@evil.example/\n--proxy\nx",
		"http://2130706433/\n-H\n@x", "-vvv\n/a", "-qgsq\n//evil.example/", "-H\nHost:x\n/a",
	} {
		f.Add(line)
	}
	hosts, err := helper.ParseHosts([]string{"api.example.org", "127.0.0.1", "[::1]"})
	if err != nil {
		f.Fatal(err)
	}
	ours := []string{"disable", "globoff", "proto", "proto-redir", "tlsv1.2", "noproxy", "cacert", "header", "url"}
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, "\n")
		c, err := curl.Parse(args, api)
		if err != nil {
			if c != nil || !errors.As(err, new(*curl.OptionError)) {
				t.Fatalf("%q: an error, and a command: %+v, %v", args, c, err)
			}
			return
		}
		checked, err := hosts.Check(c.URL)
		if err != nil {
			return
		}
		argv := c.Argv(checked, "/dev/fd/9")
		options, ok := readBack(argv, takesValue)
		if !ok || argv[0] != "curl" || argv[1] != "--disable" {
			t.Fatalf("%q became %q", args, argv)
		}
		last := options[len(options)-1]
		u, err := url.Parse(last[1])
		if last[0] != "url" || err != nil || u.Host != checked.Host || !slices.Contains([]string{"api.example.org", "127.0.0.1", "::1"}, u.Hostname()) || u.User != nil {
			t.Fatalf("%q: the last option is %q", args, last)
		}
		seen := map[string]int{}
		for i, o := range options {
			name, value := o[0], o[1]
			seen[name]++
			if slices.Contains(forbidden, name) && name != "proto" && name != "proto-redir" && name != "noproxy" {
				t.Fatalf("%q has --%s in %q", args, name, argv)
			}
			if name == "header" && strings.HasPrefix(value, "@") && (value != "@/dev/fd/9" || i > len(ours)) {
				t.Fatalf("%q has a header from %q", args, value)
			}
			if name == "header" {
				if lower := strings.ToLower(value); strings.HasPrefix(lower, "authorization") && !isName(lower, len("authorization")) ||
					strings.HasPrefix(lower, "host") && !isName(lower, len("host")) {
					t.Fatalf("%q has the header %q", args, value)
				}
			}
			// A value that was said is there as it was, whole or behind its letter.
			if value != "" && !slices.Contains(ours, name) && !slices.ContainsFunc(args, func(arg string) bool { return strings.HasSuffix(arg, value) }) {
				t.Fatalf("%q: nobody said %q", args, value)
			}
		}
		for _, name := range []string{"url", "disable", "globoff", "proto", "proto-redir", "noproxy", "verbose"} {
			if seen[name] > 1 {
				t.Fatalf("%q has --%s more than once in %q", args, name, argv)
			}
		}
		if seen["url"] != 1 || seen["proto"] != 1 || seen["proto-redir"] != 1 || (seen["verbose"] == 1) != c.Verbose || (seen["location"] > 0) != c.Location {
			t.Fatalf("%q became %q", args, argv)
		}
		if !allThere(args, options) {
			t.Fatalf("%q: something is lost in %q", args, argv)
		}
	})
}

// isName says whether a header's name goes on at i.
func isName(header string, i int) bool {
	return i < len(header) && !strings.ContainsRune(":; \t", rune(header[i]))
}

// forbidden are the options that must never get to curl from a line.
var forbidden = strings.Fields(`config next variable connect-to resolve proxy preproxy proxy1.0 socks4 socks4a socks5 socks5-hostname noproxy
	proxytunnel proxy-user proxy-header proxy-insecure trace trace-ascii trace-config trace-ids trace-time libcurl location-trusted stderr
	request-target netrc netrc-file netrc-optional user oauth2-bearer unix-socket abstract-unix-socket dns-servers doh-url insecure cert key
	url-query proto proto-default proto-redir ciphers tlsv1 tlsv1.0 tlsv1.1 alt-svc hsts interface parallel`)

// takesValue says which of the options that Argv may use have a value, apart
// from the table that is tested: by "curl --help all".
func takesValue(name string) bool {
	return !slices.Contains(strings.Fields(`compressed create-dirs crlf disable fail fail-early fail-with-body form-escape get globoff head
		http1.0 http1.1 http2 http2-prior-knowledge ignore-content-length include ipv4 ipv6 junk-session-cookies location no-buffer no-clobber
		no-keepalive no-progress-meter path-as-is post301 post302 post303 progress-bar raw remote-header-name remote-name remote-time
		remove-on-error retry-all-errors retry-connrefused show-error silent tcp-fastopen tcp-nodelay tlsv1.2 tlsv1.3 tr-encoding use-ascii
		verbose`), name)
}

// allThere says whether each word of a line is accounted for by what curl gets:
// it is an option or letters of options, a value, the URL, or "--".
func allThere(args []string, options [][2]string) bool {
	said := func(word string) bool {
		return slices.ContainsFunc(options, func(o [2]string) bool { return "--"+o[0] == word || o[1] == word })
	}
	urls := 0
	for _, word := range args {
		switch {
		case said(word), word == "--":
		case strings.HasPrefix(word, "-") && !strings.HasPrefix(word, "--"): // letters, and perhaps a value behind them
		default:
			urls++
		}
	}
	return urls <= 1
}

func TestHeader(t *testing.T) {
	if got, err := curl.Header("a.b.c"); err != nil || string(got) != "Authorization: Bearer a.b.c\n" {
		t.Errorf("got %q, %v", got, err)
	}
	for _, token := range []string{"", "a b", "a\nHost: evil.example", "\x00"} {
		if got, err := curl.Header(token); err == nil || got != nil {
			t.Errorf("Header(%q): got %q, %v, want an error alone", token, got, err)
		}
	}
}

func TestCheckVersion(t *testing.T) {
	for _, test := range []struct {
		printed string
		ok      bool
	}{
		{"curl 7.88.1 (x86_64-pc-linux-gnu) libcurl/7.88.1 OpenSSL/3.0.22 zlib/1.2.13\nRelease-Date: 2023-02-20\n", true},
		{"curl 8.14.1 (x86_64-pc-linux-gnu) libcurl/8.14.1 OpenSSL/3.5.9\n", true},
		{"curl 7.83.0 (x) libcurl/7.83.0\n", true},
		{"curl 8.7.1 (x86_64-apple-darwin24.0) libcurl/8.7.1 (SecureTransport) LibreSSL/3.3.6\n", true},
		{"curl 8.22.0-rc1 (x) libcurl/8.22.0-rc1 OpenSSL/3\n", true},
		{"curl 10.0.0 (x) libcurl/10.0.0 OpenSSL/3\n", true},
		{"curl 7.82.9 (x) libcurl/7.82.9\n", false},
		{"curl 7.9.8 (x) libcurl 7.9.8\n", false},
		{"curl 7.54.1 (x) libcurl/8.0.0\n", false},
		{"curl 8.0.0 (x) libcurl/7.82.0\n", false},
		{"curl 7.300.0 (x) libcurl/7.300.0\n", false},
		{"curl: try 'curl --help'\n", false},
		{"curl 8.0.0 (x)\nlibcurl/8.0.0\n", false},
		{"", false},
	} {
		if err := curl.CheckVersion([]byte(test.printed)); (err == nil) != test.ok {
			t.Errorf("%q: got %v, want ok %v", test.printed, err, test.ok)
		}
	}
}

// A curl that is trusted says so in its first line: of the tool 7.55.0 and of the
// library 7.83.0, or later.
func FuzzVersion(f *testing.F) {
	for _, text := range []string{
		"curl 8.5.0 (x86_64-pc-linux-gnu) libcurl/8.5.0 OpenSSL/3.0.13\nRelease-Date: x", "curl 7.55.0 (x) libcurl/7.83.0", "curl 7.54.9 (x) libcurl/8.0.0",
		"curl 8.0.0 (x)\nlibcurl/8.0.0", "curl 7.256.0 (x) libcurl/9.9.9", "curl 999999999999999999999.1.1 (x) libcurl/9.9.9", "xcurl 8.0.0 (x) libcurl/8.0.0", "curl 8.0 (x) libcurl/8.0", "",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, printed []byte) {
		err := curl.CheckVersion(printed)
		if err != nil {
			if text := err.Error(); len(text) > 300 || strings.ContainsFunc(text, unicode.IsControl) {
				t.Fatalf("%q: %q", printed, text)
			}
			return
		}
		first, _, _ := strings.Cut(string(printed), "\n")
		words := strings.Split(first, " ")
		at := slices.IndexFunc(words, func(word string) bool { return strings.HasPrefix(word, "libcurl/") })
		if len(words) < 3 || words[0] != "curl" || at < 0 {
			t.Fatalf("took %q", printed)
		}
		// Sscanf reads numbers up to what is none.
		newer := func(text string, than [3]int) bool {
			var v [3]int
			n, _ := fmt.Sscanf(text, "%d.%d.%d", &v[0], &v[1], &v[2])
			return n == 3 && slices.Compare(v[:], than[:]) >= 0
		}
		if !newer(words[1], [3]int{7, 55, 0}) || !slices.ContainsFunc(words, func(word string) bool {
			library, ok := strings.CutPrefix(word, "libcurl/")
			return ok && newer(library, [3]int{7, 83, 0})
		}) {
			t.Fatalf("took %q", printed)
		}
	})
}
