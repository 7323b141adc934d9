package reports

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// MaxJournal is the longest journal that is read, in bytes: a day of load at six kilobytes a second.
const MaxJournal = 512 << 20

// The bounds of what one entry may say.
const (
	maxJournalCount  = 1 << 40
	maxJournalTime   = int64(1000 * 24 * time.Hour)
	maxJournalShares = 1 << 10
	maxJournalKeys   = 1 << 10
)

// JournalReader reads a journal, one entry at a time. A last line that was not finished is ignored: it is how a process
// that is killed, or a disk that is full, leaves a journal behind.
type JournalReader struct {
	Head JournalHead

	in      *bufio.Reader
	line    int
	read    int64
	at      int64
	ended   bool
	partial int
}

// NewJournalReader reads the head.
func NewJournalReader(r io.Reader) (*JournalReader, error) {
	j := &JournalReader{in: bufio.NewReaderSize(r, 64<<10)}
	text, err := j.next()
	if errors.Is(err, io.EOF) {
		err = errNotJournal
		if j.partial > 0 {
			err = fmt.Errorf("%w that is complete", errNotJournal)
		}
	}
	if err == nil {
		err = j.head(text)
	}
	if err != nil {
		return nil, j.wrong(err)
	}
	return j, nil
}

func (j *JournalReader) wrong(err error) error {
	if errors.Is(err, ErrTooLarge) {
		return fmt.Errorf("read journal: %w", err)
	}
	return &JournalError{max(j.line, 1), err}
}

func (j *JournalReader) head(text []byte) error {
	var version struct {
		Schema string `json:"schema"`
	}
	family, _, _ := strings.Cut(JournalSchema, "/")
	if json.Unmarshal(text, &version) != nil || !strings.HasPrefix(version.Schema, family+"/") {
		return errNotJournal
	}
	if version.Schema != JournalSchema {
		return fmt.Errorf("schema %q is not %s, the one that this keyflow reads", version.Schema, JournalSchema)
	}
	if err := strict(text, &j.Head); err != nil {
		return err
	}
	if n := len(j.Head.Shares); n == 0 || n > maxJournalShares {
		return fmt.Errorf("%d shares are not between 1 and %d", n, maxJournalShares)
	}
	return nil
}

// Next returns the next entry, and io.EOF after the last one. Any other error is a *[JournalError], or wraps
// [ErrTooLarge].
func (j *JournalReader) Next() (*JournalEntry, error) {
	text, err := j.next()
	if errors.Is(err, io.EOF) {
		return nil, io.EOF
	}
	var e JournalEntry
	if err == nil {
		err = strict(text, &e)
	}
	if err == nil {
		err = j.check(&e)
	}
	if err != nil {
		return nil, j.wrong(err)
	}
	j.at, j.ended = e.At, e.End != nil
	return &e, nil
}

// Partial returns the length of the unfinished last line in bytes, 0 if there is none. It is known after the last entry.
func (j *JournalReader) Partial() int { return j.partial }

// Line returns the number of the line that was read last, from 1.
func (j *JournalReader) Line() int { return j.line }

// next returns the next line that is complete.
func (j *JournalReader) next() ([]byte, error) {
	var line []byte
	for {
		part, err := j.in.ReadSlice('\n')
		line = append(line, part...)
		if j.read += int64(len(part)); j.read > MaxJournal {
			return nil, tooLarge(MaxJournal)
		}
		switch {
		case len(line) > maxJournalLine:
			j.line++
			return nil, ErrJournalLine
		case err == nil:
			j.line++
			return line, nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			j.partial = len(line)
			return nil, io.EOF
		default:
			return nil, err
		}
	}
}

// strict decodes one JSON value that holds nothing unknown, and nothing behind it.
func strict(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON object")
	}
	return nil
}

// check refuses an entry that no run writes. What its histograms hold is for others to judge.
func (j *JournalReader) check(e *JournalEntry) error {
	switch {
	case j.ended:
		return errors.New("an entry follows the end of the run")
	case e.At < j.at:
		return fmt.Errorf("at_us goes back from %d to %d", j.at, e.At)
	case e.At > maxJournalTime/1e3 || e.Last < 0 || e.Last > maxJournalTime || e.End != nil && (e.End.Stopped < 0 || e.End.Stopped > maxJournalTime):
		return fmt.Errorf("at_us %d or last_ns %d is no time of a run", e.At, e.Last)
	case e.Open < 0 || e.Opened < 0:
		return errors.New("a count of connections is negative")
	}
	for _, s := range e.Shares {
		if s.Share < 0 || s.Share >= len(j.Head.Shares) {
			return fmt.Errorf("there is no share %d", s.Share)
		}
		if err := s.check(); err != nil {
			return fmt.Errorf("share %d: %w", s.Share, err)
		}
	}
	return nil
}

func (s JournalShare) check() error {
	counts := []int64{s.Sent, s.Overflow}
	for _, op := range s.Operations {
		for _, sec := range op.Seconds {
			if sec.At < 0 || sec.At > latest {
				return fmt.Errorf("at_s %d is no second of a run", sec.At)
			}
			if len(sec.FailedBy)+len(sec.WrongBy) > maxJournalKeys {
				return errors.New("too many classes")
			}
			counts = append(counts, sec.Answered, sec.Verified, sec.Unverified, sec.BytesSent, sec.BytesReceived)
			counts = slices.AppendSeq(counts, maps.Values(sec.FailedBy))
			counts = slices.AppendSeq(counts, maps.Values(sec.WrongBy))
		}
	}
	for _, n := range counts {
		if n < 0 || n > maxJournalCount {
			return fmt.Errorf("count %d is out of range", n)
		}
	}
	return nil
}
