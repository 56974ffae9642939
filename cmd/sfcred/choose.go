package main

import (
	"cmp"
	"context"
	"crypto"
	"errors"
	"fmt"
	"strings"

	"sfcred/helper"
	"sfcred/keychain"
	"sfcred/keychain/jose"
	"sfcred/keychain/keyfiles"
)

// opener opens a profile's key.
type opener func(context.Context) (crypto.MessageSigner, error)

// chosen is the profile that a command is about.
type chosen struct {
	name string
	helper.Profile
	open opener
}

// envName is what the profile that comes from variables is called.
const envName = "env"

// missingError is a name that no profile has.
type missingError struct {
	name  string
	near  []string
	known int
	in    string // the config, where it is not the usual one
	why   error  // there is no place where it could be; or nil
}

// missing is the error for a name that the config does not have. A config that
// was named is named again: it may be another one than was meant.
func (p *program) missing(name string, config *helper.Config) error {
	return &missingError{name: name, near: near(name, config.Names()), known: len(config.Profiles), in: p.config}
}

func (e *missingError) Error() string {
	if e.why != nil {
		return fmt.Sprintf("no profile: %v", e.why)
	}
	where := ""
	if e.in != "" {
		where = " in " + e.in
	}
	switch {
	case e.name != "" && len(e.near) > 0:
		return fmt.Sprintf("no profile %q%s; is %s meant?", e.name, where, strings.Join(e.near, " or "))
	case e.name != "":
		return fmt.Sprintf("no profile %q%s", e.name, where)
	case e.known > 0:
		return "no default profile" + where + ", and none was named"
	}
	return "no profile yet" + where
}

func (e *missingError) Unwrap() error { return helper.ErrNoProfile }

// pendingError is a profile that has nothing but a key which waits for its
// client.
type pendingError struct{ name string }

func (e *pendingError) Error() string {
	return fmt.Sprintf("profile %q has no client yet, only a key that waits for one", e.name)
}

func (e *pendingError) Unwrap() error { return helper.ErrNoProfile }

// choose finds the profile that is meant: by --profile, SFCRED_PROFILE,
// SFCRED_CLIENT_ID, or else the default.
func (p *program) choose() (*chosen, error) {
	if p.env.clientID != "" && (p.profile == "" || p.profile == envName) {
		return p.chooseEnv()
	}
	config, err := p.loadConfig()
	if err != nil {
		return nil, err
	}
	return p.chooseFrom(config, cmp.Or(p.profile, config.Default))
}

// loadConfig reads the config; where it can have no place there is none.
func (p *program) loadConfig() (*helper.Config, error) {
	file, err := p.configFile()
	if errors.Is(err, errNoHome) {
		return nil, &missingError{why: err}
	}
	if err != nil {
		return nil, err
	}
	p.trace("config file " + string(file))
	return file.Load()
}

// chooseFrom finds a profile by name and checks it.
func (p *program) chooseFrom(config *helper.Config, name string) (*chosen, error) {
	profile := config.Profiles[name]
	if profile == nil {
		return nil, p.missing(name, config)
	}
	if !profile.HasKey() && profile.Pending != nil {
		return nil, &pendingError{name}
	}
	if err := profile.Check(); err != nil {
		return nil, p.misconfigured(name, err)
	}
	if p.alias == "kubectl" && profile.Store == keychain.StoreCommand {
		// A kubeconfig may come from others and sets this helper's variables.
		return nil, &keychain.Error{Store: keychain.StoreCommand, Reason: "a command as key store is refused under this name", Err: keychain.ErrUnavailable}
	}
	stores := p.stores()
	open := func(ctx context.Context) (crypto.MessageSigner, error) { return openKey(ctx, stores, profile) }
	return &chosen{name, *profile, open}, nil
}

// misconfigured is about a profile that somebody has written as it cannot be.
func (p *program) misconfigured(name string, err error) error {
	err = &profileError{name, err}
	if path, pathErr := p.configPath(); pathErr == nil {
		err = &hintedError{err, []string{"${EDITOR:-vi} " + shellWord(path)}}
	}
	return err
}

// openKey opens a profile's key. Where its store is locked or out of reach, the
// same key in the ssh-agent will do, if somebody has unlocked it there.
func openKey(ctx context.Context, stores *keychain.Stores, profile *helper.Profile) (crypto.MessageSigner, error) {
	signer, err := stores.Signer(ctx, profile.Ref())
	closed := errors.Is(err, keychain.ErrLocked) || errors.Is(err, keychain.ErrUnavailable)
	if !closed || profile.Fingerprint == "" || profile.Store == keychain.StoreAgent || !keychain.AgentSigns(profile.Alg) {
		return signer, err
	}
	there, agentErr := stores.Signer(ctx, keychain.Ref{Store: keychain.StoreAgent, Fingerprint: profile.Fingerprint})
	if agentErr != nil {
		return nil, err
	}
	return there, nil
}

// named is choose for commands that take a NAME.
func (p *program) named(name string) (*chosen, error) {
	if err := p.takeName(name); err != nil {
		return nil, err
	}
	return p.choose()
}

// takeName has a NAME among the arguments mean what --profile means. Two
// different names are one too many; a variable gives way.
func (p *program) takeName(name string) error {
	if name == "" {
		return nil
	}
	if p.profile != "" && p.profile != name && p.profile != p.env.profile {
		return &usageError{text: fmt.Sprintf("two profiles are named: %s and %s", p.profile, name)}
	}
	p.profile = name
	return nil
}

// chooseEnv makes the profile that comes from variables, for CI jobs and pods.
func (p *program) chooseEnv() (*chosen, error) {
	env := p.env
	switch {
	case env.privateKey == "" && env.privateKeyFile == "":
		return nil, &usageError{
			"SFCRED_CLIENT_ID is set, but neither SFCRED_PRIVATE_KEY_FILE nor SFCRED_PRIVATE_KEY",
			[]string{"export SFCRED_PRIVATE_KEY_FILE=KEY_FILE", "unset SFCRED_CLIENT_ID"},
		}
	case env.privateKey != "" && env.privateKeyFile != "":
		return nil, &usageError{"both SFCRED_PRIVATE_KEY_FILE and SFCRED_PRIVATE_KEY are set", []string{"unset SFCRED_PRIVATE_KEY"}}
	case keyfiles.LooksLikeKey(env.privateKeyFile):
		return nil, &usageError{"SFCRED_PRIVATE_KEY_FILE holds a key, where the name of a file is wanted", []string{"export SFCRED_PRIVATE_KEY_FILE=KEY_FILE"}}
	}
	profile := helper.Profile{ClientID: env.clientID, TokenURL: env.tokenURL, APIURL: env.apiURL}
	if site := helper.Sites()[0]; profile.TokenURL == "" {
		profile.TokenURL, profile.Hosts = site.TokenURL, site.Hosts
		profile.APIURL = cmp.Or(profile.APIURL, site.APIURL)
	}
	for host := range strings.SplitSeq(env.hosts, ",") {
		if host = strings.TrimSpace(host); host != "" {
			profile.Hosts = append(profile.Hosts, host)
		}
	}
	if err := profile.Check(); err != nil {
		return nil, &usageError{text: fmt.Sprintf("profile %q (from SFCRED_ variables): %v", envName, err)}
	}
	return &chosen{envName, profile, p.openEnv()}, nil
}

// openEnv opens the key of the profile from variables.
func (p *program) openEnv() opener {
	if path := p.env.privateKeyFile; path != "" {
		stores := p.stores()
		return func(ctx context.Context) (crypto.MessageSigner, error) {
			return stores.Signer(ctx, keychain.Ref{Store: keychain.StorePEM, Path: path})
		}
	}
	return func(ctx context.Context) (crypto.MessageSigner, error) {
		var ask func() ([]byte, error)
		if passphrase := p.passphraseFromFile(); passphrase != nil {
			ask = func() ([]byte, error) { return passphrase(ctx, false, "SFCRED_PRIVATE_KEY") }
		}
		file, err := jose.Load([]byte(p.env.privateKey), ask)
		if err != nil {
			return nil, &keychain.Error{Store: envName, Reason: fmt.Sprintf("read SFCRED_PRIVATE_KEY: %v", err), Err: kindOf(err)}
		}
		return file.Signer(), nil
	}
}

// kindOf is the kind that an error with a key has where it is a store's. What a
// store has said itself, of the passphrase's file, stays.
func kindOf(err error) error {
	switch {
	case errors.Is(err, jose.ErrEncrypted), errors.As(err, new(*keychain.Error)):
		return err
	case errors.Is(err, jose.ErrPassphrase):
		return keychain.ErrPassphrase
	}
	return keychain.ErrDamaged
}
