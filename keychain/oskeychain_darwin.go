package keychain

import "context"

// silence is what is said of a keychain that was asked in vain. Nothing tells
// beforehand whether macOS will prompt.
const silence = "the keychain did not answer, or nobody answered its prompt"

// lookAtService has nothing to look at: there is no bus, and asking whether a
// keychain is locked can itself prompt.
func (s *Stores) lookAtService(context.Context, string) error { return nil }

func explainPlatform(err error) error { return explainSecurity(err) }
