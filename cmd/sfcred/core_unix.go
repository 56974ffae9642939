//go:build unix

package main

import "syscall"

// coreLimit is how large a core the user lets a program leave. It is theirs, and
// goes on to the programs that sfcred runs in its place.
type coreLimit struct{ own *syscall.Rlimit } // nil: as it is

// leaveNoCore keeps what is in memory, keys and tokens, from the disk and from
// the user's other programs, as far as the system can. Where it cannot, the
// answer is no worse for it. A limit would not do for the whole of it: Linux
// writes a core to a program in spite of one (core(5)).
func leaveNoCore() coreLimit {
	closeMemory()
	var own syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_CORE, &own) != nil || own.Cur == 0 {
		return coreLimit{}
	}
	l := coreLimit{&own}
	l.take()
	return l
}

// give has the limit be the user's own, for what is started now.
func (l coreLimit) give() {
	if l.own != nil {
		_ = syscall.Setrlimit(syscall.RLIMIT_CORE, l.own)
	}
}

// take leaves the hard limit, without which give could not be.
func (l coreLimit) take() {
	if l.own != nil {
		none := *l.own
		none.Cur = 0
		_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &none)
	}
}
