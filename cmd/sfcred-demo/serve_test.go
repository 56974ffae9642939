package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sfcred/helper/sfapitest"
)

// started starts a server as a command line says.
func started(t *testing.T, line string) *sfapitest.Server {
	t.Helper()
	o, err := parseServe(strings.Fields(line))
	if err != nil {
		t.Fatal(err)
	}
	c, err := newClient(&stage{t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	server, err := o.start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

// get asks without a token; nothing is to be had at the token endpoint so.
func get(t *testing.T, url string) *http.Response {
	t.Helper()
	resp, err := http.DefaultTransport.(*http.Transport).Clone().RoundTrip(must(http.NewRequest("GET", url, nil)))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// TestFaults wants each flag to act where it should and nowhere else: 405 is
// the token endpoint's own answer to GET, 200 that of the API's status.
func TestFaults(t *testing.T) {
	for line, want := range map[string]struct{ token, api []int }{
		"":                                {[]int{405}, []int{200}},
		"--fail 503":                      {[]int{503, 503, 503}, []int{200}},
		"--fail 503 --times 2":            {[]int{503, 503, 405}, []int{200}},
		"--fail 401 --times 1 --on api":   {[]int{405}, []int{401, 200}},
		"--fail 500 --times 1 --on both":  {[]int{500, 405}, []int{500, 200}}, // a count each
		"--addr [::1]:0":                  {[]int{405}, []int{200}},
		"--addr localhost:0 --delay 10ms": {[]int{405}, []int{200}},
	} {
		t.Run(line, func(t *testing.T) {
			server := started(t, line)
			for i, status := range want.token {
				if got := get(t, server.TokenURL).StatusCode; got != status {
					t.Errorf("token endpoint, request %d: got %d, want %d", i+1, got, status)
				}
			}
			for i, status := range want.api {
				if got := get(t, server.APIURL+"/status").StatusCode; got != status {
					t.Errorf("API, request %d: got %d, want %d", i+1, got, status)
				}
			}
		})
	}
}

// TestDelay wants the answer not before its time.
func TestDelay(t *testing.T) {
	server := started(t, "--delay 200ms")
	began := time.Now()
	get(t, server.TokenURL)
	if got := time.Since(began); got < 200*time.Millisecond {
		t.Errorf("got an answer after %s, want 200ms at least", got)
	}
}

func TestSkew(t *testing.T) {
	for line, want := range map[string]time.Duration{"--skew 10m": 10 * time.Minute, "--skew -2h": -2 * time.Hour} {
		date, err := http.ParseTime(get(t, started(t, line).TokenURL).Header.Get("Date"))
		if got := time.Until(date); err != nil || (got-want).Abs() > time.Minute {
			t.Errorf("%s: got a clock that is %s ahead (%v), want %s", line, got, err, want)
		}
	}
}

// TestWriteWhole wants a file that stands kept, and no half of another.
func TestWriteWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "env")
	if err := writeWhole(path, "first"); err != nil {
		t.Fatal(err)
	}
	if err := writeWhole(path, "second"); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("got %v, want an error for a file that is there", err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "first" {
		t.Errorf("got %q (%v), want the first file", got, err)
	}
	if err := writeWhole(filepath.Join(dir, "missing", "env"), "text"); err == nil {
		t.Error("got no error, want one for a directory that is missing")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("got %v (%v), want env alone", left, err)
	}
}
