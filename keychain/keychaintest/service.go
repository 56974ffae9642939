// Package keychaintest is a Secret Service in memory on a session bus of its
// own, for tests that drive go-keyring, or a program that uses it, across
// processes: what net/http/httptest is to HTTP.
//
// It answers the calls that go-keyring v0.2.8 makes, and those by which one
// looks before, with the names, types and errors of the specifications:
// https://specifications.freedesktop.org/secret-service/ and
// https://dbus.freedesktop.org/doc/dbus-specification.html.
// There is one collection, "login", which is the default too.
//
// It trusts whoever reaches its socket, which lies in a directory that only
// the user can enter. It leaves out encrypted sessions, labels, other
// collections, locks of single entries, and all of a bus that is not needed to
// reach this one service.
package keychaintest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/godbus/dbus/v5"
)

// Mode is how a Service behaves towards its clients.
type Mode int

const (
	// Unlocked has an open collection. If a client locks it, the prompt to
	// open it is granted.
	Unlocked Mode = iota
	// LockedGranted has a locked collection; its prompt opens it, for all
	// clients.
	LockedGranted
	// LockedDismissed has a locked collection; its prompt is dismissed.
	LockedDismissed
	// LockedUnanswered has a locked collection; its prompt never completes.
	LockedUnanswered
	// NoCollection has none, as gnome-keyring in a session without a login by
	// password: unlocking changes nothing, without a prompt.
	NoCollection
	// NoService is a bus on which nobody provides the service and which
	// cannot start it: calls of it fail with ServiceUnknown.
	NoService
	// SilentService is a bus on which the service never replies.
	SilentService
	// Silent is a socket that accepts connections and never replies. A
	// connection made in this mode stays so, and its calls are not heard.
	Silent
)

// Service is a Secret Service with its bus. Its methods may be called by
// several goroutines.
type Service struct {
	dir      string
	listener net.Listener
	serving  sync.WaitGroup

	mu         sync.Mutex // guards what follows
	closed     bool
	clients    map[*client]bool
	made       int // clients, entries, sessions and prompts, which are numbered
	mode       Mode
	locked     bool
	entries    []*entry // oldest first
	failBefore int
	failAfter  int
	onCall     func(method string)
}

// Start starts a Service with no entries, in mode Unlocked. Its caller must
// Close it.
func Start() (*Service, error) {
	// A socket's path has 104 bytes or less, where that of a test's own
	// directory may have more.
	dir, err := os.MkdirTemp("", "bus-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the bus: %w", err)
	}
	listener, err := net.Listen("unix", filepath.Join(dir, "bus"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen for clients of the bus: %w", err), os.RemoveAll(dir))
	}
	s := &Service{dir: dir, listener: listener, clients: map[*client]bool{}}
	s.serving.Go(s.accept)
	return s, nil
}

// Address returns the bus's address, the value for DBUS_SESSION_BUS_ADDRESS.
func (s *Service) Address() string {
	return "unix:path=" + dbus.EscapeBusAddressValue(s.listener.Addr().String())
}

// Close ends all connections and removes the socket. It must not be called by
// the function of OnCall, for whose end it waits.
func (s *Service) Close() {
	s.mu.Lock()
	s.closed = true
	for c := range s.clients {
		c.conn.Close()
	}
	s.mu.Unlock()
	s.listener.Close()
	s.serving.Wait()
	os.RemoveAll(s.dir)
}

// SetMode sets the mode for the calls that come from now on. The entries stay.
func (s *Service) SetMode(m Mode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mode = m
	s.locked = m == LockedGranted || m == LockedDismissed || m == LockedUnanswered
}

// Entries returns the secret of each user, whatever the mode.
func (s *Service) Entries() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	secrets := map[string]string{}
	for _, e := range s.entries {
		secrets[e.attributes["username"]] = string(e.secret.Value)
	}
	return secrets
}

// SetEntries has the service hold these secrets of users, which a client has
// filed under the name of, and no others.
func (s *Service) SetEntries(of string, secrets map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries = nil
	for user, text := range secrets {
		attributes := map[string]string{"username": user, "service": of}
		s.entries = append(s.entries, &entry{s.newPath("collection/login"), attributes, secret{Value: []byte(text), ContentType: "text/plain; charset=utf8"}})
	}
}

// FailBefore breaks the connection of the client that makes the n-th call from
// now, of the bus or of the service, before the call has an effect. The next
// call is the first; 0 takes it back.
func (s *Service) FailBefore(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failBefore = n
}

// FailAfter is as FailBefore, but the call has its effect, and only its reply
// is lost.
func (s *Service) FailAfter(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failAfter = n
}

// OnCall has f called before each call that is heard, with its method, such as
// "org.freedesktop.Secret.Collection.CreateItem". Calls of several clients may
// come at once. What f sets, such as a mode or FailBefore(1), holds for this
// call already; and if f kills the client, the call still has its effect. nil
// takes it back.
func (s *Service) OnCall(f func(method string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onCall = f
}

func (s *Service) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		c := &client{service: s, conn: conn, sessions: map[dbus.ObjectPath]bool{}, prompts: map[dbus.ObjectPath][]dbus.ObjectPath{}}
		s.mu.Lock()
		if s.closed {
			conn.Close()
		}
		s.clients[c] = true
		silent := s.mode == Silent
		s.mu.Unlock()
		s.serving.Go(func() {
			c.serve(silent)
			conn.Close()
			s.mu.Lock()
			delete(s.clients, c)
			s.mu.Unlock()
		})
	}
}

// number returns a number that was not given before.
func (s *Service) number() int {
	s.made++
	return s.made
}
