//go:build linux

package keychaintest_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
)

const handshake = "\x00AUTH\r\nAUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n"

// Whatever one client sends, its connection comes to an end, and another client
// finds the service and its entry as before, unless the first may have called
// for a change.
func FuzzClient(f *testing.F) {
	unlock := &dbus.Message{Type: dbus.TypeMethodCall, Headers: map[dbus.HeaderField]dbus.Variant{
		dbus.FieldDestination: dbus.MakeVariant("org.freedesktop.secrets"),
		dbus.FieldPath:        dbus.MakeVariant(root),
		dbus.FieldInterface:   dbus.MakeVariant(strings.TrimSuffix(service, ".")),
		dbus.FieldMember:      dbus.MakeVariant("Unlock"),
		dbus.FieldSignature:   dbus.MakeVariant(dbus.SignatureOf([]dbus.ObjectPath{})),
	}, Body: []any{[]dbus.ObjectPath{login}}}
	var wire bytes.Buffer
	if err := unlock.EncodeTo(&wire, binary.LittleEndian); err != nil {
		f.Fatal(err)
	}
	f.Add(wire.Bytes(), true)
	f.Add(wire.Bytes()[:wire.Len()-3], true)
	f.Add([]byte("l\x01\x00\x01\xff\xff\xff\xff"), true)
	f.Add([]byte(handshake), false)
	f.Add([]byte("BEGIN\r\n"), false)
	f.Add([]byte("AUTH\x00EXTERNAL"), false)
	f.Fuzz(func(t *testing.T, data []byte, authenticated bool) {
		s := start(t)
		conn := connect(t, s)
		entry := create(t, conn, createArgs(openSession(t, conn), "alice", "one", true))
		socket, err := net.Dial("unix", strings.TrimPrefix(s.Address(), "unix:path="))
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close()
		if authenticated {
			data = append([]byte(handshake), data...)
		}
		go func() {
			_, _ = socket.Write(data) // which may be cut off
			_ = socket.(*net.UnixConn).CloseWrite()
		}()
		_, _ = io.Copy(io.Discard, socket) // until it hangs up
		if bytes.Contains(data, []byte("Delete")) || bytes.Contains(data, []byte("CreateItem")) {
			return
		}
		wantEntries(t, s, map[string]string{"alice": "one"})
		if found := search(t, conn, map[string]string{"username": "alice"}); len(found) != 1 || found[0] != entry {
			t.Errorf("got %q, want %q", found, entry)
		}
	})
}
