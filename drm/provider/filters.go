package provider

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// filter is one function of the template language. signatures are nil pointers to function types, as expr wants them;
// none can fail at run time on arguments that passed the check at load.
type filter struct {
	name       string
	signatures []any
	call       func(args ...any) (any, error)
}

// omitempty is no function: it stands last in a template and drops the leaf that came out empty.
const omitempty = "omitempty"

// filters returns the functions of sheet providers.md §4.1 that exist.
func filters() []filter {
	text, raw := new(func(string) string), new(func([]byte) string)
	return []filter{
		{"hex", []any{raw}, func(a ...any) (any, error) { return encode(a[0], hex.EncodeToString) }},
		{"b64", []any{raw, text}, func(a ...any) (any, error) { return encode(a[0], base64.StdEncoding.EncodeToString) }},
		{"b64url", []any{raw, text}, func(a ...any) (any, error) { return encode(a[0], base64.RawURLEncoding.EncodeToString) }},
		{"upper", []any{text}, onText(strings.ToUpper)},
		{"lower", []any{text}, onText(strings.ToLower)},
		{"urlquery", []any{text}, onText(url.QueryEscape)},
		{"unix", []any{new(func(time.Time) int)}, onTime(func(t time.Time) any { return int(t.Unix()) })},
		{"rfc3339", []any{new(func(time.Time) string)}, onTime(func(t time.Time) any { return t.UTC().Format(time.RFC3339) })},
		{"add", []any{new(func(time.Time, string) time.Time)}, add},
		{"default", []any{new(func(string, string) string)}, orDefault},
	}
}

func filterNames() []string {
	names := []string{omitempty}
	for _, f := range filters() {
		names = append(names, f.name)
	}
	return names
}

func encode(v any, enc func([]byte) string) (any, error) {
	switch b := v.(type) {
	case []byte:
		return enc(b), nil
	case string:
		return enc([]byte(b)), nil
	}
	return nil, fmt.Errorf("encode: want bytes or text, seen %T", v)
}

func onText(f func(string) string) func(...any) (any, error) {
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
