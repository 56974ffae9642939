package keyfiles

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"sfcred/keychain/disk"
	"sfcred/keychain/jose"
)

// maxFile is what jose.Parse takes.
const maxFile = 64 << 10

// How much a path has to do with keys: whether there is something to tell if
// it has none.
const (
	byContent = iota // only if what is in it looks like one
	byName           // yes, if it is there at all
	asGiven          // yes
)

// file is a file or variable that was looked at, and is a key or a problem.
type file struct {
	path     string   // "" for a variable
	variable string   // that holds it
	also     []string // other names of the file
	namedBy  []string // variables
	info     fs.FileInfo
	reason   string // why it is no key; or ""
	ownID    string
	with     []claim // of the client ID, by the variables that go with the key
	nearby   []claim // by the variables that may
	found    Found   // what is known of the key itself
}

// file looks at the file at path, once, whatever it is reached by. nil says
// that there is nothing to tell.
func (l *look) file(path string, how int) *file {
	if !l.goOn(path) {
		return nil
	}
	info, err := os.Stat(path)
	if isMissing(path, err) && how != asGiven {
		return nil
	}
	if f := l.known(path, info); f != nil {
		return f.reachedBy(path)
	}
	f := &file{path: path, info: info}
	var data []byte
	if err == nil {
		data, err = read(path, info, maxFile)
	}
	switch {
	case err == nil && how == byContent && !looksLikeKey(data):
		return nil
	case err == nil:
		f.parse(data)
	case how == byContent && !errors.Is(err, fs.ErrPermission): // that one may be a key
		return nil
	default:
		f.reason = why(path, err)
	}
	l.files = append(l.files, f)
	return f
}

// known returns the file that was come to before, under that name or another;
// info is nil if there is none.
func (l *look) known(path string, info fs.FileInfo) *file {
	for _, f := range l.files {
		if f.path == path || f.info != nil && info != nil && os.SameFile(f.info, info) {
			return f
		}
	}
	return nil
}

// reachedBy notes another name. The one that is no link is the file's own.
func (f *file) reachedBy(path string) *file {
	if path == f.path || slices.Contains(f.also, path) {
		return f
	}
	if isLink(f.path) && !isLink(path) {
		path, f.path = f.path, path
	}
	// By way of another directory it is the same name.
	own, err := filepath.EvalSymlinks(f.path)
	other, err2 := filepath.EvalSymlinks(path)
	if isLink(path) || err != nil || err2 != nil || own != other {
		f.also = append(f.also, path)
	}
	return f
}

// parse takes from a key what may be told of it.
func (f *file) parse(data []byte) {
	parsed, err := jose.Parse(data, nil)
	var encrypted *jose.EncryptedError
	switch {
	case errors.As(err, &encrypted):
		f.ownID = encrypted.ClientID
		f.found = Found{Format: encrypted.Format, Encrypted: true}
	case err != nil:
		f.reason = err.Error()
		if inner := errors.Unwrap(err); inner != nil { // without "parse key: "
			f.reason = inner.Error()
		}
	default:
		f.ownID = parsed.ClientID
		f.found = Found{
			Type: parsed.Key.Type(), Bits: parsed.Key.Bits(),
			Format: parsed.Format, Fingerprint: parsed.Key.Fingerprint(),
		}
	}
}

// looksLikeKey says whether a file of any name is worth a word if it is no key
// after all: a PEM of whatever, or JSON with a word that every JWK has.
func looksLikeKey(data []byte) bool {
	text := strings.TrimSpace(strings.TrimPrefix(string(data), "\uFEFF"))
	isJSON := strings.HasPrefix(text, "{") || strings.HasPrefix(text, `"`)
	return strings.Contains(text, "-----BEGIN ") || strings.HasPrefix(text, "PuTTY-User-Key-File-") ||
		isJSON && strings.Contains(text, "kty")
}

var errLarge = errors.New("larger than 64 KiB, which no key file is")

// read returns what the file at path holds, if it is a regular one and holds
// not more than limit. What is none is not even opened: opening a FIFO waits,
// and a device may do anything. Names change, so what was opened is looked at
// again.
func read(path string, info fs.FileInfo, limit int64) ([]byte, error) {
	if err := check(info, limit); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, err
	}
	if err := check(info, limit); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, errLarge // it grew, or has a size that means nothing
	}
	return data, err
}

func check(info fs.FileInfo, limit int64) error {
	switch {
	case info.IsDir():
		return errors.New("it is a directory")
	case !info.Mode().IsRegular():
		return errors.New("it is not a regular file")
	case info.Size() > limit:
		return errLarge
	}
	return nil
}

func isLink(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

// isMissing says whether there is nothing at path; a link that leads nowhere is
// something.
func isMissing(path string, err error) bool {
	return (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)) && !isLink(path)
}

// why says in our words why path cannot be read.
func why(path string, err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist) && isLink(path):
		return "a link that leads nowhere"
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such file"
	case errors.Is(err, syscall.ELOOP):
		return "a link that leads in circles"
	case errors.Is(err, fs.ErrPermission):
		return "it cannot be read: permission denied"
	}
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err
	}
	return err.Error()
}

// openTo says who else can reach the file, or "". A group may read a file of
// root's: so Kubernetes gives a secret to a pod that has fsGroup.
func openTo(info fs.FileInfo) string {
	uid, ok := disk.Owner(info)
	if !ok {
		return ""
	}
	perm := info.Mode().Perm()
	readable, writable := perm&0o044 != 0, perm&0o022 != 0
	if uid == 0 {
		readable = perm&0o004 != 0
	}
	switch {
	case readable && writable:
		return fmt.Sprintf("others can read and write it (mode %04o)", perm)
	case readable:
		return fmt.Sprintf("others can read it (mode %04o)", perm)
	case writable:
		return fmt.Sprintf("others can write it (mode %04o)", perm)
	case uid != os.Geteuid() && uid != 0:
		return fmt.Sprintf("it belongs to uid %d", uid)
	}
	return ""
}
