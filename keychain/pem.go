package keychain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"sfcred/keychain/disk"
	"sfcred/keychain/jose"
)

// pemError makes an [Error] of StorePEM.
func pemError(kind error, format string, args ...any) error {
	return &Error{StorePEM, fmt.Sprintf(format, args...), kind}
}

// readPEM reads the key file at path, where the user has it.
func (s *Stores) readPEM(ctx context.Context, path string) (*jose.File, error) {
	late := pemError(ErrTimeout, "nothing came from key file %q", path)
	data, err := bounded(ctx, late, func() ([]byte, error) { return readKeyFile(path) })
	if err != nil {
		return nil, err
	}
	return s.parseKeyFile(ctx, StorePEM, fmt.Sprintf("key file %q", path), data)
}

// parseKeyFile parses what a key file holds, or a store gives in the form of
// one; what names it for people.
func (s *Stores) parseKeyFile(ctx context.Context, store, what string, data []byte) (*jose.File, error) {
	file, err := loadKeyFile(ctx, store, what, data, nil)
	if !errors.Is(err, jose.ErrEncrypted) {
		return file, err
	}
	if s.Passphrase == nil {
		return nil, &Error{store, what + " is encrypted, and there is nobody to ask for its passphrase", ErrLocked}
	}
	passphrase, err := s.Passphrase(ctx, false, what)
	if err != nil {
		return nil, fmt.Errorf("passphrase of %s: %w", what, err)
	}
	return loadKeyFile(ctx, store, what, data, func() ([]byte, error) { return passphrase, nil })
}

// loadKeyFile parses within ctx, for an encrypted file says itself how much
// work it is. The passphrase was asked for before, since an abandoned question
// would stay on the terminal; jose.ErrEncrypted says that one is needed.
func loadKeyFile(ctx context.Context, store, what string, data []byte, passphrase func() ([]byte, error)) (*jose.File, error) {
	doing := "read"
	if passphrase != nil {
		doing = "decrypt"
	}
	late := &Error{store, "there was not enough time to " + doing + " " + what, ErrTimeout}
	return bounded(ctx, late, func() (*jose.File, error) {
		file, err := jose.Load(data, passphrase)
		switch {
		case err == nil:
			return file, nil
		case errors.Is(err, jose.ErrEncrypted):
			return nil, err
		case errors.Is(err, jose.ErrPassphrase):
			return nil, &Error{store, "wrong passphrase for " + what, ErrPassphrase}
		}
		return nil, &Error{store, fmt.Sprintf("read %s: %v", what, err), ErrDamaged}
	})
}

// readKeyFile returns what the file holds if nobody else could read it. What
// is judged is the opened file, so the target of a link.
func readKeyFile(path string) ([]byte, error) {
	f, err := openFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, pemError(ErrNotFound, "there is no key file %q", path)
	}
	if err != nil {
		return nil, pemError(ErrUnavailable, "open key file %q: %v", path, cause(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, pemError(ErrUnavailable, "open key file %q: %v", path, cause(err))
	}
	if info.IsDir() {
		return nil, pemError(ErrNotFound, "key file %q is a directory", path)
	}
	if reason := unsafeKeyFile(path, info); reason != "" {
		unsafe := &disk.UnsafeError{Path: path, Reason: reason}
		return nil, &Error{StorePEM, unsafe.Error(), unsafe}
	}
	var r io.Reader = f
	if isDescriptor(path) && info.Mode().IsRegular() { // from its beginning, each time
		r = io.NewSectionReader(f, 0, maxKeyFile+1)
	}
	data, err := io.ReadAll(io.LimitReader(r, maxKeyFile+1))
	if err != nil {
		return nil, pemError(ErrUnavailable, "read key file %q: %v", path, cause(err))
	}
	if len(data) > maxKeyFile {
		return nil, pemError(ErrDamaged, "key file %q is larger than %d bytes", path, maxKeyFile)
	}
	return data, nil
}

// unsafeKeyFile returns a reason to refuse a file with a key or its passphrase,
// or "". A file of root's may be readable by a group: so Kubernetes gives a
// secret to a pod that has fsGroup. What lies behind a descriptor and has no name
// cannot be reached by others, whatever its mode says.
func unsafeKeyFile(path string, info fs.FileInfo) string {
	if isDescriptor(path) && !info.Mode().IsRegular() {
		return ""
	}
	uid, ok := disk.Owner(info)
	if !ok {
		return ""
	}
	if uid != os.Geteuid() && uid != 0 {
		return fmt.Sprintf("it belongs to uid %d", uid)
	}
	perm := info.Mode().Perm()
	readable := fs.FileMode(0o044)
	if uid == 0 {
		readable = 0o004
	}
	switch {
	case perm&0o022 != 0:
		return fmt.Sprintf("others can write it (mode %04o)", perm)
	case perm&readable != 0:
		return fmt.Sprintf("others can read it (mode %04o)", perm)
	}
	return ""
}

// isDescriptor reports whether path stands for an open file of this process.
func isDescriptor(path string) bool {
	return path == "/dev/stdin" || strings.HasPrefix(path, "/dev/fd/") || strings.HasPrefix(path, "/proc/self/fd/")
}

// cause takes the path off an error that has it, since ours name it already.
func cause(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}
