package capture

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"

	"keyflow/drm/playready/soap"
)

// MaxBody is the longest body that is searched, in bytes.
const MaxBody = 2 * soap.MaxBody

// The bounds of the search for wrapped messages.
const (
	maxDepth  = 4 // of wrappings in one another
	maxValues = 10_000
)

// Find returns the message that a body holds: bare, in base64 of any alphabet or in hexadecimal digits, in a member of a JSON document (as text, in base64 or
// as an array of bytes, as some players' filters send it), or in a field of a form. Members are searched in the order of their
// names; the first message counts.
func Find(body []byte) (Message, bool) {
	if len(body) > MaxBody {
		return Message{}, false
	}
	f := finder{left: maxValues}
	return f.find(body, 0)
}

// finder bounds one search.
type finder struct{ left int }

func (f *finder) find(body []byte, depth int) (Message, bool) {
	if f.left--; depth > maxDepth || f.left < 0 || len(body) == 0 {
		return Message{}, false
	}
	if m, ok := bare(body); ok {
		return m, true
	}
	text := string(bytes.TrimSpace(body))
	if value, err := document(text); err == nil {
		return f.inJSON(value, "$", depth)
	}
	if b, err := hex.DecodeString(text); err == nil { // which is base64 as well, of other bytes
		if m, ok := f.find(b, depth+1); ok {
			return m.in("hex"), true
		}
	}
	if b, ok := base64Of(text); ok {
		m, found := f.find(b, depth+1)
		return m.in("base64"), found
	}
	if form, err := url.ParseQuery(text); err == nil && strings.Contains(text, "=") {
		for _, name := range slices.Sorted(maps.Keys(form)) {
			for _, value := range form[name] {
				if m, ok := f.find([]byte(value), depth+1); ok {
					return m.in("form field " + clip(name)), true
				}
			}
		}
	}
	return Message{}, false
}

// in returns the message with one more wrapping around it.
func (m Message) in(wrapping string) Message {
	if m.Wrapped != "" {
		wrapping += ", " + m.Wrapped
	}
	m.Wrapped = wrapping
	return m
}

// document reads an object or array of JSON, and nothing after it.
func document(text string) (any, error) {
	if !strings.HasPrefix(text, "{") && !strings.HasPrefix(text, "[") {
		return nil, errors.New("no JSON document")
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one value")
	}
	return value, nil
}

func (f *finder) inJSON(value any, path string, depth int) (Message, bool) {
	if f.left--; f.left < 0 || strings.Count(path, ".")+strings.Count(path, "[") > 4*maxDepth {
		return Message{}, false
	}
	switch v := value.(type) {
	case string:
		m, ok := f.find([]byte(v), depth+1)
		return m.in("JSON " + path), ok
	case []any:
		if b, ok := byteArray(v); ok {
			m, found := f.find(b, depth+1)
			return m.in("JSON " + path + ", an array of bytes"), found
		}
		for i, item := range v {
			if m, ok := f.inJSON(item, fmt.Sprintf("%s[%d]", path, i), depth); ok {
				return m, true
			}
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if m, ok := f.inJSON(v[name], path+"."+clip(name), depth); ok {
				return m, true
			}
		}
	}
	return Message{}, false
}

// byteArray returns the bytes of an array of numbers from 0 to 255.
func byteArray(list []any) ([]byte, bool) {
	b := make([]byte, 0, len(list))
	for _, item := range list {
		number, ok := item.(json.Number)
		if !ok {
			return nil, false
		}
		n, err := number.Int64()
		if err != nil || n < 0 || n > 255 {
			return nil, false
		}
		b = append(b, byte(n))
	}
	return b, len(b) > 0
}

// base64Of decodes a text in either alphabet, with or without padding and line breaks.
func base64Of(text string) ([]byte, bool) {
	text = strings.Map(func(c rune) rune {
		switch c {
		case '-':
			return '+'
		case '_':
			return '/'
		case '\r', '\n':
			return -1
		}
		return c
	}, strings.TrimRight(text, "=\r\n"))
	b, err := base64.RawStdEncoding.DecodeString(text)
	return b, err == nil && len(b) > 0
}

// clip bounds a stranger's name.
func clip(name string) string {
	const most = 40
	if len(name) <= most {
		return name
	}
	return strings.ToValidUTF8(name[:most], "") + "…"
}
