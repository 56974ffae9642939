package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"

	"sfcred/keychain/keyfiles"
)

// environment is what sfcred reads from its environment. An empty variable is
// as good as none.
type environment struct {
	// settings: the flags of the same names
	profile, config, timeout, verbose string
	// the profile "env"
	clientID, privateKey, privateKeyFile, tokenURL, apiURL, hosts string
	passphraseFile                                                string
	// where things are
	home, configHome, dataHome, runtimeDir string
	bus                                    string // of D-Bus
	agent                                  string // the ssh-agent's socket
	nested                                 bool   // a program of the command store has called us
	caFile                                 string
	execInfo                               string // of kubectl
}

// readEnvironment also takes what leads to a key out of the environment, so
// that no child gets it.
func readEnvironment() environment {
	env := environment{
		profile:        os.Getenv("SFCRED_PROFILE"),
		config:         os.Getenv("SFCRED_CONFIG"),
		timeout:        os.Getenv("SFCRED_TIMEOUT"),
		verbose:        os.Getenv("SFCRED_VERBOSE"),
		clientID:       os.Getenv("SFCRED_CLIENT_ID"),
		privateKey:     os.Getenv("SFCRED_PRIVATE_KEY"),
		privateKeyFile: os.Getenv("SFCRED_PRIVATE_KEY_FILE"),
		tokenURL:       os.Getenv("SFCRED_TOKEN_URL"),
		apiURL:         os.Getenv("SFCRED_API_URL"),
		hosts:          os.Getenv("SFCRED_HOSTS"),
		passphraseFile: os.Getenv("SFCRED_PASSPHRASE_FILE"),
		home:           absolute(homeDir()),
		configHome:     absolute(os.Getenv("XDG_CONFIG_HOME")),
		dataHome:       absolute(os.Getenv("XDG_DATA_HOME")),
		runtimeDir:     absolute(os.Getenv("XDG_RUNTIME_DIR")),
		bus:            os.Getenv("DBUS_SESSION_BUS_ADDRESS"),
		agent:          os.Getenv("SSH_AUTH_SOCK"),
		nested:         os.Getenv("SFCRED_NESTED") != "",
		execInfo:       os.Getenv("KUBERNETES_EXEC_INFO"),
	}
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		env.caFile = os.Getenv("SSL_CERT_FILE") // elsewhere crypto/x509 honours it
	}
	os.Unsetenv("SFCRED_PRIVATE_KEY")
	os.Unsetenv("SFCRED_PASSPHRASE_FILE")
	if keyfiles.LooksLikeKey(env.privateKeyFile) {
		os.Unsetenv("SFCRED_PRIVATE_KEY_FILE")
	}
	return env
}

func homeDir() string {
	home, _ := os.UserHomeDir() // "" says that there is none
	return home
}

// absolute drops a path that depends on the working directory; the XDG base
// directory specification wants it ignored.
func absolute(path string) string {
	if !filepath.IsAbs(path) {
		return ""
	}
	return path
}

var errNoHome = errors.New("HOME is not set, so there is no place for it")

// configPath is where the config file is.
func (p *program) configPath() (string, error) {
	switch env := p.env; {
	case p.config != "":
		return p.config, nil
	case runtime.GOOS == "windows":
		dir, err := os.UserConfigDir()
		if err != nil {
			return "", errNoHome
		}
		return filepath.Join(dir, "sfcred", "config.toml"), nil
	case env.configHome != "":
		return filepath.Join(env.configHome, "sfcred", "config.toml"), nil
	case env.home != "":
		return filepath.Join(env.home, ".config", "sfcred", "config.toml"), nil
	}
	return "", errNoHome
}

// dataDir is where encrypted keys and what was learnt are; "" if there is no
// place for them.
func (p *program) dataDir() string {
	switch env := p.env; {
	case env.dataHome != "":
		return filepath.Join(env.dataHome, "sfcred")
	case runtime.GOOS == "windows":
		dir, err := os.UserCacheDir() // %LocalAppData%
		if err != nil {
			return ""
		}
		return filepath.Join(dir, "sfcred", "data")
	case env.home != "":
		return filepath.Join(env.home, ".local", "share", "sfcred")
	}
	return ""
}
