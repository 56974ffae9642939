package kubectl_test

import (
	"path/filepath"
	"testing"

	"sfcred/integrations/kubectl"
)

func TestKuberc(t *testing.T) {
	home := filepath.FromSlash("/home/x")
	for _, tt := range []struct{ home, variable, want string }{
		{home, "", "/home/x/.kube/kuberc"},
		{home, "/k", "/k"},
		{home, "off", ""},
		{"", "", ""},
	} {
		if got := kubectl.Kuberc(tt.home, tt.variable); filepath.ToSlash(got) != tt.want {
			t.Errorf("%q, %q: got %q, want %q", tt.home, tt.variable, got, tt.want)
		}
	}
}

func TestShut(t *testing.T) {
	const list = "apiVersion: kubectl.config.k8s.io/v1beta1\nkind: Preference\ncredentialPluginPolicy: Allowlist\ncredentialPluginAllowlist:\n"
	e := kubectl.Entry{Command: "sfcred-kubectl"}
	for kuberc, want := range map[string]bool{
		"":                                   false,
		"kind: Preference\n":                 false,
		"credentialPluginPolicy: AllowAll\n": false,
		"credentialPluginPolicy: DenyAll\n":  true,
		"credentialPluginPolicy: \"Allowlist\"\ncredentialPluginAllowlist: [{command: aws}]\n": true,
		list + "- command: aws\n":                                true,
		list + "- name: sfcred\n":                                true,
		list + "- command: aws\n# - command: sfcred-kubectl\n":   true,
		list + "- command: aws\n- command: \"sfcred-kubectl\"\n": false,
		list + "- name: sfcred-kubectl\n":                        false,
	} {
		if got := e.Shut([]byte(kuberc)); got != want {
			t.Errorf("got %v, want %v, for:\n%s", got, want, kuberc)
		}
	}
}
