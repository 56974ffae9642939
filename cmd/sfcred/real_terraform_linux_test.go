package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"sfcred/helper/sfapitest"
)

// realTerraform is Terraform, with a private module registry. It is not in
// Debian, nor can it be had from a registry that these tests may ask.
func realTerraform() realClient {
	return realClient{
		here: func(t *testing.T) {
			if _, err := exec.LookPath("terraform"); err != nil {
				t.Skip("needs terraform, which Debian does not have")
			}
		},
		serve: serveTerraform,
		setUp: func(u *clientUser) {
			plugins := u.path("home", ".terraform.d", "plugins")
			check(u.T, os.MkdirAll(plugins, 0o700))
			check(u.T, os.Symlink(u.path("bin", "sfcred"), filepath.Join(plugins, "terraform-credentials-sfcred")))
			u.write("home/.terraformrc", []byte("credentials_helper \"sfcred\" {\n  args = []\n}\n"))
			u.env = append(u.env, "SSL_CERT_FILE="+u.path("ca.pem"), "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1")
		},
		get: func(u *clientUser, server *sfapitest.Server) (outcome, string) {
			dir, err := os.MkdirTemp(u.path("tmp"), "terraform-")
			check(u.T, err)
			main := "module \"private\" {\n  source  = \"" + addressOf(server) + "/lab/private/none\"\n  version = \"1.0.0\"\n}\n"
			check(u.T, os.WriteFile(filepath.Join(dir, "main.tf"), []byte(main), 0o600))
			o := u.do("terraform", "-chdir="+dir, "get", "-no-color")
			text, _ := os.ReadFile(filepath.Join(dir, ".terraform", "modules", "private", "README"))
			return o, string(text)
		},
		foreign: `401 Unauthorized`,
		down:    `401 Unauthorized`,
		revoked: `401 Unauthorized`,
		without: true,
	}
}

// serveTerraform is a registry with one module
// (https://developer.hashicorp.com/terraform/internals/module-registry-protocol).
func serveTerraform(t *testing.T, server *sfapitest.Server) {
	t.Helper()
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "README"), []byte(privateText), 0o600))
	give := func(path, body string) {
		server.Protect("GET "+path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, body)
		}))
	}
	give("/.well-known/terraform.json", `{"modules.v1":"/modules/v1/"}`)
	give("/modules/v1/lab/private/none/versions", `{"modules":[{"versions":[{"version":"1.0.0"}]}]}`)
	// What the registry points to Terraform gets without a token.
	server.Protect("GET /modules/v1/lab/private/none/1.0.0/download", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Terraform-Get", "file://"+dir)
		w.WriteHeader(http.StatusNoContent)
	}))
}
