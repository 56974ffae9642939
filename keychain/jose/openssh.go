package jose

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// openSSHMagic opens the format of
// https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.key.
const openSSHMagic = "openssh-key-v1\x00"

// openSSHHeader is the part of an OpenSSH key that is never encrypted.
type openSSHHeader struct {
	Cipher, KDF, KDFOptions string
	Keys                    uint32
	PublicKey, PrivateKey   []byte
	Rest                    []byte `ssh:"rest"` // the tag of ciphers that have one
}

func (h *openSSHHeader) isEncrypted() bool { return h.Cipher != "none" }

// parseOpenSSH reads an OpenSSH key and returns its format. The errors of
// x/crypto/ssh are left out: they may quote the key.
func parseOpenSSH(block *pem.Block, passphrase func() ([]byte, error)) (*Key, string, error) {
	header, err := readOpenSSH(block.Bytes)
	if err != nil {
		return nil, "", err
	}
	format := "OpenSSH"
	var raw any
	encoded := pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})
	if header.isEncrypted() {
		format = "encrypted OpenSSH"
		var phrase []byte
		if phrase, err = ask(passphrase); err != nil {
			return nil, format, err
		}
		raw, err = ssh.ParseRawPrivateKeyWithPassphrase(encoded, phrase)
	} else {
		raw, err = ssh.ParseRawPrivateKey(encoded)
	}
	if errors.Is(err, x509.IncorrectPasswordError) {
		return nil, "", ErrPassphrase
	}
	if err != nil {
		return nil, "", fmt.Errorf("%w or damaged OpenSSH key", errMalformed)
	}
	key, err := newKey(raw)
	if err != nil {
		return nil, "", err
	}
	public, err := ssh.NewPublicKey(key.Public())
	if err != nil || !bytes.Equal(public.Marshal(), header.PublicKey) {
		return nil, "", errMismatch
	}
	return key, format, nil
}

// readOpenSSH reads the header and refuses by name what x/crypto/ssh refuses
// without one.
func readOpenSSH(data []byte) (*openSSHHeader, error) {
	malformed := fmt.Errorf("%w OpenSSH key", errMalformed)
	rest, found := bytes.CutPrefix(data, []byte(openSSHMagic))
	var header openSSHHeader
	var public struct {
		Type string
		Rest []byte `ssh:"rest"`
	}
	if !found || ssh.Unmarshal(rest, &header) != nil || ssh.Unmarshal(header.PublicKey, &public) != nil {
		return nil, malformed
	}
	switch {
	case header.Keys != 1:
		return nil, fmt.Errorf("an OpenSSH file with %d keys: want exactly one", header.Keys)
	case public.Type == "ssh-dss":
		return nil, errDSA
	case strings.HasPrefix(public.Type, "sk-"):
		return nil, errors.New("a handle of a hardware security key, which holds no private key")
	case header.Cipher != "none" && header.Cipher != "aes256-ctr" && header.Cipher != "aes256-cbc":
		return nil, errors.New("an OpenSSH key in an unsupported cipher: only AES-256 in CTR or CBC mode is supported")
	}
	return &header, nil
}
