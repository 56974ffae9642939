package sfapitest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// ProxiedHost is a name in the certificate that is not loopback's, so that a
// test's proxy is asked for it; no name service knows it (RFC 6761 section 6.2).
const ProxiedHost = "sfapi.test"

// newCertificate makes an authority and a server certificate by it, and
// returns the authority's certificate in PEM. Nobody keeps its key.
func newCertificate() (ca []byte, leaf tls.Certificate) {
	now := time.Now()
	root := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "sfapitest authority"},
		NotBefore:             now.Add(-48 * time.Hour), // a test's clock may be behind
		NotAfter:              now.Add(365 * 24 * time.Hour),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	server := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: "sfapitest server"},
		NotBefore:    root.NotBefore,
		NotAfter:     root.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{"localhost", ProxiedHost},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	rootKey, serverKey := newECKey(), newECKey()
	root = sign(root, root, rootKey, rootKey)
	server = sign(server, root, serverKey, rootKey)
	ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw})
	return ca, tls.Certificate{Certificate: [][]byte{server.Raw}, PrivateKey: serverKey}
}

func newECKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(fmt.Sprintf("sfapitest: generate a TLS key: %v", err))
	}
	return key
}

// sign returns the certificate whole, since only the authority's own has the
// key identifier that strict verifiers (Python 3.13) want named in the other.
func sign(cert, parent *x509.Certificate, key, by *ecdsa.PrivateKey) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, key.Public(), by)
	if err != nil {
		panic(fmt.Sprintf("sfapitest: make a certificate: %v", err))
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		panic(fmt.Sprintf("sfapitest: read back a certificate: %v", err))
	}
	return signed
}
