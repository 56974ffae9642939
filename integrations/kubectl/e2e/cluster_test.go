package e2e

import (
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"sfcred/helper/sfapitest"
)

// cluster is as much of an API server as kubectl needs to list namespaces, over
// https with a certificate that no system trusts. Like a real one it answers
// nobody without a good token, also not to discovery.
type cluster struct {
	*httptest.Server

	mu     sync.Mutex
	denies int // requests to come that are answered 401 whatever they bring
	calls  []call
}

// call is a request that reached the cluster.
type call struct {
	path          string
	authorization string
	status        int
}

// newCluster starts a cluster that asks issuer about each token.
func newCluster(t *testing.T, issuer *sfapitest.Server) *cluster {
	c := &cluster{}
	c.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		authorization := r.Header.Get("Authorization")
		status, body := http.StatusUnauthorized, statusBody(http.StatusUnauthorized, "Unauthorized")
		if !c.deny() && accepts(t, issuer, authorization) {
			status, body = answer(r.URL.Path)
		}
		c.mu.Lock()
		c.calls = append(c.calls, call{r.URL.Path, authorization, status})
		c.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	c.EnableHTTP2 = true // as an API server has it
	c.StartTLS()
	t.Cleanup(c.Close)
	return c
}

// accepts asks the issuer's API whose token it is, as a cluster asks by a token
// review.
func accepts(t *testing.T, issuer *sfapitest.Server, authorization string) bool {
	if authorization == "" {
		return false
	}
	req, err := http.NewRequest(http.MethodGet, issuer.APIURL+"/account/", nil)
	if err != nil {
		t.Error(err)
		return false
	}
	req.Header.Set("Authorization", authorization)
	resp, err := trusting(t, issuer.CA).Do(req)
	if err != nil {
		t.Errorf("ask the issuer about a token: %v", err)
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// answer is what the API has at path.
func answer(path string) (status int, body string) {
	switch path {
	case "/version":
		return http.StatusOK, `{"major":"1","minor":"37","gitVersion":"v1.37.0"}`
	case "/api":
		return http.StatusOK, `{"kind":"APIVersions","versions":["v1"],"serverAddressByClientCIDRs":[]}`
	case "/apis":
		return http.StatusOK, `{"kind":"APIGroupList","apiVersion":"v1","groups":[]}`
	case "/api/v1":
		return http.StatusOK, `{"kind":"APIResourceList","groupVersion":"v1","resources":[` +
			`{"name":"namespaces","singularName":"namespace","namespaced":false,"kind":"Namespace","verbs":["get","list"],"shortNames":["ns"]}]}`
	case "/api/v1/namespaces":
		return http.StatusOK, `{"kind":"NamespaceList","apiVersion":"v1","metadata":{},"items":[` +
			`{"metadata":{"name":"perlmutter","creationTimestamp":"2026-01-01T00:00:00Z"},"status":{"phase":"Active"}}]}`
	}
	return http.StatusNotFound, statusBody(http.StatusNotFound, "NotFound")
}

// statusBody is how an API server says no.
func statusBody(code int, reason string) string {
	return fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":%q,"reason":%[1]q,"code":%d}`, reason, code)
}

// ca is the certificate to trust, as PEM.
func (c *cluster) ca() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate().Raw})
}

// denyNext has the next n requests answered 401 whatever they bring.
func (c *cluster) denyNext(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.denies = n
}

func (c *cluster) deny() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.denies == 0 {
		return false
	}
	c.denies--
	return true
}

// seen are the requests so far.
func (c *cluster) seen() []call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.calls)
}

// wantUntouched fails the test if anything at all reached the cluster: a token
// that was not sent can be in none of it.
func (c *cluster) wantUntouched(t *testing.T) {
	t.Helper()
	for _, call := range c.seen() {
		t.Errorf("the cluster got a request for %s (with Authorization: %t), want none", call.path, call.authorization != "")
	}
}

// wantNo401 fails the test if a token came that was not good any more, and if
// no request came at all.
func (c *cluster) wantNo401(t *testing.T) {
	t.Helper()
	calls := c.seen()
	if len(calls) == 0 {
		t.Error("the cluster got no request")
	}
	for i, call := range calls {
		if call.status == http.StatusUnauthorized {
			t.Errorf("request %d, for %s, was answered 401", i+1, call.path)
		}
	}
}
