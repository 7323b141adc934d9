package reports

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// MaxSize is the largest report that is read, in bytes: about a day of load, at two kilobytes a second.
const MaxSize = 256 << 20

// ErrTooLarge is wrapped by errors about reports of more than [MaxSize] bytes.
var ErrTooLarge = fmt.Errorf("larger than %d bytes", int64(MaxSize))

// Read reads report.json at path, or in the directory at path. It is strict: the text must match [JSONSchema] and hold
// nothing else.
func Read(path string) (*Report, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, jsonFile)
	}
	text, err := readBounded(path)
	if err != nil {
		return nil, fmt.Errorf("read report %s: %w", path, err)
	}
	r, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("read report %s: %w", path, err)
	}
	return r, nil
}

func readBounded(path string) (text []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if info, statErr := f.Stat(); statErr == nil && info.Size() > MaxSize { // before memory is taken for it
		return nil, ErrTooLarge
	}
	text, err = io.ReadAll(io.LimitReader(f, MaxSize+1)) // a pipe has no size
	if err == nil && len(text) > MaxSize {
		return nil, ErrTooLarge
	}
	return text, err
}

// Parse decodes the JSON form of a report, with the strictness of [Read].
func Parse(text []byte) (*Report, error) {
	if len(text) > MaxSize {
		return nil, ErrTooLarge
	}
	if err := Validate(text); err != nil {
		return nil, err
	}
	var r Report
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("decode report: %w", err)
	}
	return &r, nil
}
