package diagnosis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"sfcred/helper"
)

// network is about a server that gave no answer.
func (f *findings) network(e Evidence, n *helper.NetworkError) {
	var (
		proxy       *helper.ProxyError
		op          *net.OpError
		dns         *net.DNSError
		certificate *tls.CertificateVerificationError
		record      tls.RecordHeaderError
		alert       tls.AlertError
	)
	switch {
	case errors.As(n, &proxy) && proxy.Status >= 500: // it found no way either
		f.add(ProxyInWay, strong, proxy.Error())
		f.add(ServiceDown, likely, "")
	case errors.As(n, &proxy):
		f.add(ProxyInWay, certain, proxy.Error())
	case errors.As(n, &op) && op.Op == "proxyconnect":
		f.add(ProxyInWay, certain, e.Proxy+" is out of reach")
	case errors.As(n, &certificate):
		f.certificate(e, certificate)
	case errors.As(n, &record), errors.As(n, &alert), errors.Is(n, http.ErrSchemeMismatch):
		f.notTLS(e)
	case errors.As(n, &dns):
		f.name(e, dns)
	default:
		f.silence(e, n)
	}
}

// certificate is about one that was not accepted.
func (f *findings) certificate(e Evidence, err *tls.CertificateVerificationError) {
	var (
		invalid  x509.CertificateInvalidError
		hostname x509.HostnameError
	)
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		f.expired(e, invalid.Cert)
	case errors.As(err, &hostname):
		f.add(SignInPage, likely, "the certificate is for another host")
		f.wrongURL(e, likely+5, "")
		f.proxy(e, likely-5)
	default:
		f.add(UntrustedCA, strong, signedBy(err.UnverifiedCertificates))
		f.proxy(e, likely)
		f.add(SignInPage, possible, "")
	}
}

// expired is about a certificate that is not valid now, or not by our clock.
func (f *findings) expired(e Evidence, cert *x509.Certificate) {
	const slack = 30 * 24 * time.Hour // by which people forget to renew
	switch {
	case e.Now.Before(cert.NotBefore):
		f.add(ClockOff, certain, "the server's certificate is valid from "+at(cert.NotBefore)+", and here it is "+at(e.Now))
	case e.Now.Before(e.Worked):
		f.add(ClockOff, certain, "here it is "+at(e.Now)+", and the client worked "+at(e.Worked))
	case e.Now.Sub(cert.NotAfter) > slack:
		f.add(ClockOff, strong, "the server's certificate was valid until "+at(cert.NotAfter)+", and here it is "+at(e.Now))
		f.add(ServiceDown, likely, "")
	default:
		f.add(ServiceDown, strong, "the server's certificate was valid until "+at(cert.NotAfter))
		f.add(ClockOff, likely, "here it is "+at(e.Now))
	}
}

// signedBy says whose certificate it is that is not trusted.
func signedBy(certificates []*x509.Certificate) string {
	if len(certificates) == 0 {
		return ""
	}
	issuer := certificates[0].Issuer
	name := strings.Join(issuer.Organization, ", ")
	if name == "" {
		name = issuer.CommonName
	}
	return "it is signed by " + plain(name)
}

// plain bounds text of others, and leaves nothing in it that is not printable
// ASCII.
func plain(text string) string {
	const most = 80
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
	if len(text) > most {
		text = text[:most] + "..."
	}
	return `"` + text + `"`
}

// notTLS is about something that speaks another protocol at that port, or
// another dialect.
func (f *findings) notTLS(e Evidence) {
	f.wrongURL(e, likely+5, "what answers there does not speak TLS as it should")
	f.add(SignInPage, likely-5, "")
	f.proxy(e, likely)
	f.add(ServiceDown, possible, "")
}

// name is about a host that was not found.
func (f *findings) name(e Evidence, err *net.DNSError) {
	switch {
	case !err.IsNotFound:
		f.add(NoWay, certain, "the name service does not answer")
	case e.Elsewhere == Proper:
		f.wrongURL(e, certain, "the API's host is found")
		f.add(NoWay, likely, "")
	default:
		f.wrongURL(e, likely+5, "there is no such host")
		f.add(NoWay, likely, "the name service knows no such host")
	}
}

// silence is about a connection that was not made, or that ended without an
// answer.
func (f *findings) silence(e Evidence, err error) {
	var timeout net.Error
	var op *net.OpError
	late := errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
	dialed := errors.As(err, &op) && op.Op == "dial"
	switch {
	case isOneOf(err, syscall.ENETUNREACH, syscall.EHOSTUNREACH, winNetUnreachable, winHostUnreachable):
		f.add(NoWay, strong, "")
		f.add(ServiceDown, faint, "")
	case isOneOf(err, syscall.ECONNREFUSED, winConnectionRefused):
		f.listening(e)
	case late && dialed:
		f.add(NoWay, likely, "a firewall may want a proxy to be used")
		f.add(ServiceDown, likely-5, "")
	case late:
		f.add(ServiceDown, strong, "it took the request and did not answer in time")
		f.proxy(e, likely)
	default: // cut, reset
		f.add(ServiceDown, likely, "the connection was cut")
		f.proxy(e, likely+5)
		f.add(NoWay, possible, "a firewall may have cut it")
	}
}

// listening is about a machine that is there, with nobody at the port.
func (f *findings) listening(e Evidence) {
	down, wrong := likely, likely-5
	if e.Elsewhere == Proper { // so it is not the network
		down, wrong = strong, likely+5
	}
	f.add(ServiceDown, down, "nothing listens there")
	f.wrongURL(e, wrong, "")
	f.add(NoWay, faint, "a firewall may have answered")
}

// Errors of Windows' sockets, which its syscall package has no portable names
// for: https://learn.microsoft.com/windows/win32/winsock/windows-sockets-error-codes-2
const (
	winNetUnreachable    = syscall.Errno(10051)
	winConnectionRefused = syscall.Errno(10061)
	winHostUnreachable   = syscall.Errno(10065)
)

func isOneOf(err error, kinds ...syscall.Errno) bool {
	return slices.ContainsFunc(kinds, func(kind syscall.Errno) bool { return errors.Is(err, kind) })
}
