package setup_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"sfcred/integrations/setup"
)

var mark = setup.Mark{Tool: "bazel", Profile: "lab"}

const (
	begin = "# >>> sfcred setup bazel --profile lab"
	end   = "# <<< sfcred setup"
	block = begin + "\none\ntwo\n" + end
	other = "# >>> sfcred setup bazel --profile nersc\nx\n" + end
)

// What Put makes of a text, at its end unless a byte is named. Take gives the
// text back each time, and a second Put changes nothing.
func TestPutAndTake(t *testing.T) {
	tests := []struct {
		name, text string
		at         int // -1 is the end
		want       string
	}{
		{"nothing", "", -1, block + "\n"},
		{"one line", "a\n", -1, "a\n" + block + "\n"},
		{"blank lines at the end", "a\n\n\n", -1, "a\n\n\n" + block + "\n"},
		{"no line end", "a", -1, "a\n" + block},
		{"no line end in any line", "a\nb", -1, "a\nb\n" + block},
		{"in the middle", "a\nb\n", 2, "a\n" + block + "\nb\n"},
		{"at the beginning", "a\n", 0, block + "\na\n"},
		{"lines of Windows", "a\r\nb\r\n", -1, "a\r\nb\r\n" + begin + "\r\none\r\ntwo\r\n" + end + "\r\n"},
		{"the same without a last line end", "a\r\nb", -1, "a\r\nb\r\n" + begin + "\r\none\r\ntwo\r\n" + end},
		{"another's block", other + "\n", -1, other + "\n" + block + "\n"},
	}
	for _, tt := range tests {
		at := tt.at
		if at < 0 {
			at = len(tt.text)
		}
		got, err := mark.Put([]byte(tt.text), at, "one\ntwo\n")
		if err != nil || string(got) != tt.want {
			t.Errorf("%s: got %q, %v, want %q", tt.name, got, err, tt.want)
		}
		if again, err := mark.Put(got, len(got), "one\ntwo\n"); err != nil || !bytes.Equal(again, got) {
			t.Errorf("%s, again: got %q, %v, want the same", tt.name, again, err)
		}
		if back, err := mark.Take(got); err != nil || string(back) != tt.text || back == nil {
			t.Errorf("%s, taken out: got %q, %v, want %q", tt.name, back, err, tt.text)
		}
	}
}

// A file that was not there is none again with the last of our blocks, and what
// others have put into it is theirs.
func TestPutMakesFile(t *testing.T) {
	const made = "# sfcred made this file, and removes it when nothing else is left in it\n"
	nersc := setup.Mark{Tool: "bazel", Profile: "nersc"}
	got, err := mark.Put(nil, 0, "one\ntwo\n")
	if want := made + block + "\n"; err != nil || string(got) != want {
		t.Fatalf("got %q, %v, want %q", got, err, want)
	}
	for _, tt := range []struct{ text, want string }{
		{made + block + "\n", ""},
		{made + block, ""},
		{made, ""},
		{made + other + "\n" + block + "\n", made + other + "\n"},
		{made + block + "\n" + other + "\n", made + other + "\n"},
		{made + "mine\n" + block + "\n", "mine\n"},
		{made + block + "\nmine", "mine"},
		{"mine\n" + made + block + "\n", "mine\n" + made},
	} {
		back, err := mark.Take([]byte(tt.text))
		if err != nil || string(back) != tt.want || (back == nil) != (tt.want == "") {
			t.Errorf("%q: got %q, %v, want %q", tt.text, back, err, tt.want)
		}
	}
	both, err := nersc.Put(got, len(got), "x")
	if err != nil {
		t.Fatal(err)
	}
	if both, err = mark.Take(both); err != nil {
		t.Fatal(err)
	}
	if back, err := nersc.Take(both); err != nil || back != nil {
		t.Errorf("with the last block of two: got %q, %v", back, err)
	}
}

func TestPutReplaces(t *testing.T) {
	text := "a\n" + block + "\nb\n"
	got, err := mark.Put([]byte(text), len(text), "three")
	if want := "a\n" + begin + "\nthree\n" + end + "\nb\n"; err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

// Within another's block ours would make pairs of marks that are none, and could
// not be taken out again.
func TestPutRefusesWithin(t *testing.T) {
	text := other + "\n"
	if got, err := mark.Put([]byte(text), strings.Index(text, "\n")+1, "one"); err == nil || got != nil {
		t.Errorf("got %q, %v, want it refused", got, err)
	}
}

func TestTakeLeavesOthers(t *testing.T) {
	for _, text := range []string{"", "a\n", other + "\n", "# " + begin + "\nx\n"} {
		if got, err := mark.Take([]byte(text)); err != nil || string(got) != text {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
}

// Marks of which one is gone could take lines of the user's for ours.
func TestBrokenMarks(t *testing.T) {
	for _, text := range []string{
		begin + "\none\n",
		end + "\n",
		"one\n" + end + "\n",
		begin + "\n" + block + "\n",
		begin + "\n" + other + "\n",
		other + "\n" + begin + "\n",
		block + "\n" + block + "\n",
	} {
		if got, err := mark.Put([]byte(text), len(text), "one"); !errors.Is(err, setup.ErrBlock) || got != nil {
			t.Errorf("put into %q: got %q, %v", text, got, err)
		}
		if got, err := mark.Take([]byte(text)); !errors.Is(err, setup.ErrBlock) {
			t.Errorf("take from %q: got %q, %v", text, got, err)
		}
	}
}

func TestProfiles(t *testing.T) {
	text := []byte(block + "\n" + other + "\n# >>> sfcred setup cargo --profile x\n" + end + "\n")
	if got, want := setup.Profiles(text, "bazel"), []string{"lab", "nersc"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Whatever the text: what Put puts in before any of its lines, or at its end,
// Take takes out, byte for byte.
func FuzzBlock(f *testing.F) {
	for _, text := range []string{"", "a", "a\n", "a\r\n", "\r", "\n", block, other + "\n", begin, end + "\n", "a\nb\r\nc"} {
		f.Add([]byte(text), "one\ntwo")
	}
	f.Fuzz(func(t *testing.T, text []byte, body string) {
		if bytes.Contains([]byte(body), []byte("sfcred setup")) || bytes.ContainsRune([]byte(body), '\r') {
			return // no room writes such a body
		}
		before, err := mark.Take(text)
		if err != nil {
			return
		}
		for at := 0; at <= len(before); at++ {
			if at > 0 && at < len(before) && before[at-1] != '\n' {
				continue
			}
			got, err := mark.Put(before, at, body)
			if bytes.HasSuffix(before, []byte("\r")) {
				return // refused
			}
			if err != nil {
				within := bytes.Count(before[:at], []byte("# >>> sfcred setup ")) > bytes.Count(before[:at], []byte("# <<< sfcred setup"))
				if !within || got != nil {
					t.Fatalf("put into %q at %d: %q, %v", before, at, got, err)
				}
				continue
			}
			back, err := mark.Take(got)
			if err != nil || !bytes.Equal(back, before) || (back == nil) != (before == nil) {
				t.Errorf("%q: became %q, and then %q, %v", before, got, back, err)
			}
		}
	})
}
