package sfapitest

import (
	"bufio"
	"net"
	"net/http"
	"slices"
)

// maxRequests is how many requests are kept, the newest: the demo's server
// may run for days.
const maxRequests = 10_000

// Request is one request the server was sent, and what became of it. It holds
// neither query, headers nor body.
type Request struct {
	Method string
	Path   string
	Status int    // 0: the connection was cut without an answer
	Reason string // why it was refused, in our words; "" if it was not
}

// Requests returns the requests so far, the newest 10,000 at most. A request
// is there before the client has the first byte of its answer.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Exchanges returns how many token requests were accepted.
func (s *Server) Exchanges() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.exchanges
}

// Refusals returns how many token requests were refused by the rules; those
// that a [Fault] answered are not counted.
func (s *Server) Refusals() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refusals
}

// record keeps what became of a request.
func (s *Server) record(req Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.requests) == maxRequests {
		s.requests = slices.Delete(s.requests, 0, 1)
	}
	s.requests = append(s.requests, req)
}

// recorder notes in the log what becomes of a request: once, before anything
// of the answer is sent.
type recorder struct {
	http.ResponseWriter
	server *Server
	req    Request
	noted  bool
}

// note ends the log's entry with status.
func (w *recorder) note(status int) {
	if !w.noted {
		w.noted = true
		w.req.Status = status
		w.server.record(w.req)
	}
}

func (w *recorder) WriteHeader(status int) {
	w.note(status)
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	w.note(http.StatusOK)
	return w.ResponseWriter.Write(b)
}

// Hijack hands over the connection, on which no answer follows.
func (w *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.note(0)
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// Unwrap lets http.ResponseController find the writer's other methods.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// explain gives the true reason of a refusal to the log, past whatever a
// Fault has put around the writer; it must come before the answer.
func explain(w http.ResponseWriter, reason string) {
	for {
		switch v := w.(type) {
		case *recorder:
			v.req.Reason = reason
			return
		case interface{ Unwrap() http.ResponseWriter }:
			w = v.Unwrap()
		default:
			return
		}
	}
}
