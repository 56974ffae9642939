//go:build !linux

package main

import (
	"os"
	"os/signal"
	"slices"
	"syscall"
)

// closeMemory does nothing. macOS asks whoever attaches to a process for more
// than to be its user; PT_DENY_ATTACH would have debuggers crash instead.
func closeMemory() {}

// lethal makes a signal end the process, if it can: the Go runtime lets go of
// these only.
func lethal(sig os.Signal) bool {
	signal.Reset(sig)
	return slices.Contains([]os.Signal{os.Interrupt, os.Kill, syscall.SIGTERM, syscall.SIGHUP}, sig)
}
