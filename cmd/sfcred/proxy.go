package main

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"sfcred/helper"
)

// proxyFor is the proxy of a request, from the variables that curl and most
// programs know. net/http passes over one that it cannot read, and the request
// would go past the proxy that somebody wants; and it takes a scheme that it does
// not know for http (golang.org/x/net/http/httpproxy, parseProxy).
func proxyFor(r *http.Request) (*url.URL, error) {
	proxy, err := http.ProxyFromEnvironment(r)
	if err != nil || r.URL.Scheme != "https" {
		return proxy, err
	}
	name, value := proxyVariable()
	_, parseErr := url.Parse("http://" + value) // the last that parseProxy tries
	passedOver := proxy == nil && value != "" && parseErr != nil && !helper.Loopback(r.URL)
	if passedOver || proxy != nil && !isProxyURL(proxy) {
		// What it holds may be a password.
		return nil, &usageError{text: name + " is not the URL of a proxy", hints: []string{"export " + name + "=http://HOST:PORT"}}
	}
	return proxy, nil
}

// proxyVariable is the variable that names the proxy for https, in net/http's
// order.
func proxyVariable() (name, value string) {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy"} {
		if value := os.Getenv(name); value != "" {
			return name, value
		}
	}
	return "", ""
}

// withoutProxy has requests to a host pass by the proxy, with those that do.
func withoutProxy(host string) string {
	for _, name := range []string{"NO_PROXY", "no_proxy"} { // net/http's order
		if os.Getenv(name) != "" {
			return fmt.Sprintf(`export NO_PROXY="$%s,%s"`, name, host)
		}
	}
	return "export NO_PROXY=" + host
}

// isProxyURL says whether net/http can do with a proxy what its URL says.
func isProxyURL(u *url.URL) bool {
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
		// What is no URL at all is read behind another http://, with what is left as
		// the path.
		return u.Hostname() != "" && !strings.HasSuffix(u.Host, ":") && (u.Path == "" || u.Path == "/")
	}
	return false
}
