//go:build !linux && !darwin && !windows

package helper

import "time"

// Uptime is not known here.
func Uptime() (time.Duration, bool) { return 0, false }
