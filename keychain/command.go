package keychain

import (
	"context"
	"fmt"

	"sfcred/keychain/jose"
)

// commandError makes an [Error] of StoreCommand.
func commandError(kind error, format string, args ...any) error {
	return &Error{StoreCommand, fmt.Sprintf(format, args...), kind}
}

// runCommand runs a program that prints a key file.
func (s *Stores) runCommand(ctx context.Context, command string, shell bool) (*jose.File, error) {
	panic("TODO")
}
