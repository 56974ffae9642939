package main

import "testing"

func TestShellWord(t *testing.T) {
	for word, want := range map[string]string{
		"":                `''`,
		"key.pem":         `key.pem`,
		"my key":          `'my key'`,
		"it's":            `'it'\''s'`,
		"Schlüssel":       `'Schlüssel'`,
		"a\nb":            `$'a\012b'`,
		"it's \\ \x1b":    `$'it\'s \\ \033'`,
		"\u202e1":         `$'\342\200\2561'`,
		"\xff":            `$'\377'`,
		"Schlüssel\u00a0": `$'Schlüssel\302\240'`,
	} {
		if got := shellWord(word); got != want {
			t.Errorf("%q: got %s, want %s", word, got, want)
		}
	}
}
