package suites

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/secret"
)

// Transcript tells what went over the wire while a check ran. Bodies are told by length and fingerprint, and of refusals and
// pages their text: key requests identify devices and licenses carry wrapped keys. Header values are redacted by value when
// it is written.
type Transcript struct {
	entries []*entry
	keys    []string
}

type entry struct {
	began   time.Time
	request string
	answer  string
}

func (t *Transcript) begin(now time.Time, r *provider.Request) *entry {
	e := &entry{began: now, request: provider.ShowRequest(r), answer: "< no answer yet\n"}
	t.entries = append(t.entries, e)
	return e
}

func (e *entry) answered(now time.Time, r *http.Response, body []byte) {
	first := fmt.Sprintf("%s %s after %v", r.Proto, r.Status, now.Sub(e.began).Round(time.Microsecond))
	e.answer = provider.ShowAnswer(first, r.Header, body, r.StatusCode >= http.StatusBadRequest || provider.IsHTML(r.Header, body))
}

func (e *entry) failed(err *provider.TransportError) {
	if e.answer == "< no answer yet\n" {
		e.answer = ""
	}
	e.answer += fmt.Sprintf("< %s: %s\n", err.Reason, err.Seen)
}

// read tells how the profile reads the last answer: what it calls a refusal, and what it wants to have told.
func (t *Transcript) read(r provider.Reply) {
	if len(t.entries) == 0 {
		return
	}
	var b strings.Builder
	if r.Error != nil {
		fmt.Fprintf(&b, "= %s\n", r.Error)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Metadata)) {
		fmt.Fprintf(&b, "= %s: %s\n", name, r.Metadata[name])
	}
	t.entries[len(t.entries)-1].answer += b.String()
}

func (t *Transcript) key(kid drm.KID, key secret.Bytes) {
	t.keys = append(t.keys, fmt.Sprintf("key of KID %s: %d bytes, fingerprint %s", kid, key.Len(), key.Fingerprint()))
}

// Text returns the transcript, "" if nothing went over the wire.
func (t *Transcript) Text() string {
	var b strings.Builder
	for i, e := range t.entries {
		fmt.Fprintf(&b, "# exchange %d\n%s%s\n", i+1, e.request, e.answer)
	}
	for _, k := range t.keys {
		fmt.Fprintln(&b, k)
	}
	return b.String()
}
