package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"sfcred/helper/sfapitest"
	"sfcred/integrations/pnpm"
)

// realPnpm is pnpm, which npm gets from its registry, with a private one of ours.
func realPnpm() realClient {
	return realClient{
		needs: []string{"node", "npm"},
		here: func(t *testing.T) {
			if os.Getenv("SFCRED_REAL") != "1" {
				t.Skip("needs pnpm, which npm gets from its registry only with SFCRED_REAL=1")
			}
		},
		serve: servePackages,
		setUp: func(u *clientUser) {
			check(u.T, os.CopyFS(u.path("pnpm"), os.DirFS(filepath.Join("testdata", "pnpm"))))
			install := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
			install.Dir = u.path("pnpm")
			if out, err := install.CombinedOutput(); err != nil {
				u.Fatalf("npm ci: %v\n%s", err, out)
			}
		},
		get: func(u *clientUser, server *sfapitest.Server) (outcome, string) {
			dir, err := os.MkdirTemp(u.path("tmp"), "pnpm-")
			check(u.T, err)
			os.Remove(u.path("home", ".npmrc"))
			u.works("sh", "-c", pnpm.Lines(u.entry(server)))
			for name, text := range map[string]string{
				".npmrc":       "registry=" + server.URL + "/npm/\ncafile=" + u.path("ca.pem") + "\nfetch-retries=0\nstore-dir=" + dir + "/store\ncache-dir=" + dir + "/cache\n",
				"package.json": `{"name":"project","version":"1.0.0","dependencies":{"private":"1.0.0"}}`,
			} {
				check(u.T, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
			}
			o := u.with("CI=true").do(u.path("pnpm", "node_modules", ".bin", "pnpm"), "--dir", dir, "install", "--ignore-scripts", "--no-frozen-lockfile")
			text, _ := os.ReadFile(filepath.Join(dir, "node_modules", "private", "README"))
			return o, string(text)
		},
		foreign: `ERR_PNPM_TOKEN_HELPER_ERROR_STATUS.* Exit code 3\n`,
		down:    `ERR_PNPM_TOKEN_HELPER_ERROR_STATUS.* Exit code 6\n`,
		revoked: `ERR_PNPM_FETCH_401.*Unauthorized - 401\n`,
	}
}

// servePackages is an npm registry with one package.
func servePackages(t *testing.T, server *sfapitest.Server) {
	t.Helper()
	var tarball bytes.Buffer
	zipped := gzip.NewWriter(&tarball)
	archive := tar.NewWriter(zipped)
	for name, text := range map[string]string{"package.json": `{"name":"private","version":"1.0.0"}`, "README": privateText} {
		check(t, archive.WriteHeader(&tar.Header{Name: "package/" + name, Mode: 0o644, Size: int64(len(text))}))
		_, err := archive.Write([]byte(text))
		check(t, err)
	}
	check(t, archive.Close())
	check(t, zipped.Close())
	sum := sha512.Sum512(tarball.Bytes())
	server.Protect("GET /npm/private", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"name":"private","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"private","version":"1.0.0","dist":{"tarball":"%s/npm/private/-/private-1.0.0.tgz","integrity":"sha512-%s"}}}}`,
			server.URL, base64.StdEncoding.EncodeToString(sum[:]))
	}))
	server.Protect("GET /npm/private/-/private-1.0.0.tgz", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(tarball.Bytes()) }))
}
