package keyfiles

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// clientJSON is what the tools call it by: the name of the JWK is the tool's.
func clientJSON(id, name, key string) string {
	return fmt.Sprintf(`{"client_id":%q,%q:%s}`, id, name, jwk(key))
}

func TestLayouts(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"nothing", nil, ""},

		// sfapi_client.
		{"a PEM with the client ID as first line", map[string]string{
			"~/.superfacility/key.pem": id + "\n" + pkcs1(),
		}, `
			"~/.superfacility/key.pem" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123
		`},
		{"of any name, since it is found by the beginning of its name", map[string]string{
			"~/.superfacility/red":          id + "\n" + pkcs1(),
			"~/.superfacility/notes.txt":    "the quick brown fox",
			"~/.superfacility/config.json":  `{"theme":"dark"}`,
			"~/.superfacility/priv_key.pub": public(),
			"~/.superfacility/deep/key.pem": id + "\n" + pkcs1(),
		}, `
			"~/.superfacility/red" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123
		`},
		{"JSON with the client ID", map[string]string{
			"~/.superfacility/key.json": clientJSON(id, "secret", "rsa"),
		}, `
			"~/.superfacility/key.json" RSA 2048 rsa (client JSON) of abcdefghij123
		`},
		{"client_secret.json", map[string]string{
			"~/.superfacility/client_secret.json": clientJSON(id, "secret", "ed"),
		}, `
			"~/.superfacility/client_secret.json" Ed25519 256 ed (client JSON) of abcdefghij123
		`},

		// What Iris downloads.
		{"priv_key.pem with clientid.txt", map[string]string{
			"~/.superfacility/priv_key.pem": pkcs1(),
			"~/.superfacility/clientid.txt": id + "\n",
		}, `
			"~/.superfacility/priv_key.pem" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123 by "~/.superfacility/clientid.txt"
		`},
		{"PEM and JWK of one key", map[string]string{
			"~/.superfacility/priv_key.pem": pkcs1(),
			"~/.superfacility/priv_key.jwk": jwk("rsa"),
			"~/.superfacility/clientid.txt": id,
		}, `
			"~/.superfacility/priv_key.pem" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123 by "~/.superfacility/clientid.txt"
				"~/.superfacility/priv_key.jwk" holds the same key
		`},
		{"PEM and JWK of two keys", map[string]string{
			"~/.superfacility/priv_key.pem": pkcs1(),
			"~/.superfacility/priv_key.jwk": jwk("ed"),
			"~/.superfacility/clientid.txt": id,
		}, `
			"~/.superfacility/priv_key.jwk" Ed25519 256 ed (JWK) of abcdefghij123 by "~/.superfacility/clientid.txt"
				the same client ID as the key in "~/.superfacility/priv_key.pem"
			"~/.superfacility/priv_key.pem" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123 by "~/.superfacility/clientid.txt"
				the same client ID as the key in "~/.superfacility/priv_key.jwk"
		`},
		{"a PEM beside JSON that has its client ID", map[string]string{
			"~/.superfacility/priv_key.pem": pkcs1(),
			"~/.superfacility/sf_api.json":  clientJSON(id, "secret", "rsa"),
		}, `
			"~/.superfacility/priv_key.pem" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123 by "~/.superfacility/sf_api.json"
				"~/.superfacility/sf_api.json" holds the same key
		`},
		{"priv_key.jwk with client_id.txt", map[string]string{
			"~/.superfacility/priv_key.jwk":  jwk("rsa"),
			"~/.superfacility/client_id.txt": id,
		}, `
			"~/.superfacility/priv_key.jwk" RSA 2048 rsa (JWK) of abcdefghij123 by "~/.superfacility/client_id.txt"
		`},
		{"priv_key.pem with client-id.txt", map[string]string{
			"~/.superfacility/priv_key.pem":  pkcs1(),
			"~/.superfacility/client-id.txt": id,
		}, `
			"~/.superfacility/priv_key.pem" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123 by "~/.superfacility/client-id.txt"
		`},
		{"priv_key.pem with nothing", map[string]string{
			"~/.superfacility/priv_key.pem": pkcs1(),
		}, `
			"~/.superfacility/priv_key.pem" RSA 2048 rsa (PKCS#1 PEM)
				no client ID was found beside it
		`},

		// SuperfacilityConnector.
		{"called after the client", map[string]string{
			"~/.superfacility/" + id + ".pem":        pkcs1(),
			"~/.superfacility/blue-" + id2 + ".pem":  pkcs8("ed"),
			"~/.superfacility/my-superfacility.pem":  pkcs8("ec"),
			"~/.superfacility/clientid-not-read.txt": "x",
		}, `
			"~/.superfacility/abcdefghij123.pem" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123
				the client ID is taken from the name "abcdefghij123.pem"
			"~/.superfacility/blue-zyxwvutsrq987.pem" Ed25519 256 ed (PKCS#8 PEM) of zyxwvutsrq987
				the client ID is taken from the name "blue-zyxwvutsrq987.pem"
			"~/.superfacility/my-superfacility.pem" EC 256 ec (PKCS#8 PEM)
				no client ID was found beside it
		`},

		// GlideinWMS and vk-provider-nersc call the JWK otherwise.
		{"auth_file", map[string]string{
			"~/.superfacility/auth.json": clientJSON(id, "private_key_jwk", "rsa"),
			"~/.superfacility/vk.json":   clientJSON(id2, "jwk", "ed"),
		}, `
			"~/.superfacility/auth.json" RSA 2048 rsa (client JSON) of abcdefghij123
			"~/.superfacility/vk.json" Ed25519 256 ed (client JSON) of zyxwvutsrq987
		`},
		// AMReXAgent.
		{"a directory for each client", map[string]string{
			"~/.superfacility/red_client/priv_key.jwk":         jwk("rsa"),
			"~/.superfacility/red_client/clientid.txt":         id,
			"~/.superfacility/green_client/priv_key.jwk":       jwk("ed"),
			"~/.superfacility/green_client/clientid.txt":       id2,
			"~/.superfacility/green_client/a_client/other.pem": pkcs8("ec"),
			"~/sfapi/priv_key.pem":                             "client\n" + pkcs8("ec"),
		}, `
			"~/.superfacility/green_client/priv_key.jwk" Ed25519 256 ed (JWK) of zyxwvutsrq987 by "~/.superfacility/green_client/clientid.txt"
			"~/.superfacility/red_client/priv_key.jwk" RSA 2048 rsa (JWK) of abcdefghij123 by "~/.superfacility/red_client/clientid.txt"
			"~/sfapi/priv_key.pem" EC 256 ec (PKCS#8 PEM) of client
		`},

		// beamkit.
		{"~/.sfapi", map[string]string{
			"~/.sfapi/priv_key.pem": pkcs1(),
			"~/.sfapi/client_id":    id + "\n",
		}, `
			"~/.sfapi/priv_key.pem" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123 by "~/.sfapi/client_id"
		`},
		{"~/.sfapi with a JWK", map[string]string{
			"~/.sfapi/priv_key.jwk": jwk("rsa"),
			"~/.sfapi/client_id":    id,
		}, `
			"~/.sfapi/priv_key.jwk" RSA 2048 rsa (JWK) of abcdefghij123 by "~/.sfapi/client_id"
		`},

		// aqdrop-client. The other keys of ~/.ssh are not ours.
		{"~/.ssh", map[string]string{
			"~/.ssh/aqdrop-sfapi-private-key.pem": pkcs1(),
			"~/.ssh/aqdrop-sfapi-client-id":       id,
			"~/.ssh/aqdrop-sfapi-notes":           "the quick brown fox",
			"~/.ssh/aqdrop-sfapi-key.pub":         public(),
			"~/.ssh/id_ed25519":                   fixture(t, "ed25519.openssh.pem"),
			"~/.ssh/client_id":                    id2,
			"~/.ssh/priv_key.pem":                 pkcs8("ec"),
			"~/.ssh/broken.pem":                   "-----BEGIN PRIVATE KEY-----\n",
		}, `
			"~/.ssh/aqdrop-sfapi-private-key.pem" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123 by "~/.ssh/aqdrop-sfapi-client-id"
		`},
		// radical. Its client ID is in a variable.
		{"~/.amsc", map[string]string{
			"~/.amsc/sfapi_key_perlmutter.pem": pkcs1(),
			"~/.amsc/other.pem":                pkcs8("ec"),
		}, `
			"~/.amsc/sfapi_key_perlmutter.pem" RSA 2048 rsa (PKCS#1 PEM)
				no client ID was found beside it
		`},
		{".auth", map[string]string{
			"./.auth/priv_key.pem": pkcs1(),
			"./.auth/clientid.txt": id,
			"./.auth/user.json":    `{"cookies":[],"origins":[]}`, // of Playwright
			"~/.auth/priv_key.pem": pkcs8("ed"),
			"~/.auth/clientid.txt": id2,
		}, `
			"./.auth/priv_key.pem" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123 by "./.auth/clientid.txt"
			"~/.auth/priv_key.pem" Ed25519 256 ed (PKCS#8 PEM) of zyxwvutsrq987 by "~/.auth/clientid.txt"
		`},
		{"the working directory and home, by name only", map[string]string{
			"./sf_api.json":  clientJSON(id, "secret", "rsa"),
			"./other.pem":    pkcs8("ec"),
			"~/priv_key.jwk": jwk("ed"),
			"~/clientid.txt": id2,
			"~/other.json":   clientJSON(id, "secret", "rsa"),
		}, `
			"./sf_api.json" RSA 2048 rsa (client JSON) of abcdefghij123
			"~/priv_key.jwk" Ed25519 256 ed (JWK) of zyxwvutsrq987 by "~/clientid.txt"
		`},

		{"encrypted keys", map[string]string{
			"~/.superfacility/a.pem":             id + "\n" + fixture(t, "rsa.encrypted-pkcs8.pem"),
			"~/.superfacility/b.pem":             fixture(t, "rsa.legacy-aes256.pem"),
			"~/.superfacility/c-" + id2 + ".pem": fixture(t, "ed25519.encrypted.openssh.pem"),
		}, `
			"~/.superfacility/a.pem" encrypted (encrypted PKCS#8 PEM) of abcdefghij123
			"~/.superfacility/b.pem" encrypted (encrypted PKCS#1 PEM)
				no client ID was found beside it
			"~/.superfacility/c-zyxwvutsrq987.pem" encrypted (encrypted OpenSSH) of zyxwvutsrq987
				the client ID is taken from the name "c-zyxwvutsrq987.pem"
		`},
		{"the same key in two places", map[string]string{
			"~/.superfacility/key.pem": id + "\n" + pkcs1(),
			"~/.sfapi/priv_key.jwk":    jwk("rsa"),
			"~/.sfapi/client_id":       id,
		}, `
			"~/.superfacility/key.pem" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123
				the same key as in "~/.sfapi/priv_key.jwk"
			"~/.sfapi/priv_key.jwk" RSA 2048 rsa (JWK) of abcdefghij123 by "~/.sfapi/client_id"
				the same key as in "~/.superfacility/key.pem"
		`},
		// People keep the key and register it again.
		{"the same key of two clients", map[string]string{
			"~/.superfacility/new.pem": id2 + "\n" + pkcs1(),
			"~/.superfacility/old.pem": id + "\n" + pkcs1(),
		}, `
			"~/.superfacility/new.pem" RSA 2048 rsa (PKCS#1 PEM) of zyxwvutsrq987
				the same key as in "~/.superfacility/old.pem", of another client ID
			"~/.superfacility/old.pem" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123
				the same key as in "~/.superfacility/new.pem", of another client ID
		`},

		{"what looks like a key and is none", map[string]string{
			"~/.superfacility/a.pem":         public(),
			"~/.superfacility/b.pem":         fixture(t, "refused.certificate.pem"),
			"~/.superfacility/c.pem":         fixture(t, "refused.rsa1024.pkcs1.pem"),
			"~/.superfacility/d.pem":         pkcs1()[:900],
			"~/.superfacility/e.pem":         "",
			"~/.superfacility/f.p12":         fixture(t, "refused.p12"),
			"~/.superfacility/g":             public(),
			"~/.superfacility/h.json":        jwk("rsa")[:900],
			"~/.superfacility/i.key":         strings.Repeat("x", 64<<10+1),
			"~/.superfacility/j.pem":         "\xff\xfe-\x00-\x00",
			"~/.superfacility/k.json":        strings.Repeat(" ", 64<<10) + jwk("rsa"), // of no key's name
			"~/.superfacility/l.jwk":         "{}",
			"~/.superfacility/sf_api.json":   `{"client_id":"` + id + `"}`,
			"~/.superfacility/m":             "PuTTY-User-Key-File-3: ssh-ed25519\n",
			"~/.superfacility/n.pem":         pkcs8("ec") + pkcs8("ed"),
			"~/.superfacility/o.json":        `{"client_id":"a b","secret":` + jwk("ed") + `}`,
			"~/.superfacility/service.json":  `{"client_id":"1","private_key":"-----BEGIN PRIVATE KEY-----\n"}`,
			"~/.superfacility/jwks.json":     `{"keys":[{"kty":"RSA"}]}`,
			"~/.superfacility/clientid.json": `{"client_id":"x"}`,
		}, `
			! "~/.superfacility/a.pem": a public key, not a private key
			! "~/.superfacility/b.pem": a certificate, not a private key
			! "~/.superfacility/c.pem": an RSA key of 1024 bits: at least 2048 are needed
			! "~/.superfacility/d.pem": the PEM ends before its END line
			! "~/.superfacility/e.pem": empty
			! "~/.superfacility/f.p12": a binary file, such as DER or PKCS#12: convert it to PEM
			! "~/.superfacility/g": a public key, not a private key
			! "~/.superfacility/h.json": malformed JSON
			! "~/.superfacility/i.key": larger than 64 KiB, which no key file is
			! "~/.superfacility/j.pem": UTF-16 text: save it as UTF-8
			! "~/.superfacility/jwks.json": a JWKS with 0 private keys: want exactly one
			! "~/.superfacility/l.jwk": JSON without a key: neither a JWK, nor a JWKS, nor client_id and secret
			! "~/.superfacility/m": a PuTTY key: convert it to OpenSSH with puttygen
			! "~/.superfacility/n.pem": a PEM with 2 private keys: want exactly one
			! "~/.superfacility/o.json": client_id is not a client ID
			! "~/.superfacility/service.json": JSON without a key: neither a JWK, nor a JWKS, nor client_id and secret
			! "~/.superfacility/sf_api.json": JSON without a key: neither a JWK, nor a JWKS, nor client_id and secret
		`},
		{"a file where a directory is expected", map[string]string{"~/.superfacility": "x", "~/sfapi": "x"}, `
			! "~/.superfacility": it is not a directory
		`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			for name, content := range tt.files {
				w.write(name, content)
			}
			w.want(w.find(w.search()), tt.want)
		})
	}
}

// Of two client IDs none is guessed, unless one of them is nearer to the key.
func TestClientIDs(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"two files that agree", map[string]string{
			"~/.sfapi/priv_key.pem": pkcs1(),
			"~/.sfapi/client_id":    id,
			"~/.sfapi/clientid.txt": id,
		}, `
			"~/.sfapi/priv_key.pem" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123 by "~/.sfapi/clientid.txt"
		`},
		{"two files that do not", map[string]string{
			"~/.sfapi/priv_key.pem": pkcs1(),
			"~/.sfapi/priv_key.jwk": jwk("rsa"),
			"~/.sfapi/client_id":    id,
			"~/.sfapi/clientid.txt": id2,
		}, `
			"~/.sfapi/priv_key.pem" RSA 2048 rsa (PKCS#1 PEM)
				several client IDs: zyxwvutsrq987 in "~/.sfapi/clientid.txt", abcdefghij123 in "~/.sfapi/client_id"
				"~/.sfapi/priv_key.jwk" holds the same key
		`},
		{"one that has none", map[string]string{
			"~/.sfapi/priv_key.pem": pkcs1(),
			"~/.sfapi/client_id":    id,
			"~/.sfapi/clientid.txt": "two words",
		}, `
			"~/.sfapi/priv_key.pem" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123 by "~/.sfapi/client_id"
				"~/.sfapi/clientid.txt" has no client ID in it
		`},
		{"only one that has none", map[string]string{
			"~/.sfapi/priv_key.pem": pkcs1(),
			"~/.sfapi/client_id":    strings.Repeat("x", 2000),
		}, `
			"~/.sfapi/priv_key.pem" RSA 2048 rsa (PKCS#1 PEM)
				"~/.sfapi/client_id" has no client ID in it
				no client ID was found beside it
		`},
		{"the key file's own is followed", map[string]string{
			"~/.sfapi/priv_key.pem": id + "\n" + pkcs1(),
			"~/.sfapi/client_id":    id2,
		}, `
			"~/.sfapi/priv_key.pem" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123
				"~/.sfapi/client_id" says another client ID, zyxwvutsrq987
		`},
		{"a name is only that", map[string]string{
			"~/.sfapi/old-" + id2 + ".pem": id + "\n" + pkcs1(),
		}, `
			"~/.sfapi/old-zyxwvutsrq987.pem" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123
		`},
		{"another name, and no other key", map[string]string{
			"~/.sfapi/key.pem":   pkcs1(),
			"~/.sfapi/key.jwk":   jwk("rsa"),
			"~/.sfapi/blue.pem":  id2 + "\n" + pkcs8("ed"),
			"~/.sfapi/client_id": id,
		}, `
			"~/.sfapi/blue.pem" Ed25519 256 ed (PKCS#8 PEM) of zyxwvutsrq987
			"~/.sfapi/key.pem" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123 by "~/.sfapi/client_id"
				the client ID is taken from "~/.sfapi/client_id"
				"~/.sfapi/key.jwk" holds the same key
		`},
		{"other names, and several keys", map[string]string{
			"~/.sfapi/a.pem":     pkcs1(),
			"~/.sfapi/b.pem":     pkcs8("ed"),
			"~/.sfapi/c.pem":     pkcs8("ec"),
			"~/.sfapi/client_id": id,
		}, `
			"~/.sfapi/a.pem" RSA 2048 rsa (PKCS#1 PEM)
				it is not clear whose client ID is in "~/.sfapi/client_id"
			"~/.sfapi/b.pem" Ed25519 256 ed (PKCS#8 PEM)
				it is not clear whose client ID is in "~/.sfapi/client_id"
			"~/.sfapi/c.pem" EC 256 ec (PKCS#8 PEM)
				it is not clear whose client ID is in "~/.sfapi/client_id"
		`},
		{"another name beside priv_key.pem", map[string]string{
			"~/.sfapi/key.pem":      pkcs8("ed"),
			"~/.sfapi/priv_key.pem": pkcs1(),
			"~/.sfapi/client_id":    id,
		}, `
			"~/.sfapi/key.pem" Ed25519 256 ed (PKCS#8 PEM)
				no client ID was found beside it
			"~/.sfapi/priv_key.pem" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123 by "~/.sfapi/client_id"
		`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			for name, content := range tt.files {
				w.write(name, content)
			}
			w.want(w.find(w.search()), tt.want)
		})
	}
}

// What the user names is looked at whatever its name, and nothing else is.
func TestPaths(t *testing.T) {
	w := newWorld(t)
	w.env = map[string]string{"SFAPI_SECRET": jwk("ed"), "SFAPI_CLIENT_ID": id2}
	for name, content := range map[string]string{
		"~/.superfacility/key.pem": id + "\n" + pkcs8("ec"),
		"./secret/jwk":             jwk("rsa"), // vk-provider-nersc's Secret
		"./secret/client_id":       id,
		"./odd":                    "the quick brown fox",
		"./key":                    id2 + "\n" + pkcs8("ed"),
		"./empty/notes.txt":        "x",
		"./broken/x.pem":           "x",
		"~/.ssh/id_ed25519":        pkcs8("ed"),
	} {
		w.write(name, content)
	}
	tests := []struct {
		paths []string
		want  string
	}{
		{[]string{"key", w.path("./secret")}, `
			"./key" Ed25519 256 ed (PKCS#8 PEM) of zyxwvutsrq987
			"./secret/jwk" RSA 2048 rsa (JWK) of abcdefghij123 by "./secret/client_id"
				the client ID is taken from "./secret/client_id"
		`},
		{[]string{"./secret/jwk", "secret", "secret/../secret"}, `
			"./secret/jwk" RSA 2048 rsa (JWK) of abcdefghij123 by "./secret/client_id"
				the client ID is taken from "./secret/client_id"
		`},
		{[]string{"odd", "missing", "empty", "broken", "missing"}, `
			! "./odd": neither PEM nor JSON
			! "./missing": there is no such file
			! "./empty": a directory without a private key
			! "./broken/x.pem": neither PEM nor JSON
		`},
		{[]string{w.path("~/.ssh")}, `
			! "~/.ssh": here only aqdrop-sfapi-* is looked at: name the file itself
		`},
		{[]string{w.path("~/.ssh/id_ed25519")}, `
			"~/.ssh/id_ed25519" Ed25519 256 ed (PKCS#8 PEM)
				no client ID was found beside it
		`},
	}
	for _, tt := range tests {
		s := w.search()
		s.Paths = tt.paths
		w.want(w.find(s), tt.want)
	}
}

// Where home is the working directory, each is told once.
func TestHomeIsTheWorkingDirectory(t *testing.T) {
	w := newWorld(t)
	w.write("~/priv_key.pem", id+"\n"+pkcs1())
	w.write("~/sf_api.json", "{}")
	w.write("~/.auth", "x")
	s := w.search()
	s.Dir = s.Home
	w.want(w.find(s), `
			"~/priv_key.pem" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123
			! "~/.auth": it is not a directory
			! "~/sf_api.json": JSON without a key: neither a JWK, nor a JWKS, nor client_id and secret
	`)
}

func TestNowhereToLook(t *testing.T) {
	found, problems, err := Search{}.Find(t.Context())
	if found != nil || problems != nil || err != nil {
		t.Errorf("got %v, %v, %v, want nothing", found, problems, err)
	}
}

// A search leaves everything as it was, also what it cannot make sense of.
func TestChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.write("~/.superfacility/priv_key.pem", pkcs1())
	w.write("~/.superfacility/clientid.txt", "client_id = "+id)
	w.write("~/.superfacility/broken.pem", "x")
	w.write("./sf_api.json", clientJSON(id2, "jwk", "ed"))
	state := func() string {
		var text strings.Builder
		for _, root := range []string{w.home, w.dir} {
			err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
				if err != nil {
					return err
				}
				info, err := d.Info()
				if err != nil {
					return err
				}
				data, _ := os.ReadFile(path) // none of a directory
				fmt.Fprintf(&text, "%s %v %v %q\n", path, info.Mode(), info.ModTime(), data)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		return text.String()
	}
	before := state()
	if found, _, err := w.search().Find(t.Context()); len(found) != 2 || err != nil {
		t.Fatalf("got %v, %v, want two keys", found, err)
	}
	if after := state(); after != before {
		t.Errorf("got\n%s\nwant\n%s", after, before)
	}
}

// Every format that jose reads is found under whatever name, and everything
// that it refuses is told.
func TestFormats(t *testing.T) {
	// Why these are refused shows only after their passphrase.
	closed := []string{"refused.encrypted-pkcs8-k1.pem", "refused.legacy-encrypted-k1.pem", "refused.legacy-encrypted-camellia.pem"}
	fixtures, err := filepath.Glob("../jose/testdata/*.pem")
	if err != nil || len(fixtures) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	w := newWorld(t)
	want := map[string]string{}
	for _, path := range fixtures {
		name := filepath.Base(path)
		w.write("~/.superfacility/"+name+".txt", fixture(t, name))
		want[name] = "key"
		if strings.HasPrefix(name, "refused.") && !slices.Contains(closed, name) {
			want[name] = "problem"
		}
	}
	found, problems, err := w.search().Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	tell := func(path, what string) { got[strings.TrimSuffix(filepath.Base(path), ".txt")] = what }
	for _, f := range found {
		tell(f.Path, "key")
		if f.Encrypted != strings.HasPrefix(f.Format, "encrypted") || f.Encrypted != (f.Fingerprint == "") {
			t.Errorf("%s: got encrypted %t, format %q, fingerprint %q", f.Path, f.Encrypted, f.Format, f.Fingerprint)
		}
		for _, warning := range f.Warnings { // fixtures have keys in common
			if path, ok := strings.CutSuffix(warning, `" holds the same key`); ok {
				tell(path, "key")
			}
		}
	}
	for _, p := range problems {
		tell(p.Path, "problem")
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
