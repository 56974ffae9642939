//go:build !darwin && !windows

package keychain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/godbus/dbus/v5"
)

// The Secret Service, https://specifications.freedesktop.org/secret-service/
// and the part of it that go-keyring uses.
const (
	secrets           = "org.freedesktop.secrets"
	secretsPath       = dbus.ObjectPath("/org/freedesktop/secrets")
	loginPath         = dbus.ObjectPath("/org/freedesktop/secrets/collection/login")
	serviceInterface  = "org.freedesktop.Secret.Service"
	collectInterface  = "org.freedesktop.Secret.Collection"
	itemInterface     = "org.freedesktop.Secret.Item"
	getProperty       = "org.freedesktop.DBus.Properties.Get"
	nameHasOwner      = "org.freedesktop.DBus.NameHasOwner"
	busAddressSetting = "DBUS_SESSION_BUS_ADDRESS"
)

// silence is what is said of a keychain that was asked in vain.
const silence = "the keychain service did not answer"

// lookAtService finds out on a connection of its own what go-keyring would
// meet: without a bus it would start one and leave it running, with a locked
// collection or entry it would prompt, and with a service that does not answer
// it would wait for ever. All of these are errors here. An id that is not ""
// must be there and open, too.
func (s *Stores) lookAtService(ctx context.Context, id string) error {
	address, err := s.sessionBus()
	if err != nil {
		return err
	}
	// go-keyring takes the address from here. It was just found to exist; were
	// the setting empty, and the socket gone, dbus-launch would be run.
	if err := os.Setenv(busAddressSetting, address); err != nil {
		return err
	}
	late := keychainError(ErrTimeout, "the session bus at %s did not answer", address)
	conn, err := bounded(ctx, late, func() (*dbus.Conn, error) { return connectBus(ctx, address) })
	if err != nil {
		return busError(ctx, address, late, err)
	}
	defer conn.Close()
	return look{ctx, conn, silence}.all(id)
}

// sessionBus returns the address of the bus that is known to exist, in the
// order of godbus, whose last resort, dbus-launch, is not for us: each call
// leaves a daemon behind, https://github.com/cli/cli/issues/7582.
func (s *Stores) sessionBus() (string, error) {
	if s.Bus != "" && s.Bus != "autolaunch:" {
		return s.Bus, nil
	}
	dir := s.runtimeDir
	if dir == "" {
		dir = filepath.Join("/run/user", strconv.Itoa(os.Getuid()))
	}
	socket := filepath.Join(dir, "bus")
	if _, err := os.Stat(socket); err == nil {
		return "unix:path=" + dbus.EscapeBusAddressValue(socket), nil
	}
	// A text file where dbus-x11 is used.
	if text, err := os.ReadFile(filepath.Join(dir, "dbus-session")); err == nil {
		address, ok := strings.CutPrefix(strings.TrimRight(string(text), "\r\n"), busAddressSetting+"=")
		if ok && address != "" && address != "autolaunch:" {
			return address, nil
		}
	}
	return "", keychainError(ErrUnavailable, "there is no D-Bus session bus")
}

// connectBus connects to the bus at address, until ctx ends. godbus's own way to
// read from a unix socket, which takes file descriptors too, panics in a
// goroutine of its own when the connection is closed within a message's header
// (v5.2.4, oobReader.Read hands on the -1 of recvmsg): a bus that stalls there
// would end the process at our deadline. Its way to read from anything else
// does not.
func connectBus(ctx context.Context, address string) (*dbus.Conn, error) {
	conn, err := dial(ctx, address)
	if err != nil {
		return nil, err
	}
	if err := conn.Auth(nil); err != nil {
		conn.Close()
		return nil, err
	}
	if err := conn.Hello(); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func dial(ctx context.Context, address string) (*dbus.Conn, error) {
	socket := socketOf(address)
	if socket == "" {
		return dbus.Dial(address, dbus.WithContext(ctx))
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	return dbus.NewConn(conn, dbus.WithContext(ctx))
}

// socketOf returns the unix socket that an address is, or "": it may be another
// transport, or a list.
func socketOf(address string) string {
	keys, ok := strings.CutPrefix(address, "unix:")
	if !ok || strings.Contains(address, ";") {
		return ""
	}
	for pair := range strings.SplitSeq(keys, ",") {
		key, value, _ := strings.Cut(pair, "=")
		value, err := dbus.UnescapeBusAddressValue(value)
		switch {
		case err != nil:
		case key == "path":
			return value
		case key == "abstract":
			return "@" + value
		}
	}
	return ""
}

// busError turns an error of connecting to the bus at address into ours.
func busError(ctx context.Context, address string, late, err error) error {
	var ours *Error
	switch {
	case errors.As(err, &ours):
		return err
	case ctx.Err() != nil:
		return ended(ctx, late)
	case isHangUp(err):
		return keychainError(ErrUnavailable, "the session bus at %s is dead", address)
	}
	return keychainError(ErrUnavailable, "the session bus at %s cannot be used", address)
}

// isHangUp reports whether nobody is at the other end of the bus's socket.
func isHangUp(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) || errors.Is(err, io.EOF) || errors.Is(err, dbus.ErrClosed)
}

// look asks a Secret Service, within ctx.
type look struct {
	ctx     context.Context
	conn    *dbus.Conn
	waiting string // what is said when ctx's deadline passes
}

func (l look) all(id string) error {
	var running bool
	if err := l.call(l.conn.BusObject(), nameHasOwner, &running, secrets); err != nil {
		return err
	}
	if !running {
		// The bus starts it, for up to two minutes.
		l.waiting = "the keychain service did not start"
	}
	path, err := l.collection()
	if err != nil {
		return err
	}
	if err := l.open(path, collectInterface, "the keychain is locked"); err != nil || id == "" {
		return err
	}
	item, err := l.item(path, id)
	if err != nil {
		return err
	}
	// Services may lock single entries, as KeePassXC does.
	return l.open(item, itemInterface, "the key's entry in the keychain is locked")
}

// collection returns the one that go-keyring uses: "login", else the default.
func (l look) collection() (dbus.ObjectPath, error) {
	service := l.conn.Object(secrets, secretsPath)
	var all dbus.Variant
	if err := l.call(service, getProperty, &all, serviceInterface, "Collections"); err != nil {
		return "", err
	}
	paths, ok := all.Value().([]dbus.ObjectPath)
	if !ok { // go-keyring would panic
		return "", explainPlatform(errors.New("no list of collections"))
	}
	if slices.Contains(paths, loginPath) {
		return loginPath, nil
	}
	var path dbus.ObjectPath
	if err := l.call(service, serviceInterface+".ReadAlias", &path, "default"); err != nil {
		return "", err
	}
	if path == "/" {
		return "", keychainError(ErrUnavailable, "the keychain service has no default collection to put keys into")
	}
	return path, nil
}

// open returns ErrLocked if the object at path is locked.
func (l look) open(path dbus.ObjectPath, kind, reason string) error {
	var locked bool
	if err := l.call(l.conn.Object(secrets, path), getProperty, &locked, kind, "Locked"); err != nil {
		return err
	}
	if locked {
		return keychainError(ErrLocked, "%s", reason)
	}
	return nil
}

// item returns the entry of a key.
func (l look) item(collection dbus.ObjectPath, id string) (dbus.ObjectPath, error) {
	var items []dbus.ObjectPath
	attributes := map[string]string{"service": service, "username": id}
	if err := l.call(l.conn.Object(secrets, collection), collectInterface+".SearchItems", &items, attributes); err != nil {
		return "", err
	}
	if len(items) == 0 {
		return "", keychainError(ErrNotFound, "the keychain has no such key")
	}
	return items[0], nil
}

// call calls a method with one result.
func (l look) call(object dbus.BusObject, method string, result any, args ...any) error {
	err := object.CallWithContext(l.ctx, method, 0, args...).Store(result)
	if err != nil && l.ctx.Err() != nil {
		return ended(l.ctx, keychainError(ErrTimeout, "%s", l.waiting))
	}
	if err != nil {
		return explainPlatform(err)
	}
	return nil
}

// explainPlatform turns an error of a D-Bus call into ours.
func explainPlatform(err error) error {
	var reply dbus.Error
	switch {
	case isHangUp(err):
		return keychainError(ErrUnavailable, "the session bus is dead")
	case errors.As(err, &reply):
		return explainReply(reply.Name)
	// go-keyring has no other sign of it.
	case strings.HasPrefix(err.Error(), "failed to unlock correct collection"):
		return keychainError(ErrLocked, "the keychain stayed locked: its prompt was dismissed or could not be shown")
	}
	return keychainError(ErrUnavailable, "the keychain service broke off")
}

func explainReply(name string) error {
	switch name {
	case "org.freedesktop.Secret.Error.IsLocked":
		return keychainError(ErrLocked, "the keychain is locked")
	case "org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner":
		return keychainError(ErrUnavailable, "there is no keychain service on the session bus")
	case "org.freedesktop.DBus.Error.NoReply", "org.freedesktop.DBus.Error.Timeout", "org.freedesktop.DBus.Error.TimedOut":
		return keychainError(ErrTimeout, silence)
	}
	if strings.HasPrefix(name, "org.freedesktop.DBus.Error.Spawn.") {
		return keychainError(ErrUnavailable, "the keychain service cannot be started")
	}
	return &Error{StoreKeychain, fmt.Sprintf("the keychain service answered with the error %q", name), ErrUnavailable}
}
