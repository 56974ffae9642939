package helper_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"testing"

	"sfcred/helper"
)

// hostCase is an entry of testdata/hosts.json, which the Python package's
// tests read too: both must answer alike.
type hostCase struct {
	Hosts []string `json:"hosts"`
	URL   string   `json:"url"`
	OK    bool     `json:"ok"`
	Why   string   `json:"why"`
}

func hostCases(t testing.TB) []hostCase {
	t.Helper()
	var cases []hostCase
	if err := json.Unmarshal(must(os.ReadFile("testdata/hosts.json")), &cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

func TestCheck(t *testing.T) {
	cases := hostCases(t)
	if len(cases) < 200 {
		t.Fatalf("got %d cases, want all of them", len(cases))
	}
	for _, c := range cases {
		hosts, err := helper.ParseHosts(c.Hosts)
		if err != nil {
			t.Errorf("%s: ParseHosts(%q): %v", c.Why, c.Hosts, err)
			continue
		}
		u, err := hosts.Check(c.URL)
		if got := err == nil; got != c.OK {
			t.Errorf("%q for %q (%s): got %v (%v), want %v", c.URL, c.Hosts, c.Why, got, err, c.OK)
			continue
		}
		if err != nil && (!errors.Is(err, helper.ErrForeignHost) || u != nil) {
			t.Errorf("%q: got %v, %v, want ErrForeignHost and no URL", c.URL, u, err)
		}
	}
}

// TestCheckedURL wants what is handed on in the form that was checked.
func TestCheckedURL(t *testing.T) {
	hosts := must(helper.ParseHosts([]string{"api.nersc.gov", "[::1]"}))
	for in, want := range map[string]string{
		"HTTPS://API.nersc.gov":              "https://api.nersc.gov",
		"https://api.nersc.gov:443/x?y#z":    "https://api.nersc.gov:443/x?y#z",
		"https://api.nersc.gov/%41%2f?a=%zz": "https://api.nersc.gov/%41%2f?a=%zz",
		"http://[0:0::1]:80/":                "http://[::1]:80/",
	} {
		u, err := hosts.Check(in)
		if err != nil {
			t.Errorf("%s: %v", in, err)
		} else if u.String() != want {
			t.Errorf("%s: got %s, want %s", in, u, want)
		}
	}
}

// TestForeignHostWords wants no secret of a URL in the error: user info,
// query and fragment are nobody's business, and a terminal's least of all.
func TestForeignHostWords(t *testing.T) {
	hosts := must(helper.ParseHosts([]string{"api.nersc.gov"}))
	for _, in := range []string{
		"https://user:sekret@evil.example/", "https://evil.example/?sekret", "https://evil.example/#sekret",
		"ftp://user:sekret@evil.example/", "http://evil.example/?sekret", "https://evil.example:99999/?sekret",
		"https://[::1/?sekret", "https://%zz/sekret", "https://evil.example/\x1b[31msekret",
	} {
		_, err := hosts.Check(in)
		if err == nil || strings.Contains(err.Error(), "sekret") || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%q: got %v, want an error without the secret", in, err)
		}
	}
}

func TestParseHost(t *testing.T) {
	tests := []struct{ entry, want string }{ // want "": refused
		{"api.nersc.gov", "api.nersc.gov"},
		{"API.nersc.gov", "api.nersc.gov"},
		{"api.nersc.gov:443", "api.nersc.gov"}, // that is what no port means
		{"*.example.org", "*.example.org"},
		{"*.example.org:6443", "*.example.org:6443"},
		{"127.0.0.1", "127.0.0.1"},
		{"[::0001]:80", "[::1]:80"},
		{"localhost", "localhost"},
		{"", ""},
		{"*", ""},               // everywhere
		{"*.", ""},              //
		{"*.org", ""},           // all of a top-level domain
		{"*.localhost", ""},     //
		{"*.127.0.0.1", ""},     // addresses have no subdomains
		{"*.[::1]", ""},         //
		{"*.*.example.org", ""}, // one star, in front
		{"a.*.example.org", ""}, //
		{"*example.org", ""},    // whole labels
		{"::1", ""},             // looks like a port
		{"[::1", ""},            //
		{"[127.0.0.1]", ""},     //
		{"[::ffff:1.2.3.4]", ""},
		{"[fe80::1%eth0]", ""},
		{"127.1", ""},
		{"0x7f.1", ""},
		{"api.nersc.gov.", ""},
		{"api.nersc.gov:", ""},
		{"api.nersc.gov:0", ""},
		{"api.nersc.gov:65536", ""},
		{"https://api.nersc.gov", ""}, // an entry is no URL
		{"api.nersc.gov/path", ""},
		{"user@api.nersc.gov", ""},
		{"münchen.example", ""},
		{" api.nersc.gov", ""},
		{"a\nb", ""},
		{strings.Repeat("a", 64) + ".org", ""},       // RFC 1035 section 2.3.4
		{strings.Repeat("abcdefg.", 32) + "org", ""}, // 259 bytes
		{strings.Repeat("a", 63) + ".org", strings.Repeat("a", 63) + ".org"},
	}
	for _, tt := range tests {
		h, err := helper.ParseHost(tt.entry)
		if tt.want == "" {
			if err == nil || h != (helper.Host{}) {
				t.Errorf("ParseHost(%q): got %v, %v, want an error alone", tt.entry, h, err)
			}
			continue
		}
		if err != nil || h.String() != tt.want {
			t.Errorf("ParseHost(%q): got %v, %v, want %s", tt.entry, h, err, tt.want)
		}
	}
	if _, err := helper.ParseHosts([]string{"api.nersc.gov", "*"}); err == nil {
		t.Error("ParseHosts: got nil, want one bad entry to spoil all")
	}
	if u, err := (helper.Hosts{{}}).Check("https://api.nersc.gov/"); err == nil {
		t.Errorf("zero Host: got %v, want it to match nothing", u)
	}
}

// FuzzCheck wants whatever is accepted to connect to a host of the list: as
// net/url reads it, as it is handed on, and by the address that is dialled.
func FuzzCheck(f *testing.F) {
	for _, c := range hostCases(f) {
		f.Add(c.URL, strings.Join(c.Hosts, " "))
	}
	f.Fuzz(func(t *testing.T, rawURL, entries string) {
		list := strings.Fields(entries)
		hosts, err := helper.ParseHosts(list)
		if err != nil {
			return
		}
		u, err := hosts.Check(rawURL)
		if err != nil {
			if u != nil {
				t.Fatalf("Check(%q): got %v together with %v", rawURL, u, err)
			}
			return
		}
		// What net/http would connect to, had it been given the same text.
		plain, err := url.Parse(rawURL)
		if err != nil {
			t.Fatalf("Check(%q) accepts what net/url does not: %v", rawURL, err)
		}
		if !listed(plain, list) || !listed(u, list) {
			t.Fatalf("Check(%q) accepts %s://%s for %q", rawURL, plain.Scheme, plain.Host, list)
		}
		for _, text := range []string{rawURL, u.String()} {
			if addr := dialled(t, text); !listed(&url.URL{Scheme: u.Scheme, Host: addr}, list) {
				t.Fatalf("Check(%q) for %q: %q connects to %s", rawURL, list, text, addr)
			}
		}
		again, err := hosts.Check(u.String())
		if err != nil || again.String() != u.String() {
			t.Fatalf("Check(%q): its result %s checks to %v, %v", rawURL, u, again, err)
		}
	})
}

// dialled is the address that net/http connects to for a URL, before any name is
// looked up. Nothing is sent.
func dialled(t *testing.T, rawURL string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, rawURL, nil)
	if err != nil {
		t.Fatalf("%q is accepted, and no request can be made of it: %v", rawURL, err)
	}
	var addr string
	transport := &http.Transport{DialContext: func(_ context.Context, _, a string) (net.Conn, error) {
		addr = a
		return nil, errors.New("seen")
	}}
	if _, err := transport.RoundTrip(req); err == nil || addr == "" {
		t.Fatalf("%q is accepted, and nothing is connected to: %v", rawURL, err)
	}
	return addr
}

// listed compares simply: text with text, in lower case, with the port always
// written.
func listed(u *url.URL, list []string) bool {
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	addr, _ := netip.ParseAddr(host)
	loopback := host == "localhost" || addr.IsLoopback()
	if u.User != nil || port == "" || u.Scheme != "https" && !(u.Scheme == "http" && loopback) {
		return false
	}
	for _, entry := range list {
		name, want, err := net.SplitHostPort(strings.ToLower(entry))
		if err != nil {
			name, want = strings.Trim(strings.ToLower(entry), "[]"), "443"
			if loopback {
				want = port
			}
		}
		listedAddr, _ := netip.ParseAddr(name)
		suffix, wildcard := strings.CutPrefix(name, "*")
		same := host == name || addr.IsValid() && addr == listedAddr ||
			wildcard && len(host) > len(suffix) && strings.HasSuffix(host, suffix)
		if same && port == want {
			return true
		}
	}
	return false
}

func FuzzParseHost(f *testing.F) {
	for _, s := range []string{"a.b", "*.a.b:1", "[::1]:6443", "127.0.0.1", "LOCALHOST", "[0::0]", "0x7f.1", "a.b.", "*.*.a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, entry string) {
		h, err := helper.ParseHost(entry)
		if err != nil {
			if h != (helper.Host{}) {
				t.Fatalf("ParseHost(%q): got %v together with %v", entry, h, err)
			}
			return
		}
		again, err := helper.ParseHost(h.String())
		if err != nil || again != h {
			t.Fatalf("ParseHost(%q) gives %v, which reads as %v, %v", entry, h, again, err)
		}
	})
}
