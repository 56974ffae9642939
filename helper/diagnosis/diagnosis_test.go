package diagnosis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"sfcred/helper"
	"sfcred/keychain"
	"sfcred/keychain/disk"
	"sfcred/keychain/jose"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// generic is what the service's product says of every client that it does not
// accept (https://connect2id.com/blog/meaninigful-error-messages).
const generic = "Client authentication failed, possible causes may be missing, invalid or expired secret / registered JWK, bad JWT assertion audience, or a mismatch between registered and presented client authentication method"

func refused(description string) *helper.RefusedError {
	return &helper.RefusedError{Status: 401, Code: "invalid_client", Description: description}
}

func skewed(skew time.Duration, serverTime bool) *helper.RefusedError {
	r := refused(generic)
	r.Skew, r.ServerTime = skew, serverTime
	return r
}

func answered(status int) *helper.AnswerError { return &helper.AnswerError{Status: status} }

func page(status int) *helper.AnswerError { return &helper.AnswerError{Status: status, HTML: true} }

func said(status int, detail string) *helper.AnswerError {
	return &helper.AnswerError{Status: status, Detail: detail}
}

// lost is a network error as net/http wraps it.
func lost(err error) error {
	return fmt.Errorf("profile: %w", &helper.NetworkError{Doing: "post https://x.example/token", Err: err})
}

func dial(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }

func untrusted(cert *x509.Certificate, err error) error {
	return &tls.CertificateVerificationError{UnverifiedCertificates: []*x509.Certificate{cert}, Err: err}
}

var middlebox = &x509.Certificate{Issuer: pkix.Name{Organization: []string{"Looks Into TLS\x1b[2J Ltd"}}}

func valid(from, until time.Duration) *x509.Certificate {
	return &x509.Certificate{NotBefore: now.Add(from), NotAfter: now.Add(until)}
}

// worked has the client have worked an hour ago, with this key and from this
// network, which is a private one.
func worked(e Evidence) Evidence {
	e.Worked, e.Key, e.Network, e.Shared = now.Add(-time.Hour), Same, Same, true
	return e
}

func TestDiagnose(t *testing.T) {
	const custom = "https://auth.example/token"
	tests := []struct {
		name string
		e    Evidence
		// want is all causes in order; a "!" behind the first says that it is
		// certain.
		want string
	}{
		{"nothing failed", Evidence{}, ""},
		{"an error that says nothing", Evidence{Err: errors.New("x")}, ""},
		{"no such profile", Evidence{Err: fmt.Errorf("%w: x", helper.ErrNoProfile)}, "no such profile!"},

		{"the keychain is locked", Evidence{Err: &keychain.Error{Store: "keychain", Err: keychain.ErrLocked}}, "key store locked!"},
		{"an encrypted key, and nobody to ask", Evidence{Err: fmt.Errorf("x: %w", jose.ErrEncrypted)}, "key store locked!"},
		{"no keychain", Evidence{Err: &keychain.Error{Err: keychain.ErrUnavailable}}, "key store out of reach!"},
		{"the keychain hangs", Evidence{Err: &keychain.Error{Err: keychain.ErrTimeout}}, "key store out of reach!"},
		{"no key file", Evidence{Err: &keychain.Error{Err: keychain.ErrNotFound}}, "key missing!"},
		{"half a key file", Evidence{Err: &keychain.Error{Err: keychain.ErrDamaged}}, "key damaged!"},
		{"a key file that others can read", Evidence{Err: &keychain.Error{Err: &disk.UnsafeError{}}}, "key file open to others!"},
		{"wrong passphrase", Evidence{Err: &keychain.Error{Err: keychain.ErrPassphrase}}, "wrong passphrase!"},

		// Refused, and nothing is known: it does not decide.
		{"refused at the preset", Evidence{Err: refused(generic), Preset: true}, "client expired or deleted, address not allowed at the token endpoint, wrong key for this client"},
		{"refused elsewhere", Evidence{Err: refused(generic)}, "client expired or deleted, address not allowed at the token endpoint, wrong key for this client, wrong audience, wrong token URL"},
		{"an assertion is a grant to some", Evidence{Err: &helper.RefusedError{Code: "invalid_grant"}, Preset: true}, "client expired or deleted, address not allowed at the token endpoint, wrong key for this client"},

		// What is known of the client.
		{"the expiry has passed", Evidence{Err: refused(generic), Now: now, Expires: now}, "client expired or deleted!"},
		{"the expiry has passed, on another network", worked(Evidence{Err: refused(generic), Now: now, Expires: now.Add(-time.Hour), Network: Other}), "client expired or deleted!"},
		{"worked, same key, same network", worked(Evidence{Err: refused(generic), Now: now}), "client expired or deleted, address not allowed at the token endpoint"},
		{"worked, not to expire yet", worked(Evidence{Err: refused(generic), Now: now, Expires: now.Add(time.Hour)}), "client expired or deleted, address not allowed at the token endpoint"},
		{"worked, on another network", Evidence{Err: refused(generic), Now: now, Worked: now.Add(-time.Hour), Key: Same, Network: Other}, "address not allowed at the token endpoint, client expired or deleted"},
		{"worked, not known from where, not to expire yet", Evidence{Err: refused(generic), Now: now, Worked: now.Add(-time.Hour), Key: Same, Expires: now.Add(time.Hour)}, "address not allowed at the token endpoint, client expired or deleted"},
		{"worked, with another key", Evidence{Err: refused(generic), Now: now, Worked: now.Add(-time.Hour), Key: Other, Network: Same}, "wrong key for this client, client expired or deleted, address not allowed at the token endpoint"},
		{"worked, with another key, on another network", Evidence{Err: refused(generic), Now: now, Worked: now.Add(-time.Hour), Key: Other, Network: Other}, "wrong key for this client, address not allowed at the token endpoint, client expired or deleted"},

		// The clock: refused with our time, and with the server's too.
		{"the clock is behind", Evidence{Err: skewed(20*time.Minute, false)}, "clock off!"},
		{"the clock is ahead", Evidence{Err: skewed(-2*time.Minute, false)}, "clock off!"},
		{"the clock is a little behind, which servers forgive", Evidence{Err: skewed(2*time.Minute, false), Preset: true, Key: Same}, "clock off, client expired or deleted, address not allowed at the token endpoint"},
		{"the server's time did not help", worked(Evidence{Err: skewed(10*time.Minute, true), Now: now}), "client expired or deleted, address not allowed at the token endpoint, clock off"},

		// The audience.
		{"an audience of its own that never worked", Evidence{Err: refused(generic), Audience: "https://auth.example"}, "wrong audience, client expired or deleted, address not allowed at the token endpoint, wrong key for this client, wrong token URL"},
		{"an audience that the server names", Evidence{Err: refused(generic), TokenURL: custom, Audience: custom, Metadata: helper.Metadata{Issuer: "https://auth.example", TokenURL: custom}}, "client expired or deleted, address not allowed at the token endpoint, wrong key for this client, wrong audience, wrong token URL"},
		{"another audience worked", worked(Evidence{Err: refused(generic), Now: now, OtherAudience: custom}), "wrong audience!"},
		{"worked with another audience", worked(Evidence{Err: refused(generic), Now: now, Audience: custom, OldAudience: true}), "wrong audience, client expired or deleted, address not allowed at the token endpoint"},
		{"no audience worked", Evidence{Err: refused(generic), TokenURL: custom, NoAudience: true}, "client expired or deleted, address not allowed at the token endpoint, wrong key for this client, wrong token URL"},
		{"no audience worked, and one of its own", Evidence{Err: refused(generic), TokenURL: custom, Audience: "https://auth.example", NoAudience: true}, "client expired or deleted, address not allowed at the token endpoint, wrong key for this client, wrong audience, wrong token URL"},
		{"an audience of its own that worked", worked(Evidence{Err: refused(generic), Now: now, Audience: custom}), "client expired or deleted, address not allowed at the token endpoint, wrong audience"},

		// The server's own words.
		{"Client expired", Evidence{Err: refused("Client has expired")}, "client expired or deleted!"},
		{"Expired JWT", Evidence{Err: refused("Expired JWT")}, "clock off!"},
		{"Invalid signature", Evidence{Err: refused("Invalid JWT signature")}, "wrong key for this client!"},
		{"audience", Evidence{Err: refused("Unexpected JWT audience")}, "wrong audience!"},
		{"address", Evidence{Err: refused("Source IP address not in range")}, "address not allowed at the token endpoint!"},
		{"scope", Evidence{Err: &helper.RefusedError{Status: 400, Code: "invalid_scope"}}, "scope too wide!"},
		{"grant", Evidence{Err: &helper.RefusedError{Status: 400, Code: "unauthorized_client"}, Preset: true, Key: Same}, "level too low, client expired or deleted, address not allowed at the token endpoint"},
		{"another protocol", Evidence{Err: &helper.RefusedError{Status: 400, Code: "unsupported_grant_type"}}, "wrong token URL, service down"},

		// Answers that are not OAuth's.
		{"a web page, never worked", Evidence{Err: page(200)}, "wrong token URL, captive portal, service down"},
		{"a web page, worked", worked(Evidence{Err: page(200)}), "captive portal, wrong token URL, service down"},
		{"a web page by a proxy", worked(Evidence{Err: page(200), Proxy: "proxy.example:3128"}), "captive portal, proxy in the way, wrong token URL, service down"},
		{"a web page from the API too", Evidence{Err: page(200), Elsewhere: Strange}, "captive portal!"},
		{"a web page, and the API is well", Evidence{Err: page(200), Elsewhere: Proper}, "wrong token URL!"},
		{"a web page, the API is well, worked", worked(Evidence{Err: page(200), Elsewhere: Proper}), "service down, wrong token URL, captive portal"},
		{"a web page, and the server names its endpoint", Evidence{Err: page(200), TokenURL: custom, Metadata: helper.Metadata{TokenURL: custom + "s"}}, "wrong token URL!"},
		{"a web page where the server says its endpoint is", Evidence{Err: page(200), TokenURL: custom, Metadata: helper.Metadata{TokenURL: custom}}, "captive portal, wrong token URL, service down"},
		{"a redirect", worked(Evidence{Err: &helper.AnswerError{Status: 302, Redirect: "login.example"}}), "captive portal, wrong token URL, service down"},
		{"511", Evidence{Err: page(511)}, "captive portal!"},
		{"407", Evidence{Err: page(407)}, "proxy in the way!"},
		{"429", Evidence{Err: answered(429)}, "service busy!"},
		{"503", Evidence{Err: page(503)}, "service down"},
		{"502 by a proxy", Evidence{Err: page(502), Proxy: "proxy.example:3128"}, "service down, proxy in the way"},
		{"404, never worked", Evidence{Err: answered(404)}, "wrong token URL, service down"},
		{"404 at the preset", Evidence{Err: answered(404), Preset: true}, "service down, wrong token URL"},
		{"JSON without a token", Evidence{Err: answered(200)}, "wrong token URL, service down"},
		{"403 by a firewall", Evidence{Err: page(403), Preset: true}, "address not allowed at the token endpoint, wrong token URL"},

		// The API, with a token that is seconds old.
		{"API 401", Evidence{APIPath: "/account/", Err: answered(401), Preset: true}, "address not allowed at the API (401), wrong API URL"},
		{"API 401 elsewhere", Evidence{APIPath: "/account/", Err: said(401, "Could not validate credentials")}, "address not allowed at the API (401), wrong API URL"},
		{"API 401 in words", Evidence{APIPath: "/account/", Err: said(401, "Source IP incompatible")}, "address not allowed at the API (401)!"},
		{"API 403", Evidence{APIPath: "/account/", Err: answered(403)}, "address not allowed at the API (403), level too low, wrong API URL"},
		{"API 403 in words", Evidence{APIPath: "/account/", Err: said(403, "source-IP-incompatible")}, "address not allowed at the API (403)!"},
		{"API 403 for the level", Evidence{APIPath: "/account/", Err: said(403, "Insufficient scope")}, "level too low!"},
		{"API 403 at one path only", Evidence{APIPath: "/account/clients", Err: answered(403), Took: true}, "level too low!"},
		{"API 404", Evidence{APIPath: "/account/", Err: answered(404)}, "wrong API URL, service down"},
		{"API 500", Evidence{APIPath: "/account/", Err: answered(500)}, "service down"},
		{"API 429", Evidence{APIPath: "/account/", Err: answered(429)}, "service busy!"},
		{"no API there", Evidence{APIPath: "/account/", Err: lost(dial(syscall.ECONNREFUSED)), Worked: now}, "service down, wrong API URL, no way to the server"},

		// No answer at all.
		{"the proxy is away", Evidence{Err: lost(&net.OpError{Op: "proxyconnect", Err: dial(syscall.ECONNREFUSED)}), Proxy: "p:1"}, "proxy in the way!"},
		{"the proxy wants a password", Evidence{Err: lost(&helper.ProxyError{Status: 407})}, "proxy in the way!"},
		{"the proxy finds no server", Evidence{Err: lost(&helper.ProxyError{Status: 502})}, "proxy in the way, service down"},
		{"unknown authority", worked(Evidence{Err: lost(untrusted(middlebox, x509.UnknownAuthorityError{}))}), "CA not trusted, captive portal"},
		{"unknown authority behind a proxy", Evidence{Err: lost(untrusted(middlebox, x509.UnknownAuthorityError{})), Proxy: "p:1"}, "CA not trusted, proxy in the way, captive portal"},
		{"another host's certificate", worked(Evidence{Err: lost(untrusted(middlebox, x509.HostnameError{Certificate: middlebox, Host: "x"}))}), "captive portal, wrong token URL"},
		{"another host's certificate, never worked", Evidence{Err: lost(untrusted(middlebox, x509.HostnameError{Certificate: middlebox, Host: "x"}))}, "wrong token URL, captive portal"},
		{"a certificate of the future", Evidence{Now: now, Err: lost(expired(valid(time.Hour, 48*time.Hour)))}, "clock off!"},
		{"a certificate that has just expired", Evidence{Now: now, Err: lost(expired(valid(-2*time.Hour, -time.Hour)))}, "service down, clock off"},
		{"a certificate of the past", Evidence{Now: now, Err: lost(expired(valid(-9000*time.Hour, -8000*time.Hour)))}, "clock off, service down"},
		{"the past", Evidence{Now: now, Worked: now.Add(time.Hour), Err: lost(expired(valid(-2*time.Hour, -time.Hour)))}, "clock off!"},
		{"no TLS at that port", Evidence{Err: lost(tls.RecordHeaderError{})}, "wrong token URL, captive portal, service down"},
		{"plain http at that port", Evidence{Err: lost(http.ErrSchemeMismatch)}, "wrong token URL, captive portal, service down"},
		{"no TLS at that port any more", worked(Evidence{Err: lost(tls.RecordHeaderError{})}), "captive portal, service down, wrong token URL"},
		{"no such host, never worked", Evidence{Err: lost(&net.DNSError{IsNotFound: true})}, "wrong token URL, no way to the server"},
		{"no such host at the preset", Evidence{Preset: true, Err: lost(&net.DNSError{IsNotFound: true})}, "no way to the server, wrong token URL"},
		{"no such host, but the API's", Evidence{Elsewhere: Proper, Err: lost(&net.DNSError{IsNotFound: true})}, "wrong token URL!"},
		{"no name service", Evidence{Err: lost(&net.DNSError{IsTimeout: true})}, "no way to the server!"},
		{"refused", worked(Evidence{Err: lost(dial(syscall.ECONNREFUSED))}), "service down, wrong token URL, no way to the server"},
		{"refused on Windows", worked(Evidence{Err: lost(dial(os.NewSyscallError("connectex", syscall.Errno(10061))))}), "service down, wrong token URL, no way to the server"},
		{"refused, never worked", Evidence{Err: lost(dial(syscall.ECONNREFUSED))}, "service down, wrong token URL, no way to the server"},
		{"refused, and the API is well", Evidence{Elsewhere: Proper, Err: lost(dial(syscall.ECONNREFUSED))}, "service down, wrong token URL, no way to the server"},
		{"no route", Evidence{Err: lost(dial(syscall.EHOSTUNREACH))}, "no way to the server, service down"},
		{"no answer to SYN", Evidence{Err: lost(dial(os.ErrDeadlineExceeded))}, "no way to the server, service down"},
		{"no answer", Evidence{Err: lost(context.DeadlineExceeded), Proxy: "p:1"}, "service down, proxy in the way"},
		{"cut", Evidence{Err: lost(io.EOF)}, "service down, no way to the server"},
		{"cut behind a proxy", Evidence{Err: lost(syscall.ECONNRESET), Proxy: "p:1"}, "proxy in the way, service down, no way to the server"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := list(Diagnose(tt.e)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func expired(cert *x509.Certificate) error {
	return untrusted(cert, x509.CertificateInvalidError{Cert: cert, Reason: x509.Expired})
}

// list writes findings as the tables have them.
func list(found []Finding) string {
	var names []string
	for _, f := range found {
		name := string(f.Cause)
		if f.Certain {
			name += "!"
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// TestRefusals goes through all that can be known of a refused client.
func TestRefusals(t *testing.T) {
	n := 0
	each := func(e Evidence) {
		n++
		found := Diagnose(e)
		causes := make([]Cause, len(found))
		for i, f := range found {
			causes[i] = f.Cause
		}
		wrong := func(what string) {
			t.Errorf("%+v: %s, in %s", e, what, list(found))
		}
		has := func(c Cause) bool { return slices.Contains(causes, c) }
		passed := !e.Expires.IsZero() && !e.Expires.After(e.Now)
		switch {
		case len(found) == 0:
			wrong("nothing found")
		case found[0].Certain && len(found) != 1, !found[0].Certain && len(found) == 1:
			wrong("one cause is to be certain, and several are not")
		case e.Key == Same && has(WrongKey):
			wrong("the key has worked")
		case passed != found[0].Certain:
			wrong("the expiry decides, and nothing else here")
		case passed && causes[0] != ClientGone:
			wrong("it has expired")
		case !passed && !has(AddressToken), !has(ClientGone):
			wrong("not excluded")
		case e.Key == Other && !passed && causes[0] != WrongKey:
			wrong("the key was changed")
		}
		for i, c := range causes {
			if slices.Contains(causes[:i], c) {
				wrong("twice")
			}
		}
	}
	for _, key := range []Match{Unknown, Same, Other} {
		for _, network := range []Match{Unknown, Same, Other} {
			for _, expires := range []time.Time{{}, now, now.Add(-time.Hour), now.Add(time.Hour)} {
				for _, worked := range []time.Time{{}, now.Add(-time.Hour)} {
					for _, audience := range []string{"", "https://a.example"} {
						for bits := range 4 {
							each(Evidence{
								Err: refused(generic), Now: now, Key: key, Network: network, Expires: expires, Worked: worked,
								Audience: audience, Shared: bits&1 != 0, Preset: bits&2 != 0,
							})
						}
					}
				}
			}
		}
	}
	t.Logf("%d combinations", n)
}

// TestWords wants a sentence for each cause, and no control characters of
// others in one.
func TestWords(t *testing.T) {
	found := Diagnose(Evidence{Err: lost(untrusted(middlebox, x509.UnknownAuthorityError{}))})
	const want = `the server's certificate is by an authority that is not trusted here: its own, or a proxy's that looks into TLS (it is signed by "Looks Into TLS?[2J Ltd")`
	if got := found[0].String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, c := range []Cause{
		NoProfile, StoreLocked, StoreOutOfReach, NoKey, KeyDamaged, KeyOpen, WrongPassphrase, WrongKey, ClientGone, AddressToken, AddressAPI401,
		AddressAPI403, WrongAudience, ClockOff, WrongTokenURL, WrongAPIURL, ScopeTooWide, LevelTooLow, ServiceDown, ServiceBusy, NoWay, ProxyInWay,
		UntrustedCA, SignInPage,
	} {
		if got := (Finding{Cause: c}).String(); got == string(c) {
			t.Errorf("%s has no words", c)
		}
	}
}
