// Command kubectl is the Kubernetes project's kubectl, built from its module:
// this is all that the release has around it (k8s.io/kubernetes/cmd/kubectl).
// Its version is set by the linker.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	"k8s.io/kubectl/pkg/cmd"

	// Registers the plugins that a kubeconfig can name as auth-provider.
	_ "k8s.io/client-go/plugin/pkg/client/auth"
)

func main() {
	os.Exit(cli.Run(cmd.NewDefaultKubectlCommand()))
}
