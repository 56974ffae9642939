package sfapitest

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// api is the Superfacility API's small part that clients use to look after
// themselves, with the shapes of its OpenAPI document.
func (s *Server) api() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(apiPath+"/status", only(http.MethodGet, s.status))
	mux.Handle(apiPath+"/status/{name}", only(http.MethodGet, s.statusOf))
	mux.Handle(apiPath+"/account", only(http.MethodGet, s.toAccount))
	mux.Handle(apiPath+"/account/{$}", only(http.MethodGet, s.bearer(s.account)))
	mux.Handle(apiPath+"/account/clients", only(http.MethodGet, s.bearer(s.accountClients)))
	mux.Handle(apiPath+"/utilities/command/{machine}", only(http.MethodPost, s.bearer(s.command)))
	mux.Handle(apiPath+"/tasks/{id}", only(http.MethodGet, s.bearer(s.task)))
	mux.HandleFunc("/", noSuchPath)
	return mux
}

func noSuchPath(w http.ResponseWriter, _ *http.Request) {
	refuse(w, http.StatusNotFound, "Not Found", "there is no such path")
}

// only answers any other method than method as the service's framework does.
func only(method string, next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method {
			w.Header().Set("Allow", method)
			refuse(w, http.StatusMethodNotAllowed, "Method Not Allowed", "the method is not "+method)
			return
		}
		next(w, r)
	})
}

// refuse answers with detail, and gives reason to the log.
func refuse(w http.ResponseWriter, status int, detail, reason string) {
	explain(w, reason)
	writeJSON(w, status, map[string]string{"detail": detail})
}

// bearer lets a request with a good access token through to next, together
// with the client that the token was issued to (RFC 6750 sections 2.1 and 3).
func (s *Server) bearer(next func(http.ResponseWriter, *http.Request, Client)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		values := r.Header["Authorization"]
		if len(values) == 0 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			refuse(w, http.StatusUnauthorized, "Not authenticated", "there is no Authorization header")
			return
		}
		c, err := s.bearerOf(values)
		if err != nil {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			refuse(w, http.StatusUnauthorized, "Could not validate credentials", err.Error())
			return
		}
		if !c.admits(r.RemoteAddr) {
			status := s.currentPolicy().SourceStatus
			if status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			}
			refuse(w, status, "Source IP incompatible", "the source address "+r.RemoteAddr+" is not one of the client's")
			return
		}
		if slices.Contains(c.Denied, strings.TrimPrefix(r.URL.Path, apiPath)) {
			refuse(w, http.StatusForbidden, "Forbidden", "the client's level is too low for this path")
			return
		}
		next(w, r, c)
	}
}

// bearerOf returns the client whose access token the Authorization header
// carries.
func (s *Server) bearerOf(values []string) (Client, error) {
	if len(values) > 1 {
		return Client{}, errors.New("there is more than one Authorization header")
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return Client{}, errors.New("the Authorization header is not of the scheme Bearer")
	}
	return s.checkAccess(token)
}

// system is one entry of GET /status.
type system struct {
	Name        string   `json:"name"`
	FullName    string   `json:"full_name"`
	Description string   `json:"description"`
	SystemType  string   `json:"system_type"`
	Notes       []string `json:"notes"`
	Status      string   `json:"status"`
	UpdatedAt   string   `json:"updated_at"`
}

// systems are those that the API has always had, all of them well.
func systems() []system {
	const updated = "2026-11-02T08:00:00-08:00"
	return []system{
		{"perlmutter", "Perlmutter", "System is active", "compute", []string{}, "active", updated},
		{"dtns", "Data Transfer Nodes", "System is active", "filesystem", []string{}, "active", updated},
	}
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, systems())
}

func (s *Server) statusOf(w http.ResponseWriter, r *http.Request) {
	for _, sys := range systems() {
		if sys.Name == r.PathValue("name") {
			writeJSON(w, http.StatusOK, sys)
			return
		}
	}
	refuse(w, http.StatusNotFound, "Not Found", "there is no such system")
}

// toAccount redirects as FastAPI does to the path with a slash, so that
// clients are seen to bring their token along, or not.
func (s *Server) toAccount(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Location", s.APIURL+"/account/")
	w.WriteHeader(http.StatusTemporaryRedirect)
}

// userInfo is the answer of GET /account/.
type userInfo struct {
	UID         int     `json:"uid"`
	Name        string  `json:"name"`
	Firstname   *string `json:"firstname"`
	Lastname    *string `json:"lastname"`
	Middlename  *string `json:"middlename"`
	Workphone   *string `json:"workphone"`
	OtherPhones *string `json:"otherPhones"`
	Email       *string `json:"email"`
}

func (s *Server) account(w http.ResponseWriter, _ *http.Request, c Client) {
	writeJSON(w, http.StatusOK, userInfo{UID: c.UserID, Name: c.User})
}

// clientInfo is one entry of GET /account/clients.
type clientInfo struct {
	Name      string `json:"name"`
	ClientID  string `json:"clientId"`
	ExpiresAt string `json:"expiresAt"`
	Comments  string `json:"comments"`
}

// accountClients lists all clients of c's user. The service has none without
// an end, so that of one that never expires is the last day there is.
func (s *Server) accountClients(w http.ResponseWriter, _ *http.Request, c Client) {
	s.mu.Lock()
	clients := slices.Clone(s.clients)
	s.mu.Unlock()
	list := []clientInfo{}
	for _, other := range clients {
		if other.User != c.User {
			continue
		}
		expires := other.Expires
		if expires.IsZero() {
			expires = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
		}
		list = append(list, clientInfo{
			Name:     other.Name,
			ClientID: other.ID,
			// %Y-%m-%dT%H:%M:%S.%f%z
			ExpiresAt: expires.UTC().Format("2006-01-02T15:04:05.000000-0700"),
		})
	}
	writeJSON(w, http.StatusOK, list)
}

// task is a command that was accepted.
type task struct {
	user string
}

// command accepts a command and runs nothing.
func (s *Server) command(w http.ResponseWriter, r *http.Request, c Client) {
	if c.ReadOnly {
		refuse(w, http.StatusForbidden, "Forbidden", "the client's level is too low for commands")
		return
	}
	if !slices.Contains([]string{"perlmutter", "dtns", "dtn01"}, r.PathValue("machine")) {
		unprocessable(w, "path", "machine", "there is no such machine")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if r.ParseForm() != nil || r.PostForm.Get("executable") == "" {
		unprocessable(w, "body", "executable", "the form has no executable")
		return
	}
	s.mu.Lock()
	s.tasks = append(s.tasks, task{user: c.User})
	id := strconv.Itoa(len(s.tasks))
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, struct {
		TaskID string  `json:"task_id"`
		Status string  `json:"status"`
		Error  *string `json:"error"`
	}{id, "OK", nil})
}

// unprocessable is FastAPI's HTTPValidationError.
func unprocessable(w http.ResponseWriter, place, field, reason string) {
	type detail struct {
		Loc  []string `json:"loc"`
		Msg  string   `json:"msg"`
		Type string   `json:"type"`
	}
	explain(w, reason)
	writeJSON(w, http.StatusUnprocessableEntity, map[string][]detail{
		"detail": {{[]string{place, field}, reason, "value_error"}},
	})
}

// task answers with a result at once; the result is JSON in a string.
func (s *Server) task(w http.ResponseWriter, r *http.Request, c Client) {
	id := r.PathValue("id")
	n, err := strconv.Atoi(id)
	s.mu.Lock()
	known := err == nil && n >= 1 && n <= len(s.tasks) && s.tasks[n-1].user == c.User
	s.mu.Unlock()
	if !known {
		refuse(w, http.StatusNotFound, "Not Found", "there is no such task of the client's user")
		return
	}
	writeJSON(w, http.StatusOK, struct {
		ID     string `json:"id"`
		Status string `json:"status"`
		Result string `json:"result"`
	}{strconv.Itoa(n), "completed", `{"status":"ok","output":"this server runs no commands\n","error":null}`})
}
