package helper

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// ErrNoAPI says that the profile has no API that its token may go to.
var ErrNoAPI = errors.New("the profile has no API URL")

// get asks the profile's API, under the same host rule as everybody.
func (s *Source) get(ctx context.Context, t Token, path string, into any) (answer, error) {
	if s.Profile.APIURL == "" {
		return answer{}, ErrNoAPI
	}
	u, err := s.Profile.CheckHost(strings.TrimRight(s.Profile.APIURL, "/") + path)
	if err != nil {
		return answer{}, err
	}
	do, err := s.client(u.String())
	if err != nil {
		return answer{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+t.Value)
	a, err := s.roundTrip(do, req)
	if err != nil {
		return answer{}, err
	}
	if a.status != http.StatusOK {
		return a, a.refusal(t)
	}
	// An API that repeats what it was sent would put the token into what is told
	// of its answer: a user's name, a time that is none.
	a.body = bytes.ReplaceAll(a.body, []byte(t.Value), []byte("(the token)"))
	if json.Unmarshal(a.body, into) != nil {
		return a, a.problem("is not the JSON that was asked for")
	}
	return a, nil
}

// refusal is the error for any status but 200, with what the API says of it:
// FastAPI's {"detail"}, or the detail or title of RFC 9457, which the
// facilities' common API uses.
func (a answer) refusal(t Token) error {
	err := a.unexpected()
	var answer *AnswerError
	var body struct{ Detail, Title looseString }
	if !errors.As(err, &answer) {
		return err
	}
	answer.Denied = a.status == http.StatusUnauthorized || a.status == http.StatusForbidden
	if json.Unmarshal(a.body, &body) == nil {
		detail := cmp.Or(string(body.Detail), string(body.Title))
		answer.Detail = printable(strings.TrimRight(t.outOf(detail), ". "))
	}
	return err
}

// outOf takes the token out of text by those who were sent it, and what may be
// a part of it.
func (t Token) outOf(text string) string {
	const part = 16
	words := strings.Fields(text)
	for i, word := range words {
		word = strings.Trim(word, `"'.,:;()<>`)
		head := t.Value[:min(part, len(t.Value))]
		if len(word) >= part && strings.Contains(t.Value, word) || strings.Contains(word, head) {
			words[i] = "(the token)"
		}
	}
	return strings.Join(words, " ")
}

// Account is the login name of the token's user, by GET /account/.
func (s *Source) Account(ctx context.Context, t Token) (string, error) {
	var account struct {
		Name string `json:"name"`
	}
	if _, err := s.get(ctx, t, "/account/", &account); err != nil {
		return "", err
	}
	return printable(account.Name), nil
}

// ClientExpiry is when the profile's client expires, by GET /account/clients.
// Zero means that the list does not say.
func (s *Source) ClientExpiry(ctx context.Context, t Token) (time.Time, error) {
	var clients []struct {
		ClientID  string `json:"clientId"`
		ExpiresAt string `json:"expiresAt"`
	}
	a, err := s.get(ctx, t, "/account/clients", &clients)
	if err != nil {
		return time.Time{}, err
	}
	for _, c := range clients {
		if c.ClientID == s.Profile.ClientID && c.ExpiresAt != "" {
			at, err := parseExpiresAt(c.ExpiresAt)
			if err != nil {
				return time.Time{}, a.problem("has a " + err.Error())
			}
			return at, nil
		}
	}
	return time.Time{}, nil
}

// parseExpiresAt reads the service's %Y-%m-%dT%H:%M:%S.%f%z (sfapi_client,
// _models Client), whose zone has no colon, and RFC 3339.
func parseExpiresAt(text string) (time.Time, error) {
	for _, layout := range []string{"2006-01-02T15:04:05.999999999-0700", time.RFC3339Nano} {
		// In UTC the year may be -1 or 10000, which JSON has no form for.
		if at, err := time.Parse(layout, text); err == nil && at.UTC().Year() >= 0 {
			last := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC) // how servers say never
			if at.After(last) {
				at = last
			}
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("client expiry %q: not a time", printable(text))
}
