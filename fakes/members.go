package fakes

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"slices"
)

// members are those of a JSON object, by name. encoding/json would take version for Version, let the last of two equal names
// count and be silent about unknown ones: a client with a wrong name would not notice.
type members map[string]json.RawMessage

var errJSON = errors.New("no JSON object whose names are distinct")

// readMembers reads a JSON object and nothing after it.
func readMembers(text []byte) (members, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if begin, err := d.Token(); err != nil || begin != json.Delim('{') {
		return nil, errJSON
	}
	m := members{}
	for d.More() {
		name, err := d.Token()
		text, isText := name.(string)
		if _, twice := m[text]; err != nil || !isText || twice {
			return nil, errJSON
		}
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return nil, errJSON
		}
		m[text] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, errJSON
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errJSON
	}
	return m, nil
}

// only reports whether all names are among the known ones.
func (m members) only(known ...string) bool {
	for name := range m {
		if !slices.Contains(known, name) {
			return false
		}
	}
	return true
}

func (m members) has(name string) bool { _, has := m[name]; return has }

// read reads the value of a name into what a pointer points at: a scalar or a list. It reports whether there is one and its
// type is right; null is of no type.
func (m members) read(name string, into any) bool {
	value, has := m[name]
	return has && !bytes.Equal(value, []byte("null")) && json.Unmarshal(value, into) == nil
}

// readOptional is read, and reports true where there is no value at all.
func (m members) readOptional(name string, into any) bool { return !m.has(name) || m.read(name, into) }

// text returns a text that is not empty, or "".
func (m members) text(name string) string {
	var s string
	_ = m.read(name, &s)
	return s
}

// object returns a member that is itself an object, nil if it is none.
func (m members) object(name string) members {
	o, err := readMembers(m[name])
	if err != nil {
		return nil
	}
	return o
}

// objects returns a member that is a list of objects, and whether it is one.
func (m members) objects(name string) ([]members, bool) {
	var raw []json.RawMessage
	if !m.read(name, &raw) {
		return nil, false
	}
	list := make([]members, len(raw))
	for i, r := range raw {
		var err error
		if list[i], err = readMembers(r); err != nil {
			return nil, false
		}
	}
	return list, true
}

// base64 returns a member that is a text in base64, and whether it is one that is not empty.
func (m members) base64(name string) ([]byte, bool) {
	b, err := base64.StdEncoding.Strict().DecodeString(m.text(name))
	return b, err == nil && len(b) > 0
}
