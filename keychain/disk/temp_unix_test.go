//go:build unix

package disk_test

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"sfcred/keychain/disk"
)

func makeTemp(t *testing.T, parent string) *disk.TempDir {
	t.Helper()
	dir, err := disk.MakeTempDir(parent)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestTempDir(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "parent")
	one, two := makeTemp(t, parent), makeTemp(t, parent)
	if err := one.WriteFile("token", []byte("one")); err != nil {
		t.Fatal(err)
	}
	wantFile(t, one.Path("token"), "one", 0o600)
	for _, d := range []string{parent, filepath.Dir(one.Path("token"))} {
		if info, err := os.Stat(d); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: got %v, %v, want mode 0700", d, info.Mode(), err)
		}
	}
	if err := two.Close(); err != nil {
		t.Error(err)
	}
	wantFile(t, one.Path("token"), "one", 0o600)
	if err := one.Close(); err != nil {
		t.Error(err)
	}
	if got := names(t, parent); len(got) != 0 {
		t.Errorf("got %q left, want nothing", got)
	}
}

// What a killed process leaves is swept; what a living one has, and what is none
// of ours, stays.
func TestTempDirSweep(t *testing.T) {
	if os.Getenv(roleEnv) == "temp" {
		dir := makeTemp(t, os.Args[len(os.Args)-1])
		if err := errors.Join(dir.WriteFile("token", []byte("secret")), dir.WriteFile(".tmp-x", []byte("secret"))); err != nil {
			t.Fatal(err)
		}
		fmt.Println(dir.Path("token"))
		time.Sleep(time.Minute)
		return
	}
	parent := filepath.Join(t.TempDir(), "parent")
	ours := makeTemp(t, parent)
	if err := ours.WriteFile("token", []byte("ours")); err != nil {
		t.Fatal(err)
	}
	cmd := child(t, "temp", parent)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	token := line[:len(line)-1]
	disk.SweepTempDirs(parent)
	wantFile(t, token, "secret", 0o600)
	cmd.Process.Kill()
	cmd.Wait()
	wantFile(t, token, "secret", 0o600)
	if err := os.WriteFile(filepath.Join(parent, "stray"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	disk.SweepTempDirs(parent)
	if _, err := os.Lstat(filepath.Dir(token)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after a kill: got %v, want %v", err, fs.ErrNotExist)
	}
	wantFile(t, ours.Path("token"), "ours", 0o600)
	ours.Close()
	if got := names(t, parent); len(got) != 1 {
		t.Errorf("got %q left, want only the stray file", got)
	}
	missing := filepath.Join(parent, "missing")
	disk.SweepTempDirs(missing)
	if _, err := os.Lstat(missing); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a sweep where nothing was: got %v, want %v", err, fs.ErrNotExist)
	}
}

// Nobody sweeps away what another has just made.
func TestTempDirsAtOnce(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "parent")
	if err := os.Mkdir(parent, 0o700); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				disk.SweepTempDirs(parent)
				dir, err := disk.MakeTempDir(parent)
				if err != nil {
					t.Error(err)
					return
				}
				if err := dir.WriteFile("token", []byte("x")); err != nil {
					t.Error(err)
				}
				if _, err := os.Stat(dir.Path("token")); err != nil {
					t.Error(err)
				}
				dir.Close()
			}
		})
	}
	wg.Wait()
	if got := names(t, parent); len(got) != 0 {
		t.Errorf("got %q left, want nothing", got)
	}
}

// Who cleans /tmp by age must not take the lock of one that is in use.
func TestTempDirStaysYoung(t *testing.T) {
	dir := makeTemp(t, filepath.Join(t.TempDir(), "parent"))
	defer dir.Close()
	lock := filepath.Dir(dir.Path("token")) + ".lock"
	old := time.Now().Add(-30 * 24 * time.Hour)
	if err := os.Chtimes(lock, old, old); err != nil {
		t.Fatal(err)
	}
	if err := dir.WriteFile("token", nil); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(lock); err != nil || time.Since(info.ModTime()) > time.Hour {
		t.Errorf("the lock is of %v, %v, want now", info.ModTime(), err)
	}
}
