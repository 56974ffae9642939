package main

import (
	"archive/zip"
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"testing"

	"sfcred/helper/sfapitest"
)

// realGo is the go command that these tests are run by, with a private module
// proxy.
func realGo() realClient {
	return realClient{
		needs: []string{"go"},
		serve: serveModules,
		setUp: func(u *clientUser) {
			u.env = append(u.env, "GOAUTH=sfcred helper go", "GONOSUMDB=example.org", "SSL_CERT_FILE="+u.path("ca.pem"),
				"GOTOOLCHAIN=local", "GOFLAGS=-modcacherw", "GOENV=off", "GOCACHE="+u.path("home", "cache"))
		},
		get: func(u *clientUser, server *sfapitest.Server) (outcome, string) {
			cache, err := os.MkdirTemp(u.onDisk("tmp"), "modules-")
			check(u.T, err)
			o := u.with("GOPROXY="+server.URL+"/modules", "GOMODCACHE="+cache).do("go", "mod", "download", "example.org/private@v1.0.0")
			text, _ := os.ReadFile(filepath.Join(cache, "example.org", "private@v1.0.0", "README"))
			return o, string(text)
		},
		foreign: `go: example\.org/private@v1\.0\.0: .*401 Unauthorized\n`,
		down:    `go: example\.org/private@v1\.0\.0: .*401 Unauthorized\n`,
		revoked: `go: example\.org/private@v1\.0\.0: .*401 Unauthorized\n`,
		without: true,
		many: func(u *clientUser) outcome {
			o, _ := realGo().get(u, u.ours)
			return o
		},
	}
}

// serveModules is a module proxy with one module ("go help goproxy").
func serveModules(t *testing.T, server *sfapitest.Server) {
	t.Helper()
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	const mod = "module example.org/private\n"
	for name, text := range map[string]string{"go.mod": mod, "README": privateText} {
		w, err := z.Create("example.org/private@v1.0.0/" + name)
		check(t, err)
		_, err = w.Write([]byte(text))
		check(t, err)
	}
	check(t, z.Close())
	files := map[string][]byte{
		"list": []byte("v1.0.0\n"), "v1.0.0.info": []byte(`{"Version":"v1.0.0"}`), "v1.0.0.mod": []byte(mod), "v1.0.0.zip": archive.Bytes(),
	}
	server.Protect("/modules/example.org/private/@v/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := files[path.Base(r.URL.Path)]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
		}
		fmt.Fprintf(w, "%s", text)
	}))
}
