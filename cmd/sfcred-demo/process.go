package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// processTime bounds one run of sfcred or curl. sfcred's own deadline is 8 s.
const processTime = 30 * time.Second

// outcome is what became of a process.
type outcome struct {
	stdout, stderr string
	code           int
	took           time.Duration
}

// process runs name on the stage and returns what became of it; an error means
// that it did not run to its end.
func (s *stage) process(ctx context.Context, env []string, stdin, name string, args ...string) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, processTime)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = s.dir, append(s.environ(), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	stopGently(cmd)
	began := time.Now()
	err := cmd.Run()
	took := time.Since(began)
	if ctx.Err() != nil {
		err = ctx.Err() // however it took being stopped
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return outcome{}, fmt.Errorf("run %s: %w", filepath.Base(name), err)
	}
	return outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode(), took}, nil
}

// stopGently has a command end by an interrupt when its context does, so that
// it can clean up, and by force soon after.
func stopGently(cmd *exec.Cmd) {
	cmd.Cancel = func() error {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			return cmd.Process.Kill() // Windows has no such signal
		}
		return nil
	}
	cmd.WaitDelay = 5 * time.Second
}

// build builds the real sfcred and returns its path.
func (s *stage) build(ctx context.Context) (string, error) {
	goCommand, err := exec.LookPath("go")
	if err != nil {
		return "", errors.New("the go command, which builds sfcred, is not on the PATH; it is at https://go.dev/dl")
	}
	program := s.path("bin/sfcred")
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	// Without the stamp no git is needed, nor its trust in the checkout's owner.
	cmd := exec.CommandContext(ctx, goCommand, "build", "-buildvcs=false", "-o", program, "sfcred/cmd/sfcred")
	cmd.Env = append(os.Environ(), "GOTMPDIR="+s.path("tmp")) // its caches are the person's own
	stopGently(cmd)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build sfcred (in a folder of its module): %w\n%s", err, bytes.TrimSpace(out))
	}
	return program, nil
}
