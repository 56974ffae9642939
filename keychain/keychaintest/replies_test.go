//go:build linux

package keychaintest_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"sfcred/keychain"
	"sfcred/keychain/jose"
)

// garbler is a bus between a client and the service, which spoils one of the
// things that the service says: the n-th line or message, over all connections.
type garbler struct {
	service string // its socket
	said    atomic.Int32
	n       int32
	spoil   func(said []byte) (out []byte, hangUp bool)

	mu   sync.Mutex // guards open
	open []net.Conn
	busy sync.WaitGroup
}

// start serves clients until the returned function is called.
func (g *garbler) start(t *testing.T) (address string, end func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "bus-")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", filepath.Join(dir, "bus"))
	if err != nil {
		t.Fatal(err)
	}
	g.busy.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			service, err := net.Dial("unix", g.service)
			if err != nil {
				client.Close()
				continue
			}
			g.mu.Lock()
			g.open = append(g.open, client)
			g.mu.Unlock()
			g.busy.Go(func() { defer service.Close(); _, _ = io.Copy(service, client) })
			g.busy.Go(func() { defer hangUp(client); g.pass(bufio.NewReader(service), client) })
		}
	})
	return "unix:path=" + filepath.Join(dir, "bus"), func() {
		listener.Close()
		g.mu.Lock()
		for _, conn := range g.open {
			hangUp(conn)
		}
		g.mu.Unlock()
		g.busy.Wait() // until the clients have hung up too
		os.RemoveAll(dir)
	}
}

// hangUp says that no more will come. A reset, as by closing a connection with
// something unread, is not tried: within a message it would have godbus panic in
// the connection that go-keyring makes.
func hangUp(conn net.Conn) { _ = conn.(*net.UnixConn).CloseWrite() }

// pass hands on what the service says, one line or message at a time.
func (g *garbler) pass(service *bufio.Reader, client io.Writer) {
	for {
		said, err := next(service)
		if err != nil {
			return
		}
		hangUp := false
		if g.said.Add(1)-1 == g.n {
			said, hangUp = g.spoil(said)
		}
		if _, err := client.Write(said); err != nil || hangUp {
			return
		}
	}
}

// next reads a line of the handshake, or a message, which begins with its byte
// order, as no line does.
func next(in *bufio.Reader) ([]byte, error) {
	first, err := in.Peek(1)
	if err != nil {
		return nil, err
	}
	if first[0] != 'l' {
		return in.ReadBytes('\n')
	}
	head, err := in.Peek(16)
	if err != nil {
		return nil, err
	}
	body, fields := binary.LittleEndian.Uint32(head[4:]), binary.LittleEndian.Uint32(head[12:])
	message := make([]byte, 16+(fields+7)&^7+body)
	_, err = io.ReadFull(in, message)
	return message, err
}

// spoiler is one way to spoil what is said, at a byte of it, with more.
func spoiler(how byte, at int, more []byte, secret string) func([]byte) ([]byte, bool) {
	return func(said []byte) ([]byte, bool) {
		at := at % (len(said) + 1)
		switch how % 6 {
		case 0: // other bytes
			said = slices.Clone(said)
			copy(said[at:], more)
		case 1: // more bytes
			said = slices.Concat(said[:at], more, said[at:])
		case 2: // less, and the end
			return said[:at], true
		case 3: // another body of the same length
			if said[0] == 'l' {
				said = slices.Clone(said)
				copy(said[len(said)-int(binary.LittleEndian.Uint32(said[4:])):], more)
			}
		case 4: // an error, whose text is the secret
			if message, ok := decoded(said); ok {
				message.Type = dbus.TypeError
				message.Headers[dbus.FieldErrorName] = dbus.MakeVariant(string(more))
				message.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(secret))
				message.Body = []any{secret}
				said = encoded(message, said)
			}
		case 5: // a value of another type
			if message, ok := decoded(said); ok {
				var value any = string(more)
				if at%2 == 1 {
					value = dbus.MakeVariant(value)
				}
				message.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(value))
				message.Body = []any{value}
				said = encoded(message, said)
			}
		}
		return said, false
	}
}

func decoded(said []byte) (*dbus.Message, bool) {
	message, err := dbus.DecodeMessage(bytes.NewReader(said))
	return message, err == nil
}

// encoded is the wire form of a message with the serial of the one before; that
// one, where it has none.
func encoded(message *dbus.Message, before []byte) []byte {
	var wire bytes.Buffer
	if err := message.EncodeTo(&wire, binary.LittleEndian); err != nil {
		return before
	}
	copy(wire.Bytes()[8:12], before[8:12])
	return wire.Bytes()
}

// Whatever becomes of one thing that the service or its bus says, what comes of
// it is the key that is there, or an Error of few plain words without any of the
// key; and a key that is said to be stored is. The context's end is the end.
func FuzzReplies(f *testing.F) {
	key, err := jose.Generate("EdDSA", 0)
	if err != nil {
		f.Fatal(err)
	}
	for n := range byte(30) {
		f.Add(n, byte(2), uint16(20), []byte{}, n%2 == 0)
		f.Add(n, byte(4), uint16(0), []byte("org.example.Odd"), n%2 == 1)
		f.Add(n, byte(5), uint16(n), []byte("x"), n%2 == 0)
	}
	f.Add(byte(8), byte(4), uint16(0), []byte("org.freedesktop.Secret.Error.IsLocked"), false)
	f.Add(byte(12), byte(0), uint16(4), []byte("\xff\xff\xff\x7f"), false)
	f.Add(byte(20), byte(3), uint16(0), []byte("\x00\x00\x00\x00"), true)
	f.Add(byte(4), byte(1), uint16(10), []byte("x"), true) // which stalls within a header
	f.Add(byte(255), byte(0), uint16(0), []byte{}, false)
	f.Add(byte(255), byte(0), uint16(0), []byte{}, true)
	f.Setenv("DBUS_SESSION_BUS_ADDRESS", "")
	f.Fuzz(func(t *testing.T, n, how byte, at uint16, more []byte, put bool) {
		s := start(t)
		ref := keychain.Ref{Store: keychain.StoreKeychain, ID: keychain.NewID()}
		if !put {
			s.SetEntries("sfcred", map[string]string{ref.ID: key.Text()})
		}
		g := &garbler{service: strings.TrimPrefix(s.Address(), "unix:path="), n: int32(n), spoil: spoiler(how, int(at), more, key.Text())}
		address, end := g.start(t)
		defer disconnect(t)
		defer end()
		// Only an answer that does not come takes so long.
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		stores := &keychain.Stores{Bus: address}
		if put {
			if err = stores.Put(ctx, ref, key); err == nil && s.Entries()[ref.ID] != key.Text() {
				t.Fatalf("said to be stored, and there is %q", s.Entries())
			}
		} else {
			var got *jose.Key
			if got, err = stores.Key(ctx, ref); (got == nil) == (err == nil) || err == nil && got.Text() != key.Text() {
				t.Fatalf("got another key, or none, and %v", err)
			}
		}
		if err == nil {
			return
		}
		if g.said.Load() <= int32(n) && !errors.Is(err, keychain.ErrTimeout) { // of a busy machine
			t.Fatalf("nothing was spoilt, and yet: %v", err)
		}
		wantPlain(t, err, key.Text())
	})
}

// wantPlain wants an Error of the keychain of few plain words, of which none is
// from the secret.
func wantPlain(t *testing.T, err error, secret string) {
	t.Helper()
	var ours *keychain.Error
	if !errors.As(err, &ours) || ours.Store != keychain.StoreKeychain {
		t.Fatalf("got %#v, want an Error of the keychain", err)
	}
	text := err.Error()
	if len(text) > 500 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Fatalf("got %d bytes: %q", len(text), text)
	}
	const window = 8
	for i := len("sfcred1:Ed25519:"); i+window <= len(secret); i++ {
		if strings.Contains(text, secret[i:i+window]) {
			t.Fatalf("%q has some of the key", text)
		}
	}
}

// disconnect waits until godbus knows that the connection which it shares is
// gone, so that the next one is to the next bus.
func disconnect(t *testing.T) {
	t.Helper()
	for {
		t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus")
		if _, err := dbus.SessionBus(); err != nil {
			return
		}
		time.Sleep(100 * time.Microsecond)
	}
}
