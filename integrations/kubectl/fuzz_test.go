package kubectl_test

import (
	"encoding/csv"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"sfcred/integrations/kubectl"
)

// What kubectl shows of its configuration is read as it is meant: an entry is
// ours only by its command, no user is made up, and no server but the clusters'.
func FuzzParseView(f *testing.F) {
	f.Add([]byte(`{"users":[{"name":"a","user":{"exec":{"command":"/usr/bin/sfcred-kubectl"}}},{"name":"b","user":{"token":"x"}}],"contexts":[{"name":"c","context":{"user":"a"}}],"clusters":[{"cluster":{"server":"https://x"}}]}`), "a")
	f.Add([]byte(`{"users":[{"name":"a","user":{"exec":{"command":"other"}}},{"name":"a","user":{"exec":{"command":"sfcred"}}}]}`), "a")
	f.Add([]byte(`{"users":null,"contexts":null,"clusters":null}`), "")
	f.Add([]byte(`{"users":{}}`), "x")
	f.Add([]byte(`{"clientVersion":{"major":"1","minor":"30+","gitVersion":"v1.30.0"}}`), "x")
	f.Fuzz(func(t *testing.T, output []byte, user string) {
		text := string(output)
		if v, err := kubectl.ParseView(output); err == nil {
			var any struct {
				Users []struct {
					Name string
					User struct{ Exec struct{ Command string } }
				}
				Clusters []struct{ Cluster struct{ Server string } }
			}
			if err := json.Unmarshal(output, &any); err != nil {
				t.Fatalf("accepted %q: %v", text, err)
			}
			named := false
			for _, u := range any.Users {
				named = named || u.Name == user
			}
			if v.Has(user) != named || v.Ours(user) && !named {
				t.Errorf("%q: Has(%q) is %v", text, user, v.Has(user))
			}
			for _, server := range v.Servers() {
				if !slices.ContainsFunc(any.Clusters, func(c struct{ Cluster struct{ Server string } }) bool { return c.Cluster.Server == server }) {
					t.Errorf("%q: the server %q is nobody's", text, server)
				}
			}
		}
		if err := kubectl.ParseVersion(output); err == nil && !json.Valid(output) {
			t.Errorf("accepted the version %q", text)
		}
	})
}

// kubectl reads back the arguments that an entry is to have, and the entry that
// is printed has them each on a line of its own.
func FuzzEntry(f *testing.F) {
	f.Add("sfcred-lab", "sfcred-kubectl", "--profile", "lab")
	f.Add("a,b", "/a \"b\"/sfcred", "x,y", "\"quoted\"")
	f.Add("u\nusers:", "c\r", "line\nend", "\u2028\x1b")
	f.Add("", "", "", "\r\n")
	f.Fuzz(func(t *testing.T, user, command, a, b string) {
		e := kubectl.Entry{User: user, Command: command, Args: []string{a, b}}
		var args []string
		for _, flag := range e.SetCommand() {
			value, ok := strings.CutPrefix(flag, "--exec-arg=")
			if !ok {
				continue
			}
			if value == "" {
				args = append(args, "")
				continue
			}
			// pflag's StringSlice: one line of CSV.
			fields, err := csv.NewReader(strings.NewReader(value)).Read()
			if err != nil {
				t.Fatalf("%q: %v", value, err)
			}
			args = append(args, fields...)
		}
		// encoding/csv takes CR LF within quotes for LF.
		unix := func(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }
		if want := []string{unix(a), unix(b)}; !slices.Equal(args, want) {
			t.Errorf("kubectl reads %q, want %q", args, want)
		}
		if lines := strings.Count(e.YAML(), "\n"); lines != 12 || strings.ContainsAny(e.YAML(), "\r\x1b\u2028\u0085") {
			t.Errorf("got %d lines:\n%s", lines, e.YAML())
		}
	})
}

// A kuberc shuts the entry out only where a line of it says so, and none names
// the command; comments say nothing.
func FuzzShut(f *testing.F) {
	for _, text := range []string{
		"credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist:\n- command: /bin/sfcred-kubectl\n", "credentialPluginPolicy: 'DenyAll'\n", "credentialPluginPolicy: AllowAll",
		"# credentialPluginPolicy: DenyAll\n", "credentialPluginPolicy: \"Allowlist\"\n# - command: /bin/sfcred-kubectl\n", "apiVersion: v1\r\ncredentialPluginPolicy: Allowlist\r\n", "",
	} {
		f.Add([]byte(text))
	}
	e := kubectl.Entry{User: "u", Command: "/bin/sfcred-kubectl"}
	f.Fuzz(func(t *testing.T, kuberc []byte) {
		shut := e.Shut(kuberc)
		named, said := false, false
		var bare []string
		for _, line := range strings.Split(string(kuberc), "\n") {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "#") {
				continue
			}
			bare = append(bare, line)
			named = named || strings.Contains(line, e.Command)
			said = said || strings.HasPrefix(line, "credentialPluginPolicy:") && (strings.Contains(line, "Allowlist") || strings.Contains(line, "DenyAll"))
		}
		if shut && (named || !said) {
			t.Fatalf("%q shuts it out", kuberc)
		}
		if again := e.Shut([]byte(strings.Join(bare, "\r\n"))); again != shut {
			t.Fatalf("%q: got %v, without comments %v", kuberc, shut, again)
		}
		if e.Shut(append(slices.Clone(kuberc), "\n  - name: "+e.Command+"\n"...)) {
			t.Fatalf("%q shuts out what it names", kuberc)
		}
	})
}
