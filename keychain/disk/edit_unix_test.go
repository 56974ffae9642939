//go:build unix

package disk_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sfcred/keychain/disk"
)

const editLimit = 1 << 20

// to gives a change that makes text of whatever there is.
func to(text string) func([]byte) ([]byte, error) {
	return func([]byte) ([]byte, error) { return []byte(text), nil }
}

func none([]byte) ([]byte, error) { return nil, nil }

func TestEdit(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "new", "rc")
	if err := disk.Edit(path, editLimit, func(text []byte) ([]byte, error) {
		if text != nil {
			t.Errorf("no file: got %q, want nil", text)
		}
		return []byte("one\n"), nil
	}); err != nil {
		t.Fatal(err)
	}
	wantFile(t, path, "one\n", 0o600)

	if err := os.Chmod(path, 0o664); err != nil {
		t.Fatal(err)
	}
	if err := disk.Edit(path, editLimit, func(text []byte) ([]byte, error) { return append(text, "two\n"...), nil }); err != nil {
		t.Fatal(err)
	}
	wantFile(t, path, "one\ntwo\n", 0o664)
	if got := names(t, filepath.Dir(path)); !slices.Equal(got, []string{"rc"}) {
		t.Errorf("got %q beside it", got)
	}

	if err := disk.Edit(path, editLimit, to("")); err != nil {
		t.Fatal(err)
	}
	wantFile(t, path, "", 0o664)
	if err := disk.Edit(path, editLimit, none); err != nil {
		t.Fatal(err)
	}
	if got := names(t, filepath.Dir(path)); got != nil {
		t.Errorf("removed: got %q", got)
	}
	if err := disk.Edit(path, editLimit, none); err != nil {
		t.Errorf("no file, and none wanted: %v", err)
	}
}

// What is already there is not written: the file keeps its time, and a folder
// that is closed does not matter.
func TestEditToTheSame(t *testing.T) {
	if !unprivileged(t) {
		return
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "rc")
	if err := os.WriteFile(path, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(dir, 0o755)
	if err := disk.Edit(path, editLimit, to("one")); err != nil {
		t.Error(err)
	}
	if err := disk.Edit(path, editLimit, to("two")); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("in a closed folder: got %v", err)
	}
	wantFile(t, path, "one", 0o600)
}

func TestEditFollowsLinks(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "dotfiles"), filepath.Join(dir, "rc")
	if err := os.WriteFile(target, []byte("one"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("dotfiles", link); err != nil {
		t.Fatal(err)
	}
	if err := disk.Edit(link, editLimit, to("two")); err != nil {
		t.Fatal(err)
	}
	wantFile(t, target, "two", 0o644)
	if err := disk.Edit(link, editLimit, none); err != nil {
		t.Fatal(err)
	}
	wantFile(t, target, "", 0o644)
	if got, err := os.Readlink(link); err != nil || got != "dotfiles" {
		t.Errorf("the link: got %q, %v", got, err)
	}
}

func TestEditRefuses(t *testing.T) {
	if !unprivileged(t) {
		return
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "rc")
	if err := os.WriteFile(path, []byte("one"), 0o444); err != nil {
		t.Fatal(err)
	}
	if err := disk.Edit(path, editLimit, to("two")); err == nil || !strings.Contains(err.Error(), "closed to writing") {
		t.Errorf("closed to writing: got %v", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := disk.Edit(path, 2, to("two")); err == nil || !strings.Contains(err.Error(), "larger than 2 bytes") {
		t.Errorf("too large: got %v", err)
	}
	own := errors.New("no")
	if err := disk.Edit(path, editLimit, func([]byte) ([]byte, error) { return nil, own }); !errors.Is(err, own) {
		t.Errorf("the change's error: got %v", err)
	}
	err := disk.Edit(path, editLimit, func([]byte) ([]byte, error) {
		return []byte("two"), os.WriteFile(path, []byte("the user's"), 0o600)
	})
	if err == nil || !strings.Contains(err.Error(), "changed meanwhile") {
		t.Errorf("saved by the user meanwhile: got %v", err)
	}
	wantFile(t, path, "the user's", 0o600)

	var unsafe *disk.UnsafeError
	if err := disk.Edit(dir, editLimit, to("two")); !errors.As(err, &unsafe) {
		t.Errorf("a folder: got %v", err)
	}
	if err := disk.Edit("/etc/passwd", editLimit, to("two")); !errors.As(err, &unsafe) {
		t.Errorf("another's file: got %v", err)
	}
}
