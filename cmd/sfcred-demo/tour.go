package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"runtime"
	"time"

	"sfcred/helper/sfapitest"
)

// tour is one showing of the main job.
type tour struct {
	screen  *screen
	stage   *stage
	server  *sfapitest.Server
	client  sfapitest.Client
	program string // path of sfcred
	curl    string // path of curl, or ""
	token   string // what the steps must agree on
}

// runTour shows everything, and fails with the first step that does.
func runTour(ctx context.Context, screen *screen) error {
	screen.line(bold, "sfcred takes a private key once, and from then on hands out access tokens.")
	screen.line(plain, "Here it runs for real, against a server of its own on this machine; nothing")
	screen.line(plain, "of yours is read or changed, and nothing is left behind.")
	steps := 0
	err := withStage(func(s *stage) error {
		t := &tour{screen: screen, stage: s, curl: findCurl()}
		if err := t.open(ctx); err != nil {
			return err
		}
		defer t.server.Close()
		for i, step := range t.steps() {
			screen.heading(fmt.Sprintf("%d. %s", i+1, step.title))
			if err := errors.Join(step.show(ctx), screen.err); err != nil {
				return fmt.Errorf("step %d: %w", i+1, err)
			}
			steps++
		}
		return nil
	})
	if err != nil {
		return err
	}
	screen.line(plain, "")
	screen.line(bold, fmt.Sprintf("Shown in %d steps: one key, stored once; one exchange; tokens for curl and", steps))
	screen.line(bold, "kubectl; none for a foreign host; a refusal explained. Nothing is left behind.")
	return screen.err
}

// findCurl returns "" for Windows' own curl: it insists on asking whether a
// certificate was revoked, and the demo's authority has nobody to ask.
func findCurl() string {
	path, err := exec.LookPath("curl")
	if err != nil || runtime.GOOS == "windows" {
		return ""
	}
	return path
}

// open starts the server, registers the client and builds sfcred.
func (t *tour) open(ctx context.Context) error {
	var err error
	if t.client, err = newClient(t.stage); err != nil {
		return err
	}
	t.client.Expires = time.Now().Add(48 * time.Hour)
	began := time.Now()
	t.screen.line(plain, "")
	t.screen.line(plain, "sfcred   go build of sfcred/cmd/sfcred; the first time takes a minute")
	if t.screen.err != nil {
		return t.screen.err // nobody is looking
	}
	if t.program, err = t.stage.build(ctx); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen on loopback: %w", err)
	}
	t.server = sfapitest.ServeTLS(l, t.client)
	if err := t.stage.write(caFile, t.server.CA); err != nil {
		t.server.Close()
		return err
	}
	t.screen.line(plain, fmt.Sprintf("         built in %.1f s", time.Since(began).Seconds()))
	t.screen.line(plain, "server   "+t.server.URL+", with an authority of its own in "+caFile)
	t.screen.line(plain, "key      "+keyFile+", as Iris hands it out: RSA 2048, PKCS#1, client ID on top")
	return t.screen.err
}
