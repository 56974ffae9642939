package e2e

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/pkg/apis/clientauthentication"
	"k8s.io/client-go/plugin/pkg/client/auth/exec"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/transport"

	"sfcred/helper/sfapitest"
)

// versions are those of the protocol.
func versions() []string {
	return []string{"client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"}
}

// client is a program that lives on, as controllers and kubectl proxy do: it
// sends requests to the world's cluster with client-go's own authenticator,
// by the entry that setup wrote.
func (w *world) client(t *testing.T, version string) *http.Client {
	t.Helper()
	w.setup(t)
	config, err := clientcmd.LoadFromFile(w.kubeconfig())
	check(t, err)
	plugin := config.AuthInfos[entry].Exec
	plugin.APIVersion = version
	plugin.Command = filepath.Join(w.bin, plugin.Command) // this process has another PATH
	for name, value := range w.env {
		plugin.Env = append(plugin.Env, api.ExecEnvVar{Name: name, Value: value})
	}
	authenticator, err := exec.GetAuthenticator(plugin, &clientauthentication.Cluster{
		Server: w.cluster.URL, CertificateAuthorityData: w.cluster.ca(),
	})
	check(t, err)
	settings := &transport.Config{TLS: transport.TLSConfig{CAData: w.cluster.ca()}}
	check(t, authenticator.UpdateTransportConfig(settings))
	rt, err := transport.New(settings)
	check(t, err)
	return &http.Client{Transport: rt}
}

// get asks the world's cluster for its version, and returns the status.
func (w *world) get(t *testing.T, client *http.Client) int {
	t.Helper()
	resp, err := client.Get(w.cluster.URL + "/version")
	check(t, err)
	resp.Body.Close()
	return resp.StatusCode
}

// TestAuthenticator401 has the cluster refuse a token before its time:
// client-go runs sfcred again, for the next request.
func TestAuthenticator401(t *testing.T) {
	t.Parallel()
	for _, version := range versions() {
		t.Run(filepath.Base(version), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.uncached(t)
			client := w.client(t, version)
			for i, step := range []struct{ denies, status, runs int }{
				{0, http.StatusOK, 1},
				{0, http.StatusOK, 1}, // client-go keeps the token
				{1, http.StatusUnauthorized, 2},
				{0, http.StatusOK, 2},
			} {
				w.cluster.denyNext(step.denies)
				if got := w.get(t, client); got != step.status {
					t.Errorf("request %d: got status %d, want %d", i+1, got, step.status)
				}
				w.wantExchanges(t, step.runs)
			}
			calls := w.cluster.seen()
			if calls[2].authorization == calls[3].authorization {
				t.Error("the token that was refused came again")
			}
		})
	}
}

// TestAuthenticatorExpiry sends requests over and over: client-go takes a new
// token when the time comes that sfcred told it, which is before the cluster
// says 401, and runs sfcred no more often than that.
func TestAuthenticatorExpiry(t *testing.T) {
	t.Parallel()
	for _, version := range versions() {
		t.Run(filepath.Base(version), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.uncached(t)
			const life = 6 * time.Second
			w.issuer.SetPolicy(sfapitest.Policy{TokenLife: life})
			client := w.client(t, version)
			w.get(t, client)
			w.wantExchanges(t, 1)
			// Were the expiry left out, a 401 would be the end of it.
			for deadline := time.Now().Add(time.Minute); w.issuer.Exchanges() < 2 && time.Now().Before(deadline); {
				w.get(t, client)
			}
			w.wantExchanges(t, 2)
			w.cluster.wantNo401(t)
			first, runs := w.cluster.seen()[0].authorization, 1
			for _, call := range w.cluster.seen() {
				if call.authorization != first {
					runs++
					first = call.authorization
				}
			}
			if requests := len(w.cluster.seen()); runs != 2 || requests <= runs {
				t.Errorf("%d requests carried %d tokens, want more requests than tokens, and 2 of those", requests, runs)
			}
		})
	}
}

// TestAuthenticatorForeign has client-go tell of a cluster that is not among the
// profile's hosts.
func TestAuthenticatorForeign(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	client := w.client(t, versions()[0])
	w.must(t, "sfcred", "edit", "lab", "--host", "+other.example", "--host", "-"+hostOf(w.cluster))
	if resp, err := client.Get(w.cluster.URL + "/version"); err == nil {
		resp.Body.Close()
		t.Errorf("got status %d, want no request at all", resp.StatusCode)
	}
	w.wantExchanges(t, 0)
	w.cluster.wantUntouched(t)
}
