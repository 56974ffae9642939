package jose_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"sfcred/keychain/jose"
)

// flip returns a base64url number with its last bit but eight changed.
func flip(number any) string {
	b := must(base64.RawURLEncoding.DecodeString(number.(string)))
	b[len(b)-2] ^= 1
	return encode(b)
}

// A damaged number is found now, not when the key signs.
func TestDamagedJWK(t *testing.T) {
	for name, raw := range generated() {
		members := jwkOf(raw)
		numbers := map[string][]string{
			"RSA": {"n", "e", "d", "p", "q", "dp", "dq", "qi"}, "EC": {"x", "y", "d"}, "OKP": {"x", "d"},
		}[members["kty"].(string)]
		for _, number := range numbers {
			damaged := with(members, map[string]any{number: flip(members[number])})
			if file, err := jose.Parse(damaged, nil); err == nil {
				t.Errorf("%s with a damaged %q: got %v, want an error", name, number, file.Key)
			}
		}
		for _, number := range numbers[:len(numbers)-1] {
			short := with(members, map[string]any{number: ""})
			if file, err := jose.Parse(short, nil); err == nil {
				t.Errorf("%s with an empty %q: got %v, want an error", name, number, file.Key)
			}
		}
	}
}

func TestDamagedRSA(t *testing.T) {
	key := rsa2048()
	bare := map[string]any{"p": nil, "q": nil, "dp": nil, "dq": nil, "qi": nil}
	swapped := map[string]any{"p": jwkOf(rsa3072())["p"], "q": jwkOf(rsa3072())["q"]}
	big3072 := map[string]any{"d": encode(rsa3072().D.Bytes())}
	for _, test := range []struct {
		name    string
		changes []map[string]any
	}{
		{"n, e, d with a damaged d", []map[string]any{bare, {"d": flip(jwkOf(key)["d"])}}},
		{"n, e, d with a damaged n", []map[string]any{bare, {"n": flip(jwkOf(key)["n"])}}},
		{"n, e, d with d longer than n", []map[string]any{bare, big3072}},
		{"n, e, d with d of 1", []map[string]any{bare, {"d": encode([]byte{1})}}},
		{"p without q", []map[string]any{{"q": nil}}},
		{"dp without dq", []map[string]any{{"dq": nil, "qi": nil}}},
		{"e of 64 bits", []map[string]any{{"e": encode(bytes.Repeat([]byte{255}, 8))}}},
		{"e that wraps round to 65537", []map[string]any{{"e": encode([]byte{1, 0, 0, 0, 0, 0, 1, 0, 1})}}},
		{"the primes of another key", []map[string]any{swapped}},
	} {
		members := jwkOf(key)
		for _, changes := range test.changes {
			for name, value := range changes {
				members[name] = value
			}
		}
		if file, err := jose.Parse(with(members, nil), nil); err == nil {
			t.Errorf("%s: got %v, want an error", test.name, file.Key)
		}
	}
}

func TestECNumberOutOfRange(t *testing.T) {
	order := ec256().Params().N
	for name, d := range map[string]*big.Int{
		"zero": new(big.Int), "the order": order,
		"more than the order": new(big.Int).Add(new(big.Int).SetBytes(must(ec256().Bytes())), order), // the same point
	} {
		data := with(jwkOf(ec256()), map[string]any{"d": encode(append([]byte{0}, d.Bytes()...))})
		refused(t, name, data, "the EC key is damaged: its private number is out of range")
	}
}

// The numbers of OpenSSH have a sign, and crypto/rsa compares bytes.
func TestNegativePrimes(t *testing.T) {
	key := rsa2048()
	public := must(ssh.NewPublicKey(&key.PublicKey)).Marshal()
	file := func(p, q *big.Int, keys uint32) []byte {
		private := ssh.Marshal(struct {
			Check1, Check2      uint32
			Type                string
			N, E, D, Qinv, P, Q *big.Int
			Comment             string
			Pad                 []byte `ssh:"rest"`
		}{1, 1, "ssh-rsa", key.N, big.NewInt(int64(key.E)), key.D, key.Precomputed.Qinv, p, q, "", nil})
		return encodePEM("OPENSSH PRIVATE KEY", append([]byte("openssh-key-v1\x00"), ssh.Marshal(struct {
			Cipher, KDF, Options string
			Keys                 uint32
			Public, Private      []byte
		}{"none", "none", "", keys, public, private})...))
	}
	p, q := key.Primes[0], key.Primes[1]
	parse(t, file(p, q, 1))
	for _, data := range [][]byte{
		file(new(big.Int).Neg(p), new(big.Int).Neg(q), 1), file(new(big.Int).Neg(p), q, 1), file(p, p, 1),
	} {
		if file, err := jose.Parse(data, nil); err == nil {
			t.Errorf("got %v, want an error", file.Key)
		}
	}
	refused(t, "two keys", file(p, q, 2), "an OpenSSH file with 2 keys: want exactly one")
}

// All sums over the numbers are right, but one prime is a product: only the
// trial signature finds it.
func TestCompositePrime(t *testing.T) {
	one, e := big.NewInt(1), big.NewInt(65537)
	minusOne := func(n *big.Int) *big.Int { return new(big.Int).Sub(n, one) }
	q := rsa2048().Primes[0]
	var p, d *big.Int
	for d == nil { // e has no inverse for one p in 65,537
		half := must(rsaPrimes(520))
		p = new(big.Int).Mul(half[0], half[1])
		d = new(big.Int).ModInverse(e, new(big.Int).Mul(minusOne(p), minusOne(q)))
	}
	key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537}, D: d, Primes: []*big.Int{p, q}}
	key.Precomputed.Dp, key.Precomputed.Dq = new(big.Int).Mod(d, minusOne(p)), new(big.Int).Mod(d, minusOne(q))
	key.Precomputed.Qinv = new(big.Int).ModInverse(q, p)
	if err := key.Validate(); err != nil {
		t.Fatalf("the numbers of this test do not belong together: %v", err)
	}
	file, err := jose.Parse(with(jwkOf(key), nil), nil)
	if err == nil || !strings.Contains(err.Error(), "trial signature") {
		t.Errorf("got %v, %v, want an error of the trial signature", file, err)
	}
}

// rsaPrimes returns two primes of the given length, not far apart in size.
func rsaPrimes(bits int) ([]*big.Int, error) {
	key, err := rsa.GenerateKey(nil, 2*bits)
	if err != nil {
		return nil, err
	}
	return key.Primes, nil
}

// crypto/x509 computes the public point and does not look at the one in the
// file.
func TestPublicPartOfAnother(t *testing.T) {
	other := must(ecdsa.GenerateKey(ec256().Curve, nil))
	_, otherEd, _ := ed25519.GenerateKey(nil)
	replace := func(data []byte, old, new []byte) []byte {
		changed := bytes.Replace(data, old, new, 1)
		if bytes.Equal(changed, data) {
			t.Fatal("the key of this test does not carry its public part")
		}
		return changed
	}
	point := func(key *ecdsa.PrivateKey) []byte { return must(key.PublicKey.Bytes()) }
	edPublic := func(key ed25519.PrivateKey) []byte { return key.Public().(ed25519.PublicKey) }

	sec1 := must(x509.MarshalECPrivateKey(ec256()))
	inPKCS8 := must(x509.MarshalPKCS8PrivateKey(ec256()))
	openssh, _ := pem.Decode(fixture(t, "ed25519.openssh.pem"))
	opensshKey := parse(t, fixture(t, "ed25519.openssh.pem")).Key.Public().(ed25519.PublicKey)
	last := bytes.LastIndex(openssh.Bytes, opensshKey)
	inPrivate := append(bytes.Clone(openssh.Bytes[:last]), replace(openssh.Bytes[last:], opensshKey, edPublic(otherEd))...)

	// RFC 5958: version 1 with the public key under the tag [1].
	v1 := append([]byte{0x30, 81, 2, 1, 1, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 34, 4, 32}, ed().Seed()...)
	v1 = append(append(v1, 0x81, 33, 0), edPublic(ed())...)
	if got := parse(t, encodePEM("PRIVATE KEY", v1)).Key; !equalPublic(got.Public(), ed().Public()) {
		t.Error("PKCS#8 with a public key: got another key")
	}

	// Under another tag than [1] it would be passed over.
	for name, der := range map[string][]byte{
		"SEC 1":  replace(sec1, []byte{0xa1, 0x44, 3, 66}, []byte{0xa2, 0x44, 3, 66}),
		"PKCS#8": replace(inPKCS8, []byte{0xa1, 0x44, 3, 66}, []byte{0xb1, 0x44, 3, 66}),
	} {
		label := map[string]string{"SEC 1": "EC PRIVATE KEY", "PKCS#8": "PRIVATE KEY"}[name]
		refused(t, name, encodePEM(label, der), "malformed "+name+" PEM")
	}
	refused(t, "PKCS#8 Ed25519", encodePEM("PRIVATE KEY", replace(v1, []byte{0x81, 33, 0}, []byte{0x82, 33, 0})), "malformed PKCS#8 PEM")

	const want = "the public part does not belong to the private part"
	for _, test := range []struct {
		name, label string
		der         []byte
	}{
		{"SEC 1", "EC PRIVATE KEY", replace(sec1, point(ec256()), point(other))},
		{"PKCS#8", "PRIVATE KEY", replace(inPKCS8, point(ec256()), point(other))},
		{"PKCS#8 Ed25519", "PRIVATE KEY", replace(v1, edPublic(ed()), edPublic(otherEd))},
		{"OpenSSH header", "OPENSSH PRIVATE KEY", replace(openssh.Bytes, opensshKey, edPublic(otherEd))},
		{"OpenSSH private part", "OPENSSH PRIVATE KEY", inPrivate},
	} {
		refused(t, test.name, encodePEM(test.label, test.der), want)
	}
}

// Each bit of a plain OpenSSH key that changes gives an error or the same key:
// comment and padding may change, and the CRT coefficient is computed anew.
func TestDamagedOpenSSH(t *testing.T) {
	for _, name := range []string{"ed25519.openssh.pem", "ecdsa256.openssh.pem"} {
		block, _ := pem.Decode(fixture(t, name))
		want := parse(t, fixture(t, name)).Key.Public()
		refusals := 0
		for i := range block.Bytes {
			block.Bytes[i] ^= 1
			file, err := jose.Parse(pem.EncodeToMemory(block), nil)
			block.Bytes[i] ^= 1
			if err != nil {
				refusals++
			} else if !equalPublic(file.Key.Public(), want) {
				t.Errorf("%s with byte %d changed: got another key", name, i)
			}
		}
		if refusals < len(block.Bytes)*3/4 {
			t.Errorf("%s: %d of %d changes refused, want most", name, refusals, len(block.Bytes))
		}
	}
}
