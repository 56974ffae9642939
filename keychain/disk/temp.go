package disk

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
)

// TempDir is a private directory that goes with the process that made it. If
// that is killed, [SweepTempDirs] removes it.
//
// A lock tells whether the process lives; its ID would not do, for it may be
// another's by now. The lock file is beside the directory, is there before it
// and goes after it: inside, it could be made again while all is being removed.
type TempDir struct {
	*Dir
	parent *Dir
	name   string
	unlock func()
}

// lockSuffix ends the name of a TempDir's lock file.
const lockSuffix = ".lock"

// MakeTempDir makes a directory in the one at parent, which is opened and made
// as by [OpenDir].
func MakeTempDir(parent string) (*TempDir, error) {
	d, err := OpenDir(parent)
	if err != nil {
		return nil, err
	}
	t, err := d.makeTemp()
	if err != nil {
		d.Close()
		return nil, err
	}
	return t, nil
}

func (d *Dir) makeTemp() (*TempDir, error) {
	name, unlock, err := d.lockTemp()
	if err != nil {
		return nil, err
	}
	own, err := OpenDir(d.join(name))
	if err != nil {
		d.removeTemp(name, unlock)
		return nil, err
	}
	return &TempDir{own, d, name, unlock}, nil
}

// lockTemp finds a name, and takes its lock.
func (d *Dir) lockTemp() (name string, unlock func(), err error) {
	for range 10 {
		name := rand.Text()
		unlock, ok, err := d.TryLock(name + lockSuffix)
		switch {
		case ok:
			return name, unlock, nil
		case errors.Is(err, errors.ErrUnsupported):
			return name, func() {}, nil // nobody can have the lock, so nobody sweeps
		case err != nil:
			return "", nil, err
		}
		// It was swept in the moment between the file and the lock.
	}
	return "", nil, fmt.Errorf("no lock in %q stays", d.path)
}

// Path is where the file name is.
func (t *TempDir) Path(name string) string { return t.join(name) }

// WriteFile is [Dir.WriteFile], and shows whoever cleans /tmp by age that the
// lock is in use.
func (t *TempDir) WriteFile(name string, data []byte) error {
	now := time.Now()
	_ = t.parent.root.Chtimes(t.name+lockSuffix, now, now)
	return t.Dir.WriteFile(name, data)
}

// Close removes the directory with all that is in it.
func (t *TempDir) Close() error {
	t.parent.removeTemp(t.name, t.unlock)
	return errors.Join(t.Dir.Close(), t.parent.Close())
}

// SweepTempDirs removes the TempDirs in the directory at parent whose processes
// are gone. What cannot be removed stays for another time.
func SweepTempDirs(parent string) {
	if _, err := os.Lstat(parent); err != nil {
		return
	}
	d, err := OpenDir(parent)
	if err != nil {
		return
	}
	defer d.Close()
	entries, err := fs.ReadDir(d.root.FS(), ".")
	if err != nil {
		return
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), lockSuffix)
		if !ok {
			continue
		}
		if unlock, ok, err := d.TryLock(e.Name()); err == nil && ok {
			d.removeTemp(name, unlock)
		}
	}
}

// removeTemp removes a TempDir under its lock, and the lock file. On Windows
// that cannot go while it is open.
func (d *Dir) removeTemp(name string, unlock func()) {
	_ = d.root.RemoveAll(name)
	_ = d.root.Remove(name + lockSuffix)
	unlock()
	_ = d.root.Remove(name + lockSuffix)
}
