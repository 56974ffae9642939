package sfapitest_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"sfcred/helper/sfapitest"
)

// TestRefusedRequest sends a good assertion in a request that is wrong in one
// thing.
func TestRefusedRequest(t *testing.T) {
	type change struct {
		form   func(url.Values)
		req    func(*http.Request)
		status int
		code   string // of RFC 6749 section 5.2
		want   string // in the log
	}
	tests := map[string]change{
		"GET":                {req: func(r *http.Request) { r.Method = "GET" }, status: 405, code: "invalid_request", want: "the method is not POST"},
		"PUT":                {req: func(r *http.Request) { r.Method = "PUT" }, status: 405, code: "invalid_request", want: "the method is not POST"},
		"a query":            {req: func(r *http.Request) { r.URL.RawQuery = "a=b" }, status: 400, code: "invalid_request", want: "the URL has a query"},
		"an empty query":     {req: func(r *http.Request) { r.URL.ForceQuery = true }, status: 400, code: "invalid_request", want: "the URL has a query"},
		"JSON":               {req: contentType("application/json"), status: 400, code: "invalid_request", want: "the Content-Type is not"},
		"multipart":          {req: contentType("multipart/form-data; boundary=x"), status: 400, code: "invalid_request", want: "the Content-Type is not"},
		"a broken type":      {req: contentType("application/x-www-form-urlencoded; ="), status: 400, code: "invalid_request", want: "the Content-Type is not"},
		"no type":            {req: func(r *http.Request) { r.Header.Del("Content-Type") }, status: 400, code: "invalid_request", want: "not exactly one Content-Type"},
		"two types":          {req: func(r *http.Request) { r.Header.Add("Content-Type", "text/plain") }, status: 400, code: "invalid_request", want: "not exactly one Content-Type"},
		"Authorization":      {req: func(r *http.Request) { r.SetBasicAuth(clientID, "x") }, status: 400, code: "invalid_request", want: "there is an Authorization header"},
		"client_secret":      {form: set("client_secret", "x"), status: 400, code: "invalid_request", want: "there is a client_secret"},
		"no grant_type":      {form: set("grant_type"), status: 400, code: "invalid_request", want: "grant_type is missing"},
		"empty grant_type":   {form: set("grant_type", ""), status: 400, code: "invalid_request", want: "grant_type is missing"},
		"another grant_type": {form: set("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), status: 400, code: "unsupported_grant_type", want: "grant_type is not client_credentials"},
		"grant_type twice":   {form: set("grant_type", "client_credentials", "client_credentials"), status: 400, code: "invalid_request", want: "a parameter is there more than once"},
		"unknown twice":      {form: set("x", "1", "2"), status: 400, code: "invalid_request", want: "a parameter is there more than once"},
		"no assertion type":  {form: set("client_assertion_type"), status: 401, code: "invalid_client", want: "client_assertion_type is not"},
		// The type for SAML.
		"another assertion type": {form: set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"), status: 401, code: "invalid_client", want: "client_assertion_type is not"},
		"no assertion":           {form: set("client_assertion"), status: 401, code: "invalid_client", want: "no compact JWS"},
		"another client_id":      {form: set("client_id", "other"), status: 401, code: "invalid_client", want: "client_id is not that of the assertion"},
		"a scope too many":       {form: set("scope", "a z"), status: 400, code: "invalid_scope", want: "scope is more than"},
		"a blank too many":       {form: set("scope", "a  b"), status: 400, code: "invalid_scope", want: "scope is more than"},
		"another's user":         {form: set("scope", "un:bob"), status: 400, code: "invalid_scope", want: "scope is more than"},
		"too large":              {form: set("x", strings.Repeat("x", 64<<10)), status: 400, code: "invalid_request", want: "the body is larger than 64 KiB"},
		"no form":                {req: body("grant_type=%zz"), status: 400, code: "invalid_request", want: "the body is not a URL-encoded form"},
		"semicolons":             {req: body("a=b;c=d"), status: 400, code: "invalid_request", want: "the body is not a URL-encoded form"},

		// These are right.
		"nothing wrong":      {status: 200},
		"a charset":          {req: contentType("application/x-www-form-urlencoded; charset=utf-8"), status: 200},
		"client_id":          {form: set("client_id", clientID), status: 200},
		"an unknown one":     {form: set("x", "y"), status: 200},
		"a scope":            {form: set("scope", "b"), status: 200},
		"a scope left empty": {form: set("scope", ""), status: 200},
	}
	c := alice()
	c.Scopes = []string{"a", "b"}
	s := newServer(t, c)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			form := goodForm(s)
			if test.form != nil {
				test.form(form)
			}
			req := tokenRequest(s, form.Encode())
			if test.req != nil {
				test.req(req)
			}
			resp, log := do(t, req), func() sfapitest.Request { return lastRequest(t, s) }
			if resp.StatusCode != test.status || log().Status != test.status {
				t.Fatalf("got %s (%s), want %d", resp.Status, log().Reason, test.status)
			}
			if test.status == 401 {
				wantGeneric(t, resp)
			}
			if test.status != 200 && !strings.HasPrefix(resp.body, `{"error":"`+test.code+`","error_description":"`) {
				t.Errorf("got %s, want error %s", resp.body, test.code)
			}
			if resp.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("got Cache-Control %q, want no-store", resp.Header.Get("Cache-Control"))
			}
			if got := log().Reason; !strings.Contains(got, test.want) || (got == "") != (test.want == "") {
				t.Errorf("got reason %q, want %q in it", got, test.want)
			}
			if got := log(); got.Path != "/c2id/token" || got.Method != req.Method {
				t.Errorf("got log %+v, want %s /c2id/token", got, req.Method)
			}
		})
	}
}

func tokenRequest(s *sfapitest.Server, body string) *http.Request {
	req := must(http.NewRequest("POST", s.TokenURL, strings.NewReader(body)))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req
}

// set puts values in place of a parameter's; none takes it out.
func set(name string, values ...string) func(url.Values) {
	return func(form url.Values) {
		delete(form, name)
		if len(values) > 0 {
			form[name] = values
		}
	}
}

func contentType(kind string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Content-Type", kind) }
}

func body(text string) func(*http.Request) {
	return func(r *http.Request) {
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
	}
}

// TestScope wants what was asked for and no more in answer and token.
func TestScope(t *testing.T) {
	c := alice()
	c.Scopes = []string{"a", "b"}
	s := newServer(t, c)
	form := goodForm(s)
	form.Set("scope", "b")
	if resp := post(t, s, form); !strings.HasSuffix(resp.body, `"expires_in":600,"scope":"b un:alice"}`) {
		t.Errorf("got %s, want the scope b un:alice", resp.body)
	}
	c.User, c.Scopes = "", nil
	s.Add(c)
	if resp := post(t, s, goodForm(s)); !strings.HasSuffix(resp.body, `"scope":""}`) {
		t.Errorf("got %s, want no scope", resp.body)
	}
}

func TestTokenLife(t *testing.T) {
	s := newServer(t, alice())
	s.SetPolicy(sfapitest.Policy{TokenLife: 90 * time.Second})
	if resp := post(t, s, goodForm(s)); !strings.Contains(resp.body, `"expires_in":90,`) {
		t.Errorf("got %s, want expires_in 90", resp.body)
	}
}
