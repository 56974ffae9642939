package restish_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"sfcred/integrations/restish"
)

func TestParse(t *testing.T) {
	const bad = "standard input is not the JSON of a restish request"
	for _, test := range []struct{ input, want, err string }{
		{`{"method":"GET","uri":"https://api.nersc.gov/api/v1.2/status","headers":{"Accept":["*/*"]},"body":""}`, "https://api.nersc.gov/api/v1.2/status", ""},
		{`{"method":"POST","uri":"https://a/?b=c\u0026d","headers":null,"body":"{\"uri\":\"https://b\"}"}`, "https://a/?b=c&d", ""},
		// What the request itself carries is not taken for its URL.
		{`{"headers":{"uri":["https://b"]},"uri":"https://a","URI":"https://c"}`, "https://a", ""},
		{`{"uri":"https://a","body":"` + strings.Repeat(`\u0000`, 1<<20) + `"}`, "https://a", ""},
		{`{"method":"GET"}`, "", "restish's request names no uri"},
		{`{"uri":""}`, "", "restish's request names no uri"},
		{`{"uri":null}`, "", "restish's request names no uri"},
		{`null`, "", bad},
		// The first, or the last: which would be meant? Deeper ones are not read.
		{`{"uri":"https://a","uri":"https://b"}`, "", bad},
		{`{"uri":"https://a","\u0075ri":"https://a"}`, "", bad},
		{`{"uri":"https://a","more":1,"more":2}`, "", bad},
		{`{"headers":{"a":[],"a":[]},"uri":"https://a"}`, "https://a", ""},
		{``, "", bad},
		{`[]`, "", bad},
		{`{"uri":{"host":"a"}}`, "", bad},
		{`{"uri":"https://a"}{"uri":"https://b"}`, "", bad},
		{`{"uri":"https://a","body":"`, "", bad},
		{`{"body":"` + strings.Repeat("x", 8<<20) + `"}`, "", `restish's request is larger than 8 MiB; set omitbody to "true"`},
	} {
		got, err := restish.Parse([]byte(test.input))
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
	for _, test := range []struct{ token, want string }{ // want "" is an error
		{"a.b-c_d~e+f/g=", `{"headers":{"Authorization":["Bearer a.b-c_d~e+f/g="]}}` + "\n"},
		{"", ""},
		{"tok\r\nX-Evil: 1", ""},
		{"t k", ""},
	} {
		got, err := restish.Reply(test.token)
		if string(got) != test.want || (err != nil) != (test.want == "") {
			t.Errorf("Reply(%q): got %s, %v, want %s", test.token, got, err, test.want)
		}
	}
}

// Accepted is what names a uri, and nothing beside an error; Restish reads back
// one header, and no other URL to go to, or there is no answer.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"method":"GET","uri":"https://a","headers":{"Accept":["*/*"]},"body":""}`), "a.b.c")
	f.Add([]byte(`{"uri":"https://a","uri":"https://b"}`), "a\nb")
	f.Add([]byte(`{"URI":"https://a"}`), "\"]},\"uri\":\"https://evil.example\"")
	f.Add([]byte(`{"uri":7}`), "\xff")
	f.Fuzz(func(t *testing.T, input []byte, token string) {
		uri, err := restish.Parse(input)
		if (err == nil) != (uri != "") || err == nil && !json.Valid(input) {
			t.Fatalf("%q: got %q, %v", input, uri, err)
		}
		answer, err := restish.Reply(token)
		if err != nil {
			if answer != nil {
				t.Fatalf("an error, and an answer: %q", answer)
			}
			return
		}
		// externalToolResponse of internal/auth/external_tool.go
		var back struct {
			URI     string      `json:"uri"`
			Headers http.Header `json:"headers"`
		}
		if err := json.Unmarshal(answer, &back); err != nil || back.URI != "" || len(back.Headers) != 1 ||
			len(back.Headers["Authorization"]) != 1 || back.Headers["Authorization"][0] != "Bearer "+token {
			t.Fatalf("%s was read back as %+v, %v", answer, back, err)
		}
	})
}
