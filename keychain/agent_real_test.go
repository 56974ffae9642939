//go:build linux

package keychain

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"sfcred/keychain/jose"
)

// These tests run the agents that people have, each in a directory and with an
// environment of its own, so that nobody's own agent or home is touched. What
// is not installed is skipped, and with SFCRED_REAL=1 it is a failure.

// program returns the path of a real part.
func program(t *testing.T, name string) string {
	t.Helper()
	for _, name := range []string{name, "/usr/sbin/" + name} { // no part of every user's PATH
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("SFCRED_REAL") == "1" {
		t.Fatalf("needs %s", name)
	}
	t.Skipf("needs %s", name)
	return ""
}

// start runs cmd in a process group of its own until the test ends, and then
// sees to it that all of the group are gone.
func start(t *testing.T, cmd *exec.Cmd, env ...string) {
	t.Helper()
	home := socketDir(t)
	cmd.Dir = home
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + home}, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		for begin := time.Now(); syscall.Kill(-cmd.Process.Pid, 0) == nil; time.Sleep(10 * time.Millisecond) {
			if time.Since(begin) > 10*time.Second {
				t.Errorf("%s left something running", cmd.Path)
				return
			}
		}
	})
}

// sshAgent starts ssh-agent.
func sshAgent(t *testing.T, env ...string) (*Stores, *os.Process) {
	t.Helper()
	s := &Stores{Agent: filepath.Join(socketDir(t), "agent")}
	cmd := exec.Command(program(t, "ssh-agent"), "-D", "-a", s.Agent)
	start(t, cmd, env...)
	awaitAgent(t, s)
	return s, cmd.Process
}

// askpass writes a program for ssh-agent to ask its user with, and returns the
// environment that makes it do so.
func askpass(t *testing.T, lines string) []string {
	t.Helper()
	path := filepath.Join(socketDir(t), "askpass")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+lines+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return []string{"SSH_ASKPASS=" + path, "SSH_ASKPASS_REQUIRE=force", "DISPLAY=x"}
}

func within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

func load(t *testing.T, s *Stores, key *jose.Key, limits AgentLimits) {
	t.Helper()
	if err := s.AddToAgent(within(t, 10*time.Second), key, "sfcred", limits); err != nil {
		t.Fatalf("AddToAgent: %v", err)
	}
}

func TestRealAgentSigns(t *testing.T) {
	s, _ := sshAgent(t)
	for range 100 {
		load(t, s, newKey(t), AgentLimits{For: time.Hour})
	}
	for _, key := range agentKeys() {
		load(t, s, key, AgentLimits{For: time.Hour})
	}
	all := 100 + len(agentKeys())
	for alg, key := range agentKeys() {
		signsWith(t, within(t, 10*time.Second), s, key)
		if err := s.RemoveFromAgent(t.Context(), key.Fingerprint()); err != nil {
			t.Errorf("%s: RemoveFromAgent: %v", alg, err)
		}
		all--
		if keys, err := s.AgentKeys(t.Context()); err != nil || len(keys) != all {
			t.Errorf("%s: got %d keys, %v, want the %d others", alg, len(keys), err, all)
		}
		_, err := s.agentSigner(t.Context(), key.Fingerprint())
		wantError(t, err, ErrNotFound, "has no key")
		wantError(t, s.RemoveFromAgent(t.Context(), key.Fingerprint()), ErrNotFound, "has no key")
	}
}

// ssh-agent in the background, as people have it: the process that began to
// listen is gone.
func TestRealAgentInBackground(t *testing.T) {
	s := &Stores{Agent: filepath.Join(socketDir(t), "agent")}
	cmd := exec.Command(program(t, "ssh-agent"), "-s", "-a", s.Agent)
	cmd.Env = []string{}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(out), "SSH_AGENT_PID=")
	var pid int
	if _, err := fmt.Sscanf(after, "%d;", &pid); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	t.Cleanup(func() {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
		for begin := time.Now(); time.Since(begin) < 10*time.Second; time.Sleep(10 * time.Millisecond) {
			state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			if err != nil || strings.Contains(string(state), ") Z ") { // left to init
				return
			}
		}
		t.Errorf("ssh-agent is still running: %d", pid)
	})
	load(t, s, agentKeys()["RS256"], AgentLimits{For: time.Hour})
	signsWith(t, within(t, 10*time.Second), s, agentKeys()["RS256"])
}

func TestRealAgentLifetime(t *testing.T) {
	s, _ := sshAgent(t)
	key, longer := agentKeys()["ES256"], agentKeys()["EdDSA"]
	load(t, s, longer, AgentLimits{For: time.Second})
	load(t, s, longer, AgentLimits{For: time.Hour}) // the limits change
	loaded := time.Now()
	load(t, s, key, AgentLimits{For: 2 * time.Second})
	signer, err := s.agentSigner(t.Context(), key.Fingerprint())
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		if lived := time.Since(loaded); lived > 5*time.Second {
			t.Fatalf("the key is there after %v", lived)
		}
		time.Sleep(50 * time.Millisecond)
		_, err = s.agentSigner(t.Context(), key.Fingerprint())
	}
	if lived := time.Since(loaded); lived < time.Second {
		t.Errorf("the key was there for %v only", lived)
	}
	wantError(t, err, ErrNotFound, "has no key")
	_, err = assert(signer, "ES256")
	wantError(t, err, ErrLocked, "the key has left it")
	signsWith(t, t.Context(), s, longer)
}

func TestRealAgentConfirm(t *testing.T) {
	key := agentKeys()["RS256"]
	for name, tt := range map[string]struct {
		answer string
		kind   error
	}{
		"granted":  {"exit 0", nil},
		"declined": {"exit 1", ErrLocked},
	} {
		s, _ := sshAgent(t, askpass(t, tt.answer)...)
		load(t, s, key, AgentLimits{For: time.Hour, Confirm: true})
		if tt.kind == nil {
			signsWith(t, within(t, 10*time.Second), s, key)
			continue
		}
		signer, err := s.agentSigner(within(t, 10*time.Second), key.Fingerprint())
		if err != nil {
			t.Fatal(err)
		}
		_, err = assert(signer, "RS256")
		t.Logf("%s: %v", name, err)
		wantError(t, err, tt.kind, "it was not confirmed")
	}
}

// A person who takes a while is waited for within the deadline.
func TestRealAgentConfirmTakesTime(t *testing.T) {
	key, person := agentKeys()["RS256"], filepath.Join(socketDir(t), "person")
	if err := syscall.Mkfifo(person, 0o600); err != nil {
		t.Fatal(err)
	}
	s, _ := sshAgent(t, askpass(t, "exec cat "+person)...)
	load(t, s, key, AgentLimits{For: time.Hour, Confirm: true})
	late, err := s.agentSigner(within(t, 200*time.Millisecond), key.Fingerprint())
	if err != nil {
		t.Fatal(err)
	}
	_, err = assert(late, "RS256")
	wantError(t, err, ErrTimeout, "nobody confirmed or touched the key")
	// ssh-agent serves nobody else while it asks.
	wantError(t, s.Check(within(t, 100*time.Millisecond), StoreAgent), ErrTimeout, "did not answer in time")

	answer := func() { // an empty answer means yes
		for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
			fifo, err := os.OpenFile(person, os.O_WRONLY|syscall.O_NONBLOCK, 0)
			if err == nil {
				fifo.Close()
				return
			}
			if time.Since(begin) > 10*time.Second {
				t.Errorf("nobody asks: %v", err)
				return
			}
		}
	}
	answer() // to the question from before
	signer, err := s.agentSigner(within(t, 10*time.Second), key.Fingerprint())
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	time.AfterFunc(500*time.Millisecond, answer)
	compact, err := assert(signer, "RS256")
	if err != nil || !verifies(t, key.Public(), "RS256", compact) {
		t.Errorf("got %q, %v, want an assertion", compact, err)
	}
	if waited := time.Since(begin); waited < 400*time.Millisecond {
		t.Errorf("signed after %v, before it was confirmed", waited)
	}
}

func TestRealAgentKilled(t *testing.T) {
	s, process := sshAgent(t)
	key := agentKeys()["EdDSA"]
	load(t, s, key, AgentLimits{For: time.Hour})
	signer, err := s.agentSigner(within(t, 10*time.Second), key.Fingerprint())
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = process.Wait() // until its sockets are closed
	_, err = assert(signer, "EdDSA")
	t.Log(err)
	wantError(t, err, ErrUnavailable, "has ended")
	wantError(t, s.Check(t.Context(), StoreAgent), ErrUnavailable, "has ended")
}

func TestRealAgentStopped(t *testing.T) {
	s, process := sshAgent(t)
	key := agentKeys()["EdDSA"]
	load(t, s, key, AgentLimits{For: time.Hour})
	signer, err := s.agentSigner(within(t, 500*time.Millisecond), key.Fingerprint())
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	_, err = assert(signer, "EdDSA")
	t.Logf("%v after %v", err, time.Since(begin))
	wantError(t, err, ErrTimeout, "did not sign in time")
	wantError(t, s.Check(soon(t), StoreAgent), ErrTimeout, "did not answer in time")
	wantError(t, s.AddToAgent(soon(t), key, "", AgentLimits{For: time.Hour}), ErrTimeout, "did not answer in time")
	if waited := time.Since(begin); waited > 2*time.Second {
		t.Errorf("waited %v", waited)
	}
	if err := process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	signsWith(t, within(t, 10*time.Second), s, key)
}

func TestRealAgentLocked(t *testing.T) {
	s, _ := sshAgent(t)
	sshAdd := func(flag string) {
		cmd := exec.Command(program(t, "ssh-add"), flag)
		cmd.Env = append(askpass(t, "echo secret"), "SSH_AUTH_SOCK="+s.Agent)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("ssh-add %s: %v\n%s", flag, err, out)
		}
	}
	key := agentKeys()["ES384"]
	load(t, s, key, AgentLimits{For: time.Hour})
	signer, err := s.agentSigner(within(t, 10*time.Second), key.Fingerprint())
	if err != nil {
		t.Fatal(err)
	}
	sshAdd("-x")
	_, err = assert(signer, "ES384")
	wantError(t, err, ErrLocked, "the agent is locked")
	_, err = s.agentSigner(t.Context(), key.Fingerprint())
	wantError(t, err, ErrNotFound, "lists none at all, as it does when it is locked")
	wantError(t, s.AddToAgent(t.Context(), key, "", AgentLimits{For: time.Hour}), ErrLocked, "it is locked")
	wantError(t, s.RemoveFromAgent(t.Context(), key.Fingerprint()), ErrNotFound, "locked")
	if err := s.Check(t.Context(), StoreAgent); err != nil {
		t.Errorf("Check: %v", err)
	}
	sshAdd("-X")
	signsWith(t, within(t, 10*time.Second), s, key)
}

// gpg-agent gets its sockets from us, as it gets them from systemd: so it is a
// child of ours, and nothing but what it answers tells who it is.
func TestRealGPGAgent(t *testing.T) {
	gpgAgent := program(t, "gpg-agent")
	for _, tt := range []struct{ socket, want string }{
		{"agent", isForgetful},
		{"S.gpg-agent.ssh", isGPG},
	} {
		dir := socketDir(t)
		s := &Stores{Agent: filepath.Join(dir, tt.socket)}
		// systemd.socket(7): sockets from descriptor 3, with names, for one process.
		cmd := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0" --supervised --disable-scdaemon`, gpgAgent)
		for _, path := range []string{filepath.Join(dir, "std"), s.Agent} {
			listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
			if err != nil {
				t.Fatal(err)
			}
			listener.SetUnlinkOnClose(false)
			file, err := listener.File()
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			listener.Close()
			cmd.ExtraFiles = append(cmd.ExtraFiles, file)
		}
		start(t, cmd, "LISTEN_FDS=2", "LISTEN_FDNAMES=std:ssh", "GNUPGHOME="+dir)
		awaitAgent(t, s)
		for alg, key := range agentKeys() {
			err := s.AddToAgent(within(t, 10*time.Second), key, "sfcred", AgentLimits{For: time.Hour})
			t.Logf("%s: %v", alg, err)
			wantError(t, err, ErrUnavailable, tt.want)
		}
		if keys, err := s.AgentKeys(t.Context()); err != nil || len(keys) != 0 {
			t.Errorf("got %v, %v, want no keys", keys, err)
		}
		if kept, err := filepath.Glob(filepath.Join(dir, "private-keys-v1.d", "*")); err != nil || len(kept) != 0 {
			t.Errorf("gpg-agent has %q, %v, want nothing", kept, err)
		}
	}
}

// sshKey writes a key for ssh or sshd, and returns its path and its public
// half.
func sshKey(t *testing.T, dir, name string) (path, public string) {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	sshPub, err := ssh.NewPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return path, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(sshPub)))
}

// sshdConfig takes logins on loopback with one key, and runs nothing of the
// user's but the shell, which runs one command.
const sshdConfig = `
ListenAddress 127.0.0.1:%d
HostKey %s
AuthorizedKeysFile %s
PidFile none
UsePAM no
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitUserRC no
PermitUserEnvironment no
AllowAgentForwarding yes
ForceCommand echo "$SSH_AUTH_SOCK"; exec cat
`

// forwardedAgent logs in to a private sshd with agent forwarding, and returns
// the agent as it is seen there. The login lasts until the test ends.
func forwardedAgent(t *testing.T, s *Stores) *Stores {
	t.Helper()
	sshd, sshProgram := program(t, "sshd"), program(t, "ssh")
	if os.Geteuid() == 0 {
		// Debian's sshd shuts a part of itself in there; its unit makes it. It
		// stays: another sshd may be using it by then.
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	listener.Close()

	dir := socketDir(t)
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	hostKey, hostPublic := sshKey(t, dir, "host")
	loginKey, loginPublic := sshKey(t, dir, "login")
	config := write("sshd_config", fmt.Sprintf(sshdConfig, port, hostKey, write("authorized_keys", loginPublic)))
	known := write("known_hosts", fmt.Sprintf("[127.0.0.1]:%d %s\n", port, hostPublic))

	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if said, err := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("sshd and ssh: %s, %v", said, err)
		}
		log.Close()
	})
	server := exec.Command(sshd, "-D", "-e", "-f", config)
	server.Stderr = log
	start(t, server)
	t.Cleanup(func() { // a login has a group of its own: it ends before the server is killed
		children := fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", server.Process.Pid)
		for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
			left, err := os.ReadFile(children)
			if err == nil && len(left) == 0 {
				return
			}
			if time.Since(begin) > 10*time.Second {
				t.Errorf("the login did not end: %s, %v", left, err)
				return
			}
		}
	})
	for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			conn.Close()
			break
		}
		if time.Since(begin) > 10*time.Second {
			t.Fatal(err)
		}
	}
	client := exec.Command(sshProgram, "-F", "none", "-A", "-T", "-p", fmt.Sprint(port), "-i", loginKey, "-l", me.Username,
		"-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=yes",
		"-o", "UserKnownHostsFile="+known, "-o", "GlobalKnownHostsFile=none", "127.0.0.1")
	client.Stderr = log
	stdin, err := client.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := client.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	start(t, client, "SSH_AUTH_SOCK="+s.Agent)
	t.Cleanup(func() { // before the processes are killed: the login ends by itself
		stdin.Close()
		_, _ = io.Copy(io.Discard, stdout)
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || line == "\n" {
		t.Fatalf("got %q, %v, want the path of the forwarded agent", line, err)
	}
	return &Stores{Agent: strings.TrimSpace(line)}
}

func TestRealForwardedAgent(t *testing.T) {
	laptop, _ := sshAgent(t)
	for _, key := range agentKeys() {
		load(t, laptop, key, AgentLimits{For: time.Hour})
	}
	login := forwardedAgent(t, laptop)
	for _, key := range agentKeys() {
		signsWith(t, within(t, 10*time.Second), login, key)
	}
	link := &Stores{Agent: filepath.Join(socketDir(t), "link")}
	if err := os.Symlink(login.Agent, link.Agent); err != nil {
		t.Fatal(err)
	}
	other := newKey(t)
	for _, s := range []*Stores{login, link} {
		err := s.AddToAgent(within(t, 10*time.Second), other, "sfcred", AgentLimits{For: time.Hour})
		t.Log(err)
		wantError(t, err, ErrUnavailable, isForwarded)
	}
	_, err := laptop.agentSigner(t.Context(), other.Fingerprint())
	wantError(t, err, ErrNotFound, "has no key")
	// What is on the laptop can be taken out from afar.
	gone := agentKeys()["RS256"].Fingerprint()
	if err := login.RemoveFromAgent(within(t, 10*time.Second), gone); err != nil {
		t.Error(err)
	}
	_, err = laptop.agentSigner(t.Context(), gone)
	wantError(t, err, ErrNotFound, "has no key")
}

func TestProgramOf(t *testing.T) {
	own, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	for pid, want := range map[int]string{
		os.Getpid():            strings.TrimSpace(string(own)),
		cmd.ProcessState.Pid(): "", // ended
		0:                      "", // of another PID namespace
		-1:                     "",
		1<<22 + 1:              "", // above every pid_max
	} {
		if got := programOf(int32(pid)); got != want {
			t.Errorf("%d: got %q, want %q", pid, got, want)
		}
	}
}
