package kubectl

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// A kuberc (kubectl 1.35 and later) can hold plugins to a list of commands. It is
// YAML, which is not taken apart here, nor written: whom to let in is for its
// owner to say.

// Kuberc is where kubectl looks for it; "" if it is told not to, or there is no
// place.
func Kuberc(home, variable string) string {
	switch {
	case variable == "off":
		return ""
	case variable != "":
		return variable
	case home == "":
		return ""
	}
	return filepath.Join(home, ".kube", "kuberc")
}

// Allow is what a kuberc with a list must have in it, as comments of YAML.
// kubectl 1.35 has name for command.
func (e Entry) Allow() string {
	return fmt.Sprintf(`# where a kuberc says "credentialPluginPolicy: Allowlist" (kubectl 1.35 and later):
#   credentialPluginAllowlist:
#   - command: %s      # kubectl 1.35: name
`, strconv.Quote(e.Command))
}

// Shut says whether a kuberc, as far as can be told without taking it apart,
// keeps the entry's command out.
func (e Entry) Shut(kuberc []byte) bool {
	held := false
	for line := range strings.Lines(string(kuberc)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") {
			continue
		}
		if strings.Contains(line, e.Command) {
			return false
		}
		if policy, ok := strings.CutPrefix(line, "credentialPluginPolicy:"); ok {
			policy = strings.Trim(strings.TrimSpace(policy), `"'`)
			held = policy == "Allowlist" || policy == "DenyAll"
		}
	}
	return held
}
