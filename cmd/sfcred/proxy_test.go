package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"sfcred/helper/sfapitest"
)

// proxyPassword is part of the proxy's URL, and must be nowhere else.
const proxyPassword = "proxy-password-canary"

// proxyCmd starts a proxy, and has HTTPS_PROXY name it. Whatever host is asked
// for, the tunnel (RFC 9110 section 9.3.6) leads to the script's server, which
// has to be one by TLS: its URLs have another host then, since none is used for
// loopback.
//
//	proxy tunnel|CODE
func proxyCmd(ts *testscript.TestScript, neg bool, args []string) {
	server := theWorld(ts).server
	url, port := startProxy(server, args[0], ts.Defer)
	ts.Setenv("HTTPS_PROXY", url)
	ts.Setenv("PROXY", strings.TrimPrefix(url, "http://elvis:"+proxyPassword+"@"))
	host := sfapitest.ProxiedHost + ":" + port
	ts.Setenv("HOST", host)
	ts.Setenv("TOKEN_URL", "https://"+host+"/c2id/token")
	ts.Setenv("API_URL", "https://"+host+"/api/v1.2")
}

// startProxy gives the proxy's URL and the server's port. A mode that is not
// tunnelTo is the status by which it refuses.
func startProxy(server *sfapitest.Server, mode string, deferred func(func())) (url, port string) {
	_, address, _ := strings.Cut(server.URL, "://")
	_, port, _ = net.SplitHostPort(address)
	server.SetPolicy(sfapitest.Policy{Audiences: []string{"https://" + sfapitest.ProxiedHost + ":" + port + "/c2id/token"}})
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if code, err := strconv.Atoi(mode); err == nil {
			w.WriteHeader(code)
			return
		}
		tunnelTo(w, r, address)
	}))
	deferred(proxy.Close)
	return strings.Replace(proxy.URL, "://", "://elvis:"+proxyPassword+"@", 1), port
}

func tunnelTo(w http.ResponseWriter, r *http.Request, address string) {
	there, err := net.Dial("tcp", address)
	if r.Method != http.MethodConnect || err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer there.Close()
	here, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer here.Close()
	io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
	var done sync.WaitGroup
	done.Go(func() { io.Copy(there, here); there.(*net.TCPConn).CloseWrite() })
	done.Go(func() { io.Copy(here, there); here.(*net.TCPConn).CloseWrite() })
	done.Wait()
}
