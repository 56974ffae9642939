package main

import (
	"os"
	"os/signal"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// closeMemory makes the process one that cannot be dumped (PR_SET_DUMPABLE in
// prctl(2)): it leaves no core, and other programs of the user can neither attach
// to it nor read /proc/PID/mem and /proc/PID/environ. What it starts is as it
// would be without us, since execve undoes it. KeePassXC, which looks for the
// program of who asks it for a key, shows the path of this one as not known.
func closeMemory() { _ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }

// lethal makes a signal end the process, if it can. signal.Reset is not enough:
// the runtime keeps its handler, prints a stack trace at SIGQUIT and does
// nothing at SIGUSR1.
func lethal(sig os.Signal) bool {
	signal.Reset(sig)
	n, ok := sig.(syscall.Signal)
	if !ok || os.Getpid() == 1 {
		return false // the kernel lets no signal end a container's first process
	}
	var action [64]byte // a struct sigaction whose handler is SIG_DFL, and then some
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(n), uintptr(unsafe.Pointer(&action)), 0, 8, 0, 0)
	return errno == 0 || n == syscall.SIGKILL
}
