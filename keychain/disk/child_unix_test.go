//go:build unix

package disk_test

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
)

// roleEnv tells a child process which part of its test to play.
const roleEnv = "SFCRED_TEST_ROLE"

// nobody is an unprivileged user ID that owns nothing.
const nobody = 65534

// child prepares to run the calling test again, alone, in a process of its
// own that finds role in roleEnv.
func child(t *testing.T, role string, args ...string) *exec.Cmd {
	t.Helper()
	// The test binary may lie where another user cannot reach it by name.
	exe := "/proc/self/exe"
	if runtime.GOOS != "linux" {
		var err error
		if exe, err = os.Executable(); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(exe, append([]string{"-test.run=^" + t.Name() + "$", "--"}, args...)...)
	cmd.Env = append(os.Environ(), roleEnv+"="+role)
	return cmd
}

// unprivileged reports whether the test may go on as it is. Root passes every
// permission check, so as root the test is run again as nobody, and that run
// is the result.
func unprivileged(t *testing.T) bool {
	t.Helper()
	if os.Geteuid() != 0 {
		return true
	}
	cmd := child(t, "")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("as uid %d: %v\n%s", nobody, err, out)
	}
	return false
}
