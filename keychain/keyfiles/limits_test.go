package keyfiles

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
)

// In a full directory the likely names are looked at, and it is said that
// there are more.
func TestManyFiles(t *testing.T) {
	w := newWorld(t)
	for i := range 1000 {
		w.write(fmt.Sprintf("~/.superfacility/job-%03d.out", i), "x")
	}
	w.write("~/.superfacility/priv_key.pem", pkcs1())
	w.write("~/.superfacility/clientid.txt", id)
	w.write("~/.superfacility/zzz", id2+"\n"+pkcs8("ed")) // not come to
	for i := range 300 {
		w.write(fmt.Sprintf("~/.sfapi/key-%03d.pem", i), "")
	}
	found, problems, err := w.search().Find(t.Context())
	if err != nil || len(found) != 1 || found[0].ClientID != id {
		t.Fatalf("got %v, %v, want priv_key.pem", found, err)
	}
	const more = "it has more than 200 files, and the others were not looked at"
	if got := problems[0]; got.Path != w.path("~/.superfacility") || got.Reason != more {
		t.Errorf("got %v, want %q", got, more)
	}
	if got := problems[1]; got.Path != w.path("~/.sfapi") || got.Reason != more {
		t.Errorf("got %v, want %q", got, more)
	}
	if got := len(problems) - 2; got != 200 {
		t.Errorf("got %d files that were looked at, want 200", got)
	}
	if got := problems[201].Path; got != w.path("~/.sfapi/key-199.pem") {
		t.Errorf("got %s as the last, want the 200th by name", got)
	}
}

// Of a directory with very many names even the names are not all read.
func TestManyNames(t *testing.T) {
	w := newWorld(t)
	w.write("~/.ssh/x", "")
	for i := range maxEntries {
		if err := os.Link(w.path("~/.ssh/x"), fmt.Sprintf("%s-%d", w.path("~/.ssh/x"), i)); err != nil {
			t.Skip(err) // the file system knows no links
		}
	}
	w.want(w.find(w.search()), `
			! "~/.ssh": it has 10000 names or more, and the others were not looked at
	`)
}

func TestHugeFile(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"~/.superfacility/key.pem", "~/.superfacility/core", "~/.sfapi/client_id"} {
		w.write(name, "")
		if err := os.Truncate(w.path(name), 1<<40); err != nil {
			t.Skip(err) // the file system knows no holes
		}
	}
	w.write("~/.sfapi/priv_key.pem", pkcs1())
	w.want(w.find(w.search()), `
			"~/.sfapi/priv_key.pem" RSA 2048 rsa (PKCS#1 PEM)
				"~/.sfapi/client_id" has no client ID in it
				no client ID was found beside it
			! "~/.superfacility/key.pem": larger than 64 KiB, which no key file is
	`)
}

// 64 KiB are read, and no more.
func TestLargestFile(t *testing.T) {
	w := newWorld(t)
	pem := pkcs1()
	w.write("~/.superfacility/a.pem", id+"\n"+pem+strings.Repeat("\n", 64<<10-len(pem)-len(id)-1))
	w.write("~/.superfacility/b.pem", id+"\n"+pem+strings.Repeat("\n", 64<<10-len(pem)-len(id)))
	w.want(w.find(w.search()), `
			"~/.superfacility/a.pem" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123
			! "~/.superfacility/b.pem": larger than 64 KiB, which no key file is
	`)
}

func TestManyClients(t *testing.T) {
	w := newWorld(t)
	for i := range 25 {
		w.write(fmt.Sprintf("~/.superfacility/%02d_client/priv_key.pem", i), "")
	}
	_, problems, err := w.search().Find(t.Context())
	if err != nil || len(problems) != 20 {
		t.Errorf("got %d problems, %v, want 20", len(problems), err)
	}
}

// What ctx ends is named: there is a file system that hangs, perhaps.
func TestFindEndsWithContext(t *testing.T) {
	for _, hangs := range []bool{false, true} {
		w := newWorld(t)
		w.write("~/.superfacility/key.pem", id+"\n"+pkcs1())
		w.write("~/.sfapi/priv_key.pem", pkcs1())
		for _, at := range []string{"~/.superfacility", "~/.superfacility/key.pem", "~/.sfapi/client_id", "~/priv_key.pem"} {
			ctx, cancel := context.WithCancel(t.Context())
			s, over := w.search(), make(chan struct{})
			s.before = func(path string) {
				if path != w.path(at) {
					return
				}
				cancel()
				if hangs {
					<-over
				}
			}
			found, problems, err := s.Find(ctx)
			close(over)
			if found != nil || problems != nil || !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), w.path(at)) {
				t.Errorf("hangs %t: got %v, %v, %v, want %v at %s", hangs, found, problems, err, context.Canceled, at)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := (Search{}).Find(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

// The same each time, whatever the order that the file system has.
func TestOrder(t *testing.T) {
	w := newWorld(t)
	for i := range 50 {
		w.write(fmt.Sprintf("~/.superfacility/key%d.pem", (i*37)%50), id+"\n"+pkcs8("ed"))
		w.write(fmt.Sprintf("~/.sfapi/key%d.pem", (i*31)%50), "x")
	}
	first := w.find(w.search())
	for range 3 {
		if again := w.find(w.search()); again != first {
			t.Fatalf("got\n%s\nthen\n%s", first, again)
		}
	}
}
