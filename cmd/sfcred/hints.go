package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"sfcred/helper"
	"sfcred/integrations/curl"
	"sfcred/integrations/setup"
	"sfcred/keychain"
	"sfcred/keychain/disk"
	"sfcred/keychain/jose"
)

// hints gives what to type, from an error's identity.
func (p *program) hints(err error) []string {
	var (
		usage  *usageError
		hinted *hintedError
		why    *explainedError
		store  *keychain.Error
		option *curl.OptionError
	)
	switch {
	case errors.As(err, &usage):
		return usage.hints
	case errors.As(err, &hinted):
		return hinted.hints
	case errors.As(err, &option):
		return p.curlHints(option.Option)
	case errors.As(err, &why) && why.hints != nil:
		return append(slices.Clip(why.hints), p.lateHints(err)...)
	case errors.Is(err, helper.ErrForeignHost):
		return p.foreignHints(err)
	case errors.As(err, new(*helper.OrphanError)):
		return []string{"sfcred remove --orphans"}
	case errors.As(err, &store):
		return p.storeHints(store, err)
	case errors.Is(err, jose.ErrEncrypted), errors.Is(err, jose.ErrPassphrase) && p.env.passphraseFile != "":
		return []string{"export SFCRED_PASSPHRASE_FILE=FILE"}
	}
	for _, hint := range []func(error) []string{profileHints, fileHints, serverHints, p.lateHints} {
		if hints := hint(err); hints != nil {
			return hints
		}
	}
	return nil
}

// foreignHints shows which hosts the profile has. How one is added a person is
// told, and no log of a tool's; and not as a command that has the host in it: who
// led a tool to that host would have its user paste it, and get the token.
func (p *program) foreignHints(err error) []string {
	var of *profileError
	if !errors.As(err, &of) {
		return nil
	}
	hints := []string{"sfcred status " + of.name}
	if of.name != envName && isTerminal(p.stderr) {
		hints = append(hints, "sfcred edit --help")
	}
	return hints
}

func profileHints(err error) []string {
	var missing *missingError
	var pending *pendingError
	switch {
	case errors.As(err, &missing) && missing.why != nil:
		return []string{"sfcred --config FILE status"}
	case errors.As(err, &missing) && missing.known == 0:
		return []string{"sfcred login --client-id CLIENT_ID --key KEY_FILE"}
	case errors.As(err, &missing) && missing.name == "":
		return []string{"sfcred list", "sfcred use NAME"}
	case errors.As(err, &missing):
		return []string{"sfcred list"}
	case errors.As(err, &pending):
		return []string{
			fmt.Sprintf("sfcred keygen --profile %s --show", pending.name),
			fmt.Sprintf("sfcred login --profile %s --client-id CLIENT_ID", pending.name),
		}
	case errors.Is(err, errNoHome):
		return []string{"sfcred --config FILE status"}
	}
	return nil
}

func fileHints(err error) []string {
	var config *helper.ConfigError
	var unsafe *disk.UnsafeError
	switch {
	case errors.As(err, &config) && config.Line > 0:
		return []string{fmt.Sprintf("${EDITOR:-vi} +%d %s", config.Line, shellWord(config.Path))}
	case errors.As(err, &config):
		return []string{"${EDITOR:-vi} " + shellWord(config.Path)}
	case errors.As(err, &unsafe):
		return unsafeHints(unsafe)
	}
	return nil
}

// unsafeHints closes a file to others, where its owner can.
func unsafeHints(unsafe *disk.UnsafeError) []string {
	info, err := os.Stat(unsafe.Path)
	if err != nil {
		return nil
	}
	if uid, ok := disk.Owner(info); !ok || uid != os.Geteuid() || !info.Mode().IsRegular() {
		return []string{"ls -ld " + shellWord(unsafe.Path)}
	}
	return []string{"chmod go= " + shellWord(unsafe.Path)}
}

func serverHints(err error) []string {
	var certificate *tls.CertificateVerificationError
	var refused *helper.RefusedError
	var answer *helper.AnswerError
	var of *profileError
	switch {
	case errors.As(err, &certificate):
		return []string{"export SSL_CERT_FILE=CA_FILE"}
	case errors.As(err, &refused) && refused.Skew != 0:
		return []string{"date -u"}
	case errors.As(err, &refused) && errors.As(err, &of):
		return []string{"sfcred status " + of.name}
	case errors.As(err, &answer):
		return []string{"curl -sS -D - -o /dev/null " + shellWord(answer.URL)}
	}
	return nil
}

// moreTime gives what is slow more time; a flag that was typed would go before
// the variable.
func (p *program) moreTime() []string {
	if p.timeoutFlag {
		return []string{p.line.withTimeout("60s")}
	}
	return []string{"export SFCRED_TIMEOUT=60s"}
}

// lateHints gives a server more time that has taken all that there was.
func (p *program) lateHints(err error) []string {
	var late *lateError
	if errors.As(err, &late) && late.timeout < time.Minute {
		return p.moreTime()
	}
	return nil
}

// storeHints says how to get at a key, by the kind of what went wrong; whole is
// the error that it is part of.
func (p *program) storeHints(err *keychain.Error, whole error) []string {
	var unsafe *disk.UnsafeError
	var of *profileError
	var pending *pendingKeyError
	switch {
	case errors.As(err, &unsafe):
		return unsafeHints(unsafe)
	case errors.Is(err, keychain.ErrTimeout):
		return p.moreTime()
	case errors.Is(err, keychain.ErrPassphrase) && p.env.passphraseFile != "": // nobody has mistyped it
		return []string{"export SFCRED_PASSPHRASE_FILE=FILE"}
	case errors.As(whole, &pending):
		return pendingKeyHints(err, pending)
	case errors.Is(err, keychain.ErrLocked), errors.Is(err, jose.ErrEncrypted):
		return lockedHints(err, whole)
	case err.Store == keychain.StoreAgent && p.env.agent == "":
		return []string{`eval "$(ssh-agent -s)"`}
	case err.Store == keychain.StoreAgent && errors.Is(err, keychain.ErrNotFound) && errors.As(whole, &of):
		return p.agentHints(of.name)
	case err.Store == keychain.StoreAgent:
		return []string{"ssh-add -l"}
	case !errors.As(whole, &of) || of.name == envName: // its variables are the user's own
		return nil
	case err.Store == keychain.StoreCommand:
		return []string{fmt.Sprintf("sfcred login --profile %s --client-id %s --command COMMAND", of.name, p.clientIDOf(of.name))}
	case errors.Is(err, keychain.ErrNotFound), errors.Is(err, keychain.ErrDamaged):
		return []string{fmt.Sprintf("sfcred login --profile %s --replace --client-id %s --key KEY_FILE", of.name, p.clientIDOf(of.name))}
	}
	return nil
}

// clientIDOf is the client ID of a profile for a hint.
func (p *program) clientIDOf(name string) string {
	config, err := p.loadConfig()
	if err != nil || config.Profiles[name] == nil || config.Profiles[name].ClientID == "" {
		return "CLIENT_ID"
	}
	return shellWord(config.Profiles[name].ClientID)
}

// agentHints says how the key of a profile comes into the ssh-agent.
func (p *program) agentHints(name string) []string {
	config, err := p.loadConfig()
	if err == nil && config.Profiles[name] != nil {
		if other := p.unlockable(config, config.Profiles[name].Fingerprint); other != "" {
			return []string{"sfcred unlock --agent " + other}
		}
	}
	return []string{"ssh-add -l"}
}

// unlockable is the profile whose key unlock would load into the running
// ssh-agent, and that has the fingerprint; or "".
func (p *program) unlockable(config *helper.Config, fingerprint string) string {
	ctx, cancel := p.deadline(context.Background())
	defer cancel()
	for _, name := range config.Names() {
		profile := config.Profiles[name]
		if profile.Fingerprint == fingerprint && profile.HasKey() && profile.Store != keychain.StoreAgent && keychain.AgentSigns(profile.Alg) && p.stores().AgentKeeps(ctx) == nil {
			return name
		}
	}
	return ""
}

// lockedHints says what opens a store.
func lockedHints(err *keychain.Error, whole error) []string {
	var of *profileError
	unlock := []string(nil)
	if errors.As(whole, &of) && of.name != envName {
		unlock = []string{"sfcred unlock " + of.name}
	}
	switch err.Store {
	case keychain.StoreKeychain:
		return unlock
	case keychain.StoreAgent:
		return []string{"ssh-add -l"}
	case keychain.StoreFile:
		return append([]string{"export SFCRED_PASSPHRASE_FILE=FILE"}, unlock...)
	}
	return []string{"export SFCRED_PASSPHRASE_FILE=FILE"}
}

// pendingKeyHints says what opens a store for a pending key. unlock is about the
// key in use, so it helps where both are in the keychain, or there is no other.
func pendingKeyHints(err *keychain.Error, pending *pendingKeyError) []string {
	locked := errors.Is(err, keychain.ErrLocked)
	switch {
	case locked && err.Store == keychain.StoreFile:
		return []string{"export SFCRED_PASSPHRASE_FILE=FILE"}
	case locked && (pending.inStore == keychain.StoreKeychain || pending.inStore == ""):
		return []string{"sfcred unlock " + pending.name}
	case errors.Is(err, keychain.ErrNotFound), errors.Is(err, keychain.ErrDamaged):
		return []string{fmt.Sprintf("sfcred keygen --profile %s --replace", pending.name)}
	}
	return nil
}

// shellWord quotes a word for a shell where that is needed. What no terminal
// would show as it is, is written out (bash, ksh, zsh; POSIX.1-2024, 2.2.4): a
// hint with a question mark in its place would be about another file.
func shellWord(word string) string {
	shown := func(r rune) bool { return unicode.IsPrint(r) && r != utf8.RuneError }
	if !strings.ContainsFunc(word, func(r rune) bool { return !shown(r) }) {
		return setup.ShellWord(word)
	}
	var b strings.Builder
	for i, r := range word {
		_, size := utf8.DecodeRuneInString(word[i:])
		switch {
		case r == '\'' || r == '\\':
			b.WriteRune('\\')
			fallthrough
		case shown(r):
			b.WriteRune(r)
		default:
			for _, c := range []byte(word[i : i+size]) {
				fmt.Fprintf(&b, `\%03o`, c)
			}
		}
	}
	return "$'" + b.String() + "'"
}
