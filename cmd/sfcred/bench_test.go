package main

import (
	"bufio"
	"bytes"
	"crypto"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sfcred/helper/sfapitest"
)

// The benchmarks time whole processes and print ratios between programs that
// ran in turn, since times alone say more about the machine than about us:
//
//	go test -run '^$' -bench . -benchtime 300x ./cmd/sfcred
//
// The target of each stands in brackets behind its unit; no test asserts one.

// bench is the programs under comparison and a home with a profile.
type bench struct {
	*testing.B
	server *sfapitest.Server
	dir    string
	env    []string
	sfcred string // built by the README's release line
}

func newBench(b *testing.B) *bench {
	b.Helper()
	dir := b.TempDir()
	for _, d := range []string{"run", "tmp", "home"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			b.Fatal(err)
		}
	}
	keys := theKeys()
	if err := writeKeys(dir, keys); err != nil {
		b.Fatal(err)
	}
	server := sfapitest.New(sfapitest.Client{ID: clientID, Key: keys["key"].(crypto.Signer).Public(), User: "alice"})
	b.Cleanup(server.Close)
	env := append(os.Environ(),
		"HOME="+filepath.Join(dir, "home"),
		"XDG_RUNTIME_DIR="+filepath.Join(dir, "run"),
		"TMPDIR="+filepath.Join(dir, "tmp"),
		"XDG_CONFIG_HOME=", "XDG_DATA_HOME=", "SFCRED_PROFILE=", "SFCRED_CLIENT_ID=",
		"DBUS_SESSION_BUS_ADDRESS=unix:path="+filepath.Join(dir, "no-bus"))
	x := &bench{B: b, server: server, dir: dir, env: env, sfcred: filepath.Join(dir, "sfcred")}
	x.build(x.sfcred, "")
	return x
}

// build runs the README's release line; overlay may replace files.
func (x *bench) build(out, overlay string) {
	x.Helper()
	readme, err := os.Open("../../README.md")
	if err != nil {
		x.Fatal(err)
	}
	defer readme.Close()
	for lines := bufio.NewScanner(readme); lines.Scan(); {
		line, ok := strings.CutPrefix(lines.Text(), "CGO_ENABLED=0 go build ")
		if !ok {
			continue
		}
		line = strings.Replace(line, "-o sfcred ", "-o '"+out+"' ", 1)
		cmd := exec.Command("sh", "-c", "CGO_ENABLED=0 go build "+overlay+" "+line)
		cmd.Dir = "../.."
		if text, err := cmd.CombinedOutput(); err != nil {
			x.Fatalf("build: %v\n%s", err, text)
		}
		return
	}
	x.Fatal("README.md has no release line")
}

// linked builds sfcred with a main that returns at once: all that comes of
// linking its packages, and nothing that it does.
func (x *bench) linked() string {
	text, err := os.ReadFile("main.go")
	if err != nil {
		x.Fatal(err)
	}
	changed := bytes.Replace(text, []byte("func main() {\n"), []byte("func main() {\n\tif len(os.Args) == 1 {\n\t\treturn\n\t}\n"), 1)
	if bytes.Equal(text, changed) {
		x.Fatal("main.go has no main as it should be")
	}
	main, err := filepath.Abs("main.go")
	if err != nil {
		x.Fatal(err)
	}
	x.write("linked.go", changed)
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{main: filepath.Join(x.dir, "linked.go")}})
	if err != nil {
		x.Fatal(err)
	}
	x.write("overlay.json", overlay)
	out := filepath.Join(x.dir, "linked")
	x.build(out, "-overlay '"+filepath.Join(x.dir, "overlay.json")+"'")
	return out
}

// oneLine builds a Go program of one line.
func (x *bench) oneLine() string {
	return x.compile("one", "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(\"Authorization: Bearer token\") }\n")
}

// compile builds a program of one file, as sfcred is built.
func (x *bench) compile(name, text string) string {
	x.Helper()
	source, out := filepath.Join(x.dir, name+".go"), filepath.Join(x.dir, name)
	x.write(name+".go", []byte(text))
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", out, source)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		x.Fatalf("build: %v\n%s", err, text)
	}
	return out
}

func (x *bench) write(name string, text []byte) {
	x.Helper()
	if err := os.WriteFile(filepath.Join(x.dir, name), text, 0o600); err != nil {
		x.Fatal(err)
	}
}

// command prepares a run; what it prints is dropped.
func (x *bench) command(args ...string) *exec.Cmd {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env, cmd.Dir = x.env, x.dir
	return cmd
}

// run runs a command that must work, and returns how long it took.
func (x *bench) run(args ...string) time.Duration {
	x.Helper()
	cmd := x.command(args...)
	began := time.Now()
	err := cmd.Run()
	took := time.Since(began)
	if err != nil {
		x.Fatalf("%s: %v", strings.Join(args, " "), err)
	}
	return took
}

func (x *bench) login() {
	x.Helper()
	x.run(x.sfcred, "login", "--profile", "test", "--store", "pem", "--key", "key.pem",
		"--token-url", x.server.TokenURL, "--api-url", x.server.APIURL, "--host", "127.0.0.1")
}

// compare runs the programs in turn and reports the ratio of the first to each
// of the others, by the medians.
func (x *bench) compare(names []string, programs ...func() time.Duration) {
	x.Helper()
	times := make([][]time.Duration, len(programs))
	for x.Loop() {
		for i, p := range programs {
			times[i] = append(times[i], p())
		}
	}
	first := median(times[0])
	x.ReportMetric(float64(first.Microseconds()), "us")
	for i, name := range names {
		x.ReportMetric(float64(first)/float64(median(times[i+1])), name)
	}
}

func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)/2]
}

// BenchmarkWarmHeader: a header out of the cache. Targets: at most 1.15 times a
// program that links the same and returns, 1.8 times a program of one line.
func BenchmarkWarmHeader(b *testing.B) {
	x := newBench(b)
	linked, one := x.linked(), x.oneLine()
	x.login()
	x.compare([]string{"x-linked(1.15)", "x-one-line(1.8)"},
		func() time.Duration { return x.run(x.sfcred, "header") },
		func() time.Duration { return x.run(linked) },
		func() time.Duration { return x.run(one) })
}

// BenchmarkColdToken: an exchange with an RSA key of 2048 bits. Target: at most
// 0.65 times curl alone posting an assertion that is ready.
func BenchmarkColdToken(b *testing.B) {
	x := newBench(b)
	curl, err := exec.LookPath("curl")
	if err != nil {
		b.Skip("there is no curl")
	}
	x.login()
	x.compare([]string{"x-curl(0.65)"},
		func() time.Duration { return x.run(x.sfcred, "token", "--force") },
		func() time.Duration {
			assertion := x.command(x.sfcred, "assertion")
			text, err := assertion.Output()
			if err != nil {
				b.Fatal(err)
			}
			x.write("assertion", bytes.TrimSpace(text))
			before := x.server.Exchanges()
			took := x.run(curl, "-sf", "-o", os.DevNull, x.server.TokenURL,
				"-d", "grant_type=client_credentials",
				"-d", "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
				"--data-urlencode", "client_assertion@assertion")
			if x.server.Exchanges() != before+1 {
				b.Fatal("the server did not accept curl's assertion")
			}
			return took
		})
}

// BenchmarkThousand: 1,000 processes started at once. Targets: cold at most 1.3
// times warm, one exchange, no failure.
func BenchmarkThousand(b *testing.B) {
	x := newBench(b)
	x.login()
	at := func() time.Duration {
		began := time.Now()
		var running sync.WaitGroup
		for range 1000 {
			running.Go(func() { x.run(x.sfcred, "token") })
		}
		running.Wait()
		return time.Since(began)
	}
	x.compare([]string{"x-warm(1.3)"},
		func() time.Duration {
			if err := os.RemoveAll(filepath.Join(x.dir, "run", "sfcred")); err != nil {
				b.Fatal(err)
			}
			before := x.server.Exchanges()
			took := at()
			if n := x.server.Exchanges() - before; n != 1 {
				b.Errorf("%d exchanges, want 1", n)
			}
			return took
		},
		at)
}

// BenchmarkSize: the binary. Target: at most 10.5 MB on linux/amd64.
func BenchmarkSize(b *testing.B) {
	x := newBench(b)
	info, err := os.Stat(x.sfcred)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
	}
	b.ReportMetric(float64(info.Size())/1e6, "MB(10.5)")
}
