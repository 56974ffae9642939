package keychain

import (
	"context"
	"encoding/binary"
	"errors"
	"io"

	"golang.org/x/crypto/ssh/agent"
)

// An ssh-agent speaks RFC 9987, which was draft-ietf-sshm-ssh-agent. Requests
// and replies are
//
//	uint32 length, byte type, contents
//
// one reply to each request. SSH_AGENT_FAILURE is all that an agent says where
// it refuses, whatever the reason.
const (
	agentFailure = 5

	// maxAgentReply is the longest reply that OpenSSH takes (authfd.c), so no
	// agent has a longer one. A hundred RSA keys of 8192 bits are half of it.
	maxAgentReply = 256 << 10
)

// unanswered is what is said of an agent that was asked in vain.
const unanswered = "did not answer in time"

// agentConn is a connection to an ssh-agent.
type agentConn struct {
	path   string
	conn   io.ReadWriteCloser
	wire   *agentWire
	client agent.ExtendedAgent
}

// withAgent calls f with a connection to the ssh-agent that breaks when ctx
// ends; silence is what the agent did then. What f sets counts only if there is
// no error, for it may still be running.
func (s *Stores) withAgent(ctx context.Context, silence string, f func(c *agentConn) error) error {
	path := s.Agent
	if path == "" {
		path = defaultAgent
	}
	if path == "" {
		return agentError(ErrUnavailable, "there is no ssh-agent: SSH_AUTH_SOCK is not set")
	}
	late := agentError(ErrTimeout, "the ssh-agent at %q %s", path, silence)
	_, err := bounded(ctx, late, func() (string, error) {
		err := connected(ctx, path, f)
		if err != nil && ctx.Err() != nil {
			err = ended(ctx, late) // and not what a broken connection looks like
		}
		return "", err
	})
	return err
}

func connected(ctx context.Context, path string, f func(c *agentConn) error) error {
	conn, err := dialAgent(ctx, path)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	wire := &agentWire{conn: conn}
	return f(&agentConn{path, conn, wire, agent.NewClient(wire)})
}

// broken is the error for an answer that is none. What package agent says of
// it may come from the agent, and goes no further.
func (c *agentConn) broken() error {
	return agentError(ErrUnavailable, "the ssh-agent at %q broke off, or answered with what is no answer", c.path)
}

// agentWire keeps the start of the last reply, since package agent tells a
// refusal from a broken connection by words only. It has no Close, so that
// package agent starts no goroutine to read from it.
type agentWire struct {
	conn io.ReadWriter
	head []byte // length and type, as far as they have come
}

func (w *agentWire) Write(p []byte) (int, error) {
	w.head = nil
	return w.conn.Write(p)
}

func (w *agentWire) Read(p []byte) (int, error) {
	n, err := w.conn.Read(p)
	w.head = append(w.head, p[:min(n, 5-len(w.head))]...)
	if len(w.head) >= 4 && binary.BigEndian.Uint32(w.head) > maxAgentReply {
		return 0, errors.New("the reply is too long")
	}
	return n, err
}

// refused reports whether the last reply was SSH_AGENT_FAILURE.
func (w *agentWire) refused() bool { return len(w.head) == 5 && w.head[4] == agentFailure }
