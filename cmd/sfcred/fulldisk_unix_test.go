//go:build unix

package main

import (
	"os"
	"os/signal"
	"strconv"
	"syscall"
)

// fullDisk is sfcred where no file can grow beyond some bytes: what a full disk
// is to it, without one. Pipes are no files.
//
//	fulldisk BYTES ARGS…
func fullDisk() {
	most, err := strconv.ParseUint(os.Args[1], 10, 31)
	if err != nil {
		panic(err)
	}
	signal.Ignore(syscall.SIGXFSZ) // so that a write fails with EFBIG
	var limit syscall.Rlimit
	limit.Cur, limit.Max = most, most
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		panic(err)
	}
	os.Args = append([]string{"sfcred"}, os.Args[2:]...)
	alone()
	main()
}
