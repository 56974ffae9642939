package sfapitest

import "time"

// Policy is what a Server asks of assertions and grants in return. The zero
// value is the strict default.
type Policy struct {
	// TokenLife is how long an access token is good for; 0: 600 s, as the
	// service's are. The answer's expires_in has it in whole seconds.
	TokenLife time.Duration

	// MaxAhead is how far ahead an assertion's exp may be; 0: 5 minutes.
	MaxAhead time.Duration

	// Leeway is what the two clocks may differ by where a time must not be
	// in the future; 0: 10 s. An exp in the past gets none.
	Leeway time.Duration

	// Audiences are accepted as aud instead of the token URL.
	Audiences []string

	// AudienceArray accepts an aud that is an array and holds an accepted
	// audience, as RFC 7519 section 4.1.3 allows.
	AudienceArray bool

	// SourceStatus is the API's answer to a client's token from an address
	// outside its Source; 0: 401. Reports of the service name 401 and 403.
	SourceStatus int

	// SourceAtAPI has the token endpoint let clients from any address have
	// tokens, which the API then does not take.
	SourceAtAPI bool
}

// SetPolicy replaces the policy, for requests that come after it.
func (s *Server) SetPolicy(p Policy) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.policy = p
}

// currentPolicy returns the policy with its defaults filled in.
func (s *Server) currentPolicy() Policy {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.policy
	if p.TokenLife == 0 {
		p.TokenLife = 600 * time.Second
	}
	if p.MaxAhead == 0 {
		p.MaxAhead = 5 * time.Minute
	}
	if p.Leeway == 0 {
		p.Leeway = 10 * time.Second
	}
	if p.Audiences == nil {
		p.Audiences = []string{s.TokenURL}
	}
	if p.SourceStatus == 0 {
		p.SourceStatus = 401
	}
	return p
}
