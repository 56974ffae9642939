package main

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sfcred/helper/sfapitest"
)

// softHSM is a PKCS#11 module that keeps keys in files: to all who use it a
// token as any other, that signs and gives no key away.
const softHSM = "/usr/lib/softhsm/libsofthsm2.so"

// TestRealHardware has keys that were made in a token sign, by the steps of the
// README.
func TestRealHardware(t *testing.T) {
	realParts(t, "softhsm2-util", "pkcs11-tool", "ssh-agent", "ssh-add", "ssh-keygen")
	if _, err := os.Stat(softHSM); err != nil {
		missing(t, softHSM)
	}
	server := newServer()
	t.Cleanup(server.Close)
	u := withToken(newUser(t, release(t)))
	for _, kind := range []struct{ name, pkcs11, alg string }{{"rsa", "rsa:2048", "RS256"}, {"ec", "EC:prime256v1", "ES256"}} {
		t.Run(kind.name, func(t *testing.T) {
			u := u.in(t)
			u.works("pkcs11-tool", "--module", softHSM, "--login", "--pin", "1234", "--keypairgen", "--key-type", kind.pkcs11, "--label", kind.name, "--id", map[string]string{"rsa": "01", "ec": "02"}[kind.name])
			u.works("ssh-add", "-s", softHSM)
			public := ofKind(u, kind.name)
			u.write("key.pub", []byte(public+"\n"))
			text := u.works("ssh-keygen", "-e", "-m", "PKCS8", "-f", u.path("key.pub"))
			u.write("key.pub.pem", []byte(text))
			server.Add(sfapitest.Client{ID: "hw-" + kind.name, Key: publicPEM(t, text), User: "alice"})

			u.works("sfcred", "login", "--store", "ssh-agent", "--key", u.path("key.pub"), "--client-id", "hw-"+kind.name, "--token-url", server.TokenURL, "--profile", kind.name)
			if got := u.answers("token", "--profile", kind.name); got == "" {
				t.Error("got no token")
			}
			header, _, _ := strings.Cut(u.answers("assertion", "--profile", kind.name), ".")
			if want := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"` + kind.alg + `","typ":"JWT"}`)); header != want {
				t.Errorf("got header %s, want %s", header, want)
			}
			fingerprint := strings.Fields(u.works("ssh-keygen", "-l", "-f", u.path("key.pub")))[1]
			u.works("sfcred", "login", "--store", "ssh-agent", "--key", fingerprint, "--client-id", "hw-"+kind.name, "--token-url", server.TokenURL, "--profile", kind.name+"-by-fingerprint")
			u.works("sfcred", "login", "--store", "ssh-agent", "--key", u.path("key.pub.pem"), "--client-id", "hw-"+kind.name, "--token-url", server.TokenURL, "--profile", kind.name+"-by-pem")
			u.works("sfcred", "token", "--force", "--profile", kind.name+"-by-pem")

			u.works("ssh-add", "-e", softHSM)
			u.fails(5, `has no key`, "token", "--force", "--profile", kind.name)
		})
	}
}

// withToken gives a user an initialised token and an ssh-agent that may use it.
func withToken(u *user) *user {
	u.Helper()
	tokens := u.path("tokens")
	check(u.T, os.Mkdir(tokens, 0o700))
	conf := u.write("softhsm2.conf", []byte("directories.tokendir = "+tokens+"\n"))
	askpass := u.write("askpass", []byte("#!/bin/sh\necho 1234\n"))
	check(u.T, os.Chmod(askpass, 0o700))
	dir := must(os.MkdirTemp("", "h")) // a socket's name is short
	u.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "agent")
	u = u.with("SOFTHSM2_CONF="+conf, "SSH_AUTH_SOCK="+socket, "SSH_ASKPASS="+askpass, "SSH_ASKPASS_REQUIRE=force", "DISPLAY=:0")
	u.works("softhsm2-util", "--init-token", "--free", "--label", "sfcred", "--pin", "1234", "--so-pin", "5678")
	agent := exec.Command("ssh-agent", "-D", "-a", socket)
	agent.Env = u.env
	check(u.T, agent.Start())
	u.Cleanup(func() { agent.Process.Kill(); agent.Wait() })
	for range 100 {
		if _, err := os.Stat(socket); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return u
}

// ofKind is the agent's key of that kind, as a line of a .pub file.
func ofKind(u *user, kind string) string {
	u.Helper()
	prefix := map[string]string{"rsa": "ssh-rsa ", "ec": "ecdsa-sha2-nistp256 "}[kind]
	for line := range strings.SplitSeq(u.works("ssh-add", "-L"), "\n") {
		if strings.HasPrefix(line, prefix) {
			return line
		}
	}
	u.Fatalf("the agent has no key of kind %s", kind)
	return ""
}

func publicPEM(t *testing.T, text string) crypto.PublicKey {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "PUBLIC KEY" {
		t.Fatalf("got %q, want a public key", text)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	check(t, err)
	return key
}
