package reports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"keyflow/drm/secret"
)

// JournalSchema names the version of a journal's lines.
const JournalSchema = "keyflow-journal/1"

// maxJournalLine bounds a line, in bytes: a second in which a thousand requests of each of sixteen shares end, each of
// them due in a second of its own, has a tenth of it.
const maxJournalLine = 8 << 20

// A journal is a load run on disk while it goes on: JSON lines, a [JournalHead] and then one [JournalEntry] for every
// second of the generator's clock. An entry holds what happened since the entry before, so that their sum is the run up
// to the last of them, whatever ended the process.

// JournalHead is the first line of a journal: what is known before the first request.
type JournalHead struct {
	Schema string  `json:"schema"`
	Tool   Tool    `json:"tool"`
	Run    Run     `json:"run"`
	Target Target  `json:"target"`
	Plan   Plan    `json:"plan"`
	Shares []Share `json:"shares"` // at least one; without a result
	// Due is the plan in the form in which package loadtest computes due times from it.
	Due  json.RawMessage `json:"due"`
	SLOs []string        `json:"slos,omitempty"` // beside the implied ones
	// WarmUpMS is the duration of the warm-up.
	WarmUpMS int64 `json:"warm_up_ms,omitempty"`
	Asked    bool  `json:"asked,omitempty"` // the user has named objectives
}

// JournalEntry is what happened since the entry before it. Counts and histograms add up; Generator, Open and Last are
// what they were at the moment of the entry.
type JournalEntry struct {
	At        int64          `json:"at_us"` // since the attack began
	Shares    []JournalShare `json:"shares,omitempty"`
	Usage     *Usage         `json:"usage,omitempty"`
	Generator Generator      `json:"generator"`      // Limited and Why are not known yet
	Last      int64          `json:"last_ns"`        // when the last request that has ended was sent, since the attack began
	Open      int64          `json:"open,omitempty"` // most connections so far
	Opened    int64          `json:"opened,omitempty"`
	Prepared  *Prepared      `json:"prepared,omitempty"` // beside the plan, so far
	Samples   []Sample       `json:"samples,omitempty"`
	End       *JournalEnd    `json:"end,omitempty"` // in the last entry of a run that came to its end
	// RedactionFailed says that the last gate found a secret in the entry, and its texts were withheld.
	RedactionFailed bool `json:"redaction_failed,omitempty"`
}

// JournalShare is what happened to the requests of a share.
type JournalShare struct {
	Share int   `json:"share"` // index in the head
	Sent  int64 `json:"sent,omitempty"`
	// NotSent are requests that were due and not sent, by reason; WarmNotSent are those of them that belong to the warm-up.
	NotSent     map[string]int64   `json:"not_sent,omitempty"`
	WarmNotSent int64              `json:"warm_not_sent,omitempty"`
	Overflow    int64              `json:"overflow,omitempty"` // unverified answers that found the verification queue full
	Operations  []JournalOperation `json:"operations,omitempty"`
}

// JournalOperation is what happened to the requests of one kind. Histograms are in the lossless V2 encoding.
type JournalOperation struct {
	Name    string          `json:"name"`
	Service string          `json:"service,omitempty"`
	Lag     string          `json:"lag,omitempty"`
	Seconds []JournalSecond `json:"seconds,omitempty"`
}

// JournalSecond is what happened to the requests that were due in one second. A request that ended late, or whose answer
// was judged late, is in a later entry than others of its second.
type JournalSecond struct {
	At            int              `json:"at_s"`
	WarmUp        bool             `json:"warm_up,omitempty"` // a second may have requests of the warm-up, and others
	Answered      int64            `json:"answered,omitempty"`
	FailedBy      map[string]int64 `json:"failed_by,omitempty"`
	Verified      int64            `json:"verified,omitempty"`
	Unverified    int64            `json:"unverified,omitempty"`
	WrongBy       map[string]int64 `json:"wrong_by,omitempty"`
	BytesSent     int64            `json:"bytes_sent,omitempty"`
	BytesReceived int64            `json:"bytes_received,omitempty"`
	Latency       string           `json:"latency,omitempty"`
}

// JournalEnd says that the run came to its end, and how.
type JournalEnd struct {
	Reason  string `json:"reason,omitempty"`     // why requests were not sent
	Stopped int64  `json:"stopped_ns,omitempty"` // since the attack began, when the run was halted; 0 if it was not
}

// ErrJournalLine is wrapped by the error of [JournalWriter.Append] about an entry that no reader would take.
var ErrJournalLine = fmt.Errorf("a line of more than %d bytes", maxJournalLine)

// JournalWriter writes a journal. What it writes is redacted and has passed the last gate, as everything in a report.
type JournalWriter struct {
	w     io.Writer
	vault *secret.Vault
}

// NewJournalWriter writes the head. A nil vault knows no secrets.
func NewJournalWriter(w io.Writer, h JournalHead, vault *secret.Vault) (*JournalWriter, error) {
	h.Schema = JournalSchema
	j := &JournalWriter{w, vault}
	line, failed, err := j.seal(&h)
	if err != nil {
		return nil, fmt.Errorf("write journal: %w", err)
	}
	if failed { // the head has no texts that could be missed
		return nil, fmt.Errorf("write journal: %w", ErrSecret)
	}
	if _, err := w.Write(line); err != nil {
		return nil, fmt.Errorf("write journal: %w", err)
	}
	return j, nil
}

// Append writes an entry, in one write, and changes it: its texts are redacted. After an error the journal may end in
// half a line, and nothing can be appended any more.
func (j *JournalWriter) Append(e *JournalEntry) error {
	line, failed, err := j.seal(e)
	if err == nil && failed {
		e.RedactionFailed = true
		line, failed, err = j.seal(e)
		if failed {
			err = ErrSecret
		}
	}
	if err == nil && len(line) > maxJournalLine {
		err = ErrJournalLine
	}
	if err == nil {
		_, err = j.w.Write(line)
	}
	if err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}

// seal returns the line with its strings redacted. If the last gate finds a secret in it all the same, failed is true and
// the strings have been withheld.
func (j *JournalWriter) seal(line any) (text []byte, failed bool, err error) {
	v := reflect.ValueOf(line).Elem()
	editValue(v, "", func(_, s string) string { return redactText(s, j.vault) })
	if text, err = journalLine(line); err != nil {
		return nil, false, err
	}
	if (gate{vault: j.vault}).found(text, plainJSON) == nil {
		return text, false, nil
	}
	editValue(v, "", func(path, s string) string {
		if kept(path) {
			return s
		}
		return withheld
	})
	return text, true, nil
}

// kept reports whether a field of an entry is not withheld with its texts: names are keyflow's own words, and without its
// histograms an entry would have lost requests. If the secret is there, the entry is not written.
func kept(path string) bool {
	field := path[strings.LastIndexByte(path, '.')+1:]
	return field == "name" || field == "service" || field == "lag" || field == "latency" || field == "reason"
}

func journalLine(v any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out) // ends the line
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// JournalError says which line of a journal cannot be read.
type JournalError struct {
	Line int // from 1
	Err  error
}

// Error names the line.
func (e *JournalError) Error() string {
	return fmt.Sprintf("line %d of the journal: %v", e.Line, e.Err)
}

// Unwrap returns what is wrong with it.
func (e *JournalError) Unwrap() error { return e.Err }

// errNotJournal is what a text is that does not begin like a journal.
var errNotJournal = errors.New("not a keyflow journal: its first line has no schema " + JournalSchema)
