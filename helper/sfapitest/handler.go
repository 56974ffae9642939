package sfapitest

import (
	"encoding/json"
	"net/http"
)

// handler routes, sets the Date header by the server's clock and keeps the
// log.
func (s *Server) handler() http.Handler {
	mux := s.mux
	mux.Handle(tokenPath, s.behind(&s.tokenFault, http.HandlerFunc(s.token)))
	mux.Handle("GET "+issuerPath+"/jwks.json", http.HandlerFunc(s.jwks))
	mux.Handle("GET "+issuerPath+"/.well-known/openid-configuration", http.HandlerFunc(s.discovery))
	mux.Handle(apiPath+"/", s.behind(&s.apiFault, s.api()))
	mux.HandleFunc("/", noSuchPath)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := &recorder{ResponseWriter: w, server: s, req: Request{Method: r.Method, Path: r.URL.Path}}
		defer rec.note(0) // a fault may cut the connection by a panic
		w.Header().Set("Date", s.now().UTC().Format(http.TimeFormat))
		mux.ServeHTTP(rec, r)
		rec.note(http.StatusOK) // of a handler that wrote nothing
	})
}

// Protect has h answer requests that match pattern, as [http.ServeMux] reads it,
// and bring a good access token; all others are refused as the API refuses them.
// It is for what else takes the service's tokens: a git host, a registry. Faults
// of the API are before it too.
func (s *Server) Protect(pattern string, h http.Handler) {
	checked := s.bearer(func(w http.ResponseWriter, r *http.Request, _ Client) { h.ServeHTTP(w, r) })
	s.mux.Handle(pattern, s.behind(&s.apiFault, checked))
}

// behind puts the fault that is set when a request comes before next.
func (s *Server) behind(fault *Fault, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		f := *fault
		s.mu.Unlock()
		if f == nil {
			next.ServeHTTP(w, r)
			return
		}
		f(next).ServeHTTP(w, r)
	})
}

// jwks is the public key by which access tokens are verified (RFC 7517
// section 5).
func (s *Server) jwks(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string][]jwk{"keys": {publicJWK()}})
}

// discovery is what OpenID Connect Discovery 1.0 section 3 requires of a
// provider, as far as a client without a browser has a use for it.
func (s *Server) discovery(w http.ResponseWriter, _ *http.Request) {
	issuer := s.URL + issuerPath
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer":                                issuer,
		"jwks_uri":                              issuer + "/jwks.json",
		"token_endpoint":                        s.TokenURL,
		"grant_types_supported":                 []string{grantType},
		"token_endpoint_auth_methods_supported": []string{"private_key_jwt"},
		"response_types_supported":              []string{},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
	})
}

// writeJSON answers with status and v.
func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic("sfapitest: encode an answer: " + err.Error())
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body)
}
