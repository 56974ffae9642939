package jose_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"sfcred/keychain/jose"
)

func publicPEM(pub any) []byte {
	return encodePEM("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(pub)))
}

// publicLine is what ssh-keygen writes, without a comment.
func publicLine(pub any) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(must(ssh.NewPublicKey(pub)))))
}

// publicForms is one public key in all its forms.
func publicForms(pub any) map[string][]byte {
	forms := map[string][]byte{
		"PKIX":    publicPEM(pub),
		"OpenSSH": []byte(publicLine(pub)),
		"JWK":     with(jwkOf(pub), nil),
	}
	if pub, isRSA := pub.(*rsa.PublicKey); isRSA {
		forms["PKCS#1"] = encodePEM("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(pub))
	}
	return forms
}

func TestParsePublic(t *testing.T) {
	for kind, key := range generated() {
		for form, data := range publicForms(key.Public()) {
			got, err := jose.ParsePublic(data)
			if err != nil {
				t.Errorf("%s, %s: %v", kind, form, err)
			} else if !equalPublic(got, key.Public()) {
				t.Errorf("%s, %s: got another key", kind, form)
			}
		}
	}
	for _, name := range []string{"refused.public.pem", "refused.public.pkcs1.pem"} { // refused by Parse
		if _, err := jose.ParsePublic(fixture(t, name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParsePublicForms(t *testing.T) {
	key := ec256().Public()
	text, line := string(publicPEM(key)), publicLine(key)
	for _, test := range []struct{ name, data string }{
		{"CRLF and BOM", "\uFEFF" + strings.ReplaceAll(text, "\n", "\r\n")},
		{`\n written out, in quotes`, `"` + strings.ReplaceAll(text, "\n", `\n`) + `"`},
		{"indent of YAML", "  " + strings.ReplaceAll(text, "\n", "\n  ")},
		{"words before", "my key\n" + text},
		{"64 KiB", text + strings.Repeat("\n", 64<<10-len(text))},
		{"comment after", line + " me@here — laptop"},
		{"comment before, blank lines", "# mine\r\n\r\n" + line + "\r\n\r\n"},
		{"options before", `restrict,command="echo \"hi\"" ` + line + " me@here"},
		{"JWK with more members", string(with(jwkOf(key), map[string]any{"kid": "k1", "alg": "ES256", "use": "enc", "x5u": "https://example.org"}))},
	} {
		got, err := jose.ParsePublic([]byte(test.data))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		} else if !equalPublic(got, key) {
			t.Errorf("%s: got another key", test.name)
		}
	}
}

// otherPKIX is the frame of a public key of some algorithm.
func otherPKIX(parameters any, oid ...int) string {
	return string(encodePEM("PUBLIC KEY", must(asn1.Marshal(struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}{
		pkix.AlgorithmIdentifier{Algorithm: oid, Parameters: asn1.RawValue{FullBytes: must(asn1.Marshal(parameters))}},
		asn1.BitString{Bytes: []byte{1}, BitLength: 8},
	}))))
}

// otherLine is a line of .pub of a type that package ssh makes no key of.
func otherLine(blob []byte) string {
	return string(ssh.MarshalAuthorizedKey(must(ssh.ParsePublicKey(blob))))
}

// dsaLine is the public half of a DSA key.
func dsaLine(t *testing.T) string {
	block, _ := pem.Decode(fixture(t, "refused.dsa.openssh.pem"))
	var header struct {
		Cipher, KDF, KDFOptions string
		Keys                    uint32
		Public                  []byte
		Rest                    []byte `ssh:"rest"`
	}
	if err := ssh.Unmarshal(bytes.TrimPrefix(block.Bytes, []byte("openssh-key-v1\x00")), &header); err != nil {
		t.Fatal(err)
	}
	// By hand: package ssh makes no such key.
	return "ssh-dss " + base64.StdEncoding.EncodeToString(header.Public) + "\n"
}

// tokenLine is the public half of a key of a FIDO token.
func tokenLine() string {
	return otherLine(ssh.Marshal(struct {
		Type        string
		Key         []byte
		Application string
	}{ssh.KeyAlgoSKED25519, ed().Public().(ed25519.PublicKey), "ssh:"}))
}

// certificateLine is an OpenSSH certificate, signed by its own key.
func certificateLine(t *testing.T) string {
	signer := must(ssh.NewSignerFromKey(ed()))
	certificate := &ssh.Certificate{Key: signer.PublicKey(), CertType: ssh.UserCert, ValidPrincipals: []string{"alice"}}
	if err := certificate.SignCert(rand.Reader, signer); err != nil {
		t.Fatal(err)
	}
	return string(ssh.MarshalAuthorizedKey(certificate))
}

func TestParsePublicRefuses(t *testing.T) {
	key := rsa2048()
	text, line := string(publicPEM(key.Public())), publicLine(key.Public())
	short := must(rsa.GenerateKey(rand.Reader, 1024))
	p224 := must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	x25519 := must(ecdh.X25519().GenerateKey(rand.Reader))
	members, ecMembers := jwkOf(key.Public()), jwkOf(ec256().Public())
	block, _ := pem.Decode(publicPEM(ec256().Public()))
	offCurve := bytes.Clone(block.Bytes)
	offCurve[len(offCurve)-1] ^= 1
	const (
		private   = "a private key: only its public half is wanted"
		neither   = "neither PEM, nor JSON, nor an OpenSSH public key"
		bits1024  = "an RSA key of 1024 bits: at least 2048 are needed"
		curve     = "an EC key on an unsupported curve: only P-256, P-384 and P-521 are supported"
		kind      = "a key of an unsupported kind: only RSA, EC and Ed25519 are supported"
		dsa       = "a DSA key: only RSA, EC and Ed25519 are supported"
		noSigning = "an X25519 key, which cannot sign"
		outside   = "the RSA key is damaged: a number is out of range"
	)
	for _, test := range []struct{ name, data, want string }{
		{"nothing", "", "empty"},
		{"too large", strings.Repeat(" ", 64<<10) + "x", "larger than 64 KiB, which no key file is"},
		{"UTF-16", "\xff\xfe-\x00-\x00", "UTF-16 text: save it as UTF-8"},
		{"DER", string(must(x509.MarshalPKIXPublicKey(key.Public()))), "a binary file, such as DER or PKCS#12: convert it to PEM"},
		{"HTML", "<!DOCTYPE html>\n<title>Sign in</title>", neither},
		{"a fingerprint", "SHA256:SRxeMRBuWwcnYbFhIpqQXyJvvLBIHTT1rjCQdaDl5tQ", neither},
		{"only comments", "# mine\n# too\n", "no key, only comments"},

		{"PKCS#1 private", string(encodePEM("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))), private},
		{"PKCS#8 private", string(pkcs8(key)), private},
		{"encrypted private", string(fixture(t, "rsa.encrypted-pkcs8.pem")), private},
		{"OpenSSH private", string(fixture(t, "ed25519.openssh.pem")), private},
		{"private beside public", text + string(pkcs8(key)), private},
		{"PuTTY", "PuTTY-User-Key-File-3: ssh-ed25519\n", private},
		{"private JWK", string(with(jwkOf(key), nil)), private},
		{"client JSON", fmt.Sprintf(`{"client_id":"abc","secret":%s}`, with(jwkOf(key), nil)), private},
		{"client JSON, other name", `{"private_key_jwk":"{}"}`, private},

		{"certificate", string(fixture(t, "refused.certificate.pem")), "a certificate, not a public key"},
		{"certificate request", string(fixture(t, "refused.request.pem")), "a certificate request, not a public key"},
		{"OpenSSH certificate", certificateLine(t), "an OpenSSH certificate, not a public key"},
		{"other PEM", string(encodePEM("EC PARAMETERS", []byte{6, 0})), "a PEM without a public key"},

		{"1024 bits, PKIX", string(publicPEM(&short.PublicKey)), bits1024},
		{"1024 bits, OpenSSH", publicLine(&short.PublicKey), bits1024},
		{"1024 bits, JWK", string(with(jwkOf(&short.PublicKey), nil)), bits1024},
		{"too many bits", string(with(members, map[string]any{"n": encode(new(big.Int).Lsh(key.N, 8192).Bytes())})), "an RSA key of 10240 bits: at most 8192 are supported"},
		{"even modulus", string(with(members, map[string]any{"n": encode(new(big.Int).Add(key.N, big.NewInt(1)).Bytes())})), outside},
		{"exponent 1", string(with(members, map[string]any{"e": "AQ"})), outside},
		{"even exponent", string(with(members, map[string]any{"e": "AQAA"})), outside},
		{"exponent of 72 bits", string(with(members, map[string]any{"e": "AQAAAAAAAQAB"})), "the JWK is damaged: its numbers do not belong together"},
		{"exponent of 40 bits", string(encodePEM("RSA PUBLIC KEY", must(asn1.Marshal(struct {
			N *big.Int
			E int
		}{key.N, 1<<40 + 1})))), "malformed public key PEM"},

		{"DSA, PKIX", otherPKIX(asn1.NullRawValue, 1, 2, 840, 10040, 4, 1), dsa},
		{"DSA, OpenSSH", dsaLine(t), dsa},
		{"X25519, PKIX", string(publicPEM(x25519.PublicKey())), noSigning},
		{"X25519, JWK", `{"kty":"OKP","crv":"X25519","x":"AA"}`, noSigning},
		{"Ed448, PKIX", otherPKIX(asn1.NullRawValue, 1, 3, 101, 113), kind},
		{"Ed448, JWK", `{"kty":"OKP","crv":"Ed448","x":"AA"}`, kind},
		{"kty unknown", `{"kty":"AKP"}`, kind},
		{"P-224", string(publicPEM(&p224.PublicKey)), curve},
		{"secp256k1, PKIX", otherPKIX(asn1.ObjectIdentifier{1, 3, 132, 0, 10}, 1, 2, 840, 10045, 2, 1), curve},
		{"secp256k1, JWK", `{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}`, curve},
		{"curve written out", otherPKIX([]int{1}, 1, 2, 840, 10045, 2, 1), curve},
		{"RSA for PSS only", otherPKIX(asn1.NullRawValue, 1, 2, 840, 113549, 1, 1, 10), "an RSA key marked for PSS only: convert it to a plain RSA key"},
		{"key of a FIDO token", tokenLine(), "a key of a hardware security key (FIDO), which signs for ssh only"},
		{"symmetric", `{"kty":"oct","k":"c2VjcmV0"}`, "a symmetric key, not a public key"},

		{"truncated PEM", text[:200], "the PEM ends before its END line"},
		{"two keys in a PEM", text + text, "a PEM with 2 blocks: want exactly one"},
		{"a PEM of nothing", string(encodePEM("PUBLIC KEY", []byte{48, 0})), "malformed public key PEM"},
		{"a key of nothing", otherPKIX(asn1.NullRawValue, 1, 2, 840, 113549, 1, 1, 1), "malformed public key PEM"},
		{"PKIX under the name of PKCS#1", string(encodePEM("RSA PUBLIC KEY", must(x509.MarshalPKIXPublicKey(key.Public())))), "malformed public key PEM"},
		{"PEM of a point off the curve", string(encodePEM("PUBLIC KEY", offCurve)), "malformed public key PEM"},
		{"two lines", line + "\n" + line, "a file with more than one line: want a single public key"},
		{"truncated line", line[:100], "malformed OpenSSH public key"},
		{"line under another name", strings.Replace(line, "ssh-rsa", "ssh-ed25519", 1), "malformed OpenSSH public key"},
		{"RFC 4716", "---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----", `an SSH2 public key: convert it with "ssh-keygen -i"`},
		{"truncated JSON", `{"kty":"RSA"`, "malformed JSON"},
		{"JSON array", "[]", "JSON without a key: not a JWK"},
		{"JWKS", fmt.Sprintf(`{"keys":[%s]}`, with(members, nil)), "a JWKS: want a single JWK out of it"},
		{"JWK without its numbers", `{"kty":"RSA"}`, "malformed JWK"},
		{"JWK, not base64url", string(with(members, map[string]any{"n": "!"})), "malformed JWK"},
		{"JWK of a point off the curve", string(with(ecMembers, map[string]any{"y": ecMembers["x"]})), "the EC key is damaged: its point is not on its curve"},
		{"JWK, Ed25519 too short", `{"kty":"OKP","crv":"Ed25519","x":"AAAA"}`, "the Ed25519 key is damaged: it has a wrong length"},
	} {
		pub, err := jose.ParsePublic([]byte(test.data))
		if err == nil || pub != nil {
			t.Errorf("%s: got %T, %v, want an error", test.name, pub, err)
		} else if got := err.Error(); got != "parse public key: "+test.want {
			t.Errorf("%s: got error %q, want %q", test.name, got, "parse public key: "+test.want)
		}
	}
}

// Whatever is broken, the error repeats nothing of it: it may be private.
func TestPublicErrorsRepeatNothing(t *testing.T) {
	var inputs [][]byte
	for _, key := range generated() {
		inputs = append(inputs, pkcs8(key), with(jwkOf(key), nil))
		for _, data := range publicForms(key.Public()) {
			inputs = append(inputs, data, append([]byte("from=\"a place that nobody knows\" "), data...))
		}
	}
	random := mathrand.New(mathrand.NewPCG(1, 2))
	errors := 0
	for _, input := range inputs {
		for range 40 {
			broken := bytes.Clone(input)
			if at := random.IntN(len(broken)); random.IntN(2) == 0 {
				broken = broken[:at]
			} else {
				broken[at] ^= 1 << random.IntN(7)
			}
			if _, err := jose.ParsePublic(broken); err != nil {
				errors++
				if leaks(err.Error(), broken) {
					t.Errorf("error repeats its input: %v", err)
				}
			}
		}
	}
	if errors < len(inputs)*10 {
		t.Errorf("%d errors for %d files: too few to say anything", errors, len(inputs))
	}
}
