// Package setuptest holds the edits of a [setup.File] to what that promises,
// whatever the tool: for the tests of the rooms. It knows no tool's syntax.
package setuptest

import (
	"bytes"
	"slices"
	"testing"

	"sfcred/integrations/setup"
)

// Change wants Add to make of a text what is wanted, twice the same, and Remove
// to give the text back.
func Change(t *testing.T, tool setup.File, e setup.Entry, text, want string) {
	t.Helper()
	got, err := tool.Add([]byte(text), e)
	if err != nil || string(got) != want {
		t.Errorf("%q: got %q, %v, want %q", text, got, err, want)
		return
	}
	if again, err := tool.Add(got, e); err != nil || !bytes.Equal(again, got) {
		t.Errorf("%q, again: got %q, %v", text, again, err)
	}
	if back, err := tool.Remove(got, e); err != nil || string(back) != text || back == nil {
		t.Errorf("%q, removed: got %q, %v", text, back, err)
	}
	made, err := tool.Add(nil, e)
	if err != nil {
		t.Errorf("no file: got %v", err)
	}
	if back, err := tool.Remove(made, e); err != nil || back != nil {
		t.Errorf("no file: became %q, and then %q, %v", made, back, err)
	}
}

// RoundTrip fuzzes: Remove gives back, byte for byte, what Add was given; twice is
// as once; what was added is seen; a second profile's goes without a trace of it.
// where says of the text before and after whether ours is where it belongs; nil
// for anywhere.
func RoundTrip(f *testing.F, tool setup.File, e setup.Entry, where func(after, before []byte) bool) {
	f.Fuzz(func(t *testing.T, text []byte) {
		given := bytes.Clone(text)
		before, err := tool.Remove(text, e)
		if !bytes.Equal(text, given) {
			t.Fatalf("%q was changed in place, to %q", given, text)
		}
		if err != nil {
			return
		}
		after, err := tool.Add(before, e)
		if err != nil {
			if after != nil {
				t.Errorf("%q: an error, and %q", before, after)
			}
			return
		}
		if where != nil && !where(after, before) {
			t.Errorf("%q: became %q", before, after)
		}
		if back, err := tool.Remove(after, e); err != nil || !bytes.Equal(back, before) || (back == nil) != (before == nil) {
			t.Errorf("%q: became %q, and then %q, %v", before, after, back, err)
		}
		if again, err := tool.Add(after, e); err != nil || !bytes.Equal(again, after) {
			t.Errorf("%q: became %q, and then %q, %v", before, after, again, err)
		}
		if names, err := tool.Profiles(after); err != nil || !slices.Contains(names, e.Profile) && !tool.Default {
			t.Errorf("%q: it is seen for %q, %v", after, names, err)
		}
		second := e
		second.Profile += "-2"
		if had, err := tool.Profiles(after); err != nil || slices.Contains(had, second.Profile) || tool.Default {
			return
		}
		both, err := tool.Add(after, second)
		if err != nil {
			return
		}
		if back, err := tool.Remove(both, second); err != nil || !bytes.Equal(back, after) {
			t.Errorf("%q: became %q, and then %q, %v", after, both, back, err)
		}
	})
}

// Profiles wants what was added to be seen, and nothing where there is nothing.
func Profiles(t *testing.T, tool setup.File, e setup.Entry, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if got, err := tool.Profiles([]byte(text)); err != nil || len(got) != 0 {
			t.Errorf("%q: got %q, %v, want none", text, got, err)
		}
		added, err := tool.Add([]byte(text), e)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tool.Profiles(added); err != nil || !slices.Equal(got, []string{e.Profile}) {
			t.Errorf("%q: got %q, %v, want the profile", added, got, err)
		}
	}
}
