package main

import (
	"os"
	"strings"
	"testing"
)

// theShells are real ones, and how a person at a terminal has them complete
// sfcred's words: without the developer's own settings.
func theShells() map[string]string {
	return map[string]string{
		"bash": `exec bash --norc --noprofile -i <&3 >&3 2>&3`,
		"zsh":  `exec zsh -f -i <&3 >&3 2>&3`,
		"fish": `exec fish --no-config -i <&3 >&3 2>&3`,
	}
}

// TestRealCompletion has a person type words up to the point where they are
// unmistakable, and the tabulator. What sfcred was called with then shows in its
// config.
func TestRealCompletion(t *testing.T) {
	realParts(t, "bash", "zsh", "fish")
	sfcred := release(t)
	load := map[string]string{
		"bash": "PS1='ready> '; source <(sfcred completion bash); echo loa''ded",
		"zsh":  "PS1='ready> '; autoload -Uz compinit; compinit -u -D; source <(sfcred completion zsh); echo loa''ded",
		"fish": "function fish_prompt; echo 'ready> '; end; sfcred completion fish | source; echo loa''ded",
	}
	for shell, start := range theShells() {
		t.Run(shell, func(t *testing.T) {
			u := newUser(t, sfcred).with("TERM=xterm", "HISTFILE=", "XDG_CONFIG_HOME=", "XDG_DATA_HOME=")
			key := u.writeKey("key.pem", theKeys()["key"])
			for _, name := range []string{"alpha", "beta"} {
				u.works("sfcred", "login", "--no-check", "--profile", name, "--store", "pem", "--key", key, "--client-id", "id",
					"--token-url", "https://x.example/token")
			}
			u.write("dialogue", []byte(strings.Join([]string{
				"> " + load[shell], "? loaded",
				"> sfcred us\tbe\t", // sfcred use beta
				"= 500ms",
				"> sfcred edit --host +one.example --prof\tal\t", // --profile alpha
				"= 500ms",
				"> sfcred edit --profile=be\t--host +two.example",
				"= 500ms",
				"> sfcred setup ku\t-p al\t >entry.yaml",
				"= 500ms",
				"> echo al''l done", "? all done",
				"> exit",
			}, "\n")))
			u.works("person", "dialogue", "sh", "-c", start)
			config, err := os.ReadFile(u.path("home", ".config", "sfcred", "config.toml"))
			check(t, err)
			entry, err := os.ReadFile(u.path("entry.yaml"))
			check(t, err)
			alpha, beta, _ := strings.Cut(string(config), "[profile.beta]")
			for what, ok := range map[string]bool{
				"a command and a name":         strings.Contains(alpha, `default = "beta"`),
				"a flag and its value":         strings.Contains(alpha, `"one.example"`),
				"a value behind =":             strings.Contains(beta, `"two.example"`),
				"a tool, and a name behind -p": strings.Contains(string(entry), "sfcred-alpha"),
			} {
				if !ok {
					screen, _ := os.ReadFile(u.path("screen"))
					t.Errorf("%s was not completed:\n%s\n%s", what, config, screen)
				}
			}
		})
	}
}
