package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTypedKey(t *testing.T) {
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "key.pem"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const (
		private = "-----BEGIN PRIVATE KEY-----\nMII=\n-----END PRIVATE KEY-----"
		public  = "-----BEGIN PUBLIC KEY-----\nMII=\n-----END PUBLIC KEY-----"
		// Its empty line stands behind its headers.
		encrypted = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nMII=\n-----END RSA PRIVATE KEY-----"
	)
	tests := []struct {
		name    string
		typed   []string // each comes at once, and is waited for
		text    string
		path    string
		replies []string
		waits   bool
	}{
		{"PEM", []string{private}, private + "\n", "", nil, false},
		{"client ID before it", []string{"abc\n" + private}, "abc\n" + private + "\n", "", nil, false},
		{"client ID and an empty line", []string{"abc\n\n" + private}, "abc\n\n" + private + "\n", "", nil, false},
		{"client ID, and the key late", []string{"abc", private}, "abc\n" + private + "\n", "", []string{noKeyLine}, false},
		{"a block before it", []string{public + "\n" + private}, public + "\n" + private + "\n", "", nil, false},
		{"a block before it, and the key late", []string{public, private}, public + "\n" + private + "\n", "", []string{noKeyBlock}, false},
		{"in pieces", []string{"-----BEGIN PRIVATE KEY-----", "MII=\n-----END PRIVATE KEY-----"}, private + "\n", "", nil, false},
		{"encrypted", []string{encrypted}, encrypted + "\n", "", nil, false},
		{"encrypted, by hand", strings.Split(encrypted, "\n"), encrypted + "\n", "", nil, false},
		{"cut off", []string{private[:30], ""}, private[:30] + "\n\n", "", nil, false},
		{"not yet whole", []string{private[:30]}, "", "", nil, true},
		{"in one line", []string{`"` + strings.ReplaceAll(private, "\n", `\n`) + `"`}, `"` + strings.ReplaceAll(private, "\n", `\n`) + "\"\n", "", nil, false},
		{"text before it", []string{"Bag Attributes\n    friendlyName: x\n" + private}, private + "\n", "", nil, false},
		{"JSON", []string{`{"kty":"RSA"}`}, `{"kty":"RSA"}` + "\n", "", nil, false},
		{"JSON in lines", []string{"{\n\"kty\":\n\"RSA\"\n}"}, "{\n\"kty\":\n\"RSA\"\n}\n", "", nil, false},
		{"JSON that does not close", []string{`{"kty":`, ""}, "{\"kty\":\n\n", "", nil, false},
		{"file", []string{"~/key.pem"}, "", filepath.Join(home, "key.pem"), nil, false},
		{"file at the second try", []string{"~/kye.pem", "~/key.pem"}, "", filepath.Join(home, "key.pem"), []string{noKeyLine}, false},
		{"file after a public key", []string{public, "~/key.pem"}, "", filepath.Join(home, "key.pem"), []string{noKeyBlock}, false},
		{"a directory", []string{"~/", home}, "", "", []string{noKeyLine, noKeyLine}, true},
		{"what could be a client ID", []string{"kyepem"}, "", "", []string{noKeyLine}, true},
		{"nothing", []string{"", "  "}, "", "", []string{noKeyLine, noKeyLine}, true},
		{"lines that are nothing", []string{"QUFB\nQUFB\nQUFB"}, "", "", []string{noKeyLine}, true},
		{"PuTTY", []string{"PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none"}, "PuTTY-User-Key-File-3: ssh-rsa\n", "", nil, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			k := &typedKey{home: home}
			var replies []string
			done := false
			for _, piece := range test.typed {
				lines := strings.Split(piece, "\n")
				for i, line := range lines {
					var reply string
					if done, reply = k.take(line, i < len(lines)-1); reply != "" {
						replies = append(replies, reply)
					}
					if done {
						break
					}
				}
			}
			if done == test.waits {
				t.Fatalf("got done %v, want %v", done, !test.waits)
			}
			if got, want := strings.Join(replies, "|"), strings.Join(test.replies, "|"); got != want {
				t.Errorf("got replies %q, want %q", got, want)
			}
			if done && (string(k.text) != test.text || k.path != test.path) {
				t.Errorf("got text %q, path %q; want %q, %q", k.text, k.path, test.text, test.path)
			}
		})
	}
}
