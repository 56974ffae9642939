package main

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// secretCase is a run of a command, and what of the secrets it hands to the
// kernel, and where: all of it, so that who finds nothing has not looked in vain.
// Only what it reads is not looked at.
type secretCase struct {
	command string // with flags
	stdin   string
	env     string
	fault   bool   // the server repeats the assertion in its refusal
	want    string // SECRET@PLACE
}

// What an exchange hands out where nobody prints the token.
const exchanged = "assertion@server token@cache"

// secretCases has a case, at least, for each command of the table. They run one
// after the other, with --verbose. PEM, JWK and OTHER are key files, URL the
// flags for the server, HOST its host; a _ is a blank in a word.
var secretCases = []secretCase{
	{command: "login -p pem --store pem --key PEM URL", want: exchanged + " token@server"},
	{command: "login -p chain --key JWK --client-id CLIENT URL", want: exchanged + " token@server key@keychain"},
	{command: "login -p filed --store file --key OTHER URL", want: exchanged + " token@server"},
	{command: "login -p printed --command cat_PEM URL", want: exchanged + " token@server"},
	{command: "login -p pem --replace --client-id nosuch", fault: true, want: "assertion@server"},
	{command: "unlock --agent chain", want: "key@agent"},
	{command: "login -p agent --store ssh-agent --client-id CLIENT URL", want: exchanged + " token@server assertion@agent"}, // to be signed
	{command: "token --force -p agent", want: exchanged + " token@stdout assertion@agent"},
	{command: "lock --agent chain"},
	{command: "token --force -p agent"}, // there is no such key now
	{command: "token -p chain", want: "token@stdout"},
	{command: "token --force -p chain", want: exchanged + " token@stdout"},
	{command: "token --json -p filed", want: "token@stdout"},
	{command: "token --force -p filed", want: exchanged + " token@stdout"},
	{command: "token --force -p printed", want: exchanged + " token@stdout"},
	{command: "token --force -p filed", env: "SFCRED_PASSPHRASE_FILE=wrong"},
	{command: "token --force -p pem", fault: true, want: "assertion@server"},
	{command: "token", env: "SFCRED_PRIVATE_KEY=", want: exchanged + " token@stdout"},
	{command: "header -p pem", want: "token@stdout"},
	{command: "header --url https://evil.example/ -p pem"},
	{command: "assertion -p chain", want: "assertion@stdout"},
	{command: "exec -p pem -- cat /dev/null", want: "token@file"},
	{command: "exec -p pem --token-file named -- cat named", want: "token@file"},
	{command: "exec -p pem --env TOKEN -- true", want: "token@environment token@file"},
	{command: "exec -- true", env: "SFCRED_PRIVATE_KEY=", want: "token@file"},
	{command: "curl -sS http://HOST/api/v1.2/account/", env: "SFCRED_PROFILE=pem", want: "token@pipe"},
	{command: "curl -v http://evil.example/", env: "SFCRED_PROFILE=pem"},
	{command: "helper kubectl -p pem", env: `KUBERNETES_EXEC_INFO={"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","spec":{"interactive":false,"cluster":{"server":"http://HOST"}}}`, want: "token@stdout"},
	{command: "helper git get -p pem", stdin: "capability[]=authtype\nprotocol=http\nhost=HOST\n\n", want: "token@stdout"},
	{command: "helper git store -p pem", stdin: "protocol=http\nhost=HOST\ncredential=TOKEN\n\n"},
	{command: "helper bazel get -p pem", stdin: `{"uri":"http://HOST/x"}`, want: "token@stdout"},
	{command: "helper go https://HOST/ -p pem", want: "token@stdout"},
	{command: "helper cargo -p pem", stdin: `{"v":1,"kind":"get","operation":"read","registry":{"index-url":"sparse+http://HOST/"}}` + "\n", want: "token@stdout"},
	{command: "helper cargo -p pem", stdin: `{"v":1,"kind":"login","token":"TOKEN","registry":{"index-url":"sparse+http://HOST/"}}` + "\n"},
	{command: "helper terraform get HOST -p pem", want: "token@stdout"},
	{command: "helper terraform store HOST -p pem", stdin: `{"token":"TOKEN"}`},
	{command: "helper restish -p pem", stdin: `{"method":"GET","uri":"http://HOST/"}`, want: "token@stdout"},
	{command: "setup kubectl -p pem"},
	{command: "setup kubectl --write -p pem"},
	{command: "setup kubectl --remove -p pem"},
	{command: "setup git -p pem"},
	{command: "setup go -p pem"},
	{command: "setup cargo --write -p pem"},
	{command: "setup cargo --remove -p pem"},
	{command: "setup bazel -p pem"},
	{command: "setup terraform -p pem"},
	{command: "setup restish -p pem"},
	{command: "setup curl -p pem"},
	{command: "setup httpie -p pem"},
	{command: "setup xh -p pem"},
	{command: "setup wget -p pem"},
	{command: "setup rclone -p pem"},
	{command: "setup pnpm -p pem"},
	{command: "setup pyfirecrest -p pem"},
	{command: "import --dry-run PEM OTHER"},
	{command: "import --json JWK"},
	{command: "keygen -p made", want: "key@keychain"},
	{command: "keygen -p made --show --jwk"},
	{command: "edit --store file chain"},
	{command: "edit --store keychain filed", want: "key@keychain"},
	{command: "edit pem --host +new.example"},
	{command: "list"},
	{command: "list --refresh", want: "token@server"},
	{command: "status chain"},
	{command: "status filed"},
	{command: "doctor pem", want: exchanged + " token@server"},
	{command: "doctor --json chain", want: exchanged + " token@server"},
	{command: "doctor pem", fault: true, want: "assertion@server"},
	{command: "completion bash"},
	{command: "use chain"},
	{command: "remove --yes made"},
	{command: "remove --yes filed"},
	{command: "import --all --store keychain -p taken OTHER URL", want: exchanged + " token@server key@keychain"},
	{command: "remove --orphans"},
	{command: "version"},
}

// TestRealSecretsStay runs every command of the released binary under strace,
// which shows all that it hands to the kernel: what is written, sent, opened,
// renamed and run, with all arguments and variables. Of the key, in many forms,
// the passphrase, the token and each assertion, no part is anywhere but where the
// case says.
func TestRealSecretsStay(t *testing.T) {
	realParts(t, "strace")
	if text, err := exec.Command("strace", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		missing(t, fmt.Sprintf("a strace that may trace (%v: %s)", err, bytes.TrimSpace(text)))
	}
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	w := newLeakWorld(t)
	sfcred := release(t)
	w.fault("traced")
	p := new(program)
	untried := allCommands(p.commands(p.tools()), "")
	for _, c := range secretCases {
		words := strings.Fields(c.command)
		for i := range untried {
			if strings.HasPrefix(c.command+" ", untried[i]+" ") {
				untried[i] = "help"
			}
		}
		if c.fault {
			w.fault("traced", echo)
		}
		got := w.traced(sfcred, c, words)
		w.fault("traced")
		want := strings.Fields(c.want)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("sfcred %s: of the secrets left %q, want %q", c.command, got, want)
		}
	}
	for _, command := range untried {
		if command != "help" {
			t.Errorf("sfcred %s has no case", command)
		}
	}
	w.sweep()
	t.Logf("%d runs; %d windows of %d bytes were looked for", len(secretCases), len(w.secrets.windows), window)
}

// allCommands lists the commands that do something.
func allCommands(commands []*cli.Command, above string) (all []string) {
	for _, c := range commands {
		if len(c.Subcommands) > 0 {
			all = append(all, allCommands(c.Subcommands, above+c.Name+" ")...)
		} else {
			all = append(all, above+c.Name)
		}
	}
	return all
}

// traced runs sfcred, and says which secrets it handed out where.
func (w *leakWorld) traced(sfcred string, c secretCase, words []string) []string {
	w.t.Helper()
	host := strings.TrimPrefix(w.server.URL, "http://")
	url := []string{"--token-url", w.server.TokenURL, "--api-url", w.server.APIURL, "--host", host}
	fill := strings.NewReplacer("HOST", host, "TOKEN", leakToken, "PEM", "key.pem", "JWK", "key.jwk", "OTHER", "other.pem", "CLIENT", clientID)
	log := filepath.Join(w.dir, "strace.log")
	// So that strace, where it is not root's, can look into a process that closes
	// its memory to others, prctl does nothing.
	args := []string{"-f", "-q", "-yy", "-xx", "-v", "-s", "1000000", "-o", log, "-e", "trace=all", "-e", "inject=prctl:retval=0", sfcred, "--verbose"}
	for _, word := range words {
		switch word {
		case "URL":
			args = append(args, url...)
		case "TOKEN": // the name of a variable
			args = append(args, word)
		default:
			args = append(args, strings.ReplaceAll(fill.Replace(word), "_", " "))
		}
	}
	cmd := exec.Command("strace", args...)
	cmd.Dir, cmd.Stdin = filepath.Join(w.dir, "keys"), strings.NewReader(fill.Replace(c.stdin))
	cmd.Env = append(w.env[:len(w.env):len(w.env)], "SFCRED_PASSPHRASE_FILE=pass")
	switch {
	case c.env == "SFCRED_PRIVATE_KEY=":
		cmd.Env = append(cmd.Env, c.env+w.read("keys/key-only.pem"), "SFCRED_CLIENT_ID="+clientID, "SFCRED_TOKEN_URL="+w.server.TokenURL)
	case c.env != "":
		cmd.Env = append(cmd.Env, strings.ReplaceAll(c.env, "HOST", host))
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		w.t.Fatal(err)
	}
	for _, text := range w.bus.Entries() { // a new key may be among them
		for part := range strings.SplitSeq(text, ":") {
			w.secrets.add("the key", part)
		}
	}
	text, err := os.ReadFile(log)
	check(w.t, err)
	if err := os.Remove(log); err != nil {
		w.t.Fatal(err)
	}
	left := w.left(string(text), host)
	if w.t.Failed() || testing.Verbose() {
		w.t.Logf("sfcred %s: %v\n%s", c.command, left, unprivate(out.Bytes()))
	}
	return left
}

// unprivate hides what a log of this test should not have in it either.
func unprivate(text []byte) []byte {
	return regexp.MustCompile(`[\w.-]{40,}`).ReplaceAll(text, []byte("(…)"))
}

var (
	traceLine   = regexp.MustCompile(`^(\d+) +(?:<\.\.\. )?([a-z0-9_]+)(?:\((.*)| resumed>.*)$`)
	traceString = regexp.MustCompile(`"((?:\\x[0-9a-f]{2})*)"`)
	traceFile   = regexp.MustCompile(`^(\d+)<((?:->|[^<>])*)>`)
	traceHex    = regexp.MustCompile(`(?:\\x[0-9a-f]{2})+`)
	traceSocket = regexp.MustCompile(`^UNIX[A-Z-]*:\[(\d+)`)
	traceChild  = regexp.MustCompile(`\) += (\d+)$`)
)

// takesIn are the calls whose strings come from the kernel.
var takesIn = []string{"read", "readv", "pread64", "preadv", "recvfrom", "recvmsg", "getrandom", "readlink", "readlinkat", "getcwd", "uname", "getdents64"}

// left looks at a log of strace: which secrets were handed to the kernel, and
// where. What is not sfcred any more, since it runs something else, may do as it
// likes.
func (w *leakWorld) left(log, host string) []string {
	w.t.Helper()
	found, sockets, foreign := map[string]bool{}, map[string]string{}, map[string]bool{}
	calls, started := 0, false
	for line := range strings.Lines(log) {
		part := traceLine.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if part == nil {
			continue // how it ended, or a signal
		}
		calls++
		thread, name, args := part[1], part[2], part[3]
		if child := traceChild.FindStringSubmatch(line[:len(line)-1]); child != nil && strings.Contains(name, "clone") {
			foreign[child[1]] = foreign[child[1]] || foreign[thread]
		}
		runs := name == "execve"
		if foreign[thread] || slices.Contains(takesIn, name) || runs && !started {
			started = started || runs
			continue
		}
		foreign[thread] = runs && strings.HasSuffix(line, " = 0\n")
		place := w.place(name, args, host, sockets)
		for _, quoted := range traceString.FindAllStringSubmatch(args, -1) {
			if what := w.secrets.in(unhex(quoted[1])); what != "" {
				if what = strings.TrimPrefix(what, "the "); strings.HasPrefix(what, "key") || what == "PEM" {
					what = "key"
				}
				found[what+"@"+place] = true
			}
		}
	}
	if calls < 100 || !started {
		w.t.Errorf("the log of strace has %d calls", calls)
	}
	return slices.Sorted(maps.Keys(found))
}

// place names where a call puts what it is given.
func (w *leakWorld) place(name, args, host string, sockets map[string]string) string {
	if name == "execve" {
		program, _, _ := strings.Cut(args, `], [`) // ahead of the variables
		if what := w.secrets.in(unhex(strings.Join(traceHex.FindAllString(program, -1), ""))); what != "" {
			return "arguments"
		}
		return "environment"
	}
	file := traceFile.FindStringSubmatch(args)
	if file == nil {
		return name
	}
	path := traceHex.ReplaceAllStringFunc(file[2], func(s string) string { return string(unhex(s)) })
	if socket := traceSocket.FindStringSubmatch(path); socket != nil {
		if name == "connect" {
			for _, quoted := range traceString.FindAllStringSubmatch(args, -1) {
				sockets[socket[1]] = string(unhex(quoted[1]))
			}
		}
		_, bus, _ := strings.Cut(w.bus.Address(), "=")
		bus, _, _ = strings.Cut(bus, ",")
		switch to := sockets[socket[1]]; {
		case to == "":
		case to == w.agent.socket:
			return "agent"
		case to == bus:
			return "keychain"
		}
	}
	short := strings.TrimPrefix(path, w.dir)
	switch {
	case strings.HasPrefix(path, "TCP:") && strings.HasSuffix(path, "->"+host+"]"):
		return "server"
	case file[1] == "1" && strings.HasPrefix(path, "pipe:"):
		return "stdout"
	case file[1] != "2" && strings.HasPrefix(path, "pipe:"):
		return "pipe" // that curl reads the header from
	case whole(`/run/sfcred/\.tmp-[A-Z0-9]{26}`, short):
		return "cache"
	case whole(`/run/sfcred-exec/[A-Z0-9]{26}/\.tmp-[A-Z0-9]{26}|/keys/\.tmp-[A-Z0-9]{26}`, short):
		return "file"
	}
	return cmp.Or(file[1]+":"+short, name)
}

func unhex(text string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(text, `\x`, ""))
	if err != nil {
		panic(err)
	}
	return b
}
