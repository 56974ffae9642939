//go:build unix

package keyfiles

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

func (w *world) link(target, name string) {
	w.Helper()
	w.mkdir(filepath.Dir(w.path(name)))
	if err := os.Symlink(w.path(target), w.path(name)); err != nil {
		w.Fatal(err)
	}
}

func (w *world) chmod(name string, mode fs.FileMode) {
	w.Helper()
	if err := os.Chmod(w.path(name), mode); err != nil {
		w.Fatal(err)
	}
}

// A file is found once, under the name that is no link.
func TestLinks(t *testing.T) {
	tests := []struct {
		name string
		make func(w *world)
		want string
	}{
		{"to a file elsewhere", func(w *world) {
			w.write("./vault/k", id+"\n"+pkcs1())
			w.link("./vault/k", "~/.superfacility/key.pem")
		}, `
			"~/.superfacility/key.pem" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123
				it is a link to "./vault/k"
		`},
		{"beside its target, and before it", func(w *world) {
			w.write("~/.superfacility/key.pem", id+"\n"+pkcs1())
			w.link("key.pem", "~/.superfacility/a.pem")
			w.link("key.pem", "~/.superfacility/z.pem")
		}, `
			"~/.superfacility/key.pem" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123
				"~/.superfacility/a.pem" is a link to it
				"~/.superfacility/z.pem" is a link to it
		`},
		{"from another layout, with its client ID there", func(w *world) {
			w.write("~/.superfacility/key.pem", pkcs1())
			w.link("~/.superfacility/key.pem", "~/.sfapi/priv_key.pem")
			w.write("~/.sfapi/client_id", id)
		}, `
			"~/.superfacility/key.pem" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123 by "~/.sfapi/client_id"
				"~/.sfapi/priv_key.pem" is a link to it
		`},
		{"from a variable", func(w *world) {
			w.write("~/.superfacility/key.pem", id+"\n"+pkcs1())
			w.link("~/.superfacility/key.pem", "./k")
			w.env["SFAPI_KEY_PATH"] = "./k"
		}, `
			"~/.superfacility/key.pem" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123
				"./k" is a link to it
				SFAPI_KEY_PATH names it
		`},
		{"hard", func(w *world) {
			w.write("~/.superfacility/key.pem", id+"\n"+pkcs1())
			w.mkdir("~/.sfapi")
			if err := os.Link(w.path("~/.superfacility/key.pem"), w.path("~/.sfapi/k")); err != nil {
				w.Fatal(err)
			}
		}, `
			"~/.superfacility/key.pem" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123
				"~/.sfapi/k" is another name of it
		`},
		{"of the directory", func(w *world) {
			w.write("~/.superfacility/key.pem", id+"\n"+pkcs1())
			w.link(".superfacility", "~/.sfapi")
		}, `
			"~/.superfacility/key.pem" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123
		`},
		{"of the directory to ~/.ssh", func(w *world) {
			w.write("~/.ssh/id_ed25519", pkcs8("ed"))
			w.write("~/.ssh/aqdrop-sfapi-private-key", id+"\n"+pkcs1())
			w.link(".ssh", "~/.superfacility")
		}, `
			"~/.superfacility/aqdrop-sfapi-private-key" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123
		`},
		// As Kubernetes mounts a secret.
		{"of a secret's files", func(w *world) {
			w.write("~/.superfacility/..2026/priv_key.jwk", jwk("rsa"))
			w.write("~/.superfacility/..2026/client_id", id)
			w.link("..2026", "~/.superfacility/..data")
			w.link("..data/priv_key.jwk", "~/.superfacility/priv_key.jwk")
			w.link("..data/client_id", "~/.superfacility/client_id")
		}, `
			"~/.superfacility/priv_key.jwk" RSA 2048 rsa (JWK) of abcdefghij123 by "~/.superfacility/client_id"
				it is a link to "~/.superfacility/..2026/priv_key.jwk"
		`},
		{"that lead nowhere", func(w *world) {
			w.link("missing", "~/.superfacility/a.pem")
			w.link("c.pem", "~/.superfacility/b.pem")
			w.link("b.pem", "~/.superfacility/c.pem")
			w.link("d_client", "~/.superfacility/d_client")
			w.link("missing", "~/.superfacility/e") // not called as a key is
			w.link("missing", "~/.sfapi")
			w.link("~", "~/priv_key.pem")
			w.link(".auth", "./.auth")
			w.env["SFAPI_KEY_PATH"] = "~/.superfacility/a.pem"
		}, `
			! "~/.superfacility/a.pem": a link that leads nowhere (SFAPI_KEY_PATH)
			! "~/.superfacility/b.pem": a link that leads in circles
			! "~/.superfacility/c.pem": a link that leads in circles
			! "~/.sfapi": a link that leads nowhere
			! "./.auth": a link that leads in circles
			! "~/priv_key.pem": it is a directory
		`},
		{"of the client ID", func(w *world) {
			w.write("~/.superfacility/priv_key.pem", pkcs1())
			w.write("./id", id)
			w.link("./id", "~/.superfacility/clientid.txt")
			w.link("missing", "~/.superfacility/client_id")
		}, `
			"~/.superfacility/priv_key.pem" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123 by "~/.superfacility/clientid.txt"
				"~/.superfacility/client_id": a link that leads nowhere
		`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			tt.make(w)
			w.want(w.find(w.search()), tt.want)
		})
	}
}

// Opening a FIFO would wait for a writer, and a terminal for a person.
func TestNoRegularFiles(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"~/.superfacility/key.pem", "~/.superfacility/other", "~/.sfapi/client_id", "./fifo"} {
		w.mkdir(filepath.Dir(w.path(name)))
		if err := syscall.Mkfifo(w.path(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.write("~/.sfapi/priv_key.pem", pkcs1())
	w.link("/dev/null", "~/.superfacility/null.pem")
	w.link("/dev/zero", "~/.superfacility/zero.pem")
	w.link("/dev/tty", "~/.superfacility/tty.pem")
	w.env["SFAPI_KEY_PATH"] = "./fifo"
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, _, err := w.search().Find(ctx); err != nil {
		t.Fatal(err)
	}
	w.want(w.find(w.search()), `
			"~/.sfapi/priv_key.pem" RSA 2048 rsa (PKCS#1 PEM)
				"~/.sfapi/client_id": it is not a regular file
				no client ID was found beside it
			! "~/.superfacility/key.pem": it is not a regular file
			! "~/.superfacility/null.pem": it is not a regular file
			! "~/.superfacility/tty.pem": it is not a regular file
			! "~/.superfacility/zero.pem": it is not a regular file
			! "./fifo": it is not a regular file (SFAPI_KEY_PATH)
	`)
}

func TestModes(t *testing.T) {
	for mode, want := range map[fs.FileMode]string{
		0o600: "",
		0o400: "",
		0o700: "",
		0o611: "",
		0o644: "others can read it (mode 0644)",
		0o604: "others can read it (mode 0604)",
		0o620: "others can write it (mode 0620)",
		0o666: "others can read and write it (mode 0666)",
	} {
		w := newWorld(t)
		w.write("~/priv_key.pem", id+"\n"+pkcs8("ed"))
		w.chmod("~/priv_key.pem", mode)
		found, _, err := w.search().Find(t.Context())
		if err != nil || len(found) != 1 || found[0].Mode != mode || strings.Join(found[0].Warnings, "; ") != want {
			t.Errorf("%04o: got %v, %v, want mode and %q", mode, found, err, want)
		}
	}
	// The mode of a link says nothing, that of a copy does.
	w := newWorld(t)
	w.write("~/.sfapi/priv_key.pem", id+"\n"+pkcs1())
	w.write("~/.sfapi/priv_key.jwk", jwk("rsa"))
	w.chmod("~/.sfapi/priv_key.jwk", 0o644)
	w.link("priv_key.pem", "~/.sfapi/x.pem")
	w.want(w.find(w.search()), `
			"~/.sfapi/priv_key.pem" RSA 2048 rsa (PKCS#1 PEM) of abcdefghij123
				"~/.sfapi/x.pem" is a link to it
				"~/.sfapi/priv_key.jwk" holds the same key
				"~/.sfapi/priv_key.jwk": others can read it (mode 0644)
	`)
}

// fakeInfo is a file of any owner, which only root could make.
type fakeInfo struct {
	uid  int
	mode fs.FileMode
}

func (f fakeInfo) Name() string       { return "fake" }
func (f fakeInfo) Size() int64        { return 0 }
func (f fakeInfo) Mode() fs.FileMode  { return f.mode }
func (f fakeInfo) ModTime() time.Time { return time.Time{} }
func (f fakeInfo) IsDir() bool        { return false }
func (f fakeInfo) Sys() any           { return &syscall.Stat_t{Uid: uint32(f.uid)} }

func TestOwners(t *testing.T) {
	const other = 4711
	tests := []struct {
		info fakeInfo
		want string
	}{
		{fakeInfo{os.Geteuid(), 0o600}, ""},
		{fakeInfo{other, 0o600}, "it belongs to uid 4711"},
		{fakeInfo{other, 0o644}, "others can read it (mode 0644)"},
		{fakeInfo{0, 0o600}, ""},
		// A Kubernetes secret with fsGroup, and without.
		{fakeInfo{0, 0o440}, ""},
		{fakeInfo{0, 0o644}, "others can read it (mode 0644)"},
		{fakeInfo{0, 0o660}, "others can write it (mode 0660)"},
	}
	for _, tt := range tests {
		if got := openTo(tt.info); got != tt.want {
			t.Errorf("%+v: got %q, want %q", tt.info, got, tt.want)
		}
	}
}

// nobody is an unprivileged user ID that owns nothing.
const nobody = 65534

// unprivileged reports whether the test may go on as it is. Root passes every
// permission check, so as root the test is run again as nobody, and that run
// is the result. The fixtures may lie where nobody cannot reach them.
func unprivileged(t *testing.T) bool {
	t.Helper()
	if os.Geteuid() != 0 {
		return true
	}
	exe := "/proc/self/exe" // the binary may lie where another user cannot reach it by name
	if runtime.GOOS != "linux" {
		exe = must(os.Executable())
	}
	cmd := exec.Command(exe, "-test.run=^"+t.Name()+"$", fmt.Sprintf("-test.v=%t", testing.Verbose()))
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("as uid %d: %v\n%s", nobody, err, out)
	}
	t.Logf("as uid %d:\n%s", nobody, out)
	return false
}

func TestUnreadable(t *testing.T) {
	if !unprivileged(t) {
		return
	}
	w := newWorld(t)
	w.write("~/.superfacility/key.pem", pkcs8("ed"))
	w.write("~/.superfacility/other", pkcs8("ec"))
	w.write("~/.sfapi/priv_key.pem", pkcs8("ed"))
	w.write("~/.sfapi/client_id", id)
	w.write("~/.amsc/sfapi_key_x.pem", pkcs8("ed"))
	w.write("~/closed/key.pem", pkcs8("ed"))
	w.env["SFAPI_KEY_PATH"] = "~/closed/key.pem"
	for _, name := range []string{"~/.superfacility/key.pem", "~/.superfacility/other", "~/.sfapi/client_id", "~/.amsc", "~/closed"} {
		w.chmod(name, 0)
	}
	defer w.chmod("~/.amsc", 0o700) // for the cleanup
	defer w.chmod("~/closed", 0o700)
	w.want(w.find(w.search()), `
			"~/.sfapi/priv_key.pem" Ed25519 256 ed (PKCS#8 PEM)
				"~/.sfapi/client_id": it cannot be read: permission denied
				no client ID was found beside it
			! "~/.superfacility/key.pem": it cannot be read: permission denied
			! "~/.superfacility/other": it cannot be read: permission denied
			! "~/.amsc": it cannot be read: permission denied
			! SFAPI_KEY_PATH: what it names cannot be read: permission denied
	`)
}

// A name may hold anything but "/" and NUL; in words for people it is quoted.
func TestOddNames(t *testing.T) {
	w := newWorld(t)
	odd := "a\nb\x1b[31m" + `"c` + "\u202e.pem"
	w.write("~/.superfacility/"+odd, id+"\n"+pkcs1())
	w.write("~/.superfacility/z.jwk", jwk("rsa"))
	w.write("~/.superfacility/sfcred: error: no\n.pem", public())
	// Of two letters, in Latin-1; macOS takes no such names.
	latin := w.path("~/.superfacility/cl\xe9.pem")
	if err := os.WriteFile(latin, []byte(id2+"\n"+pkcs8("ed")), 0o600); err == nil {
		defer os.Remove(latin)
	} else if !errors.Is(err, syscall.EILSEQ) {
		t.Fatal(err)
	}
	found, problems, err := w.search().Find(t.Context())
	if err != nil || len(found) < 1 || len(problems) != 1 {
		t.Fatalf("got %v, %v, %v, want a key and a problem", found, problems, err)
	}
	if want := w.path("~/.superfacility/" + odd); found[0].Path != want {
		t.Errorf("got path %q, want %q as it is", found[0].Path, want)
	}
	words := found[0].String() + problems[0].String() + strings.Join(found[0].Warnings, "")
	if len(found) > 1 {
		if found[1].Path != latin {
			t.Errorf("got path %q, want %q as it is", found[1].Path, latin)
		}
		words += found[1].String()
	}
	if strings.ContainsAny(words, "\n\x1b\u202e") || !strings.Contains(words, `"c`) || strings.ToValidUTF8(words, "") != words {
		t.Errorf("got %q, want the names quoted", words)
	}
}
