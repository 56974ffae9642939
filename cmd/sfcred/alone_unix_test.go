//go:build unix

package main

import "syscall"

// alone leaves the terminal that the tests may run on. A process that a script
// gave a terminal of its own leads its session already, and keeps it.
func alone() { _, _ = syscall.Setsid() }
