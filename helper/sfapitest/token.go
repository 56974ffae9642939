package sfapitest

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const (
	grantType     = "client_credentials"
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

	maxForm = 64 << 10 // 64 KiB; a form with an RSA-4096 assertion is 1.5 KiB
)

// refusedClient is what the service's product says of every client it does
// not accept, on purpose without the reason
// (https://connect2id.com/blog/meaninigful-error-messages).
const refusedClient = "Client authentication failed, possible causes may be missing, invalid or expired secret / registered JWK, bad JWT assertion audience, or a mismatch between registered and presented client authentication method"

// refusal is an answer of RFC 6749 section 5.2: code and description go to
// the client, reason to the request log.
type refusal struct {
	status      int
	code        string
	description string
	reason      string
}

func invalidRequest(reason string) *refusal {
	return &refusal{http.StatusBadRequest, "invalid_request", "Invalid request: " + reason, reason}
}

func invalidClient(reason string) *refusal {
	return &refusal{http.StatusUnauthorized, "invalid_client", refusedClient, reason}
}

// answer is a token response (RFC 6749 section 5.1).
type answer struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"`
	Scope       string `json:"scope"`
}

// token is the token endpoint.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	got, no := s.exchange(w, r)
	s.count(no == nil)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
	if no == nil {
		writeJSON(w, http.StatusOK, got)
		return
	}
	explain(w, no.reason)
	switch no.status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="c2id", error="invalid_client"`)
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	}
	writeJSON(w, no.status, struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}{no.code, no.description})
}

// count adds one to the exchanges or to the refusals.
func (s *Server) count(accepted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if accepted {
		s.exchanges++
	} else {
		s.refusals++
	}
}

// exchange judges a token request whole and makes the answer to it.
func (s *Server) exchange(w http.ResponseWriter, r *http.Request) (answer, *refusal) {
	form, no := readForm(w, r)
	if no != nil {
		return answer{}, no
	}
	switch form.Get("grant_type") {
	case grantType:
	case "":
		return answer{}, invalidRequest("grant_type is missing")
	default:
		return answer{}, &refusal{http.StatusBadRequest, "unsupported_grant_type",
			"Unsupported grant type", "grant_type is not " + grantType}
	}
	if form.Get("client_assertion_type") != assertionType {
		return answer{}, invalidClient("client_assertion_type is not " + assertionType)
	}
	c, err := s.authenticate(r, form.Get("client_assertion"))
	if err != nil {
		return answer{}, invalidClient(err.Error())
	}
	// RFC 7521 section 4.2: optional, but it must name the same client.
	if id := form.Get("client_id"); id != "" && id != c.ID {
		return answer{}, invalidClient("client_id is not that of the assertion")
	}
	scopes, no := grantedScopes(c, form.Get("scope"))
	if no != nil {
		return answer{}, no
	}
	life := s.currentPolicy().TokenLife
	return answer{
		AccessToken: s.mint(c, scopes, life),
		TokenType:   "Bearer",
		ExpiresIn:   int64(life.Seconds()),
		Scope:       strings.Join(scopes, " "),
	}, nil
}

// readForm reads the request's parameters, which may be in its body alone:
// what is in a URL ends up in other people's logs.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, *refusal) {
	if r.Method != http.MethodPost {
		no := invalidRequest("the method is not POST")
		no.status = http.StatusMethodNotAllowed
		return nil, no
	}
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		return nil, invalidRequest("the URL has a query")
	}
	if r.Header["Authorization"] != nil {
		return nil, invalidRequest("there is an Authorization header beside the assertion")
	}
	types := r.Header["Content-Type"]
	if len(types) != 1 {
		return nil, invalidRequest("there is not exactly one Content-Type")
	}
	if kind, _, err := mime.ParseMediaType(types[0]); err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, invalidRequest("the Content-Type is not application/x-www-form-urlencoded")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, invalidRequest("the body is larger than 64 KiB")
	} else if err != nil {
		return nil, invalidRequest("the body ended early")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, invalidRequest("the body is not a URL-encoded form")
	}
	return form, checkForm(form)
}

// checkForm refuses a parameter given twice (RFC 6749 section 3.2) and a
// second way to authenticate (section 2.3).
func checkForm(form url.Values) *refusal {
	for _, values := range form {
		if len(values) > 1 {
			return invalidRequest("a parameter is there more than once")
		}
	}
	if form.Has("client_secret") {
		return invalidRequest("there is a client_secret beside the assertion")
	}
	return nil
}

// grantedScopes returns what c gets: what it asked for, or all that it may
// have, and always its user's name.
func grantedScopes(c Client, asked string) ([]string, *refusal) {
	scopes := slices.Clone(c.Scopes)
	if asked != "" {
		scopes = strings.Split(asked, " ")
		for _, scope := range scopes {
			if !slices.Contains(c.Scopes, scope) {
				return nil, &refusal{http.StatusBadRequest, "invalid_scope",
					"Invalid, unknown or malformed scope", "scope is more than the client may have"}
			}
		}
	}
	if c.User != "" {
		scopes = append(scopes, "un:"+c.User)
	}
	return scopes, nil
}
