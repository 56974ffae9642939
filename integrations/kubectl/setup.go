package kubectl

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Helper is the name of the link under which sfcred is this helper and nothing
// else. An allow-list in a kuberc compares the command's path alone.
const Helper = "sfcred-kubectl"

// oldest is the first kubectl 1.x whose "config set-credentials" can write a
// whole v1 entry (--exec-interactive-mode).
const oldest = 30

// Entry is a user of a kubeconfig that gets its token from sfcred.
type Entry struct {
	User    string // the entry's name
	Command string // sfcred-kubectl, or where it is
	Args    []string
}

// YAML is the entry as a kubeconfig has it.
func (e Entry) YAML() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("users:")
	line("- name: %s", strconv.Quote(e.User))
	line("  user:")
	line("    exec:")
	line("      apiVersion: %s", v1)
	line("      command: %s", strconv.Quote(e.Command))
	line("      args:")
	for _, arg := range e.Args {
		line("      - %s", strconv.Quote(arg))
	}
	line("      interactiveMode: Never")
	line("      provideClusterInfo: true")
	line("      installHint: sfcred gives the token for this cluster; it has to be on this machine")
	return b.String()
}

// SetCommand is the kubectl command line that writes the entry.
func (e Entry) SetCommand() []string {
	args := []string{
		"config", "set-credentials", e.User,
		"--exec-api-version=" + v1,
		"--exec-command=" + e.Command,
		"--exec-interactive-mode=Never",
		"--exec-provide-cluster-info=true",
	}
	for _, arg := range e.Args {
		args = append(args, "--exec-arg="+csvField(arg))
	}
	return args
}

// csvField writes a value for a flag that kubectl reads as a line of CSV.
func csvField(value string) string {
	if !strings.ContainsAny(value, ",\"\n\r") {
		return value
	}
	return `"` + strings.ReplaceAll(value, `"`, `""`) + `"`
}

// UnsetCommand is the kubectl command line that takes the entry out.
func (e Entry) UnsetCommand() []string { return []string{"config", "delete-user", e.User} }

// VersionCommand and ViewCommand are the kubectl command lines whose output
// ParseVersion and ParseView read.
func VersionCommand() []string { return []string{"version", "--client", "--output=json"} }

// ViewCommand shows the kubeconfig with its secrets left out.
func ViewCommand() []string { return []string{"config", "view", "--output=json"} }

// OldError is a kubectl that cannot write the entry.
type OldError struct{ Version string }

func (e *OldError) Error() string {
	return fmt.Sprintf("kubectl %s cannot write this entry; 1.%d and later can", e.Version, oldest)
}

// ParseVersion reads kubectl's version; one that is too old is an *OldError.
func ParseVersion(output []byte) error {
	var v struct {
		ClientVersion struct {
			Major, Minor, GitVersion string
		} `json:"clientVersion"`
	}
	bad := errors.New("kubectl does not say its version in a form that is known")
	if json.Unmarshal(output, &v) != nil {
		return bad
	}
	minor, err := strconv.Atoi(strings.TrimRight(v.ClientVersion.Minor, "+"))
	if err != nil || v.ClientVersion.Major != "1" {
		return bad
	}
	if minor < oldest {
		return &OldError{strings.TrimPrefix(v.ClientVersion.GitVersion, "v")}
	}
	return nil
}

// View is what of a kubeconfig matters here.
type View struct {
	commands map[string]string // of exec, by user; "" for a user without
	args     map[string][]string
	servers  []string          // of all clusters
	contexts map[string]string // user, by context
}

// ParseView reads what "kubectl config view -o json" prints.
func ParseView(output []byte) (View, error) {
	var in struct {
		Users []struct {
			Name string `json:"name"`
			User struct {
				Exec struct {
					Command string   `json:"command"`
					Args    []string `json:"args"`
				} `json:"exec"`
			} `json:"user"`
		} `json:"users"`
		Contexts []struct {
			Name    string `json:"name"`
			Context struct {
				User string `json:"user"`
			} `json:"context"`
		} `json:"contexts"`
		Clusters []struct {
			Cluster struct {
				Server string `json:"server"`
			} `json:"cluster"`
		} `json:"clusters"`
	}
	if json.Unmarshal(output, &in) != nil {
		return View{}, errors.New("kubectl does not show its configuration in a form that is known")
	}
	v := View{commands: map[string]string{}, args: map[string][]string{}, contexts: map[string]string{}}
	for _, u := range in.Users {
		v.commands[u.Name] = u.User.Exec.Command
		v.args[u.Name] = u.User.Exec.Args
	}
	for _, c := range in.Contexts {
		v.contexts[c.Name] = c.Context.User
	}
	for _, c := range in.Clusters {
		v.servers = append(v.servers, c.Cluster.Server)
	}
	return v, nil
}

// Has says whether there is an entry of that name.
func (v View) Has(user string) bool { _, ok := v.commands[user]; return ok }

// Ours says whether the entry of that name has sfcred as its command.
func (v View) Ours(user string) bool { return isOurs(v.commands[user]) }

// OthersOurs says whether an entry of another name has sfcred as its command.
func (v View) OthersOurs(user string) bool {
	for name, command := range v.commands {
		if name != user && isOurs(command) {
			return true
		}
	}
	return false
}

// Entries lists those that have sfcred as their command, by the user's name.
func (v View) Entries() []Entry {
	var entries []Entry
	for _, user := range slices.Sorted(maps.Keys(v.commands)) {
		if v.Ours(user) {
			entries = append(entries, Entry{user, v.commands[user], v.args[user]})
		}
	}
	return entries
}

// Contexts lists the contexts that name the user.
func (v View) Contexts(user string) []string {
	var names []string
	for name, u := range v.contexts {
		if u == user {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Servers are the URLs of the clusters, each once.
func (v View) Servers() []string {
	servers := slices.Clone(v.servers)
	slices.Sort(servers)
	return slices.Compact(servers)
}

func isOurs(command string) bool {
	base := strings.TrimSuffix(filepath.Base(command), ".exe")
	return base == Helper || base == "sfcred"
}
