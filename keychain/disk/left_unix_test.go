//go:build unix

package disk_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"sfcred/keychain/disk"
)

// Once it is surely no living writer's, it goes with the next write.
func TestWritersRemoveLeft(t *testing.T) {
	dir, path := openDir(t)
	plant := func(age time.Duration, files ...string) {
		for _, name := range files {
			file := filepath.Join(path, name)
			if err := os.WriteFile(file, []byte("half"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(file, time.Time{}, time.Now().Add(-age)); err != nil {
				t.Fatal(err)
			}
		}
	}
	const killed, atWork = ".tmp-ABCDEFGHIJKLMNOPQRSTUVWX23", ".tmp-ABCDEFGHIJKLMNOPQRSTUVWX24"
	const later, ahead = ".tmp-ABCDEFGHIJKLMNOPQRSTUVWX25", ".tmp-ABCDEFGHIJKLMNOPQRSTUVWX26"
	plant(2*time.Hour, ".tmp-config1", ".tmp-other2", killed, ".tmp-ABC", "a.token", "b.lock")
	plant(time.Minute, ".tmp-config3", atWork)
	// The clock was set back since: by a little, and by a lot.
	plant(-time.Minute, ".tmp-config5", later)
	plant(-2*time.Hour, ".tmp-config6", ahead)
	for _, name := range []string{".tmp-config1", killed} { // as what they were to become
		if err := os.Chmod(filepath.Join(path, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := disk.WriteFile(filepath.Join(path, "config"), nil); err != nil {
		t.Fatal(err)
	}
	want := []string{".tmp-ABC", killed, atWork, later, ahead, ".tmp-config3", ".tmp-config5", ".tmp-other2", "a.token", "b.lock", "config"}
	if got := names(t, path); !slices.Equal(got, want) {
		t.Errorf("WriteFile: got files %q, want %q", got, want)
	}
	if err := dir.WriteFile("config", nil); err != nil {
		t.Fatal(err)
	}
	want = slices.DeleteFunc(want, func(name string) bool { return name == killed || name == ahead })
	if got := names(t, path); !slices.Equal(got, want) {
		t.Errorf("Dir.WriteFile: got files %q, want %q", got, want)
	}
}

// What killed writers of a file have left goes, and nothing else.
func TestRemoveLeft(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config.toml")
	want := []string{
		".tmp-config.toml",         // no random end
		".tmp-config.toml.lock123", // another file's
		".tmp-config.toml12x",
		".tmp-config.toml8", // a directory
		".tmp-config.toml9", // a link
		".tmp-state.json123",
		"config.toml123",
	}
	if err := os.Mkdir(filepath.Join(dir, ".tmp-config.toml8"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("config.toml123", filepath.Join(dir, ".tmp-config.toml9")); err != nil {
		t.Fatal(err)
	}
	for _, name := range append([]string{".tmp-config.toml123", ".tmp-config.toml4"}, want...) {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			f.Close()
		} else if !errors.Is(err, fs.ErrExist) {
			t.Fatal(err)
		}
	}
	// Before the clock was set back.
	if err := os.Chtimes(filepath.Join(dir, ".tmp-config.toml4"), time.Time{}, time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := disk.RemoveLeft(path); err != nil {
		t.Error(err)
	}
	slices.Sort(want)
	if got := names(t, dir); !slices.Equal(got, want) {
		t.Errorf("got files %q, want %q", got, want)
	}
	if err := disk.RemoveLeft(filepath.Join(dir, "missing", "file")); err != nil {
		t.Errorf("no directory: got %v, want nil", err)
	}
}

// What somebody else has planted is theirs.
func TestLeftOfOthersStays(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make another's file")
	}
	dir := t.TempDir()
	left := filepath.Join(dir, ".tmp-file1")
	if err := os.WriteFile(left, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(left, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	if err := disk.RemoveLeft(filepath.Join(dir, "file")); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(left); err != nil {
		t.Errorf("got %v, want nobody's file untouched", err)
	}
}
