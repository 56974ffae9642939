package main

import (
	"cmp"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"sfcred/helper"
	"sfcred/helper/diagnosis"
	"sfcred/keychain"
	"sfcred/keychain/jose"
)

// The checks that need no network: what is configured, and the key.

func (x *examination) checkConfig(context.Context) step {
	path, err := x.configPath()
	if err == nil {
		x.config, err = helper.ConfigFile(path).Load()
	}
	if err != nil && x.env.clientID != "" && (x.program.profile == "" || x.program.profile == envName) {
		return skipped("not needed: the profile comes from SFCRED_ variables")
	}
	switch {
	case errors.Is(err, errNoHome):
		return skipped("%v", err)
	case err != nil:
		x.config = nil
		return x.failed(diagnosis.Evidence{Err: err})
	}
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return skipped("there is no %s yet", path)
	}
	if n := len(x.config.Profiles); n != 1 {
		return passed("%s, with %d profiles", path, n)
	}
	return passed("%s, with one profile", path)
}

func (x *examination) checkProfile(context.Context) step {
	for _, s := range x.steps {
		if s.Verdict == verdictFail {
			return skipped("no config")
		}
	}
	var err error
	if x.profile, err = x.choose(); err != nil {
		return x.failed(diagnosis.Evidence{Err: err})
	}
	x.source = x.program.source(x.profile.Profile, x.profile.open)
	x.source.Warn = func(text string) { x.warned = append(x.warned, text) }
	words := x.profile.name
	if x.config != nil && x.config.Default == words {
		words += " (default)"
	}
	words += fmt.Sprintf(": client %s at %s", x.profile.ClientID, withoutQuery(x.profile.TokenURL))
	if len(x.profile.Hosts) > 0 {
		return passed("%s", words)
	}
	hint := fmt.Sprintf("sfcred edit %s --host +HOST", x.profile.name)
	if x.profile.name == envName {
		hint = "export SFCRED_HOSTS=HOST"
	}
	return warned(hint, "%s; it names no host, so helpers and --url give no token", words)
}

// checkStore opens the key. What is wrong with the key itself is the next
// step's.
func (x *examination) checkStore(ctx context.Context) step {
	if x.profile == nil {
		return skipped("no profile")
	}
	where := x.storeWords()
	store := x.profile.open
	if x.profile.Store != "" {
		stores, ref := x.stores(), x.profile.Ref()
		store = func(ctx context.Context) (crypto.MessageSigner, error) { return stores.Signer(ctx, ref) }
	}
	x.signer, x.signerErr = store(ctx)
	closed := errors.Is(x.signerErr, keychain.ErrLocked) || errors.Is(x.signerErr, keychain.ErrUnavailable) ||
		errors.Is(x.signerErr, keychain.ErrTimeout) || errors.Is(x.signerErr, jose.ErrEncrypted)
	if !closed {
		return passed("%s", where)
	}
	failure := &profileError{x.profile.name, x.signerErr}
	if x.signer, x.signerErr = x.profile.open(ctx); x.signerErr == nil {
		return passed("%s, and, unlocked, in the ssh-agent", where)
	}
	return x.failed(diagnosis.Evidence{Err: failure})
}

// storeWords says where the key is to be.
func (x *examination) storeWords() string {
	switch {
	case x.profile.Store != "":
		return storeWords(&x.profile.Profile)
	case x.env.privateKeyFile != "":
		return "in " + x.env.privateKeyFile
	}
	return "in SFCRED_PRIVATE_KEY"
}

func (x *examination) checkKey(context.Context) step {
	switch {
	case x.profile == nil:
		return skipped("no profile")
	case x.signerErr != nil && x.steps[len(x.steps)-1].Verdict == verdictFail:
		return skipped("the key store does not give it")
	case x.signerErr != nil:
		return x.failed(diagnosis.Evidence{Err: &profileError{x.profile.name, x.signerErr}})
	}
	fingerprint, err := jose.Fingerprint(x.signer.Public())
	if err != nil {
		return x.failed(diagnosis.Evidence{Err: err})
	}
	words := fingerprint
	if alg := x.profile.Alg; alg != "" {
		words += ", for " + alg
	}
	before := cmp.Or(x.learnt(&x.profile.Profile).Key, x.profile.Fingerprint)
	if diagnosis.Compare(fingerprint, before) == diagnosis.Other {
		s := warned(fmt.Sprintf("sfcred keygen --profile %s --show", x.profile.name), "%s; the one that worked before is %s", words, before)
		if x.profile.name == envName {
			s.Hint = ""
		}
		return s
	}
	if x.profile.Pending != nil {
		words += "; another one waits for its client"
	}
	return passed("%s", words)
}

func (x *examination) checkOrphans(context.Context) step {
	if x.config == nil {
		return skipped("no config")
	}
	switch n := len(x.config.Orphans()); n {
	case 0:
		return passed("none")
	case 1:
		return warned("sfcred remove --orphans", "one, which an interrupted command left behind")
	default:
		return warned("sfcred remove --orphans", "%d, which interrupted commands left behind", n)
	}
}

// keep remembers what was learnt, as login does.
func (x *examination) keep(expires time.Time) error {
	found := &checked{token: x.token, user: cmp.Or(x.token.User(), x.account), expires: expires, source: x.source}
	return x.learn(&x.profile.Profile, found)
}
