package main

import (
	"os"
	"path/filepath"
	"testing"

	"sfcred/helper/sfapitest"
)

// TestRealSetup has sfcred connect each program for whose protocol it has a
// helper, which then gets what is private, and disconnect it again, whereupon it
// does not.
func TestRealSetup(t *testing.T) {
	sfcred := release(t)
	for tool, c := range map[string]realClient{"git": setUpRealGit(), "go": setUpRealGo(), "cargo": setUpRealCargo(), "terraform": setUpRealTerraform()} {
		t.Run(tool, func(t *testing.T) {
			realParts(t, c.needs...)
			if c.here != nil {
				c.here(t)
			}
			u := newClientUser(t, sfcred, c)
			u.works("sfcred", "setup", tool, "--write")
			u.gets(c, 1)
			u.works("sfcred", "setup", tool, "--remove")
			u.failsToGet(c, u.ours, c.foreign)
		})
	}
}

// setUpRealGit has git know of the authority alone.
func setUpRealGit() realClient {
	c := realGit()
	c.setUp = func(u *clientUser) {
		u.write("home/.gitconfig", []byte("[http]\n\tsslCAInfo = "+u.path("ca.pem")+"\n"))
		u.env = append(u.env, "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1")
	}
	return c
}

// setUpRealGo has a file for what go env keeps.
func setUpRealGo() realClient {
	c := realGo()
	c.setUp = func(u *clientUser) {
		u.env = append(u.env, "GOENV="+u.path("home", "goenv"), "GONOSUMDB=example.org", "SSL_CERT_FILE="+u.path("ca.pem"),
			"GOTOOLCHAIN=local", "GOFLAGS=-modcacherw", "GOCACHE="+u.path("home", "cache"))
	}
	return c
}

// setUpRealCargo has the list for all registries, which is written into the home
// that all of them share; each run has one of its own.
func setUpRealCargo() realClient {
	c := cargoBy(func(u *clientUser, _ *sfapitest.Server, home string) string {
		text, err := os.ReadFile(u.onDisk("home", ".cargo", "config.toml"))
		if err != nil {
			return ""
		}
		return "\n" + string(text)
	})
	c.setUp = func(*clientUser) {}
	c.foreign = `authenticated registries require a credential-provider to be configured`
	return c
}

// setUpRealTerraform has nothing at all.
func setUpRealTerraform() realClient {
	c := realTerraform()
	c.setUp = func(u *clientUser) {
		check(u.T, os.WriteFile(filepath.Join(u.path("home"), ".terraformrc"), []byte("disable_checkpoint = true\n"), 0o600))
		u.env = append(u.env, "SSL_CERT_FILE="+u.path("ca.pem"), "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1")
	}
	return c
}
