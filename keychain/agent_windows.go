package keychain

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/windows"
)

// pipes is where Windows has its named pipes.
const pipes = `\\.\pipe\`

// defaultAgent is the pipe of the ssh-agent that is a part of Windows; the
// ssh.exe beside it looks there when SSH_AUTH_SOCK is not set.
const defaultAgent = pipes + "openssh-ssh-agent"

// dialAgent connects to the named pipe at path, or to a socket. Nothing else is
// opened: the path of some Unix on Windows may be that of a file.
func dialAgent(ctx context.Context, path string) (io.ReadWriteCloser, error) {
	var conn io.ReadWriteCloser
	var err error
	if strings.HasPrefix(strings.ReplaceAll(path, "/", `\`), pipes) {
		conn, err = openPipe(ctx, path)
	} else {
		conn, err = new(net.Dialer).DialContext(ctx, "unix", path)
	}
	var errno windows.Errno
	switch {
	case err == nil:
		return conn, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, agentError(ErrUnavailable, "there is no ssh-agent at %q", path)
	case errors.As(err, &errno):
		return nil, agentError(ErrUnavailable, "the ssh-agent at %q cannot be reached: error %d", path, uint32(errno))
	}
	return nil, agentError(ErrUnavailable, "the ssh-agent at %q cannot be reached", path)
}

// openPipe waits while all ends of the pipe are in use. Whoever made the pipe
// may learn who we are, but not act as us; so ssh.exe opens it, too.
func openPipe(ctx context.Context, path string) (*os.File, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	for {
		handle, err := windows.CreateFile(name, windows.GENERIC_READ|windows.GENERIC_WRITE, 0, nil,
			windows.OPEN_EXISTING, windows.SECURITY_SQOS_PRESENT|windows.SECURITY_IDENTIFICATION, 0)
		if err == nil {
			return os.NewFile(uintptr(handle), path), nil
		}
		if err != windows.ERROR_PIPE_BUSY || ctx.Err() != nil {
			return nil, err
		}
		time.Sleep(10 * time.Millisecond)
	}
}
