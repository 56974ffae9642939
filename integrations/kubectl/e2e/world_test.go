package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"sfcred/helper/sfapitest"
)

const (
	clientID = "aaaabbbbcccc1"
	entry    = "sfcred-lab" // what setup calls the user
)

// world is a person's machine: sfcred and kubectl are all that is in PATH, the
// profile "lab" can get tokens from the issuer for the cluster, and has got
// none yet.
type world struct {
	issuer  *sfapitest.Server
	cluster *cluster
	home    string
	bin     string
	env     map[string]string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	issuer := sfapitest.NewTLS(sfapitest.Client{ID: clientID, Key: key.Public(), User: "alice"})
	t.Cleanup(issuer.Close)
	dir := t.TempDir()
	w := &world{
		issuer:  issuer,
		cluster: newCluster(t, issuer),
		home:    filepath.Join(dir, "home"),
		bin:     filepath.Join(dir, "bin"),
	}
	w.env = map[string]string{
		"HOME":            w.home,
		"PATH":            w.bin,
		"TMPDIR":          dir,
		"XDG_RUNTIME_DIR": filepath.Join(dir, "run"),
	}
	for _, d := range []string{w.home, w.bin, w.env["XDG_RUNTIME_DIR"], filepath.Join(w.home, ".kube")} {
		check(t, os.Mkdir(d, 0o700))
	}
	for _, program := range []string{"sfcred", "kubectl"} {
		check(t, os.Link(filepath.Join(programs, program), filepath.Join(w.bin, program)))
	}
	w.writeKubeconfig(t)
	w.login(t, key)
	return w
}

// login keeps the key where it is. Without a check there is no exchange yet.
func (w *world) login(t *testing.T, key *ecdsa.PrivateKey) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	keyFile, caFile := filepath.Join(w.home, "key.pem"), filepath.Join(w.home, "ca.pem")
	check(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	check(t, os.WriteFile(caFile, w.issuer.CA, 0o600))
	w.must(t, "sfcred", "--profile", "lab", "login", "--no-check", "--client-id", clientID,
		"--store", "pem", "--key", keyFile, "--token-url", w.issuer.TokenURL, "--ca-file", caFile,
		"--host", hostOf(w.cluster))
}

// writeKubeconfig makes the kubeconfig of somebody who has one already: a
// cluster "lab" in use by "alice", who has a token that is worth nothing.
func (w *world) writeKubeconfig(t *testing.T) {
	t.Helper()
	config := api.NewConfig()
	config.Clusters["lab"] = &api.Cluster{Server: w.cluster.URL, CertificateAuthorityData: w.cluster.ca()}
	config.AuthInfos["alice"] = &api.AuthInfo{Token: "alice-token"}
	config.Contexts["lab"] = &api.Context{Cluster: "lab", AuthInfo: "alice"}
	config.CurrentContext = "lab"
	check(t, clientcmd.WriteToFile(*config, w.kubeconfig()))
}

func (w *world) kubeconfig() string { return filepath.Join(w.home, ".kube", "config") }

// editKubeconfig changes the kubeconfig as a person with an editor would.
func (w *world) editKubeconfig(t *testing.T, change func(*api.Config)) {
	t.Helper()
	config, err := clientcmd.LoadFromFile(w.kubeconfig())
	check(t, err)
	change(config)
	check(t, clientcmd.WriteToFile(*config, w.kubeconfig()))
}

// setup connects kubectl as the README says.
func (w *world) setup(t *testing.T) {
	t.Helper()
	w.must(t, "sfcred", "setup", "kubectl", "--write")
	w.must(t, "kubectl", "config", "set-context", "--current", "--user="+entry)
}

// uncached has every run of sfcred make an exchange of its own, so that the
// issuer's count of exchanges is the number of runs.
func (w *world) uncached(t *testing.T) {
	t.Helper()
	path := filepath.Join(w.home, ".config", "sfcred", "config.toml")
	old := readFile(t, path)
	changed := strings.Replace(old, "[profile.lab]\n", "[profile.lab]\ncache = \"none\"\n", 1)
	if changed == old {
		t.Fatalf("no profile lab in:\n%s", old)
	}
	check(t, os.WriteFile(path, []byte(changed), 0o600))
}

// result is how a program ended.
type result struct {
	stdout, stderr string
	code           int
}

// run runs a program of the world to its end.
func (w *world) run(t *testing.T, name string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var stdout, stderr strings.Builder
	cmd := exec.CommandContext(ctx, filepath.Join(w.bin, name), args...)
	cmd.Dir = w.home
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	for name, value := range w.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() < 0) {
		t.Errorf("%s %s: %v", name, strings.Join(args, " "), err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// must runs a program that has to succeed, and returns what it printed.
func (w *world) must(t *testing.T, name string, args ...string) string {
	t.Helper()
	r := w.run(t, name, args...)
	if r.code != 0 {
		t.Fatalf("%s %s: got exit %d, want 0; stderr:\n%s", name, strings.Join(args, " "), r.code, r.stderr)
	}
	return r.stdout
}

// wantExchanges fails the test if the issuer has given another number of tokens.
func (w *world) wantExchanges(t *testing.T, want int) {
	t.Helper()
	if got := w.issuer.Exchanges(); got != want {
		t.Errorf("got %d exchanges, want %d", got, want)
	}
}

// wantFailure fails the test if the program did not end as kubectl does without
// credentials: exit 1, nothing printed, and all of words on stderr.
func (r result) wantFailure(t *testing.T, words ...string) {
	t.Helper()
	if r.code != 1 || r.stdout != "" {
		t.Errorf("got exit %d and stdout %q, want exit 1 and none", r.code, r.stdout)
	}
	for _, w := range words {
		if !strings.Contains(r.stderr, w) {
			t.Errorf("stderr does not say %q:\n%s", w, r.stderr)
		}
	}
}

func hostOf(c *cluster) string { return strings.TrimPrefix(c.URL, "https://") }

// trusting is a client that trusts the certificates in ca alone.
func trusting(t *testing.T, ca []byte) *http.Client {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		t.Error("no certificate to trust")
	}
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots},
		DisableKeepAlives: true, // each client is used once
	}}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	check(t, err)
	return string(text)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
