package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// whileItHangs runs sfcred as nobody, with the key in a variable and all cores
// allowed, and calls f while it waits for its server.
func whileItHangs(t *testing.T, dir string, f func(cmd *exec.Cmd)) {
	t.Helper()
	w := &world{server: newServer(), hanging: make(chan struct{}, 1)}
	defer w.server.Close()
	w.server.SetTokenFault(hang(w))
	cmd := exec.Command("sh", "-c", "ulimit -c $(ulimit -Hc); exec sfcred token")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_RUNTIME_DIR=", "TMPDIR="+dir, "XDG_CONFIG_HOME=", "XDG_DATA_HOME=", "GOTRACEBACK=crash",
		"SFCRED_CLIENT_ID="+clientID, "SFCRED_PRIVATE_KEY="+keyLine(), "SFCRED_TOKEN_URL="+w.server.TokenURL, "SFCRED_TIMEOUT=60s")
	check(t, cmd.Start())
	defer cmd.Process.Kill()
	<-w.hanging
	f(cmd)
}

// Other programs of the user find no key in the memory of sfcred, nor in the
// variables that it was started with. What they find in a program that does
// nothing about it is the control.
func TestMemoryIsClosed(t *testing.T) {
	if !unprivileged(t) {
		return
	}
	control := exec.Command("sleep", "600")
	check(t, control.Start())
	defer control.Process.Kill()
	whileItHangs(t, t.TempDir(), func(cmd *exec.Cmd) {
		for _, name := range []string{"environ", "mem", "auxv", "fd", "exe", "map_files", "cwd"} {
			file := func(pid int) error {
				_, err := os.Open(fmt.Sprintf("/proc/%d/%s", pid, name))
				return err
			}
			if err := file(cmd.Process.Pid); err == nil {
				t.Errorf("/proc/PID/%s can be opened", name)
			}
			if err := file(control.Process.Pid); err != nil {
				t.Errorf("/proc/PID/%s: %v also where nothing is closed", name, err)
			}
		}
		runtime.LockOSThread() // ptrace(2) is a thread's
		defer runtime.UnlockOSThread()
		if err := syscall.PtraceAttach(control.Process.Pid); err != nil {
			t.Skipf("nobody may attach to anything here: %v", err)
		}
		_, err := syscall.Wait4(control.Process.Pid, nil, 0, nil)
		check(t, err)
		check(t, syscall.PtraceDetach(control.Process.Pid))
		if err := syscall.PtraceAttach(cmd.Process.Pid); err == nil {
			t.Error("a debugger can be attached")
		}
	})
}

// However sfcred ends, it leaves no core.
func TestNoCore(t *testing.T) {
	if !unprivileged(t) {
		return
	}
	control := exec.Command("sh", "-c", "ulimit -c $(ulimit -Hc); kill -ABRT $$")
	control.Dir = t.TempDir()
	_ = control.Run()
	if !control.ProcessState.Sys().(syscall.WaitStatus).CoreDump() {
		t.Skip("no program leaves a core here")
	}
	for _, sig := range []syscall.Signal{syscall.SIGABRT, syscall.SIGQUIT, syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGSYS, syscall.SIGTRAP, syscall.SIGTERM} {
		dir := t.TempDir()
		whileItHangs(t, dir, func(cmd *exec.Cmd) {
			limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", cmd.Process.Pid))
			check(t, err)
			if line := regexp.MustCompile(`Max core file size.*`).Find(limits); len(bytes.Fields(line)) < 5 || string(bytes.Fields(line)[4]) != "0" {
				t.Errorf("the limit is %q, want 0", line)
			}
			check(t, cmd.Process.Signal(sig))
			_ = cmd.Wait()
			if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.CoreDump() || !status.Signaled() {
				t.Errorf("%v: ended by %v", sig, cmd.ProcessState)
			}
		})
		if cores, _ := filepath.Glob(filepath.Join(dir, "core*")); len(cores) > 0 {
			t.Errorf("%v: left %v", sig, cores)
		}
	}
}

// What exec runs may leave a core, be looked into and have the limits of the
// user, as if there were no sfcred.
func TestExecLeavesTheCommandItsCore(t *testing.T) {
	if !unprivileged(t) {
		return
	}
	server := newServer()
	defer server.Close()
	env, run := execEnv(t, server.TokenURL)
	const show = `ulimit -Sc; ulimit -Hc; wc -c < /proc/self/environ`
	for _, limit := range []string{"$(ulimit -Hc)", "4096", "0"} {
		var answers []string
		for _, through := range []string{"", "sfcred exec -- "} {
			cmd := exec.Command("sh", "-c", fmt.Sprintf("ulimit -Sc %s; %s sh -c '%s'", limit, through, show))
			var stderr bytes.Buffer
			cmd.Env, cmd.Dir, cmd.Stderr = env, run, &stderr
			out, err := cmd.Output()
			if err != nil || stderr.Len() > 0 {
				t.Fatalf("%sulimit: %v, %s", through, err, stderr.Bytes())
			}
			lines := bufio.NewScanner(bytes.NewReader(out))
			var limits []string
			for lines.Scan() {
				limits = append(limits, lines.Text())
			}
			if len(limits) != 3 || limits[2] == "0" {
				t.Fatalf("%s: got %q", through, out)
			}
			answers = append(answers, strings.Join(limits[:2], " "))
		}
		if answers[0] != answers[1] {
			t.Errorf("with a limit of %s: the command has %q, want %q", limit, answers[1], answers[0])
		}
	}
}
