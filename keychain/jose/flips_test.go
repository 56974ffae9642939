package jose_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
	"golang.org/x/crypto/ssh"

	"sfcred/keychain/disk/disktest"
	"sfcred/keychain/jose"
)

// flipped is a form of a key file, to be damaged.
type flipped struct {
	text  []byte
	every int // of the damages that are tried here; more are under SFCRED_REAL=1
	// unguarded is set where the form has nothing beside the private number that
	// would tell one key from another.
	unguarded bool
}

// keyForms are the forms in which people have keys.
func keyForms(t *testing.T) map[string]flipped {
	bare := map[string]any{"p": nil, "q": nil, "dp": nil, "dq": nil, "qi": nil}
	rsaJWK := with(jwkOf(rsa2048()), nil)
	return map[string]flipped{
		"PKCS#1, RSA":                      {encodePEM("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsa2048())), 3, false},
		"PKCS#8, RSA":                      {pkcs8(rsa2048()), 3, false},
		"client ID and PKCS#1, RSA":        {fixture(t, "client-id.rsa.pkcs1.pem"), 3, false},
		"SEC 1, EC":                        {fixture(t, "ec256.sec1.pem"), 1, false},
		"SEC 1, EC, compressed point":      {fixture(t, "ec256.compressed.sec1.pem"), 1, false},
		"PKCS#8, EC":                       {fixture(t, "ec521.pkcs8.pem"), 1, false},
		"PKCS#8, Ed25519":                  {fixture(t, "ed25519.pkcs8.pem"), 1, true},
		"OpenSSH, RSA":                     {fixture(t, "rsa3072.openssh.pem"), 5, false},
		"OpenSSH, EC":                      {fixture(t, "ecdsa256.openssh.pem"), 1, false},
		"OpenSSH, Ed25519":                 {fixture(t, "ed25519.openssh.pem"), 1, false},
		"encrypted PKCS#8, RSA":            {fixture(t, "rsa.encrypted-pkcs8.pem"), 5, false},
		"encrypted PKCS#8, EC":             {fixture(t, "ec521.encrypted-pkcs8.pem"), 3, false},
		"encrypted PKCS#1 (legacy), RSA":   {fixture(t, "rsa.legacy-aes256.pem"), 3, false},
		"encrypted SEC 1 (legacy), EC":     {fixture(t, "ec256.legacy-aes128.pem"), 1, false},
		"encrypted OpenSSH, Ed25519":       {fixture(t, "ed25519.encrypted.openssh.pem"), 101, false},
		"JWK, RSA":                         {rsaJWK, 3, false},
		"JWK of n, e and d, RSA":           {with(jwkOf(rsa2048()), bare), 5, false},
		"JWK, EC":                          {with(jwkOf(ec256()), nil), 1, false},
		"JWK, Ed25519":                     {with(jwkOf(ed()), nil), 1, false},
		"JSON of client ID and JWK, RSA":   {fmt.Appendf(nil, `{"client_id":"abc","secret":%s}`, rsaJWK), 5, false},
		"PKCS#1 with \\n written out, RSA": {[]byte(strings.ReplaceAll(string(encodePEM("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsa2048()))), "\n", `\n`)), 5, false},
	}
}

// thin gives one in n.
func thin(damages iter.Seq2[string, []byte], n int) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		i := 0
		for what, damaged := range damages {
			if i++; i%n == 0 && !yield(what, damaged) {
				return
			}
		}
	}
}

// The outcomes of a damage.
const (
	refusedFile = "refused"
	refusedSign = "refused when it was to sign"
	sameKey     = "the same key"
	anotherKey  = "another key"
	badlySigned = "signed badly"
	tooMuchWork = "left out: the file asks for much work"
)

// A damaged key file is refused, or has the same key in it, and what that signs
// the server can verify. Above all an RSA key with a wrong number signs nothing:
// one signature modulo a wrong prime gives the right one away (Boneh, DeMillo and
// Lipton, 1997). Where a form holds a private number alone, a flip makes another
// whole key, which no server knows.
func TestFlipsKeyFiles(t *testing.T) {
	t.Parallel()
	total := map[string]int{}
	forms := keyForms(t)
	for _, name := range slices.Sorted(maps.Keys(forms)) {
		form := forms[name]
		if os.Getenv("SFCRED_REAL") != "" {
			form.every = 1 + form.every/5
		}
		want, err := jose.Parse(form.text, correct)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		counts := map[string]int{}
		for what, damaged := range thin(disktest.All(form.text), form.every) {
			outcome := signWith(damaged, want.Key.Public())
			counts[outcome]++
			total[outcome]++
			if outcome == badlySigned || outcome == anotherKey && !form.unguarded {
				t.Errorf("%s, %s: %s", name, what, outcome)
			}
		}
		t.Logf("%s, %d bytes: %s", name, len(form.text), listed(counts))
		if counts[refusedFile] < counts[sameKey] {
			t.Errorf("%s: most damages were not found", name)
		}
	}
	t.Logf("all: %s; signatures of a damaged RSA key: %d", listed(total), total[badlySigned])
}

// correct is the passphrase of every encrypted fixture.
func correct() ([]byte, error) { return []byte(passphrase), nil }

// signWith has what a file holds sign an assertion, as the pem store does it.
func signWith(data []byte, public crypto.PublicKey) string {
	if hardBcrypt(data) {
		return tooMuchWork
	}
	file, err := jose.Load(data, correct)
	if err != nil {
		return refusedFile
	}
	now := time.Unix(1_800_000_000, 0)
	a := jose.Assertion{ClientID: "a", Audience: "https://x.example/token", ID: "1", IssuedAt: now, Expiry: now.Add(time.Minute)}
	text, err := a.Sign(file.Signer(), "", "")
	if err != nil {
		return refusedSign
	}
	alg := jwa.SignatureAlgorithm(jose.Algorithms(file.Key.Public())[0])
	if file.Alg != "" {
		alg = jwa.SignatureAlgorithm(file.Alg)
	}
	verifies := func(public crypto.PublicKey) bool {
		_, err := jws.Verify([]byte(text), jws.WithKey(alg, public))
		return err == nil
	}
	switch same := equalPublic(file.Key.Public(), public); {
	case same && verifies(public):
		return sameKey
	case !same && verifies(file.Key.Public()) && !isRSA(public):
		return anotherKey
	}
	return badlySigned
}

func isRSA(public crypto.PublicKey) bool { _, ok := public.(*rsa.PublicKey); return ok }

// hardBcrypt recognises an encrypted OpenSSH key that asks for more than a second
// of bcrypt; the stores give up on it at their deadline.
func hardBcrypt(data []byte) bool {
	block, _ := pem.Decode(data)
	if block == nil {
		return false
	}
	var header struct {
		Cipher, KDF, Options string
		Rest                 []byte `ssh:"rest"`
	}
	var options struct {
		Salt   string
		Rounds uint32
		Rest   []byte `ssh:"rest"`
	}
	body, ok := strings.CutPrefix(string(block.Bytes), "openssh-key-v1\x00")
	return ok && ssh.Unmarshal([]byte(body), &header) == nil && header.KDF == "bcrypt" &&
		ssh.Unmarshal([]byte(header.Options), &options) == nil && options.Rounds > 64
}

// listed puts counts into words.
func listed(counts map[string]int) string {
	var words []string
	for _, outcome := range []string{refusedFile, refusedSign, sameKey, anotherKey, badlySigned, tooMuchWork} {
		if counts[outcome] > 0 || outcome == badlySigned {
			words = append(words, fmt.Sprintf("%d %s", counts[outcome], outcome))
		}
	}
	return strings.Join(words, ", ")
}

// What the stores keep of a key tells every damage, also where another number is
// a key too.
func TestFlipsText(t *testing.T) {
	keys := generated()
	keys["RSA 8192"] = nil
	for _, name := range slices.Sorted(maps.Keys(keys)) {
		var key *jose.Key
		if keys[name] != nil {
			key = keyOf(t, keys[name])
		} else {
			key = parse(t, fixture(t, "rsa8192.pkcs1.pem")).Key
		}
		text := key.Text()
		damages, read := 0, 0
		for what, damaged := range disktest.All([]byte(text)) {
			damages++
			key, err := jose.ParseText(string(damaged))
			if err == nil || key != nil {
				read++
				t.Errorf("%s, %s: got %v, %v, want an error", name, what, key, err)
			} else if leaks(err.Error(), []byte(text)) {
				t.Fatalf("%s, %s: the error repeats the text: %v", name, what, err)
			}
		}
		t.Logf("stored text, %s, %d bytes: %d damages, %d read as a key", name, len(text), damages, read)
	}
}

// The numbers of an RSA key are checked one by one, each bit of the private ones:
// a file that is whole but for a number is as a program may have written it.
func TestFlipsRSANumbers(t *testing.T) {
	t.Parallel()
	counts := map[string]int{}
	members := jwkOf(rsa2048())
	for _, name := range []string{"n", "e", "d", "p", "q", "dp", "dq", "qi"} {
		number := must(base64.RawURLEncoding.DecodeString(members[name].(string)))
		for bit := 0; bit < 8*len(number); bit += 7 {
			spoilt := slices.Clone(number)
			spoilt[bit/8] ^= 1 << (bit % 8)
			outcome := signWith(with(members, map[string]any{name: encode(spoilt)}), &rsa2048().PublicKey)
			counts[outcome]++
			if outcome != refusedFile {
				t.Errorf("%s, bit %d: %s", name, bit, outcome)
			}
		}
	}
	t.Logf("single bits in the numbers of an RSA key: %s", listed(counts))
}
