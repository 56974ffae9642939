package e2e

import (
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd/api"

	"sfcred/helper/sfapitest"
)

// wantNamespaces has kubectl list the cluster's namespaces, which takes
// discovery and several requests.
func (w *world) wantNamespaces(t *testing.T) {
	t.Helper()
	if got := w.must(t, "kubectl", "get", "namespaces"); !strings.Contains(got, "perlmutter") {
		t.Errorf("kubectl get namespaces: got\n%s\nwant one of them to be perlmutter", got)
	}
}

// TestColdAndCached has two kubectl, one after the other, share a token.
func TestColdAndCached(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup(t)
	w.wantExchanges(t, 0)
	w.wantNamespaces(t)
	w.wantExchanges(t, 1)
	w.wantNamespaces(t)
	w.must(t, "kubectl", "get", "--raw", "/version")
	w.wantExchanges(t, 1)
	w.cluster.wantNo401(t)
}

// TestExpired calls kubectl over and over until the cached token is not good
// enough any more: the next one gets another, and none is ever sent too late.
func TestExpired(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.issuer.SetPolicy(sfapitest.Policy{TokenLife: 6 * time.Second})
	w.setup(t)
	for deadline := time.Now().Add(time.Minute); w.issuer.Exchanges() < 2; {
		if time.Now().After(deadline) {
			t.Fatalf("got %d exchanges in a minute, with tokens for 6 s, want 2", w.issuer.Exchanges())
		}
		w.must(t, "kubectl", "get", "--raw", "/version")
	}
	w.cluster.wantNo401(t)
}

// TestRefused has the issuer forget the client.
func TestRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup(t)
	w.issuer.Remove(clientID)
	// kubectl tries discovery several times, and runs sfcred each time.
	w.run(t, "kubectl", "get", "namespaces").wantFailure(t,
		"sfcred: error: ", "invalid_client", "sfcred: hint: ",
		"getting credentials: exec: executable sfcred-kubectl failed with exit code 4")
	if got := w.issuer.Refusals(); got != 1 {
		t.Errorf("the issuer refused %d exchanges, want 1 and no more", got)
	}
	w.cluster.wantUntouched(t)
}

// TestForeignCluster points the same user at a cluster that is not among the
// profile's hosts, though kubectl trusts it. Once it is, it gets a token, so
// that nothing else kept it from one.
func TestForeignCluster(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup(t)
	w.wantNamespaces(t) // a token lies ready
	foreign := newCluster(t, w.issuer)
	w.editKubeconfig(t, func(config *api.Config) {
		config.Clusters["foreign"] = &api.Cluster{Server: foreign.URL, CertificateAuthorityData: foreign.ca()}
		config.Contexts["foreign"] = &api.Context{Cluster: "foreign", AuthInfo: entry}
	})
	get := []string{"--context=foreign", "get", "--raw", "/version"}
	w.run(t, "kubectl", get...).wantFailure(t,
		`sfcred: error: profile "lab": no token for this host: `, "is not among the profile's hosts",
		"executable sfcred-kubectl failed with exit code 3")
	foreign.wantUntouched(t)

	w.must(t, "sfcred", "edit", "lab", "--host", "+"+hostOf(foreign))
	w.must(t, "kubectl", get...)
	foreign.wantNo401(t)
}

// TestInsecure has the kubeconfig, or the command line, do without the check of
// the cluster's certificate.
func TestInsecure(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup(t)
	refused := "the cluster is configured with insecure-skip-tls-verify"
	w.run(t, "kubectl", "--insecure-skip-tls-verify", "get", "--raw", "/version").wantFailure(t, refused)
	w.editKubeconfig(t, func(config *api.Config) {
		config.Clusters["lab"].CertificateAuthorityData = nil
		config.Clusters["lab"].InsecureSkipTLSVerify = true
	})
	w.run(t, "kubectl", "get", "--raw", "/version").wantFailure(t, refused, "exit code 3")
	w.wantExchanges(t, 0)
	w.cluster.wantUntouched(t)
}

// TestV1beta1 has an entry as kubectl before 1.22 needs it.
func TestV1beta1(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup(t)
	w.editKubeconfig(t, func(config *api.Config) {
		config.AuthInfos[entry].Exec.APIVersion = "client.authentication.k8s.io/v1beta1"
	})
	w.wantNamespaces(t)
	w.wantExchanges(t, 1)
}

// TestTwentyAtOnce starts twenty kubectl with nothing in the cache. The issuer
// is slow, so that all ask while none has an answer.
func TestTwentyAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.setup(t)
	w.issuer.SetTokenFault(sfapitest.Delay(2 * time.Second))
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if r := w.run(t, "kubectl", "get", "--raw", "/version"); r.code != 0 {
				t.Errorf("got exit %d, want 0; stderr:\n%s", r.code, r.stderr)
			}
		})
	}
	all.Wait()
	w.wantExchanges(t, 1)
	w.cluster.wantNo401(t)
	if got := len(w.cluster.seen()); got != 20 {
		t.Errorf("the cluster got %d requests, want 20", got)
	}
}
