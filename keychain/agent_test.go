package keychain

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"sfcred/keychain/jose"
)

// agentKeys is a key for each algorithm that an agent signs for.
var agentKeys = sync.OnceValue(func() map[string]*jose.Key {
	keys := map[string]*jose.Key{}
	for _, alg := range []string{"RS256", "ES256", "ES384", "ES512", "EdDSA"} {
		key, err := jose.Generate(alg, 0)
		if err != nil {
			panic(err)
		}
		keys[alg] = key
	}
	return keys
})

func TestAgentSigns(t *testing.T) {
	for alg, want := range map[string]bool{
		"RS256": true, "ES256": true, "ES384": true, "ES512": true, "EdDSA": true,
		"PS256": false, "PS384": false, "PS512": false, "RS384": false, "RS512": false, "HS256": false, "": false,
	} {
		if got := AgentSigns(alg); got != want {
			t.Errorf("%q: got %v, want %v", alg, got, want)
		}
	}
}

func TestPrintable(t *testing.T) {
	for _, tt := range []struct{ comment, want string }{
		{"me@here", "me@here"},
		{"ключ № 1", "ключ № 1"},
		{"", ""},
		{"\x1b[31mred\x1b[0m\r\n\a", "[31mred[0m"},
		{"a\u202eb\u200bc\u2028d", "abcd"}, // directions, no width, a line end
		{"\xff\xfeme", "me"},
		{strings.Repeat("é", 100), strings.Repeat("é", 64)},
	} {
		if got := printable(tt.comment); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.comment, got, tt.want)
		}
	}
}

func TestRefusedProgram(t *testing.T) {
	for program, want := range map[string]string{
		"gpg-agent": isGPG,
		"sshd":      isForwarded, "sshd-session": isForwarded, "sshd-auth": isForwarded, "dropbear": isForwarded, "tailscaled": isForwarded,
		"ssh-agent": "", "bash": "", "systemd": "", "launchd": "", "": "",
	} {
		if got := refusedProgram(program); got != want {
			t.Errorf("%q: got %q, want %q", program, got, want)
		}
	}
}

func TestAgentLimits(t *testing.T) {
	s := &Stores{Agent: "/nowhere/agent"}
	for limit, reachesAgent := range map[time.Duration]bool{
		0:                                   false,
		-time.Second:                        false,
		time.Millisecond:                    false,
		time.Second + 1:                     false,
		(math.MaxUint32 + 1) * time.Second:  false,
		time.Second:                         true,
		8 * time.Hour:                       true,
		time.Duration(math.MaxUint32) * 1e9: true,
	} {
		err := s.AddToAgent(t.Context(), agentKeys()["EdDSA"], "", AgentLimits{For: limit})
		if err == nil || errors.Is(err, ErrUnavailable) != reachesAgent {
			t.Errorf("%v: got %v, want it to reach the agent: %v", limit, err, reachesAgent)
		}
	}
}

// verifies checks the signature of a compact JWS with the standard library
// alone.
func verifies(t *testing.T, pub crypto.PublicKey, alg, compact string) bool {
	t.Helper()
	input, encoded, ok := cutLast(compact)
	signature, err := base64.RawURLEncoding.DecodeString(encoded)
	if !ok || err != nil {
		t.Fatalf("%s: %q is no compact JWS: %v", alg, compact, err)
	}
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		digest := sha256.Sum256([]byte(input))
		return rsa.VerifyPKCS1v15(pub, crypto.SHA256, digest[:], signature) == nil
	case *ecdsa.PublicKey:
		hash := map[string]crypto.Hash{"ES256": crypto.SHA256, "ES384": crypto.SHA384, "ES512": crypto.SHA512}[alg].New()
		hash.Write([]byte(input))
		half := (pub.Curve.Params().BitSize + 7) / 8
		return len(signature) == 2*half && ecdsa.Verify(pub, hash.Sum(nil),
			new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:]))
	case ed25519.PublicKey:
		return ed25519.Verify(pub, []byte(input), signature)
	}
	return false
}

func cutLast(compact string) (input, signature string, ok bool) {
	dot := strings.LastIndexByte(compact, '.')
	if dot < 0 {
		return "", "", false
	}
	return compact[:dot], compact[dot+1:], true
}

// assert signs an assertion.
func assert(signer crypto.MessageSigner, alg string) (string, error) {
	now := time.Now()
	return jose.Assertion{
		ClientID: "abc", Audience: "https://example.org/token", ID: NewID(), IssuedAt: now, Expiry: now.Add(time.Minute),
	}.Sign(signer, alg, "")
}

// signsWith gets the signer of a key in the agent and checks an assertion of
// its own.
func signsWith(t *testing.T, ctx context.Context, s *Stores, key *jose.Key) {
	t.Helper()
	alg := jose.Algorithms(key.Public())[0]
	signer, err := s.Signer(ctx, Ref{Store: StoreAgent, Fingerprint: key.Fingerprint()})
	if err != nil {
		t.Errorf("%s: Signer: %v", alg, err)
		return
	}
	compact, err := assert(signer, alg)
	if err != nil {
		t.Errorf("%s: %v", alg, err)
	} else if !verifies(t, key.Public(), alg, compact) {
		t.Errorf("%s: the assertion does not verify: %s", alg, compact)
	}
}

// canned is a connection to an agent whose replies are there before it was
// asked.
type canned struct{ replies io.Reader }

func (c canned) Read(p []byte) (int, error)  { return c.replies.Read(p) }
func (c canned) Write(p []byte) (int, error) { return len(p), nil }
func (c canned) Close() error                { return nil }

func cannedAgent(replies []byte) *agentConn {
	conn := canned{bytes.NewReader(replies)}
	wire := &agentWire{conn: conn}
	return &agentConn{"/agent", conn, wire, agent.NewClient(wire)}
}

// framed puts the length before a message.
func framed(message []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(message))), message...)
}

// listReply is an agent's list of these keys.
func listReply(keys ...*agent.Key) []byte {
	message := binary.BigEndian.AppendUint32([]byte{12}, uint32(len(keys)))
	for _, key := range keys {
		message = append(message, ssh.Marshal(struct {
			Blob    []byte
			Comment string
		}{key.Blob, key.Comment})...)
	}
	return framed(message)
}

// signReply is an agent's signature.
func signReply(format string, blob []byte) []byte {
	signature := ssh.Marshal(ssh.Signature{Format: format, Blob: blob})
	return framed(append([]byte{14}, ssh.Marshal(struct{ Signature []byte }{signature})...))
}

// mpints is an ECDSA signature as SSH has it.
func mpints(r, s *big.Int) []byte { return ssh.Marshal(struct{ R, S *big.Int }{r, s}) }

func listed(key *jose.Key, comment string) *agent.Key {
	public, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		panic(err)
	}
	return &agent.Key{Format: public.Type(), Blob: public.Marshal(), Comment: comment}
}

// Whatever an agent answers, what comes of it is an Error or whole.
func FuzzAgentReplies(f *testing.F) {
	failure, success := framed([]byte{5}), framed([]byte{6})
	for alg, key := range agentKeys() {
		list := listReply(listed(key, alg))
		f.Add(list)
		f.Add(bytes.Join([][]byte{list, success, listReply()}, nil))
		f.Add(signReply(listed(key, "").Format, make([]byte, 64)))
	}
	f.Add(signReply(ssh.KeyAlgoRSASHA256, make([]byte, 256)))
	f.Add(signReply(ssh.KeyAlgoECDSA256, mpints(big.NewInt(1), big.NewInt(1))))
	f.Add(failure)
	f.Add([]byte("\xff\xff\xff\xff\x0c"))
	f.Fuzz(func(t *testing.T, replies []byte) {
		keys, all, err := cannedAgent(replies).keys()
		checkReply(t, err, len(keys) > 0)
		if len(keys) > all {
			t.Errorf("got %d keys of %d", len(keys), all)
		}
		for _, key := range keys {
			if len(jose.Algorithms(key.Public)) == 0 || !strings.HasPrefix(key.Fingerprint, "SHA256:") {
				t.Errorf("got %v, which cannot sign", key)
			}
			if utf8.RuneCountInString(key.Comment) > maxComment || strings.ContainsFunc(key.Comment, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("got the comment %q", key.Comment)
			}
			checkReply(t, cannedAgent(replies).remove(key.Fingerprint), false)
		}
		_, err = cannedAgent(replies).forgetsAnyKey()
		checkReply(t, err, false)
		for alg, key := range agentKeys() {
			with := AgentKey{Public: key.Public(), Fingerprint: key.Fingerprint()}
			signature, err := cannedAgent(replies).sign(with, []byte("message"), wayOf(alg))
			checkReply(t, err, signature != nil)
		}
	})
}

func checkReply(t *testing.T, err error, value bool) {
	t.Helper()
	var ours *Error
	if err != nil && (!errors.As(err, &ours) || ours.Store != StoreAgent || value) {
		t.Errorf("got %#v, and a value: %v; want one of them, and an Error", err, value)
	}
}
