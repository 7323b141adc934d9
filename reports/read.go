package reports

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// MaxSize is the largest report that is read, in bytes: about a day of load, at two kilobytes a second.
const MaxSize = 256 << 20

// ErrTooLarge is wrapped by errors about a file that is larger than what is read of its kind.
var ErrTooLarge = errors.New("too large")

func tooLarge(most int64) error { return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, most) }

// Read reads report.json at path, or in the directory at path. It is strict: the text must match [JSONSchema] and hold
// nothing else.
func Read(path string) (*Report, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, jsonFile)
	}
	text, err := readBounded(path, MaxSize)
	if err != nil {
		return nil, fmt.Errorf("read report %s: %w", path, err)
	}
	r, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("read report %s: %w", path, err)
	}
	return r, nil
}

func readBounded(path string, most int64) (text []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if info, statErr := f.Stat(); statErr == nil && info.Size() > most { // before memory is taken for it
		return nil, tooLarge(most)
	}
	text, err = io.ReadAll(io.LimitReader(f, most+1)) // a pipe has no size
	if err == nil && int64(len(text)) > most {
		return nil, tooLarge(most)
	}
	return text, err
}

// Parse decodes the JSON form of a report, with the strictness of [Read].
func Parse(text []byte) (*Report, error) {
	if len(text) > MaxSize {
		return nil, tooLarge(MaxSize)
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

// maxTranscripts bounds the files of a report's transcripts that are read, and maxTranscript each of them, in bytes.
const (
	maxTranscripts = 1 << 16
	maxTranscript  = 16 << 20
)

// ReadTranscripts reads the transcripts of the report in a directory, by name; none of a path that is no directory.
// They were redacted when they were written.
func ReadTranscripts(dir string) (map[string]string, error) {
	entries, err := os.ReadDir(filepath.Join(dir, TranscriptDir))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil //nolint:nilnil // a report without transcripts
	}
	if err != nil {
		return nil, fmt.Errorf("read transcripts: %w", err)
	}
	if len(entries) > maxTranscripts {
		return nil, fmt.Errorf("read transcripts: %d of them, more than %d", len(entries), maxTranscripts)
	}
	texts := map[string]string{}
	sum := 0
	for _, e := range entries {
		if !transcriptName.MatchString(e.Name()) || !e.Type().IsRegular() {
			continue
		}
		text, err := readBounded(filepath.Join(dir, TranscriptDir, e.Name()), maxTranscript)
		if err != nil {
			return nil, fmt.Errorf("read transcript %s: %w", e.Name(), err)
		}
		if sum += len(text); sum > MaxSize {
			return nil, fmt.Errorf("read transcripts: together %w", ErrTooLarge)
		}
		texts[e.Name()] = string(text)
	}
	return texts, nil
}
