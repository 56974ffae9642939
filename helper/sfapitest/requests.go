package sfapitest

import (
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

// Requests returns the requests answered so far, the newest 10,000 at most, in
// the order in which their answers ended.
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

// recorder notes the status of an answer and the reason given by explain.
type recorder struct {
	http.ResponseWriter
	status int
	reason string
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// explain gives the true reason of a refusal to the log, past whatever a
// Fault has put around the writer.
func explain(w http.ResponseWriter, reason string) {
	for {
		switch v := w.(type) {
		case *recorder:
			v.reason = reason
			return
		case interface{ Unwrap() http.ResponseWriter }:
			w = v.Unwrap()
		default:
			return
		}
	}
}
