package keychain

import (
	"context"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/windows"
)

// shellCommand has cmd.exe run a text as it stands: /s takes exactly the quotes
// off that are put around it here, /d runs nothing before it. The arguments of
// exec.Command would be escaped in a way that cmd.exe does not undo.
func shellCommand(ctx context.Context, text string) *exec.Cmd {
	shell := "cmd.exe"
	if dir, err := windows.GetSystemDirectory(); err == nil {
		shell = filepath.Join(dir, shell)
	}
	cmd := exec.CommandContext(ctx, shell)
	cmd.SysProcAttr = &syscall.SysProcAttr{CmdLine: `cmd.exe /d /s /c "` + text + `"`}
	return cmd
}

// setApart does nothing: there are no sessions here, and only the program itself
// is ended, not what it started.
func setApart(*exec.Cmd) {}
