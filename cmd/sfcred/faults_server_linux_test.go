package main

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sfcred/helper"
	"sfcred/helper/sfapitest"
)

// lie is a way in which a server is not what it seems.
type lie struct {
	name string
	// What lies: an endpoint, or who is at the other end of the connection.
	fault sfapitest.Fault
	peer  func(net.Conn)
	// code is the exit code of a command that asks, exitOK where its answer is good
	// in spite of it; words are in the error where a token is asked for.
	code  int
	words string
	// drips says that the end comes by the deadline.
	drips bool
	// timeless is a good token of which nobody knows how long it lasts.
	timeless bool
}

// said answers on the bare connection. It is given the genuine answer's body.
func said(say func(out io.Writer, body string)) sfapitest.Fault {
	return func(genuine http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			bodyOf(r)
			answer := httptest.NewRecorder()
			genuine.ServeHTTP(answer, r)
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			defer conn.Close()
			say(conn, answer.Body.String())
		})
	}
}

// answered is an answer with 200, these headers and the genuine body, changed.
func answered(headers string, change func(body string) string) sfapitest.Fault {
	return said(func(out io.Writer, body string) {
		fmt.Fprintf(out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n%s\r\n%s", headers, change(body))
	})
}

// endless says the same for ever, or until there is n of it.
func endless(out io.Writer, text string, n int) {
	chunk := []byte(strings.Repeat(text, 1+32<<10/len(text)))
	for sent := 0; n == 0 || sent < n; sent += len(chunk) {
		if _, err := out.Write(chunk); err != nil {
			return
		}
	}
}

// dripped says a text, one byte a second.
func dripped(out io.Writer, text string) {
	for i := range len(text) {
		if _, err := io.WriteString(out, text[i:i+1]); err != nil {
			return
		}
		time.Sleep(time.Second)
	}
}

// resets ends a connection by a TCP reset.
func resets(conn net.Conn) {
	if secure, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secure.NetConn()
	}
	conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
}

const (
	okHead = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	oneGiB = 1 << 30
)

func same(body string) string { return body }

// bomb is nearly a gigabyte of blanks in less than 1 MiB of gzip.
var bomb = sync.OnceValue(func() string {
	var member bytes.Buffer
	z := must(gzip.NewWriterLevel(&member, gzip.BestCompression))
	z.Write(bytes.Repeat([]byte(" "), 1<<20))
	z.Close()
	return strings.Repeat(member.String(), (1<<20-1)/member.Len()) // members follow each other (RFC 1952 section 2.2)
})

// commonLies are told by any endpoint.
func commonLies() []lie {
	length := func(of func(n int) string) sfapitest.Fault {
		return said(func(out io.Writer, body string) {
			fmt.Fprintf(out, "%sContent-Length: %s\r\n\r\n%s", okHead, of(len(body)), body)
		})
	}
	chunked := func(say func(out io.Writer, body string)) sfapitest.Fault {
		return said(func(out io.Writer, body string) {
			io.WriteString(out, okHead+"Transfer-Encoding: chunked\r\n\r\n")
			say(out, body)
		})
	}
	lies := []lie{
		{name: "drips its headers", code: exitNetwork, drips: true, words: `no answer within`,
			fault: said(func(out io.Writer, body string) { dripped(out, okHead+"\r\n"+body) })},
		{name: "drips its body", code: exitNetwork, drips: true, words: `no answer within`, fault: sfapitest.Drip(time.Second)},
		{name: "drips its chunks", code: exitNetwork, drips: true, words: `no answer within`,
			fault: chunked(func(out io.Writer, body string) {
				dripped(out, "1\r\n{\r\n1\r\n \r\n1\r\n \r\n1\r\n \r\n1\r\n \r\n1\r\n \r\n")
			})},
		{name: "never answers", code: exitNetwork, drips: true, words: `no answer within`, fault: sfapitest.Delay(time.Hour)},

		{name: "a length that is too long", code: exitNetwork, words: `unexpected EOF`, fault: sfapitest.Short()},
		{name: "a length that is too short", code: exitNetwork, words: `is not OAuth`, fault: length(func(n int) string { return strconv.Itoa(n / 2) })},
		{name: "a length below zero", code: exitNetwork, words: `Content-Length`, fault: length(func(int) string { return "-1" })},
		{name: "a length that is none", code: exitNetwork, words: `Content-Length`, fault: length(func(int) string { return "0x10" })},
		{name: "two lengths", code: exitNetwork, words: `Content-Length`, fault: length(func(n int) string { return fmt.Sprintf("%d\r\nContent-Length: %d", n, n-1) })},
		{name: "a length of nearly 2^63", code: exitNetwork, words: `unexpected EOF`, fault: length(func(int) string { return "9223372036854775807" })},
		{name: "a length of more than 2^63", code: exitNetwork, words: `Content-Length`, fault: length(func(int) string { return "99999999999999999999" })},
		{name: "chunks of a size that is none", code: exitNetwork, words: `chunk length`, fault: chunked(func(out io.Writer, body string) { fmt.Fprintf(out, "zz\r\n%s\r\n0\r\n\r\n", body) })},
		{name: "chunks of more than 2^64", code: exitNetwork, words: `chunk length`, fault: chunked(func(out io.Writer, body string) { fmt.Fprintf(out, "fffffffffffffffff\r\n%s\r\n0\r\n\r\n", body) })},
		{name: "a chunk that ends early", code: exitNetwork, words: `unexpected EOF`, fault: chunked(func(out io.Writer, body string) { fmt.Fprintf(out, "%x\r\n%s", len(body)+1, body) })},
		{name: "no last chunk", code: exitNetwork, words: `unexpected EOF`, fault: chunked(func(out io.Writer, body string) { fmt.Fprintf(out, "%x\r\n%s\r\n", len(body), body) })},
		{name: "a chunk's extension without end", code: exitNetwork, words: `too long`, fault: chunked(func(out io.Writer, _ string) { io.WriteString(out, "1;"); endless(out, "x", 0) })},
		{name: "trailers without end", code: exitNetwork, words: `long trailer`, fault: chunked(func(out io.Writer, body string) {
			fmt.Fprintf(out, "%x\r\n%s\r\n0\r\n", len(body), body)
			endless(out, "X: x\r\n", 0)
		})},

		{name: "1 GiB, as it says", code: exitNetwork, words: `larger than 1 MiB`, fault: said(func(out io.Writer, body string) {
			fmt.Fprintf(out, "%sContent-Length: %d\r\n\r\n%s", okHead, oneGiB, body)
			endless(out, " ", oneGiB)
		})},
		{name: "1 GiB, without a word", code: exitNetwork, words: `larger than 1 MiB`, fault: said(func(out io.Writer, body string) {
			fmt.Fprintf(out, "%sConnection: close\r\n\r\n%s", okHead, body)
			endless(out, " ", oneGiB)
		})},
		{name: "1 GiB in chunks", code: exitNetwork, words: `larger than 1 MiB`, fault: chunked(func(out io.Writer, body string) {
			fmt.Fprintf(out, "%x\r\n%s\r\n", len(body), body)
			endless(out, "8\r\n        \r\n", oneGiB)
		})},
		{name: "a gigabyte in gzip", code: exitNetwork, words: `is not OAuth`, fault: answered("Content-Encoding: gzip\r\n", func(string) string { return bomb() })},
		{name: "a gigabyte in gzip, as a coding of the transfer", code: exitNetwork, words: `unsupported transfer encoding`, fault: answered("Transfer-Encoding: gzip, chunked\r\n", func(string) string { return bomb() })},
		{name: "headers without end", code: exitNetwork, words: `exceeded 65536 bytes`, fault: said(func(out io.Writer, _ string) { io.WriteString(out, okHead); endless(out, "X: x\r\n", 0) })},
		{name: "a header without end", code: exitNetwork, words: `exceeded 65536 bytes`, fault: said(func(out io.Writer, _ string) { io.WriteString(out, okHead+"X: "); endless(out, "x", 0) })},
		{name: "a status line without end", code: exitNetwork, words: `exceeded 65536 bytes`, fault: said(func(out io.Writer, _ string) { io.WriteString(out, "HTTP/1.1 200 "); endless(out, "x", 0) })},

		{name: "a reset in place of an answer", code: exitNetwork, words: `connection reset`, fault: sfapitest.Reset()},
		{name: "a reset after the headers", code: exitNetwork, words: `connection reset`, fault: said(func(out io.Writer, body string) {
			fmt.Fprintf(out, "%sContent-Length: %d\r\n\r\n", okHead, len(body))
			resets(out.(net.Conn))
		})},
		{name: "a reset in the middle", code: exitNetwork, words: `connection reset`, fault: said(func(out io.Writer, body string) {
			fmt.Fprintf(out, "%sContent-Length: %d\r\n\r\n%s", okHead, len(body), body[:len(body)/2])
			resets(out.(net.Conn))
		})},
		{name: "an end in the middle, and no length", code: exitNetwork, words: `is not OAuth`, fault: answered("", func(body string) string { return body[:len(body)/2] })},

		{name: "HTTP/0.9", code: exitNetwork, words: `malformed HTTP`, fault: said(func(out io.Writer, body string) { io.WriteString(out, body) })},
		// The version in a status line means nothing to net/http, and costs nothing.
		{name: "HTTP/2.0 in text", fault: said(func(out io.Writer, body string) { io.WriteString(out, "HTTP/2.0 200 OK\r\n\r\n"+body) })},
		{name: "another protocol", code: exitNetwork, words: `is status 101`, fault: said(func(out io.Writer, _ string) {
			io.WriteString(out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
		})},
		{name: "no content", code: exitNetwork, words: `is status 204`, fault: said(func(out io.Writer, body string) { io.WriteString(out, "HTTP/1.1 204 No Content\r\n\r\n"+body) })},

		{name: "HTTP/1.0", fault: said(func(out io.Writer, body string) {
			io.WriteString(out, "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n"+body)
		})},
		{name: "two good answers", fault: said(func(out io.Writer, body string) {
			text := fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", okHead, len(body), body)
			io.WriteString(out, text+text)
		})},
	}
	for _, status := range []int{100, 102, 103} {
		lies = append(lies, lie{name: fmt.Sprintf("%d without end", status), code: exitNetwork, words: `exceeded 65536 bytes`,
			fault: said(func(out io.Writer, _ string) { endless(out, fmt.Sprintf("HTTP/1.1 %d X\r\n\r\n", status), 0) })})
	}
	for _, status := range []int{301, 302, 303, 307, 308} {
		lies = append(lies, lie{name: fmt.Sprintf("%d to itself", status), code: exitNetwork, words: `is a redirect`,
			fault: func(genuine http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					http.Redirect(w, r, "https://"+r.Host+r.URL.Path, status)
				})
			}})
	}
	for name, dates := range hostileDates() {
		lies = append(lies, lie{name: "a good answer with " + name, fault: said(func(out io.Writer, body string) {
			fmt.Fprintf(out, "%s%sContent-Length: %d\r\n\r\n%s", okHead, dates, len(body), body)
		})})
	}
	return append(lies, lie{name: "a good answer with a Date of 1 MB", code: exitNetwork, words: `exceeded 65536 bytes`,
		fault: answered("Date: "+strings.Repeat("9", 1<<20)+"\r\n", same)})
}

// hostileDates are headers.
func hostileDates() map[string]string {
	return map[string]string{
		"a Date far ahead":         "Date: Fri, 31 Dec 9999 23:59:59 GMT\r\n",
		"a Date far behind":        "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n",
		"a Date before all dates":  "Date: Mon, 01 Jan 0000 00:00:00 GMT\r\n",
		"a Date that is none":      "Date: yesterday\r\n",
		"a Date that is empty":     "Date:\r\n",
		"several Dates":            "Date: Fri, 31 Dec 9999 23:59:59 GMT\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nDate: x\r\n",
		"a Date, and of long ago":  "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\nAge: 99999999999999999999\r\n",
		"a Date of an hour to run": "Date: " + time.Now().Add(time.Hour).UTC().Format(http.TimeFormat) + "\r\n",
	}
}

// tokenLies are told by a token endpoint alone.
func tokenLies() []lie {
	instead := func(old, new string) sfapitest.Fault {
		return answered("", func(body string) string {
			if !strings.Contains(body, old) {
				return body // to a GET
			}
			return strings.Replace(body, old, new, 1)
		})
	}
	const name, expiry = `"access_token":"`, `"expires_in":600`
	deep := strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)
	lies := []lie{
		{name: "a token twice", fault: instead(name, `"access_token":"a-lie",`+name)},
		{name: "a token with NUL", code: exitNetwork, words: `cannot stand in a header`, fault: instead(name, name+`\u0000`)},
		{name: "a bare NUL in it", code: exitNetwork, words: `is not OAuth`, fault: instead(name, name+"\x00")},
		{name: "NUL before it", code: exitNetwork, words: `is not OAuth`, fault: answered("", func(body string) string { return "\x00" + body })},
		{name: "a token that is no UTF-8", code: exitNetwork, words: `cannot stand in a header`, fault: instead(name, name+"\xff\xfe")},
		{name: "a token with half a character", code: exitNetwork, words: `cannot stand in a header`, fault: instead(name, name+`\ud800`)},
		{name: "no UTF-8 elsewhere", fault: instead(name, `"x":"`+"\xff"+`",`+name)},
		{name: "UTF-16", code: exitNetwork, words: `is not OAuth`, fault: answered("", func(body string) string {
			var wide strings.Builder
			for i := range len(body) {
				wide.WriteString(body[i:i+1] + "\x00")
			}
			return wide.String()
		})},
		{name: "100,000 levels", code: exitNetwork, words: `is not OAuth`, fault: answered("", func(string) string { return deep })},
		{name: "100,000 levels in a member", code: exitNetwork, words: `is not OAuth`, fault: instead(name, `"x":`+deep+`,`+name)},
		{name: "100,000 levels in the token", code: exitNetwork, words: `is not OAuth`, fault: instead(name, `"access_token":`+deep+`,"x":"`)},
		{name: "100,000 members", fault: instead(name, strings.Repeat(`"x":0,`, 100_000)+name)},
		{name: "a token of 1 MB", code: exitNetwork, words: `cannot stand in a header`, fault: instead(name, name+strings.Repeat("A", 1_000_000))},
		{name: "a token of 64 KiB", code: exitNetwork, words: `cannot stand in a header`, fault: instead(name, name+strings.Repeat("A", 64<<10))},
		{name: "a token of line ends", code: exitNetwork, words: `cannot stand in a header`, fault: instead(name, name+`\r\nX-Evil: x`)},
		{name: "a token type of 1 MB", code: exitNetwork, words: `not Bearer`, fault: instead(`"Bearer"`, `"`+strings.Repeat("A", 1_000_000)+`"`)},
		{name: "a refusal of 1 MB", code: exitRefused, words: `refused the client: invalid_client`, fault: said(func(out io.Writer, _ string) {
			text := `{"error":"invalid_client","error_description":"` + strings.Repeat("A b ", 250_000) + `"}`
			fmt.Fprintf(out, "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
		})},
	}
	for _, seconds := range []string{`1e400`, `1e308`, `-1`, `-1e400`, `0`, `null`, `"NaN"`, `"Infinity"`, `99999999999999999999`, `9223372036854775807`, `[600]`, `{}`, `true`, deep[49_000:151_000], strings.Repeat("9", 500_000)} {
		l := lie{name: fmt.Sprintf("an expiry of %.20s (%d bytes)", seconds, len(seconds)), timeless: true, fault: instead(expiry, `"expires_in":`+seconds)}
		if len(seconds) == 102_000 {
			l.name, l.code, l.words, l.timeless = "an expiry of 51,000 levels", exitNetwork, `is not OAuth`, false
		}
		lies = append(lies, l)
	}
	for name, dates := range hostileDates() {
		lies = append(lies, lie{name: "a refusal with " + name, code: exitRefused, words: `refused the client: invalid_client`, fault: said(func(out io.Writer, _ string) {
			const text = `{"error":"invalid_client"}`
			fmt.Fprintf(out, "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n%s", dates, len(text), text)
		})})
	}
	return lies
}

// apiLies are told by an API alone.
func apiLies() []lie {
	account := func(text string) sfapitest.Fault {
		return answered("", func(body string) string {
			if strings.HasPrefix(body, "[") {
				return body // the clients
			}
			return text
		})
	}
	clients := func(text string) sfapitest.Fault {
		return answered("", func(body string) string {
			if !strings.HasPrefix(body, "[") {
				return body
			}
			return text
		})
	}
	expires := func(text string) sfapitest.Fault { return clients(`[{"clientId":"test","expiresAt":` + text + `}]`) }
	deep := strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)
	return []lie{
		{name: "clients in 100,000 levels", code: exitNetwork, fault: clients(deep)},
		{name: "clients with NUL", code: exitNetwork, fault: clients("[{\"clientId\":\"test\x00\"}]")},
		{name: "clients in an object", code: exitNetwork, fault: clients(`{"test":{}}`)},
		{name: "null for clients", fault: clients(`null`)},
		{name: "a client twice", fault: clients(`[{"clientId":"test"},{"clientId":"test","clientId":"other","clientId":"test","expiresAt":"2099-01-01T00:00:00.000000+0000"}]`)},
		{name: "50,000 clients", fault: clients("[" + strings.Repeat(`{"clientId":"x"},`, 50_000) + "{}]")},
		{name: "an expiry of a number", code: exitNetwork, fault: expires(`1e400`)},
		{name: "an expiry that is none", code: exitNetwork, fault: expires(`"never"`)},
		{name: "an expiry far ahead", fault: expires(`"9999-12-31T23:59:59.999999-2359"`)},
		{name: "an expiry of 1 MB", code: exitNetwork, fault: expires(`"` + strings.Repeat("9", 1_000_000) + `"`)},
		{name: "a name of 1 MB", fault: account(`{"name":"` + strings.Repeat("x", 1_000_000) + `"}`)},
		{name: "a name of line ends and NUL", fault: account(`{"name":"x\r\nsfcred: error: x\u0000"}`)},
	}
}

// certifier issues certificates.
type certifier struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue makes a certificate, signed by a, or by itself where a is nil.
func (a *certifier) issue(name string, ends time.Time) *certifier {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "liar " + name},
		NotBefore: ends.Add(-48 * time.Hour), NotAfter: ends, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	if a == nil {
		a = &certifier{template, key}
	}
	der := must(x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key))
	return &certifier{must(x509.ParseCertificate(der)), key}
}

// impostor is a peer that speaks TLS with a certificate, and would take an
// assertion.
func (a *certifier) impostor(got *atomic.Int32) func(net.Conn) {
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{a.cert.Raw}, PrivateKey: a.key}}}
	return func(conn net.Conn) {
		defer conn.Close()
		secure := tls.Server(conn, config)
		if n, _ := secure.Read(make([]byte, 1)); n != 0 {
			got.Add(1)
		}
	}
}

// peerLies are told before there is a request. got counts requests.
func peerLies(trusted *certifier, got *atomic.Int32) []lie {
	const here = "127.0.0.1"
	soon := time.Now().Add(24 * time.Hour)
	afterHello := func(f func(conn net.Conn)) func(net.Conn) {
		return func(conn net.Conn) {
			defer conn.Close()
			conn.Read(make([]byte, 100))
			f(conn)
		}
	}
	return []lie{
		{name: "a certificate for another name", code: exitNetwork, words: `certificate`, peer: trusted.issue("evil.example", soon).impostor(got)},
		{name: "a certificate that has expired", code: exitNetwork, words: `certificate`, peer: trusted.issue(here, time.Now().Add(-time.Hour)).impostor(got)},
		{name: "a certificate that is yet to come", code: exitNetwork, words: `certificate`, peer: trusted.issue(here, soon.Add(72*time.Hour)).impostor(got)},
		{name: "a certificate by itself", code: exitNetwork, words: `certificate`, peer: (*certifier)(nil).issue(here, soon).impostor(got)},
		{name: "a certificate by somebody", code: exitNetwork, words: `certificate`, peer: (*certifier)(nil).issue("somebody", soon).issue(here, soon).impostor(got)},
		{name: "a reset on connection", code: exitNetwork, words: `connection reset`, peer: resets},
		{name: "an end on connection", code: exitNetwork, words: `EOF|connection reset`, peer: func(conn net.Conn) { conn.Close() }},
		{name: "a reset in the handshake", code: exitNetwork, words: `connection reset`, peer: afterHello(resets)},
		{name: "plain http", code: exitNetwork, words: `gave HTTP response to HTTPS`, peer: afterHello(func(conn net.Conn) { io.WriteString(conn, okHead+"Content-Length: 2\r\n\r\n{}") })},
		{name: "no TLS, without end", code: exitNetwork, words: `tls: `, peer: afterHello(func(conn net.Conn) { endless(conn, "\x16\x03\x03\x40\x00\x02\x00\xff\xff", 0) })},
		{name: "a TLS record of nothing, without end", code: exitNetwork, words: `tls: `, peer: afterHello(func(conn net.Conn) { endless(conn, "\x16\x03\x03\x00\x00", 0) })},
		{name: "a warning, without end", code: exitNetwork, words: `EOF|tls: |connection reset`, peer: afterHello(func(conn net.Conn) { endless(conn, "\x15\x03\x03\x00\x02\x01\x00", 0) })},
		{name: "silence in the handshake", code: exitNetwork, words: `no answer within|handshake timeout`, drips: true, peer: func(conn net.Conn) { io.Copy(io.Discard, conn); conn.Close() }},
		{name: "a handshake that drips", code: exitNetwork, words: `no answer within|handshake timeout`, drips: true, peer: func(conn net.Conn) { dripped(conn, "\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03"); conn.Close() }},
	}
}

// turncoat is a listener whose connections go to a liar, once there is one.
type turncoat struct {
	net.Listener
	peer atomic.Pointer[func(net.Conn)]
}

func (l *turncoat) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		peer := l.peer.Load()
		if err != nil || peer == nil {
			return conn, err
		}
		go (*peer)(conn)
	}
}

// measurer runs a program and says at the end of standard error how much memory
// it had at most, in KiB: see spawner.
const measurer = `package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

func main() {
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Run()
	fmt.Fprintf(os.Stderr, "\npeak %d", cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
	os.Exit(cmd.ProcessState.ExitCode())
}
`

// compileMeasurer builds the measurer.
func compileMeasurer(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "measure.go"), []byte(measurer), 0o600))
	program := filepath.Join(dir, "measure")
	cmd := exec.Command("go", "build", "-o", program, filepath.Join(dir, "measure.go"))
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return program
}

// measured cuts what the measurer says off a command's standard error.
func (w *faultWorld) measured(o outcome) outcome {
	at := strings.LastIndex(o.stderr, "\npeak ")
	if at < 0 {
		return o // it was killed
	}
	kib, err := strconv.ParseInt(o.stderr[at+len("\npeak "):], 10, 64)
	if err != nil {
		w.Error(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.peak = max(w.peak, kib)
	o.stderr = o.stderr[:at]
	return o
}

// mostMemory is what no answer may cost, in KiB: several times what a good one
// does, and little beside what is sent.
const mostMemory = 64 << 10

// victimOfLies is a user whose server lies.
type victimOfLies struct {
	*faultWorld
	listener *turncoat
	lie      lie
	slots    chan struct{}
	timeout  time.Duration // long, where something else ends what is done
	said     string        // what an error was, to be shown
}

func newVictimOfLies(t *testing.T, sfcred, measure string, trusted *certifier, l lie, slots chan struct{}) *victimOfLies {
	t.Helper()
	listener := &turncoat{Listener: must(net.Listen("tcp", "127.0.0.1:0"))}
	w := newFaultWorldAt(t, sfcred, sfapitest.ServeTLS(listener), "test")
	w.measure = measure + " "
	w.write("ca.pem", append(w.server.CA, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: trusted.cert.Raw})...))
	v := &victimOfLies{faultWorld: w, listener: listener, lie: l, slots: slots, timeout: 30 * time.Second}
	if l.drips {
		v.timeout = 6 * time.Second // most of it for a busy machine
	}
	return v
}

// run runs a command, with a cache of its own.
func (v *victimOfLies) run(cache string, c caller, env ...string) (o outcome, hung bool, began time.Time) {
	v.slots <- struct{}{}
	defer func() { <-v.slots }()
	began = time.Now()
	o, hung = v.start(c, "test", v.timeout, append(env, "XDG_RUNTIME_DIR="+v.path(cache))...).wait()
	return v.measured(o), hung, began
}

// caches are the runtime directories of the commands that get tokens.
func (v *victimOfLies) newCache(name string) {
	if err := os.Mkdir(v.path(name), 0o700); err != nil {
		v.Error(err)
	}
}

// cached is the token that a cache has, or "".
func (v *victimOfLies) cached(cache string) string {
	files, _ := filepath.Glob(v.path(cache, "sfcred", "*.token"))
	for _, path := range files {
		text, _ := os.ReadFile(path)
		_, token, _ := strings.Cut(string(text), "\n")
		return strings.TrimSuffix(token, "\n")
	}
	return ""
}

// keep puts a token into a cache that is past the half of its life.
func (v *victimOfLies) keep(cache string) string {
	token := v.server.Mint("user-of-test", time.Hour)
	v.given.note(fmt.Appendf(nil, `{"access_token":%q,"expires_in":3600}`, token))
	source := helper.Source{
		Profile:  helper.Profile{ClientID: "test", TokenURL: v.server.TokenURL},
		CacheDir: v.path(cache, "sfcred"),
	}
	now := time.Now()
	source.Keep(helper.Token{Value: token, Obtained: now.Add(-40 * time.Minute), Expires: now.Add(20 * time.Minute)})
	return token
}

// believes has commands ask for tokens while the token endpoint lies.
func (v *victimOfLies) believes() {
	callers := faultCallers()
	v.faulty()
	if v.lie.fault != nil {
		v.server.SetTokenFault(v.lie.fault, v.given.fault)
	}
	if v.lie.peer != nil {
		v.listener.peer.Store(&v.lie.peer)
	}
	var group sync.WaitGroup
	for _, c := range callers {
		switch c.name {
		case "token", "git", "cargo":
			if c.name != "token" && !everyLie {
				continue
			}
			if v.lie.timeless {
				c.want = withoutTime(c.want)
			}
			v.newCache(c.name)
			group.Go(func() {
				o, hung, began := v.run(c.name, c)
				v.judge(c, "test", began, o, hung, v.lie.code)
				if v.lie.code != exitOK && !hung && c.name == "token" {
					v.explained(o)
				}
			})
		case "header":
			v.newCache("warm")
			group.Go(func() { v.fallsBack(c) })
		}
	}
	if everyLie {
		group.Go(func() { v.examines(v.lie.code) })
		group.Go(func() { v.logsIn(v.lie.code) })
	}
	group.Wait()
	for _, cache := range []string{"token", "git", "cargo", "doctor", "login"} {
		if v.cached(cache) != "" && (v.lie.code != exitOK || v.lie.timeless) {
			v.Errorf("%s: %s has a token in its cache, from a lie", v.lie.name, cache)
		}
	}
	v.server.SetTokenFault(v.given.fault)
	v.listener.peer.Store(nil)
	v.timeout = time.Minute
	if v.lie.code == exitRefused || !everyLie {
		return // a refusal is remembered for a while
	}
	o, hung, began := v.run("token", callers[0])
	v.judge(callers[0], "test", began, o, hung, exitOK)
}

// withoutTime is what a tool's answer is where the token's end is not known.
func withoutTime(want string) string {
	return strings.NewReplacer(`password_expiry_utc=[0-9]+\n`, ``, `"cache":"expires","expiration":[0-9]+`, `"cache":"never"`).Replace(want)
}

// explained wants the lie's words in an error.
func (v *victimOfLies) explained(o outcome) {
	line, _, _ := strings.Cut(o.stderr, "\n")
	v.said = line
	if !regexp.MustCompile(`^sfcred: error: profile "test": .*(?:`+v.lie.words+`)`).MatchString(line) || strings.Contains(o.stderr, "panic") || len(o.stderr) > 3000 {
		v.Errorf("%s: got %.3000q, want %q", v.lie.name, o.stderr, v.lie.words)
	}
}

// fallsBack has a token in the cache that is still good. It is neither lost nor
// kept back.
func (v *victimOfLies) fallsBack(c caller) {
	token := v.keep("warm")
	c.command += " --min-ttl 30m"
	code := exitOK
	if v.lie.code == exitRefused {
		code = exitRefused
	}
	o, hung, began := v.run("warm", c)
	v.judge(c, "test", began, o, hung, code)
	if v.lie.code == exitNetwork && (v.cached("warm") != token || !strings.Contains(o.stdout, token) || !strings.Contains(o.stderr, "the cached token is still valid")) {
		v.Errorf("%s: not the cached token, with a warning; standard error %q, standard output %q", v.lie.name, o.stderr, o.stdout)
	}
}

// examines has doctor look at the liar.
func (v *victimOfLies) examines(code int) {
	v.newCache("doctor")
	// Without other people's tools, whose memory would be counted.
	o, hung, _ := v.run("doctor", caller{name: "doctor", command: "sfcred doctor --json"}, "PATH="+v.path("bin"))
	v.report("doctor", o, hung)
	if o.code != code || o.stderr != "" || !strings.HasPrefix(o.stdout, "{\n") || !strings.HasSuffix(o.stdout, "}\n") {
		v.Errorf("%s: doctor: exit code %d, want %d; standard error %q, standard output:\n%s", v.lie.name, o.code, code, o.stderr, o.stdout)
	}
}

// deceived has the API lie, which is asked what the token does not say.
// doctor is its exit code: that it cannot tell when a client expires is no
// failure.
func (v *victimOfLies) deceived(doctor int) {
	v.faulty()
	v.server.SetAPIFault(v.lie.fault)
	v.newCache("list")
	var group sync.WaitGroup
	group.Go(func() {
		o, hung, _ := v.run("list", caller{name: "list", command: "sfcred list --refresh"})
		v.report("list --refresh", o, hung)
		told := ``
		if v.lie.code != exitOK {
			told = `sfcred: error: profile "test": (?s:.*)`
		}
		v.said, _, _ = strings.Cut(o.stderr, "\n")
		if o.code != v.lie.code || !whole(`NAME[^\n]*\ntest [^\n]*\n`, o.stdout) || !whole(told, o.stderr) || len(o.stderr) > 3000 {
			v.Errorf("%s: list: exit code %d, want %d; standard error %.3000q, standard output:\n%s", v.lie.name, o.code, v.lie.code, o.stderr, o.stdout)
		}
	})
	if everyLie {
		group.Go(func() { v.examines(doctor) })
		group.Go(func() { v.logsIn(exitOK) })
	}
	group.Wait()
}

// report counts a command that is not about a token.
func (v *victimOfLies) report(what string, o outcome, hung bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.calls++
	v.count(o.code, 1)
	if hung {
		v.hangs++
		v.Errorf("%s: %s hangs", v.lie.name, what)
	}
}

// logsIn logs in to a profile of its own.
func (v *victimOfLies) logsIn(code int) {
	v.newCache("login")
	login := fmt.Sprintf("sfcred --config login/config.toml login -p fresh --store pem --client-id test --key key.pem --token-url %s --api-url %s --ca-file ca.pem", v.server.TokenURL, v.server.APIURL)
	o, hung, _ := v.run("login", caller{name: "login", command: login})
	v.report("login", o, hung)
	config, _ := os.ReadFile(v.path("login", "config.toml"))
	if made := bytes.Contains(config, []byte("fresh")); o.code != code || o.stdout != "" || made != (code == exitOK) {
		v.Errorf("%s: login: exit code %d, want %d; a profile was made: %v; standard error %q, standard output %q", v.lie.name, o.code, code, made, o.stderr, o.stdout)
	}
}

// TestFaultsServer has a server lie, in all ways that are known.
func TestFaultsServer(t *testing.T) {
	realParts(t, "sh", "env")
	sfcred, measure := release(t), compileMeasurer(t)
	trusted := (*certifier)(nil).issue("authority", time.Now().Add(24*time.Hour))
	var got atomic.Int32
	slots := make(chan struct{}, 16)
	total := &faultTally{}
	var victims []*victimOfLies
	for _, l := range append(append(commonLies(), tokenLies()...), peerLies(trusted, &got)...) {
		victims = append(victims, newVictimOfLies(t, sfcred, measure, trusted, l, slots))
	}
	var group sync.WaitGroup
	for _, v := range victims {
		group.Go(v.believes)
	}
	var common []lie
	if everyLie {
		common = commonLies()
	}
	for i, l := range append(common, apiLies()...) {
		v := newVictimOfLies(t, sfcred, measure, trusted, l, slots)
		v.lie.name = "API: " + l.name
		doctor := l.code
		if i >= len(common) {
			doctor = exitOK
		}
		group.Go(func() { v.deceived(doctor) })
		victims = append(victims, v)
	}
	group.Wait()
	for _, v := range victims {
		v.tallyServer()
		t.Logf("%s: %v\n%s", v.lie.name, v.faultTally, v.said)
		total.add(v.faultTally)
		if v.peak > mostMemory {
			t.Errorf("%s: %d KiB at most, want %d", v.lie.name, v.peak, mostMemory)
		}
	}
	if n := got.Load(); n != 0 {
		t.Errorf("%d requests went to a server with a wrong certificate", n)
	}
	t.Log("in all:", total)
}
