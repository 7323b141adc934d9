package reports

import (
	"fmt"
	"strings"
)

// Triage is what the recorded exchanges with license services tell, read in the order of sheet providers.md §7.4. Nothing was sent
// for it, but for Replays.
type Triage struct {
	Archive  string          `json:"archive,omitempty"` // name of the file
	Entries  int             `json:"entries"`
	Others   int             `json:"other_entries"`     // that are not of a license service, as far as can be told
	Problem  string          `json:"problem,omitempty"` // why the archive could not be read to its end
	Sessions []TriageSession `json:"sessions,omitempty"`
	// Replays are captured requests that were sent once more. A server may refuse a request that it has seen.
	Replays []TriageSession `json:"replays,omitempty"`
	// Unjudged is what no recording shows, and what it would take.
	Unjudged []string `json:"unjudged,omitempty"`
}

// TriageSession is one acquisition of a license: its certificate request, license request and renewals.
type TriageSession struct {
	Name      string           `json:"name"` // for people: number, or file of a replay
	System    string           `json:"system,omitempty"`
	Profile   string           `json:"profile,omitempty"` // that it was read or replayed with
	URL       string           `json:"url"`               // without the values of its query
	Page      string           `json:"page,omitempty"`    // origin of the player
	KIDs      []string         `json:"kids,omitempty"`    // asked for
	Exchanges []TriageExchange `json:"exchanges"`
	// Cause is the first failing step; nil if none failed.
	Cause *TriageCause `json:"cause,omitempty"`
	// Consequences are what failed after the cause.
	Consequences []string `json:"consequences,omitempty"`
}

// TriageExchange is a request with its preflight and its answer.
type TriageExchange struct {
	Kind      string       `json:"kind"`                // certificate, license, renewal, release, acknowledgement, or not recognised
	Entry     *int         `json:"entry,omitempty"`     // in log.entries, from 0; nil for a replay
	Preflight *int         `json:"preflight,omitempty"` // its entry
	Method    string       `json:"method"`
	URL       string       `json:"url"`
	Status    int          `json:"status"` // 0: the browser got no answer, or showed none
	Steps     []TriageStep `json:"steps"`
}

// TriageOutcome is how a step of a triage ended.
type TriageOutcome string

// The outcomes of steps.
const (
	TriageOK         TriageOutcome = "ok"
	TriageFailed     TriageOutcome = "failed"
	TriageNotShown   TriageOutcome = "not shown" // the recording does not show it
	TriageNotReached TriageOutcome = "not reached"
)

// TriageStep is one step of the order in which a failure is read.
type TriageStep struct {
	ID       string        `json:"id"`
	Outcome  TriageOutcome `json:"outcome"`
	Reason   string        `json:"reason,omitempty"`
	Expected string        `json:"expected,omitempty"`
	Seen     string        `json:"seen,omitempty"`
	Hint     string        `json:"hint,omitempty"`
}

// TriageCause is the first failing step of a session.
type TriageCause struct {
	Step     string `json:"step"`
	Kind     string `json:"kind"` // of the exchange
	Entry    *int   `json:"entry,omitempty"`
	Reason   string `json:"reason"`
	Expected string `json:"expected,omitempty"`
	Seen     string `json:"seen,omitempty"`
	Hint     string `json:"hint,omitempty"`
}

// String tells where it failed.
func (c *TriageCause) String() string {
	return fmt.Sprintf("%s of the %s exchange%s: %s", c.Step, c.Kind, entryText(c.Entry), c.Reason)
}

func entryText(entry *int) string {
	if entry == nil {
		return ""
	}
	return fmt.Sprintf(" [%d]", *entry)
}

// All returns recorded sessions and replays.
func (t *Triage) All() []TriageSession {
	return append(append([]TriageSession{}, t.Sessions...), t.Replays...)
}

// Heading tells what was recorded, or replayed.
func (s TriageSession) Heading() string {
	parts := []string{s.Name}
	for _, p := range []string{s.System, s.URL} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	if s.Page != "" {
		parts = append(parts, "page "+s.Page)
	}
	if s.Profile != "" {
		parts = append(parts, "profile "+s.Profile)
	}
	if len(s.KIDs) > 0 {
		parts = append(parts, "KID "+strings.Join(s.KIDs, ", "))
	}
	return strings.Join(parts, ", ")
}

// Heading tells which request it was and how it was answered.
func (x TriageExchange) Heading() string {
	text := x.Kind + entryText(x.Entry) + ": " + x.Method + " " + x.URL
	if x.Status == 0 {
		text += ", no status"
	} else {
		text += fmt.Sprintf(", HTTP %d", x.Status)
	}
	if x.Preflight != nil {
		text += fmt.Sprintf(", preflight [%d]", *x.Preflight)
	}
	return text
}

// Brief tells the steps of an exchange in a line: those that are not ok, or that all are.
func (x TriageExchange) Brief() string {
	var parts []string
	ok, missed := 0, 0
	for _, s := range x.Steps {
		switch s.Outcome {
		case TriageOK:
			ok++
		case TriageNotReached:
			missed++
		case TriageFailed:
			parts = append(parts, "failed at "+s.ID)
		case TriageNotShown:
			parts = append(parts, s.ID+" not shown: "+s.Seen)
		}
	}
	text := fmt.Sprintf("%s ok", plural(ok, "step", "steps"))
	for _, p := range parts {
		text += "; " + p
	}
	if missed > 0 {
		text += fmt.Sprintf("; %d not reached", missed)
	}
	return text
}

// First returns the first session with a cause, nil if there is none.
func (t *Triage) First() *TriageSession {
	all := t.All()
	for i := range all {
		if all[i].Cause != nil {
			return &all[i]
		}
	}
	return nil
}

// NotShown lists the steps that the recording does not show although they decide whether a license could be used.
func (t *Triage) NotShown() []string {
	decisive := map[string]bool{"status": true, "form": true, "keys": true}
	var open []string
	for _, s := range t.All() {
		for _, x := range s.Exchanges {
			for _, step := range x.Steps {
				if step.Outcome == TriageNotShown && decisive[step.ID] {
					open = append(open, fmt.Sprintf("%s, %s%s: %s: %s", s.Name, x.Kind, entryText(x.Entry), step.ID, step.Seen))
				}
			}
		}
	}
	return open
}

// Exit returns the exit code of the triage alone.
func (t *Triage) Exit() int {
	switch {
	case t.First() != nil:
		return ExitFailed
	case t.Problem != "" || len(t.NotShown()) > 0:
		return ExitIncomplete
	}
	return ExitOK
}

// Verdict is what a triage without any check comes down to.
func (t *Triage) Verdict() Verdict {
	v := Verdict{Exit: t.Exit(), State: Passed, Claim: Claim{Text: "no claim: a recording was read, and no check ran"}}
	failed := 0
	for _, s := range t.All() {
		if s.Cause != nil {
			failed++
		}
	}
	total := plural(len(t.All()), "captured acquisition", "captured acquisitions")
	switch first := t.First(); {
	case first != nil:
		v.State = Failed
		v.Summary = fmt.Sprintf("%d of %s failed; the first at %s", failed, total, first.Cause)
	case v.Exit == ExitIncomplete:
		v.State = Incomplete
		v.Summary = "no step of " + total + " failed as far as the archive shows"
		if t.Problem != "" {
			v.Summary += "; it could not be read to its end"
		}
	default:
		v.Summary = "no step of " + total + " failed"
	}
	return v
}
