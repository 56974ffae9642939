package helper_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"sfcred/helper"
)

// plainText wants text that a terminal and a log can take, and not too much.
func plainText(t *testing.T, text string) {
	t.Helper()
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) || len(text) > 1000 {
		t.Fatalf("got %q, want short plain text", text)
	}
}

// What the API answers is what it says of this account and client, or an error
// that names the status and tells nobody the token, though the API repeats it.
func FuzzAPI(f *testing.F) {
	const secret = "c2VjcmV0.c2VjcmV0c2VjcmV0.c2VjcmV0"
	for _, body := range []string{
		`{"name":"alice","uid":7}`, `{"name":"al\u001b[2Jice"}`, `{"name":"TOKEN"}`, `{"name":7}`, `null`, `[]`, ``, `<html>TOKEN`,
		`[{"clientId":"abc","expiresAt":"2026-12-01T16:30:00.123456+0000"}]`, `[{"clientId":"abc","expiresAt":"TOKEN"}]`,
		`[{"clientId":"other","expiresAt":"TOKEN"},{"clientId":"abc","expiresAt":""}]`, `[{"clientId":"abc","expiresAt":"9999-12-31T23:59:59-2300"}]`,
		`{"detail":"no such token: TOKEN."}`, `{"detail":[{"msg":"TOKEN"}],"title":"bad (TOKEN)"}`, `{"title":"x","detail":null}`,
	} {
		for _, status := range []int{200, 401, 403, 429, 500} {
			f.Add(status, "application/json", body)
		}
	}
	f.Add(302, "text/html; charset=x", "")
	f.Fuzz(func(t *testing.T, status int, contentType, template string) {
		body := strings.ReplaceAll(template, "TOKEN", secret)
		s := &helper.Source{Profile: helper.Profile{ClientID: "abc", TokenURL: "https://x.example/token", APIURL: "https://api.example/v1", Hosts: []string{"api.example"}}}
		s.SetDo(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host != "api.example" || r.Header.Get("Authorization") != "Bearer "+secret {
				t.Fatalf("asked %s", r.URL)
			}
			return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(strings.NewReader(body))}, nil
		})
		token := helper.Token{Value: secret}
		user, userErr := s.Account(t.Context(), token)
		at, err := s.ClientExpiry(t.Context(), token)
		plainText(t, user)
		wantNoRun(t, user, secret)
		for _, err := range []error{userErr, err} {
			if err == nil {
				continue
			}
			plainText(t, err.Error())
			wantNoRun(t, err.Error(), secret)
			var answer *helper.AnswerError
			if errors.As(err, &answer) && (answer.Status != status || answer.Denied != (status == 401 || status == 403)) {
				t.Fatalf("status %d: got %+v", status, answer)
			}
		}
		if (userErr == nil || err == nil) && (status != 200 || !json.Valid([]byte(body))) {
			t.Fatalf("took status %d and %q", status, body)
		}
		if userErr != nil && user != "" || err != nil && !at.IsZero() {
			t.Fatalf("got %q, %v and %s, %v, want one of two", user, userErr, at, err)
		}
		if at.IsZero() {
			return
		}
		var clients []struct{ ClientID, ExpiresAt string }
		if json.Unmarshal([]byte(body), &clients) != nil || !slices.ContainsFunc(clients, func(c struct{ ClientID, ExpiresAt string }) bool {
			said, err := helper.ParseExpiry(c.ExpiresAt)
			return c.ClientID == "abc" && err == nil && said.Equal(at)
		}) {
			t.Fatalf("%s: got %s", body, at)
		}
	})
}

// The server's clock is told where its Date can be read and no cache has kept
// the answer, and is more than a minute off; then by how much it is.
func FuzzSkew(f *testing.F) {
	now := time.Unix(1_800_000_000, 0).UTC()
	for _, shift := range []time.Duration{0, 60 * time.Second, 61 * time.Second, -61 * time.Second, 48 * time.Hour, 1e6 * time.Hour} {
		f.Add(now.Add(shift).Format(http.TimeFormat), "")
		f.Add(now.Add(shift).Format(time.RFC850), "0")
		f.Add(now.Add(shift).Format(time.ANSIC), "")
	}
	f.Add("", "")
	f.Add("Fri, 15 Jan 2027 08:00:00 +0000", "")
	f.Add("Mon, 01 Jan 0001 00:00:00 GMT", "")
	f.Add("Fri, 31 Dec 9999 23:59:60 GMT", "")
	f.Fuzz(func(t *testing.T, date, age string) {
		header := http.Header{"Date": {date}}
		if age != "" {
			header.Set("Age", age)
		}
		_, err := helper.ReadToken(401, header, []byte(`{"error":"invalid_client"}`), now)
		var refused *helper.RefusedError
		if !errors.As(err, &refused) {
			t.Fatalf("got %v, want a RefusedError", err)
		}
		plainText(t, err.Error())
		var want time.Duration
		if at, err := http.ParseTime(date); err == nil && age == "" && at.Sub(now).Abs() > time.Minute {
			const tenYears = 87_600 * time.Hour // beyond which nobody needs to know how many
			want = max(-tenYears, min(at.Sub(now), tenYears))
		}
		if refused.Skew != want && (refused.Skew-want).Abs() > time.Second {
			t.Fatalf("%q, Age %q: got %s, want %s", date, age, refused.Skew, want)
		}
	})
}

// A redirect is never followed; what is told of it is its host, and nothing that
// stands behind or before that.
func FuzzRedirect(f *testing.F) {
	for _, to := range []string{
		"https://login.example/?next=SECRET", "//login.example/SECRET", "/SECRET", "https://user:SECRET@login.example:8443/", "",
		"https://login.example#SECRET", "http://\x1b[2J/", "https:SECRET", "https://[::1%25SECRET]/", "javascript:SECRET", "https://a@SECRET@b/",
	} {
		f.Add(302, to)
	}
	f.Add(399, "%zz")
	f.Fuzz(func(t *testing.T, status int, to string) {
		const secret = "c2VjcmV0c2VjcmV0c2VjcmV0"
		if status < 300 || status > 399 {
			return
		}
		location := strings.ReplaceAll(to, "SECRET", secret)
		token, err := helper.ReadToken(status, http.Header{"Location": {location}}, nil, time.Unix(1_800_000_000, 0))
		var answer *helper.AnswerError
		if !errors.As(err, &answer) || token != (helper.Token{}) {
			t.Fatalf("got %v, %v", token, err)
		}
		plainText(t, err.Error())
		u, parseErr := url.Parse(location)
		if (answer.Redirect != "") != (parseErr == nil && u.Host != "") {
			t.Fatalf("%q: got host %q, want that of %v", location, answer.Redirect, u)
		}
		if parseErr != nil || !strings.Contains(u.Host, secret) && !strings.Contains(u.Scheme, secret) {
			wantNoRun(t, err.Error(), secret)
		}
	})
}

// A URL that we connect to is https, or http to this machine; what is said of one
// that is refused has nothing of its user info, query and fragment.
func FuzzEndpoint(f *testing.F) {
	for _, u := range []string{
		"https://x.example/token", "http://127.0.0.1:1/token", "http://x.example/SECRET", "https://me:SECRET@x.example/", "https://x.example/?a=SECRET",
		"https://x.example/#SECRET", "ftp://me:SECRET@x/", "https://x.example:99999/?SECRET", "https://@/SECRET?", "SECRET", "https://[::1]:1/", "https://a@b@c/", "http://?SECRET#@",
	} {
		f.Add(u)
	}
	f.Fuzz(func(t *testing.T, text string) {
		const secret = "c2VjcmV0c2VjcmV0c2VjcmV0"
		endpoint := strings.ReplaceAll(text, "SECRET", secret)
		p := &helper.Profile{ClientID: "abc", TokenURL: endpoint, Store: "pem"}
		err := p.Check()
		if err == nil {
			u, err := url.Parse(endpoint)
			if err != nil || u.User != nil || u.Fragment != "" || u.Scheme != "https" && (u.Scheme != "http" || !helper.Loopback(u)) {
				t.Fatalf("%q was taken", endpoint)
			}
			return
		}
		plainText(t, err.Error())
		// What stands behind the first ? or #, or before an @, is nobody's business.
		head, _, _ := strings.Cut(text, "?")
		head, _, _ = strings.Cut(head, "#")
		if !strings.Contains(head[strings.LastIndexByte(head, '@')+1:], "SECRET") {
			wantNoRun(t, err.Error(), secret)
		}
	})
}
