package sfapitest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"
)

// object is a JSON object's members by their exact names. encoding/json alone
// would match names in any case and let the last of two equal ones win.
type object map[string]json.RawMessage

var errNotObject = errors.New("not one JSON object in UTF-8 with unique names")

// parseObject reads data, which must be one JSON object with unique member
// names and nothing after it (RFC 7515 section 4, RFC 7519 section 4).
func parseObject(data []byte) (object, error) {
	if !utf8.Valid(data) {
		return nil, errNotObject
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, errNotObject
	}
	o := make(object)
	for d.More() {
		// The decoder lets only strings stand here.
		name, err := d.Token()
		if err != nil {
			return nil, errNotObject
		}
		key := name.(string)
		if _, twice := o[key]; twice {
			return nil, errNotObject
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, errNotObject
		}
		o[key] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, errNotObject
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errNotObject
	}
	return o, nil
}

// text returns the member name, if it is a string.
func (o object) text(name string) (string, bool) {
	raw := o[name]
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err == nil
}

// seconds returns the member name, if it is a number: a NumericDate of RFC
// 7519 section 2, which may have a fraction.
func (o object) seconds(name string) (float64, bool) {
	raw := o[name]
	if len(raw) == 0 || raw[0] == 'n' { // null would leave the zero
		return 0, false
	}
	var n float64
	err := json.Unmarshal(raw, &n)
	return n, err == nil
}

// has reports whether the member name is there at all.
func (o object) has(name string) bool {
	_, ok := o[name]
	return ok
}
