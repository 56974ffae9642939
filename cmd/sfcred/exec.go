package main

import (
	"context"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"sfcred/helper"
	"sfcred/keychain/disk"
)

func execFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "token-file", Usage: "put the token into the file `PATH`, in place of a token that is there; it goes when CMD ends"},
		&cli.StringFlag{Name: "mode", Usage: "the `MODE` of the file at --token-file, at most 0660 [0600]"},
		&cli.StringFlag{Name: "env", Usage: "put the token itself into the variable `NAME` as well, where it is not renewed"},
	}
}

const execDescription = `   CMD gets BEARER_TOKEN_FILE, the path of a private file with the token, and no
   BEARER_TOKEN, which would win over it. The file is replaced ahead of the
   token's end, removed where there is no new one by then, and gone when CMD ends.

   sfcred ends as CMD does: with its exit code, or by the same signal; with 125
   (126 not executable, 127 not found) where CMD has not started. Signals are
   passed on. If sfcred is killed with SIGKILL, CMD runs on with a token that is
   not renewed; what is left behind, the next "sfcred exec" removes, but not the
   file at --token-file.`

// execOptions is what a command line says about CMD.
type execOptions struct {
	argv     []string
	path     string // of the token file; "": a private one
	mode     fs.FileMode
	variable string // for the token itself, or ""
}

func readExec(c *cli.Context) (execOptions, error) {
	o := execOptions{argv: c.Args().Slice(), path: c.String("token-file"), mode: 0o600, variable: c.String("env")}
	wrong := func(flag string, err error) (execOptions, error) {
		hint := map[string]string{"mode": "--token-file PATH --mode 0640", "env": "--env TOKEN"}[flag]
		return o, &usageError{text: fmt.Sprintf("--%s: %v", flag, err), hints: []string{"sfcred exec " + hint + " -- CMD"}}
	}
	if c.IsSet("mode") {
		if o.path == "" {
			return wrong("mode", fmt.Errorf("only the file at --token-file can be for others"))
		}
		if runtime.GOOS == "windows" {
			return wrong("mode", fmt.Errorf("files have no such modes here"))
		}
		var err error
		if o.mode, err = parseMode(c.String("mode")); err != nil {
			return wrong("mode", err)
		}
	}
	if c.IsSet("env") {
		if err := checkVariable(o.variable); err != nil {
			return wrong("env", err)
		}
	}
	return o, nil
}

const letters = "_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// checkVariable refuses a variable that means something else to CMD, or to the
// shells, loaders and libraries under it.
func checkVariable(name string) error {
	if name == "" || strings.Trim(name, letters+"0123456789") != "" || !strings.ContainsRune(letters, rune(name[0])) {
		return fmt.Errorf("%q is no name of a variable", name)
	}
	upper := strings.ToUpper(name) // zsh ties path to PATH, Windows knows no case
	taken := slices.Contains([]string{
		"PATH", "PATHEXT", "CDPATH", "HOME", "PWD", "OLDPWD", "SHELL", "ENV", "BASH_ENV", "IFS", "USER", "LOGNAME",
		"TERM", "LANG", "TZ", "TMPDIR", "TEMP", "TMP", "COMSPEC", "SYSTEMROOT", "SSH_AUTH_SOCK", "BEARER_TOKEN_FILE",
	}, upper)
	for _, prefix := range []string{"LD_", "DYLD_", "SFCRED_", "XDG_", "LC_"} {
		taken = taken || strings.HasPrefix(upper, prefix)
	}
	if taken {
		return fmt.Errorf("%s is not for a token", name)
	}
	return nil
}

// exec runs a command with a token file that is kept fresh until it ends.
func (p *program) exec(c *cli.Context) error {
	o, err := readExec(c)
	if err != nil {
		return err
	}
	profile, err := p.choose()
	if err != nil {
		return err
	}
	p.profile = profile.name // renewals ask for it again, whatever is the default by then
	program, err := findProgram(o.argv[0])
	if err != nil {
		return err
	}
	want := helper.Want{MinTTL: time.Minute}
	if o.variable != "" {
		want.MinTTL = 24 * time.Hour // half of its life, since it will not be renewed
	}
	t, err := p.tokenForChild(c.Context, profile, want)
	if err != nil {
		return err
	}
	return p.execWith(c.Context, program, o, t)
}

// execWith runs the command with its first token in hand.
func (p *program) execWith(ctx context.Context, program string, o execOptions, t helper.Token) error {
	signals := heed() // before there is a file to be cleaned up
	file, err := p.openTokenFile(o, t.Value)
	if err != nil {
		return err
	}
	defer func() {
		if err := file.close(); err != nil {
			p.warn(fmt.Sprintf("token file: %v", err))
		}
	}()
	child, err := p.startChild(program, o.argv, p.execEnviron(o, file, t), streams{}, signals)
	if err != nil {
		return notRun(o.argv[0], err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go p.newKeeper(file, t).run(ctx)
	return p.end(child.attend())
}

// openTokenFile writes the token where it was asked for, after what earlier
// processes have left is gone.
func (p *program) openTokenFile(o execOptions, token string) (*tokenFile, error) {
	for _, dir := range p.tokenDirs() {
		disk.SweepTempDirs(dir)
	}
	if o.path != "" {
		return namedTokenFile(o.path, o.mode, token)
	}
	return p.newTokenFile(token)
}

// execEnviron is the command's environment.
func (p *program) execEnviron(o execOptions, file *tokenFile, t helper.Token) []string {
	// Readers look for BEARER_TOKEN first (WLCG bearer token discovery), and what
	// we have inherited there is another token, or an old one.
	without := []string{"BEARER_TOKEN", "BEARER_TOKEN_FILE"}
	with := []string{"BEARER_TOKEN_FILE=" + file.path}
	if o.variable != "" {
		without, with = append(without, o.variable), append(with, o.variable+"="+t.Value)
		life := ""
		if !t.Expires.IsZero() {
			life = "ends " + clockTime(t.Expires) + ", "
		}
		p.warn(fmt.Sprintf("the token in %s %sis not renewed, and can be read by all programs that run as you", o.variable, life))
	}
	return environ(without, with...)
}

// clockTime is a time as people need it who wait for minutes.
func clockTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
