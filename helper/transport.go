package helper

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"syscall"
	"time"
)

// doer sends one request: http.Client.Do, or a test's.
type doer = func(*http.Request) (*http.Response, error)

// client sends requests to one of the profile's endpoints: TLS 1.2 or later
// with the system's certificates and the profile's, no redirects, plain http
// only to this machine itself.
func (s *Source) client(endpoint string) (doer, error) {
	if s.do != nil {
		return s.do, nil
	}
	u, err := parseEndpoint(endpoint)
	if err != nil {
		return nil, err
	}
	if s.Proxy != nil && u.Scheme == "https" {
		if _, err := s.Proxy(&http.Request{URL: u}); err != nil { // the network is not to blame
			return nil, err
		}
	}
	roots, err := s.roots()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy:                  s.Proxy,
		OnProxyConnectResponse: proxyRefusal,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSHandshakeTimeout:    5 * time.Second,
		DisableKeepAlives:      true, // one request is all that there is
		DisableCompression:     true, // the limit on what is read is a limit on memory
		MaxResponseHeaderBytes: 64 << 10,
	}
	if u.Scheme == "http" {
		transport.Proxy = nil // a proxy is another machine
	}
	transport.DialContext = s.dial(dialerFor(u))
	c := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c.Do, nil
}

// dialerFor is what connects to an endpoint. By plain http that is only this
// machine itself, whatever the name service says: "localhost" is a name.
func dialerFor(endpoint *url.URL) *net.Dialer {
	d := &net.Dialer{Timeout: 5 * time.Second}
	if endpoint.Scheme == "http" {
		d.Control = onlyLoopback
	}
	return d
}

// dial connects and takes down from where.
func (s *Source) dial(dialer *net.Dialer) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err == nil {
			s.from.Store(networkOf(conn.LocalAddr()))
		}
		return conn, err
	}
}

// networkOf is the part of an address that machines beside each other share,
// as far as can be told: a client's address ranges are of networks.
func networkOf(address net.Addr) netip.Prefix {
	parsed, err := netip.ParseAddrPort(address.String())
	if err != nil {
		return netip.Prefix{}
	}
	addr := parsed.Addr().Unmap().WithZone("")
	bits := 64
	if addr.Is4() {
		bits = 24
	}
	prefix, _ := addr.Prefix(bits) // bits fit
	return prefix
}

// From is the network that the last connection came from, or where it went
// through a proxy, whose address is what the server sees, the proxy's host; ""
// if there was no connection yet.
func (s *Source) From() string {
	from, ok := s.from.Load().(netip.Prefix)
	if !ok || !from.IsValid() {
		return ""
	}
	if proxy := s.ProxyHost(s.Profile.TokenURL); proxy != "" {
		return proxy
	}
	return from.String()
}

// ProxyHost is the host and port of the proxy that a request to rawURL goes
// through, or "". What else a proxy's URL holds may be a password.
func (s *Source) ProxyHost(rawURL string) string {
	u, err := parseEndpoint(rawURL)
	if err != nil || u.Scheme == "http" || s.Proxy == nil {
		return ""
	}
	proxy, err := s.Proxy(&http.Request{URL: u})
	if err != nil || proxy == nil {
		return ""
	}
	return printable(proxy.Host)
}

// ProxyError says that a proxy answered in place of the server.
type ProxyError struct{ Status int }

func (e *ProxyError) Error() string { return "the proxy answered " + statusWords(e.Status) }

// proxyRefusal reads what a proxy says to CONNECT (RFC 9110 section 9.3.6).
func proxyRefusal(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode != http.StatusOK { // as net/http has it
		return &ProxyError{resp.StatusCode}
	}
	return nil
}

// onlyLoopback refuses a connection to an address that is not this machine.
func onlyLoopback(_, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if !isLoopback(host) {
		return fmt.Errorf("plain http to %s, which is not loopback, is refused", host)
	}
	return nil
}

// roots are the system's certificates and those of the profile's CA file. Nil
// means the system's alone.
func (s *Source) roots() (*x509.CertPool, error) {
	if s.Profile.CAFile == "" && len(s.CAFiles) == 0 {
		return nil, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	for _, path := range append([]string{s.Profile.CAFile}, s.CAFiles...) {
		if path == "" {
			continue
		}
		pem, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read CA file: %w", err)
		}
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read CA file %s: %w", path, errNoCertificate)
		}
	}
	return roots, nil
}

var errNoCertificate = errors.New("no PEM certificate in it")
