package curl_test

import (
	"bytes"
	"strings"
	"testing"

	"sfcred/integrations/curl"
)

// hide has what curl says go through HideHeader in pieces of some bytes.
func hide(t *testing.T, said string, size int) string {
	t.Helper()
	var out bytes.Buffer
	w := curl.HideHeader(&out)
	for len(said) > 0 {
		n := min(size, len(said))
		if wrote, err := w.Write([]byte(said[:n])); err != nil || wrote != n {
			t.Fatal(wrote, err)
		}
		said = said[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestHideHeader(t *testing.T) {
	for _, test := range []struct{ said, want string }{
		{"", ""},
		{"* Trying 127.0.0.1\n", "* Trying 127.0.0.1\n"},
		{"> Authorization: Bearer SECRET\r\n> A: b\r\n> \r\n", "> Authorization: [hidden]\n> A: b\r\n> \r\n"},
		{"> authorization: SECRET", "> authorization: [hidden]"},
		{"> AUTHORIZATION:SECRET\n", "> AUTHORIZATION: [hidden]\n"},
		{"> Proxy-Authorization: Basic SECRET\r\n", "> Proxy-Authorization: [hidden]\n"},
		{"* h2h3 [authorization: Bearer SECRET]\n* h2h3 [a: b]\n", "* h2h3 [authorization: [hidden]\n* h2h3 [a: b]\n"},
		{"* [HTTP/2] [1] [authorization: Bearer SECRET]\n> GET / HTTP/2\r\n", "* [HTTP/2] [1] [authorization: [hidden]\n> GET / HTTP/2\r\n"},
		// The meter stands before it, without a line end of its own.
		{"  0   0 --:--:--     0> Authorization: SECRET\n", "  0   0 --:--:--     0> Authorization: [hidden]\n"},
		// The name begins anew within itself.
		{"> authorizauthorization: SECRET\n", "> authorizauthorization: [hidden]\n"},
		// What begins like it, and is not.
		{"< Access-Control-Allow-Headers: authorization, a\n", "< Access-Control-Allow-Headers: authorization, a\n"},
		{"* auth", "* auth"},
		{"aaauthorizatio", "aaauthorizatio"},
		// The headers came in two pieces, with something else between them.
		{"> Authorization: Bearer SEC* text\n> RET.SECRET\r\n> A: b\r\n", "> Authorization: [hidden]\n> [hidden]\n> A: b\r\n"},
		{"> Authorization: Bear* text\n* more\n{ [5 bytes data]\n> er SECRET\r\n> \r\n> GET\n",
			"> Authorization: [hidden]\n* more\n{ [5 bytes data]\n> [hidden]\n> \r\n> GET\n"},
		{"> Authorization: Bearer SEC\n> RET", "> Authorization: [hidden]\n> [hidden]\n"},
		// The next request is not taken for that.
		{"> Authorization: SECRET\r\n> \r\n< HTTP/1.1 302 Found\r\n> GET /b HTTP/1.1\r\n", "> Authorization: [hidden]\n> \r\n< HTTP/1.1 302 Found\r\n> GET /b HTTP/1.1\r\n"},
		{"> Authorization: SECRET\r\n>", "> Authorization: [hidden]\n>"},
	} {
		for _, size := range []int{1, 2, 7, 1 << 20} {
			if got := hide(t, test.said, size); got != test.want {
				t.Errorf("%q by %d: got %q, want %q", test.said, size, got, test.want)
			}
		}
	}
}

// What comes out has no value behind the name, and is what went in but for that;
// in whatever pieces it comes.
func FuzzHideHeader(f *testing.F) {
	f.Add("> GET / HTTP/1.1\r\n> Authorization: Bearer x\r\n> \r\n", 3)
	f.Add("* [authorization: Bearer x\n> y\n> z: ", 1)
	f.Add("authorizauthorization:", 2)
	f.Fuzz(func(t *testing.T, said string, size int) {
		got := hide(t, said, max(1, size))
		if whole := hide(t, said, len(said)+1); got != whole {
			t.Fatalf("by %d: got %q, at once %q", size, got, whole)
		}
		if again := hide(t, got, 1<<20); again != got {
			t.Fatalf("got %q, and of that %q", got, again)
		}
		for line := range strings.Lines(got) {
			if _, value, ok := strings.Cut(strings.ToLower(line), "authorization:"); ok && strings.TrimRight(value, "\n") != " [hidden]" {
				t.Fatalf("%q is shown as %q", said, line)
			}
		}
		if !strings.Contains(strings.ToLower(said), "authorization:") && got != said {
			t.Fatalf("%q is shown as %q", said, got)
		}
	})
}
