package main

import (
	"os"
	"os/signal"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// lethal makes a signal end the process, if it can. signal.Reset is not enough:
// the runtime keeps its handler, prints a stack trace at SIGQUIT and does
// nothing at SIGUSR1. A core would be ours, with keys and tokens in it, so there
// is none.
func lethal(sig os.Signal) bool {
	signal.Reset(sig)
	n, ok := sig.(syscall.Signal)
	if !ok || os.Getpid() == 1 || unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) != nil {
		return false // the kernel lets no signal end a container's first process
	}
	var action [64]byte // a struct sigaction whose handler is SIG_DFL, and then some
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(n), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
	return errno == 0 || n == syscall.SIGKILL
}
