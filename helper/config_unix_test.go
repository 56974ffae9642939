//go:build unix

package helper_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"sfcred/helper"
	"sfcred/keychain/disk"
)

// TestConfigOfOthers refuses a file that others could have written: it says
// where keys are used.
func TestConfigOfOthers(t *testing.T) {
	if !unprivileged(t) {
		return
	}
	for mode, ok := range map[fs.FileMode]bool{
		0o600: true, 0o400: true, 0o644: true, // that others read it is a pity, no danger
		0o620: false, 0o602: false, 0o666: false,
	} {
		file := helper.ConfigFile(filepath.Join(t.TempDir(), "config.toml"))
		check(t, os.WriteFile(string(file), []byte("default = \"a\"\n"), 0o600))
		check(t, os.Chmod(string(file), mode))
		c, err := file.Load()
		var unsafe *disk.UnsafeError
		if ok && (err != nil || c.Default != "a") || !ok && !errors.As(err, &unsafe) {
			t.Errorf("%04o: got %v, want it good: %v", mode, err, ok)
		}
		err = file.Update(t.Context(), func(c *helper.Config) error { c.Default = "b"; return nil })
		if ok != (err == nil) {
			t.Errorf("%04o: Update: got %v, want it done: %v", mode, err, ok)
		}
		want := "default = \"a\"\n"
		if text := must(os.ReadFile(string(file))); !ok && string(text) != want {
			t.Errorf("%04o: got %q, want %q as it was", mode, text, want)
		}
	}
	// Root's file is believed, but cannot be changed.
	if c, err := helper.ConfigFile("/etc/passwd").Load(); err == nil || errors.As(err, new(*disk.UnsafeError)) {
		t.Errorf("root's: got %v, %v, want it read and found no config", c, err)
	}
}

// TestLinkedConfig keeps the link that people make to their dotfiles.
func TestLinkedConfig(t *testing.T) {
	dir := t.TempDir()
	real, link := filepath.Join(dir, "dotfiles", "sfcred.toml"), filepath.Join(dir, "config.toml")
	check(t, os.Mkdir(filepath.Dir(real), 0o700))
	check(t, os.Symlink(filepath.Join("dotfiles", "sfcred.toml"), link))
	for i, name := range []string{"a", "b"} { // the first time it dangles
		err := helper.ConfigFile(link).Update(t.Context(), func(c *helper.Config) error {
			if len(c.Profiles) != i {
				t.Errorf("got %d profiles, want %d", len(c.Profiles), i)
			}
			c.Profiles[name] = &helper.Profile{ClientID: "x"}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if info := must(os.Lstat(link)); info.Mode()&fs.ModeSymlink == 0 {
			t.Errorf("got mode %s, want the link still there", info.Mode())
		}
		if info := must(os.Lstat(real)); info.Mode() != 0o600 {
			t.Errorf("got mode %s, want a file, 0600", info.Mode())
		}
	}
}

// TestUpdateByProcesses loses no change of any process.
func TestUpdateByProcesses(t *testing.T) {
	const processes, rounds = 3, 10
	if os.Getenv(roleEnv) == "update" {
		args := os.Args[len(os.Args)-2:]
		for i := range rounds {
			check(t, helper.ConfigFile(args[0]).Update(within(t, 20*time.Second), func(c *helper.Config) error {
				c.Profiles["p"+args[1]+"-"+strconv.Itoa(i)] = &helper.Profile{ClientID: "x"}
				return nil
			}))
		}
		return
	}
	path := filepath.Join(t.TempDir(), "made", "for", "it", "config.toml")
	var wait []func() error
	for i := range processes {
		cmd := child(t, "update", path, strconv.Itoa(i))
		check(t, cmd.Start())
		wait = append(wait, cmd.Wait)
	}
	for _, wait := range wait {
		if err := wait(); err != nil {
			t.Error(err)
		}
	}
	if got := len(must(helper.ConfigFile(path).Load()).Profiles); got != processes*rounds {
		t.Errorf("got %d profiles, want %d", got, processes*rounds)
	}
}
