package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"sfcred/helper"
	"sfcred/keychain"
	"sfcred/keychain/disk"
)

// program is one run of sfcred: where it reads and writes, and what it was
// told.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	env            environment
	began          time.Time
	caught         error                    // the signal that ended what was being done
	alias          string                   // the helper whose name it was called by, or ""
	pace           pace                     // of exec's renewals
	warned         map[string]bool          // of what was warned already
	unkept         map[client]helper.Learnt // what could not be written
	core           coreLimit
	starting       func(chan os.Signal) // what a test does when a child is about to be started

	line *line // what is run

	// the global flags, or their variables
	profile, config string
	configFlag      string // config, where it was a flag
	timeout         time.Duration
	timeoutFlag     bool // it was a flag
	verbose         bool
}

func newProgram(began time.Time) *program {
	return &program{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, env: readEnvironment(), began: began, pace: usualPace(), warned: map[string]bool{}}
}

// run does what the command line says and returns the exit code.
func (p *program) run(ctx context.Context, args []string) (code int) {
	defer func() {
		if value := recover(); value != nil {
			code = p.fail(panicked(value))
		}
	}()
	tools := p.tools()
	app := p.app(tools)
	words := args[1:]
	if p.alias = aliasOf(tools, args[0]); p.alias != "" {
		words = append([]string{"helper", p.alias}, words...)
	}
	l, err := parseLine(app, words)
	if err == nil {
		err = p.do(ctx, l)
	}
	var bare *bareError
	var child *childError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &child) && child.err == nil: // p.caught is what ended it
	case errors.As(err, &bare):
		fmt.Fprint(p.stderr, helpOf(app, bare.path))
	case errors.As(p.caught, new(signalError)), errors.Is(err, errInterrupted):
		var sig signalError
		if errors.As(err, &sig) { // that a person has typed, or that a question was ended by
			p.caught = sig
		}
		err = errInterrupted
	}
	if l.endsAsChild() {
		err = childless(err)
	}
	return p.fail(err)
}

// do does what a line says.
func (p *program) do(ctx context.Context, l *line) error {
	switch {
	case l.version && p.alias != "":
		return &usageError{text: "--version is refused under this name", hints: []string{"sfcred version"}}
	case l.version:
		return p.version(nil)
	case l.help:
		return p.answer(helpOf(l.app, l.path))
	}
	p.line = l
	return l.invoke(ctx, p.before)
}

// aliasOf is the helper that a binary of that name is and nothing else, for
// tools that cannot pass arguments and for allow-lists that name a path.
func aliasOf(tools []tool, arg0 string) string {
	name := filepath.Base(arg0)
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" { // where the same file answers to any case
		name = strings.ToLower(name)
	}
	name = strings.TrimSuffix(name, ".exe")
	for _, t := range tools { // git and Terraform find theirs by other names
		if t.protocol.answer != nil && (name == "sfcred-"+t.name || name == t.linkName()) {
			return t.name
		}
	}
	return ""
}

// before reads the global flags and their variables.
func (p *program) before(c *cli.Context) error {
	if p.alias != "" {
		if err := p.checkAlias(c); err != nil {
			return err
		}
	}
	p.profile = cmp.Or(c.String("profile"), p.env.profile)
	p.configFlag = c.String("config")
	p.config = cmp.Or(p.configFlag, p.env.config)
	var err error
	if p.timeout, err = parseDuration(cmp.Or(c.String("timeout"), p.env.timeout, "8s")); err != nil || p.timeout == 0 {
		return &usageError{text: fmt.Sprintf("timeout %q: not a duration such as 8s", cmp.Or(c.String("timeout"), p.env.timeout))}
	}
	p.timeoutFlag = c.String("timeout") != ""
	p.verbose = c.Bool("verbose")
	if text := p.env.verbose; text != "" && !c.IsSet("verbose") {
		if p.verbose, err = strconv.ParseBool(text); err != nil {
			return &usageError{text: fmt.Sprintf("SFCRED_VERBOSE=%s: neither true nor false", text)}
		}
	}
	return nil
}

// checkAlias holds a helper that was called by its own name to being nothing
// else: an allow-list that names it must not have allowed more.
func (p *program) checkAlias(c *cli.Context) error {
	switch {
	case c.IsSet("config"):
		return &usageError{text: "--config is refused under this name"}
	case p.env.config != "":
		return &usageError{text: "SFCRED_CONFIG is refused under this name", hints: []string{"unset SFCRED_CONFIG"}}
	case p.alias == "kubectl" && p.env.clientID != "": // a kubeconfig sets this helper's variables
		return &usageError{text: "SFCRED_CLIENT_ID is refused under this name", hints: []string{"unset SFCRED_CLIENT_ID"}}
	}
	return nil
}

// deadline gives an answer's context.
func (p *program) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, listen, stop := p.untilSignal(ctx)
	listen()
	ctx, cancel := p.inTime(ctx)
	return ctx, func() { stop(); cancel() }
}

// inTime ends a context when an answer is late.
func (p *program) inTime(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, p.timeout, &lateError{p.timeout})
}

// configFile is the config file, or why there is none.
func (p *program) configFile() (helper.ConfigFile, error) {
	path, err := p.configPath()
	if err != nil {
		return "", fmt.Errorf("config file: %w", err)
	}
	return helper.ConfigFile(path), nil
}

// source gives the tokens of a profile.
func (p *program) source(profile helper.Profile, open opener) *helper.Source {
	s := &helper.Source{
		Profile:   profile,
		Signer:    open,
		CacheDir:  p.cacheDir(),
		Proxy:     proxyFor,
		UserAgent: "sfcred", // no version: finding it costs the warm path
		Warn:      p.warn,
		Trace:     p.trace,
	}
	if p.env.caFile != "" {
		s.CAFiles = []string{p.env.caFile}
	}
	return s
}

// cacheDir is where tokens are kept. The runtime directory is in memory and
// goes with the session; it must be the user's own, as its specification says.
func (p *program) cacheDir() string {
	if runtime.GOOS == "windows" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return ""
		}
		return filepath.Join(dir, "sfcred", "cache")
	}
	if dir := p.env.runtimeDir; dir != "" && ownAndClosed(dir) {
		return filepath.Join(dir, "sfcred")
	}
	return filepath.Join(os.TempDir(), "sfcred-"+strconv.Itoa(os.Getuid()))
}

// stores are the key stores as this process can reach them.
func (p *program) stores() *keychain.Stores {
	s := &keychain.Stores{
		Bus: p.env.bus, Agent: p.env.agent, Nested: p.env.nested,
		Passphrase: p.passphraseFromFile(), Stderr: p.stderr,
	}
	if dir := p.dataDir(); dir != "" {
		s.Dir = filepath.Join(dir, "keys")
	}
	return s
}

// ownAndClosed says whether a directory is the user's and closed to others.
func ownAndClosed(dir string) bool {
	info, err := os.Lstat(dir)
	if err != nil || !info.IsDir() {
		return false
	}
	uid, ok := disk.Owner(info)
	return ok && uid == os.Geteuid() && info.Mode().Perm()&0o077 == 0
}
