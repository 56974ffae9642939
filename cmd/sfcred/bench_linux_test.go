package main

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"sfcred/keychain/keychaintest"
)

// spawner runs a program and prints the most memory that it had, in KiB. The
// kernel counts a process's memory from the fork on, so a parent as large as a
// test would be all that is seen (getrusage(2), ru_maxrss).
const spawner = `package main

import (
	"os"
	"os/exec"
	"syscall"
)

func main() {
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	if cmd.Run() != nil {
		os.Exit(1)
	}
	println(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
}
`

// BenchmarkWarmKeychain: a header out of the cache, for a key in the Secret
// Service against one in a file. A warm answer asks neither: the ratio is 1, and
// the service sees no call.
func BenchmarkWarmKeychain(b *testing.B) {
	x := newBench(b)
	secrets, err := keychaintest.Start()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(secrets.Close)
	x.env = append(x.env, "DBUS_SESSION_BUS_ADDRESS="+secrets.Address())
	x.login()
	x.run(x.sfcred, "login", "--profile", "kept", "--key", "key.pem", "--token-url", x.server.TokenURL)
	secrets.OnCall(func(method string) { b.Errorf("a warm answer called %s", method) })
	x.compare([]string{"x-no-keychain(1)"},
		func() time.Duration { return x.run(x.sfcred, "-p", "kept", "header") },
		func() time.Duration { return x.run(x.sfcred, "-p", "test", "header") })
}

// BenchmarkMemory: the most memory that a process had. Target: at most 16 MB.
func BenchmarkMemory(b *testing.B) {
	x := newBench(b)
	spawn := x.compile("spawn", spawner)
	x.login()
	most := func(args ...string) float64 {
		cmd := x.command(append([]string{spawn}, args...)...)
		text, err := cmd.CombinedOutput()
		kib, parseErr := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil || parseErr != nil {
			b.Fatalf("%v: %v\n%s", args, err, text)
		}
		return float64(kib) * 1024 / 1e6
	}
	var warm, cold float64
	for b.Loop() {
		warm = max(warm, most(x.sfcred, "header"))
		cold = max(cold, most(x.sfcred, "token", "--force"))
	}
	b.ReportMetric(warm, "warm-MB(16)")
	b.ReportMetric(cold, "cold-MB(16)")
}
