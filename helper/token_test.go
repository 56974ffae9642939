package helper_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"sfcred/helper"
)

func TestHelperExpiry(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	for left, want := range map[time.Duration]time.Duration{
		600 * time.Second: 570 * time.Second,
		60 * time.Second:  30 * time.Second,
		// A short one must not seem to have expired before it was handed over.
		40 * time.Second: 20 * time.Second,
		2 * time.Second:  time.Second,
		0:                0,
		-time.Second:     -time.Second,
	} {
		token := helper.Token{Value: "a", Obtained: now, Expires: now.Add(left)}
		if got := token.HelperExpiry(now).Sub(now); got != want {
			t.Errorf("%s left: got %s, want %s", left, got, want)
		}
	}
	if got := (helper.Token{Value: "a"}).HelperExpiry(now); !got.IsZero() {
		t.Errorf("unknown: got %s, want unknown", got)
	}
}

func TestCheckToken(t *testing.T) {
	for token, ok := range map[string]bool{
		"a.b-c_d~e+f/g=": true,
		"":               false,
		"a b":            false, // two words to a shell
		"a\nb":           false,
		"a\r":            false,
		"a\x00":          false,
		"a\x7f":          false,
		"é":              false,
		"\xff":           false,
	} {
		if err := helper.CheckToken(token); (err == nil) != ok {
			t.Errorf("CheckToken(%q): got %v, want ok: %v", token, err, ok)
		}
	}
}

func TestUser(t *testing.T) {
	jwt := func(claims string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
	}
	for token, want := range map[string]string{
		jwt(`{"scope":"a un:alice b"}`):        "alice",
		jwt(`{"scope":["a","un:alice"]}`):      "alice",
		jwt(`{"scope":"un:al\u001b\u00fcce"}`): "al???ce",
		jwt(`{"scope":"run:alice"}`):           "",
		jwt(`{"scope":5}`):                     "",
		jwt(`{}`):                              "",
		jwt(`[]`):                              "",
		"opaque":                               "",
		"a.b.c":                                "",
		"..":                                   "",
	} {
		if got := (helper.Token{Value: token}).User(); got != want {
			t.Errorf("%s: got %q, want %q", token, got, want)
		}
	}
}

func FuzzDecodeToken(f *testing.F) {
	token := helper.Token{Value: "aaaa.bbbb.cccc", Obtained: time.Unix(1_800_000_000, 123), Expires: time.Unix(1_800_000_600, 123)}
	booted := time.Unix(1_700_000_000, 5)
	whole := helper.Encode(token, booted)
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add(append(whole, '\n'))
	f.Add(bytes.Replace(whole, []byte("aaaa"), []byte("aaab"), 1))
	f.Add(bytes.Replace(whole, []byte("1"), []byte("2"), 1))
	f.Add([]byte("\n\n"))
	f.Add([]byte("1 2 0 3\na\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, booted, ok := helper.DecodeToken(text)
		if !ok {
			if got != (helper.Token{}) || !booted.IsZero() {
				t.Fatal("got a token out of a damaged file")
			}
			return
		}
		if again := helper.Encode(got, booted); !bytes.Equal(again, text) {
			t.Fatalf("got %q, want what was read: %q", again, text)
		}
		if strings.ContainsFunc(got.Value, func(r rune) bool { return r <= ' ' || r > '~' }) || !got.Expires.After(got.Obtained) {
			t.Fatalf("got %q from %s until %s", got.Value, got.Obtained, got.Expires)
		}
	})
}

// TestEncode wants the file of every token to be read as that token.
func TestEncode(t *testing.T) {
	token := helper.Token{Value: "a", Obtained: time.Unix(1_800_000_000, 1), Expires: time.Unix(1_800_000_600, 999_999_999)}
	for _, booted := range []time.Time{time.Unix(1_700_000_000, 7), time.Unix(0, 0), time.Unix(-1, 0)} {
		got, since, ok := helper.DecodeToken(helper.Encode(token, booted))
		if !ok || got.Value != token.Value || !got.Obtained.Equal(token.Obtained) || !got.Expires.Equal(token.Expires) || !since.Equal(booted) {
			t.Errorf("got %+v, %s, %v, want %+v, %s", got, since, ok, token, booted)
		}
	}
}

func FuzzReadToken(f *testing.F) {
	const secret = "c2VjcmV0.c2VjcmV0c2VjcmV0.c2VjcmV0"
	f.Add(200, `{"access_token":"TOKEN","token_type":"Bearer","expires_in":600}`)
	f.Add(200, `{"access_token":"TOKEN","token_type":"mac","expires_in":"x"}`)
	f.Add(200, `{"access_token":"TOKEN","expires_in":1e999}`)
	f.Add(200, `{"access_token":"TOKEN\n","expires_in":-1}`)
	f.Add(200, `{"access_token":"TOKEN"`)
	f.Add(200, `{"access_token":"TOKEN","error":"x"}`)
	f.Add(200, `{"access_token":["TOKEN"]}`)
	f.Add(200, `<html>TOKEN`)
	f.Add(401, `{"error":"invalid_client","error_description":"no\u001b"}`)
	f.Add(500, `{"access_token":"TOKEN"}`)
	f.Add(503, `TOKEN`)
	f.Add(302, ``)
	f.Fuzz(func(t *testing.T, status int, template string) {
		body := strings.ReplaceAll(template, "TOKEN", secret)
		began := time.Unix(1_800_000_000, 0)
		token, err := helper.ReadToken(status, http.Header{}, []byte(body), began)
		if (err == nil) != (token != helper.Token{}) {
			t.Fatalf("got token %v together with %v", token, err)
		}
		if err == nil {
			if strings.ContainsFunc(token.Value, func(r rune) bool { return r <= ' ' || r > '~' }) || token.Value == "" || status != 200 {
				t.Fatalf("got token %q of status %d", token.Value, status)
			}
			if !token.Obtained.Equal(began) || !token.Expires.IsZero() && !token.Expires.After(began) {
				t.Fatalf("got a token from %s until %s", token.Obtained, token.Expires)
			}
			return
		}
		text := err.Error()
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) || len(text) > 1000 {
			t.Fatalf("got %q, want short plain text", text)
		}
		// What the server itself says elsewhere is no secret of the token's place.
		var refused *helper.RefusedError
		elsewhere := strings.Count(template, "TOKEN") != 1 || !strings.Contains(template, `"access_token"`) || strings.Contains(template, "token_type") || errors.As(err, &refused)
		if !elsewhere {
			wantNoRun(t, text, secret)
		}
	})
}
