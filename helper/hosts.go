package helper

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// ErrForeignHost says that a URL is not one the profile's token may go to:
// its host is not listed, its scheme is not https, or its form is refused.
var ErrForeignHost = errors.New("no token for this host")

// Hosts is the list of hosts that a profile's token may go to.
//
//	entry = name [":" port]        api.nersc.gov   k8s.example.org:6443
//	      | "*." name [":" port]   one or more labels, never name itself
//	      | IPv4 [":" port]        four decimals only
//	      | "[" IPv6 "]" [":" port]
//
// No port means 443; for a loopback host it means any port, and only there
// may the scheme be http.
type Hosts []Host

// Host is one entry of Hosts. Its zero value matches nothing.
type Host struct {
	name     string // lower case; of an IPv6 address the canonical form without brackets
	wildcard bool
	port     string // "" where the entry names none
}

// ParseHost reads one entry of a profile's hosts.
func ParseHost(entry string) (Host, error) {
	if strings.Contains(entry, "/") {
		return Host{}, fmt.Errorf("host %q: a host is wanted, not a URL", withoutSecrets(entry))
	}
	rest, wildcard := strings.CutPrefix(entry, "*.")
	name, port, err := parseAuthority(rest)
	switch {
	case err != nil:
		return Host{}, fmt.Errorf("host %q: %w", printable(entry), err)
	case wildcard && (isAddress(name) || name == "localhost"):
		return Host{}, fmt.Errorf("host %q: a wildcard stands before a name, not an address", entry)
	case wildcard && !strings.Contains(name, "."):
		return Host{}, fmt.Errorf("host %q: a wildcard needs two labels behind it", entry)
	}
	if port == "443" && !isLoopback(name) {
		port = "" // that is what none means
	}
	return Host{name: name, wildcard: wildcard, port: port}, nil
}

// ParseHosts reads all entries of a profile's hosts.
func ParseHosts(entries []string) (Hosts, error) {
	hosts := make(Hosts, 0, len(entries))
	for _, entry := range entries {
		h, err := ParseHost(entry)
		if err != nil {
			return nil, err
		}
		hosts = append(hosts, h)
	}
	return hosts, nil
}

// String gives the entry in the form that ParseHost reads.
func (h Host) String() string {
	s := h.name
	if strings.Contains(s, ":") {
		s = "[" + s + "]"
	}
	if h.wildcard {
		s = "*." + s
	}
	if h.port != "" {
		s += ":" + h.port
	}
	return s
}

// Check says whether the token may go to rawURL, and returns the URL as it was
// understood, so that a caller can pass on what was checked and nothing else.
// The error wraps ErrForeignHost.
func (hs Hosts) Check(rawURL string) (*url.URL, error) {
	u, err := ParseURL(rawURL)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForeignHost, err)
	}
	if u.Scheme != "https" && !isLoopback(u.Hostname()) {
		return nil, fmt.Errorf("%w: %s is not https", ErrForeignHost, u.Scheme+"://"+u.Host)
	}
	for _, h := range hs {
		if h.matches(u) {
			return u, nil
		}
	}
	return nil, fmt.Errorf("%w: %s is not among the profile's hosts", ErrForeignHost, u.Host)
}

// matches compares with a URL that ParseURL made, so names are in lower case
// and addresses canonical on both sides.
func (h Host) matches(u *url.URL) bool {
	name, port := u.Hostname(), u.Port()
	if h.wildcard {
		if prefix, ok := strings.CutSuffix(name, "."+h.name); !ok || prefix == "" {
			return false
		}
	} else if name != h.name {
		return false
	}
	if h.port == "" && isLoopback(h.name) {
		return true
	}
	return effectivePort(port, u.Scheme) == effectivePort(h.port, "https")
}

// effectivePort fills in the port that a scheme stands for.
func effectivePort(port, scheme string) string {
	switch {
	case port != "":
		return port
	case scheme == "http":
		return "80"
	default:
		return "443"
	}
}

// ParseURL reads an absolute http or https URL and refuses every form that two
// programs could read differently: user info, percent signs, backslashes and
// control or non-ASCII bytes, a trailing dot, an empty port, a zone, and IPv4
// addresses in any form but four decimals (RFC 3986 section 7.4, and
// https://url.spec.whatwg.org/#concept-ipv4-parser for what browsers and curl
// make of the others). The result's host is in lower case.
func ParseURL(rawURL string) (*url.URL, error) {
	for i := range len(rawURL) {
		if c := rawURL[i]; c <= ' ' || c >= 0x7f || c == '\\' {
			return nil, errors.New("blanks, backslashes, control and non-ASCII bytes are refused in a URL")
		}
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		// url.Error quotes the whole URL, which may hold what is nobody's business.
		return nil, errors.New("not a URL")
	}
	if u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("%q is not an https URL", withoutSecrets(rawURL))
	}
	authority, ok := rawAuthority(rawURL)
	if !ok {
		return nil, fmt.Errorf("%q names no host", withoutSecrets(rawURL))
	}
	name, port, err := parseAuthority(authority)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", withoutSecrets(rawURL), err)
	}
	host := name
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port != "" {
		host += ":" + port
	}
	if !strings.EqualFold(u.Host, authority) || u.User != nil || u.Opaque != "" {
		return nil, fmt.Errorf("%q: the host can be read in two ways", withoutSecrets(rawURL))
	}
	u.Host = host
	return u, nil
}

// rawAuthority cuts the authority out of a URL as RFC 3986 section 3.2 has it.
func rawAuthority(rawURL string) (string, bool) {
	_, rest, ok := strings.Cut(rawURL, "://")
	if !ok {
		return "", false
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	return rest, rest != ""
}

// parseAuthority reads host [":" port] strictly.
func parseAuthority(s string) (name, port string, err error) {
	switch {
	case strings.ContainsRune(s, '@'):
		return "", "", errors.New("user info is refused")
	case strings.ContainsRune(s, '%'):
		return "", "", errors.New("a percent sign in a host is refused")
	}
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "", "", errors.New("the bracket is not closed")
		}
		addr, err := netip.ParseAddr(s[1:end])
		if err != nil || !addr.Is6() || addr.Is4In6() {
			return "", "", errors.New("not an IPv6 address in brackets")
		}
		name, s = addr.String(), s[end+1:]
	} else {
		end := strings.IndexByte(s, ':')
		if end < 0 {
			end = len(s)
		}
		name, s = strings.ToLower(s[:end]), s[end:]
		if err := checkName(name); err != nil {
			return "", "", err
		}
	}
	if s == "" {
		return name, "", nil
	}
	port, err = parsePort(s)
	return name, port, err
}

// parsePort reads ":" 1*5DIGIT. A leading zero is refused: not all agree on it.
func parsePort(s string) (string, error) {
	digits, ok := strings.CutPrefix(s, ":")
	n, err := strconv.ParseUint(digits, 10, 16)
	if !ok || err != nil || n == 0 || digits != strconv.FormatUint(n, 10) {
		return "", errors.New("the port is not a number from 1 to 65535")
	}
	return digits, nil
}

// checkName accepts a DNS name (RFC 1123 section 2.1) or an IPv4 address of
// four decimals. A name whose last label is a number is an address to many
// parsers ("127.1", "0x7f.1", "2130706433"), so it must be that form.
func checkName(name string) error {
	if name == "" {
		return errors.New("the host is empty")
	}
	if len(name) > 253 {
		return errors.New("the host is longer than 253 bytes")
	}
	if strings.HasSuffix(name, ".") {
		return errors.New("a trailing dot is refused")
	}
	label := ""
	for label = range strings.SplitSeq(name, ".") {
		if err := checkLabel(label); err != nil {
			return err
		}
	}
	if isNumber(label) {
		if addr, err := netip.ParseAddr(name); err != nil || !addr.Is4() {
			return errors.New("an IPv4 address is four decimal numbers")
		}
	}
	return nil
}

func checkLabel(label string) error {
	if label == "" || len(label) > 63 {
		return errors.New("a label is empty or longer than 63 bytes")
	}
	if label[0] == '-' || label[len(label)-1] == '-' {
		return errors.New("a label begins or ends with a hyphen")
	}
	for _, c := range []byte(label) {
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-') {
			return errors.New("a host is letters, digits, hyphens and dots")
		}
	}
	return nil
}

// isNumber says whether a label is decimal or 0x-hexadecimal.
func isNumber(label string) bool {
	digits := "0123456789"
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		label, digits = hex, "0123456789abcdef"
	}
	return strings.Trim(label, digits) == ""
}

func isAddress(name string) bool {
	_, err := netip.ParseAddr(name)
	return err == nil
}

// Loopback says whether the host of a URL that was checked is this machine itself.
func Loopback(u *url.URL) bool { return isLoopback(u.Hostname()) }

// isLoopback says whether a host (without brackets) is 127.0.0.0/8, ::1 or
// localhost by name.
func isLoopback(name string) bool {
	addr, err := netip.ParseAddr(name)
	return name == "localhost" || err == nil && addr.IsLoopback()
}

// withoutSecrets is a URL as an error may show it: user info, query and
// fragment can hold what is nobody's business.
func withoutSecrets(rawURL string) string {
	if i := strings.IndexAny(rawURL, "?#"); i >= 0 {
		rawURL = rawURL[:i]
	}
	if i := strings.LastIndexByte(rawURL, '@'); i >= 0 {
		rawURL = rawURL[i+1:]
	}
	return printable(rawURL)
}

// printable cuts text of others short and replaces what could harm a terminal
// or hide in a log: control bytes, and all that is not ASCII.
func printable(s string) string {
	const most = 300 // the service's generic refusal is 209 bytes
	b := make([]byte, 0, min(len(s), most))
	for _, c := range []byte(s) {
		if len(b) == most {
			return string(b) + "..."
		}
		if c < ' ' || c >= 0x7f {
			c = '?'
		}
		b = append(b, c)
	}
	return string(b)
}
