package provider

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf16"

	"keyflow/drm"
	"keyflow/drm/pssh"
	"keyflow/drm/xmltree"
)

// filter is one function of the template language. signatures are nil pointers to function types, as expr wants them. Only
// those with a key can fail at run time on arguments that passed the check at load.
type filter struct {
	name       string
	signatures []any
	call       func(args ...any) (any, error)
}

// omitempty is no function: it stands last in a template and drops the leaf that came out empty.
const omitempty = "omitempty"

// pathFilters are the filters whose arguments may be paths.
var pathFilters = append([]string{"default"}, keyFilters...)

// keyFilters are those whose first argument is a key.
var keyFilters = []string{"hmac_sha256", "aes_cbc", "kw_wrap"}

// filters returns the functions of sheet providers.md §4.1.
func filters() []filter {
	text, raw, list := new(func(string) string), new(func([]byte) string), new(func([][]byte) []string)
	toBytes := []any{new(func(string) []byte)}
	return append([]filter{
		{"hex", []any{list, raw}, encoded(hex.EncodeToString)},
		{"b64", []any{list, raw, text}, encoded(base64.StdEncoding.EncodeToString)},
		{"b64nopad", []any{list, raw, text}, encoded(base64.RawStdEncoding.EncodeToString)},
		{"b64url", []any{list, raw, text}, encoded(base64.RawURLEncoding.EncodeToString)},
		{"guid", []any{list, raw}, encoded(guid)},
		{"playready_kid", []any{list, raw}, encoded(playReadyKID)},
		{"guid_le", []any{new(func([]byte) []byte)}, onBytes(littleEndian)},
		{"utf8", toBytes, onText(func(s string) any { return []byte(s) })},
		{"utf16le", toBytes, onText(func(s string) any { return utf16LE(s) })},
		{"unhex", toBytes, fromText("hexadecimal", hex.DecodeString)},
		{"unb64", toBytes, fromText("base64", base64.StdEncoding.DecodeString)},
		{"bytes_array", []any{new(func([]byte) []int)}, onBytes(bytesArray)},
		{"upper", []any{text}, onText(func(s string) any { return strings.ToUpper(s) })},
		{"lower", []any{text}, onText(func(s string) any { return strings.ToLower(s) })},
		{"trim", []any{text}, onText(func(s string) any { return strings.TrimSpace(s) })},
		{"xml", []any{text}, onText(func(s string) any { return xmltree.EscapeAttr(s) })},
		{"json", []any{text, new(func(int) string), new(func(bool) string)}, func(a ...any) (any, error) { return jsonText(a[0]) }},
		{"jsonstr", []any{text}, onText(func(s string) any { return jsonInside(s) })},
		{"urlquery", []any{text}, onText(func(s string) any { return url.QueryEscape(s) })},
		{"urlpath", []any{text}, onText(func(s string) any { return url.PathEscape(s) })},
		{"unix", []any{new(func(time.Time) int)}, onTime(func(t time.Time) any { return int(t.Unix()) })},
		{"rfc3339", []any{new(func(time.Time) string)}, onTime(func(t time.Time) any { return t.UTC().Format(time.RFC3339) })},
		{"compact", []any{new(func(time.Time) string)}, onTime(func(t time.Time) any { return t.UTC().Format("20060102150405") })},
		{"add", []any{new(func(time.Time, string) time.Time)}, add},
		{"default", []any{new(func(string, string) string)}, orDefault},
		{"prefix", []any{new(func(string, string) string)}, prefixed},
		{"join", []any{new(func([]string, string) string)}, joined},
	}, cryptoFilters()...)
}

func filterNames() []string {
	names := []string{omitempty}
	for _, f := range filters() {
		names = append(names, f.name)
	}
	return names
}

// encoded makes text of bytes, of text's own bytes, or of each item of a list of bytes.
func encoded(enc func([]byte) string) func(...any) (any, error) {
	return func(args ...any) (any, error) {
		switch v := args[0].(type) {
		case []byte:
			return enc(v), nil
		case string:
			return enc([]byte(v)), nil
		case [][]byte:
			texts := make([]string, len(v))
			for i, b := range v {
				texts[i] = enc(b)
			}
			return texts, nil
		}
		return nil, fmt.Errorf("encode: want bytes or text, seen %T", args[0])
	}
}

func onBytes(f func([]byte) any) func(...any) (any, error) {
	return func(args ...any) (any, error) {
		b, ok := args[0].([]byte)
		if !ok {
			return nil, fmt.Errorf("want bytes, seen %T", args[0])
		}
		return f(b), nil
	}
}

func onText(f func(string) any) func(...any) (any, error) {
	return func(args ...any) (any, error) {
		s, ok := args[0].(string)
		if !ok {
			return nil, fmt.Errorf("want text, seen %T", args[0])
		}
		return f(s), nil
	}
}

func onTime(f func(time.Time) any) func(...any) (any, error) {
	return func(args ...any) (any, error) {
		t, ok := args[0].(time.Time)
		if !ok {
			return nil, fmt.Errorf("want a time, seen %T", args[0])
		}
		return f(t), nil
	}
}

// fromText decodes text; its errors hold nothing of it.
func fromText(what string, dec func(string) ([]byte, error)) func(...any) (any, error) {
	return func(args ...any) (any, error) {
		s, ok := args[0].(string)
		if !ok {
			return nil, fmt.Errorf("want text, seen %T", args[0])
		}
		b, err := dec(s)
		if err != nil {
			return nil, errors.New("is not " + what)
		}
		return b, nil
	}
}

// guid returns 16 bytes as a lower-case UUID in their own, big-endian, order; others in hexadecimal.
func guid(b []byte) string {
	if kid, ok := drm.KIDFromBytes(b); ok {
		return kid.String()
	}
	return hex.EncodeToString(b)
}

// littleEndian returns a KID's 16 bytes in the order that a WRMHEADER has them (sheet providers.md §1.2); others as they are.
func littleEndian(b []byte) any {
	kid, ok := drm.KIDFromBytes(b)
	if !ok {
		return b
	}
	swapped := pssh.GUID(kid)
	return swapped[:]
}

func playReadyKID(b []byte) string {
	return base64.StdEncoding.EncodeToString(littleEndian(b).([]byte))
}

func utf16LE(s string) []byte {
	var out []byte
	for _, unit := range utf16.Encode([]rune(s)) {
		out = binary.LittleEndian.AppendUint16(out, unit)
	}
	return out
}

// bytesArray makes numbers of bytes, for JSON: in Go bytes are text there.
func bytesArray(b []byte) any {
	numbers := make([]int, len(b))
	for i, v := range b {
		numbers[i] = int(v)
	}
	return numbers
}

func jsonText(v any) (string, error) {
	text, err := marshal(v)
	return string(text), err
}

// jsonInside returns text as it stands between the quotes of JSON.
func jsonInside(s string) string {
	text, _ := jsonText(s) // text can always be written
	return strings.TrimSuffix(strings.TrimPrefix(text, `"`), `"`)
}

// marshal returns JSON without the escapes for HTML, which services that compare bytes do not expect.
func marshal(v any) ([]byte, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return []byte(strings.TrimSuffix(b.String(), "\n")), err
}

func add(args ...any) (any, error) {
	t, ok := args[0].(time.Time)
	text, ok2 := args[1].(string)
	if !ok || !ok2 {
		return nil, fmt.Errorf("add: want a time and a duration, seen %T and %T", args[0], args[1])
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return nil, fmt.Errorf("add: want a duration, e.g. 300s: %w", err)
	}
	return t.Add(d), nil
}

func orDefault(args ...any) (any, error) {
	if args[0] == "" {
		return args[1], nil
	}
	return args[0], nil
}

// prefixed puts text before a value that is not empty.
func prefixed(args ...any) (any, error) {
	if args[0] == "" {
		return "", nil
	}
	return fmt.Sprint(args[1], args[0]), nil
}

func joined(args ...any) (any, error) {
	list, ok := args[0].([]string)
	if !ok {
		return nil, fmt.Errorf("join: want a list of text, seen %T", args[0])
	}
	return strings.Join(list, fmt.Sprint(args[1])), nil
}
