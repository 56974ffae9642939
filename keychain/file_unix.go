//go:build unix

package keychain

import "golang.org/x/sys/unix"

// writable returns an error if files cannot be made in dir.
func writable(dir string) error { return unix.Access(dir, unix.W_OK|unix.X_OK) }
