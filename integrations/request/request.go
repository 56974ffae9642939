// Package request reads the JSON in which tools ask.
//
// It is bytes in, values out, and trusts nothing in them. encoding/json would
// take a name in any case, and the last of two that are the same: then a text
// that names two hosts could be about one to the tool, and about the other to
// us. It leaves out what a request says, which is its tool's room's.
package request

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Members says which members of an object are read: by its exact name each into
// a pointer, as [json.Unmarshal] does it, or, as Members, from an object again.
// Others are left alone, and so is what is read into where there is none or null.
type Members map[string]any

// Read reads text, which must be one JSON object with nothing behind it. An
// object that is read has each name once, also of the members that are not.
func Read(text []byte, members Members) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return errors.New("not a JSON object")
	}
	seen := map[string]bool{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return err
		}
		name, ok := token.(string)
		if !ok || seen[name] {
			return fmt.Errorf("the name %.40q twice", name)
		}
		seen[name] = true
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return err
		}
		if err := read(value, members[name]); err != nil {
			return fmt.Errorf("%.40q: %w", name, err)
		}
	}
	if _, err := dec.Token(); err != nil { // the brace
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("more than one JSON object")
	}
	return nil
}

// read reads one member's value into what it is to be read into; nil for nothing.
func read(value json.RawMessage, into any) error {
	if into == nil || string(value) == "null" {
		return nil
	}
	if members, ok := into.(Members); ok {
		return Read(value, members)
	}
	return json.Unmarshal(value, into)
}
