package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// fakeKubectl keeps users in a file as kubectl does, as far as setup needs it:
// its version is $KUBECTL_MINOR, its kubeconfig $KUBECONFIG. What it was given
// is left in $KUBECTL_LOG, if that is set. The real kubectl is driven elsewhere.
func fakeKubectl() {
	if log := os.Getenv("KUBECTL_LOG"); log != "" {
		os.WriteFile(log, fmt.Appendln(nil, os.Args, os.Environ()), 0o600)
	}
	path := os.Getenv("KUBECONFIG")
	config := map[string]any{}
	if text, err := os.ReadFile(path); err == nil {
		json.Unmarshal(text, &config)
	}
	save := func() {
		text, _ := json.MarshalIndent(config, "", "  ")
		os.WriteFile(path, append(text, '\n'), 0o600)
	}
	users, _ := config["users"].([]any)
	without := func(name string) (rest []any) {
		for _, u := range users {
			if u.(map[string]any)["name"] != name {
				rest = append(rest, u)
			}
		}
		return rest
	}
	switch args := os.Args[1:]; strings.Join(args[:2], " ") {
	case "version --client":
		fmt.Printf(`{"clientVersion": {"major": "1", "minor": "%s", "gitVersion": "v1.%[1]s.0"}}`, os.Getenv("KUBECTL_MINOR"))
	case "config view":
		text, _ := json.Marshal(config)
		fmt.Println(string(text))
	case "config delete-user":
		config["users"] = without(args[2])
		save()
	case "config set-credentials":
		exec := map[string]any{}
		var list []string
		for _, flag := range args[3:] {
			name, value, _ := strings.Cut(flag, "=")
			if name == "--exec-arg" {
				list = append(list, value)
			} else {
				exec[strings.TrimPrefix(name, "--exec-")] = value
			}
		}
		exec["args"] = list
		config["users"] = append(without(args[2]), map[string]any{"name": args[2], "user": map[string]any{"exec": exec}})
		save()
	default:
		fmt.Fprintln(os.Stderr, "error: unknown command", args)
		os.Exit(1)
	}
}
