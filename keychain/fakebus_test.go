//go:build !darwin && !windows

package keychain

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"
)

// fakeBus is a session bus and a Secret Service in one, with fixed answers:
// the key is the method's name, for Properties.Get followed by the property's
// name and, for Locked, its object. A call without an answer is never replied
// to.
type fakeBus map[string]reply

// reply is an answer: an error or values, or none, or the first bytes of it, and
// the end of the connection, if that is wanted.
type reply struct {
	fail   string
	body   []any
	silent bool
	first  int // 0 for all
	hangUp bool
}

func values(body ...any) reply  { return reply{body: body} }
func failing(name string) reply { return reply{fail: name} }
func variant(value any) reply   { return values(dbus.MakeVariant(value)) }
func (b fakeBus) with(key string, r reply) fakeBus {
	c := fakeBus{key: r}
	for k, v := range b {
		if k != key {
			c[k] = v
		}
	}
	return c
}

// without returns a bus that does not answer the call key.
func (b fakeBus) without(key string) fakeBus {
	c := b.with(key, reply{})
	delete(c, key)
	return c
}

// start serves the bus until the test ends, and returns its address.
func (b fakeBus) start(t *testing.T) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "bus")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	var mutex sync.Mutex
	var open []net.Conn
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mutex.Lock()
			open = append(open, conn)
			mutex.Unlock()
			serving.Go(func() { b.serve(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		mutex.Lock()
		for _, conn := range open {
			conn.Close()
		}
		mutex.Unlock()
		serving.Wait()
	})
	return "unix:path=" + socket
}

func (b fakeBus) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	if !authenticate(in, conn) {
		return
	}
	for {
		call, err := dbus.DecodeMessage(in)
		if err != nil {
			return
		}
		answer, ok := b[callKey(call)]
		if ok && !answer.silent {
			var wire bytes.Buffer
			if err := answer.message(call.Serial()).EncodeTo(&wire, binary.LittleEndian); err != nil {
				return
			}
			if answer.first > 0 {
				wire.Truncate(answer.first)
			}
			if _, err := wire.WriteTo(conn); err != nil {
				return
			}
		}
		if answer.hangUp {
			return
		}
	}
}

// authenticate plays the server's part of the handshake,
// https://dbus.freedesktop.org/doc/dbus-specification.html#auth-protocol.
func authenticate(in *bufio.Reader, out io.Writer) bool {
	answers := map[string]string{
		"\x00AUTH":          "REJECTED EXTERNAL",
		"AUTH EXTERNAL":     "OK 0123456789abcdef",
		"NEGOTIATE_UNIX_FD": "ERROR",
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return false
		}
		line = strings.TrimSpace(line)
		if line == "BEGIN" {
			return true
		}
		for start, answer := range answers {
			if line == start || strings.HasPrefix(line, start+" ") {
				if _, err := io.WriteString(out, answer+"\r\n"); err != nil {
					return false
				}
			}
		}
	}
}

func callKey(call *dbus.Message) string {
	key, _ := call.Headers[dbus.FieldMember].Value().(string)
	if key != "Get" {
		return key
	}
	property, _ := call.Body[1].(string)
	key += " " + property
	if property == "Locked" {
		path, _ := call.Headers[dbus.FieldPath].Value().(dbus.ObjectPath)
		key += " " + string(path)
	}
	return key
}

func (r reply) message(to uint32) *dbus.Message {
	m := &dbus.Message{
		Type: dbus.TypeMethodReply,
		Headers: map[dbus.HeaderField]dbus.Variant{
			dbus.FieldReplySerial: dbus.MakeVariant(to),
			dbus.FieldSender:      dbus.MakeVariant(":1.1"),
		},
		Body: r.body,
	}
	if r.fail != "" {
		m.Type = dbus.TypeError
		m.Headers[dbus.FieldErrorName] = dbus.MakeVariant(r.fail)
		m.Body = []any{"canary"} // what a service says of an error
	}
	if len(m.Body) > 0 {
		m.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(m.Body...))
	}
	return m
}
