// Package sfapitest is to sfcred what net/http/httptest is to net/http: a
// strict OAuth authorization server (RFC 6749 client_credentials with RFC 7523
// private_key_jwt) and a small Superfacility API, for tests and for the demo.
//
// A Server trusts its caller, who names the clients it knows, and nobody else:
// each assertion and each access token is judged whole, with the standard
// library alone, so that a mistake in our own signing code cannot hide here.
// To the client it answers as little as the real service does, one generic
// invalid_client; the true reason is in [Server.Requests], and no assertion or
// token is ever kept in it.
//
// It keeps everything in memory, runs no commands, speaks HTTP/1.1 only (the
// faults need the bare connection), and leaves out refresh tokens, rate limits and
// the API's job, storage and group endpoints. It is for loopback: nothing here is
// hardened for a network.
package sfapitest

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// Paths of the endpoints below [Server.URL]; those of the real service.
const (
	issuerPath = "/c2id"
	tokenPath  = issuerPath + "/token"
	apiPath    = "/api/v1.2"
)

// Server is a running authorization server and API on one listener. Its
// methods may be called at any time, from any goroutine.
type Server struct {
	URL      string // scheme and host, no slash at the end
	TokenURL string // the token endpoint, and the audience it wants
	APIURL   string // the API's base, no slash at the end
	CA       []byte // PEM of the certificate to trust; nil without TLS

	http *http.Server
	mux  *http.ServeMux
	stop context.CancelFunc // ends what requests wait for
	done chan struct{}      // closed when http has stopped serving

	// mu guards all that follows.
	mu         sync.Mutex
	clients    []Client // in the order they were added
	policy     Policy
	skew       time.Duration
	tokenFault Fault
	apiFault   Fault
	used       map[string]float64 // jti by client, to its exp in Unix seconds
	tasks      []task
	revoked    int // how often all access tokens were
	exchanges  int
	refusals   int
	requests   []Request
}

// New starts a server on a free port of 127.0.0.1, over plain http, that knows
// clients. It panics if it cannot listen, as httptest.NewServer does.
func New(clients ...Client) *Server {
	return Serve(listen(), clients...)
}

// NewTLS is New over https, with a certificate for localhost, 127.0.0.1, ::1
// and [ProxiedHost] from an authority of its own, whose certificate is in [Server.CA].
func NewTLS(clients ...Client) *Server {
	return ServeTLS(listen(), clients...)
}

// Serve starts a server over plain http on l, which it owns from then on; the
// URLs are made of l's address.
func Serve(l net.Listener, clients ...Client) *Server {
	s := newServer("http", l, clients)
	go s.serve(l)
	return s
}

// ServeTLS is Serve over https, as [NewTLS] describes it.
func ServeTLS(l net.Listener, clients ...Client) *Server {
	s := newServer("https", l, clients)
	ca, leaf := newCertificate()
	s.CA = ca
	config := &tls.Config{Certificates: []tls.Certificate{leaf}, MinVersion: tls.VersionTLS12}
	go s.serve(tls.NewListener(l, config))
	return s
}

func listen() net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(fmt.Sprintf("sfapitest: listen on loopback: %v", err))
	}
	return l
}

func newServer(scheme string, l net.Listener, clients []Client) *Server {
	url := scheme + "://" + l.Addr().String()
	s := &Server{
		URL:      url,
		TokenURL: url + tokenPath,
		APIURL:   url + apiPath,
		mux:      http.NewServeMux(),
		done:     make(chan struct{}),
		used:     make(map[string]float64),
	}
	for _, c := range clients {
		s.Add(c)
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.http = &http.Server{
		Handler:           s.handler(),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 10 * time.Second,
		// A client that distrusts our authority or hangs up is a test's
		// business, not a line on stderr.
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	return s
}

func (s *Server) serve(l net.Listener) {
	defer close(s.done)
	s.http.Serve(l) // returns when Close is called; its error says only that
}

// Close stops the server at once: connections are cut, delays end.
func (s *Server) Close() {
	s.stop()
	s.http.Close()
	<-s.done
}

// Add makes c known. A client with the same ID is replaced.
func (s *Server) Add(c Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.clients {
		if s.clients[i].ID == c.ID {
			s.clients[i] = c
			return
		}
	}
	s.clients = append(s.clients, c)
}

// Remove forgets the client id, whose access tokens are worth nothing from
// then on. To remove an unknown one is no mistake.
func (s *Server) Remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.clients {
		if s.clients[i].ID == id {
			s.clients = append(s.clients[:i], s.clients[i+1:]...)
			return
		}
	}
}

// client returns the client called id.
func (s *Server) client(id string) (Client, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.clients {
		if c.ID == id {
			return c, true
		}
	}
	return Client{}, false
}

// SetSkew sets the server's clock off by d, ahead if d is positive: in its
// Date header, in its judgement of times and in the tokens it makes.
func (s *Server) SetSkew(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.skew = d
}

// now is the time by the server's clock.
func (s *Server) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.skew)
}
