//go:build kill

package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sfcred/keychain"
)

// every is how many bytes of a stored key lie between two that are damaged here.
// Package keychain's own tests damage each one.
const every = 7

// TestRealDamage damages what the stores have of a key, one byte at a time, and
// cuts it short. It must be told, and never be taken for another key; and a new
// login mends it.
func TestRealDamage(t *testing.T) {
	sfcred := release(t)
	for store, words := range map[string]string{
		keychain.StoreFile:     `key file "\S+" is damaged|wrong passphrase for key file "\S+"`,
		keychain.StoreKeychain: `key \w+ in store "keychain" is damaged`,
	} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			v := newVictim(t, sfcred)
			v.seed("*test third ec@" + store)
			good := v.storedOf("test")
			told := regexp.MustCompile(`^sfcred: error: profile "test": (` + words + `)\nsfcred: hint: (sfcred login --profile test --replace .*|export SFCRED_PASSPHRASE_FILE=FILE)\n$`)
			damage := func(what string, text []byte) {
				t.Helper()
				v.store("test", text)
				o := v.do("sfcred", "assertion")
				if o.code != exitStore || o.stdout != "" || !told.MatchString(o.stderr) {
					t.Errorf("%s: exit code %d, %d bytes on standard output, standard error:\n%s\nwant %d, none, and %s", what, o.code, len(o.stdout), o.stderr, exitStore, told)
				}
			}
			for i := 0; i < len(good); i += every {
				bad := bytes.Clone(good)
				bad[i] ^= 1 << (i % 8)
				damage(fmt.Sprintf("byte %d", i), bad)
				damage(fmt.Sprintf("cut at %d", i), good[:i])
			}
			damage("grown", append(bytes.Clone(good), 'x'))

			// What is there stays as it is, but for one who has the key.
			v.unchanged(func() {
				other := keychain.StoreFile
				if store == other {
					other = keychain.StoreKeychain
				}
				v.fails(exitStore, words, "edit", "--store", other)
				v.fails(exitStore, words, "login", "-p", "test", "--client-id", "swapped")
				v.fails(exitStore, words, "token", "--force")
			})
			v.answers("status")
			v.works("sfcred", "login", "-p", "test", "--client-id", "third", "--key", "ec.pem", "--replace")
			if got, want := v.state(), "*test third ec@"+store; got != want {
				t.Errorf("after a login the profiles are %q, want %q", got, want)
			}
			v.wantOnlyUsed()
			v.store("test", good[:len(good)/2])
			v.answers("remove", "--yes", "test")
			v.wantOnlyUsed()
		})
	}
}

// TestRealWrongPassphrase has commands open a key file with a passphrase that is
// not its own.
func TestRealWrongPassphrase(t *testing.T) {
	v := newVictim(t, release(t))
	v.seed("*test first key@file +other@file")
	wrong := &victim{}
	*wrong = *v
	wrong.user = v.with("SFCRED_PASSPHRASE_FILE=" + v.path("new"))
	const words = `^sfcred: error: %sprofile "test": wrong passphrase for key file "\S+"\n`
	inUse, pending := fmt.Sprintf(words, ""), fmt.Sprintf(words, "pending key of ")
	v.unchanged(func() {
		wrong.fails(exitStore, inUse, "token", "--force")
		wrong.fails(exitStore, inUse, "assertion")
		wrong.fails(exitStore, inUse, "edit", "--store", "keychain")
		wrong.fails(exitStore, pending, "keygen", "--show")
		wrong.fails(exitStore, pending, "login", "-p", "test", "--client-id", "second")
		dialogue := v.write("dialogue", nil) // nobody is asked for a new one first
		if o := wrong.do("person", dialogue, v.path("bin", "sfcred"), "edit", "--new-passphrase"); o.code != exitStore || !regexp.MustCompile(inUse).MatchString(o.stderr) {
			t.Errorf("edit --new-passphrase: exit code %d\n%s", o.code, o.stderr)
		}
	})
}

// storedOf is what its store has of a profile's key.
func (v *victim) storedOf(profile string) []byte {
	v.Helper()
	config, err := v.config().Load()
	check(v.T, err)
	return []byte(v.stored()[keychain.Ref{Store: config.Profiles[profile].Store, ID: config.Profiles[profile].KeyID}])
}

// store puts a text where a profile's key is.
func (v *victim) store(profile string, text []byte) {
	v.Helper()
	config, err := v.config().Load()
	check(v.T, err)
	p := config.Profiles[profile]
	if p.Store == keychain.StoreFile {
		check(v.T, os.WriteFile(v.keyFile(p.KeyID), text, 0o600))
		return
	}
	entries := v.secrets.Entries()
	entries[p.KeyID] = string(text)
	v.secrets.SetEntries("sfcred", entries)
}

// unchanged asserts that all that the user has is after something as it was
// before, but for empty files, which are locks.
func (v *victim) unchanged(something func()) {
	v.Helper()
	all := func() string {
		b := new(strings.Builder)
		fmt.Fprintln(b, v.stored())
		check(v.T, filepath.WalkDir(v.path("home"), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			text, err := os.ReadFile(path)
			if len(text) > 0 {
				fmt.Fprintf(b, "%s: %s\n", path, text)
			}
			return err
		}))
		return b.String()
	}
	before := all()
	something()
	if all() != before {
		v.Error("the user's files or keys have changed")
	}
}
