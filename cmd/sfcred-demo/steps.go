package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// step is one part of the tour. show runs it and judges what came of it.
type step struct {
	title string
	show  func(context.Context) error
}

func (t *tour) steps() []step {
	return []step{
		{"Hand over the key, once. A real exchange shows that it works.", t.login},
		{"An access token, for whatever wants one", t.printToken},
		{"The same as an HTTP header", t.printHeader},
		{"Call the API: the header goes through a pipe, not the command line", t.callAPI},
		{"kubectl asks in its own words, for a cluster on the profile's hosts", t.helpKubectl},
		{"Once more: out of the cache, without the server", t.askAgain},
		{"A foreign host gets nothing", t.foreignHost},
		{"The client has expired, as those from Iris do after 2, 30 or 60 days", t.expiredClient},
	}
}

// sfcred shows the command, runs it, shows the outcome and wants its exit code
// to be want.
func (t *tour) sfcred(ctx context.Context, want int, args ...string) (outcome, error) {
	t.screen.command(append([]string{"sfcred"}, args...)...)
	return t.run(ctx, want, nil, args...)
}

// run is sfcred for a command that was shown already.
func (t *tour) run(ctx context.Context, want int, env []string, args ...string) (outcome, error) {
	o, err := t.stage.process(ctx, env, "", t.program, args...)
	if err != nil {
		return outcome{}, err
	}
	t.screen.output(o.stdout)
	t.screen.output(o.stderr)
	switch {
	case o.code != want:
		return outcome{}, fmt.Errorf("sfcred ended with exit code %d, not %d", o.code, want)
	case o.code != 0 && o.stdout != "":
		return outcome{}, errors.New("sfcred failed and wrote to standard output all the same")
	case o.code != 0:
		t.screen.output(fmt.Sprintf("(exit code %d, nothing on standard output)", o.code))
	}
	return o, nil
}

func (t *tour) login(ctx context.Context) error {
	t.screen.remark("--store pem leaves the key in its file: a demo must not touch your keychain, " +
		"the default, and the store \"file\" asks for a passphrase.")
	_, err := t.sfcred(ctx, 0, "login", "--profile", "demo", "--store", "pem", "--key", keyFile,
		"--token-url", t.server.TokenURL, "--api-url", t.server.APIURL,
		"--host", "127.0.0.1", "--ca-file", caFile)
	if err != nil {
		return err
	}
	return t.wantExchanges(1)
}

// wantExchanges fails if the server gave another number of tokens.
func (t *tour) wantExchanges(n int) error {
	if got := t.server.Exchanges(); got != n {
		return fmt.Errorf("the server has seen %d exchanges, not %d", got, n)
	}
	return nil
}

func (t *tour) printToken(ctx context.Context) error {
	o, err := t.sfcred(ctx, 0, "token")
	if err != nil {
		return err
	}
	t.token = strings.TrimSuffix(o.stdout, "\n")
	if shorten(t.token) == t.token {
		return errors.New("the answer is no token")
	}
	return t.wantExchanges(1) // login's
}

func (t *tour) printHeader(ctx context.Context) error {
	o, err := t.sfcred(ctx, 0, "header")
	if err != nil {
		return err
	}
	return t.wantHeader(o)
}

func (t *tour) wantHeader(o outcome) error {
	if o.stdout != "Authorization: Bearer "+t.token+"\n" {
		return errors.New("the answer is not the header with the token")
	}
	return nil
}

// callAPI sends the header that sfcred gives by curl, or without curl by hand.
func (t *tour) callAPI(ctx context.Context) error {
	url := t.server.APIURL + "/account/"
	if t.curl == "" {
		t.screen.typed("sfcred header")
		t.screen.remark("there is no curl here, so the demo itself sends it: GET " + url)
	} else {
		t.screen.typed("sfcred header | curl -fsS --cacert " + caFile + " -H @- \\\n" + url)
	}
	header, err := t.stage.process(ctx, nil, "", t.program, "header")
	if err != nil {
		return err
	}
	if err := t.wantHeader(header); err != nil {
		return err
	}
	body, err := t.get(ctx, url, header.stdout)
	if err != nil {
		return fmt.Errorf("call the API: %w", err)
	}
	t.screen.output(body)
	return t.wantAccount(body)
}

// get is what the API answers to the header.
func (t *tour) get(ctx context.Context, url, header string) (string, error) {
	if t.curl == "" {
		return t.getByHand(ctx, url, header)
	}
	o, err := t.stage.process(ctx, nil, header, t.curl, "-fsS", "--cacert", caFile, "-H", "@-", url)
	if err == nil && o.code != 0 {
		err = fmt.Errorf("curl ended with exit code %d: %s", o.code, strings.TrimSpace(o.stderr))
	}
	return o.stdout, err
}

// getByHand is curl's part on a machine without it.
func (t *tour) getByHand(ctx context.Context, url, header string) (string, error) {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(t.server.CA)
	client := &http.Client{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true},
		Timeout:   processTime,
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	name, value, _ := strings.Cut(strings.TrimSuffix(header, "\n"), ": ")
	req.Header.Set(name, value)
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("the API answered %s", resp.Status)
	}
	return string(body), err
}

// wantAccount fails if the API did not take the token for the client's user.
func (t *tour) wantAccount(body string) error {
	var account struct {
		Name string `json:"name"`
	}
	if err := json.Unmarshal([]byte(body), &account); err != nil || account.Name != t.client.User {
		return errors.New("the API did not answer with the account")
	}
	return nil
}

// helpKubectl sets what kubectl sets for a cluster whose user entry has
// provideClusterInfo.
func (t *tour) helpKubectl(ctx context.Context) error {
	const info = `{"kind":"ExecCredential",
"apiVersion":"client.authentication.k8s.io/v1","spec":{"interactive":false,
"cluster":{"server":"https://127.0.0.1:6443"}}}`
	t.screen.typed("KUBERNETES_EXEC_INFO='" + info + "' \\\nsfcred helper kubectl")
	o, err := t.run(ctx, 0, []string{"KUBERNETES_EXEC_INFO=" + info}, "helper", "kubectl")
	if err != nil {
		return err
	}
	var credential struct {
		Kind   string `json:"kind"`
		Status struct {
			Token string `json:"token"`
		} `json:"status"`
	}
	if err := json.Unmarshal([]byte(o.stdout), &credential); err != nil ||
		credential.Kind != "ExecCredential" || credential.Status.Token != t.token {
		return errors.New("the answer is not an ExecCredential with the token")
	}
	return nil
}

func (t *tour) askAgain(ctx context.Context) error {
	o, err := t.sfcred(ctx, 0, "header")
	if err != nil {
		return err
	}
	if err := errors.Join(t.wantHeader(o), t.wantExchanges(1)); err != nil {
		return err
	}
	t.screen.remark(fmt.Sprintf("answered in %d ms; of all these commands the server has seen 1 exchange",
		o.took.Round(time.Millisecond).Milliseconds()))
	return nil
}

func (t *tour) foreignHost(ctx context.Context) error {
	_, err := t.sfcred(ctx, 3, "token", "--url", "https://example.org/")
	return err
}

func (t *tour) expiredClient(ctx context.Context) error {
	expired := t.client
	expired.Expires = time.Now().Add(-time.Minute)
	t.server.Add(expired)
	t.screen.remark("the server says no more than invalid_client; --force wants a new token")
	if _, err := t.sfcred(ctx, 4, "token", "--force"); err != nil {
		return err
	}
	if got := t.server.Refusals(); got != 1 {
		return fmt.Errorf("the server has refused %d times, not once", got)
	}
	return nil
}
