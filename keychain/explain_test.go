package keychain

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// exitError is the error of a program that ended with that status.
func exitError(t *testing.T, status int) error {
	t.Helper()
	err := child(t, strconv.Itoa(status)).Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != status {
		t.Fatalf("child: got %v, want exit status %d", err, status)
	}
	return err
}

// All that can be tried without a Mac: /usr/bin/security, which go-keyring
// runs by that path, is played by a child with its exit status.
func TestExplainSecurity(t *testing.T) {
	if role := os.Getenv(roleEnv); role != "" {
		status, err := strconv.Atoi(role)
		if err != nil {
			panic(err)
		}
		os.Exit(status)
	}
	tests := []struct {
		osStatus int32 // of SecBase.h
		kind     error
		text     string
	}{
		{-25315, ErrLocked, "cannot ask here"},             // errSecInteractionRequired
		{-25308, ErrLocked, "cannot ask here"},             // errSecInteractionNotAllowed
		{-25307, ErrUnavailable, "no default keychain"},    // errSecNoDefaultKeychain
		{-25300, ErrNotFound, "no such key"},               // errSecItemNotFound
		{-25294, ErrUnavailable, "no default keychain"},    // errSecNoSuchKeychain
		{-25293, ErrLocked, "did not accept"},              // errSecAuthFailed
		{-128, ErrLocked, "was dismissed"},                 // errSecUserCanceled
		{-25299, ErrUnavailable, "ended with exit status"}, // errSecDuplicateItem, which -U rules out
		// Seen by https://github.com/Jamf-Concepts/jamf-cli/pull/249.
		{154, ErrUnavailable, "ended with exit status 154"},
		{1, ErrUnavailable, "ended with exit status 1"},
	}
	for _, tt := range tests {
		err := fmt.Errorf("canary: %w", exitError(t, int(byte(tt.osStatus))))
		wantExplained(t, explainSecurity(err), tt.kind, tt.text)
	}
}

func TestExplainSecurityWithoutStatus(t *testing.T) {
	_, damaged := base64.StdEncoding.DecodeString("canary!")
	wantExplained(t, explainSecurity(damaged), ErrDamaged, "damaged")
	wantExplained(t, explainSecurity(&fs.PathError{Op: "fork/exec", Path: "canary", Err: fs.ErrNotExist}), ErrUnavailable, "cannot be used")
}

func TestExplainCredentialManager(t *testing.T) {
	tests := []struct {
		err  error
		kind error
		text string
	}{
		{syscall.Errno(1168), ErrNotFound, "no such key"},               // ERROR_NOT_FOUND
		{syscall.Errno(1312), ErrUnavailable, "this kind of logon"},     // ERROR_NO_SUCH_LOGON_SESSION
		{syscall.Errno(1722), ErrUnavailable, "failed with error 1722"}, // RPC_S_SERVER_UNAVAILABLE
		{errors.New("canary"), ErrUnavailable, "failed"},
	}
	for _, tt := range tests {
		wantExplained(t, explainCredentialManager(fmt.Errorf("canary: %w", tt.err)), tt.kind, tt.text)
	}
}

// wantExplained checks an error's kind and words, none of which are another's.
func wantExplained(t *testing.T, err, kind error, text string) {
	t.Helper()
	wantError(t, err, kind, text)
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("got %q, want it without the text of others", err)
	}
}
