package sfapitest_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"sfcred/helper/sfapitest"
)

// TestTLS makes an exchange, wants each name in the certificate, and the
// server distrusted without its authority.
func TestTLS(t *testing.T) {
	s := sfapitest.NewTLS(alice())
	defer s.Close()
	if err := send(trusting(t, s), tokenRequest(s, goodForm(s).Encode())); err != nil || s.Exchanges() != 1 {
		t.Errorf("got %d exchanges and error %v, want 1 and none", s.Exchanges(), err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.CA)
	for _, name := range []string{"127.0.0.1", "::1", "localhost"} {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(s.URL, "https://"), &tls.Config{RootCAs: pool, ServerName: name})
		if err != nil {
			t.Errorf("dial as %s: %v", name, err)
			continue
		}
		chain := conn.ConnectionState().VerifiedChains[0]
		if len(chain) != 2 || string(chain[0].AuthorityKeyId) != string(chain[1].SubjectKeyId) || len(chain[0].AuthorityKeyId) == 0 {
			t.Errorf("got a chain of %d, want the leaf to name its authority's key", len(chain))
		}
		conn.Close()
	}
	if err := send(http.DefaultClient, tokenRequest(s, "")); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("got %v from a client that does not know the authority, want a certificate error", err)
	}
	other := sfapitest.NewTLS()
	defer other.Close()
	if err := send(trusting(t, other), tokenRequest(s, "")); err == nil {
		t.Error("got an answer by another server's authority")
	}
}

// TestServe has a listener of the caller's own, here on IPv6 where there is
// any.
func TestServe(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		l = must(net.Listen("tcp", "127.0.0.1:0"))
	}
	c := alice()
	c.Source = []netip.Prefix{netip.PrefixFrom(netip.MustParseAddrPort(l.Addr().String()).Addr(), 8)}
	s := sfapitest.Serve(l, c)
	defer s.Close()
	if want := "http://" + l.Addr().String() + "/c2id/token"; s.TokenURL != want {
		t.Errorf("got TokenURL %q, want %q", s.TokenURL, want)
	}
	if s.CA != nil {
		t.Errorf("got a CA for plain http")
	}
	if resp := post(t, s, goodForm(s)); resp.StatusCode != 200 {
		t.Errorf("got %s (%s), want 200", resp.Status, lastRequest(t, s).Reason)
	}
}

// TestClose wants the port free at once.
func TestClose(t *testing.T) {
	s := sfapitest.New()
	s.Close()
	l, err := net.Listen("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatalf("listen where the server was: %v", err)
	}
	l.Close()
	s.Close() // a second time is no mistake
}

// TestAtOnce uses everything at once, for the race detector, and counts.
func TestAtOnce(t *testing.T) {
	s := newServer(t, alice())
	const n = 16
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() { send(http.DefaultClient, tokenRequest(s, goodForm(s).Encode())) })
		wg.Go(func() {
			req := must(http.NewRequest("GET", s.APIURL+"/account/clients", nil))
			req.Header.Set("Authorization", "Bearer "+s.Mint("alice", time.Minute))
			send(http.DefaultClient, req)
		})
		wg.Go(func() {
			c := alice()
			c.ID = "bob"
			s.Add(c)
			s.SetSkew(time.Second)
			s.SetPolicy(sfapitest.Policy{TokenLife: time.Minute})
			s.SetTokenFault(sfapitest.Header("Age", "1"))
			s.SetAPIFault(sfapitest.Times(1, sfapitest.Status(503, nil)))
			s.Remove("bob")
			s.Exchanges()
			s.Refusals()
			s.Requests()
		})
	}
	wg.Wait()
	if s.Exchanges() != n || s.Refusals() != 0 || len(s.Requests()) != 2*n {
		t.Errorf("got %d exchanges, %d refusals and %d requests, want %d, 0 and %d", s.Exchanges(), s.Refusals(), len(s.Requests()), n, 2*n)
	}
}

// TestReplayAtOnce posts one assertion many times at once: one may win.
func TestReplayAtOnce(t *testing.T) {
	s := newServer(t, alice())
	form := goodForm(s).Encode()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() { send(http.DefaultClient, tokenRequest(s, form)) })
	}
	wg.Wait()
	if s.Exchanges() != 1 || s.Refusals() != 15 {
		t.Errorf("got %d exchanges and %d refusals, want 1 and 15", s.Exchanges(), s.Refusals())
	}
}

func TestNoSuchPath(t *testing.T) {
	s := newServer(t)
	if resp := call(t, "GET", s.URL+"/", "", nil); resp.StatusCode != 404 || lastRequest(t, s).Reason != "there is no such path" {
		t.Errorf("got %s and log %+v, want 404 and its reason", resp.Status, lastRequest(t, s))
	}
}
