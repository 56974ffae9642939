//go:build unix

package keychain

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"sfcred/keychain/jose"
)

// socketDir is a directory whose name is short enough for sockets.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sfcred")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// agentAt serves each connection to a socket until the test ends, and returns
// stores that use it.
func agentAt(t *testing.T, path string, serve func(conn net.Conn)) *Stores {
	t.Helper()
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			stop := context.AfterFunc(t.Context(), func() { conn.Close() })
			serving.Go(func() {
				defer stop()
				defer conn.Close()
				serve(conn)
			})
		}
	})
	t.Cleanup(func() { listener.Close(); serving.Wait() })
	return &Stores{Agent: path}
}

// servedBy serves an agent in memory.
func servedBy(t *testing.T, a agent.Agent) *Stores {
	t.Helper()
	return agentAt(t, filepath.Join(socketDir(t), "agent"), func(conn net.Conn) { _ = agent.ServeAgent(a, conn) })
}

// holding is an agent in memory with these keys.
func holding(t *testing.T, keys ...*jose.Key) agent.ExtendedAgent {
	t.Helper()
	a := agent.NewKeyring().(agent.ExtendedAgent)
	for _, key := range keys {
		add(t, a, agent.AddedKey{PrivateKey: key.AgentKey(), Comment: "me@here"})
	}
	return a
}

func add(t *testing.T, a agent.Agent, key agent.AddedKey) {
	t.Helper()
	if err := a.Add(key); err != nil {
		t.Fatal(err)
	}
}

func TestAgentSignsAll(t *testing.T) {
	a := holding(t)
	for alg, key := range agentKeys() {
		add(t, a, agent.AddedKey{PrivateKey: key.AgentKey(), Comment: alg})
	}
	s := servedBy(t, a)
	if err := s.Check(t.Context(), StoreAgent); err != nil {
		t.Errorf("Check: %v", err)
	}
	for _, key := range agentKeys() {
		signsWith(t, t.Context(), s, key)
	}
	keys, err := s.AgentKeys(t.Context())
	if err != nil || len(keys) != len(agentKeys()) {
		t.Fatalf("AgentKeys: got %d keys, %v, want %d", len(keys), err, len(agentKeys()))
	}
	for _, got := range keys {
		if want := agentKeys()[got.Comment]; got.Fingerprint != want.Fingerprint() || !want.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(got.Public) {
			t.Errorf("%s: got key %s, want %v", got.Comment, got.Fingerprint, want)
		}
	}
}

// What an agent does not sign for is refused before it is asked, and a digest
// always.
func TestAgentSignsNoOther(t *testing.T) {
	s := servedBy(t, holding(t, agentKeys()["RS256"], agentKeys()["ES256"], agentKeys()["EdDSA"]))
	signer := func(alg string) crypto.MessageSigner {
		signer, err := s.Signer(t.Context(), Ref{Store: StoreAgent, Fingerprint: agentKeys()[alg].Fingerprint()})
		if err != nil {
			t.Fatal(err)
		}
		return signer
	}
	for alg, want := range map[string]string{
		"PS256": "makes no RSA-PSS signatures", "PS384": "makes no RSA-PSS signatures", "PS512": "makes no RSA-PSS signatures",
		"RS384": "for RS256 only", "RS512": "for RS256 only",
	} {
		_, err := assert(signer("RS256"), alg)
		wantError(t, err, ErrUnavailable, want)
	}
	_, err := signer("ES256").SignMessage(rand.Reader, nil, crypto.SHA512)
	wantError(t, err, ErrUnavailable, "for ES256 only")
	_, err = signer("EdDSA").SignMessage(rand.Reader, nil, &ed25519.Options{Context: "x"})
	wantError(t, err, ErrUnavailable, "for EdDSA only")
	if got, err := signer("RS256").Sign(rand.Reader, make([]byte, 32), crypto.SHA256); err == nil {
		t.Errorf("got %d bytes for a digest, want an error", len(got))
	}
}

// listing is an agent that lists what it is told to.
type listing struct {
	agent.Agent
	keys []*agent.Key
}

func (l listing) List() ([]*agent.Key, error) { return l.keys, nil }

func TestAgentKeysPassesOver(t *testing.T) {
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	ed := agentKeys()["EdDSA"]
	signer, err := ssh.NewSignerFromKey(ed.AgentKey())
	if err != nil {
		t.Fatal(err)
	}
	certificate := &ssh.Certificate{Key: signer.PublicKey(), CertType: ssh.UserCert, ValidPrincipals: []string{"alice"}}
	if err := certificate.SignCert(rand.Reader, signer); err != nil {
		t.Fatal(err)
	}
	of := func(public ssh.PublicKey, err error) *agent.Key {
		if err != nil {
			t.Fatal(err)
		}
		return &agent.Key{Blob: public.Marshal(), Comment: "passed over"}
	}
	token := ssh.Marshal(struct {
		Type        string
		Key         []byte
		Application string
	}{ssh.KeyAlgoSKED25519, ed.Public().(ed25519.PublicKey), "ssh:"})
	keys := []*agent.Key{
		of(certificate, nil),
		of(ssh.NewPublicKey(&short.PublicKey)),
		{Blob: ssh.Marshal(struct {
			Type       string
			P, Q, G, Y *big.Int
		}{"ssh-dss", short.N, short.Primes[0], short.Primes[1], short.D})},
		of(ssh.ParsePublicKey(token)),
		{Blob: ssh.Marshal(struct{ Type string }{"ssh-mldsa-99@example.org"})},
		{Blob: ssh.Marshal(struct{ Type, Key string }{ssh.KeyAlgoED25519, "too short"})},
		listed(ed, "\x1b]0;title\a first \u202e"),
		listed(agentKeys()["RS256"], strings.Repeat("long ", 100)),
		listed(ed, "second"),
	}
	s := servedBy(t, listing{keys: keys})
	got, err := s.AgentKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var shown []string
	for _, key := range got {
		shown = append(shown, key.Fingerprint+" "+key.Comment)
	}
	want := []string{
		ed.Fingerprint() + " ]0;title first ",
		agentKeys()["RS256"].Fingerprint() + " " + strings.Repeat("long ", 100)[:64],
	}
	if fmt.Sprintf("%q", shown) != fmt.Sprintf("%q", want) {
		t.Errorf("got %q, want %q", shown, want)
	}
	_, err = s.Signer(t.Context(), Ref{Store: StoreAgent, Fingerprint: ssh.FingerprintSHA256(keys[1])})
	wantError(t, err, ErrNotFound, "has no key")
}

func TestAgentAmongManyKeys(t *testing.T) {
	a := holding(t)
	for range 100 {
		add(t, a, agent.AddedKey{PrivateKey: newKey(t).AgentKey()})
	}
	key := agentKeys()["RS256"]
	add(t, a, agent.AddedKey{PrivateKey: key.AgentKey()})
	s := servedBy(t, a)
	signsWith(t, t.Context(), s, key)
	if err := s.RemoveFromAgent(t.Context(), key.Fingerprint()); err != nil {
		t.Errorf("RemoveFromAgent: %v", err)
	}
	if keys, err := s.AgentKeys(t.Context()); err != nil || len(keys) != 100 {
		t.Errorf("got %d keys, %v, want the 100 others", len(keys), err)
	}
}

func TestAgentAddAndRemove(t *testing.T) {
	other := newKey(t)
	a := holding(t, other)
	s := servedBy(t, a)
	for alg, key := range agentKeys() {
		for range 2 { // the second time over the first
			if err := s.AddToAgent(t.Context(), key, "sfcred\nnersc", AgentLimits{For: time.Hour}); err != nil {
				t.Fatalf("%s: AddToAgent: %v", alg, err)
			}
		}
		signsWith(t, t.Context(), s, key)
		keys, err := s.AgentKeys(t.Context())
		if err != nil || len(keys) != 2 || keys[1].Fingerprint != key.Fingerprint() || keys[1].Comment != "sfcrednersc" {
			t.Errorf("%s: got %v, %v", alg, keys, err)
		}
		if err := s.RemoveFromAgent(t.Context(), key.Fingerprint()); err != nil {
			t.Errorf("%s: RemoveFromAgent: %v", alg, err)
		}
		wantError(t, s.RemoveFromAgent(t.Context(), key.Fingerprint()), ErrNotFound, "has no key")
	}
	signsWith(t, t.Context(), s, other)
}

// keeping is an agent that says yes and does nothing.
type keeping struct{ agent.Agent }

func (keeping) Remove(ssh.PublicKey) error { return nil }
func (keeping) Add(agent.AddedKey) error   { return nil }

func TestAgentIsNotBelieved(t *testing.T) {
	key := agentKeys()["EdDSA"]
	s := servedBy(t, keeping{holding(t, key)})
	wantError(t, s.RemoveFromAgent(t.Context(), key.Fingerprint()), ErrUnavailable, "still has key "+key.Fingerprint())
	wantError(t, s.AddToAgent(t.Context(), key, "", AgentLimits{For: time.Hour}), ErrUnavailable, "as gpg-agent does")

	s = servedBy(t, dropping{holding(t)})
	wantError(t, s.AddToAgent(t.Context(), key, "", AgentLimits{For: time.Hour}), ErrNotFound, "has no key")
}

// dropping is an agent that drops what it is given.
type dropping struct{ agent.Agent }

func (dropping) Add(agent.AddedKey) error { return nil }

func TestAgentLocked(t *testing.T) {
	key := agentKeys()["ES256"]
	a := holding(t, key)
	s, ref := servedBy(t, a), Ref{Store: StoreAgent, Fingerprint: key.Fingerprint()}
	signer, err := s.Signer(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Lock([]byte("secret")); err != nil {
		t.Fatal(err)
	}
	_, err = assert(signer, "ES256")
	wantError(t, err, ErrLocked, "refused to sign with key "+key.Fingerprint())
	_, err = s.Signer(t.Context(), ref)
	wantError(t, err, ErrNotFound, "lists none at all, as it does when it is locked")
	wantError(t, s.RemoveFromAgent(t.Context(), ref.Fingerprint), ErrNotFound, "locked")
	wantError(t, s.AddToAgent(t.Context(), key, "", AgentLimits{For: time.Hour}), ErrLocked, "did not take the key")
	if keys, err := s.AgentKeys(t.Context()); err != nil || len(keys) != 0 {
		t.Errorf("got %v, %v, want no keys", keys, err)
	}
	if err := a.Unlock([]byte("secret")); err != nil {
		t.Fatal(err)
	}
	// The agent in memory knows no confirmation, and says so by a refusal.
	wantError(t, s.AddToAgent(t.Context(), key, "", AgentLimits{For: time.Hour, Confirm: true}), ErrLocked, "with a confirmation")
}

// declining is an agent whose user declines.
type declining struct{ agent.ExtendedAgent }

func (declining) SignWithFlags(ssh.PublicKey, []byte, agent.SignatureFlags) (*ssh.Signature, error) {
	return nil, errors.New("canary")
}

func TestAgentDeclines(t *testing.T) {
	key := agentKeys()["RS256"]
	s := servedBy(t, declining{holding(t, key)})
	signer, err := s.Signer(t.Context(), Ref{Store: StoreAgent, Fingerprint: key.Fingerprint()})
	if err != nil {
		t.Fatal(err)
	}
	_, err = assert(signer, "RS256")
	wantError(t, err, ErrLocked, "it was not confirmed")
}

func TestNoAgent(t *testing.T) {
	dir := socketDir(t)
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dead := filepath.Join(dir, "dead")
	listener, err := net.Listen("unix", dead)
	if err != nil {
		t.Fatal(err)
	}
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	listener.Close()
	for _, tt := range []struct{ path, want string }{
		{"", "there is no ssh-agent: SSH_AUTH_SOCK is not set"},
		{filepath.Join(dir, "none"), "there is no ssh-agent at "},
		{dead, "has ended"},
		{file, ""}, // ECONNREFUSED on Linux, ENOTSOCK on macOS
		{dir, ""},
		{filepath.Join(file, "agent"), "cannot be reached: not a directory"},
		{"/" + strings.Repeat("x", 200), "cannot be reached: invalid argument"},
	} {
		s := &Stores{Agent: tt.path}
		key := agentKeys()["EdDSA"]
		_, keysErr := s.AgentKeys(t.Context())
		_, signerErr := s.Signer(t.Context(), Ref{Store: StoreAgent, Fingerprint: key.Fingerprint()})
		for _, err := range []error{
			keysErr, signerErr, s.Check(t.Context(), StoreAgent),
			s.AddToAgent(t.Context(), key, "", AgentLimits{For: time.Hour}),
			s.RemoveFromAgent(t.Context(), key.Fingerprint()),
		} {
			wantError(t, err, ErrUnavailable, tt.want)
		}
	}
}

// The agent ends after the key was found.
func TestAgentEndsBeforeSignature(t *testing.T) {
	key := agentKeys()["EdDSA"]
	for name, end := range map[string]func(s *Stores) error{
		"socket gone": func(s *Stores) error { return os.Remove(s.Agent) },
		"another socket": func(s *Stores) error {
			if err := os.Remove(s.Agent); err != nil {
				return err
			}
			agentAt(t, s.Agent, func(net.Conn) {})
			return nil
		},
	} {
		s := servedBy(t, holding(t, key))
		signer, err := s.Signer(t.Context(), Ref{Store: StoreAgent, Fingerprint: key.Fingerprint()})
		if err != nil {
			t.Fatal(err)
		}
		if err := end(s); err != nil {
			t.Fatal(err)
		}
		_, err = assert(signer, "EdDSA")
		if wantError(t, err, ErrUnavailable, "ssh-agent at "); t.Failed() {
			t.Fatal(name)
		}
	}
}

func TestAgentNeverAnswers(t *testing.T) {
	key := agentKeys()["EdDSA"]
	drip := func(conn net.Conn) {
		for range 1000 {
			if _, err := conn.Write([]byte{0}); err != nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	for name, s := range map[string]*Stores{
		"silent": agentAt(t, filepath.Join(socketDir(t), "agent"), func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }),
		"drips":  agentAt(t, filepath.Join(socketDir(t), "agent"), func(conn net.Conn) { _, _ = conn.Write([]byte{0, 1, 0, 0, 12}); drip(conn) }),
		"stuck":  {Agent: stuckSocket(t)},
	} {
		for call, f := range map[string]func(ctx context.Context) error{
			"Check":           func(ctx context.Context) error { return s.Check(ctx, StoreAgent) },
			"Signer":          func(ctx context.Context) error { _, err := s.agentSigner(ctx, key.Fingerprint()); return err },
			"AddToAgent":      func(ctx context.Context) error { return s.AddToAgent(ctx, key, "", AgentLimits{For: time.Hour}) },
			"RemoveFromAgent": func(ctx context.Context) error { return s.RemoveFromAgent(ctx, key.Fingerprint()) },
		} {
			start := time.Now()
			err := f(soon(t))
			if wantError(t, err, ErrTimeout, "did not answer in time"); t.Failed() || time.Since(start) > 2*time.Second {
				t.Fatalf("%s, %s: after %v", name, call, time.Since(start))
			}
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(10*time.Millisecond, cancel)
			if err := f(ctx); !errors.Is(err, context.Canceled) {
				t.Fatalf("%s, %s: got %v, want %v", name, call, err, context.Canceled)
			}
		}
	}
}

// stuckSocket takes connections and never accepts them.
func stuckSocket(t *testing.T) string {
	t.Helper()
	path := filepath.Join(socketDir(t), "agent")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return path
}

// A signature is waited for until the deadline of the context that the signer
// was got with, and no longer.
func TestAgentIsWaitedFor(t *testing.T) {
	key := agentKeys()["EdDSA"]
	person := slow{holding(t, key), 200 * time.Millisecond}
	s, ref := servedBy(t, person), Ref{Store: StoreAgent, Fingerprint: key.Fingerprint()}
	signsWith(t, t.Context(), s, key)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	signer, err := s.Signer(ctx, ref)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	_, err = assert(signer, "EdDSA")
	wantError(t, err, ErrTimeout, "nobody confirmed or touched the key")
	_, err = assert(signer, "EdDSA")
	wantError(t, err, ErrTimeout, "did not sign in time")
	if waited := time.Since(start); waited > 190*time.Millisecond {
		t.Errorf("waited %v", waited)
	}
}

// slow is an agent that asks a person.
type slow struct {
	agent.ExtendedAgent
	after time.Duration
}

func (s slow) SignWithFlags(key ssh.PublicKey, data []byte, flags agent.SignatureFlags) (*ssh.Signature, error) {
	time.Sleep(s.after)
	return s.ExtendedAgent.SignWithFlags(key, data, flags)
}

// scripted answers the list of keys as it should and every other request with
// reply, which closes the connection if it is nil.
func scripted(t *testing.T, list, reply []byte) *Stores {
	t.Helper()
	return agentAt(t, filepath.Join(socketDir(t), "agent"), func(conn net.Conn) {
		for {
			var length [4]byte
			if _, err := io.ReadFull(conn, length[:]); err != nil {
				return
			}
			request := make([]byte, binary.BigEndian.Uint32(length[:]))
			if _, err := io.ReadFull(conn, request); err != nil {
				return
			}
			answer := reply
			if request[0] == 11 {
				answer = list
			}
			if answer == nil {
				return
			}
			if _, err := conn.Write(answer); err != nil {
				return
			}
			if len(answer) < 4 || int(binary.BigEndian.Uint32(answer)) != len(answer)-4 {
				return // closes in the middle
			}
		}
	})
}

// nonsense is what an agent may answer instead of what it was asked for.
func nonsense() map[string][]byte {
	return map[string][]byte{
		"nothing":              nil,
		"half a length":        {0, 0},
		"an empty reply":       framed(nil),
		"half a reply":         []byte("\x00\x00\x00\x10\x0ccanary"),
		"the largest length":   []byte("\xff\xff\xff\xff\x0ccanary"),
		"16 MiB":               []byte("\x01\x00\x00\x00\x0ccanary"),
		"just too long":        []byte("\x00\x04\x00\x01\x0ccanary"),
		"an unknown type":      framed([]byte("\xc8canary")),
		"success":              framed([]byte{6}),
		"HTTP":                 []byte("HTTP/1.1 400 Bad Request\r\n\r\ncanary"),
		"an extension failure": framed([]byte{28}),
		"noise":                framed(bytes.Repeat([]byte("canary\xff"), 1000)),
	}
}

func TestAgentAnswersNonsense(t *testing.T) {
	key := agentKeys()["EdDSA"]
	list := listReply(listed(key, "me@here"))
	check := func(name string, err error) {
		t.Helper()
		if wantError(t, err, ErrUnavailable, "broke off, or answered with what is no answer"); t.Failed() {
			t.Fatal(name)
		}
		if strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got %q, want it without the agent's words", name, err)
		}
	}
	lists := nonsense()
	lists["a signature"] = signReply(ssh.KeyAlgoED25519, make([]byte, 64))
	lists["more keys than there are"] = framed([]byte("\x0c\x00\x00\x00\x02" + string(list[9:])))
	lists["four billion keys"] = framed([]byte("\x0c\xff\xff\xff\xff"))
	lists["a key of nothing"] = listReply(&agent.Key{})
	for name, reply := range lists {
		s := scripted(t, reply, framed([]byte{6}))
		_, err := s.AgentKeys(t.Context())
		check("list of "+name, err)
	}
	signatures := nonsense()
	signatures["a list"] = list
	signatures["a signature of nothing"] = framed([]byte("\x0e\x00\x00\x00\x00"))
	for name, reply := range signatures {
		s := scripted(t, list, reply)
		signer, err := s.Signer(t.Context(), Ref{Store: StoreAgent, Fingerprint: key.Fingerprint()})
		if err != nil {
			t.Fatal(err)
		}
		_, err = assert(signer, "EdDSA")
		check("signature of "+name, err)
		if name != "success" { // that is another test's
			check("probe of "+name, s.AddToAgent(t.Context(), key, "", AgentLimits{For: time.Hour}))
			check("removal of "+name, s.RemoveFromAgent(t.Context(), key.Fingerprint()))
		}
	}
	wantError(t, scripted(t, framed([]byte{5}), nil).Check(t.Context(), StoreAgent), ErrLocked, "refuses to list its keys")
}

// What is read of a reply is bounded, whatever it says of itself.
func TestAgentReplyIsBounded(t *testing.T) {
	s := scripted(t, []byte("\x00\xff\xff\xff\x0c"), nil)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 10 {
		if err := s.Check(t.Context(), StoreAgent); err == nil {
			t.Error("got nil, want an error")
		}
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 10<<20 {
		t.Errorf("10 replies said to be of 16 MiB took %d bytes", took)
	}
}

func TestAgentMakesWrongSignatures(t *testing.T) {
	const (
		another  = "made another signature than the "
		noVerify = "made a signature that does not verify with key SHA256:"
	)
	one, n := big.NewInt(1), elliptic.P256().Params().N
	for _, tt := range []struct {
		name, alg, format string
		blob              []byte
		want              string
	}{
		{"SHA-1", "RS256", ssh.KeyAlgoRSA, make([]byte, 256), another + "rsa-sha2-256"},
		{"SHA-512", "RS256", ssh.KeyAlgoRSASHA512, make([]byte, 256), another + "rsa-sha2-256"},
		{"type of another key", "ES256", ssh.KeyAlgoECDSA384, mpints(one, one), another + "ecdsa-sha2-nistp256"},
		{"type of a FIDO token", "EdDSA", ssh.KeyAlgoSKED25519, make([]byte, 64), another + "ssh-ed25519"},
		{"type with a canary", "EdDSA", "canary", make([]byte, 64), another + "ssh-ed25519"},
		{"RSA, zeros", "RS256", ssh.KeyAlgoRSASHA256, make([]byte, 256), noVerify},
		{"RSA, empty", "RS256", ssh.KeyAlgoRSASHA256, nil, noVerify},
		{"RSA, too long", "RS256", ssh.KeyAlgoRSASHA256, bytes.Repeat([]byte{1}, 1000), noVerify},
		{"Ed25519, empty", "EdDSA", ssh.KeyAlgoED25519, nil, noVerify},
		{"Ed25519, too short", "EdDSA", ssh.KeyAlgoED25519, make([]byte, 63), noVerify},
		{"Ed25519, too long", "EdDSA", ssh.KeyAlgoED25519, make([]byte, 65), noVerify},
		{"ECDSA, empty", "ES256", ssh.KeyAlgoECDSA256, nil, noVerify},
		{"ECDSA, ASN.1", "ES256", ssh.KeyAlgoECDSA256, []byte("\x30\x06\x02\x01\x01\x02\x01\x01"), noVerify},
		{"ECDSA, wrong", "ES256", ssh.KeyAlgoECDSA256, mpints(one, one), noVerify},
		{"ECDSA, r is 0", "ES256", ssh.KeyAlgoECDSA256, mpints(new(big.Int), one), noVerify},
		{"ECDSA, s is 0", "ES384", ssh.KeyAlgoECDSA384, mpints(one, new(big.Int)), noVerify},
		{"ECDSA, r is the order", "ES256", ssh.KeyAlgoECDSA256, mpints(n, one), noVerify},
		{"ECDSA, s is far larger", "ES512", ssh.KeyAlgoECDSA521, mpints(one, new(big.Int).Lsh(one, 8000)), noVerify},
		{"ECDSA, negative", "ES256", ssh.KeyAlgoECDSA256, mpints(big.NewInt(-1), one), noVerify},
		{"ECDSA, one number", "ES256", ssh.KeyAlgoECDSA256, mpints(one, one)[:5], noVerify},
		{"ECDSA, more than two", "ES256", ssh.KeyAlgoECDSA256, append(mpints(one, one), 0), noVerify},
	} {
		key := agentKeys()[tt.alg]
		s := scripted(t, listReply(listed(key, "")), signReply(tt.format, tt.blob))
		signer, err := s.Signer(t.Context(), Ref{Store: StoreAgent, Fingerprint: key.Fingerprint()})
		if err != nil {
			t.Fatal(err)
		}
		_, err = assert(signer, tt.alg)
		if wantError(t, err, ErrUnavailable, tt.want); t.Failed() || strings.Contains(err.Error(), "canary") {
			t.Fatalf("%s: got %v", tt.name, err)
		}
	}
}

// Agents that leave out leading zeros of an RSA signature are understood: one
// signature in 256 has some.
func TestAgentLeavesOutZeros(t *testing.T) {
	key := agentKeys()["RS256"]
	s := servedBy(t, trimming{holding(t, key)})
	signer, err := s.Signer(t.Context(), Ref{Store: StoreAgent, Fingerprint: key.Fingerprint()})
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		signature, err := signer.SignMessage(rand.Reader, fmt.Append(nil, i), crypto.SHA256)
		if err != nil || len(signature) != 256 {
			t.Fatalf("got %d bytes, %v, want 256", len(signature), err)
		}
		if signature[0] == 0 {
			return
		}
	}
}

type trimming struct{ agent.ExtendedAgent }

func (a trimming) SignWithFlags(key ssh.PublicKey, data []byte, flags agent.SignatureFlags) (*ssh.Signature, error) {
	signature, err := a.ExtendedAgent.SignWithFlags(key, data, flags)
	if err == nil {
		signature.Blob = bytes.TrimLeft(signature.Blob, "\x00")
	}
	return signature, err
}

func TestRefusedName(t *testing.T) {
	dir := socketDir(t)
	target := filepath.Join(dir, "S.gpg-agent.ssh")
	if err := os.WriteFile(target, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		link:                                   isGPG,
		target:                                 isGPG,
		"/run/user/1000/gnupg/S.gpg-agent.ssh": isGPG,
		"/home/me/.ssh/agent/s.5w4CQ2109U.sshd.5l0ixCaX1S":        isForwarded,
		"/tmp/vscode-ssh-auth-9f065a7c.sock":                      isForwarded,
		"/home/me/.ssh/agent/s.5w4CQ2109U.agent.5l0ixCaX1S":       "",
		"/tmp/ssh-XXXXabcdefgh/agent.1234":                        "",
		"/run/user/1000/keyring/ssh":                              "",
		"/private/tmp/com.apple.launchd.abcdefghij/Listeners":     "",
		"/home/me/S.gpg-agent.d/agent":                            "",
		"/home/me/.ssh/agents.example.sshd.d/my-agent.sock":       "",
		filepath.Join(dir, "s.there-is-nothing.sshd.behind-this"): isForwarded,
	} {
		if got := refusedName(path); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}

// A link to a socket is followed, both to talk to the agent and to judge it.
func TestAgentBehindLink(t *testing.T) {
	key := agentKeys()["EdDSA"]
	dir := socketDir(t)
	a := holding(t, key)
	s := agentAt(t, filepath.Join(dir, "s.5w4CQ2109U.sshd.5l0ixCaX1S"), func(conn net.Conn) { _ = agent.ServeAgent(a, conn) })
	link := filepath.Join(dir, "link")
	if err := os.Symlink(s.Agent, link); err != nil {
		t.Fatal(err)
	}
	s.Agent = link
	signsWith(t, t.Context(), s, key)
	wantError(t, s.AddToAgent(t.Context(), newKey(t), "", AgentLimits{For: time.Hour}), ErrUnavailable, isForwarded)
	if keys, err := s.AgentKeys(t.Context()); err != nil || len(keys) != 1 {
		t.Errorf("got %d keys, %v, want 1", len(keys), err)
	}
}

// An agent of another user signs, for the signature is verified, but gets no
// key.
func TestAgentOfAnotherUser(t *testing.T) {
	if path := os.Getenv(roleEnv); path != "" {
		agentAt(t, path, func(conn net.Conn) { _ = agent.ServeAgent(holding(t), conn) })
		_, _ = io.Copy(io.Discard, os.Stdin) // until the test closes it
		return
	}
	if os.Geteuid() != 0 {
		if os.Getenv("SFCRED_REAL") == "1" {
			t.Fatal("only root can be another user")
		}
		t.Skip("only root can be another user")
	}
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		t.Skip("who listens is not known here")
	}
	dir := socketDir(t)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	s := &Stores{Agent: filepath.Join(dir, "agent")}
	cmd := child(t, s.Agent)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close(); _ = cmd.Wait() })
	awaitAgent(t, s)
	err = s.AddToAgent(t.Context(), newKey(t), "", AgentLimits{For: time.Hour})
	wantError(t, err, ErrUnavailable, fmt.Sprintf("belongs to uid %d", nobody))
}

// awaitAgent waits until an agent answers.
func awaitAgent(t *testing.T, s *Stores) {
	t.Helper()
	for start := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		err := s.Check(t.Context(), StoreAgent)
		if err == nil {
			return
		}
		if time.Since(start) > 10*time.Second {
			t.Fatalf("no agent: %v", err)
		}
	}
}
