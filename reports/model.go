// Package reports holds the one result model of keyflow and its renderers. A report is filled by suites and loadtest,
// redacted once, and rendered many times: JSON with a published schema, JUnit, Markdown and self-contained HTML. A
// renderer is a pure function of the model. This package knows neither Ginkgo nor HTTP.
package reports

import "time"

// Schema names the version of the model; additions keep it, anything else changes it.
const Schema = "keyflow-report/1"

// Report is all that one run of keyflow found out.
type Report struct {
	Schema       string       `json:"schema"`
	Tool         Tool         `json:"tool"`
	Run          Run          `json:"run"`
	Target       Target       `json:"target"`
	Requirements Requirements `json:"requirements,omitzero"`
	Verdict      Verdict      `json:"verdict"`
	Results      []Result     `json:"results,omitempty"`
	NotJudged    []NotJudged  `json:"not_judged,omitempty"` // for want of something that the run was not given
	Load         *Load        `json:"load,omitempty"`
	Triage       *Triage      `json:"triage,omitempty"` // of captured exchanges
	// RedactionFailed lists where the last gate found a secret and withheld the field: the report must not be trusted
	// to be complete, and keyflow exits 3.
	RedactionFailed []string `json:"redaction_failed,omitempty"`
}

// Tool is the program that wrote the report.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Go      string `json:"go"`
}

// Run is one invocation.
type Run struct {
	ID          string    `json:"id"`
	Command     string    `json:"command"` // check or load
	Started     time.Time `json:"started"`
	Finished    time.Time `json:"finished"`
	Seed        int64     `json:"seed"`
	Interrupted string    `json:"interrupted,omitempty"` // why the run ended early
}

// Target is what was judged, and how it was reached.
type Target struct {
	Kind     string   `json:"kind"` // "embedded fakes", "server"
	Profiles []string `json:"profiles"`
	URLs     []string `json:"urls"`
	Assets   []string `json:"assets"`
	Platform string   `json:"platform"` // none, captured, identity, browser, harness
	Faults   []string `json:"faults,omitempty"`
	Insecure []string `json:"insecure,omitempty"` // what the user allowed that is not encrypted or not verified
}

// Requirements is the versioned set that a claim speaks of.
type Requirements struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Digest  string `json:"digest"` // SHA-256 over ids, levels and titles
	Checks  int    `json:"checks"`
	Musts   int    `json:"musts"`
}

// Level is the weight of a requirement (RFC 2119).
type Level string

// The levels.
const (
	Must   Level = "MUST"
	Should Level = "SHOULD"
	May    Level = "MAY"
)

// Outcome is how one check ended.
type Outcome string

// The outcomes. A skip is never a pass.
const (
	Pass          Outcome = "pass"
	Fail          Outcome = "fail"           // a MUST was missed
	Warn          Outcome = "warn"           // a SHOULD was missed
	Info          Outcome = "info"           // a MAY was missed
	Blocked       Outcome = "blocked"        // a step that it needs did not work; see Result.BlockedBy
	NotApplicable Outcome = "not applicable" // by a recorded probe or an explicit capability
	Excluded      Outcome = "excluded"       // by a filter or out of politeness
	Unverifiable  Outcome = "unverifiable"   // declared, but its prerequisite is missing here
	NotRun        Outcome = "not run"        // the run ended before it
	Error         Outcome = "error"          // the harness's own fault
)

// Outcomes returns all outcomes, worst first: the order of summaries.
func Outcomes() []Outcome {
	return []Outcome{Error, Fail, Warn, Info, Blocked, Unverifiable, NotRun, NotApplicable, Excluded, Pass}
}

// Result is one check on one (profile, variant, asset).
type Result struct {
	ID      string `json:"id"`
	Title   string `json:"title"`
	Level   Level  `json:"level"`
	System  string `json:"system"`
	Area    string `json:"area"`
	Source  string `json:"source"`
	Profile string `json:"profile"`
	Variant string `json:"variant,omitempty"`
	Asset   string `json:"asset"`

	Outcome   Outcome `json:"outcome"`
	Reason    string  `json:"reason,omitempty"`     // stable name, lower case with hyphens
	Step      string  `json:"step,omitempty"`       // of the workflow, where it went wrong
	Expected  string  `json:"expected,omitempty"`   //
	Seen      string  `json:"seen,omitempty"`       //
	Hint      string  `json:"hint,omitempty"`       // likely cause, what to do
	BlockedBy string  `json:"blocked_by,omitempty"` // the step that did not work
	Note      string  `json:"note,omitempty"`       // what a pass verified, why something is not applicable
	Partial   string  `json:"partial,omitempty"`    // what a pass leaves open of the requirement; no claim counts it

	Started    time.Time `json:"started,omitzero"`
	DurationMS float64   `json:"duration_ms"`
	Transcript string    `json:"transcript,omitempty"` // path relative to the report
}

// NotJudged is something that a run was not given, and what could not be judged without it.
type NotJudged struct {
	Reason  string   `json:"reason"` // of the results
	Need    string   `json:"need"`   // in words: "a device that the server trusts"
	Results int      `json:"results"`
	Checks  []string `json:"checks"`           // ids, each once
	Partly  []string `json:"partly,omitempty"` // ids of checks that passed in part; see [Result.Partial]
	Ways    []Way    `json:"ways,omitempty"`
}

// Way is how something that a run was not given can be had.
type Way struct {
	Platform string `json:"platform"` // as [Target.Platform]
	Give     string `json:"give"`     // to keyflow
	Judges   int    `json:"judges"`   // how many of the checks it lets be judged
}

// State is the verdict in one word.
type State string

// The states.
const (
	Passed     State = "passed"
	Failed     State = "failed"
	Incomplete State = "incomplete"
	Broken     State = "broken" // the harness's own error
)

// Verdict is what the report comes down to.
type Verdict struct {
	State   State           `json:"state"`
	Exit    int             `json:"exit"` // exit code of the run
	Summary string          `json:"summary"`
	Claim   Claim           `json:"claim"`
	Counts  map[Outcome]int `json:"counts,omitempty"`
}

// Claim is what may be said of the target's conformance. It judges the whole requirement set, not the selection.
type Claim struct {
	Conformant bool     `json:"conformant"`
	Text       string   `json:"text"`
	Missing    []string `json:"missing,omitempty"` // MUST ids that did not run and pass, with the outcome
}
