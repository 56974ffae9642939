package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// flushInput drops what a terminal has received and nobody has read.
func flushInput(tty *os.File) {
	const fread = 1 // FREAD of sys/fcntl.h
	_ = unix.IoctlSetPointerInt(int(tty.Fd()), unix.TIOCFLUSH, fread)
}
