package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// agentCmd starts an ssh-agent in memory, or tells it what to do, or asserts
// what it has. Its peer is this test, so it is neither gpg-agent nor sshd.
//
//	agent start
//	agent add KEY         one of theKeys
//	agent lock|unlock     as ssh-add -x and -X
//	agent refuse|allow    to sign, as somebody who is asked
//	agent keys N
//	agent constrained LIFETIME true|false    the last key that was added, and whether it is to be confirmed
//	agent gone
func agentCmd(ts *testscript.TestScript, neg bool, args []string) {
	w := theWorld(ts)
	switch args[0] {
	case "start":
		started, stop, err := startAgent()
		ts.Check(err)
		ts.Defer(stop)
		w.agent = started
		ts.Setenv("SSH_AUTH_SOCK", w.agent.socket)
	case "add":
		ts.Check(w.agent.Add(agent.AddedKey{PrivateKey: theKeys()[args[1]], Comment: args[1]}))
	case "lock":
		ts.Check(w.agent.Lock([]byte("x")))
	case "unlock":
		ts.Check(w.agent.Unlock([]byte("x")))
	case "refuse", "allow":
		w.agent.set(func() { w.agent.refuses = args[0] == "refuse" })
	case "keys":
		keys, err := w.agent.List()
		ts.Check(err)
		if strconv.Itoa(len(keys)) != args[1] {
			ts.Fatalf("the agent has %d keys, want %s", len(keys), args[1])
		}
	case "constrained":
		var got agent.AddedKey
		w.agent.set(func() { got = w.agent.last })
		if strconv.Itoa(int(got.LifetimeSecs)) != args[1] || strconv.FormatBool(got.ConfirmBeforeUse) != args[2] {
			ts.Fatalf("the key was added for %d s, to be confirmed: %v; want %s, %s", got.LifetimeSecs, got.ConfirmBeforeUse, args[1], args[2])
		}
	case "gone":
		w.agent.listener.Close()
	default:
		ts.Fatalf("agent %s: unknown", args[0])
	}
}

// testAgent is an ssh-agent that can be asked what it was told.
type testAgent struct {
	agent.Agent
	socket   string
	listener net.Listener

	mu      sync.Mutex // guards what follows
	refuses bool
	last    agent.AddedKey
}

func startAgent() (a *testAgent, stop func(), err error) {
	dir, err := os.MkdirTemp("", "a") // a socket's name is short
	if err != nil {
		return nil, nil, err
	}
	a = &testAgent{Agent: agent.NewKeyring(), socket: filepath.Join(dir, "s")}
	a.listener, err = net.Listen("unix", a.socket)
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	go a.serve()
	return a, func() { a.listener.Close(); os.RemoveAll(dir) }, nil
}

func (a *testAgent) serve() {
	for {
		conn, err := a.listener.Accept()
		if err != nil {
			return
		}
		go func() {
			_ = agent.ServeAgent(a, conn)
			conn.Close()
		}()
	}
}

func (a *testAgent) set(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

func (a *testAgent) Add(key agent.AddedKey) error {
	a.set(func() { a.last = key })
	key.ConfirmBeforeUse = false // the one in memory knows nobody to ask
	return a.Agent.Add(key)
}

func (a *testAgent) SignWithFlags(key ssh.PublicKey, data []byte, flags agent.SignatureFlags) (*ssh.Signature, error) {
	var refuses bool
	a.set(func() { refuses = a.refuses })
	if refuses {
		return nil, errors.New("declined")
	}
	return a.Agent.(agent.ExtendedAgent).SignWithFlags(key, data, flags)
}

func (a *testAgent) Extension(string, []byte) ([]byte, error) {
	return nil, agent.ErrExtensionUnsupported
}
