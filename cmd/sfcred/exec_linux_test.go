package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// execEnv is an environment with a profile and a runtime directory in it.
func execEnv(t *testing.T, tokenURL string) (env []string, runtimeDir string) {
	t.Helper()
	dir := t.TempDir()
	check(t, writeKeys(dir, theKeys()))
	run := filepath.Join(dir, "run")
	check(t, os.Mkdir(run, 0o700))
	return append(os.Environ(), "HOME="+dir, "XDG_RUNTIME_DIR="+run, "XDG_CONFIG_HOME=", "XDG_DATA_HOME=", "TMPDIR="+dir,
		"SFCRED_CLIENT_ID="+clientID, "SFCRED_PRIVATE_KEY_FILE="+filepath.Join(dir, "key.pem"), "SFCRED_TOKEN_URL="+tokenURL,
		"SFCRED_TIMEOUT=60s"), run
}

// sfcred ends by the signal that the command ends by, and leaves no core, which
// would be its own.
func TestExecDiesAsTheCommandDoes(t *testing.T) {
	server := newServer()
	defer server.Close()
	env, run := execEnv(t, server.TokenURL)
	for _, sig := range []syscall.Signal{
		syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGILL, syscall.SIGTRAP, syscall.SIGABRT, syscall.SIGBUS,
		syscall.SIGFPE, syscall.SIGKILL, syscall.SIGUSR1, syscall.SIGSEGV, syscall.SIGUSR2, syscall.SIGPIPE, syscall.SIGALRM,
		syscall.SIGTERM, syscall.SIGXCPU, syscall.SIGPROF, syscall.SIGSYS, 40,
	} {
		cmd := exec.Command("sfcred", "exec", "--", "sh", "-c", fmt.Sprintf("kill -%d $$", sig))
		var out bytes.Buffer
		cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = env, run, &out, &out
		_ = cmd.Run()
		status := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if !status.Signaled() || status.Signal() != sig || status.CoreDump() || out.Len() != 0 {
			t.Errorf("signal %d: ended by %v and said %q, want the same signal and no word", sig, cmd.ProcessState, out.Bytes())
		}
	}
}

// A thousand renewals take no more descriptors and memory than a hundred.
func TestExecDoesNotGrow(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes some seconds")
	}
	server := newServer()
	defer server.Close()
	env, run := execEnv(t, server.TokenURL)
	cmd := exec.Command("sfcred-hasty", "exec", "--", "cat")
	var out bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = env, &out, &out
	stdin, err := cmd.StdinPipe()
	check(t, err)
	check(t, cmd.Start())
	renewed := func(n int) (descriptors, kilobytes int) {
		for late := time.After(time.Minute); server.Exchanges() < n; {
			select {
			case <-late:
				t.Fatalf("only %d exchanges in a minute; it said %q", server.Exchanges(), out.Bytes())
			case <-time.After(5 * time.Millisecond):
			}
		}
		for range 20 { // the most of some moments, since a renewal has its own for a moment
			descriptors = max(descriptors, openDescriptors(t, cmd.Process.Pid))
			kilobytes = max(kilobytes, resident(t, cmd.Process.Pid))
			time.Sleep(5 * time.Millisecond)
		}
		return descriptors, kilobytes
	}
	fds, rss := renewed(100)
	laterFDs, laterRSS := renewed(1100)
	t.Logf("%d descriptors and %d kB, then %d and %d", fds, rss, laterFDs, laterRSS)
	if laterFDs > fds+4 {
		t.Errorf("%d descriptors, want about the %d of a thousand renewals before", laterFDs, fds)
	}
	if laterRSS > rss+rss/4+2048 {
		t.Errorf("%d kB, want about the %d of a thousand renewals before", laterRSS, rss)
	}
	check(t, stdin.Close())
	if err := cmd.Wait(); err != nil || out.Len() != 0 {
		t.Errorf("ended with %v and said %q", err, out.Bytes())
	}
	left, err := os.ReadDir(filepath.Join(run, "sfcred-exec"))
	if err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func openDescriptors(t *testing.T, pid int) int {
	t.Helper()
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	check(t, err)
	return len(fds)
}

// resident is the memory of a process in kB.
func resident(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	check(t, err)
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	check(t, err)
	return n
}
