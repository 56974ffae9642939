package keychaintest

import (
	"fmt"
	"maps"
	"slices"

	"github.com/godbus/dbus/v5"
)

// The Secret Service's part, and its errors.
const (
	secretsName = "org.freedesktop.secrets"
	secretsPath = dbus.ObjectPath("/org/freedesktop/secrets")
	loginPath   = secretsPath + "/collection/login"
	noPath      = dbus.ObjectPath("/") // stands for no object, or no prompt

	serviceInterface    = "org.freedesktop.Secret.Service"
	collectionInterface = "org.freedesktop.Secret.Collection"
	itemInterface       = "org.freedesktop.Secret.Item"
	sessionInterface    = "org.freedesktop.Secret.Session"
	promptInterface     = "org.freedesktop.Secret.Prompt"

	isLocked     = refusal("org.freedesktop.Secret.Error.IsLocked")
	noSession    = refusal("org.freedesktop.Secret.Error.NoSession")
	noSuchObject = refusal("org.freedesktop.Secret.Error.NoSuchObject")
)

// entry is what the specification calls an item.
type entry struct {
	path       dbus.ObjectPath
	attributes map[string]string
	secret     secret
}

// secret is the structure of that name in the specification.
type secret struct {
	Session           dbus.ObjectPath
	Parameters, Value []byte
	ContentType       string
}

// onSecrets answers a call of one of the service's objects. Reading a property
// is turned into the method "Get " and the property's name.
func (c *client) onSecrets(path dbus.ObjectPath, method string, args []any) ([]any, refusal) {
	if method == "org.freedesktop.DBus.Properties.Get" {
		var of, name string
		if fail := read(args, &of, &name); fail != "" {
			return nil, fail
		}
		method, args = "Get "+of+"."+name, nil
	}
	s, e := c.service, c.service.entry(path)
	switch {
	case path == secretsPath:
		return c.onService(method, args)
	case path == loginPath && s.mode != NoCollection:
		return c.onCollection(method, args)
	case e != nil:
		return c.onEntry(e, method, args)
	case c.sessions[path] && method == sessionInterface+".Close":
		delete(c.sessions, path)
		return nil, ""
	case c.prompts[path] != nil && method == promptInterface+".Prompt":
		c.prompt(path)
		return nil, ""
	}
	return nil, noSuchObject
}

func (c *client) onService(method string, args []any) ([]any, refusal) {
	s := c.service
	switch method {
	case "Get " + serviceInterface + ".Collections":
		return []any{dbus.MakeVariant(s.known([]dbus.ObjectPath{loginPath}))}, ""
	case serviceInterface + ".ReadAlias":
		var name string
		fail := read(args, &name)
		if name != "default" || s.mode == NoCollection {
			return []any{noPath}, fail
		}
		return []any{loginPath}, fail
	case serviceInterface + ".OpenSession":
		return c.openSession(args)
	case serviceInterface + ".SearchItems":
		found, fail := s.search(args)
		if s.locked {
			return []any{[]dbus.ObjectPath{}, found}, fail
		}
		return []any{found, []dbus.ObjectPath{}}, fail
	case serviceInterface + ".Unlock":
		return c.unlock(args)
	case serviceInterface + ".Lock":
		var paths []dbus.ObjectPath
		fail := read(args, &paths)
		paths = s.known(paths)
		s.locked = s.locked || len(paths) > 0
		return []any{paths, noPath}, fail
	}
	return nil, unknownMethod
}

func (c *client) onCollection(method string, args []any) ([]any, refusal) {
	s := c.service
	switch method {
	case "Get " + collectionInterface + ".Locked":
		return []any{dbus.MakeVariant(s.locked)}, ""
	case collectionInterface + ".SearchItems":
		found, fail := s.search(args)
		return []any{found}, fail
	case collectionInterface + ".CreateItem":
		return c.create(args)
	}
	return nil, unknownMethod
}

func (c *client) onEntry(e *entry, method string, args []any) ([]any, refusal) {
	s := c.service
	switch method {
	case "Get " + itemInterface + ".Locked":
		return []any{dbus.MakeVariant(s.locked)}, ""
	case itemInterface + ".GetSecret":
		value := e.secret
		fail := read(args, &value.Session)
		switch {
		case fail == "" && !c.sessions[value.Session]:
			fail = noSession
		case fail == "" && s.locked:
			fail = isLocked
		}
		return []any{value}, fail
	case itemInterface + ".Delete":
		if s.locked {
			return nil, isLocked
		}
		s.entries = slices.DeleteFunc(s.entries, func(other *entry) bool { return other == e })
		return []any{noPath}, ""
	}
	return nil, unknownMethod
}

func (c *client) openSession(args []any) ([]any, refusal) {
	var algorithm string
	var input dbus.Variant
	fail := read(args, &algorithm, &input)
	if fail == "" && algorithm != "plain" {
		fail = notSupported
	}
	path := c.service.newPath("session")
	c.sessions[path] = fail == ""
	return []any{dbus.MakeVariant(""), path}, fail
}

// unlock says that what is there is open, or gives a prompt to open it by.
func (c *client) unlock(args []any) ([]any, refusal) {
	var paths []dbus.ObjectPath
	fail := read(args, &paths)
	paths = c.service.known(paths)
	if !c.service.locked || len(paths) == 0 {
		return []any{paths, noPath}, fail
	}
	prompt := c.service.newPath("prompt")
	c.prompts[prompt] = paths
	return []any{[]dbus.ObjectPath{}, prompt}, fail
}

// prompt has the user answer a prompt, which the client learns by a signal if
// it asked for it before.
func (c *client) prompt(path dbus.ObjectPath) {
	s, unlocked := c.service, c.prompts[path]
	delete(c.prompts, path)
	dismissed := s.mode == LockedDismissed
	switch {
	case s.mode == LockedUnanswered:
		return
	case dismissed:
		unlocked = []dbus.ObjectPath{}
	default:
		s.locked = false
	}
	if c.wants(path) {
		c.signal = newMessage(dbus.TypeSignal, secretsName, []any{dismissed, dbus.MakeVariant(unlocked)})
		c.signal.Headers[dbus.FieldPath] = dbus.MakeVariant(path)
		c.signal.Headers[dbus.FieldInterface] = dbus.MakeVariant(promptInterface)
		c.signal.Headers[dbus.FieldMember] = dbus.MakeVariant("Completed")
	}
}

// create stores an entry. One of the same attributes is replaced, if that is
// wanted, and keeps its path.
func (c *client) create(args []any) ([]any, refusal) {
	s := c.service
	var properties map[string]dbus.Variant
	var value secret
	var replace bool
	if fail := read(args, &properties, &value, &replace); fail != "" {
		return nil, fail
	}
	attributes, ok := properties[itemInterface+".Attributes"].Value().(map[string]string)
	switch {
	case !ok:
		return nil, invalidArgs
	case !c.sessions[value.Session]:
		return nil, noSession
	case s.locked:
		return nil, isLocked
	}
	for _, e := range s.entries {
		if replace && maps.Equal(e.attributes, attributes) {
			e.secret = value
			return []any{e.path, noPath}, ""
		}
	}
	e := &entry{s.newPath("collection/login"), attributes, value}
	s.entries = append(s.entries, e)
	return []any{e.path, noPath}, ""
}

// search finds the entries that have all the attributes given. These can be
// read while the collection is locked.
func (s *Service) search(args []any) ([]dbus.ObjectPath, refusal) {
	var wanted map[string]string
	fail := read(args, &wanted)
	found := []dbus.ObjectPath{}
	for _, e := range s.entries {
		both := maps.Clone(e.attributes)
		maps.Copy(both, wanted)
		if maps.Equal(both, e.attributes) {
			found = append(found, e.path)
		}
	}
	return s.known(found), fail
}

// known leaves of paths those of the collection and its entries.
func (s *Service) known(paths []dbus.ObjectPath) []dbus.ObjectPath {
	return slices.DeleteFunc(paths, func(path dbus.ObjectPath) bool {
		return s.mode == NoCollection || path != loginPath && s.entry(path) == nil
	})
}

// entry returns the entry at path, or nil.
func (s *Service) entry(path dbus.ObjectPath) *entry {
	for _, e := range s.entries {
		if e.path == path && s.mode != NoCollection {
			return e
		}
	}
	return nil
}

// newPath returns the path of a new object.
func (s *Service) newPath(kind string) dbus.ObjectPath {
	return dbus.ObjectPath(fmt.Sprintf("%s/%s/%d", secretsPath, kind, s.number()))
}
