package bazel_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"sfcred/integrations/bazel"
)

func TestCommand(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"get"}, ""},
		{nil, "a command is missing; there is get"},
		{[]string{""}, `unknown command ""; there is only get`},
		{[]string{"setup-uri"}, `unknown command "setup-uri"; there is only get`},
		{[]string{"GET"}, `unknown command "GET"; there is only get`},
		{[]string{"get", "https://api.nersc.gov"}, "get has no parameters"},
		{[]string{"\x1b[2J" + strings.Repeat("x", 100)}, `unknown command "\x1b[2J` + strings.Repeat("x", 36) + `"; there is only get`},
	} {
		got := ""
		if err := bazel.Command(test.args); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("Command(%q): got %s, want %s", test.args, got, test.want)
		}
	}
}

func TestParse(t *testing.T) {
	const bad = "standard input is not the JSON of a credential helper's request"
	for _, test := range []struct{ input, want, err string }{
		{`{"uri":"https://api.example.org/rest/endpoint"}`, "https://api.example.org/rest/endpoint", ""},
		{"\n {\"uri\" : \"https://a\"}\n", "https://a", ""},
		// Gson writes "=" so.
		{`{"uri":"https://a/?b\u003dc"}`, "https://a/?b=c", ""},
		// "SHOULD NOT fail if the input contains additional properties"
		{`{"more":[{"uri":"https://b"}],"uri":"https://a","URI":"https://c"}`, "https://a", ""},
		// The host rule refuses these; here they are only text.
		{`{"uri":"grpcs://example.com/com.example.package.Service/Method"}`, "grpcs://example.com/com.example.package.Service/Method", ""},
		{`{"uri":"https://a\u0000\n"}`, "https://a\x00\n", ""},
		{`{}`, "", "the credential helper's request names no uri"},
		{`{"uri":""}`, "", "the credential helper's request names no uri"},
		{`{"uri":null}`, "", "the credential helper's request names no uri"},
		{`{"URI":"https://a"}`, "", "the credential helper's request names no uri"},
		{`null`, "", bad},
		// The first, or the last: which would be meant? Deeper ones are not read.
		{`{"uri":"https://a","uri":"https://b"}`, "", bad},
		{`{"uri":"https://a","\u0075ri":"https://a"}`, "", bad},
		{`{"uri":"https://a","more":1,"more":2}`, "", bad},
		{`{"more":[{"uri":"https://b","uri":"https://c"}],"uri":"https://a"}`, "https://a", ""},
		{``, "", bad},
		{`[]`, "", bad},
		{`"https://a"`, "", bad},
		{`{"uri":7}`, "", bad},
		{`{"uri":["https://a"]}`, "", bad},
		// Two values: which would be meant?
		{`{"uri":"https://a"}{"uri":"https://b"}`, "", bad},
		{`{"uri":"https://a"`, "", bad},
		{`{"uri":"` + strings.Repeat("x", 1<<20) + `"}`, "", "the credential helper's request is larger than 1 MiB"},
	} {
		got, err := bazel.Parse([]byte(test.input))
		text := ""
		if err != nil {
			text = err.Error()
		}
		if got != test.want || text != test.err {
			t.Errorf("Parse(%.99s): got %q, %v, want %q, %s", test.input, got, err, test.want, test.err)
		}
	}
}

func TestReply(t *testing.T) {
	at := time.Date(2026, 11, 23, 10, 0, 0, 999_999_999, time.FixedZone("", 3600))
	for _, test := range []struct {
		token   string
		expires time.Time
		want    string // "" is an error
	}{
		// UTC, whole seconds, rounded down: Bazel fails on a fraction.
		{"a.b-c_d~e+f/g=", at, `{"headers":{"Authorization":["Bearer a.b-c_d~e+f/g="]},"expires":"2026-11-23T09:00:00Z"}` + "\n"},
		{"tok", time.Time{}, `{"headers":{"Authorization":["Bearer tok"]}}` + "\n"},
		// {"headers":{}} would have Bazel go on without a token.
		{"", at, ""},
		{"tok\r\nX-Evil: 1", at, ""},
		{"t k", at, ""},
		// No pattern of Bazel's has five digits.
		{"tok", time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), ""},
	} {
		got, err := bazel.Reply(test.token, test.expires)
		if string(got) != test.want || (err != nil) != (test.want == "") {
			t.Errorf("Reply(%q): got %s, %v, want %s", test.token, got, err, test.want)
		}
	}
}

// Accepted is what names a uri, and nothing beside an error; Bazel reads back
// the token that was given and a time that it knows how to read, or there is no
// answer.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"uri":"https://api.example.org/rest/endpoint"}`), "a.b.c", int64(1_800_000_000))
	f.Add([]byte(`{"uri":"https://a","uri":"https://b"}`), "a\nb", int64(0))
	f.Add([]byte(`{"uri":{}}`), "<&>\"\\", int64(-1))
	f.Add([]byte(`{"URI":"https://a"}`), "\xff", int64(253402300800))
	// GetCredentialsResponse.java: yyyy-MM-dd'T'HH:mm:ssXXX
	expires := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)$`)
	f.Fuzz(func(t *testing.T, input []byte, token string, at int64) {
		uri, err := bazel.Parse(input)
		if (err == nil) != (uri != "") || err == nil && !json.Valid(input) {
			t.Fatalf("%q: got %q, %v", input, uri, err)
		}
		answer, err := bazel.Reply(token, time.Unix(at, 0))
		if err != nil {
			if answer != nil {
				t.Fatalf("an error, and an answer: %q", answer)
			}
			return
		}
		var back struct {
			Headers map[string][]string `json:"headers"`
			Expires string              `json:"expires"`
		}
		decoder := json.NewDecoder(bytes.NewReader(answer))
		decoder.DisallowUnknownFields()
		err = decoder.Decode(&back)
		if err != nil || bytes.Count(answer, []byte("\n")) != 1 || len(back.Headers) != 1 || len(back.Headers["Authorization"]) != 1 ||
			back.Headers["Authorization"][0] != "Bearer "+token || !expires.MatchString(back.Expires) {
			t.Fatalf("%s was read back as %+v, %v", answer, back, err)
		}
	})
}
