package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// flushInput drops what a terminal has received and nobody has read.
func flushInput(tty *os.File) {
	_ = unix.IoctlSetInt(int(tty.Fd()), unix.TCFLSH, unix.TCIFLUSH)
}
