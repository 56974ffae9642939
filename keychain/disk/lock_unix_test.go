//go:build unix

package disk_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"sfcred/keychain/disk"
)

// holder is a child that holds the lock at path until its input ends.
func holder(t *testing.T, path string) (cmd *exec.Cmd, release func()) {
	t.Helper()
	cmd = child(t, "hold", path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatalf("child said %q, %v, want locked", line, err)
	}
	return cmd, func() { in.Close(); _ = cmd.Wait() }
}

func hold(t *testing.T) {
	unlock, err := disk.Lock(t.Context(), os.Args[len(os.Args)-1])
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	fmt.Println("locked")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func TestLockBetweenProcesses(t *testing.T) {
	if os.Getenv(roleEnv) == "hold" {
		hold(t)
		return
	}
	dir, path := openDir(t)
	_, release := holder(t, filepath.Join(path, "x.lock"))
	if unlock, ok, err := dir.TryLock("x.lock"); ok || unlock != nil || err != nil {
		t.Fatalf("while held: got %v, %v, want false", ok, err)
	}
	release()
	wantLock(t, dir)

	// A process that was killed leaves its lock file, not its lock.
	cmd, _ := holder(t, filepath.Join(path, "x.lock"))
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	wantLock(t, dir)
	wantFile(t, filepath.Join(path, "x.lock"), "", 0o600)
}

func wantLock(t *testing.T, dir *disk.Dir) {
	t.Helper()
	unlock, ok, err := dir.TryLock("x.lock")
	if !ok || err != nil {
		t.Fatalf("TryLock: got %v, %v, want true", ok, err)
	}
	unlock()
}

// Several processes count in one file; without the lock counts get lost.
func TestLockExcludes(t *testing.T) {
	const processes, rounds = 4, 25
	if os.Getenv(roleEnv) == "count" {
		count(t, os.Args[len(os.Args)-1], rounds)
		return
	}
	path := filepath.Join(t.TempDir(), "made", "for", "it", "counter")
	var children []*exec.Cmd
	for range processes {
		cmd := child(t, "count", path)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		children = append(children, cmd)
	}
	for _, cmd := range children {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	wantFile(t, path, strconv.Itoa(processes*rounds), 0o600)
	if info, err := os.Stat(filepath.Dir(path)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory made for the lock: got %v, %v, want mode 0700", info.Mode(), err)
	}
}

func count(t *testing.T, path string, rounds int) {
	for range rounds {
		unlock, err := disk.Lock(t.Context(), path+".lock")
		if err != nil {
			t.Fatal(err)
		}
		data, _ := os.ReadFile(path)
		n, _ := strconv.Atoi(string(data))
		if err := disk.WriteFile(path, []byte(strconv.Itoa(n+1))); err != nil {
			t.Fatal(err)
		}
		unlock()
	}
}

func TestLockEndsWithContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := disk.Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()

	soon, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := disk.Lock(soon, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("deadline: got %v, want %v", err, context.DeadlineExceeded)
	}
	// An ended context gets no lock, not even a free one.
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := disk.Lock(cancelled, path+".free"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v, want %v", err, context.Canceled)
	}
}

func TestLockRefusesLinks(t *testing.T) {
	dir, path := openDir(t)
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.Symlink(victim, filepath.Join(path, "x.lock")); err != nil {
		t.Fatal(err)
	}
	var unsafe *disk.UnsafeError
	if _, ok, err := dir.TryLock("x.lock"); ok || !errors.As(err, &unsafe) {
		t.Errorf("got %v, %v, want an UnsafeError", ok, err)
	}
	// Who waits has not looked what is there, and another may have put it there by
	// now: the opening itself is what does not follow.
	if err := dir.AwaitUnlock(t.Context(), "x.lock"); err == nil {
		t.Error("waited for a lock behind a link")
	}
	if _, err := os.Lstat(victim); !os.IsNotExist(err) {
		t.Errorf("got %v, want the link's target not made", err)
	}
}
