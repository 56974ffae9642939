//go:build unix

package disk_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"sfcred/keychain/disk"
)

// names lists dir, to see that nothing else was left there.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func wantFile(t *testing.T, path, content string, mode fs.FileMode) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(data) != content {
		t.Errorf("%s: got %q, want %q", path, data, content)
	}
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != mode {
		t.Errorf("%s: got mode %v, want %v", path, info.Mode(), mode)
	}
}

func TestWriteFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	path := filepath.Join(dir, "config.toml")
	for _, content := range []string{"one", "", "three, and longer"} {
		if err := disk.WriteFile(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		wantFile(t, path, content, 0o600)
	}
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if info, err := os.Stat(d); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: got %v, %v, want mode 0700", d, info.Mode(), err)
		}
	}
	if got := names(t, dir); !slices.Equal(got, []string{"config.toml"}) {
		t.Errorf("got files %q, want only config.toml", got)
	}
	// A mode that was too wide does not survive a write.
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := disk.WriteFile(path, []byte("x")); err != nil {
		t.Fatal(err)
	}
	wantFile(t, path, "x", 0o600)
}

func TestWriteFileFollowsLinks(t *testing.T) {
	tests := []struct {
		name  string
		links [][2]string // link, what it says
		old   string      // the target's content, "" if it is missing
	}{
		{"relative", [][2]string{{"home/config", "../repo/target"}}, "old"},
		{"absolute", [][2]string{{"home/config", "/repo/target"}}, "old"},
		{"chain", [][2]string{{"home/config", "next"}, {"home/next", "../repo/target"}}, "old"},
		// Linked before the program ever wrote its config.
		{"dangling", [][2]string{{"home/config", "../repo/target"}}, ""},
		{"dangling chain", [][2]string{{"home/config", "next"}, {"home/next", "../repo/target"}}, ""},
		// ".." means the parent of where the directory really is.
		{"through a linked directory", [][2]string{{"home", "real/home"}, {"real/home/config", "../target"}, {"repo/target", "../real/target"}}, "old"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			for _, d := range []string{"repo", "real/home"} {
				if err := os.MkdirAll(filepath.Join(root, d), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			for _, l := range tt.links {
				if l[0] != "home" {
					_ = os.MkdirAll(filepath.Join(root, filepath.Dir(l[0])), 0o700)
				}
				says := l[1]
				if filepath.IsAbs(says) {
					says = root + says
				}
				if err := os.Symlink(says, filepath.Join(root, l[0])); err != nil {
					t.Fatal(err)
				}
			}
			config, target := filepath.Join(root, "home/config"), filepath.Join(root, "repo/target")
			if tt.old != "" {
				if err := os.WriteFile(target, []byte(tt.old), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := disk.WriteFile(config, []byte("new")); err != nil {
				t.Fatal(err)
			}
			if info, err := os.Lstat(config); err != nil || info.Mode().Type() != fs.ModeSymlink {
				t.Errorf("got %v, %v, want the link to stand", info.Mode(), err)
			}
			if real, err := filepath.EvalSymlinks(target); err != nil {
				t.Error(err)
			} else {
				wantFile(t, real, "new", 0o600)
			}
		})
	}
}

func TestWriteFileLinkLoop(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := os.Symlink("a", path); err != nil {
		t.Fatal(err)
	}
	if err := disk.WriteFile(path, []byte("x")); err == nil {
		t.Error("got nil, want an error")
	}
	if got := names(t, dir); !slices.Equal(got, []string{"a"}) {
		t.Errorf("got files %q, want only the link", got)
	}
}

// A write that fails half way leaves the old file and nothing else.
func TestWriteFails(t *testing.T) {
	if os.Getenv(roleEnv) == "full disk" {
		writeToFullDisk(t)
		return
	}
	base := t.TempDir()
	for _, name := range []string{"file", "dir"} {
		path := filepath.Join(base, name, "old")
		if err := disk.WriteFile(path, []byte("old")); err != nil {
			t.Fatal(err)
		}
	}
	cmd := child(t, "full disk", base)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"file", "dir"} {
		dir := filepath.Join(base, name)
		wantFile(t, filepath.Join(dir, "old"), "old", 0o600)
		if got := names(t, dir); !slices.Equal(got, []string{"old"}) {
			t.Errorf("%s: got files %q, want only old", name, got)
		}
	}
}

// writeToFullDisk stands in for a full disk with a limit on the file size,
// which needs a process of its own.
func writeToFullDisk(t *testing.T) {
	signal.Ignore(syscall.SIGXFSZ) // so that write returns EFBIG
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 4096, Max: 4096}); err != nil {
		t.Fatal(err)
	}
	base := os.Args[len(os.Args)-1]
	big := make([]byte, 1<<20)
	if err := disk.WriteFile(filepath.Join(base, "file", "old"), big); !errors.Is(err, syscall.EFBIG) {
		t.Errorf("WriteFile: got %v, want %v", err, syscall.EFBIG)
	}
	dir, err := disk.OpenDir(filepath.Join(base, "dir"))
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.WriteFile("old", big); !errors.Is(err, syscall.EFBIG) {
		t.Errorf("Dir.WriteFile: got %v, want %v", err, syscall.EFBIG)
	}
}

func TestWriteFileReadOnlyDirectory(t *testing.T) {
	if !unprivileged(t) {
		return
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "config")
	if err := disk.WriteFile(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
	err := disk.WriteFile(path, []byte("new"))
	if !errors.Is(err, fs.ErrPermission) {
		t.Errorf("got %v, want %v", err, fs.ErrPermission)
	}
	if err != nil && !strings.Contains(err.Error(), path) {
		t.Errorf("got %q, want it to name %s", err, path)
	}
	wantFile(t, path, "old", 0o600)
}

// Readers see one whole content or the other, never a mix or nothing.
func TestWriteFileIsAtomic(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	contents := [][]byte{bytes.Repeat([]byte("a"), 64<<10), bytes.Repeat([]byte("b"), 96<<10)}
	if err := disk.WriteFile(path, contents[0]); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				data, err := os.ReadFile(path)
				if err != nil || (!bytes.Equal(data, contents[0]) && !bytes.Equal(data, contents[1])) {
					t.Errorf("got %d bytes, %v, want one of the two contents", len(data), err)
					return
				}
			}
		})
	}
	for i := range 50 {
		if err := disk.WriteFile(path, contents[i%2]); err != nil {
			t.Fatal(err)
		}
	}
	close(done)
	readers.Wait()
}

func TestReadPrivate(t *testing.T) {
	if !unprivileged(t) {
		return
	}
	dir := t.TempDir()
	file := func(name string, mode fs.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := func(name, target string) string {
		path := filepath.Join(dir, name)
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, path string
		limit      int64
		want       string // "" for the content, "unsafe" for UnsafeError, else a part of the error
	}{
		{"0600", file("a", 0o600), 5, ""},
		{"0400", file("b", 0o400), 5, ""},
		// Others may read a config: it holds no secret.
		{"0644", file("c", 0o644), 5, ""},
		{"0664", file("d", 0o664), 5, "unsafe"},
		{"0602", file("e", 0o602), 5, "unsafe"},
		{"link to a good file", link("f", "a"), 5, ""},
		{"link to a file others can write", link("g", "d"), 5, "unsafe"},
		{"root's file", "/etc/passwd", 1 << 20, ""},
		// /dev/null is root's, and everybody can write it.
		{"device", "/dev/null", 5, "unsafe"},
		// Opening it for reading would wait for a writer.
		{"fifo", fifo, 5, "unsafe"},
		{"directory", dir, 5, "unsafe"},
		{"larger than the limit", file("h", 0o600), 4, "larger than 4 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data, err := disk.ReadPrivate(tt.path, tt.limit)
			var unsafe *disk.UnsafeError
			switch {
			case tt.want == "":
				if err != nil || len(data) < 5 {
					t.Errorf("got %q, %v, want the content", data, err)
				}
			case tt.want == "unsafe":
				if !errors.As(err, &unsafe) || unsafe.Path != tt.path || data != nil {
					t.Errorf("got %q, %v, want an UnsafeError for %s", data, err, tt.path)
				}
			case err == nil || !strings.Contains(err.Error(), tt.want):
				t.Errorf("got %q, %v, want %q", data, err, tt.want)
			}
		})
	}
	if _, err := disk.ReadPrivate(filepath.Join(dir, "missing"), 5); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: got %v, want %v", err, fs.ErrNotExist)
	}
}
