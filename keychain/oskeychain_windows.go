package keychain

import "context"

// silence is what is said of a keychain that was asked in vain.
const silence = "the Windows Credential Manager did not answer"

// lookAtService has nothing to look at: the Credential Manager is open for as
// long as its user is logged in.
func (s *Stores) lookAtService(context.Context, string) error { return nil }

func explainPlatform(err error) error { return explainCredentialManager(err) }
