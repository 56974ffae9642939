package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// redirect runs a command with its standard output somewhere else, as a shell
// would.
//
//	redirect FILE COMMAND…    > FILE
//	redirect - COMMAND…       | a reader that has gone
func redirect() {
	cmd := exec.Command(os.Args[2], os.Args[3:]...)
	cmd.Stdin, cmd.Stderr = os.Stdin, os.Stderr
	out, err := os.OpenFile(os.Args[1], os.O_WRONLY, 0)
	if os.Args[1] == "-" {
		var reader *os.File
		reader, out, err = os.Pipe()
		if err == nil {
			err = reader.Close()
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "redirect:", err)
		os.Exit(99)
	}
	cmd.Stdout = out
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		fmt.Fprintln(os.Stderr, "redirect:", err)
		os.Exit(99)
	}
	os.Exit(cmd.ProcessState.ExitCode())
}
