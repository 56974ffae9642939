package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestTour runs the whole tour with the real go command, in another folder of
// the module, and wants each step's outcome.
func TestTour(t *testing.T) {
	p := newPerson(t)
	cmd := p.demo(t)
	cmd.Dir = "../../helper"
	cmd.Env = append(cmd.Env, goCaches(t)...)
	got := finish(t, cmd)
	if got.code != 0 || got.stderr != "" {
		t.Fatalf("got exit code %d, stderr %q, want 0 and nothing; stdout:\n%s", got.code, got.stderr, got.stdout)
	}
	wantTour(t, got.stdout)
	p.untouched(t)
}

// TestWithoutCurl runs it where there is nothing but Go.
func TestWithoutCurl(t *testing.T) {
	onStage(t, func(s *stage) {
		p := newPerson(t)
		cmd := p.demo(t)
		cmd.Env = append(cmd.Env, fakePath(t, realSfcred(t, s))...)
		got := finish(t, cmd)
		if got.code != 0 || got.stderr != "" {
			t.Fatalf("got exit code %d, stderr %q, want 0 and nothing; stdout:\n%s", got.code, got.stderr, got.stdout)
		}
		wantTour(t, got.stdout)
		if want := "there is no curl here"; !strings.Contains(got.stdout, want) {
			t.Errorf("got %s, want %q in it", got.stdout, want)
		}
		p.untouched(t)
	})
}

// wantTour wants the outcomes in their order, and nothing that a screen must
// not show.
func wantTour(t *testing.T, stdout string) {
	t.Helper()
	rest := strings.Join(strings.Fields(stdout), " ") // however it is folded
	for _, want := range []string{
		`1\. Hand over the key`, `\$ sfcred login .*--key priv_key\.pem`, `sfcred: profile "demo": checked: https://127\.0\.0\.1:\d+/c2id/token gave a token for ada;`,
		`\$ sfcred token eyJ\S{9}… `,
		`\$ sfcred header Authorization: Bearer eyJ\S{9}… `,
		`4\. Call the API`, `"uid":90210, ?"name":"ada",`,
		`\$ KUBERNETES_EXEC_INFO='\{.*\}' \\ sfcred helper kubectl \{"kind":"ExecCredential",`, `"token":"eyJ\S{9}…"`,
		`\$ sfcred header Authorization: Bearer eyJ\S{9}… answered in \d+ ms; .* has seen 1 exchange `,
		`\$ sfcred token --url https://example\.org/ sfcred: error: .* no token for this host`, `\(exit code 3,`,
		`\$ sfcred token --force sfcred: error: .* the server refused the client: invalid_client`, `\(exit code 4,`,
		`Shown in 8 steps: .* Nothing is left behind\.$`,
	} {
		at := regexp.MustCompile(want).FindStringIndex(rest)
		if at == nil {
			t.Errorf("got\n%s\nwant %s in its place", stdout, want)
			continue
		}
		rest = rest[at[0]:]
	}
	// A token, what a key file's second line begins with, colour for a file.
	for _, never := range []string{`eyJ[\w-]{10}`, `MII`, `\x1b`} {
		if found := regexp.MustCompile(never).FindString(stdout); found != "" {
			t.Errorf("got %q on the screen, want it never", found)
		}
	}
}

// TestFailure wants each failure told and nothing left behind.
func TestFailure(t *testing.T) {
	for name, test := range map[string]struct {
		env  []string
		dir  string
		want string
	}{
		"no go command":       {env: []string{"PATH=" + t.TempDir()}, want: "the go command, which builds sfcred, is not on the PATH"},
		"outside the module":  {env: append(goCaches(t), "GO111MODULE="), dir: os.TempDir(), want: "build sfcred (in a folder of its module): exit status 1"},
		"nothing was done":    {env: fakePath(t, "silent"), want: "step 1: the server has seen 0 exchanges, not 1"},
		"the wrong exit code": {env: fakePath(t, "leaky"), want: "step 1: sfcred ended with exit code 3, not 0"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPerson(t)
			cmd := p.demo(t)
			cmd.Dir, cmd.Env = test.dir, append(cmd.Env, test.env...)
			got := finish(t, cmd)
			if got.code != 1 || !strings.HasPrefix(got.stderr, "sfcred-demo: error: "+test.want) {
				t.Errorf("got exit code %d, stderr %q, want 1 and %q", got.code, got.stderr, test.want)
			}
			if strings.Contains(got.stdout, "Shown in") {
				t.Errorf("got %s, want no word of success", got.stdout)
			}
			p.untouched(t)
		})
	}
}
