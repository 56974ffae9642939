//go:build unix

package keychain

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"syscall"
)

// defaultAgent is where the ssh-agent is when nothing says so.
const defaultAgent = ""

// dialAgent connects to the socket at path.
func dialAgent(ctx context.Context, path string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	var errno syscall.Errno
	switch {
	case err == nil:
		return conn, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, agentError(ErrUnavailable, "there is no ssh-agent at %q", path)
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, agentError(ErrUnavailable, "the ssh-agent at %q has ended", path)
	case errors.As(err, &errno):
		return nil, agentError(ErrUnavailable, "the ssh-agent at %q cannot be reached: %v", path, errno)
	}
	return nil, agentError(ErrUnavailable, "the ssh-agent at %q cannot be reached", path)
}
