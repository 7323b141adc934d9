package loadtest

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The shapes of plans.
const (
	ShapeConstant = "constant" // one rate
	ShapeRamp     = "ramp"     // one stage from a rate to another
	ShapeSpike    = "spike"    // a rate, a higher one, and the first again
	ShapeSteps    = "steps"    // constant rates
	ShapeStages   = "stages"   // anything else
)

// Shape returns what the plan's rate looks like over time.
func (p Plan) Shape() string {
	s := p.Stages
	changes := func(s Stage) bool { return !s.constant() }
	switch {
	case len(s) == 0 || len(s) == 1 && !changes(s[0]):
		return ShapeConstant
	case len(s) == 1:
		return ShapeRamp
	case slices.ContainsFunc(s, changes):
		return ShapeStages
	case len(s) == 3 && s[0].From == s[2].From && s[1].From.PerSecond() > s[0].From.PerSecond():
		return ShapeSpike
	}
	return ShapeSteps
}

// String returns the plan's stages as [ParseStages] reads them, and of a slice which requests of them are its own.
func (p Plan) String() string {
	stages := p.Stages
	if len(stages) == 0 {
		stages = []Stage{{p.Rate, p.Rate, p.Duration}}
	}
	texts := make([]string, len(stages))
	for i, s := range stages {
		texts[i] = s.String()
	}
	text := strings.Join(texts, ",")
	if p.stride() > 1 {
		text += fmt.Sprintf(" (every %dth request from %d)", p.stride(), p.Offset)
	}
	return text
}

// StageError says why a text does not tell the stages of a plan.
type StageError struct {
	Text    string
	Problem string
}

// Error returns text, problem and what is accepted.
func (e *StageError) Error() string {
	return fmt.Sprintf(`stages %q: %s; write stages with commas between them, RATE@TIME for a constant rate and RATE..RATE@TIME for one that changes, such as "50/s..500/s@30s,500/s@1m"`,
		clip(e.Text), e.Problem)
}

// ParseStages reads stages that follow each other, with commas between them: RATE@TIME for a constant rate, RATE..RATE@TIME
// for one that changes evenly from the first to the second. 0/s is a rate here. Any error is a *[StageError].
func ParseStages(text string) ([]Stage, error) {
	var stages []Stage
	for part := range strings.SplitSeq(text, ",") {
		if len(stages) == MaxStages {
			return nil, &StageError{text, fmt.Sprintf("there are more than %d", MaxStages)}
		}
		s, problem := readStage(strings.TrimSpace(part))
		if problem != "" {
			return nil, &StageError{text, problem}
		}
		stages = append(stages, s)
	}
	return stages, nil
}

func readStage(text string) (s Stage, problem string) {
	rates, duration, found := strings.Cut(text, "@")
	if !found {
		return s, fmt.Sprintf("%q does not say for how long", text)
	}
	from, to, changes := strings.Cut(rates, "..")
	var err error
	if s.From, err = readRate(strings.TrimSpace(from)); err != nil {
		return s, err.Error()
	}
	s.To = s.From
	if changes {
		if s.To, err = readRate(strings.TrimSpace(to)); err != nil {
			return s, err.Error()
		}
	}
	if s.Duration, err = time.ParseDuration(strings.TrimSpace(duration)); err != nil {
		return s, fmt.Sprintf("%q is not a time", duration)
	}
	if err = s.validate(); err != nil {
		return s, err.Error()
	}
	return s, ""
}

// String returns the stage in the form that [ParseStages] reads, without loss.
func (s Stage) String() string {
	if s.From == s.To {
		return s.From.String() + "@" + shortDuration(s.Duration)
	}
	return s.From.String() + ".." + s.To.String() + "@" + shortDuration(s.Duration)
}

// MarshalText returns [Stage.String].
func (s Stage) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads one stage of those that [ParseStages] reads.
func (s *Stage) UnmarshalText(b []byte) error {
	read, problem := readStage(strings.TrimSpace(string(b)))
	if problem != "" {
		return &StageError{string(b), problem}
	}
	*s = read
	return nil
}

// shortDuration is a duration without the zeros behind it: 1m rather than 1m0s.
func shortDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
