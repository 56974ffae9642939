// Package kubectl speaks the exec credential protocol of Kubernetes clients
// (client.authentication.k8s.io/v1 and v1beta1) and makes the kubeconfig entry
// that has sfcred called.
//
// It is bytes in, bytes out: it reads no environment, runs nothing, and trusts
// nothing that a kubeconfig says, since a kubeconfig may come from others. It
// leaves out client certificates, and v1alpha1, which Kubernetes removed in
// 1.24.
package kubectl

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"sfcred/helper"
	"sfcred/integrations/request"
)

// The API versions that are answered. They are the same field for field
// (client-go, pkg/apis/clientauthentication).
const (
	v1      = "client.authentication.k8s.io/v1"
	v1beta1 = "client.authentication.k8s.io/v1beta1"
)

// Request is what a client asks for in KUBERNETES_EXEC_INFO:
//
//	{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1",
//	 "spec":{"interactive":false,"cluster":{"server":"https://…",…}}}
type Request struct {
	// APIVersion is the version to answer in.
	APIVersion string
	// Server is the cluster's URL, or "" where the client was not configured to
	// tell (provideClusterInfo).
	Server string
	// Insecure is set where the client would not verify the server's
	// certificate, so anybody on the way would get the token.
	Insecure bool
}

// Parse reads the value of KUBERNETES_EXEC_INFO. Without one the request is for
// v1: a person may be trying the command by hand.
func Parse(info string) (Request, error) {
	if info == "" {
		return Request{APIVersion: v1}, nil
	}
	var kind, version string
	var cluster json.RawMessage
	var r Request
	err := request.Read([]byte(info), request.Members{
		"kind": &kind, "apiVersion": &version,
		"spec": request.Members{"cluster": &cluster},
	})
	if err == nil && cluster != nil {
		err = request.Read(cluster, request.Members{"server": &r.Server, "insecure-skip-tls-verify": &r.Insecure})
	}
	switch {
	case err != nil:
		return Request{}, errors.New("KUBERNETES_EXEC_INFO is not the JSON of an ExecCredential")
	case kind != "ExecCredential":
		return Request{}, fmt.Errorf("KUBERNETES_EXEC_INFO is of kind %.40q, not ExecCredential", kind)
	case version != v1 && version != v1beta1:
		return Request{}, fmt.Errorf("KUBERNETES_EXEC_INFO asks for %.80q; what can be answered is %s and %s", version, v1, v1beta1)
	case cluster != nil && r.Server == "":
		return Request{}, errors.New("KUBERNETES_EXEC_INFO names a cluster without a server")
	}
	r.APIVersion = version
	return r, nil
}

// Reply is the answer: one ExecCredential with the token. expires is when the
// client should come again; it uses a token to that very moment, so a margin
// must be in it already. Zero leaves it out, and the client keeps the token
// until the server says 401.
func Reply(r Request, token string, expires time.Time) ([]byte, error) {
	if err := helper.CheckToken(token); err != nil {
		return nil, err
	}
	type status struct {
		Expires *time.Time `json:"expirationTimestamp,omitempty"`
		Token   string     `json:"token"`
	}
	out := struct {
		Kind       string `json:"kind"`
		APIVersion string `json:"apiVersion"`
		Status     status `json:"status"`
	}{"ExecCredential", r.APIVersion, status{Token: token}}
	if !expires.IsZero() {
		// Whole seconds, rounded down: never later than it is.
		at := expires.UTC().Truncate(time.Second)
		out.Status.Expires = &at
	}
	text, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("encode the ExecCredential: %w", err)
	}
	return append(text, '\n'), nil
}
