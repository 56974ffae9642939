package e2e

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// TestSetup has kubectl write the entry twice and take it out again.
func TestSetup(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := readFile(t, w.kubeconfig())
	printed := w.must(t, "sfcred", "setup", "kubectl")
	if got := readFile(t, w.kubeconfig()); got != before {
		t.Errorf("setup without --write: the kubeconfig changed to:\n%s", got)
	}

	w.must(t, "sfcred", "setup", "kubectl", "--write")
	once := readFile(t, w.kubeconfig())
	got, want := users(t, once), users(t, printed)
	// kubectl config set-credentials has no flag for the hint, so the entry
	// that it writes goes without.
	want[entry].Exec.InstallHint = ""
	if !reflect.DeepEqual(got[entry].Exec, want[entry].Exec) {
		t.Errorf("the entry that kubectl wrote is not the one that setup prints: got\n%#v\nwant\n%#v", got[entry].Exec, want[entry].Exec)
	}
	if got := got["alice"].Token; got != "alice-token" {
		t.Errorf("the user who was there has token %q, want it unchanged", got)
	}
	link := filepath.Join(w.bin, "sfcred-kubectl")
	if target, err := os.Readlink(link); err != nil || target != "sfcred" {
		t.Errorf("sfcred-kubectl: got a link to %q (%v), want one to sfcred", target, err)
	}

	w.must(t, "sfcred", "setup", "kubectl", "--write")
	if got := readFile(t, w.kubeconfig()); got != once {
		t.Errorf("setup --write for the second time: got\n%s\nwant\n%s", got, once)
	}

	w.must(t, "sfcred", "setup", "kubectl", "--remove")
	if got := readFile(t, w.kubeconfig()); got != before {
		t.Errorf("setup --remove: got\n%s\nwant it as it was at first:\n%s", got, before)
	}
	if _, err := os.Lstat(link); !os.IsNotExist(err) {
		t.Errorf("setup --remove left the link sfcred-kubectl (%v)", err)
	}
}

// TestSetupPrinted puts the entry as it is printed into a file of its own, and
// that into KUBECONFIG, as somebody does who lets no program write there.
func TestSetupPrinted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup(t) // for the link; its entry goes again
	w.editKubeconfig(t, func(config *api.Config) { delete(config.AuthInfos, entry) })
	printed := filepath.Join(w.home, "printed.yaml")
	check(t, os.WriteFile(printed, []byte(w.must(t, "sfcred", "setup", "kubectl")), 0o600))
	w.env["KUBECONFIG"] = w.kubeconfig() + string(filepath.ListSeparator) + printed
	w.wantNamespaces(t)
	w.wantExchanges(t, 1)
}

// TestSetupOld has a kubectl that says it is one minor version too old to write
// the entry.
func TestSetupOld(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	check(t, os.Remove(filepath.Join(w.bin, "kubectl")))
	check(t, buildKubectl(filepath.Join(w.bin, "kubectl"), 29, 15))
	before := readFile(t, w.kubeconfig())
	printed := w.must(t, "sfcred", "setup", "kubectl")
	r := w.run(t, "sfcred", "setup", "kubectl", "--write")
	if r.code != 1 || r.stdout != printed {
		t.Errorf("got exit %d and stdout\n%s\nwant exit 1 and the entry:\n%s", r.code, r.stdout, printed)
	}
	if want := "kubectl 1.29.15 cannot write this entry"; !strings.Contains(r.stderr, want) {
		t.Errorf("stderr does not say %q:\n%s", want, r.stderr)
	}
	if got := readFile(t, w.kubeconfig()); got != before {
		t.Errorf("the kubeconfig changed to:\n%s", got)
	}
}

// users are those of a kubeconfig, as client-go understands it.
func users(t *testing.T, kubeconfig string) map[string]*api.AuthInfo {
	t.Helper()
	config, err := clientcmd.Load([]byte(kubeconfig))
	check(t, err)
	if config.AuthInfos[entry] == nil || config.AuthInfos[entry].Exec == nil {
		t.Fatalf("no user %s with exec in:\n%s", entry, kubeconfig)
	}
	return config.AuthInfos
}
