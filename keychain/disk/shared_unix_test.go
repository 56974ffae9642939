//go:build unix

package disk_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"sfcred/keychain/disk"
)

func openShared(t *testing.T, path string, mode fs.FileMode) *disk.Dir {
	t.Helper()
	dir, err := disk.OpenShared(path, mode)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	return dir
}

func TestSharedFile(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077)) // which the mode does not depend on
	path := t.TempDir()
	for _, mode := range []fs.FileMode{0o640, 0o440, 0o660} {
		dir := openShared(t, path, mode)
		for _, content := range []string{"one\n", "two\n"} {
			if err := dir.WriteFile("token", []byte(content)); err != nil {
				t.Fatal(err)
			}
			wantFile(t, filepath.Join(path, "token"), content, mode)
		}
	}
	if got := names(t, path); !slices.Equal(got, []string{"token"}) {
		t.Errorf("got files %q, want only token", got)
	}
}

func TestOpenSharedRefuses(t *testing.T) {
	if !unprivileged(t) {
		return
	}
	base := t.TempDir()
	mkdir := func(name string, mode fs.FileMode) string {
		path := filepath.Join(base, name)
		if err := errors.Join(os.Mkdir(path, 0o700), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	link := filepath.Join(base, "link")
	if err := os.Symlink(mkdir("good", 0o755), link); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ name, path, reason string }{
		{"open to readers", mkdir("a", 0o755), ""},
		{"link to it", link, ""},
		{"sticky, as /tmp is", mkdir("b", 0o777|fs.ModeSticky), ""},
		{"root's", "/", ""},
		{"others write", mkdir("c", 0o757), "others can write it (mode 0757)"},
		{"the group writes", mkdir("d", 0o770), "others can write it (mode 0770)"},
	}
	for _, tt := range tests {
		dir, err := disk.OpenShared(tt.path, 0o640)
		if err == nil {
			dir.Close()
		}
		var unsafe *disk.UnsafeError
		if (err != nil) != (tt.reason != "") || errors.As(err, &unsafe) && unsafe.Reason != tt.reason {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.reason)
		}
	}
	if _, err := disk.OpenShared(filepath.Join(base, "missing"), 0o640); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing directory: got %v, want %v", err, fs.ErrNotExist)
	}
}

func TestCheckReplaceable(t *testing.T) {
	path := t.TempDir()
	at := func(name string) string { return filepath.Join(path, name) }
	err := errors.Join(
		os.WriteFile(at("file"), nil, 0o644),
		os.Symlink("file", at("link")),
		os.Symlink("nowhere", at("dangling")),
		os.Mkdir(at("directory"), 0o700),
		syscall.Mkfifo(at("pipe"), 0o600),
	)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"missing": "", "file": "",
		"link": "it is a link", "dangling": "it is a link",
		"directory": "it is not a regular file", "pipe": "it is not a regular file",
	}
	if os.Geteuid() == 0 {
		if err := errors.Join(os.WriteFile(at("foreign"), nil, 0o644), os.Chown(at("foreign"), nobody, nobody)); err != nil {
			t.Fatal(err)
		}
		want["foreign"] = "it belongs to uid 65534"
	}
	dir := openShared(t, path, 0o640)
	for name, reason := range want {
		err := dir.CheckReplaceable(name)
		var unsafe *disk.UnsafeError
		if (err != nil) != (reason != "") || errors.As(err, &unsafe) && (unsafe.Reason != reason || unsafe.Path != at(name)) {
			t.Errorf("%s: got %v, want %q", name, err, reason)
		}
	}
}

func TestRemoveOwn(t *testing.T) {
	path := t.TempDir()
	dir := openShared(t, path, 0o640)
	ours := []byte("ours\n")
	for content, stays := range map[string]bool{"ours\n": false, "theirs\n": true, "ours\nand more": true, "ours": true, "": true} {
		if err := os.WriteFile(filepath.Join(path, "token"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := dir.RemoveOwn("token", ours); err != nil {
			t.Errorf("%q: %v", content, err)
		}
		if _, err := os.Lstat(filepath.Join(path, "token")); (err == nil) != stays {
			t.Errorf("%q: got %v, want it to stay: %t", content, err, stays)
		}
	}
	_ = os.Remove(filepath.Join(path, "token"))
	if err := dir.RemoveOwn("token", ours); err != nil {
		t.Errorf("missing: %v", err)
	}
	if err := os.Mkdir(filepath.Join(path, "token"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := dir.RemoveOwn("token", ours); err != nil {
		t.Errorf("a directory: %v", err)
	}
	if got := names(t, path); !slices.Equal(got, []string{"token"}) {
		t.Errorf("got files %q, want the directory", got)
	}
}
