package loadtest

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"time"
)

// MaxDuration bounds the duration of a [Plan].
const MaxDuration = 30 * 24 * time.Hour

// Plan owns the time of a run: which requests there are and when each is due, counted from the run's beginning. It is a
// plain value; encoded as JSON it says the same to another process. A whole plan has Stride 0 or 1; [Plan.Slice] makes
// the plan of one generator of several.
//
// A plan of one constant rate has Rate and Duration. Any other has Stages, no Rate, and as Duration the sum of those of its
// stages: make it with [NewPlan]. The times of both are exact.
type Plan struct {
	Rate     Rate          `json:"rate,omitzero"`
	Duration time.Duration `json:"duration_ns"`
	Stages   []Stage       `json:"stages,omitempty"`
	// Offset and Stride select the requests Offset, Offset+Stride, Offset+2·Stride ... of the whole plan.
	Offset int64 `json:"offset,omitempty"`
	Stride int64 `json:"stride,omitempty"` // 0 is 1
}

// NewPlan returns the plan of stages that follow each other. One constant stage makes a plan without stages.
func NewPlan(stages ...Stage) (Plan, error) {
	if len(stages) == 1 && stages[0].From == stages[0].To {
		p := Plan{Rate: stages[0].From, Duration: stages[0].Duration}
		return p, p.Validate()
	}
	p := Plan{Stages: stages}
	for _, s := range stages {
		p.Duration += min(max(s.Duration, 0), MaxDuration+1-p.Duration)
	}
	return p, p.Validate()
}

// Validate reports what makes the plan impossible.
func (p Plan) Validate() error {
	if p.Duration <= 0 || p.Duration > MaxDuration {
		return fmt.Errorf("plan: duration %s is not between 0 and %s", p.Duration, MaxDuration)
	}
	if p.Offset < 0 || p.Stride < 0 || p.Offset > 0 && p.Offset >= p.stride() {
		return fmt.Errorf("plan: offset %d and stride %d select no slice", p.Offset, p.Stride)
	}
	if len(p.Stages) > 0 {
		return p.validateStages()
	}
	if p.Rate.Freq == 0 {
		return &RateError{p.Rate.String(), "it asks for no requests", rateHint}
	}
	if problem := p.Rate.problem(); problem != "" {
		return &RateError{p.Rate.String(), problem, rateHint}
	}
	return nil
}

func (p Plan) validateStages() error {
	if len(p.Stages) > MaxStages {
		return fmt.Errorf("plan: %d stages are more than %d", len(p.Stages), MaxStages)
	}
	if p.Rate != (Rate{}) {
		return fmt.Errorf("plan: it has stages, and a rate of %s beside them", p.Rate)
	}
	var sum time.Duration
	for i, s := range p.Stages {
		if err := s.validate(); err != nil {
			return fmt.Errorf("plan: stage %d: %w", i+1, err)
		}
		sum += s.Duration // at most MaxStages·MaxDuration: no overflow
	}
	if sum != p.Duration {
		return fmt.Errorf("plan: its duration is %s, that of its stages %s", p.Duration, sum)
	}
	if p.Peak() == 0 {
		return errors.New("plan: its stages ask for no requests")
	}
	return nil
}

func (p Plan) stride() int64 { return max(p.Stride, 1) }

// Total returns the number of requests: those that are due before the duration has passed.
func (p Plan) Total() int64 { return p.Before(p.Duration) }

// Due returns when request i is due, counted from 0. It is the exact time, rounded down to the nanosecond once, so
// that no error adds up over a run of any length and every slice computes the same times. Behind its end a plan goes on at
// the rate that it ends with; what is never due is so after the largest duration.
func (p Plan) Due(i int64) time.Duration {
	n := p.Number(i)
	if len(p.Stages) > 0 {
		return stagesDue(p.Stages, n)
	}
	return time.Duration(mulDiv(n, int64(p.Rate.Per), p.Rate.Freq, false))
}

// Number returns the number within the whole plan of the slice's request i.
func (p Plan) Number(i int64) int64 { return p.Offset + i*p.stride() }

// Before returns the number of requests that are due before t, as if the plan had no end.
func (p Plan) Before(t time.Duration) int64 {
	if t <= 0 {
		return 0
	}
	whole := p.wholeBefore(t)
	if whole <= p.Offset {
		return 0
	}
	return (whole-p.Offset-1)/p.stride() + 1
}

// wholeBefore is Before for the whole plan.
func (p Plan) wholeBefore(t time.Duration) int64 {
	if len(p.Stages) > 0 {
		return stagesBefore(p.Stages, t)
	}
	return mulDiv(int64(t), p.Rate.Freq, int64(p.Rate.Per), true)
}

// Slice returns the plan of generator index of count: every count-th request. The slices of a plan partition it, and
// each has the plan's shape at a count-th of its rate. A slice can be sliced again. An index
// outside 0..count-1 is an error.
func (p Plan) Slice(index, count int) (Plan, error) {
	if count < 1 || index < 0 || index >= count {
		return Plan{}, fmt.Errorf("plan: there is no slice %d of %d", index, count)
	}
	if int64(count) > math.MaxInt32/p.stride() {
		return Plan{}, fmt.Errorf("plan: %d slices of stride %d are too many", count, p.stride())
	}
	s := p
	s.Offset = p.Offset + int64(index)*p.stride()
	s.Stride = p.stride() * int64(count)
	return s, nil
}

// PerSecond returns the rate that the plan, or slice, asks for: of a plan with stages the mean.
func (p Plan) PerSecond() float64 {
	if len(p.Stages) > 0 {
		return float64(p.wholeBefore(p.Duration)) / p.Duration.Seconds() / float64(p.stride())
	}
	return p.Rate.PerSecond() / float64(p.stride())
}

// Peak returns the highest rate that the plan, or slice, ever asks for, in requests per second.
func (p Plan) Peak() float64 {
	if len(p.Stages) == 0 {
		return p.PerSecond()
	}
	peak := 0.0
	for _, s := range p.Stages {
		peak = max(peak, s.From.PerSecond(), s.To.PerSecond())
	}
	return peak / float64(p.stride())
}

// mulDiv returns a·b/c for positive operands with a 128-bit product, rounded down or up; it saturates.
func mulDiv(a, b, c int64, up bool) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	if hi >= uint64(c) {
		return math.MaxInt64
	}
	q, rest := bits.Div64(hi, lo, uint64(c))
	if up && rest > 0 {
		q++
	}
	if q > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(q)
}
