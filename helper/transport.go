package helper

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
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
	roots, err := s.roots()
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: 5 * time.Second}
	transport := &http.Transport{
		Proxy:                  s.Proxy,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSHandshakeTimeout:    5 * time.Second,
		DisableKeepAlives:      true, // one request is all that there is
		DisableCompression:     true, // the limit on what is read is a limit on memory
		MaxResponseHeaderBytes: 64 << 10,
	}
	if u.Scheme == "http" {
		// "localhost" is a name, and a proxy is another machine.
		transport.Proxy = nil
		dialer.Control = onlyLoopback
	}
	c := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c.Do, nil
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
