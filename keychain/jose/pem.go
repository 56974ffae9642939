package jose

import (
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

const pemBegin = "-----BEGIN "

// parsePEM reads the only private key among the PEM blocks of text. Others may
// stand beside it: EC PARAMETERS are usual, certificates harmless.
func parsePEM(text string, passphrase func() ([]byte, error)) (*File, error) {
	text = unfold(text)
	blocks, err := pemBlocks(text)
	if err != nil {
		return nil, err
	}
	var private []*pem.Block
	for _, block := range blocks {
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			private = append(private, block)
		}
	}
	if len(private) == 0 {
		return nil, refusePEM(blocks)
	}
	if len(private) > 1 {
		return nil, fmt.Errorf("a PEM with %d private keys: want exactly one", len(private))
	}
	preamble, _, _ := strings.Cut(text, pemBegin)
	id := strings.TrimSpace(preamble)
	if !IsClientID(id) {
		id = ""
	}
	key, format, err := parseBlock(private[0], passphrase)
	if errors.Is(err, ErrEncrypted) {
		return nil, &EncryptedError{ClientID: id, Format: format}
	}
	if err != nil {
		return nil, err
	}
	return &File{Key: key, ClientID: id, Format: format}, nil
}

// unfold gives every line of a PEM its own line, without space around it: line
// ends of any system, "\n" written out as environment variables have it, and
// the indent of YAML.
func unfold(text string) string {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n", `\r\n`, "\n", `\n`, "\n").Replace(text)
	var unfolded strings.Builder
	for line := range strings.Lines(text) {
		unfolded.WriteString(strings.TrimSpace(line))
		unfolded.WriteByte('\n')
	}
	return unfolded.String()
}

// pemBlocks decodes all blocks. encoding/pem steps over what is damaged; here
// that is an error, since it may be the key.
func pemBlocks(text string) ([]*pem.Block, error) {
	begins, ends := 0, 0
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, pemBegin) {
			begins++
		}
		if strings.HasPrefix(line, "-----END ") {
			ends++
		}
	}
	var blocks []*pem.Block
	for block, rest := pem.Decode([]byte(text)); block != nil; block, rest = pem.Decode(rest) {
		blocks = append(blocks, block)
	}
	if ends < begins {
		return nil, errors.New("the PEM ends before its END line")
	}
	if len(blocks) != begins || begins == 0 {
		return nil, fmt.Errorf("%w PEM", errMalformed)
	}
	return blocks, nil
}

// refusePEM says what a PEM without a private key holds.
func refusePEM(blocks []*pem.Block) error {
	for _, block := range blocks {
		switch block.Type {
		case "PUBLIC KEY", "RSA PUBLIC KEY":
			return errPublic
		case "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE":
			return errors.New("a certificate, not a private key")
		case "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST":
			return errors.New("a certificate request, not a private key")
		}
	}
	return errors.New("a PEM without a private key")
}

// isSSHPublic recognises a line of a .pub or authorized_keys file, and the
// form of RFC 4716.
func isSSHPublic(text string) bool {
	for _, prefix := range []string{"ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-", "---- BEGIN SSH2 PUBLIC KEY"} {
		if strings.HasPrefix(text, prefix) {
			return true
		}
	}
	return false
}

// parseBlock reads one private key and names its format.
func parseBlock(block *pem.Block, passphrase func() ([]byte, error)) (key *Key, format string, err error) {
	switch block.Type {
	case "RSA PRIVATE KEY", "EC PRIVATE KEY", "PRIVATE KEY":
		format = formatOf(block.Type)
		if block.Headers["DEK-Info"] != "" {
			key, err = parseLegacyPEM(block, passphrase)
			return key, "encrypted " + format, err
		}
		key, err = parseDER(block.Type, block.Bytes)
		return key, format, err
	case "ENCRYPTED PRIVATE KEY":
		key, err = parsePBES2(block.Bytes, passphrase)
		return key, "encrypted PKCS#8 PEM", err
	case "OPENSSH PRIVATE KEY":
		return parseOpenSSH(block, passphrase)
	case "DSA PRIVATE KEY":
		return nil, "", errDSA
	}
	return nil, "", errKind
}

// formatOf names the format of a plain block.
func formatOf(label string) string {
	switch label {
	case "RSA PRIVATE KEY":
		return "PKCS#1 PEM"
	case "EC PRIVATE KEY":
		return "SEC 1 PEM"
	}
	return "PKCS#8 PEM"
}
