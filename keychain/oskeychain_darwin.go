package keychain

import (
	"context"
	"errors"
	"os/exec"
)

// silence is what is said of a keychain that was asked in vain. Nothing tells
// beforehand whether macOS will prompt.
const silence = "the keychain did not answer, or nobody answered its prompt"

// lookAtService has nothing to look at: there is no bus, and asking whether a
// keychain is locked can itself prompt.
func (s *Stores) lookAtService(context.Context, string) error { return nil }

// explainPlatform turns the exit status of /usr/bin/security, the low byte of
// an OSStatus, into an error of ours; go-keyring drops what it printed.
func explainPlatform(err error) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return keychainError(ErrUnavailable, "the keychain program /usr/bin/security cannot be used")
	}
	switch exit.ExitCode() {
	case 36: // errSecInteractionNotAllowed, -25308
		return keychainError(ErrLocked, "the keychain is locked and cannot ask here, as over ssh")
	case 44: // errSecItemNotFound, -25300
		return keychainError(ErrNotFound, "the keychain has no such key")
	case 51: // errSecAuthFailed, -25293
		return keychainError(ErrLocked, "the keychain is locked and did not accept the password")
	case 128: // errSecUserCanceled, -128
		return keychainError(ErrLocked, "the keychain's prompt was dismissed")
	}
	return keychainError(ErrUnavailable, "the keychain program /usr/bin/security ended with status %d", exit.ExitCode())
}
