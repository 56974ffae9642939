package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// stage is the temporary directory that everything happens in.
type stage struct{ dir string }

// withStage has f run on a stage, and takes the stage down whatever happens.
func withStage(f func(*stage) error) (err error) {
	dir, err := os.MkdirTemp("", "sfcred-demo-")
	if err != nil {
		return fmt.Errorf("make a temporary directory: %w", err)
	}
	defer func() {
		if gone := os.RemoveAll(dir); gone != nil {
			err = errors.Join(err, fmt.Errorf("remove the temporary directory: %w", gone))
		}
	}()
	for _, name := range []string{"bin", "home", "config", "data", "run", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			return fmt.Errorf("make a temporary directory: %w", err)
		}
	}
	return f(&stage{dir})
}

// path is where name is on the stage.
func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }

// write makes a file that is its owner's alone.
func (s *stage) write(name string, data []byte) error {
	if err := os.WriteFile(s.path(name), data, 0o600); err != nil {
		return fmt.Errorf("write a file of the demo: %w", err)
	}
	return nil
}

// environ is the whole environment of what runs on the stage: every place that
// sfcred or curl could know of a person is here instead, and with neither a
// session bus nor a proxy there is no way out.
func (s *stage) environ() []string {
	env := []string{
		"HOME=" + s.path("home"),
		"XDG_CONFIG_HOME=" + s.path("config"),
		"XDG_DATA_HOME=" + s.path("data"),
		"XDG_RUNTIME_DIR=" + s.path("run"),
		"TMPDIR=" + s.path("tmp"),
		// Windows
		"USERPROFILE=" + s.path("home"),
		"APPDATA=" + s.path("config"),
		"LOCALAPPDATA=" + s.path("data"),
		"TMP=" + s.path("tmp"),
		"TEMP=" + s.path("tmp"),
	}
	for _, name := range []string{"PATH", "SYSTEMROOT"} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}
