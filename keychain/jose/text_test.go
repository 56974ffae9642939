package jose_test

import (
	"crypto/sha256"
	"math/big"
	"regexp"
	"strings"
	"testing"

	"sfcred/keychain/jose"
)

func TestTextRoundTrip(t *testing.T) {
	keys := map[string]*jose.Key{
		"RSA 4096": parse(t, fixture(t, "rsa4096.pkcs1.pem")).Key,
		"RSA 8192": parse(t, fixture(t, "rsa8192.pkcs1.pem")).Key,
	}
	for name, raw := range generated() {
		keys[name] = keyOf(t, raw)
	}
	// What Text's comment promises. The least of the stores' limits is 2,560.
	longest := map[string]int{"RSA 2048": 380, "RSA 3072": 550, "RSA 4096": 720, "RSA 8192": 1420, "EC 256": 130, "EC 384": 130, "EC 521": 130, "Ed25519 256": 130}
	ascii := regexp.MustCompile(`^[A-Za-z0-9_:-]+$`)
	for name, key := range keys {
		text := key.Text()
		if len(text) > longest[name] {
			t.Errorf("%s: text of %d bytes, want at most %d", name, len(text), longest[name])
		}
		if !ascii.MatchString(text) {
			t.Errorf("%s: text has other bytes than it should", name)
		}
		again, err := jose.ParseText(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !equalPublic(again.Public(), key.Public()) || again.Text() != text || again.String() != key.String() {
			t.Errorf("%s: got another key", name)
		}
	}
}

// The form is a contract with what lies in people's keychains.
func TestTextForm(t *testing.T) {
	const want = "sfcred1:Ed25519:YSBzZWVkIG9mIHRoaXJ0eS10d28gYnl0ZXMsIGZpeGU:"
	text := keyOf(t, ed()).Text()
	if !strings.HasPrefix(text, want) || len(text) != len(want)+11 {
		t.Errorf("got %q, want %q and 11 characters", text, want)
	}
	rsaText := strings.Split(keyOf(t, rsa2048()).Text(), ":")
	if got, want := strings.Join(rsaText[:4], ":"), "sfcred1:RSA:AQAB:"+encode(rsa2048().Primes[0].Bytes()); got != want {
		t.Error("RSA: version, exponent or prime is not where it belongs")
	}
	d := must(ec521().Bytes())
	if !strings.HasPrefix(keyOf(t, ec521()).Text(), "sfcred1:EC:P-521:"+encode(d)+":") {
		t.Error("EC: version, curve or number is not where it belongs")
	}
}

// A stored key that lost any byte is found; see TestFlipsText for one that
// changed.
func TestShortText(t *testing.T) {
	for name, raw := range generated() {
		text := keyOf(t, raw).Text()
		for i := range text {
			if key, err := jose.ParseText(text[:i] + text[i+1:]); err == nil || key != nil {
				t.Fatalf("%s, byte %d: got %v, %v, want an error", name, i, key, err)
			}
		}
	}
}

// checked puts the right check behind a body.
func checked(body string) string {
	hash := sha256.Sum256([]byte(body))
	return body + ":" + encode(hash[:8])
}

// The check at the end is no proof: the key is checked whole all the same.
func TestTextWithRightCheck(t *testing.T) {
	p, q := encode(rsa2048().Primes[0].Bytes()), encode(rsa2048().Primes[1].Bytes())
	even := encode(new(big.Int).Add(rsa2048().Primes[0], big.NewInt(1)).Bytes())
	small := must(rsaPrimes(512))
	order := encode(ec256().Params().N.Bytes())
	for _, test := range []struct{ name, body, want string }{
		{"another version", "sfcred2:Ed25519:AA", "it is not in the form that sfcred stores"},
		{"another kind", "sfcred1:ML-DSA:AA", "it is of a kind that this version of sfcred does not know"},
		{"field too many", "sfcred1:Ed25519:AA:AA", "it is of a kind that this version of sfcred does not know"},
		{"not base64url", "sfcred1:Ed25519:A+A", "it is damaged: a number is not base64url"},
		{"another spelling of the same bytes", "sfcred1:Ed25519:YSBzZWVkIG9mIHRoaXJ0eS10d28gYnl0ZXMsIGZpeGV", "it is damaged: a number is not base64url"},
		{"seed too short", "sfcred1:Ed25519:AA", "the Ed25519 key is damaged: it has a wrong length"},
		{"another curve", "sfcred1:EC:P-224:AA", "an EC key on an unsupported curve: only P-256, P-384 and P-521 are supported"},
		{"scalar of zero", "sfcred1:EC:P-256:" + encode(make([]byte, 32)), "the EC key is damaged: its private number is out of range"},
		{"scalar of the order", "sfcred1:EC:P-256:" + order, "the EC key is damaged: its private number is out of range"},
		{"scalar too short", "sfcred1:EC:P-256:AQ", "the EC key is damaged: its private number is out of range"},
		{"1024 bits", "sfcred1:RSA:AQAB:" + encode(small[0].Bytes()) + ":" + encode(small[1].Bytes()), "an RSA key of 1024 bits: at least 2048 are needed"},
		{"one prime twice", "sfcred1:RSA:AQAB:" + p + ":" + p, "the RSA key is damaged: its numbers do not belong together"},
		{"prime of zero", "sfcred1:RSA:AQAB::" + q, "the RSA key is damaged: a number is out of range"},
		{"prime of one", "sfcred1:RSA:AQAB:AQ:" + q, "the RSA key is damaged: a number is out of range"},
		{"even prime", "sfcred1:RSA:AQAB:" + even + ":" + q, "the RSA key is damaged: its numbers do not belong together"},
		{"even exponent", "sfcred1:RSA:AQAA:" + p + ":" + q, "the RSA key is damaged: its exponent does not fit its primes"},
		{"exponent of 72 bits", "sfcred1:RSA:AQAAAAAAAAAB:" + p + ":" + q, "the RSA key is damaged: a number is out of range"},
		{"zero before the exponent", "sfcred1:RSA:AAEAAQ:" + p + ":" + q, "it is damaged: a number has zeros before it"},
		{"prime of 16,000 bits", "sfcred1:RSA:AQAB:" + strings.Repeat("AAAA", 700) + ":" + q, "the RSA key is damaged: a number is too long"},
	} {
		key, err := jose.ParseText(checked(test.body))
		if err == nil || key != nil || err.Error() != "parse stored key: "+test.want {
			t.Errorf("%s: got %v, %v, want error %q", test.name, key, err, test.want)
		}
	}
}

// Without primes in the file they are recovered, since Text needs them.
func TestTextOfRecoveredPrimes(t *testing.T) {
	bare := with(jwkOf(rsa2048()), map[string]any{"p": nil, "q": nil, "dp": nil, "dq": nil, "qi": nil})
	key := parse(t, bare).Key
	if !equalPublic(must(jose.ParseText(key.Text())).Public(), &rsa2048().PublicKey) {
		t.Error("a key whose primes were recovered does not come back from its text")
	}
}
