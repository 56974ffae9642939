package keychain

import (
	"context"

	"sfcred/keychain/jose"
)

// runCommand runs a program that prints a key file.
func (s *Stores) runCommand(ctx context.Context, command string, shell bool) (*jose.File, error) {
	panic("TODO")
}
