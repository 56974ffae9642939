package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// On Windows the link is a copy, which must be known again as such; what it is
// is told by the name, so that it is tried here, too.
func TestLinkIsACopy(t *testing.T) {
	dir := t.TempDir()
	link := helperLink{program: filepath.Join(dir, "sfcred.exe"), path: filepath.Join(dir, "sfcred-kubectl.exe")}
	write := func(version string) {
		t.Helper()
		if err := os.WriteFile(link.program, []byte(version), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	for range 2 { // setup may be run again
		if err := link.make(); err != nil {
			t.Error(err)
		}
		if !link.stands() {
			t.Error("the copy does not stand")
		}
	}
	write("two")
	err := link.make()
	var hinted *hintedError
	if want := `copy "` + link.program + `" "` + link.path + `"`; !errors.As(err, &hinted) || hinted.hints[0] != want {
		t.Errorf("copy of another version: got %v, want an error with hint %s", err, want)
	}
	if data, err := os.ReadFile(link.path); err != nil || string(data) != "one" {
		t.Errorf("got %q, %v, want it left alone", data, err)
	}
	if removed, err := link.remove(); err != nil || !removed {
		t.Errorf("got %v, %v, want it removed", removed, err)
	}
	if _, err := os.Lstat(link.path); !os.IsNotExist(err) {
		t.Errorf("got %v, want the copy removed", err)
	}
}
