//go:build kill

package main

import (
	"bytes"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sfcred/helper"
	"sfcred/keychain"
	"sfcred/keychain/disk/disktest"
)

// thin gives one in n, which the packages' own tests give all of.
func thin(damages iter.Seq2[string, []byte], n int) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		i := 0
		for what, damaged := range damages {
			if i++; i%n == 0 && !yield(what, damaged) {
				return
			}
		}
	}
}

// TestRealDamagedConfig gives each command a damaged config. It must be refused
// with its file and line, and nothing be changed: not the config, nor a key.
func TestRealDamagedConfig(t *testing.T) {
	t.Parallel()
	v := newVictim(t, release(t))
	v.seed("*test third ec@keychain +other@keychain; second first key@file")
	check(t, v.config().Update(t.Context(), func(c *helper.Config) error {
		c.Unfinished = []string{"file:" + keychain.NewID()}
		pem := *c.Profiles["second"]
		pem.Store, pem.KeyID, pem.KeyFile, pem.Expires = keychain.StorePEM, "", v.path("key.pem"), time.Now().Add(48*time.Hour)
		agent := pem
		agent.Store, agent.KeyFile = keychain.StoreAgent, ""
		command := pem
		command.Store, command.KeyFile, command.Command, command.Shell = keychain.StoreCommand, "", "cat "+v.path("key.pem"), true
		c.Profiles["pem"], c.Profiles["agent"], c.Profiles["command"] = &pem, &agent, &command
		return nil
	}))
	commands := [][]string{
		{"login", "-p", "test", "--client-id", "third", "--key", "ec.pem", "--replace"},
		{"login", "-p", "test", "--client-id", "second"},
		{"login", "-p", "new", "--client-id", "third", "--key", "ec.pem", "--token-url", v.server.TokenURL},
		{"keygen", "-p", "test"}, {"keygen", "-p", "new", "--store", "file"},
		{"edit", "test", "--host", "+x.example"}, {"edit", "test", "--store", "file"}, {"edit", "test", "--rename", "other"},
		{"remove", "--yes", "test"}, {"remove", "--yes", "--orphans"}, {"use", "pem"}, {"import", "--all", "--store", "file"},
		{"unlock", "second", "--agent"}, {"status"}, {"list"}, {"token"}, {"header", "--force"}, {"assertion"},
		{"curl", "/api"}, {"exec", "--", "true"}, {"helper", "bazel", "get"}, {"helper", "kubectl"},
	}
	good, err := os.ReadFile(string(v.config()))
	check(t, err)
	before := fmt.Sprint(v.stored())
	refused, readable, n, changed, silent := map[string]int{}, 0, 0, 0, 0
	for what, text := range thin(disktest.All(good), 67) {
		_, err := helper.ParseConfig(string(v.config()), text)
		if err == nil {
			readable++
			continue
		}
		check(t, os.WriteFile(string(v.config()), text, 0o600))
		args := commands[n%len(commands)]
		n++
		o := v.feed(`{"uri":"https://127.0.0.1/"}`, "sfcred", args...) // which bazel asks
		refused[args[0]]++
		if o.code == 0 || o.stdout != "" || !strings.Contains(o.stderr, err.Error()) {
			silent++
			t.Errorf("%s, sfcred %s: exit code %d, standard output %q, standard error %q; want %q", what, strings.Join(args, " "), o.code, o.stdout, o.stderr, err)
		}
		if now, err := os.ReadFile(string(v.config())); err != nil || !bytes.Equal(now, text) || fmt.Sprint(v.stored()) != before {
			changed++
			t.Errorf("%s: sfcred %s has changed the config or a key", what, strings.Join(args, " "))
		}
	}
	var counts []string
	for _, command := range slices.Sorted(maps.Keys(refused)) {
		counts = append(counts, fmt.Sprintf("%s %d", command, refused[command]))
	}
	t.Logf("config.toml, %d bytes: %d damaged configs given to a command (%s), %d left out that are read as another config; not refused: %d, changed nonetheless: %d",
		len(good), n, strings.Join(counts, ", "), readable, silent, changed)
	check(t, os.WriteFile(string(v.config()), good, 0o600))
	v.answers("token")
}

// TestRealDamagedCache damages what is in the cache. A token comes that the
// server gave after that, without a word.
func TestRealDamagedCache(t *testing.T) {
	t.Parallel()
	v := newVictim(t, release(t))
	v.seed("*test third ec@keychain")
	given := map[string]bool{v.answers("token"): true}
	files, err := filepath.Glob(v.path("run", "sfcred", "*.token"))
	check(t, err)
	if len(files) != 1 {
		t.Fatalf("the cache has the tokens %q, want one", files)
	}
	good, err := os.ReadFile(files[0])
	check(t, err)
	damages, wrong := 0, 0
	for what, text := range thin(disktest.All(good), 61) {
		check(t, os.WriteFile(files[0], text, 0o600))
		damages++
		before := v.server.Exchanges()
		token := v.answers("token")
		if given[token] || v.server.Exchanges() != before+1 || v.answers("token") != token {
			wrong++
			t.Errorf("%s: got a token of before, or not the one that was given", what)
		}
		given[token] = true
	}
	t.Logf("token cache file, %d bytes: %d damages, %d new tokens, wrong ones: %d", len(good), damages, len(given)-1, wrong)
}
