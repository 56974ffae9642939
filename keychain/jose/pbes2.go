package jose

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"
)

// maxIterations bounds the seconds that a hostile file can take: 16 times the
// 600,000 of today's advice for PBKDF2.
const maxIterations = 10_000_000

var errPBES2 = errors.New("an encrypted PKCS#8 key in an unsupported scheme: " +
	"only PBES2 with PBKDF2 and AES or 3DES in CBC mode is supported")

// pbes2 is an EncryptedPrivateKeyInfo (RFC 5958 section 3) in the scheme PBES2
// (RFC 8018 section 6.2), which is what openssl, ssh-keygen and Python write.
type pbes2 struct {
	salt       []byte
	iterations int
	newHash    func() hash.Hash
	newCipher  func(key []byte) (cipher.Block, error)
	keySize    int // bytes
	iv         []byte
	data       []byte
}

func parsePBES2(der []byte, passphrase func() ([]byte, error)) (*Key, error) {
	scheme, err := readPBES2(der)
	if err != nil {
		return nil, err
	}
	phrase, err := ask(passphrase)
	if err != nil {
		return nil, err
	}
	plain, err := scheme.decrypt(phrase)
	if err != nil {
		return nil, err
	}
	key, err := parseDER("PRIVATE KEY", plain)
	if errors.Is(err, errMalformed) {
		return nil, ErrPassphrase // its padding is right for one wrong passphrase in 256
	}
	return key, err
}

// readPBES2 reads and bounds everything before anybody is asked.
func readPBES2(der []byte) (*pbes2, error) {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return nil, fmt.Errorf("%w encrypted PKCS#8 PEM", errMalformed)
	}
	if info.Algorithm.Algorithm.String() != "1.2.840.113549.1.5.13" {
		return nil, errPBES2
	}
	var params struct{ KDF, Cipher pkix.AlgorithmIdentifier }
	if _, err := asn1.Unmarshal(info.Algorithm.Parameters.FullBytes, &params); err != nil {
		return nil, fmt.Errorf("%w encrypted PKCS#8 PEM", errMalformed)
	}
	scheme := &pbes2{data: info.Data}
	if err := scheme.readKDF(params.KDF); err != nil {
		return nil, err
	}
	if err := scheme.readCipher(params.Cipher); err != nil {
		return nil, err
	}
	if len(info.Data) == 0 || len(info.Data)%len(scheme.iv) != 0 { // an IV is one block long
		return nil, fmt.Errorf("%w encrypted PKCS#8 PEM", errMalformed)
	}
	return scheme, nil
}

// readKDF reads PBKDF2-params, RFC 8018 appendix A.2.
func (s *pbes2) readKDF(kdf pkix.AlgorithmIdentifier) error {
	if kdf.Algorithm.String() != "1.2.840.113549.1.5.12" {
		return errPBES2
	}
	var params struct {
		Salt       []byte
		Iterations int
		KeyLength  int                      `asn1:"optional"`
		PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(kdf.Parameters.FullBytes, &params); err != nil {
		return errPBES2
	}
	if params.Iterations < 1 || params.Iterations > maxIterations {
		return errPBES2
	}
	s.salt, s.iterations = params.Salt, params.Iterations
	switch params.PRF.Algorithm.String() {
	case "", "1.2.840.113549.2.7":
		s.newHash = sha1.New
	case "1.2.840.113549.2.9":
		s.newHash = sha256.New
	case "1.2.840.113549.2.10":
		s.newHash = sha512.New384
	case "1.2.840.113549.2.11":
		s.newHash = sha512.New
	default:
		return errPBES2
	}
	return nil
}

// readCipher reads an encryption scheme of RFC 8018 appendix B.2, whose
// parameter is the IV.
func (s *pbes2) readCipher(scheme pkix.AlgorithmIdentifier) error {
	blockSize := aes.BlockSize
	s.newCipher = aes.NewCipher
	switch scheme.Algorithm.String() {
	case "2.16.840.1.101.3.4.1.2":
		s.keySize = 16
	case "2.16.840.1.101.3.4.1.22":
		s.keySize = 24
	case "2.16.840.1.101.3.4.1.42":
		s.keySize = 32
	case "1.2.840.113549.3.7":
		s.keySize, s.newCipher, blockSize = 24, des.NewTripleDESCipher, des.BlockSize
	default:
		return errPBES2
	}
	if _, err := asn1.Unmarshal(scheme.Parameters.FullBytes, &s.iv); err != nil || len(s.iv) != blockSize {
		return errPBES2
	}
	return nil
}

// decrypt returns the PKCS#8 key without its padding (RFC 8018 section 6.1.1),
// or [ErrPassphrase].
func (s *pbes2) decrypt(phrase []byte) ([]byte, error) {
	key, err := pbkdf2.Key(s.newHash, string(phrase), s.salt, s.iterations, s.keySize)
	if err != nil {
		return nil, errPBES2 // FIPS mode refuses short salts and SHA-1
	}
	block, err := s.newCipher(key)
	if err != nil {
		return nil, errPBES2
	}
	plain := make([]byte, len(s.data))
	cipher.NewCBCDecrypter(block, s.iv).CryptBlocks(plain, s.data)
	padding := int(plain[len(plain)-1])
	if padding < 1 || padding > block.BlockSize() {
		return nil, ErrPassphrase
	}
	text, pad := plain[:len(plain)-padding], plain[len(plain)-padding:]
	if !bytes.Equal(pad, bytes.Repeat([]byte{byte(padding)}, padding)) {
		return nil, ErrPassphrase
	}
	return text, nil
}
