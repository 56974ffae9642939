package helper

import (
	"time"

	"golang.org/x/sys/unix"
)

// Uptime is how long the machine has been up, the time that it slept included,
// by a clock that nobody sets; CLOCK_MONOTONIC goes on in sleep here,
// clock_gettime(3).
func Uptime() (time.Duration, bool) {
	var t unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	return time.Duration(t.Nano()), err == nil
}
