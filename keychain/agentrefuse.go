package keychain

import (
	"crypto/ed25519"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
)

// What is wrong with an agent that must get no private key.
const (
	isGPG       = "is gpg-agent, which would write the key to its disk"
	isForwarded = "is forwarded from another machine, where the key would go"
	isForgetful = "says that it removes keys it never had, as gpg-agent does, which would write the key to its disk"
)

// agentPeer is who listens at the agent's socket, as far as the system says.
type agentPeer struct {
	uid     int    // of who began to listen; -1 if that is not known
	program string // the name of the process that began to listen; or ""
}

// refuse returns an error if the agent must get no private key. Each look sees
// what the others cannot, and none sees everything: a server that forwards is
// missed where /proc hides it (hidepid) and its socket has no name of its own,
// as before OpenSSH 10.1.
func (c *agentConn) refuse() error {
	peer := peerOf(c.conn)
	// A socket that was left behind in /tmp can be another user's by now.
	if peer.uid >= 0 && peer.uid != os.Geteuid() && peer.uid != 0 {
		return agentError(ErrUnavailable, "the ssh-agent at %q belongs to uid %d", c.path, peer.uid)
	}
	reason := refusedProgram(peer.program)
	if reason == "" {
		reason = refusedName(c.path)
	}
	if reason == "" {
		forgets, err := c.forgetsAnyKey()
		if err != nil {
			return err
		}
		if forgets {
			reason = isForgetful
		}
	}
	if reason != "" {
		return agentError(ErrUnavailable, "the ssh-agent at %q %s", c.path, reason)
	}
	return nil
}

// refusedProgram catches the servers that forward, under any name of the
// socket: they listen themselves for as long as a login lasts. It catches
// gpg-agent only if that stays in the foreground: in the background it listens
// before it forks, as ssh-agent does, and the process that began is gone, or
// runs the user's shell.
func refusedProgram(program string) string {
	switch program {
	case "gpg-agent":
		return isGPG
	case "sshd", "sshd-session", "sshd-auth", "dropbear", "tailscaled":
		return isForwarded
	}
	return ""
}

// refusedName catches gpg-agent also where systemd listens for it; the sshd of
// OpenSSH 10.1 and later (~/.ssh/agent/s.HOST.sshd.RANDOM, where ssh-agent's
// own have "agent"), also where /proc hides it; and Visual Studio Code, which
// forwards into containers. What counts is the socket behind links, since tmux
// users have a link that follows their last login.
func refusedName(path string) string {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	name := filepath.Base(path)
	switch {
	case strings.HasPrefix(name, "S.gpg-agent"):
		return isGPG
	case strings.HasPrefix(name, "s.") && strings.Contains(name, ".sshd."), strings.HasPrefix(name, "vscode-ssh-auth"):
		return isForwarded
	}
	return ""
}

// forgetsAnyKey catches gpg-agent under any name and behind any process: it
// answers SSH_AGENT_SUCCESS to the removal of a key that nobody ever loaded
// (tried with GnuPG 2.2.40), for it removes none at all. RFC 9987 wants
// SSH_AGENT_FAILURE there, which is also what a locked agent says.
func (c *agentConn) forgetsAnyKey() (bool, error) {
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return false, err
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		return false, err
	}
	if c.client.Remove(key) == nil {
		return true, nil
	}
	if !c.wire.refused() {
		return false, c.broken()
	}
	return false, nil
}
