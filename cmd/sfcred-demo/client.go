package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"sfcred/helper/sfapitest"
)

// Files on the stage.
const (
	keyFile = "priv_key.pem" // as Iris calls it
	caFile  = "ca.pem"
)

// newClient registers a client as Iris does: it has an ID of 13 letters and
// digits and an RSA key of 2048 bits, and the private half is handed out once,
// as PKCS#1 PEM. sfapi_client's convention puts the ID on the file's first line.
func newClient(s *stage) (sfapitest.Client, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return sfapitest.Client{}, fmt.Errorf("generate a key: %w", err)
	}
	c := sfapitest.Client{ID: "demo5fq7tzk2a", Key: key.Public(), User: "ada", UserID: 90210, Name: "demo"}
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	return c, s.write(keyFile, append([]byte(c.ID+"\n"), pem.EncodeToMemory(block)...))
}
