package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestKuberc holds kubectl to a list of plugins.
func TestKuberc(t *testing.T) {
	t.Parallel()
	const head = "apiVersion: kubectl.config.k8s.io/v1beta1\nkind: Preference\n"
	tests := []struct {
		name   string
		kuberc string
		refuse string // what kubectl says; "" where it works
	}{
		{"the README's", readmeKuberc(t), ""},
		{
			// what kubectl 1.35 has instead of command
			"by its old field", head + "credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist:\n- name: sfcred-kubectl\n", "",
		},
		{
			"another program", head + "credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist:\n- command: kubectl\n",
			"is not permitted by the credential plugin allowlist",
		},
		{
			// the same file by another name: only the path counts
			"sfcred itself", head + "credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist:\n- command: sfcred\n",
			"is not permitted by the credential plugin allowlist",
		},
		{
			"none", head + "credentialPluginPolicy: DenyAll\n",
			`plugin "sfcred-kubectl" not allowed: policy set to "DenyAll"`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.setup(t)
			check(t, os.WriteFile(filepath.Join(w.home, ".kube", "kuberc"), []byte(tt.kuberc), 0o600))
			if tt.refuse == "" {
				w.wantNamespaces(t)
				w.wantExchanges(t, 1)
				return
			}
			w.run(t, "kubectl", "get", "--raw", "/version").wantFailure(t, tt.refuse)
			w.wantExchanges(t, 0)
			w.cluster.wantUntouched(t)
		})
	}
}

// readmeKuberc is the kuberc that kubectl's README tells people to write.
func readmeKuberc(t *testing.T) string {
	t.Helper()
	_, rest, _ := strings.Cut(readFile(t, filepath.Join("..", "README.md")), "```yaml\n# ~/.kube/kuberc\n")
	kuberc, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("the README has no kuberc")
	}
	return kuberc
}
