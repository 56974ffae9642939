//go:build !linux && !darwin && !windows

package helper

import "time"

// uptime is not known here.
func uptime() (time.Duration, bool) { return 0, false }
