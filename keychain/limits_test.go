package keychain

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf16"

	"sfcred/keychain/jose"
)

// goKeyring is whose way of writing entries stands below. Each platform's part
// of it compiles nowhere else; a new version must be compared with it.
const goKeyring = "github.com/zalando/go-keyring v0.2.8"

// securityCommand is the line that /usr/bin/security -i gets on macOS
// (keyring_darwin.go, Set; internal/shellescape).
func securityCommand(id, text string) string {
	unsafe := regexp.MustCompile(`[^\w@%+=:,./-]`)
	quote := func(s string) string {
		if len(s) == 0 {
			return "''"
		}
		if unsafe.MatchString(s) {
			return "'" + strings.ReplaceAll(s, "'", "'\"'\"'") + "'"
		}
		return s
	}
	value := "go-keyring-base64:" + base64.StdEncoding.EncodeToString([]byte(text))
	return fmt.Sprintf("add-generic-password -U -s %s -a %s -w %s\n", quote(service), quote(id), quote(value))
}

// limits are what the platforms take of an entry. The Secret Service has none.
var limits = []struct {
	what string
	most int
	size func(id, text string) int
}{
	// keyring_windows.go and wincred: the bytes as they are, the names in UTF-16,
	// https://learn.microsoft.com/windows/win32/api/wincred/ns-wincred-credentialw
	{"CRED_MAX_CREDENTIAL_BLOB_SIZE", 2560, func(_, text string) int { return len(text) }},
	{"CRED_MAX_GENERIC_TARGET_NAME_LENGTH", 32767, func(id, _ string) int { return utf16Len(service + ":" + id) }},
	{"CRED_MAX_USERNAME_LENGTH", 513, func(id, _ string) int { return utf16Len(id) }},
	{"go-keyring's limit of a service on Windows", 511, func(string, string) int { return len(service) }},
	// One byte more is cut off, and still reported as done,
	// https://github.com/zalando/go-keyring/issues/153
	{"a line of security -i on macOS", 4095, func(id, text string) int { return len(securityCommand(id, text)) }},
}

func utf16Len(s string) int { return len(utf16.Encode([]rune(s))) }

// ascii is what no keychain damages: KDE's and KeePassXC do what is not text,
// https://github.com/zalando/go-keyring/issues/143
var ascii = regexp.MustCompile(`^[!-~]+$`)

func TestEveryKeyFitsEveryKeychain(t *testing.T) {
	entries := map[string]string{"the largest that is let through": strings.Repeat("x", maxEntry)}
	for name, key := range supportedKeys(t) {
		entries[name] = key.Text()
		if n := len(entries[name]); n > maxEntry {
			t.Errorf("%s: %d bytes, want at most %d", name, n, maxEntry)
		}
	}
	longest := strings.Repeat("z", 64)
	if !validID(longest) || validID(longest+"z") {
		t.Error("64 is not the longest id")
	}
	for name, text := range entries {
		if !ascii.MatchString(text) {
			t.Errorf("%s: text has other bytes than printable ASCII", name)
		}
		for _, id := range []string{NewID(), longest} {
			for _, limit := range limits {
				if got := limit.size(id, text); got > limit.most {
					t.Errorf("%s: %s: got %d, want at most %d", name, limit.what, got, limit.most)
				}
			}
		}
		t.Logf("%s: %d bytes on Windows and Linux, a command of %d on macOS", name, len(text), len(securityCommand(longest, text)))
	}
}

// supportedKeys is a key of each kind and size. RSA 8192 is the most that is
// taken; it is a fixture, since it takes long to make.
func supportedKeys(t *testing.T) map[string]*jose.Key {
	t.Helper()
	keys := map[string]*jose.Key{
		"RSA 2048": rsaKey(t, 2048),
		"RSA 3072": rsaKey(t, 3072),
		"RSA 4096": fixtureKey(t, "rsa4096.pkcs1.pem"),
		"RSA 8192": fixtureKey(t, "rsa8192.pkcs1.pem"),
		"Ed25519":  newKey(t),
	}
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		keys[curve.Params().Name] = parse(t, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}
	return keys
}

func fixtureKey(t *testing.T, name string) *jose.Key {
	t.Helper()
	data, err := os.ReadFile("jose/testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, data)
}

func TestLimitsAreOfThisGoKeyring(t *testing.T) {
	module, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(module), "\t"+goKeyring+"\n") {
		t.Errorf("go.mod has another version than %s: compare what it writes with this file", goKeyring)
	}
}
