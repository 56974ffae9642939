package keychain

import (
	"encoding/base64"
	"errors"
	"os/exec"
	"syscall"
)

// What the keychains of macOS and Windows say, in our words. It is compiled
// everywhere, so that it is tested everywhere.

// explainSecurity turns an error of /usr/bin/security on macOS into ours. Its
// exit status is the low byte of an OSStatus; go-keyring drops what it printed.
func explainSecurity(err error) error {
	var exit *exec.ExitError
	if errors.As(err, new(base64.CorruptInputError)) {
		return keychainError(ErrDamaged, "what the keychain has for the key is damaged")
	}
	if !errors.As(err, &exit) {
		return keychainError(ErrUnavailable, "the keychain program /usr/bin/security cannot be used")
	}
	switch exit.ExitCode() {
	case 29, 36: // errSecInteractionRequired, -25315; errSecInteractionNotAllowed, -25308
		return keychainError(ErrLocked, "the keychain is locked and cannot ask here, as over ssh")
	case 37, 50: // errSecNoDefaultKeychain, -25307; errSecNoSuchKeychain, -25294
		return keychainError(ErrUnavailable, "there is no default keychain to put keys into")
	case 44: // errSecItemNotFound, -25300
		return keychainError(ErrNotFound, "the keychain has no such key")
	case 51: // errSecAuthFailed, -25293
		return keychainError(ErrLocked, "the keychain is locked and did not accept the password")
	case 128: // errSecUserCanceled, -128
		return keychainError(ErrLocked, "the keychain's prompt was dismissed")
	}
	return keychainError(ErrUnavailable, "the keychain program /usr/bin/security ended with %v", exit)
}

// Errors of the Credential Manager, for which other systems have no names:
// https://learn.microsoft.com/windows/win32/debug/system-error-codes
const (
	winNotFound       = syscall.Errno(1168) // ERROR_NOT_FOUND
	winNoLogonSession = syscall.Errno(1312) // ERROR_NO_SUCH_LOGON_SESSION
)

// explainCredentialManager turns an error of the Windows Credential Manager
// into ours.
func explainCredentialManager(err error) error {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return keychainError(ErrUnavailable, "the Windows Credential Manager failed")
	}
	switch errno {
	case winNotFound:
		return keychainError(ErrNotFound, "the keychain has no such key")
	case winNoLogonSession: // network logons, as over ssh with a key, have no credential set
		return keychainError(ErrUnavailable, "the Windows Credential Manager is not open to this kind of logon, as over ssh")
	}
	return keychainError(ErrUnavailable, "the Windows Credential Manager failed with error %d", uint32(errno))
}
