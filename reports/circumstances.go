package reports

import (
	"fmt"
	"math"
)

// Verification tells how many answers were verified in full, and what the sample says of the others.
type Verification struct {
	Sampled int64 `json:"sampled"` // answers that were verified in full because the sample has them
	Wrong   int64 `json:"wrong"`   // of those
	Others  int64 `json:"others"`  // looked at from outside at most, and not found wrong
	// AtMost bounds the share of the others that are wrong all the same, with Confidence; both are 0 if there are no others.
	AtMost     float64 `json:"at_most,omitempty"`
	Confidence float64 `json:"confidence,omitempty"`
	// Unjudged are answers that should have been looked at: the queue was full, or the run was cut. They are no random choice, and no
	// bound holds for them.
	Unjudged int64 `json:"unjudged,omitempty"`
}

// Throttled tells what servers said about being asked too much.
type Throttled struct {
	Answers    int64 `json:"answers"`          // with status 429 or 503
	RetryAfter int64 `json:"retry_after"`      // of those, that said after how long to come back
	LongestMS  int64 `json:"longest_ms"`       // that was asked for
	Polite     bool  `json:"polite"`           // it was obeyed
	Pauses     int   `json:"pauses,omitempty"` // in which nothing was sent
	PausedMS   int64 `json:"paused_ms,omitempty"`
}

// Tokens tells how the tokens came that requests carried.
type Tokens struct {
	Taken   int64    `json:"taken"`            // from token services and commands
	Renewed int64    `json:"renewed"`          // shared ones that were replaced, most of them ahead of their end
	Failed  int64    `json:"failed,omitempty"` // attempts that yielded none
	Waited  int64    `json:"waited,omitempty"` // requests that came late after an outage
	Outages []Outage `json:"outages,omitempty"`
	More    int      `json:"more_outages,omitempty"` // that are not among them
}

// Outage is a time in which a token service gave no token that a request needed. Requests that were due in it were not sent, for
// the reason no-token.
type Outage struct {
	Profile string `json:"profile,omitempty"` // in a mix
	AtMS    int64  `json:"at_ms"`             // since the run began
	MS      int64  `json:"ms"`
	Class   string `json:"class"` // of the first failure
}

// circumstance is something about a load run that its figures are to be read with.
type circumstance struct {
	Title string
	Slug  string // of the section
	Facts []fact
}

// Circumstances returns what there is to tell of a run beside its figures.
func (l *Load) Circumstances() []circumstance {
	var all []circumstance
	if v := l.Verification; v != nil && v.Others+v.Unjudged > 0 {
		all = append(all, circumstance{"Verification", "verification", v.facts()})
	}
	if l.Throttled != nil {
		all = append(all, circumstance{"Asked too much", "throttled", l.Throttled.facts()})
	}
	if l.Tokens != nil {
		all = append(all, circumstance{"Tokens", "tokens", l.Tokens.facts()})
	}
	return all
}

func (t *Tokens) facts() []fact {
	fs := known(
		fact{"Taken", count(t.Taken)},
		fact{"Renewed while the run went on", count(t.Renewed)},
		fact{"Attempts that failed", unlessZero(t.Failed)},
		fact{"Requests late after an outage", unlessZero(t.Waited)},
	)
	for _, o := range t.Outages {
		where := "the token service"
		if o.Profile != "" {
			where += " of " + o.Profile
		}
		fs = append(fs, fact{"Outage", fmt.Sprintf("%s gave no token for %s from %s on: %s", where, millis(o.MS), millis(o.AtMS), o.Class)})
	}
	return append(fs, known(fact{"Outages beside these", unlessZero(int64(t.More))})...)
}

// normalize drops what was measured.
func (t *Tokens) normalize() {
	if t != nil {
		*t = Tokens{Taken: t.Taken}
	}
}

func (v *Verification) facts() []fact {
	fs := []fact{{"Verified in full", fmt.Sprintf("%s, %s of them wrong", count(v.Sampled), count(v.Wrong))}}
	if v.Others > 0 {
		text := "unknown: none was verified in full"
		if v.AtMost < 1 {
			text = fmt.Sprintf("at most %s %%, %s of %s answers, with %s %% confidence", digits3(100*v.AtMost), count(int64(math.Ceil(v.AtMost*float64(v.Others)))), count(v.Others), digits3(100*v.Confidence))
		}
		fs = append(fs, fact{"Wrong among the others", text})
	}
	if v.Unjudged > 0 {
		fs = append(fs, fact{"Judged by nobody", count(v.Unjudged) + ", because the queue was full or the run was cut: no bound holds for them"})
	}
	return fs
}

func (t *Throttled) facts() []fact {
	fs := []fact{
		{"Answers 429 and 503", count(t.Answers)},
		{"With Retry-After", count(t.RetryAfter)},
	}
	if t.RetryAfter > 0 {
		fs = append(fs, fact{"Longest asked for", millis(t.LongestMS)})
	}
	switch {
	case t.Polite:
		fs = append(fs, fact{"Obeyed", fmt.Sprintf("yes: %d pauses, together %s", t.Pauses, millis(t.PausedMS))})
	case t.RetryAfter > 0:
		fs = append(fs, fact{"Obeyed", "no: --polite was not asked for"})
	}
	return fs
}

func millis(n int64) string { return micros(float64(n) * 1000) }

// normalize drops what was measured.
func (t *Throttled) normalize() {
	if t != nil {
		*t = Throttled{Polite: t.Polite}
	}
}

// circumstances tells them, one fact a line.
func (s *summary) circumstances(l *Load) {
	for _, c := range l.Circumstances() {
		s.line(s.paint(c.Title, bold))
		for _, f := range c.Facts {
			for _, l := range wrap(clip(oneLine(f.Name+": "+f.Value), summaryClip), s.width-2) {
				s.line("  " + l)
			}
		}
		s.line("")
	}
}

// circumstances tells them as tables.
func (m *markdown) circumstances(l *Load) {
	for _, c := range l.Circumstances() {
		m.line("\n### %s", c.Title)
		m.head("", "")
		for _, f := range c.Facts {
			m.row(f.Name, md(f.Value))
		}
	}
}

// renameTranscript lets the samples of a run point at a transcript by another name.
func (l *Load) renameTranscript(old, renamed string) {
	if l == nil {
		return
	}
	for i := range l.Samples {
		if l.Samples[i].Transcript == old {
			l.Samples[i].Transcript = renamed
		}
	}
}
