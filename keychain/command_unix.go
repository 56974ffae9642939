//go:build unix

package keychain

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// shellCommand has a shell run a text as it stands.
func shellCommand(ctx context.Context, text string) *exec.Cmd {
	return exec.CommandContext(ctx, "/bin/sh", "-c", text)
}

// setApart gives a command a session of its own. It has no controlling terminal
// there, so that neither it nor what it starts finds /dev/tty to ask a person
// on: where a key is only got nobody sits, or somebody who does something else.
// The session begins as one process group, which is ended as a whole.
func setApart(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error {
		err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
}
