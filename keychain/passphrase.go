package keychain

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"

	"sfcred/keychain/disk"
)

// maxPassphrase bounds what is read of a file with a passphrase.
const maxPassphrase = 4 << 10 // 4 KiB: nobody types more

// ReadPassphrase reads the passphrase for StoreFile and for encrypted key files
// out of a file, which may be a pipe that a password manager fills; its line
// end is left out. Who reads it has the key, so the file is judged as a key file
// is. It gives up when ctx ends. Its errors are an [Error].
func ReadPassphrase(ctx context.Context, path string) ([]byte, error) {
	late := fileError(ErrTimeout, "nothing came from passphrase file %q", path)
	return bounded(ctx, late, func() ([]byte, error) {
		f, err := openFile(path)
		if errors.Is(err, fs.ErrNotExist) { // it may be the passphrase itself
			return nil, fileError(ErrLocked, "the passphrase file, whose name is not repeated, is not there")
		}
		if err != nil {
			return nil, fileError(ErrLocked, "open passphrase file %q: %v", path, cause(err))
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return nil, fileError(ErrLocked, "open passphrase file %q: %v", path, cause(err))
		}
		if reason := unsafeKeyFile(path, info); reason != "" {
			unsafe := &disk.UnsafeError{Path: path, Reason: reason}
			return nil, &Error{StoreFile, unsafe.Error(), unsafe}
		}
		text, err := io.ReadAll(io.LimitReader(f, maxPassphrase+1))
		if err == nil && len(text) > maxPassphrase {
			err = errors.New("larger than 4 KiB")
		}
		if err != nil {
			return nil, fileError(ErrLocked, "read passphrase file %q: %v", path, cause(err))
		}
		return bytes.TrimRight(text, "\r\n"), nil
	})
}
