package request_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"sfcred/integrations/request"
)

type question struct {
	host  string
	port  int
	flags []string
	deep  string
}

func read(text []byte) (q question, err error) {
	err = request.Read(text, request.Members{
		"host": &q.host, "port": &q.port, "flags": &q.flags,
		"more": request.Members{"deep": &q.deep},
	})
	return q, err
}

func TestRead(t *testing.T) {
	const no = "an error"
	for _, tt := range []struct{ text, want string }{
		{`{}`, "{ 0 [] }"},
		{" {\"host\" : \"a\" ,\n\"port\":1,\"flags\":[\"x\"],\"more\":{\"deep\":\"b\"}}\r\n", "{a 1 [x] b}"},
		{`{"host":"a","Host":"b","HOST":7,"more":{"deep":"b","DEEP":"c"},"More":{"deep":"d"}}`, "{a 0 [] b}"},
		{`{"h\u006fst":"a"}`, "{a 0 [] }"},
		{`{"host":null,"port":null,"more":null}`, "{ 0 [] }"},
		{`{"more":{"deep":null,"other":{"x":1,"x":2}},"other":[{"host":"a","host":"b"}]}`, "{ 0 [] }"},
		{`{"host":"a","host":"b"}`, no},
		{`{"host":"a","host":"a"}`, no},
		{`{"host":"a","h\u006fst":"b"}`, no},
		{`{"host":"a","host":null}`, no},
		{`{"x":1,"x":1}`, no},
		{`{"more":{"deep":"a","deep":"b"}}`, no},
		{`{"more":{"deep":"a"},"more":null}`, no},
		{`{"more":{"x":1,"x":2}}`, no},
		{`{"more":[]}`, no},
		{`{"more":"deep"}`, no},
		{`{"host":7}`, no},
		{`{"port":1.5}`, no},
		{`{"flags":"x"}`, no},
		{`{"host":"a"}{}`, no},
		{`{"host":"a"}]`, no},
		{`{"host":"a"`, no},
		{`{"host":"a",}`, no},
		{`{"host"}`, no},
		{`{7:"a"}`, no},
		{`{"host":"a" "port":1}`, no},
		{`null`, no},
		{`[]`, no},
		{`"host"`, no},
		{` `, no},
		{``, no},
	} {
		q, err := read([]byte(tt.text))
		got := fmt.Sprintf("%v", q)
		if err != nil {
			got = no
		}
		if got != tt.want {
			t.Errorf("%s: got %s, %v, want %s", tt.text, got, err, tt.want)
		}
	}
}

// What is read is JSON in which the first and the last of a name are the same,
// so that whoever asks in it cannot have meant another host; and what the strict
// reader of exact names has read too.
func FuzzRead(f *testing.F) {
	for _, text := range []string{
		`{"host":"a","Host":"b"}`, `{"host":"a","host":"b"}`, `{"x":{"host":"a"},"host":null}`,
		`{"more":{"deep":"a"}}`, `{"host":"\ud800"}`, `{"h\u006fst":"a"} `, "{\"\xff\":1,\"host\":\"a\"}", `{"":1,"":2}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		q, err := read(text)
		if err != nil {
			return
		}
		var all map[string]json.RawMessage
		if err := json.Unmarshal(text, &all); err != nil {
			t.Fatalf("accepted %q: %v", text, err)
		}
		var host string
		if raw, ok := all["host"]; ok && json.Unmarshal(raw, &host) != nil || host != q.host {
			t.Errorf("%q: got %q, want %q", text, q.host, host)
		}
		// Any of its names once more, in front or behind, and it is refused.
		open, end := bytes.IndexByte(text, '{'), bytes.LastIndexByte(text, '}')
		for name := range all {
			member, err := json.Marshal(name)
			if err != nil {
				t.Fatal(err)
			}
			front := string(text[:open+1]) + string(member) + ":null," + string(text[open+1:])
			behind := string(text[:end]) + "," + string(member) + ":null" + string(text[end:])
			for _, twice := range []string{front, behind} {
				if _, err := read([]byte(twice)); err == nil {
					t.Errorf("accepted %q", twice)
				}
			}
		}
	})
}
