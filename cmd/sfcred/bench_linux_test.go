package main

import (
	"syscall"
	"testing"
)

// BenchmarkMemory: the most memory that a process had. Target: at most 16 MB.
func BenchmarkMemory(b *testing.B) {
	x := newBench(b)
	x.login()
	most := func(args ...string) float64 {
		cmd := x.command(args...)
		if err := cmd.Run(); err != nil {
			b.Fatal(err)
		}
		return float64(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss) / 1024
	}
	var warm, cold float64
	for b.Loop() {
		warm = max(warm, most(x.sfcred, "header"))
		cold = max(cold, most(x.sfcred, "token", "--force"))
	}
	b.ReportMetric(warm, "warm-MiB(16)")
	b.ReportMetric(cold, "cold-MiB(16)")
}
