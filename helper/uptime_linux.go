package helper

import (
	"time"

	"golang.org/x/sys/unix"
)

// Uptime is how long the machine has been up, the time that it slept included,
// by a clock that nobody sets (CLOCK_BOOTTIME, clock_gettime(2)).
func Uptime() (time.Duration, bool) {
	var t unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t)
	return time.Duration(t.Nano()), err == nil
}
