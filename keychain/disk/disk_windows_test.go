package disk_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/windows"

	"sfcred/keychain/disk"
)

// roleEnv tells a child process which part of its test to play.
const roleEnv = "SFCRED_TEST_ROLE"

// tempDir is t.TempDir for Wine 8, which lacks the call by which that, and
// os.Root, remove files (FileDispositionInformationEx).
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sfcred-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, name := range names(t, dir) {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Error(err)
			}
		}
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

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

// written is a file, and how it is written.
type written struct {
	path  string
	write func(data string) error
}

// writtenBoth is a file of WriteFile and one of Dir.WriteFile.
func writtenBoth(t *testing.T) []written {
	t.Helper()
	path := tempDir(t)
	dir, err := disk.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	config := filepath.Join(path, "config")
	return []written{
		{config, func(data string) error { return disk.WriteFile(config, []byte(data)) }},
		{filepath.Join(path, "token"), func(data string) error { return dir.WriteFile("token", []byte(data)) }},
	}
}

// A file that somebody reads cannot be replaced; a moment later it can.
func TestWriteWaitsForReader(t *testing.T) {
	for _, f := range writtenBoth(t) {
		if err := f.write("old"); err != nil {
			t.Fatal(err)
		}
		reader, err := os.Open(f.path)
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(100*time.Millisecond, func() { reader.Close() })
		if err := f.write("new"); err != nil {
			t.Error(err)
		}
		if data, err := disk.ReadPrivate(f.path, 10); err != nil || string(data) != "new" {
			t.Errorf("got %q, %v, want new", data, err)
		}
	}
}

func TestWriteGivesUp(t *testing.T) {
	dir := tempDir(t)
	path := filepath.Join(dir, "config")
	if err := disk.WriteFile(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	reader, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	err = disk.WriteFile(path, []byte("new"))
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %v, want a second", took)
	}
	reader.Close()
	if !errors.Is(err, windows.ERROR_ACCESS_DENIED) && !errors.Is(err, windows.ERROR_SHARING_VIOLATION) {
		t.Errorf("got %v, want it refused", err)
	}
	if err != nil && strings.Contains(err.Error(), ".tmp-") {
		t.Errorf("got %q, want it without the temporary file's name", err)
	}
	if data, err := disk.ReadPrivate(path, 10); err != nil || string(data) != "old" {
		t.Errorf("got %q, %v, want old", data, err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{"config"}) {
		t.Errorf("got files %q, want only config", got)
	}
}

// Get paths read the config while a command writes it: neither may fail.
func TestWriteBesideReader(t *testing.T) {
	f := writtenBoth(t)[0]
	content := strings.Repeat("x", 1000)
	if err := f.write(content); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond): // without a rest nobody gets in, under Wine
			}
			if data, err := disk.ReadPrivate(f.path, 2000); err != nil || string(data) != content {
				t.Errorf("got %d bytes, %v, want %d", len(data), err, len(content))
			}
		}
	})
	for range 50 {
		if err := f.write(content); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	reader.Wait()
}

func TestLockBetweenProcesses(t *testing.T) {
	if path := os.Getenv(roleEnv); path != "" {
		if _, err := disk.Lock(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		fmt.Println("locked")
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	}
	path := tempDir(t)
	dir, err := disk.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), roleEnv+"="+filepath.Join(path, "lock"))
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
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Errorf("child said %q, %v, want locked", line, err)
	}
	if _, ok, err := dir.TryLock("lock"); ok || err != nil {
		t.Errorf("while held: got %v, %v, want false", ok, err)
	}
	in.Close()
	_ = cmd.Wait()
	unlock, ok, err := dir.TryLock("lock")
	if !ok || err != nil {
		t.Fatalf("afterwards: got %v, %v, want true", ok, err)
	}
	unlock()
}
