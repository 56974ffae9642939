//go:build unix

package main

import (
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// nobody is an unprivileged user ID that owns nothing.
const nobody = 65534

// foreignEnv names a directory in which there is a token cache of root's.
const foreignEnv = "SFCRED_TEST_FOREIGN"

// unprivileged reports whether the test may go on as it is. Root passes every
// permission check, so as root the test is run again as nobody, and that run
// is the result.
func unprivileged(t *testing.T) bool {
	t.Helper()
	if os.Geteuid() != 0 {
		return true
	}
	dir := nobodysDir(t)
	cmd := exec.Command(filepath.Join(dir, "sfcred.test"), "-test.run="+ownPattern(t), "-test.parallel=4", "-test.v="+strconv.FormatBool(testing.Verbose()))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "TMPDIR="+dir, foreignEnv+"="+foreignCache(t))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if updating() {
		check(t, exec.Command("sh", "-c", "cp \"$0\"/testdata/*.txtar testdata", dir).Run())
	}
	if err != nil {
		t.Fatalf("as uid %d: %v\n%s", nobody, err, out)
	}
	t.Logf("as uid %d:\n%s", nobody, out)
	return false
}

// ownPattern is what -run says, if it is about this test, else the test's name.
func ownPattern(t *testing.T) string {
	given := strings.TrimPrefix(flag.Lookup("test.run").Value.String(), "^")
	if strings.HasPrefix(given, t.Name()+"/") || strings.HasPrefix(given, t.Name()+"$/") {
		return "^" + given
	}
	return "^" + t.Name() + "$"
}

// nobodysDir is nobody's, with a copy of the test binary and of testdata in it:
// these may lie where another user cannot reach them by name.
func nobodysDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sfcred-test-")
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	check(t, os.CopyFS(filepath.Join(dir, "testdata"), os.DirFS("testdata")))
	exe := "/proc/self/exe"
	if runtime.GOOS != "linux" {
		exe, err = os.Executable()
		check(t, err)
	}
	from, err := os.Open(exe)
	check(t, err)
	defer from.Close()
	to, err := os.OpenFile(filepath.Join(dir, "sfcred.test"), os.O_WRONLY|os.O_CREATE, 0o755)
	check(t, err)
	_, err = io.Copy(to, from)
	check(t, err)
	check(t, to.Close())
	check(t, filepath.Walk(dir, func(path string, _ os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, nobody, nobody)
	}))
	return dir
}

// foreignCache makes a directory that others can enter, with nobody's token
// cache in it, which belongs to root.
func foreignCache(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sfcred-foreign-")
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	check(t, os.Chmod(dir, 0o755))
	cache := filepath.Join(dir, "sfcred-"+strconv.Itoa(nobody))
	check(t, os.Mkdir(cache, 0o755))
	return dir
}
