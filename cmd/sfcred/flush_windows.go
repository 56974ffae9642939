package main

import (
	"os"

	"golang.org/x/sys/windows"
)

// flushInput drops what a console has received and nobody has read.
func flushInput(tty *os.File) {
	_ = windows.FlushConsoleInputBuffer(windows.Handle(tty.Fd()))
}
