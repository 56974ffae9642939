package main

import (
	"bytes"
	"context"
	"regexp"
	"testing"
	"time"
)

// panics is standard input that panics when it is read.
type panics struct{ value any }

func (p panics) Read([]byte) (int, error) {
	if p.value != nil {
		panic(p.value)
	}
	var none []int
	return none[len(none)], nil
}

// A mistake in the program is no wrong usage, and what was panicked with, which
// may be a secret, is not shown.
func TestPanic(t *testing.T) {
	for want, value := range map[string]any{
		`this should not happen: a panic with a string in .*panics.*Read, line \d+`:                         "secret",
		`this should not happen: runtime error: index out of range \[0\] with length 0 in .*Read, line \d+`: nil,
	} {
		p := newProgram(time.Now())
		var stdout, stderr bytes.Buffer
		p.stdin, p.stdout, p.stderr = panics{value}, &stdout, &stderr
		if code := p.run(context.Background(), []string{"sfcred", "helper", "cargo"}); code != exitFailed {
			t.Errorf("got exit code %d, want %d", code, exitFailed)
		}
		if !regexp.MustCompile(`^sfcred: error: `+want+`\n$`).Match(stderr.Bytes()) || bytes.Contains(stderr.Bytes(), []byte("secret")) {
			t.Errorf("got %q, want %s", stderr.Bytes(), want)
		}
	}
}
