package sfapitest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Fault stands before an endpoint: it is given the genuine handler and answers
// in its place, with its help or without. Any middleware will do.
type Fault func(genuine http.Handler) http.Handler

// SetTokenFault puts faults before the token endpoint, the first outermost,
// in place of those that were there; none ends them.
func (s *Server) SetTokenFault(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokenFault = chain(faults)
}

// SetAPIFault puts faults before the API, as SetTokenFault does.
func (s *Server) SetAPIFault(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.apiFault = chain(faults)
}

func chain(faults []Fault) Fault {
	return func(h http.Handler) http.Handler {
		for i := len(faults) - 1; i >= 0; i-- {
			h = faults[i](h)
		}
		return h
	}
}

// Times has the first n requests meet f; later ones go past it.
func Times(n int, f Fault) Fault {
	var seen atomic.Int64
	return func(genuine http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if seen.Add(1) > int64(n) {
				genuine.ServeHTTP(w, r)
				return
			}
			f(genuine).ServeHTTP(w, r)
		})
	}
}

// Delay lets d pass before the request is looked at.
func Delay(d time.Duration) Fault {
	return func(genuine http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !pause(r.Context(), d) {
				panic(http.ErrAbortHandler)
			}
			genuine.ServeHTTP(w, r)
		})
	}
}

// pause waits for d and reports whether ctx still stands then.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Instead answers by h alone; the genuine endpoint never sees the request.
func Instead(h http.Handler) Fault {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			explain(w, "a fault answered")
			h.ServeHTTP(w, r)
		})
	}
}

// Status answers with status, header (such as Retry-After; may be nil) and a
// line of text.
func Status(status int, header http.Header) Fault {
	return Instead(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, values := range header {
			w.Header()[http.CanonicalHeaderKey(name)] = values
		}
		w.WriteHeader(status)
		fmt.Fprintln(w, http.StatusText(status))
	}))
}

// Redirect sends the client to url by 307, which asks it to post its assertion
// again there.
func Redirect(url string) Fault {
	return Status(http.StatusTemporaryRedirect, http.Header{"Location": {url}})
}

// HTML answers 200 with a web page, as a captive portal or a login page does.
func HTML() Fault {
	return Instead(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><h1>Sign in to the network</h1></body></html>\n")
	}))
}

// Empty answers 200 with a JSON content type and no body.
func Empty() Fault {
	return Instead(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
	}))
}

// Cut closes the connection without an answer.
func Cut() Fault {
	return Instead(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic(http.ErrAbortHandler)
	}))
}

// Reset has the connection end by a TCP reset, without an answer.
func Reset() Fault {
	return Instead(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		raw := conn
		if secure, ok := conn.(interface{ NetConn() net.Conn }); ok {
			raw = secure.NetConn() // to close a TLS connection politely would write to it
		}
		if tcp, ok := raw.(*net.TCPConn); ok {
			tcp.SetLinger(0)
		}
		raw.Close()
	}))
}

// capture keeps a genuine answer back, so that a fault can alter it. Headers
// go straight to the real writer, which has sent nothing yet.
type capture struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (c *capture) WriteHeader(status int)      { c.status = status }
func (c *capture) Write(b []byte) (int, error) { return c.body.Write(b) }
func (c *capture) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// altered is a fault that takes the genuine answer and sends it by send.
func altered(send func(w http.ResponseWriter, r *http.Request, status int, body []byte)) Fault {
	return func(genuine http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c := &capture{ResponseWriter: w, status: http.StatusOK}
			genuine.ServeHTTP(c, r)
			send(w, r, c.status, c.body.Bytes())
		})
	}
}

// With sets the member name of a genuine JSON object to value, in answers with
// status 200 only: With("expires_in", "600"), With("token_type", "mac").
func With(name string, value any) Fault {
	return edited(func(o map[string]any) { o[name] = value })
}

// Without takes the member name out of a genuine JSON object, in answers with
// status 200 only.
func Without(name string) Fault {
	return edited(func(o map[string]any) { delete(o, name) })
}

func edited(edit func(map[string]any)) Fault {
	return altered(func(w http.ResponseWriter, _ *http.Request, status int, body []byte) {
		var o map[string]any
		if status == http.StatusOK && json.Unmarshal(body, &o) == nil {
			edit(o)
			writeJSON(w, status, o)
			return
		}
		w.WriteHeader(status)
		w.Write(body)
	})
}

// Header sets the header name of a genuine answer to value: a hostile Date,
// an Age.
func Header(name, value string) Fault {
	return altered(func(w http.ResponseWriter, _ *http.Request, status int, body []byte) {
		w.Header().Set(name, value)
		w.WriteHeader(status)
		w.Write(body)
	})
}

// Huge lets a genuine answer be followed by n blanks, which leave it valid.
func Huge(n int) Fault {
	return altered(func(w http.ResponseWriter, _ *http.Request, status int, body []byte) {
		w.WriteHeader(status)
		w.Write(body)
		fmt.Fprint(w, strings.Repeat(" ", n))
	})
}

// Short promises more bytes than a genuine answer has, and hangs up after it.
func Short() Fault {
	return altered(func(w http.ResponseWriter, _ *http.Request, status int, body []byte) {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)+100))
		w.WriteHeader(status)
		w.Write(body)
	})
}

// Drip sends a genuine answer one byte at a time, with a pause of every before
// each.
func Drip(every time.Duration) Fault {
	return altered(func(w http.ResponseWriter, r *http.Request, status int, body []byte) {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(status)
		flush := http.NewResponseController(w)
		for i := range body {
			if flush.Flush() != nil || !pause(r.Context(), every) {
				return
			}
			w.Write(body[i : i+1])
		}
	})
}
