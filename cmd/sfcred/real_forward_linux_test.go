package main

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sfcred/helper/sfapitest"
)

// TestRealForwarding has a key unlocked on a laptop sign on a login node: two
// hosts in name spaces of their own, a real ssh-agent, and a real sshd between
// them. The login node gets tokens and has no key.
func TestRealForwarding(t *testing.T) {
	realParts(t, "openssl", "ip", "unshare", "mount", "nsenter", "ssh", "ssh-agent", "ssh-keygen", "/usr/sbin/sshd")
	if os.Geteuid() != 0 {
		missing(t, "root, to make two hosts")
	}
	began := time.Now()
	key := must(rsa.GenerateKey(rand.Reader, 2048))
	n := newNode(t, release(t))
	n.server.Add(sfapitest.Client{ID: clientID, Key: key.Public(), User: "alice"})
	laptop := newLaptop(t, n)
	laptop.write("passphrase", []byte("correct horse\n"))
	laptop.works("sfcred", "login", "--no-check", "--store", "file", "--client-id", clientID, "--key", laptop.writeKey("key.pem", key), "--token-url", n.server.TokenURL)
	laptop.works("sfcred", "unlock", "--for", "1h")

	// On the login node, once, and then as everywhere.
	want := func(t *testing.T, line string, code int, stdout, stderr string) {
		t.Helper()
		if got := laptop.onNode(line); got.code != code || !whole(stdout, got.stdout) || !whole(stderr, got.stderr) {
			t.Errorf("%s: got exit code %d, stdout %q, stderr:\n%s", line, got.code, got.stdout, got.stderr)
		}
	}
	login := "sfcred login --store ssh-agent --client-id " + clientID + " --token-url " + n.server.TokenURL + " --host api.example.org"
	want(t, login, 0, "", `sfcred: profile "127.0.0.1": checked: .* gave a token for alice; key in the ssh-agent\n`)
	const token = `[A-Za-z0-9._-]+\n`
	want(t, "sfcred token && sfcred header --url https://api.example.org/ && sfcred assertion", 0, token+"Authorization: Bearer "+token+token, "")
	want(t, "sfcred token --force", 0, token, "")
	want(t, "ln -s sfcred /mnt/bin/sfcred-kubectl && sfcred-kubectl", 0, `\{"kind":"ExecCredential",.*\}\n`, "")

	n.wantNoKey(t, began, key)

	t.Run("unlock is for the laptop", func(t *testing.T) {
		want(t, "sfcred keygen --store file --profile own >/dev/null 2>&1; openssl genpkey -algorithm ed25519 -out /root/own.pem 2>/dev/null; "+
			"sfcred login --no-check --profile own --store pem --key /root/own.pem --client-id own --token-url "+n.server.TokenURL+" 2>/dev/null; "+
			"sfcred unlock own --agent", 5, "", `sfcred: error: profile "own": the ssh-agent at .* is forwarded from another machine, where the key would go\n(sfcred: hint: .*\n)*`)
	})
	t.Run("confirmed on the laptop", func(t *testing.T) {
		laptop.works("sfcred", "unlock", "--for", "1h", "--confirm")
		laptop.answer("exit 1")
		want(t, "sfcred token --force", 5, "", `sfcred: error: .*refused to sign.*\nsfcred: hint: ssh-add -l\n`)
		laptop.answer("exit 0")
		want(t, "sfcred token --force", 0, token, "")
		laptop.works("sfcred", "unlock", "--for", "1h")
	})
	t.Run("an agent that does not answer", func(t *testing.T) {
		// ssh asks the agent too, and waits for it: the login comes first, and
		// what is said there is read by another way.
		ended := make(chan outcome)
		go func() {
			ended <- laptop.onNode("touch /root/ready; while test -e /root/ready; do sleep 0.1; done; " +
				"{ start=$(date +%s); sfcred token --force --timeout 2s; echo code $? after $(($(date +%s) - start)) s; } >/root/stopped 2>&1")
		}()
		n.await(t, "/root/ready", "")
		check(t, laptop.agent.Signal(syscall.SIGSTOP))
		check(t, os.Remove(n.see("/root/ready")))
		if got := n.await(t, "/root/stopped", "code"); !whole(`sfcred: error: .*did not answer in time\n(sfcred: hint: .*\n)*code 5 after [23] s\n`, got) {
			t.Errorf("got %q", got)
		}
		check(t, laptop.agent.Signal(syscall.SIGCONT))
		<-ended
		want(t, "sfcred token --force", 0, token, "")
	})
	t.Run("the connection is killed in the middle", func(t *testing.T) {
		// The laptop's user is being asked when the connection ends.
		asked, goOn := laptop.path("asked"), laptop.path("go-on")
		laptop.answer("touch " + asked + "; while ! test -e " + goOn + "; do sleep 0.1; done")
		laptop.works("sfcred", "unlock", "--for", "1h", "--confirm")
		ssh := laptop.login("setsid sh -c 'sfcred token --force --timeout 60s; echo code $?' >/root/middle 2>&1 </dev/null")
		check(t, ssh.Start())
		for range 600 {
			if _, err := os.Stat(asked); err == nil {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		check(t, ssh.Process.Kill())
		ssh.Wait()
		if middle := n.await(t, "/root/middle", "code"); !whole(`sfcred: error: .*the ssh-agent at .* broke off.*\nsfcred: hint: ssh-add -l\ncode 5\n`, middle) {
			t.Errorf("got %q", middle)
		}
		check(t, os.WriteFile(goOn, nil, 0o600))
		laptop.works("sfcred", "unlock", "--for", "1h")
		want(t, "sfcred token && sfcred token --force", 0, token+token, "")
		want(t, "ls -A ${XDG_RUNTIME_DIR:-/tmp}/sfcred* | grep tmp", 1, "", "")
	})
	t.Run("after the login", func(t *testing.T) {
		// What goes on when the connection has ended has no agent.
		want(t, "setsid sh -c 'while test -S \"$SSH_AUTH_SOCK\"; do sleep 0.1; done; sfcred token --force; echo code $?' >/root/after 2>&1 </dev/null &", 0, "", "")
		after := n.await(t, "/root/after", "code")
		if !whole(`sfcred: error: .*there is no ssh-agent at .*\n(sfcred: hint: .*\n)*code 5\n`, after) {
			t.Errorf("got %q", after)
		}
	})
	t.Run("locked on the laptop", func(t *testing.T) {
		laptop.works("sfcred", "lock")
		want(t, "sfcred token --force", 5, "", `sfcred: error: .*the ssh-agent at .* has no key .*\nsfcred: hint: ssh-add -l\n`)
		want(t, "sfcred token", 0, token, "") // the one that it has lasts
	})
	n.wantNoKey(t, began, key)
}

// node is the login node: name spaces, an sshd in them, and an authorization
// server on their loopback.
type node struct {
	laptop  string // the name space of the laptop
	address string
	pid     int // of sshd: /proc/PID/root is what the node's programs see
	server  *sfapitest.Server
	dir     string // the node's own, at /mnt there
}

const nodeConfig = `
ListenAddress %s
Port 22
HostKey /mnt/host
AuthorizedKeysFile /mnt/authorized_keys
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PidFile none
AllowAgentForwarding yes
`

func newNode(t *testing.T, sfcred string) *node {
	t.Helper()
	run := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
	}
	id := strconv.Itoa(os.Getpid() % 10000)
	laptop, far := "near"+id, "far"+id
	for _, ns := range []string{laptop, far} {
		run("ip", "netns", "add", ns)
		t.Cleanup(func() { run("ip", "netns", "del", ns) })
		run("ip", "-n", ns, "link", "set", "lo", "up")
	}
	run("ip", "-n", laptop, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", far)
	n := &node{laptop: laptop, address: "10.201.7.2", dir: t.TempDir()}
	run("ip", "-n", laptop, "addr", "add", "10.201.7.1/24", "dev", "eth0")
	run("ip", "-n", far, "addr", "add", n.address+"/24", "dev", "eth0")
	run("ip", "-n", laptop, "link", "set", "eth0", "up")
	run("ip", "-n", far, "link", "set", "eth0", "up")
	n.server = serverIn(t, far)

	check(t, os.Mkdir(filepath.Join(n.dir, "bin"), 0o755))
	run("cp", sfcred, filepath.Join(n.dir, "bin", "sfcred"))
	run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(n.dir, "host"))
	check(t, os.WriteFile(filepath.Join(n.dir, "sshd_config"), fmt.Appendf(nil, nodeConfig, n.address), 0o600))
	// The disk is this machine's, less all places where the laptop's user may
	// have something: these are empty memory on the node.
	script := `set -e
mount --make-rprivate /
mount --bind "$0" /mnt
for dir in /root /home /tmp /var/tmp /run /dev/shm; do mount -t tmpfs -o mode=1777 none $dir; done
chmod 700 /root
mkdir -p /run/sshd
exec /usr/sbin/sshd -D -e -f /mnt/sshd_config`
	sshd := exec.Command("ip", "netns", "exec", far, "unshare", "-m", "sh", "-c", script, n.dir)
	sshd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/root"}
	log := must(os.Create(filepath.Join(t.TempDir(), "log")))
	sshd.Stderr = log
	check(t, sshd.Start())
	t.Cleanup(func() {
		sshd.Process.Kill()
		sshd.Wait()
		if text, _ := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("sshd said:\n%s", text)
		}
	})
	n.pid = sshd.Process.Pid
	return n
}

// serverIn starts a server on the loopback of a network name space: a socket
// stays in the one that it was made in.
func serverIn(t *testing.T, ns string) *sfapitest.Server {
	t.Helper()
	started := make(chan *sfapitest.Server)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		f, err := os.Open("/run/netns/" + ns)
		if err == nil {
			err = unix.Setns(int(f.Fd()), unix.CLONE_NEWNET)
		}
		if err != nil {
			t.Error(err)
			close(started)
			return
		}
		started <- sfapitest.New()
	}()
	server, ok := <-started
	if !ok {
		t.FailNow()
	}
	t.Cleanup(server.Close)
	return server
}

// laptop is where the key is, and its user.
type laptop struct {
	*user
	ssh   []string // what leads to the node, from the laptop's name space
	agent *os.Process
}

func newLaptop(t *testing.T, n *node) *laptop {
	t.Helper()
	u := newUser(t, filepath.Join(n.dir, "bin", "sfcred"))
	l := &laptop{user: u}
	dir := must(os.MkdirTemp("", "l")) // a socket's name is short
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "agent")
	l.user = u.with("SSH_AUTH_SOCK="+socket, "SFCRED_PASSPHRASE_FILE="+u.path("passphrase"), "SFCRED_TIMEOUT=30s")
	l.answer("exit 1")
	agent := exec.Command("ssh-agent", "-D", "-a", socket)
	agent.Env = append(l.env, "SSH_ASKPASS="+l.path("askpass"), "SSH_ASKPASS_REQUIRE=force", "DISPLAY=:0")
	check(t, agent.Start())
	t.Cleanup(func() { agent.Process.Signal(syscall.SIGCONT); agent.Process.Kill(); agent.Wait() })
	l.agent = agent.Process
	for range 100 {
		if _, err := os.Stat(socket); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	l.works("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", l.path("login"))
	check(t, os.WriteFile(filepath.Join(n.dir, "authorized_keys"), must(os.ReadFile(l.path("login.pub"))), 0o600))
	l.ssh = []string{"netns", "exec", n.laptop, "ssh", "-F", "none", "-A", "-T", "-l", "root", "-i", l.path("login"),
		"-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=accept-new",
		"-o", "UserKnownHostsFile=" + l.path("known_hosts"), "-o", "LogLevel=ERROR", "-o", "ConnectionAttempts=20", n.address}
	return l
}

// onNode runs a line of shell in a login on the node.
func (l *laptop) onNode(line string) outcome {
	return l.do("ip", append(slices.Clip(l.ssh), "export PATH=/mnt/bin:$PATH; "+line)...)
}

// login is onNode, yet to be started: ip becomes ssh, so that it can be killed.
func (l *laptop) login(line string) *exec.Cmd {
	cmd := exec.Command("ip", append(slices.Clip(l.ssh), "export PATH=/mnt/bin:$PATH; "+line)...)
	cmd.Dir, cmd.Env = l.dir, l.env
	return cmd
}

// answer is how the laptop's user answers when the agent asks.
func (l *laptop) answer(line string) {
	l.write("askpass", []byte("#!/bin/sh\n"+line+"\n"))
	check(l.T, os.Chmod(l.path("askpass"), 0o700))
}

// wantNoKey searches all that the node's programs see, on disk and in memory
// file systems, for any part of the key. What is on the disk and older than the
// test cannot have the key, which was made after it began.
func (n *node) wantNoKey(t *testing.T, began time.Time, key *rsa.PrivateKey) {
	t.Helper()
	secrets := secretWords{windows: map[string]string{}}
	secrets.addKey(key)
	if found, looked := n.search(t, began, &secrets); len(found) > 0 || looked < 10 {
		t.Errorf("of %d files these have the key: %q", looked, found)
	}
	// The search finds what there is to find.
	planted := []string{"/dev/shm/x", "/mnt/x", "/root/.cache", "/run/x", "/var/tmp/x"}
	texts := []string{keyLineOf(key), key.D.String(), jwkOf(key), base64.StdEncoding.EncodeToString([]byte("x" + string(key.D.Bytes()))), "…" + string(key.Primes[1].Bytes())}
	for i, path := range planted {
		check(t, os.WriteFile(n.see(path), []byte(texts[i]), 0o600))
	}
	found, _ := n.search(t, began, &secrets)
	if len(found) != len(planted) {
		t.Errorf("of what was planted was found %q, want %q", found, planted)
	}
	for _, path := range planted {
		check(t, os.Remove(n.see(path)))
	}
}

// await is what a file on the node holds, once that has the words.
func (n *node) await(t *testing.T, path, words string) string {
	t.Helper()
	for range 600 {
		if text, err := os.ReadFile(n.see(path)); err == nil && strings.Contains(string(text), words) {
			return string(text)
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("the node did not say %q in %s", words, path)
	return ""
}

// see is where a path of the node is seen from here.
func (n *node) see(path string) string { return fmt.Sprintf("/proc/%d/root%s", n.pid, path) }

func (n *node) search(t *testing.T, began time.Time, secrets *secretWords) (found []string, looked int) {
	t.Helper()
	root := n.see("")
	err := filepath.WalkDir(root+"/", func(path string, d fs.DirEntry, err error) error {
		seen := strings.TrimPrefix(path, root)
		switch {
		case errors.Is(err, fs.ErrNotExist): // gone by now
			return nil
		case err != nil:
			return err
		case d.IsDir() && (seen == "/proc" || seen == "/sys"):
			return fs.SkipDir
		case !d.Type().IsRegular():
			return nil
		}
		var stat unix.Stat_t
		if unix.Lstat(path, &stat) != nil || time.Unix(stat.Ctim.Unix()).Before(began.Add(-time.Second)) {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil // gone by now
		}
		looked++
		if secrets.in(text) != "" {
			found = append(found, seen)
		}
		return nil
	})
	check(t, err)
	return found, looked
}
