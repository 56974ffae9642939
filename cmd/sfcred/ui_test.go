package main

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"plain words":        "plain words",
		"two\nlines\r\nmore": "two; lines; more",
		"\x1b[31mred\x07":    "?[31mred?",
		"\u009b31mred":       "?31mred",
		"a\tb\x00\x7f":       "a?b??",
		"\u202Eabc\u2066":    "?abc?",
		"zero\u200bwidth":    "zero?width",
		"naïve 日本":           "naïve 日本",
		"\xff\x9b":           "\ufffd\ufffd",
	} {
		if got := oneLine(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// What is made plain means the same, and shows nothing that steers a terminal.
func FuzzPlainJSON(f *testing.F) {
	for _, text := range []string{"", "plain", "\x1b[31m", "\u009b31m\u202e\x7f", "\U000E0001 tag", "\xff", `\"`, "日本"} {
		f.Add(text, text)
	}
	f.Fuzz(func(t *testing.T, key, value string) {
		text, err := json.MarshalIndent(map[string]string{key: value}, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		plain := plainJSON(text)
		var before, after map[string]string
		if json.Unmarshal(text, &before) != nil || json.Unmarshal([]byte(plain), &after) != nil || !reflect.DeepEqual(before, after) {
			t.Errorf("%s became %s", text, plain)
		}
		for line := range strings.SplitSeq(plain, "\n") {
			if oneLine(line) != line {
				t.Errorf("%q steers a terminal", line)
			}
		}
		if bytes.Count(text, []byte("\n")) != strings.Count(plain, "\n") {
			t.Errorf("%s has another layout: %s", text, plain)
		}
	})
}
