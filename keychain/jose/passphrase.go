package jose

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// ask gets the passphrase of an encrypted key. An empty one opens nothing.
func ask(passphrase func() ([]byte, error)) ([]byte, error) {
	if passphrase == nil {
		return nil, ErrEncrypted
	}
	phrase, err := passphrase()
	if err != nil {
		return nil, fmt.Errorf("get its passphrase: %w", err)
	}
	if len(phrase) == 0 {
		return nil, ErrPassphrase
	}
	return phrase, nil
}

// parseLegacyPEM reads a block encrypted as RFC 1421 has it, with Proc-Type
// and DEK-Info. crypto/x509 calls the scheme insecure by design; people still
// have such keys, and we only take them out of it.
func parseLegacyPEM(block *pem.Block, passphrase func() ([]byte, error)) (*Key, error) {
	phrase, err := ask(passphrase)
	if err != nil {
		return nil, err
	}
	//lint:ignore SA1019 see above
	der, err := x509.DecryptPEMBlock(block, phrase)
	if errors.Is(err, x509.IncorrectPasswordError) {
		return nil, ErrPassphrase
	}
	if err != nil {
		return nil, errors.New("an encrypted PEM that is malformed or not in DES, 3DES or AES")
	}
	key, err := parseDER(block.Type, der)
	if errors.Is(err, errMalformed) {
		return nil, ErrPassphrase // its padding is right for one wrong passphrase in 256
	}
	return key, err
}
