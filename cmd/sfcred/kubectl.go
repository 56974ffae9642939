package main

import (
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"sfcred/helper"
	"sfcred/integrations/kubectl"
)

// helperKubectl answers a Kubernetes client.
func (p *program) helperKubectl(c *cli.Context) error {
	request, err := kubectl.Parse(p.env.execInfo)
	if err != nil {
		return err
	}
	want, err := p.want(c)
	if err != nil {
		return err
	}
	profile, err := p.choose()
	if err != nil {
		return err
	}
	if err := profile.checkCluster(request); err != nil {
		return err
	}
	t, err := p.tokenOf(c.Context, profile, want)
	if err != nil {
		return err
	}
	reply, err := kubectl.Reply(request, t.Value, t.HelperExpiry(time.Now()))
	if err != nil {
		return err
	}
	return p.answer(string(reply))
}

// checkCluster holds the token back from a cluster that is not the profile's,
// and from one whose certificate the client would not verify.
func (c *chosen) checkCluster(r kubectl.Request) error {
	if r.Server == "" {
		return nil // the kubeconfig does not let the client tell
	}
	if _, err := c.CheckHost(r.Server); err != nil {
		return &profileError{c.name, err}
	}
	if r.Insecure {
		return &profileError{c.name, fmt.Errorf("%w: the cluster is configured with insecure-skip-tls-verify", helper.ErrForeignHost)}
	}
	return nil
}
