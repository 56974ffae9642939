//go:build unix

package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"sfcred/helper/sfapitest"
)

// caller is one of the ways in which tools ask at the same time.
type caller struct {
	name    string
	command string // of a shell
	stdin   string
	want    string // what is on standard output, as a regular expression; TOKEN is the token
	// failed is the protocol's own word for failure, as a regular expression; WHY
	// is the reason.
	failed string
	// foreign has nothing to do with the profile: the answer is always the same,
	// and costs no exchange.
	foreign bool
	code    int // of a foreign one
}

func bulkCallers() []caller {
	const (
		hello  = `\{"v":\[1\]\}\n`
		expiry = `"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"`
	)
	cargo := func(host string) string {
		return `{"v":1,"kind":"get","operation":"read","registry":{"index-url":"sparse+https://` + host + `/"},"args":[]}` + "\n"
	}
	kubectl := func(host string) string {
		return `env KUBERNETES_EXEC_INFO='{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":{"interactive":false,"cluster":{"server":"https://` + host + `"}}}' sfcred-kubectl`
	}
	const ours, foreign = "api.example.org", "evil.example"
	git := "capability[]=authtype\nprotocol=https\nhost="
	return []caller{
		{name: "token", command: "sfcred token", want: `TOKEN\n`},
		{name: "token --json", command: "sfcred token --json", want: `\{\n  "access_token": "TOKEN",\n[^}]*\}\n`},
		{name: "header", command: "sfcred header --url https://" + ours + "/", want: `Authorization: Bearer TOKEN\n`},
		{name: "exec", command: `sfcred exec -- sh -c 'cat "$BEARER_TOKEN_FILE"'`, want: `TOKEN\n`},
		// The API does not know that token, but curl has sent one.
		{name: "curl", command: `sfcred curl -sS "$API/account/"`, want: `\{"detail":"Could not validate credentials"\}`},
		{
			name: "kubectl", command: kubectl(ours),
			want: `\{"kind":"ExecCredential","apiVersion":"client\.authentication\.k8s\.io/v1","status":\{"expirationTimestamp":` + expiry + `,"token":"TOKEN"\}\}\n`,
		},
		{
			name: "git", command: "git-credential-sfcred get", stdin: git + ours + "\n\n",
			want:   `capability\[\]=authtype\nauthtype=Bearer\ncredential=TOKEN\nephemeral=1\npassword_expiry_utc=[0-9]+\n`,
			failed: `quit=1\n`,
		},
		{
			name: "bazel", command: "sfcred helper bazel get", stdin: `{"uri":"https://` + ours + `/x"}`,
			want: `\{"headers":\{"Authorization":\["Bearer TOKEN"\]\},"expires":` + expiry + `\}\n`,
		},
		{name: "go, first", command: "sfcred helper go", want: `https://[0-9.]+:[0-9]+\nhttps://` + ours + `\n\nAuthorization: Bearer TOKEN\n\n`},
		{
			name: "go, second", command: "sfcred helper go https://" + ours + "/mod/@v/list", stdin: "HTTP/1.1 401 Unauthorized\r\n\r\n",
			want: `https://` + ours + `\n\nAuthorization: Bearer TOKEN\n\n`,
		},
		{
			name: "cargo", command: "sfcred-cargo --cargo-plugin", stdin: cargo(ours),
			want:   hello + `\{"Ok":\{"kind":"get","token":"Bearer TOKEN","cache":"expires","expiration":[0-9]+,"operation_independent":true\}\}\n`,
			failed: hello + `\{"Err":\{"kind":"other","message":"profile \\"test\\": WHY"\}\}\n`,
		},
		{name: "terraform", command: "terraform-credentials-sfcred get " + ours, want: `\{"token":"TOKEN"\}\n`},
		{
			name: "restish", command: "sfcred helper restish", stdin: `{"method":"GET","uri":"https://` + ours + `/"}`,
			want: `\{"headers":\{"Authorization":\["Bearer TOKEN"\]\}\}\n`,
		},

		{name: "kubectl, foreign", command: kubectl(foreign), foreign: true, code: exitNothing},
		{name: "git, foreign", command: "git-credential-sfcred get", stdin: git + foreign + "\n\n", foreign: true},
		{name: "cargo, foreign", command: "sfcred-cargo --cargo-plugin", stdin: cargo(foreign), foreign: true, want: hello + `\{"Err":\{"kind":"url-not-supported"\}\}\n`},
		{name: "terraform, foreign", command: "terraform-credentials-sfcred get " + foreign, foreign: true, want: `\{\}\n`},
	}
}

// bulkCalls is how many ask at once: each tool several times.
const bulkCalls = 64

// TestCallersInBulk has all tools ask at once, by xargs, with nothing in the
// cache.
func TestCallersInBulk(t *testing.T) {
	realParts(t, "xargs", "sh", "seq", "curl")
	sfcred, err := exec.LookPath("sfcred")
	check(t, err)
	server := newServer()
	t.Cleanup(server.Close)
	u := newUser(t, sfcred)
	// Nobody's patience is what this is about.
	u.env = append(u.env, "SFCRED_TIMEOUT=60s", "API="+server.APIURL)
	u.works("sfcred", "login", "--profile", "test", "--store", "pem", "--no-check", "--client-id", clientID, "--key", u.writeKey("key.pem", theKeys()["key"]),
		"--token-url", server.TokenURL, "--host", strings.TrimPrefix(server.URL, "http://"), "--host", "api.example.org")
	// So slow that those who ask meanwhile must wait.
	server.SetTokenFault(sfapitest.With("access_token", "the-token"), sfapitest.Delay(300*time.Millisecond))

	t.Run("one exchange", func(t *testing.T) {
		for i, o := range bulk(u.in(t)) {
			c := bulkCallers()[i%len(bulkCallers())]
			want := strings.ReplaceAll(c.want, "TOKEN", "the-token")
			stderr := ``
			if c.foreign && c.code != exitOK {
				stderr = `sfcred: error: [^\n]*no token for this host: [^\n]*\n(?s:.*)`
			}
			if o.code != c.code || !whole(want, o.stdout) || !whole(stderr, o.stderr) {
				t.Errorf("%s: exit code %d, standard error %q, standard output:\n%s\nwant %d and:\n%s", c.name, o.code, o.stderr, o.stdout, c.code, want)
			}
		}
		if n, refusals := server.Exchanges(), server.Refusals(); n != 1 || refusals != 0 {
			t.Errorf("got %d exchanges and %d refusals, want 1 and none", n, refusals)
		}
	})

	t.Run("a refused client", func(t *testing.T) {
		server.Remove(clientID)
		u := u.in(t).with("XDG_RUNTIME_DIR=", "TMPDIR="+t.TempDir()) // another cache
		before, began := len(server.Requests()), time.Now()
		for i, o := range bulk(u) {
			c := bulkCallers()[i%len(bulkCallers())]
			code, want, stderr := exitRefused, strings.ReplaceAll(c.failed, "WHY", `the server refused the client: [^\n]*`), `sfcred: error: profile "test": the server refused the client: (?s:.*)`
			if c.name == "exec" || c.name == "curl" {
				code = exitNotStarted
			}
			if c.foreign {
				code, want, stderr = c.code, c.want, `(sfcred: error: [^\n]*no token for this host: (?s:.*))?`
			}
			if o.code != code || !whole(want, o.stdout) || !whole(stderr, o.stderr) {
				t.Errorf("%s: exit code %d, standard error %q, standard output:\n%s\nwant %d and:\n%s", c.name, o.code, o.stderr, o.stdout, code, want)
			}
		}
		// A refusal is remembered for 10 s, so that the first is enough for all
		// that come within, and one more for each 10 s that this takes; without
		// the memory there would be one for each caller.
		most := 2 + int(time.Since(began)/(10*time.Second))
		refusals := 0
		for _, r := range server.Requests()[before:] {
			if r.Status == http.StatusUnauthorized && strings.HasSuffix(r.Path, "/token") {
				refusals++
			}
		}
		if refusals < 1 || refusals > most {
			t.Errorf("got %d refusals for %d callers, want 1 to %d", refusals, bulkCalls, most)
		}
		t.Logf("%d refusals for %d callers", refusals, bulkCalls)
	})
}

// bulk has xargs call all callers in turn, again and again, and returns what
// became of each call.
func bulk(u *user) []outcome {
	u.Helper()
	callers := bulkCallers()
	script := "cd \"$0\" && exec >out.$1 2>err.$1\ncase $(($1 % " + strconv.Itoa(len(callers)) + ")) in\n"
	for i, c := range callers {
		u.write(fmt.Sprintf("in.%d", i), []byte(c.stdin))
		script += fmt.Sprintf("%d) %s <in.%d ;;\n", i, c.command, i)
	}
	script += "esac\necho $? >code.$1\n"
	u.works("sh", "-c", fmt.Sprintf("seq 0 %d | xargs -P %d -I {} sh -c \"$1\" \"$0\" {}", bulkCalls-1, bulkCalls), u.dir, script)
	outcomes := make([]outcome, bulkCalls)
	for i := range outcomes {
		read := func(name string) string {
			text, err := os.ReadFile(u.path(fmt.Sprintf("%s.%d", name, i)))
			check(u.T, err)
			return string(text)
		}
		code, err := strconv.Atoi(strings.TrimSpace(read("code")))
		check(u.T, err)
		outcomes[i] = outcome{code, read("out"), read("err")}
	}
	return outcomes
}
