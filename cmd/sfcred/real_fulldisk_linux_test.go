//go:build kill

package main

import (
	"encoding/pem"
	"os"
	"strings"
	"testing"

	"sfcred/helper"
	"sfcred/keychain"
)

// diskCases are all commands that write to a disk. What several have in common
// fails in one of them.
var diskCases = []diskCase{
	killed("login", diskCase{judge: ofKeys}),
	killed("login and delete the source", diskCase{judge: ofKeys}, "config.toml$|source.pem"),
	killed("login with another key", diskCase{judge: ofKeys}),
	killed("login with another client", diskCase{judge: ofKeys}, "config.toml$"),
	killed("login with the pending key", diskCase{judge: ofKeys}),
	killed("keygen", diskCase{judge: ofKeys}),
	killed("keygen again", diskCase{judge: ofKeys}, "config.toml$"),
	{judge: ofPublicKey, seeded: noPublicKey, killCase: killCase{
		name: "keygen into a file", before: "*test first key@keychain", after: "*test first key@keychain +new@keychain", done: exitUsage,
		args: []string{"keygen", "--alg", "ES256", "--out", "public.pem"}}},
	killed("edit the store", diskCase{judge: ofKeys}),
	killed("edit the name", diskCase{judge: ofKeys}),
	killed("remove", diskCase{judge: ofKeys, seeded: warm}),
	// A new key file is slow to write and to open, as it should be.
	killed("login, in files", diskCase{judge: ofKeys}, "^(write|fsync|renameat) .*/keys/"),
	killed("login with another key, in files", diskCase{judge: ofKeys}, "^(renameat|unlinkat) .*/keys/"),
	killed("login with the pending key, in files", diskCase{judge: ofKeys}, "/keys/|config.toml$"),
	killed("remove, in files", diskCase{judge: ofKeys}, "/keys/|config.toml$"),
	{judge: ofKeys, did: expires, killCase: killCase{
		name: "edit the hosts and the expiry", before: "*test first key@keychain", after: "*test first key@keychain api.example",
		args: []string{"edit", "--host", "+api.example", "--expires", "2099-12-31"}}},
	{judge: ofKeys, killCase: killCase{
		name: "use", before: "*test first key@keychain; two second other@keychain", after: "test first key@keychain; *two second other@keychain",
		args: []string{"use", "two"}}},
	{judge: ofKeys, seeded: orphaned, did: noOrphan, killCase: killCase{
		name: "remove the orphans", before: "*test first key@keychain", after: "*test first key@keychain",
		args: []string{"remove", "--orphans"}}},
	{judge: ofKeys, seeded: withID, killCase: killCase{
		name: "import", before: "", after: "*test first key@keychain", only: "config.toml$|state.json$|exit",
		args: []string{"import", "-p", "test", "--all", "home/with-id.pem", "URL", "API"}}},

	{judge: ofAnswer, killCase: killCase{name: "token", args: []string{"token"}}},
	{judge: ofAnswer, seeded: warm, killCase: killCase{name: "token, once more", args: []string{"token", "--force"}}},
	{judge: ofAnswer, killCase: killCase{name: "header", args: []string{"header"}}},
	{judge: ofAnswer, killCase: killCase{name: "helper kubectl", args: []string{"helper", "kubectl"}}},
	{judge: ofAnswer, stdin: "capability[]=authtype\nprotocol=http\nhost=127.0.0.1\n\n", killCase: killCase{
		name: "helper git", args: []string{"helper", "git", "get"}}},
	{judge: ofAnswer, report: true, killCase: killCase{name: "list", args: []string{"list", "--refresh"}}},
	{judge: ofAnswer, report: true, killCase: killCase{name: "doctor", args: []string{"doctor"}}},
	{judge: ofAnswer, report: true, killCase: killCase{name: "status", args: []string{"status"}}},

	{judge: ofRest, seeded: warm, killCase: killCase{
		name: "exec", args: []string{"exec", "--", "sh", "-c", `cat "$BEARER_TOKEN_FILE"`}}},
	{judge: ofRest, seeded: warm, killCase: killCase{
		name: "exec with a file for a group", args: []string{"exec", "--token-file", "home/token", "--mode", "0640", "--", "cat", "home/token"}}},

	setUpTool("bazel", "--write", ".bazelrc", "build --jobs=2\n"),
	setUpTool("bazel", "--remove", ".bazelrc", "build --jobs=2\n"),
	setUpTool("cargo", "--write", ".cargo/config.toml", "[net]\nretry = 3\n"),
	setUpTool("terraform", "--write", "", ""),
	setUpTool("terraform", "--remove", "", ""),
	setUpTool("restish", "--write", "", ""),
	setUpTool("git", "--write", "", ""),
}

// TestRealFullDisk has each step of each command that writes fail as on a disk
// that is full, or broken; and gives each where a file system is full.
func TestRealFullDisk(t *testing.T) { onDisks(t, fullDisks, fillUp) }

// TestRealReadOnly has each step of each command that writes fail as on a disk
// that is read-only, or becomes so; and gives each where a file system is mounted
// so.
func TestRealReadOnly(t *testing.T) { onDisks(t, readOnlyDisks, remount) }

func onDisks(t *testing.T, faults []fault, mount string) {
	needsSteps(t)
	realParts(t, "unshare", "mount", "umount", "sh")
	if os.Geteuid() != 0 {
		missing(t, "root, for mounts")
	}
	sfcred := release(t)
	total := &diskTally{}
	each := func(name string, cases []diskCase, do func(*diskVictim, diskCase)) {
		t.Run(name, func(t *testing.T) {
			for _, c := range cases {
				if c.before == "" && c.after == "" {
					c.before, c.after = "*test first key@keychain", "*test first key@keychain"
				}
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					do(newDiskVictim(t, sfcred, total), c)
				})
			}
		})
	}
	each("steps", diskCases, func(v *diskVictim, c diskCase) { v.atEachFault(c, faults) })
	each("mounts", diskCases, func(v *diskVictim, c diskCase) { v.onEachMount(c, mount) })
	t.Log("in all:", total)
}

// mounts are the parts of a user's files that can be a file system of their own.
var mounts = map[string][]string{
	"config": {"home/.config"},
	"data":   {"home/.local/share"},
	"cache":  {"run"},
	"all":    {"home", "run", "tmp"},
}

// Scripts that run a command where the directories in $dirs are read-only, or
// full. What they mount is gone when they end.
const (
	remount = `
		for dir in $dirs; do
			mount --bind $dir $dir && mount -o remount,bind,ro $dir || exit 99
		done
		exec "$@"`
	fillUp = `
		for dir in $dirs; do
			mkdir $dir.full && mount -t tmpfs -o mode=700,size=1m tmpfs $dir.full && cp -a $dir/. $dir.full || exit 99
			mount --bind $dir.full $dir || exit 99
			cat /dev/zero >$dir/zero 2>/dev/null
		done
		"$@"
		code=$?
		for dir in $dirs; do
			rm $dir/zero && umount $dir && rm -rf $dir/* $dir/.[!.]* && cp -a $dir.full/. $dir && umount $dir.full && rmdir $dir.full || exit 99
		done
		exit $code`
)

// onEachMount gives a case's command where parts of the user's files are mounted
// by a script, in a name space of its own.
func (v *diskVictim) onEachMount(c diskCase, script string) {
	v.Helper()
	clean := v.cleanly(c)
	for name, dirs := range mounts {
		v.prepare(c)
		words := []string{"--mount", "sh", "-c", script, "sh", v.path("bin", "sfcred")}
		all := ""
		for _, dir := range dirs {
			check(v.T, os.MkdirAll(v.path(dir), 0o700))
			all += " " + v.path(dir)
		}
		v.disk.steps++
		r := run{diskCase: c, clean: clean, step: "mount " + name}
		r.outcome = v.with(append(c.env, "dirs="+all)...).feed(c.stdin, "unshare", append(words, v.command(c.killCase)...)...)
		v.wantSaid(r)
		r.judge(v, r)
		if v.Failed() {
			v.Fatalf("that was %q, exit code %d, on a mount of %s; standard error:\n%s", c.name, r.code, name, r.stderr)
		}
	}
}

// killed is a case of killCases, of which steps matter that match only.
func killed(name string, c diskCase, only ...string) diskCase {
	for _, k := range killCases {
		if k.name == name {
			c.killCase = k
			c.only = strings.Join(only, "|")
			return c
		}
	}
	panic("there is no case " + name)
}

// tool is the setup of a tool that has a file with a text already.
func setUpTool(name, flag, path, text string) diskCase {
	return diskCase{judge: ofTool, killCase: killCase{name: "setup " + name + " " + flag, args: []string{"setup", name, flag}}, seeded: func(v *diskVictim) {
		if path != "" {
			v.writeTool(path, text)
		}
		if flag == "--remove" {
			v.works("sfcred", "setup", name, "--write")
		}
	}}
}

// warm leaves a token in the cache, and what was learnt of the client.
func warm(v *diskVictim) { v.works("sfcred", "list", "--refresh") }

func noPublicKey(v *diskVictim) { check(v.T, os.RemoveAll(v.path("public.pem"))) }

// ofPublicKey is ofKeys for a command that writes a public key: that is whole, or
// not there, or said to be left.
func ofPublicKey(v *diskVictim, r run) {
	v.Helper()
	text, err := os.ReadFile(v.path("public.pem"))
	if block, _ := pem.Decode(text); err == nil && block == nil && !strings.Contains(r.stderr, "what there is of it stays") || r.code == 0 && block == nil {
		v.disk.torn++
		v.Errorf("the public key is torn: it has %d bytes", len(text))
	}
	ofKeys(v, r)
}

// orphaned leaves a key that no profile uses, and a note of it.
func orphaned(v *diskVictim) {
	id := keychain.NewID()
	entries := v.secrets.Entries()
	entries[id] = killKeys()["ec"].Text()
	v.secrets.SetEntries("sfcred", entries)
	check(v.T, v.config().Update(v.Context(), func(c *helper.Config) error {
		c.Unfinished = append(c.Unfinished, keychain.StoreKeychain+":"+id)
		return nil
	}))
}

func noOrphan(v *diskVictim) bool { return len(v.unused()) == 0 }

// expires says whether the profile's client expires.
func expires(v *diskVictim) bool {
	c, err := v.config().Load()
	return err == nil && !c.Profiles["test"].Expires.IsZero()
}

// withID leaves a key that carries its client's ID.
func withID(v *diskVictim) {
	v.write("home/with-id.pem", append([]byte("first\n"), v.source...))
}
