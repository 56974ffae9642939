package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"sfcred/helper/sfapitest"
)

// serveOptions are the flags of serve.
type serveOptions struct {
	addr    string
	tls     bool
	on      string // which endpoint delay and fail are for
	delay   time.Duration
	fail    int // HTTP status, or 0
	times   int // how often it fails; 0: always
	skew    time.Duration
	life    time.Duration // of access tokens
	expires time.Duration // of the client, from now; 0: never
	envFile string        // where the variables are written as well
}

func (o *serveOptions) flags() *flag.FlagSet {
	f := flag.NewFlagSet("sfcred-demo serve", flag.ContinueOnError)
	f.StringVar(&o.addr, "addr", "127.0.0.1:0", "listen on `HOST:PORT` of loopback; port 0 is a free one")
	f.BoolVar(&o.tls, "tls", false, "serve https, with an authority of its own")
	f.DurationVar(&o.delay, "delay", 0, "let a `DURATION` pass before each answer")
	f.IntVar(&o.fail, "fail", 0, "answer with this HTTP `STATUS` instead")
	f.IntVar(&o.times, "times", 0, "fail only the first `N` times")
	f.StringVar(&o.on, "on", "token", "delay and fail at the `ENDPOINT` token, api or both")
	f.DurationVar(&o.skew, "skew", 0, "set the server's clock ahead by a `DURATION`, or behind by a negative one")
	f.DurationVar(&o.life, "token-life", 10*time.Minute, "let access tokens live for a `DURATION`")
	f.DurationVar(&o.expires, "client-expires", 0, "let the client expire after a `DURATION`; 0 is never")
	f.StringVar(&o.envFile, "write-env", "", "write the variables to a new `FILE` as well, whole, and remove it at the end")
	return f
}

// flagText is the help of serve's flags.
func flagText() string {
	var b strings.Builder
	f := new(serveOptions).flags()
	f.SetOutput(&b)
	f.PrintDefaults()
	return b.String()
}

func parseServe(args []string) (serveOptions, error) {
	var o serveOptions
	if err := parse(o.flags(), args); err != nil {
		return serveOptions{}, err
	}
	return o, o.check()
}

// check refuses what cannot be meant.
func (o *serveOptions) check() error {
	switch {
	case o.fail != 0 && (o.fail < 200 || o.fail > 599):
		return &usageError{fmt.Sprintf("--fail %d: not an HTTP status from 200 to 599", o.fail)}
	case o.times < 0 || o.times > 0 && o.fail == 0:
		return &usageError{"--times wants a positive number, and --fail"}
	case o.on != "token" && o.on != "api" && o.on != "both":
		return &usageError{fmt.Sprintf("--on %q: not token, api or both", o.on)}
	case o.delay < 0:
		return &usageError{"--delay wants a positive duration"}
	case o.life < time.Second:
		return &usageError{"--token-life wants a second at least"}
	}
	return o.checkAddr()
}

// checkAddr refuses what others could reach: the server takes any client that
// has the key, and is not hardened.
func (o *serveOptions) checkAddr() error {
	host, port, err := net.SplitHostPort(o.addr)
	if err != nil {
		return &usageError{fmt.Sprintf("--addr %q: not HOST:PORT", o.addr)}
	}
	if host == "localhost" { // what a resolver makes of it is nobody's business
		host = "127.0.0.1"
	}
	addr, err := netip.ParseAddr(host)
	switch {
	case err != nil || !addr.IsLoopback() || addr.Zone() != "":
		return &usageError{fmt.Sprintf("--addr %q: not on loopback", o.addr)}
	case o.tls && addr.String() != "127.0.0.1" && addr.String() != "::1":
		return &usageError{fmt.Sprintf("--addr %q: with --tls only 127.0.0.1 and [::1], which the certificate names", o.addr)}
	}
	o.addr = net.JoinHostPort(addr.String(), port)
	return nil
}

// serve keeps the server up until ctx ends, which is no error.
func serve(ctx context.Context, stdout io.Writer, o serveOptions) error {
	return withStage(func(s *stage) error {
		c, err := newClient(s)
		if err != nil {
			return err
		}
		if o.expires != 0 {
			c.Expires = time.Now().Add(o.expires)
		}
		server, err := o.start(c)
		if err != nil {
			return err
		}
		defer server.Close()
		if o.envFile == "" {
			o.envFile = s.path("env")
		}
		text, err := o.announce(s, server, c)
		if err != nil {
			return err
		}
		defer os.Remove(o.envFile)
		if _, err := io.WriteString(stdout, text); err != nil {
			return fmt.Errorf("write the variables: %w", err)
		}
		<-ctx.Done()
		return nil
	})
}

// start starts the server as the flags say.
func (o *serveOptions) start(c sfapitest.Client) (*sfapitest.Server, error) {
	l, err := net.Listen("tcp", o.addr)
	if err != nil {
		return nil, fmt.Errorf("listen on loopback: %w", err)
	}
	start := sfapitest.Serve
	if o.tls {
		start = sfapitest.ServeTLS
	}
	server := start(l, c)
	server.SetPolicy(sfapitest.Policy{TokenLife: o.life})
	server.SetSkew(o.skew)
	if o.on != "api" {
		server.SetTokenFault(o.faults()...)
	}
	if o.on != "token" {
		server.SetAPIFault(o.faults()...)
	}
	return server, nil
}

// faults are what --delay and --fail ask for, with a count of their own.
func (o *serveOptions) faults() []sfapitest.Fault {
	var faults []sfapitest.Fault
	if o.delay > 0 {
		faults = append(faults, sfapitest.Delay(o.delay))
	}
	if o.fail != 0 {
		fail := sfapitest.Status(o.fail, nil)
		if o.times > 0 {
			fail = sfapitest.Times(o.times, fail)
		}
		faults = append(faults, fail)
	}
	return faults
}

// announce writes the variables to the file and returns them, followed by the
// commands to use them with, as text that a shell can take in whole:
//
//	text     = *variable *comment
//	variable = "export " NAME "=" word LF    quoted for a POSIX shell
//	comment  = "#" *any LF
func (o *serveOptions) announce(s *stage, server *sfapitest.Server, c sfapitest.Client) (string, error) {
	at, err := url.Parse(server.URL)
	if err != nil {
		return "", fmt.Errorf("read the server's URL: %w", err)
	}
	host := strings.TrimSuffix(at.Host, ":"+at.Port()) // an IPv6 address keeps its brackets
	var b strings.Builder
	export := func(name, value string) { fmt.Fprintf(&b, "export %s=%s\n", name, quote(value)) }
	export("SFCRED_CLIENT_ID", c.ID)
	export("SFCRED_PRIVATE_KEY_FILE", s.path(keyFile))
	export("SFCRED_TOKEN_URL", server.TokenURL)
	export("SFCRED_API_URL", server.APIURL)
	export("SFCRED_HOSTS", host)
	curl := "curl -fsS -H @- "
	if o.tls {
		if err := s.write(caFile, server.CA); err != nil {
			return "", err
		}
		export("SSL_CERT_FILE", s.path(caFile))
		curl += "--cacert " + quote(s.path(caFile)) + " "
	}
	if err := writeWhole(o.envFile, b.String()); err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "#\n# In another shell:\n#   . %s\n#   sfcred token\n#   sfcred header | %s\n# Ctrl-C ends the server.\n",
		quote(o.envFile), curl+quote(server.APIURL+"/account/"))
	return b.String(), nil
}

// writeWhole makes a file that is complete from the moment it can be seen. One
// that is there already is refused: the file is removed in the end.
func writeWhole(path, text string) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("write the variables: %q is there already", path)
	}
	temp := path + ".new"
	err := os.WriteFile(temp, []byte(text), 0o600)
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write the variables: %w", err), os.RemoveAll(temp))
	}
	return nil
}
