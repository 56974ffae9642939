package keychain

import (
	"context"
	"errors"

	"golang.org/x/sys/windows"
)

// silence is what is said of a keychain that was asked in vain.
const silence = "the Windows Credential Manager did not answer"

// lookAtService has nothing to look at: the Credential Manager is open for as
// long as its user is logged in.
func (s *Stores) lookAtService(context.Context, string) error { return nil }

// explainPlatform turns an error of the Credential Manager into ours.
func explainPlatform(err error) error {
	var errno windows.Errno
	switch {
	// Network logons, as over ssh with a key, have no credential set.
	case errors.Is(err, windows.ERROR_NO_SUCH_LOGON_SESSION):
		return keychainError(ErrUnavailable, "the Windows Credential Manager is not open to this kind of logon, as over ssh")
	case errors.Is(err, windows.ERROR_NOT_FOUND):
		return keychainError(ErrNotFound, "the keychain has no such key")
	case errors.As(err, &errno):
		return keychainError(ErrUnavailable, "the Windows Credential Manager failed with error %d", uint32(errno))
	}
	return keychainError(ErrUnavailable, "the Windows Credential Manager failed")
}
