package keychaintest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/godbus/dbus/v5"
)

// The bus's own part, and its errors.
const (
	busName        = "org.freedesktop.DBus"
	unknownMethod  = refusal("org.freedesktop.DBus.Error.UnknownMethod")
	invalidArgs    = refusal("org.freedesktop.DBus.Error.InvalidArgs")
	notSupported   = refusal("org.freedesktop.DBus.Error.NotSupported")
	serviceUnknown = refusal("org.freedesktop.DBus.Error.ServiceUnknown")
)

// refusal is the name of the error that a call is answered with; "" is none.
type refusal string

// client is one connection. All but conn is guarded by the service's mutex.
type client struct {
	service  *Service
	conn     net.Conn
	serial   uint32   // of the last message sent
	matches  []string // the rules of the signals it wants
	sessions map[dbus.ObjectPath]bool
	prompts  map[dbus.ObjectPath][]dbus.ObjectPath // what each is to unlock
	signal   *dbus.Message                         // to follow the reply
}

// serve answers the client's calls, one after the other.
func (c *client) serve(silent bool) {
	in := bufio.NewReader(c.conn)
	if silent {
		_, _ = io.Copy(io.Discard, in)
		return
	}
	if err := authenticate(in, c.conn); err != nil {
		return
	}
	for {
		message, err := dbus.DecodeMessage(in)
		if err != nil {
			return
		}
		out, hangUp := c.take(message)
		// A client that is gone is noticed by the next read.
		_, _ = c.conn.Write(out)
		if hangUp {
			return
		}
	}
}

// authenticate plays the server's part of the handshake, see "Authentication
// Protocol" in the D-Bus specification. The client is taken for who it says it
// is; file descriptors are not taken.
func authenticate(in *bufio.Reader, out io.Writer) error {
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		line = strings.TrimRight(strings.TrimPrefix(line, "\x00"), "\r\n")
		answer := "ERROR"
		switch {
		case line == "BEGIN":
			return nil
		case line == "AUTH EXTERNAL":
			answer = "DATA"
		case strings.HasPrefix(line, "AUTH EXTERNAL "), strings.HasPrefix(line, "DATA"):
			answer = "OK 0123456789abcdef0123456789abcdef"
		case strings.HasPrefix(line, "AUTH"):
			answer = "REJECTED EXTERNAL"
		}
		if _, err := io.WriteString(out, answer+"\r\n"); err != nil {
			return err
		}
	}
}

// take lets a message have its effect and returns what is to be sent back, and
// whether the connection ends with it.
func (c *client) take(m *dbus.Message) (out []byte, hangUp bool) {
	if m.Type != dbus.TypeMethodCall {
		return nil, false
	}
	s, method := c.service, header(m, dbus.FieldInterface)+"."+header(m, dbus.FieldMember)
	s.mu.Lock()
	onCall := s.onCall
	s.mu.Unlock()
	if onCall != nil {
		onCall(method)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before, after := countDown(&s.failBefore), countDown(&s.failAfter)
	if before {
		return nil, true
	}
	out = c.answer(m, method)
	if after {
		return nil, true
	}
	return out, false
}

// countDown reports whether n has come to its end.
func countDown(n *int) bool {
	if *n == 0 {
		return false
	}
	*n--
	return *n == 0
}

// answer returns the reply to a call and the signal that follows it, if any.
func (c *client) answer(m *dbus.Message, method string) []byte {
	var body []any
	fail := serviceUnknown
	to, mode := header(m, dbus.FieldDestination), c.service.mode
	switch {
	case mode == Silent, mode == SilentService && to != busName:
		return nil
	case to == busName:
		body, fail = c.onBus(method, m.Body)
	case to == secretsName && mode != NoService:
		path, _ := m.Headers[dbus.FieldPath].Value().(dbus.ObjectPath)
		body, fail = c.onSecrets(path, method, m.Body)
	default:
		to = busName // replies for who is not there
	}
	reply := newMessage(dbus.TypeMethodReply, to, body)
	if fail != "" {
		reply = newMessage(dbus.TypeError, to, nil)
		reply.Headers[dbus.FieldErrorName] = dbus.MakeVariant(string(fail))
	}
	reply.Headers[dbus.FieldReplySerial] = dbus.MakeVariant(m.Serial())
	var out []byte
	if m.Flags&dbus.FlagNoReplyExpected == 0 {
		out = c.encode(reply)
	}
	if c.signal != nil {
		out = append(out, c.encode(c.signal)...)
		c.signal = nil
	}
	return out
}

func (c *client) onBus(method string, args []any) ([]any, refusal) {
	var text string // the one argument that most have
	switch method {
	case busName + ".Hello":
		return []any{fmt.Sprintf(":1.%d", c.service.number())}, ""
	case busName + ".AddMatch":
		fail := read(args, &text)
		c.matches = append(c.matches, text)
		return nil, fail
	case busName + ".RemoveMatch":
		return nil, "" // no prompt has two signals
	case busName + ".NameHasOwner":
		fail := read(args, &text)
		return []any{text == secretsName && c.service.mode != NoService}, fail
	}
	return nil, unknownMethod
}

// wants reports whether the client asked for the signals of an object.
func (c *client) wants(path dbus.ObjectPath) bool {
	return slices.ContainsFunc(c.matches, func(rule string) bool {
		return strings.Contains(rule, "path='"+string(path)+"'")
	})
}

// encode makes the message's wire form, with its own serial, which godbus
// leaves at 0, which is not allowed.
func (c *client) encode(m *dbus.Message) []byte {
	var wire bytes.Buffer
	if err := m.EncodeTo(&wire, binary.LittleEndian); err != nil {
		panic(fmt.Sprintf("keychaintest: encode a message: %v", err))
	}
	c.serial++
	binary.LittleEndian.PutUint32(wire.Bytes()[8:], c.serial)
	return wire.Bytes()
}

func newMessage(kind dbus.Type, sender string, body []any) *dbus.Message {
	m := &dbus.Message{Type: kind, Body: body, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldSender: dbus.MakeVariant(sender),
	}}
	if len(body) > 0 {
		m.Headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(body...))
	}
	return m
}

// header returns a header field that is text.
func header(m *dbus.Message, field dbus.HeaderField) string {
	text, _ := m.Headers[field].Value().(string)
	return text
}

// read stores a call's arguments, which must be as many as there are targets
// and of their types.
func read(args []any, targets ...any) refusal {
	if err := dbus.Store(args, targets...); err != nil {
		return invalidArgs
	}
	return ""
}
