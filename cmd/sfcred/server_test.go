package main

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sfcred/helper/sfapitest"
)

// serverCmd tells the script's server what to do, or asserts what it saw.
//
//	server ok|html|empty|cut|reset|short|notoken|huge|hang|badtoken|noexpiry|mac|echo|gone
//	server tls                                 another server, over https, with its CA in ca.pem
//	server status CODE [TIMES [RETRY-AFTER]]   server redirect URL   server life DURATION
//	server skew DURATION    server remove CLIENT   server again CLIENT KEY   server token VALUE   server delay DURATION
//	server register CLIENT FILE                as Iris does, with the public key in a PEM file
//	server elsewhere token|401|403             the client of KEY may come from elsewhere only, by the token endpoint or the API
//	server deny PATH                           its level is too low for that path of the API
//	server says TEXT                           refuses it in these words, by token endpoint and API (%1b is ESC)
//	server apisays                             the API refuses a token by repeating it
//	server username NAME                       the API calls its user so (%1b is ESC)
//	server portal                              a web page answers everywhere
//	server api CODE         server api hang    server expires DURATION, the client of KEY, from now
//	server exchanges N      server refusals N      server requests N
func serverCmd(ts *testscript.TestScript, neg bool, args []string) {
	server := theWorld(ts).server
	arg := func(i int) string {
		if i < len(args) {
			return args[i]
		}
		return ""
	}
	number := func(i int) int {
		n, err := strconv.Atoi(arg(i))
		ts.Check(err)
		return n
	}
	duration := func() time.Duration {
		d, err := time.ParseDuration(arg(1))
		ts.Check(err)
		return d
	}
	expect := func(what string, got int) {
		if (got == number(1)) == neg {
			ts.Fatalf("the server saw %d %s, want %s", got, what, arg(1))
		}
	}
	switch arg(0) {
	case "ok":
		server.SetTokenFault()
		server.SetAPIFault()
		server.SetSkew(0)
	case "html":
		server.SetTokenFault(sfapitest.HTML())
	case "empty":
		server.SetTokenFault(sfapitest.Empty())
	case "cut":
		server.SetTokenFault(sfapitest.Cut())
	case "notoken":
		server.SetTokenFault(sfapitest.Without("access_token"))
	case "noexpiry":
		server.SetTokenFault(sfapitest.Without("expires_in"))
	case "badtoken":
		server.SetTokenFault(sfapitest.With("access_token", "two\nlines"))
	case "token":
		server.SetTokenFault(sfapitest.With("access_token", arg(1)))
	case "huge":
		server.SetTokenFault(sfapitest.Huge(2 << 20))
	case "reset":
		server.SetTokenFault(sfapitest.Reset())
	case "short":
		server.SetTokenFault(sfapitest.Short())
	case "mac":
		server.SetTokenFault(sfapitest.With("token_type", "mac"))
	case "echo":
		server.SetTokenFault(echo)
	case "gone":
		server.Close()
	case "tls":
		useTLS(ts)
	case "api":
		fault := sfapitest.Delay(time.Hour)
		if arg(1) != "hang" {
			fault = sfapitest.Status(number(1), nil)
		}
		server.SetAPIFault(fault)
	case "elsewhere":
		server.Add(theClient(func(c *sfapitest.Client) { c.Source = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")} }))
		if arg(1) != "token" {
			server.SetPolicy(sfapitest.Policy{SourceAtAPI: true, SourceStatus: number(1)})
		}
	case "deny":
		server.Add(theClient(func(c *sfapitest.Client) { c.Denied = []string{arg(1)} }))
	case "says":
		text, err := url.QueryUnescape(arg(1))
		ts.Check(err)
		server.SetTokenFault(refusalIn(text))
		server.SetAPIFault(refusalIn(text))
	case "apisays":
		server.SetAPIFault(echoToken)
	case "username":
		text, err := url.QueryUnescape(arg(1))
		ts.Check(err)
		server.SetAPIFault(sfapitest.With("name", text))
	case "portal":
		server.SetTokenFault(sfapitest.HTML())
		server.SetAPIFault(sfapitest.HTML())
	case "hang":
		server.SetTokenFault(hang(theWorld(ts)))
	case "delay":
		server.SetTokenFault(sfapitest.Delay(duration()))
	case "redirect":
		server.SetTokenFault(sfapitest.Redirect(arg(1)))
	case "status":
		header := http.Header{}
		if arg(3) != "" {
			header.Set("Retry-After", arg(3))
		}
		fault := sfapitest.Status(number(1), header)
		if arg(2) != "" {
			fault = sfapitest.Times(number(2), fault)
		}
		server.SetTokenFault(fault)
	case "life":
		server.SetPolicy(sfapitest.Policy{TokenLife: duration()})
	case "skew":
		server.SetSkew(duration())
	case "remove":
		server.Remove(arg(1))
	case "again":
		key := encryptedPublic()
		if known, ok := theKeys()[arg(2)]; ok {
			key = known.(crypto.Signer).Public()
		}
		server.Add(sfapitest.Client{ID: arg(1), Key: key, User: "bob"})
	case "register":
		server.Add(sfapitest.Client{ID: arg(1), Key: publicIn(ts, arg(2)), User: "alice", Expires: time.Now().Add(48 * time.Hour)})
	case "expires":
		server.Add(theClient(func(c *sfapitest.Client) { c.Expires = time.Now().Add(duration()) }))
	case "exchanges":
		expect("exchanges", server.Exchanges())
	case "refusals":
		expect("refusals", server.Refusals())
	case "requests":
		expect("requests", len(server.Requests()))
	default:
		ts.Fatalf("server %s: unknown", arg(0))
	}
}

// theClient is the client of KEY, changed.
func theClient(change func(*sfapitest.Client)) sfapitest.Client {
	c := sfapitest.Client{ID: clientID, Key: theKeys()["key"].(crypto.Signer).Public(), User: "alice", Name: "test", Expires: theExpiry()}
	change(&c)
	return c
}

// refusalIn refuses in these words, as a token endpoint and as an API.
func refusalIn(text string) sfapitest.Fault {
	body, err := json.Marshal(map[string]string{"error": "invalid_client", "error_description": text, "detail": text})
	if err != nil {
		panic(err)
	}
	return sfapitest.Instead(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		w.Write(body)
	}))
}

// publicIn reads a public key as PEM.
func publicIn(ts *testscript.TestScript, name string) crypto.PublicKey {
	block, rest := pem.Decode([]byte(ts.ReadFile(name)))
	if block == nil || block.Type != "PUBLIC KEY" || len(rest) != 0 {
		ts.Fatalf("%s is not one public key in PEM", name)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	ts.Check(err)
	return key
}

// useTLS gives a script a server over https in place of the one that it has.
func useTLS(ts *testscript.TestScript) {
	server := sfapitest.NewTLS()
	addClients(server)
	ts.Defer(server.Close)
	theWorld(ts).server = server
	for _, pair := range serverVars(server) {
		name, value, _ := strings.Cut(pair, "=")
		ts.Setenv(name, value)
	}
	ts.Check(os.WriteFile(ts.MkAbs("ca.pem"), server.CA, 0o600))
}

// echo refuses a client with its own assertion as the reason, and a web page of
// it behind that.
func echo(http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		assertion := r.PostFormValue("client_assertion")
		fmt.Fprintf(w, `{"error":"invalid_client","error_description":"bad assertion %s (%s)"}`, assertion, url.QueryEscape(assertion))
	})
}

// echoToken refuses a token with itself as the reason.
func echoToken(http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		fmt.Fprintf(w, `{"detail":"bad token %s \u001b[2J"}`, token)
	})
}

// hang never answers, and says when it has a request.
func hang(w *world) sfapitest.Fault {
	forever := sfapitest.Delay(time.Hour)
	return func(genuine http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			w.hanging <- struct{}{}
			forever(genuine).ServeHTTP(rw, r)
		})
	}
}
