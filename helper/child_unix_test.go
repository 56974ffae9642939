//go:build unix

package helper_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"sfcred/helper"
	"sfcred/keychain/disk"
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
		exe = must(os.Executable())
	}
	cmd := exec.Command(exe, append([]string{"-test.run=^" + t.Name() + "$", "--"}, args...)...)
	cmd.Env = append(os.Environ(), roleEnv+"="+role)
	cmd.Stderr = os.Stderr
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
	cmd.Dir, cmd.Stderr = "/", nil
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("as uid %d: %v\n%s", nobody, err, out)
	}
	return false
}

// lockHolder starts a process that holds the lock of the source's token, until
// it is killed.
func lockHolder(t *testing.T, src *source) *exec.Cmd {
	t.Helper()
	dir := must(disk.OpenDir(src.CacheDir))
	defer dir.Close()
	cmd := child(t, "hold", filepath.Join(src.CacheDir, src.Profile.CacheKey()+".lock"))
	out := must(cmd.StdoutPipe())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	for in := bufio.NewScanner(out); in.Scan(); {
		if in.Text() == "held" {
			return cmd
		}
	}
	t.Fatal("the child ended without the lock")
	return nil
}

// holds plays the part of lockHolder's process.
func holds(t *testing.T) bool {
	t.Helper()
	if os.Getenv(roleEnv) != "hold" {
		return false
	}
	unlock, err := disk.Lock(t.Context(), os.Args[len(os.Args)-1])
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	_, _ = os.Stdout.WriteString("held\n")
	time.Sleep(time.Minute) // it is killed before
	return true
}

// TestWaiterOutlivesHolder kills the process that everybody waits for.
func TestWaiterOutlivesHolder(t *testing.T) {
	if holds(t) {
		return
	}
	t.Parallel()
	server := newServer(t)
	src := newSource(t, server)
	holder := lockHolder(t, src)
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		time.Sleep(300 * time.Millisecond)
		_ = holder.Process.Kill()
	}()
	token, err := src.Token(within(t, 60*time.Second), helper.Want{})
	if err != nil || token.Value == "" {
		t.Fatalf("got %v, want a token", err)
	}
	select {
	case <-killed:
	default:
		t.Error("got a token while another process held the lock")
	}
	wantCounts(t, server, 1, 0)
}

// TestWaiterGoesOnAlone leaves the lock held: a waiter has 2 s left for itself,
// or half of its time where that is short.
func TestWaiterGoesOnAlone(t *testing.T) {
	if holds(t) {
		return
	}
	t.Parallel()
	server := newServer(t)
	src := newSource(t, server)
	lockHolder(t, src)
	for total, least := range map[time.Duration]time.Duration{5 * time.Second: 3 * time.Second, 2 * time.Second: time.Second} {
		src.Forget()
		ctx := within(t, total)
		began := time.Now()
		_, err := src.Token(ctx, helper.Want{})
		if took := time.Since(began); err != nil || took < least {
			t.Errorf("%s to the deadline: got %v after %s, want a token after %s", total, err, took, least)
		}
	}
	wantCounts(t, server, 2, 0)
	// What it got alone serves those who wait: nobody needs the lock for that.
	if src.get(t, helper.Want{}); server.Exchanges() != 2 {
		t.Errorf("got %d exchanges, want 2", server.Exchanges())
	}
}

// TestOneGoesOnAlone leaves the lock held, too: what the first who goes on alone
// gets is for those who are more patient.
func TestOneGoesOnAlone(t *testing.T) {
	if holds(t) {
		return
	}
	t.Parallel()
	server := newServer(t)
	src := newSource(t, server)
	lockHolder(t, src)
	tokens := make(chan string, 2)
	for _, total := range []time.Duration{4 * time.Second, 8 * time.Second} { // waits 2 s, and 6 s
		src, ctx := newSourceIn(t, server, src.CacheDir), within(t, total)
		go func() {
			token, err := src.Token(ctx, helper.Want{})
			if err != nil {
				t.Error(err)
			}
			tokens <- token.Value
		}()
	}
	if one, other := <-tokens, <-tokens; one != other {
		t.Error("got two tokens, want one for both")
	}
	wantCounts(t, server, 1, 0)
}

// TestUnsafeCache wants a cache that others could reach or have planted not to
// be used, and the token served all the same, with one warning.
func TestUnsafeCache(t *testing.T) {
	if !unprivileged(t) {
		return
	}
	tests := map[string]func(t *testing.T, path string) string{
		"others can read it": func(t *testing.T, path string) string {
			check(t, os.Mkdir(path, 0o700))
			check(t, os.Chmod(path, 0o755))
			return path
		},
		"others can write it": func(t *testing.T, path string) string {
			check(t, os.Mkdir(path, 0o700))
			check(t, os.Chmod(path, 0o777))
			return path
		},
		"a link": func(t *testing.T, path string) string {
			check(t, os.Mkdir(path+".real", 0o700))
			check(t, os.Symlink(path+".real", path))
			return path
		},
		"a file":           func(t *testing.T, path string) string { check(t, os.WriteFile(path, nil, 0o600)); return path },
		"another's":        func(*testing.T, string) string { return "/" },
		"no parent":        func(t *testing.T, path string) string { return filepath.Join(path, "x", "y") },
		"nothing writable": func(t *testing.T, path string) string { check(t, os.Mkdir(path, 0o500)); return path },
	}
	for name, make := range tests {
		t.Run(name, func(t *testing.T) {
			server := newServer(t)
			src := newSourceIn(t, server, make(t, filepath.Join(t.TempDir(), "cache")))
			src.get(t, helper.Want{})
			if got := src.warnings(); len(got) != 1 {
				t.Errorf("got warnings %q, want one", got)
			}
			src.get(t, helper.Want{})
			wantCounts(t, server, 2, 0)
		})
	}
}

// TestUnsafeTokenFile wants a token file that was planted, or that others
// could read, to be replaced.
func TestUnsafeTokenFile(t *testing.T) {
	if !unprivileged(t) {
		return
	}
	for name, spoil := range map[string]func(t *testing.T, file string){
		"others can read it": func(t *testing.T, file string) { check(t, os.Chmod(file, 0o644)) },
		"group can write it": func(t *testing.T, file string) { check(t, os.Chmod(file, 0o620)) },
		"a link": func(t *testing.T, file string) {
			check(t, os.Rename(file, file+".real"))
			check(t, os.Symlink(file+".real", file))
		},
		"a link beside it": func(t *testing.T, file string) { // which os.Root itself would follow
			check(t, os.Rename(file, file+".real"))
			check(t, os.Symlink(filepath.Base(file)+".real", file))
		},
		"a FIFO": func(t *testing.T, file string) {
			check(t, os.Remove(file))
			check(t, syscall.Mkfifo(file, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := newServer(t)
			src := newSource(t, server)
			first := src.get(t, helper.Want{})
			file := filepath.Join(src.CacheDir, src.Profile.CacheKey()+".token")
			spoil(t, file)
			second := src.get(t, helper.Want{})
			if second.Value == first.Value {
				t.Error("got the token out of a file that is not ours alone")
			}
			if info := must(os.Lstat(file)); info.Mode() != 0o600 {
				t.Errorf("got mode %s, want a new file", info.Mode())
			}
			if got := src.warnings(); len(got) != 0 {
				t.Errorf("got warnings %q, want none", got)
			}
			src.get(t, helper.Want{})
			wantCounts(t, server, 2, 0)
		})
	}
}

// TestPlantedLock wants a link at the lock's place not followed, and the token
// served.
func TestPlantedLock(t *testing.T) {
	server := newServer(t)
	src := newSource(t, server)
	src.get(t, helper.Want{})
	lock := filepath.Join(src.CacheDir, src.Profile.CacheKey()+".lock")
	victim := filepath.Join(t.TempDir(), "victim")
	check(t, os.Remove(lock))
	check(t, os.Symlink(victim, lock))
	src.Forget()
	src.get(t, helper.Want{})
	wantCounts(t, server, 2, 0)
	if _, err := os.Lstat(victim); !os.IsNotExist(err) {
		t.Errorf("got %v, want the link's target not made", err)
	}
}
