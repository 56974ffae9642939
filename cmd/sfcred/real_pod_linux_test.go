package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestRealPod is a pod: an ordinary user without a home, on a disk where nothing
// can be written, with a secret that is mounted as Kubernetes does it.
func TestRealPod(t *testing.T) {
	realParts(t, "unshare", "mount", "setpriv")
	if os.Geteuid() != 0 {
		missing(t, "root, to be another user in a pod")
	}
	p := newPod(t, release(t))
	const (
		token = `[A-Za-z0-9._-]+\n`
		cache = `sfcred: warning: token cache: mkdir /tmp/sfcred-10001: read-only file system; tokens are not kept\n`
	)
	file := func(name string) string { return "SFCRED_PRIVATE_KEY_FILE=" + filepath.Join(p.dir, "secret", name) }
	for _, c := range []struct {
		name           string
		env            string
		shell          string // how sfcred is run
		code           int
		stdout, stderr string
	}{
		{"fsGroup", file("key.pem"), `sfcred token`, 0, token, cache},
		{"for all to read", file("open.pem"), `sfcred token`, 5, "", cache + `.*others can read it \(mode 0444\)\n`},
		{"without fsGroup", file("root.pem"), `sfcred token`, 5, "", cache + `.*permission denied\n`},
		{"another group's", file("group.pem"), `sfcred token`, 5, "", cache + `.*permission denied\n`},
		{"a dangling link", file("gone.pem"), `sfcred token`, 5, "", cache + `.*there is no key file .*\n`},
		{"a descriptor", "SFCRED_PRIVATE_KEY_FILE=/dev/fd/3", `sfcred token 3<"$KEYS/root.pem"`, 0, token, cache},
		{"a pipe", "SFCRED_PRIVATE_KEY_FILE=/dev/fd/3", `cat "$KEYS/root.pem" | sfcred token 3<&0 </dev/null`, 0, token, cache},
		{"standard input", "SFCRED_PRIVATE_KEY_FILE=/dev/stdin", `sfcred token <"$KEYS/root.pem"`, 0, token, cache},
		{"a variable", "SFCRED_PRIVATE_KEY=" + keyLine(), `sfcred token`, 0, token, cache},
		{"no cache is no failure", file("key.pem"), `sfcred header && sfcred assertion`, 0, `Authorization: Bearer ` + token + token, cache},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := p.run(t, c.env, c.shell)
			if got.code != c.code || !whole(c.stdout, got.stdout) || !whole(c.stderr+`(sfcred: hint: .*\n)*`, got.stderr) {
				t.Errorf("got exit code %d, stdout %q, stderr:\n%s", got.code, got.stdout, got.stderr)
			}
			if strings.Contains(got.stderr, "PRIVATE KEY") {
				t.Error("the key is on standard error")
			}
		})
	}
}

// pod is a directory with a mounted secret, and a server.
type pod struct{ dir, sfcred, url string }

func newPod(t *testing.T, sfcred string) *pod {
	server := newServer()
	t.Cleanup(server.Close)
	dir, err := os.MkdirTemp("", "pod")
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	check(t, os.Chmod(dir, 0o755))
	key := strings.ReplaceAll(keyLine(), `\n`, "\n")
	// The kubelet writes a directory of its own and has links lead there, so
	// that a changed secret is changed whole.
	data := filepath.Join(dir, "secret", "..2026_11_24_08_00_00.1234")
	check(t, os.MkdirAll(data, 0o755))
	check(t, os.Symlink(filepath.Base(data), filepath.Join(dir, "secret", "..data")))
	for name, as := range map[string]struct {
		mode  os.FileMode
		group int
	}{
		"key.pem": {0o440, podGroup}, "open.pem": {0o444, podGroup}, "root.pem": {0o400, 0}, "group.pem": {0o440, 0},
	} {
		path := filepath.Join(data, name)
		check(t, os.WriteFile(path, []byte(key), 0o600))
		check(t, os.Chown(path, 0, as.group))
		check(t, os.Chmod(path, as.mode))
		check(t, os.Symlink(filepath.Join("..data", name), filepath.Join(dir, "secret", name)))
	}
	check(t, os.Symlink("..data/gone.pem", filepath.Join(dir, "secret", "gone.pem")))
	bin := filepath.Join(dir, "sfcred")
	check(t, exec.Command("cp", sfcred, bin).Run())
	return &pod{dir, bin, server.TokenURL}
}

const podGroup = 4242

// run runs a line of shell as root, in which sfcred is run as the pod's user.
func (p *pod) run(t *testing.T, env, line string) outcome {
	t.Helper()
	// All mounts are made read-only, in a name space of the test's own.
	script := `
set -e
mount --make-rprivate /
awk '{print $2}' /proc/self/mounts | while read -r at; do mount -o remount,bind,ro "$at" 2>/dev/null || :; done
if ( : >/tmp/written ) 2>/dev/null; then echo "the disk can be written" >&2; exit 99; fi
set +e
sfcred() {
	setpriv --reuid 10001 --regid 10001 --groups 4242 --no-new-privs env -i SFCRED_CLIENT_ID="$CLIENT" SFCRED_TOKEN_URL="$URL" "$SETTING" "$SFCRED" "$@"
}
` + line
	u := &user{T: t, dir: p.dir, env: []string{
		"PATH=" + os.Getenv("PATH"), "SFCRED=" + p.sfcred, "KEYS=" + filepath.Join(p.dir, "secret"),
		"CLIENT=" + clientID, "URL=" + p.url, "SETTING=" + env,
	}}
	return u.do("unshare", "-m", "sh", "-c", script)
}
