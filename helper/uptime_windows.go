package helper

import (
	"time"

	"golang.org/x/sys/windows"
)

// Uptime is how long the machine has been up, the time that it slept included,
// by a clock that nobody sets (GetTickCount64).
func Uptime() (time.Duration, bool) { return windows.DurationSinceBoot(), true }
