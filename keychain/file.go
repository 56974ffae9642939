package keychain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"filippo.io/age"

	"sfcred/keychain/disk"
)

// scryptWorkFactor is the log2 of scrypt's N for new files: 256 MiB and about
// 0.7 s, age's own default. Files may ask for more, up to maxWorkFactor (1 GiB,
// about 3 s), so that a planted one cannot keep us busy for hours.
const (
	scryptWorkFactor = 18
	maxWorkFactor    = 20
)

// maxKeyFile bounds what is read of a file with one key.
const maxKeyFile = 64 << 10 // 64 KiB, as jose.Parse

// fileError makes an [Error] of StoreFile.
func fileError(kind error, format string, args ...any) error {
	return &Error{StoreFile, fmt.Sprintf(format, args...), kind}
}

// keyPath returns the file of the key id.
func (s *Stores) keyPath(id string) (string, error) {
	if s.Dir == "" {
		return "", fileError(ErrUnavailable, "there is no directory for key files")
	}
	if !validID(id) {
		return "", badID(id)
	}
	return filepath.Join(s.Dir, id+".age"), nil
}

// checkFile reports whether a passphrase could be had and Dir made and written.
func (s *Stores) checkFile() error {
	if s.Passphrase == nil {
		return fileError(ErrLocked, "there is no passphrase for the key, and nobody to ask for it")
	}
	if s.Dir == "" {
		return fileError(ErrUnavailable, "there is no directory for key files")
	}
	dir := s.Dir
	info, err := os.Stat(dir)
	for errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir {
		dir = filepath.Dir(dir)
		info, err = os.Stat(dir)
	}
	if err == nil && !info.IsDir() {
		err = errors.New("not a directory")
	}
	if err == nil {
		err = writable(dir)
	}
	if err != nil {
		return fileError(ErrUnavailable, "the key directory %q cannot be written: %v", s.Dir, cause(err))
	}
	return nil
}

func (s *Stores) readFile(ctx context.Context, id string) (string, error) {
	path, err := s.keyPath(id)
	if err != nil {
		return "", err
	}
	sealed, err := disk.ReadPrivate(path, maxKeyFile)
	var unsafe *disk.UnsafeError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fileError(ErrNotFound, "there is no key file %q", path)
	case errors.As(err, &unsafe):
		return "", &Error{StoreFile, unsafe.Error(), unsafe}
	case err != nil:
		return "", fileError(ErrUnavailable, "read key file %q: %v", path, cause(err))
	}
	passphrase, err := s.passphrase(ctx, false, path)
	if err != nil {
		return "", err
	}
	return unseal(ctx, path, sealed, passphrase)
}

func (s *Stores) putFile(ctx context.Context, id, text string) error {
	path, err := s.keyPath(id)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("key file %q is there already", path)
	}
	passphrase, err := s.passphrase(ctx, true, path)
	if err != nil {
		return err
	}
	sealed, err := s.seal(ctx, path, text, passphrase)
	if err != nil {
		return err
	}
	if err := disk.WriteFile(path, sealed); err != nil {
		return err
	}
	written, err := disk.ReadPrivate(path, maxKeyFile)
	if err != nil {
		return fmt.Errorf("read back key file %q: %w", path, err)
	}
	// The memory scrypt took is free, but would be taken a second time.
	runtime.GC()
	back, err := unseal(ctx, path, written, passphrase)
	if err != nil {
		return err
	}
	if back != text {
		return fileError(ErrDamaged, "key file %q holds something else than was written", path)
	}
	return nil
}

func (s *Stores) deleteFile(id string) error {
	path, err := s.keyPath(id)
	if err != nil {
		return err
	}
	// A writer that was killed may have got no further than this.
	if err := disk.RemoveLeft(path); err != nil {
		return err
	}
	err = os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fileError(ErrNotFound, "there is no key file %q", path)
	}
	return err
}

// passphrase asks for the passphrase of the key file at path.
func (s *Stores) passphrase(ctx context.Context, confirm bool, path string) (string, error) {
	if s.Passphrase == nil {
		return "", fileError(ErrLocked, "key file %q needs a passphrase, and there is nobody to ask for it", path)
	}
	passphrase, err := s.Passphrase(ctx, confirm, fmt.Sprintf("key file %q", path))
	if err != nil {
		return "", fmt.Errorf("passphrase of key file %q: %w", path, err)
	}
	if len(passphrase) == 0 {
		return "", fileError(ErrPassphrase, "the passphrase of key file %q is empty", path)
	}
	return string(passphrase), nil
}

// seal encrypts text for the passphrase.
func (s *Stores) seal(ctx context.Context, path, text, passphrase string) ([]byte, error) {
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, fmt.Errorf("encrypt key file %q: %w", path, err)
	}
	recipient.SetWorkFactor(scryptWorkFactor)
	if s.workFactor != 0 {
		recipient.SetWorkFactor(s.workFactor)
	}
	late := fileError(ErrTimeout, "there was not enough time to encrypt key file %q", path)
	return bounded(ctx, late, func() ([]byte, error) {
		var sealed bytes.Buffer
		w, err := age.Encrypt(&sealed, recipient)
		if err != nil {
			return nil, err
		}
		if _, err := io.WriteString(w, text); err != nil {
			return nil, err
		}
		err = w.Close()
		return sealed.Bytes(), err
	})
}

// unseal decrypts what seal made; path is for the errors.
func unseal(ctx context.Context, path string, sealed []byte, passphrase string) (string, error) {
	identity, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return "", fmt.Errorf("decrypt key file %q: %w", path, err)
	}
	identity.SetMaxWorkFactor(maxWorkFactor)
	damaged := fileError(ErrDamaged, "key file %q is damaged", path)
	late := fileError(ErrTimeout, "there was not enough time to decrypt key file %q", path)
	return bounded(ctx, late, func() (string, error) {
		r, err := age.Decrypt(bytes.NewReader(sealed), identity)
		var mismatch *age.NoIdentityMatchError
		if errors.As(err, &mismatch) && len(mismatch.StanzaTypes) == 1 && mismatch.StanzaTypes[0] == "scrypt" {
			return "", fileError(ErrPassphrase, "wrong passphrase for key file %q", path)
		}
		if err != nil {
			return "", damaged
		}
		text, err := io.ReadAll(io.LimitReader(r, maxKeyFile))
		if err != nil {
			return "", damaged
		}
		return string(text), nil
	})
}
