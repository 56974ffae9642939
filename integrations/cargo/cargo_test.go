package cargo_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"

	"sfcred/helper"
	"sfcred/integrations/cargo"
)

// asked is a request as Cargo 1.95 sends it after a 401.
const asked = `{"v":1,"registry":{"index-url":"sparse+https://crates.example.org/index/","name":"lab","headers":["Www-Authenticate: Bearer realm=\"lab\""]},"kind":"get","operation":"read","args":["--profile","lab"]}` + "\n"

func TestParse(t *testing.T) {
	const index = "https://crates.example.org/index/"
	request := func(kind, more string) string {
		return `{"v":1,"kind":"` + kind + `"` + more + `,"registry":{"index-url":"sparse+https://crates.example.org/index/"}}`
	}
	for _, test := range []struct {
		line string
		want cargo.Request
	}{
		{asked, cargo.Request{"get", index, []string{"--profile", "lab"}}},
		{request("get", `,"operation":"publish","name":"sample","vers":"0.1.0","cksum":"..."`), cargo.Request{"get", index, nil}},
		{request("get", `,"operation":"yank","name":"sample","vers":"0.1.0"`), cargo.Request{"get", index, nil}},
		{request("get", `,"operation":"owners","name":"sample"`), cargo.Request{"get", index, nil}},
		// An operation, or a property, that is yet to come.
		{request("get", `,"operation":"audit","extra":[1]`), cargo.Request{"get", index, nil}},
		{request("login", `,"token":"sekret","login-url":"https://crates.example.org/me"`), cargo.Request{"login", index, nil}},
		{request("logout", ""), cargo.Request{"logout", index, nil}},
		{request("unexpected-1", ""), cargo.Request{"unexpected-1", index, nil}},
		// A registry whose index is a git repository.
		{`{"v":1,"kind":"get","registry":{"index-url":"https://github.com/rust-lang/crates.io-index"}}`, cargo.Request{"get", "https://github.com/rust-lang/crates.io-index", nil}},
		{`{"v":1,"kind":"get","registry":{"index-url":"ssh://git@example.org/index"}}`, cargo.Request{"get", "ssh://git@example.org/index", nil}},
		// Names are taken as they are; what they mean in another case is not known.
		{`{"v":1,"kind":"get","registry":{"index-url":"https://a/","INDEX-URL":"https://b/","Index-Url":7},"KIND":"login","Args":["x"],"V":2}`, cargo.Request{"get", "https://a/", nil}},
		{`{"v":1,"kind":"get","registry":{"index-url":"https://a/","more":{"a":1,"a":2}}}`, cargo.Request{"get", "https://a/", nil}},
		// Once, in lower case, in front; the host rule refuses the rest.
		{`{"v":1,"kind":"get","registry":{"index-url":"sparse+sparse+https://a/"}}`, cargo.Request{"get", "sparse+https://a/", nil}},
		{`{"v":1,"kind":"get","registry":{"index-url":"Sparse+https://a/"}}`, cargo.Request{"get", "Sparse+https://a/", nil}},
	} {
		got, err := cargo.Parse([]byte(test.line))
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("Parse(%s): got %+v, %v, want %+v", test.line, got, err, test.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	const bad = "cargo's request is not the JSON of a credential request"
	for _, test := range []struct{ line, want string }{
		// Cargo does not do that: it was told what we speak.
		{`{"v":999, "registry": {"index-url":"https://a"}, "args":[], "kind": "get"}`, "unsupported protocol version 999"},
		{`{"kind":"get","registry":{"index-url":"https://a"}}`, "unsupported protocol version 0"},
		{`{"v":1,"kind":"get"}`, "cargo's request names no index-url"},
		{`{"v":1,"kind":"get","registry":{"index-url":""}}`, "cargo's request names no index-url"},
		{`{"v":1,"kind":"get","registry":{"index-url":null}}`, "cargo's request names no index-url"},
		{`{"v":1,"kind":"get","registry":{"INDEX-URL":"https://a"}}`, "cargo's request names no index-url"},
		{`{"v":1,"kind":"get","Registry":{"index-url":"https://a"}}`, "cargo's request names no index-url"},
		// The first, or the last: which would be meant?
		{`{"v":1,"kind":"get","registry":{"index-url":"https://b","index-url":"https://a"}}`, bad},
		{`{"v":1,"kind":"get","registry":{"index-url":"https://a"},"registry":{"index-url":"https://a"}}`, bad},
		{`{"v":1,"kind":"login","kind":"get","registry":{"index-url":"https://a"}}`, bad},
		{"null", bad},
		{"\n", bad},
		{"", bad},
		{"get", bad},
		{`{"v":"1"}`, bad},
		{`{"v":1.5}`, bad},
		{`{"v":1,"kind":"get","registry":"https://a"}`, bad},
		{`{"v":1,"kind":"get","registry":{"index-url":"https://a"},"args":"--profile"}`, bad},
		{strings.TrimSpace(asked) + asked, bad},
		{asked[:50], bad},
		{strings.Repeat(" ", 1<<20) + asked, "cargo's request is larger than 1 MiB"},
	} {
		got, err := cargo.Parse([]byte(test.line))
		if err == nil || err.Error() != test.want || !reflect.DeepEqual(got, cargo.Request{}) {
			t.Errorf("Parse(%.99s): got %+v, %v, want %s", test.line, got, err, test.want)
		}
	}
}

func TestAnswers(t *testing.T) {
	reply := func(token string, expires time.Time) func() ([]byte, error) {
		return func() ([]byte, error) { return cargo.Reply(token, expires) }
	}
	failed := func(message string) func() ([]byte, error) {
		return func() ([]byte, error) { return cargo.Failed(message) }
	}
	for _, test := range []struct {
		answer func() ([]byte, error)
		want   string // "" is an error
	}{
		{func() ([]byte, error) { return cargo.Hello(), nil }, `{"v":[1]}`},
		// Whole seconds, rounded down.
		{reply("a.b-c_d~e+f/g=", time.Unix(1_800_000_000, 999_999_999)), `{"Ok":{"kind":"get","token":"Bearer a.b-c_d~e+f/g=","cache":"expires","expiration":1800000000,"operation_independent":true}}`},
		{reply("tok", time.Unix(0, 0)), `{"Ok":{"kind":"get","token":"Bearer tok","cache":"expires","expiration":0,"operation_independent":true}}`},
		{reply("tok", time.Time{}), `{"Ok":{"kind":"get","token":"Bearer tok","cache":"never","operation_independent":true}}`},
		{cargo.Foreign, `{"Err":{"kind":"url-not-supported"}}`},
		{cargo.Unsupported, `{"Err":{"kind":"operation-not-supported"}}`},
		{failed(`profile "nersc": the key store is locked`), `{"Err":{"kind":"other","message":"profile \"nersc\": the key store is locked"}}`},
		// Cargo shows it as it is.
		{failed("a\nb\r\x1b[2J\u009b2J\u202etxt é"), `{"Err":{"kind":"other","message":"a?b??[2J?2J?txt é"}}`},
		{reply("", time.Time{}), ""},
		{reply("tok\r\nX-Evil: 1", time.Time{}), ""},
		{reply("t k", time.Time{}), ""},
	} {
		got, err := test.answer()
		want := test.want
		if want != "" {
			want += "\n"
		}
		if string(got) != want || (err != nil) != (want == "") {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
}

// What is accepted names an index; one that passes the host rule is on our host;
// and Cargo reads back one line: the token that was given, or a message that
// steers no terminal.
func FuzzParse(f *testing.F) {
	f.Add([]byte(asked), "a.b.c", int64(1_800_000_000))
	f.Add([]byte(`{"v":1,"kind":"get","registry":{"index-url":"sparse+https://evil.example/?sparse+https://crates.example.org"}}`), "a\nb", int64(0))
	f.Add([]byte(`{"v":1,"kind":"get","registry":{"index-url":"sparse+https://crates.example.org","INDEX-URL":"x"}}`), "\x1b[2J", int64(-1))
	f.Add([]byte(`{"v":2,"kind":"logout","registry":{"index-url":"x"}}`), "\xff\u2028", int64(1))
	hosts, err := helper.ParseHosts([]string{"crates.example.org"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, line []byte, token string, at int64) {
		r, err := cargo.Parse(line)
		if err != nil {
			if !reflect.DeepEqual(r, cargo.Request{}) {
				t.Fatalf("an error, and a request: %+v", r)
			}
		} else if u, err := hosts.Check(r.URL); r.URL == "" || err == nil && !strings.EqualFold(u.Hostname(), "crates.example.org") {
			t.Fatalf("%s passed as %+v", line, r)
		}
		var back struct {
			Ok *struct {
				Kind, Token, Cache string
				Expiration         *int64
				Independent        bool `json:"operation_independent"`
			}
			Err *struct{ Kind, Message string }
		}
		read := func(answer []byte) {
			back.Ok, back.Err = nil, nil
			decoder := json.NewDecoder(bytes.NewReader(answer))
			decoder.DisallowUnknownFields()
			if err := decoder.Decode(&back); err != nil || bytes.IndexByte(answer, '\n') != len(answer)-1 || (back.Ok == nil) == (back.Err == nil) {
				t.Fatalf("%q was read back as %+v, %v", answer, back, err)
			}
		}
		answer, err := cargo.Failed(token)
		if err != nil {
			t.Fatal(err)
		}
		read(answer)
		if back.Err == nil || back.Err.Kind != "other" || strings.ContainsFunc(back.Err.Message, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Fatalf("Failed(%q): %+v", token, back.Err)
		}
		answer, err = cargo.Reply(token, time.Unix(at, 0))
		if err != nil {
			if answer != nil {
				t.Fatalf("an error, and an answer: %q", answer)
			}
			return
		}
		read(answer)
		if back.Ok == nil || back.Ok.Kind != "get" || back.Ok.Token != "Bearer "+token || back.Ok.Cache != "expires" || *back.Ok.Expiration != at || !back.Ok.Independent {
			t.Fatalf("%s was read back as %+v", answer, back.Ok)
		}
	})
}
