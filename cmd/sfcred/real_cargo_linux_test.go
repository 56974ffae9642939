package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"sfcred/helper/sfapitest"
)

// realCargo is Cargo 1.85, with a private sparse registry.
func realCargo() realClient {
	c := cargoBy(func(*clientUser, *sfapitest.Server, string) string { return `credential-provider = ["sfcred-cargo"]` })
	c.foreign = `no credential providers could handle the request`
	c.down = `sfcred: error: .*\n(sfcred: .*\n)*(?s:.*)credential provider .sfcred-cargo. failed action .get.`
	get := c.get
	c.many = func(u *clientUser) outcome {
		o, _ := get(u, u.ours)
		return o
	}
	return c
}

// realCargoStdout is Cargo without the link, with a provider of its own that
// takes the header from a command.
func realCargoStdout() realClient {
	c := cargoBy(func(_ *clientUser, server *sfapitest.Server, _ string) string {
		return `credential-provider = ["cargo:token-from-stdout", "sfcred", "header", "--value", "--url", "` + server.URL + `/"]`
	})
	c.foreign = `sfcred: error: .*no token for this host`
	c.down = `sfcred: error: `
	return c
}

// cargoBy is Cargo with a line for a registry, which may be empty where what is
// in Cargo's home does without.
func cargoBy(provider func(u *clientUser, server *sfapitest.Server, home string) string) realClient {
	return realClient{
		trixie: true,
		serve:  serveCrates,
		setUp:  func(u *clientUser) { u.works("ln", "-s", "sfcred", u.path("bin", "sfcred-cargo")) },
		get: func(u *clientUser, server *sfapitest.Server) (outcome, string) {
			dir, err := os.MkdirTemp(u.onDisk("tmp"), "cargo-")
			check(u.T, err)
			name := filepath.Join("tmp", filepath.Base(dir))
			for _, folder := range []string{"home", "project", "project/src"} {
				check(u.T, os.Mkdir(filepath.Join(dir, folder), 0o700))
			}
			u.write(filepath.Join(name, "home", "config.toml"), []byte(`[registries.lab]
index = "sparse+`+server.URL+`/index/"
`+provider(u, server, u.path(name, "home"))+`

[http]
cainfo = "`+u.path("ca.pem")+"\"\n"))
			u.write(filepath.Join(name, "project", "Cargo.toml"), []byte(`[package]
name = "project"
version = "0.1.0"
edition = "2021"

[dependencies]
private = { version = "1.0.0", registry = "lab" }
`))
			u.write(filepath.Join(name, "project", "src", "lib.rs"), nil)
			o := u.with("CARGO_HOME="+u.path(name, "home")).do("/usr/bin/cargo", "fetch", "--manifest-path", u.path(name, "project", "Cargo.toml"))
			sources, _ := filepath.Glob(filepath.Join(dir, "home", "registry", "src", "*", "private-1.0.0", "src", "lib.rs"))
			if len(sources) != 1 {
				return o, ""
			}
			text, err := os.ReadFile(sources[0])
			check(u.T, err)
			return o, string(text)
		},
		revoked: `failed to get successful HTTP response from .*, got 401`,
		without: true,
	}
}

// serveCrates is a sparse registry with one crate
// (https://doc.rust-lang.org/cargo/reference/registry-index.html).
func serveCrates(t *testing.T, server *sfapitest.Server) {
	t.Helper()
	var crate bytes.Buffer
	zipped := gzip.NewWriter(&crate)
	archive := tar.NewWriter(zipped)
	for name, text := range map[string]string{
		"Cargo.toml": "[package]\nname = \"private\"\nversion = \"1.0.0\"\nedition = \"2021\"\n",
		"src/lib.rs": "// " + privateText + "\n",
	} {
		check(t, archive.WriteHeader(&tar.Header{Name: "private-1.0.0/" + name, Mode: 0o644, Size: int64(len(text))}))
		_, err := archive.Write([]byte(text))
		check(t, err)
	}
	check(t, archive.Close())
	check(t, zipped.Close())
	give := func(path string, body []byte) {
		server.Protect("GET "+path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(body) }))
	}
	give("/index/config.json", fmt.Appendf(nil, `{"dl":"%s/crates/{crate}-{version}","auth-required":true}`, server.URL))
	give("/index/pr/iv/private", fmt.Appendf(nil, `{"name":"private","vers":"1.0.0","deps":[],"cksum":"%x","features":{},"yanked":false}`+"\n", sha256.Sum256(crate.Bytes())))
	give("/crates/private-1.0.0", crate.Bytes())
}
