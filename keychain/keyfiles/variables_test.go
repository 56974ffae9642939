package keyfiles

import (
	"strings"
	"testing"
)

func TestVariables(t *testing.T) {
	oneLine := func(pem string) string { return strings.ReplaceAll(pem, "\n", `\n`) }
	tests := []struct {
		name  string
		files map[string]string
		env   map[string]string
		want  string
	}{
		{"PEM", nil, map[string]string{"SFAPI_CLIENT_ID": id, "SFAPI_CLIENT_SECRET": pkcs1()}, `
			SFAPI_CLIENT_SECRET RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123
		`},
		{`PEM with \n written out, in quotes`, nil, map[string]string{"SFAPI_CLIENT_ID": id, "SFAPI_PRIVATE_KEY": `"` + oneLine(pkcs1()) + `"`}, `
			SFAPI_PRIVATE_KEY RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123
		`},
		{"JWK", nil, map[string]string{"SFAPI_CLIENT_ID": id, "SFAPI_SECRET": "'" + jwk("rsa") + "'"}, `
			SFAPI_SECRET RSA 2048 rsa (JWK) of abcdefghij123
		`},
		{"JSON with its client ID", nil, map[string]string{"SFAPI_PRIVATE_KEY_JSON": clientJSON(id, "secret", "ed")}, `
			SFAPI_PRIVATE_KEY_JSON Ed25519 256 ed (client JSON) of abcdefghij123
		`},
		{"JWK and PEM of one key", nil, map[string]string{"SFAPI_CLIENT_ID": id, "SFAPI_SECRET": jwk("rsa"), "SFAPI_PRIVATE_KEY": pkcs1()}, `
			SFAPI_PRIVATE_KEY RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123
				SFAPI_SECRET holds the same key
		`},
		{"without client ID", nil, map[string]string{"SFAPI_PRIVATE_KEY_JWK": jwk("rsa")}, `
			SFAPI_PRIVATE_KEY_JWK RSA 2048 rsa (JWK)
				no client ID was found in the environment
		`},
		{"with one that is none", nil, map[string]string{"SFAPI_CLIENT_ID": "my client", "SFAPI_SECRET": jwk("rsa")}, `
			SFAPI_SECRET RSA 2048 rsa (JWK)
				SFAPI_CLIENT_ID has no client ID in it
				no client ID was found in the environment
		`},
		{"each group has its own", nil, map[string]string{
			"SFAPI_CLIENT_ID": id, "SUPERFACILITY_CLIENT_ID": id2,
			"SFAPI_SECRET": jwk("rsa"), "SUPERFACILITY_SECRET": pkcs8("ed"), "NERSC_SFAPI_PRIVATE_KEY": pkcs8("ec"),
		}, `
			SFAPI_SECRET RSA 2048 rsa (JWK) of abcdefghij123
				the same client ID as the key in NERSC_SFAPI_PRIVATE_KEY
			NERSC_SFAPI_PRIVATE_KEY EC 256 ec (PKCS#8 PEM) of abcdefghij123
				the same client ID as the key in SFAPI_SECRET
			SUPERFACILITY_SECRET Ed25519 256 ed (PKCS#8 PEM) of zyxwvutsrq987
		`},
		{"encrypted", nil, map[string]string{"SFAPI_CLIENT_ID": id, "SFAPI_SECRET": fixture(t, "rsa.encrypted-pkcs8.pem")}, `
			SFAPI_SECRET encrypted (encrypted PKCS#8 PEM) of abcdefghij123
		`},

		{"path", map[string]string{"~/odd": pkcs1()}, map[string]string{"SFAPI_CLIENT_ID": id, "SFAPI_PRIVATE_KEY_PATH": "~/odd"}, `
			"~/odd" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123
				SFAPI_PRIVATE_KEY_PATH names it
		`},
		{"path in a variable of the key, relative", map[string]string{"./odd": pkcs1()}, map[string]string{"SFAPI_CLIENT_ID": id, "SFAPI_SECRET": "odd"}, `
			"./odd" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123
				SFAPI_SECRET names it
		`},
		{"~ and quotes that no shell has seen", map[string]string{"~/odd": pkcs1()}, map[string]string{"NERSC_SFAPI_CLIENT_ID": id, "NERSC_SFAPI_PRIVATE_KEY_PATH": `"~/odd"`}, `
			"~/odd" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123
				NERSC_SFAPI_PRIVATE_KEY_PATH names it
		`},
		{"key in a variable of the path", nil, map[string]string{"SFAPI_CLIENT_ID": id, "SFAPI_PRIVATE_KEY_FILE": pkcs1()}, `
			SFAPI_PRIVATE_KEY_FILE RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123
		`},
		{"files for both", map[string]string{"~/i": id + "\n", "~/k": jwk("rsa")}, map[string]string{"PATH_NERSC_CLIENT_ID": "~/i", "PATH_NERSC_PRI_KEY": "~/k"}, `
			"~/k" RSA 2048 rsa (JWK) of abcdefghij123 by "~/i"
				PATH_NERSC_PRI_KEY names it
		`},
		{"files for both, otherwise", map[string]string{"~/i": id, "~/k": jwk("rsa")}, map[string]string{"SFAPI_CLIENT_ID_FILE": "~/i", "SFAPI_PRIVATE_KEY_JWK_FILE": "~/k"}, `
			"~/k" RSA 2048 rsa (JWK) of abcdefghij123 by "~/i"
				SFAPI_PRIVATE_KEY_JWK_FILE names it
		`},
		{"a file of the client ID that is not there", map[string]string{"~/k": jwk("rsa")}, map[string]string{"PATH_NERSC_ID": "~/i", "PATH_NERSC_PRI_KEY": "~/k"}, `
			"~/k" RSA 2048 rsa (JWK)
				PATH_NERSC_ID: there is no such file
				no client ID was found beside it
				PATH_NERSC_PRI_KEY names it
		`},
		{"radical", map[string]string{"~/.amsc/sfapi_key_x.pem": pkcs1()}, map[string]string{"SFAPI_CLIENT_ID": id}, `
			"~/.amsc/sfapi_key_x.pem" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123
		`},

		{"path of what a layout has", map[string]string{
			"~/.superfacility/priv_key.pem": pkcs1(),
			"~/.superfacility/clientid.txt": id,
		}, map[string]string{"SFAPI_CLIENT_ID": id, "SFAPI_KEY_PATH": "~/.superfacility/priv_key.pem", "SUPERFACILITY_KEY_PATH": "~/.superfacility/../.superfacility/priv_key.pem"}, `
			"~/.superfacility/priv_key.pem" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123 by "~/.superfacility/clientid.txt"
				SFAPI_KEY_PATH names it
				SUPERFACILITY_KEY_PATH names it
		`},
		{"and does not agree with it", map[string]string{
			"~/.superfacility/priv_key.pem": pkcs1(),
			"~/.superfacility/clientid.txt": id,
		}, map[string]string{"SFAPI_CLIENT_ID": id2, "SFAPI_KEY_PATH": "~/.superfacility/priv_key.pem"}, `
			"~/.superfacility/priv_key.pem" RSA 2048 rsa (PKCS#1 PEM)
				several client IDs: zyxwvutsrq987 in SFAPI_CLIENT_ID, abcdefghij123 in "~/.superfacility/clientid.txt"
				SFAPI_KEY_PATH names it
		`},
		{"variables that do not agree, against the key's name", map[string]string{
			"~/i":                 id,
			"~/x-" + id2 + ".pem": pkcs1(),
		}, map[string]string{"SFAPI_CLIENT_ID": id2, "SFAPI_CLIENT_ID_FILE": "~/i", "SFAPI_KEY_PATH": "~/x-" + id2 + ".pem"}, `
			"~/x-zyxwvutsrq987.pem" RSA 2048 rsa (PKCS#1 PEM)
				several client IDs: zyxwvutsrq987 in SFAPI_CLIENT_ID, abcdefghij123 in SFAPI_CLIENT_ID_FILE
				SFAPI_KEY_PATH names it
		`},
		{"a variable against the key's name, and its first line", map[string]string{
			"~/x-" + id2 + ".pem": pkcs1(),
			"~/y.pem":             id2 + "\n" + pkcs8("ed"),
		}, map[string]string{"SFAPI_CLIENT_ID": id, "SFAPI_KEY_PATH": "~/x-" + id2 + ".pem", "SFAPI_PRIVATE_KEY_PATH": "~/y.pem"}, `
			"~/y.pem" Ed25519 256 ed (PKCS#8 PEM) of zyxwvutsrq987
				SFAPI_CLIENT_ID says another client ID, abcdefghij123
				SFAPI_PRIVATE_KEY_PATH names it
			"~/x-zyxwvutsrq987.pem" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123
				the name "x-zyxwvutsrq987.pem" says another client ID, zyxwvutsrq987
				SFAPI_KEY_PATH names it
		`},
		{"the same key in a variable and a file", map[string]string{"~/.superfacility/key.pem": id + "\n" + pkcs1()}, map[string]string{"SFAPI_CLIENT_ID": id, "SFAPI_SECRET": jwk("rsa")}, `
			"~/.superfacility/key.pem" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123
				the same key as in SFAPI_SECRET
			SFAPI_SECRET RSA 2048 rsa (JWK) of abcdefghij123
				the same key as in "~/.superfacility/key.pem"
		`},

		{"problems", map[string]string{"~/public": public()}, map[string]string{
			"SFAPI_SECRET":           "hunter2",
			"SFAPI_CLIENT_SECRET":    strings.Repeat("A", 5000),
			"SFAPI_PRIVATE_KEY":      public(),
			"SFAPI_PRIVATE_KEY_PATH": "~/public",
			"SFAPI_PRIVATE_KEY_FILE": "~/missing",
			"SFAPI_PRIVATE_KEY_JWK":  "{",
			"SFAPI_KEY_PATH":         "~/",
			"SFAPI_JSON":             "x\x00y",
			"PATH_NERSC_PRI_KEY":     " ",
		}, `
			! SFAPI_SECRET: it holds neither a key nor the name of a file
			! SFAPI_CLIENT_SECRET: it holds neither a key nor the name of a file
			! SFAPI_PRIVATE_KEY: a public key, not a private key
			! "~/public": a public key, not a private key (SFAPI_PRIVATE_KEY_PATH)
			! SFAPI_PRIVATE_KEY_FILE: it holds neither a key nor the name of a file
			! SFAPI_PRIVATE_KEY_JWK: malformed JSON
			! "~": it is a directory (SFAPI_KEY_PATH)
			! SFAPI_JSON: it holds neither a key nor the name of a file
		`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.env = tt.env
			for name, content := range tt.files {
				w.write(name, content)
			}
			w.want(w.find(w.search()), tt.want)
		})
	}
}

// Every variable of the table takes a key and a path.
func TestEveryVariable(t *testing.T) {
	all, _ := keyVariables()
	for _, v := range all {
		for _, value := range []string{pkcs8("ed"), "~/k"} {
			w := newWorld(t)
			w.write("~/k", pkcs8("ed"))
			w.write("~/i", id)
			w.env[v.name] = value
			w.env[v.ids[0]] = id
			if strings.HasPrefix(v.ids[0], "PATH_") {
				w.env[v.ids[0]] = "~/i"
			}
			found, problems, err := w.search().Find(t.Context())
			if len(found) != 1 || found[0].ClientID != id || problems != nil || err != nil {
				t.Errorf("%s: got %v, %v, %v, want one key with its client ID", v.name, found, problems, err)
			}
		}
	}
}

func TestText(t *testing.T) {
	w := newWorld(t)
	w.env["SFAPI_SECRET"] = pkcs8("ed")
	w.write("~/priv_key.pem", pkcs1())
	found, _, err := w.search().Find(t.Context())
	if err != nil || len(found) != 2 {
		t.Fatalf("got %v, %v, want two keys", found, err)
	}
	if text := found[0].Text(); text != nil {
		t.Errorf("of a file: got %d bytes, want none", len(text))
	}
	if text := string(found[1].Text()); text != strings.TrimSpace(pkcs8("ed")) {
		t.Error("of a variable: got another text than its own")
	}
}
