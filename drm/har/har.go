// Package har reads HTTP archives (HAR 1.2) as browsers' developer tools save them: the requests of a session with their
// bodies, as far as the browser kept them.
//
// An archive is read entry by entry, so that memory does not grow with the media segments that it holds: a body of more than
// [MaxBody] bytes is not kept. What is read may hold tokens and cookies; the types print without them.
package har

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"time"
)

// The bounds of an archive.
const (
	MaxSize    = 256 << 20 // bytes
	MaxEntries = 100_000
	MaxBody    = 1 << 20 // bytes of a body that is kept; key requests and licenses have 2 to 20 KB
)

// Error says why a text is no archive.
type Error struct {
	Where string // in the archive, such as log.entries[3]; "" for the whole
	Err   error
}

// Error names the place.
func (e *Error) Error() string {
	if e.Where == "" {
		return "HAR: " + e.Err.Error()
	}
	return "HAR: " + e.Where + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Entry is one request and what became of it.
type Entry struct {
	Index   int // within the archive, from 0
	Started time.Time
	Took    time.Duration

	Method  string
	URL     string
	Header  http.Header
	Request Body

	Status       int    // 0: the browser got no answer, or showed none to the page
	Failure      string // the browser's own word for it, such as net::ERR_FAILED; "" if there is none
	Redirect     string // where the answer leads, "" for nowhere
	AnswerHeader http.Header
	Answer       Body
}

// String is the entry without query, headers and bodies: they may be secret.
func (e Entry) String() string {
	where := "an invalid URL"
	if u, err := url.Parse(e.URL); err == nil {
		where = (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
	}
	return fmt.Sprintf("%s %s: status %d", e.Method, where, e.Status)
}

// GoString is String.
func (e Entry) GoString() string { return e.String() }

// Read reads an archive and calls visit for each entry in its order, until visit returns false. The error is an [*Error].
func Read(r io.Reader, visit func(Entry) bool) error {
	limited := &io.LimitedReader{R: r, N: MaxSize + 1}
	text := bufio.NewReader(limited)
	if mark, _ := text.Peek(len(byteOrderMark)); string(mark) == byteOrderMark {
		_, _ = text.Discard(len(byteOrderMark)) // they are there
	}
	d := json.NewDecoder(text)
	err := read(d, visit)
	switch {
	case errors.Is(err, errStop):
		return nil
	case limited.N <= 0:
		return &Error{Err: fmt.Errorf("longer than %d bytes", MaxSize)}
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	var known *Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	return &Error{Err: plain(err)}
}

// byteOrderMark is what some programs begin UTF-8 with.
const byteOrderMark = "\uFEFF"

var errStop = errors.New("no more is wanted")

// read finds log.entries without keeping what stands beside it.
func read(d *json.Decoder, visit func(Entry) bool) error {
	found := false
	err := object(d, "", func(key string) error {
		if key != "log" {
			return skip(d)
		}
		return object(d, "log", func(key string) error {
			if key != "entries" {
				return skip(d)
			}
			found = true
			return entries(d, visit)
		})
	})
	if err == nil && !found {
		return &Error{Err: errors.New("there is no log.entries: this is no HTTP archive")}
	}
	return err
}

// object reads an object, and has each value read by member.
func object(d *json.Decoder, where string, member func(key string) error) error {
	if t, err := d.Token(); err != nil {
		return err
	} else if t != json.Delim('{') {
		return &Error{where, errors.New("not an object: this is no HTTP archive")}
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		text, _ := key.(string) // a key is one, or Token had an error
		if err := member(text); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

// skip reads one value of any size, a token at a time.
func skip(d *json.Decoder) error {
	for depth := 0; ; {
		t, err := d.Token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

func entries(d *json.Decoder, visit func(Entry) bool) error {
	if t, err := d.Token(); err != nil {
		return err
	} else if t != json.Delim('[') {
		return &Error{"log.entries", errors.New("not an array")}
	}
	for i := 0; d.More(); i++ {
		where := fmt.Sprintf("log.entries[%d]", i)
		if i == MaxEntries {
			return &Error{where, fmt.Errorf("more than %d entries", MaxEntries)}
		}
		var raw entry
		if err := d.Decode(&raw); err != nil {
			return &Error{where, plain(err)}
		}
		if !visit(raw.entry(i)) {
			return errStop
		}
	}
	_, err := d.Token()
	return err
}

// plain tells an error of the decoder without the text that it quotes: a value may be a token.
func plain(err error) error {
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	var date *time.ParseError
	switch {
	case errors.As(err, &date):
		return errors.New("startedDateTime is no time of RFC 3339")
	case errors.As(err, &kind):
		return fmt.Errorf("%s is a %s, want a %s", kind.Field, first(kind.Value), kind.Type)
	case errors.As(err, &syntax):
		return fmt.Errorf("not JSON at byte %d", syntax.Offset)
	}
	return err
}

// first returns the first word: the decoder appends a number's digits to its name.
func first(s string) string {
	for i, c := range s {
		if c == ' ' {
			return s[:i]
		}
	}
	return s
}

// archiveHead is how an archive begins: browsers write nothing before log.
var archiveHead = regexp.MustCompile(`^(?:\x{FEFF})?\s*\{\s*"log"\s*:`)

// Begins reports whether a text begins as an archive does.
func Begins(text []byte) bool { return archiveHead.Match(text) }
