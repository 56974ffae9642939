//go:build unix

package disk_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"sfcred/keychain/disk"
)

func openDir(t *testing.T) (*disk.Dir, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cache")
	dir, err := disk.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	return dir, path
}

func TestOpenDirMakesIt(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	_, path := openDir(t)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("got %v, %v, want mode 0700", info.Mode(), err)
	}
	if again, err := disk.OpenDir(path + "/"); err != nil {
		t.Errorf("second time: %v", err)
	} else {
		again.Close()
	}
	// Not its parents: /run/user/UID is made at login or not at all.
	if _, err := disk.OpenDir(filepath.Join(path, "x", "y")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing parent: got %v, want %v", err, fs.ErrNotExist)
	}
}

func TestOpenDirRefuses(t *testing.T) {
	if !unprivileged(t) {
		return
	}
	base := t.TempDir()
	mkdir := func(name string, mode fs.FileMode) string {
		path := filepath.Join(base, name)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := mkdir("good", 0o700)
	link, file := filepath.Join(base, "link"), filepath.Join(base, "file")
	if err := os.Symlink(good, link); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, path, reason string }{
		{"link to a good directory", link, "it is not a directory"},
		// The slash would make the OS follow the link.
		{"link with a slash", link + "/", "it is not a directory"},
		{"file", file, "it is not a directory"},
		{"0750", mkdir("b", 0o750), "others can read it (mode 0750)"},
		// Search permission is enough to open a file whose name is known.
		{"0701", mkdir("c", 0o701), "others can read it (mode 0701)"},
		{"0720", mkdir("d", 0o720), "others can write it (mode 0720)"},
		{"root's directory", "/", "it belongs to uid 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, err := disk.OpenDir(tt.path)
			var unsafe *disk.UnsafeError
			if !errors.As(err, &unsafe) || dir != nil {
				t.Fatalf("got %v, %v, want an UnsafeError", dir, err)
			}
			if unsafe.Reason != tt.reason || unsafe.Path != filepath.Clean(tt.path) {
				t.Errorf("got %q for %s, want %q", unsafe.Reason, unsafe.Path, tt.reason)
			}
		})
	}
}

func TestDirFiles(t *testing.T) {
	dir, path := openDir(t)
	if _, err := dir.ReadFile("token", 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: got %v, want %v", err, fs.ErrNotExist)
	}
	for _, content := range []string{"first", "", "second"} {
		if err := dir.WriteFile("token", []byte(content)); err != nil {
			t.Fatal(err)
		}
		data, err := dir.ReadFile("token", 10)
		if err != nil || string(data) != content {
			t.Errorf("got %q, %v, want %q", data, err, content)
		}
		wantFile(t, filepath.Join(path, "token"), content, 0o600)
	}
	if err := dir.Remove("token"); err != nil {
		t.Error(err)
	}
	if err := dir.Remove("token"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removing twice: got %v, want %v", err, fs.ErrNotExist)
	}
}

func TestDirReadFileRefuses(t *testing.T) {
	if !unprivileged(t) {
		return
	}
	dir, path := openDir(t)
	file := func(name string, mode fs.FileMode) {
		if err := os.WriteFile(filepath.Join(path, name), []byte("12345"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(path, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	file("good", 0o600)
	file("group", 0o640)
	file("other", 0o604)
	for name, target := range map[string]string{"inside": "good", "outside": "/etc/passwd", "dangling": "missing"} {
		if err := os.Symlink(target, filepath.Join(path, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(path, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(path, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"group", "other", "inside", "outside", "dangling", "fifo", "sub"} {
		data, err := dir.ReadFile(name, 10)
		var unsafe *disk.UnsafeError
		if !errors.As(err, &unsafe) || data != nil {
			t.Errorf("%s: got %q, %v, want an UnsafeError", name, data, err)
		}
	}
	if data, err := dir.ReadFile("good", 4); err == nil || data != nil {
		t.Errorf("larger than the limit: got %q, %v, want an error", data, err)
	}
	if data, err := dir.ReadFile("../cache/good", 10); err == nil || data != nil {
		t.Errorf("path that leaves the directory: got %q, %v, want an error", data, err)
	}
}

func TestDirWriteFile(t *testing.T) {
	dir, path := openDir(t)
	// A link is replaced: what it points to may be anybody's.
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("untouched"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, filepath.Join(path, "token")); err != nil {
		t.Fatal(err)
	}
	if err := dir.WriteFile("token", []byte("new")); err != nil {
		t.Fatal(err)
	}
	wantFile(t, filepath.Join(path, "token"), "new", 0o600)
	wantFile(t, victim, "untouched", 0o600)

	// A rename onto a directory fails after the temporary file was made.
	if err := os.Mkdir(filepath.Join(path, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := dir.WriteFile("sub", []byte("x")); err == nil {
		t.Error("writing onto a directory: got nil, want an error")
	}
	if err := dir.WriteFile("../escaped", []byte("x")); err == nil {
		t.Error("writing outside: got nil, want an error")
	}
	if got := names(t, path); !slices.Equal(got, []string{"sub", "token"}) {
		t.Errorf("got files %q, want sub and token", got)
	}
}

// Who waits goes on when the lock is free, all at once, or when the time is up.
func TestAwaitUnlock(t *testing.T) {
	dir, _ := openDir(t)
	if err := dir.AwaitUnlock(t.Context(), "lock"); err != nil {
		t.Errorf("free: %v", err)
	}
	unlock, ok, err := dir.TryLock("lock")
	if !ok || err != nil {
		t.Fatalf("got %v, %v, want the lock", ok, err)
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := dir.AwaitUnlock(short, "lock"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("held: got %v, want %v", err, context.DeadlineExceeded)
	}
	const waiters = 20
	freed := make(chan error, waiters)
	for range waiters {
		go func() { freed <- dir.AwaitUnlock(t.Context(), "lock") }()
	}
	select {
	case err := <-freed:
		t.Errorf("got %v while the lock was held", err)
	case <-time.After(50 * time.Millisecond):
	}
	unlock()
	for range waiters {
		if err := <-freed; err != nil {
			t.Error(err)
		}
	}
}
