package curl

import (
	"slices"
	"strings"
)

// option is one of curl's (docs/cmdline-opts in its source).
type option struct {
	name   string // the long one, without hyphens
	letter byte   // the short one; 0 if there is none
	kind   kind
	reads  bool                      // the value may name a file to be read
	check  func(value string) string // says why a value is refused, or ""
	why    string                    // the option is refused
}

type kind int

const (
	onOff kind = iota
	valued
	refused
)

// find gives the option that matches.
func find(match func(option) bool) (option, bool) {
	table := options()
	i := slices.IndexFunc(table, match)
	if i < 0 {
		return option{}, false
	}
	return table[i], true
}

// Why options are refused.
const (
	unknown     = "not known to sfcred, or not by this spelling"
	elsewhere   = "the request would not go where the URL says"
	credentials = "sfcred brings the credentials"
	writesToken = "the token would be written down"
	weaker      = "the server would be less sure to be the one that the URL names"
	protocols   = "sfcred says which protocols"
	unseen      = "sfcred does not see what it brings"
	oneRequest  = "one request is all that there is"
)

// options are those that are passed on, and the best known of those that are
// not. Whatever is not here is refused.
func options() []option {
	return slices.Concat(switches(), values(), refusals())
}

// switches are the options that are on or off. None of them changes where a
// request goes, or shows one but for verbose.
func switches() []option {
	return []option{
		{name: "compressed"},
		{name: "create-dirs"},
		{name: "crlf"},
		{name: "disable", letter: 'q'},
		{name: "fail", letter: 'f'},
		{name: "fail-early"},
		{name: "fail-with-body"},
		{name: "form-escape"},
		{name: "get", letter: 'G'},
		{name: "globoff", letter: 'g'},
		{name: "head", letter: 'I'},
		{name: "http1.0", letter: '0'},
		{name: "http1.1"},
		{name: "http2"},
		{name: "http2-prior-knowledge"},
		{name: "ignore-content-length"},
		{name: "include", letter: 'i'},
		{name: "ipv4", letter: '4'},
		{name: "ipv6", letter: '6'},
		{name: "junk-session-cookies", letter: 'j'},
		{name: "location", letter: 'L'},
		{name: "no-buffer", letter: 'N'},
		{name: "no-clobber"},
		{name: "no-keepalive"},
		{name: "no-progress-meter"},
		{name: "path-as-is"},
		{name: "post301"},
		{name: "post302"},
		{name: "post303"},
		{name: "progress-bar", letter: '#'},
		{name: "raw"},
		{name: "remote-header-name", letter: 'J'},
		{name: "remote-name", letter: 'O'},
		{name: "remote-time", letter: 'R'},
		{name: "remove-on-error"},
		{name: "retry-all-errors"},
		{name: "retry-connrefused"},
		{name: "show-error", letter: 'S'},
		{name: "silent", letter: 's'},
		{name: "tcp-fastopen"},
		{name: "tcp-nodelay"},
		{name: "tlsv1.2"},
		{name: "tlsv1.3"},
		{name: "tr-encoding"},
		{name: "use-ascii", letter: 'B'},
		{name: "verbose", letter: 'v'},
	}
}

// values are the options with a value.
func values() []option {
	table := []option{
		{name: "cacert"},
		{name: "capath"},
		{name: "connect-timeout"},
		{name: "continue-at", letter: 'C'},
		{name: "cookie", letter: 'b', reads: true, check: checkLine},
		{name: "cookie-jar", letter: 'c'},
		{name: "create-file-mode"},
		{name: "data", letter: 'd', reads: true},
		{name: "data-ascii", reads: true},
		{name: "data-binary", reads: true},
		{name: "data-raw"},
		{name: "data-urlencode", reads: true},
		{name: "dump-header", letter: 'D'},
		{name: "etag-compare", reads: true},
		{name: "etag-save"},
		{name: "expect100-timeout"},
		{name: "form", letter: 'F', reads: true},
		{name: "form-string"},
		{name: "header", letter: 'H', check: checkHeader},
		{name: "json", reads: true},
		{name: "keepalive-time"},
		{name: "limit-rate"},
		{name: "max-filesize"},
		{name: "max-redirs"},
		{name: "max-time", letter: 'm'},
		{name: "output", letter: 'o'},
		{name: "output-dir"},
		{name: "pinnedpubkey"},
		{name: "range", letter: 'r', check: checkLine},
		{name: "referer", letter: 'e', check: checkLine},
		{name: "request", letter: 'X', check: checkMethod},
		{name: "retry"},
		{name: "retry-delay"},
		{name: "retry-max-time"},
		{name: "speed-limit", letter: 'Y'},
		{name: "speed-time", letter: 'y'},
		{name: "time-cond", letter: 'z'},
		{name: "upload-file", letter: 'T', reads: true},
		{name: "user-agent", letter: 'A', check: checkLine},
		{name: "write-out", letter: 'w', reads: true},
	}
	for i := range table {
		table[i].kind = valued
	}
	return table
}

// refusals are the options whose refusal has a reason that can be told.
func refusals() []option {
	var table []option
	for _, group := range []struct{ why, names string }{
		{unseen, "config,K variable"},
		{oneRequest, "next,: parallel,Z parallel-immediate parallel-max rate remote-name-all"},
		{elsewhere, "connect-to resolve request-target unix-socket abstract-unix-socket interface dns-interface dns-ipv4-addr " +
			"dns-ipv6-addr dns-servers doh-url doh-insecure alt-svc hsts haproxy-protocol haproxy-clientip ipfs-gateway"},
		{"proxies come from the environment alone", "proxy,x preproxy proxy1.0 socks4 socks4a socks5 socks5-hostname noproxy proxytunnel,p " +
			"proxy-user,U proxy-header proxy-insecure proxy-cacert proxy-capath proxy-cert proxy-key proxy-anyauth proxy-basic " +
			"proxy-digest proxy-negotiate proxy-ntlm"},
		{"the token would go wherever a redirect points", "location-trusted follow"},
		{writesToken, "trace trace-ascii trace-config trace-ids trace-time libcurl"},
		{"-v is read there, to hide the token", "stderr"},
		{credentials, "user,u netrc,n netrc-file netrc-optional oauth2-bearer anyauth basic digest ntlm negotiate aws-sigv4 delegation"},
		{weaker, "insecure,k ciphers tls13-ciphers curves tls-max tlsv1,1 tlsv1.0 tlsv1.1 sslv2,2 sslv3,3 ssl-allow-beast " +
			"ssl-no-revoke ssl-revoke-best-effort doh-cert-status"},
		{protocols, "proto proto-default proto-redir"},
		{"there is no request in it", "help,h manual,M version,V"},
	} {
		for _, word := range strings.Fields(group.names) {
			name, letter, _ := strings.Cut(word, ",")
			o := option{name: name, kind: refused, why: group.why}
			if letter != "" {
				o.letter = letter[0]
			}
			table = append(table, o)
		}
	}
	return table
}

// readsStdin says whether an option that reads a file would read standard
// input: -T, -b and --etag-compare have its name bare, the others behind "@" or
// "<", -F perhaps among others. It says so of some values that would not.
func readsStdin(value string) bool {
	return value == "-" || value == "." || strings.Contains(value, "@-") || strings.Contains(value, "<-") || strings.Contains(value, ",-")
}

// checkMethod lets pass what HTTP calls a method (RFC 9110 section 9.1). curl
// writes into the request whatever it is given.
func checkMethod(value string) string {
	if !isToken(value) {
		return "not a method"
	}
	return ""
}

// checkHeader lets pass "Name: value", and "Name:" and "Name;", by which curl
// leaves a header out or sends an empty one. A file is not looked into, so it
// could have any header in it.
func checkHeader(value string) string {
	if strings.HasPrefix(value, "@") {
		return unseen
	}
	if why := checkLine(value); why != "" {
		return why
	}
	name, _, ok := strings.Cut(value, ":")
	if !ok {
		name, ok = strings.CutSuffix(value, ";")
	}
	switch {
	case !ok || !isToken(name):
		return `neither "Name: value" nor "Name;"`
	case strings.EqualFold(name, "Authorization"):
		return credentials
	case strings.EqualFold(name, "Host"):
		return elsewhere
	}
	return ""
}

// checkLine keeps a value from being more than a line of the request.
func checkLine(value string) string {
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return "control characters are refused"
	}
	return ""
}

// isToken says whether a word is a token of RFC 9110 section 5.6.2.
func isToken(word string) bool {
	return word != "" && !strings.ContainsFunc(word, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

// shown is a long option that is not known, without what could be a value.
func shown(name string) string {
	for i := range len(name) {
		if c := name[i]; !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.') {
			return "--" + name[:i]
		}
	}
	return "--" + name
}

// shownLetter is a short option that is not known.
func shownLetter(c byte) string {
	if c <= ' ' || c >= 0x7f {
		return "-?"
	}
	return "-" + string(rune(c))
}
