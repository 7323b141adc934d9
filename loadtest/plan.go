package loadtest

import (
	"fmt"
	"math"
	"math/bits"
	"time"
)

// ShapeConstant is the shape of a plan whose rate does not change.
const ShapeConstant = "constant"

// MaxDuration bounds the duration of a [Plan].
const MaxDuration = 30 * 24 * time.Hour

// Plan owns the time of a run: which requests there are and when each is due, counted from the run's beginning. It is a
// plain value; encoded as JSON it says the same to another process. A whole plan has Stride 0 or 1; [Plan.Slice] makes
// the plan of one generator of several.
type Plan struct {
	Rate     Rate          `json:"rate"`
	Duration time.Duration `json:"duration_ns"`
	// Offset and Stride select the requests Offset, Offset+Stride, Offset+2·Stride ... of the whole plan.
	Offset int64 `json:"offset,omitempty"`
	Stride int64 `json:"stride,omitempty"` // 0 is 1
}

// Validate reports what makes the plan impossible.
func (p Plan) Validate() error {
	if problem := p.Rate.problem(); problem != "" {
		return &RateError{p.Rate.String(), problem, rateHint}
	}
	if p.Duration <= 0 || p.Duration > MaxDuration {
		return fmt.Errorf("plan: duration %s is not between 0 and %s", p.Duration, MaxDuration)
	}
	if p.Offset < 0 || p.Stride < 0 || p.Offset > 0 && p.Offset >= p.stride() {
		return fmt.Errorf("plan: offset %d and stride %d select no slice", p.Offset, p.Stride)
	}
	return nil
}

func (p Plan) stride() int64 { return max(p.Stride, 1) }

// Total returns the number of requests: those that are due before the duration has passed.
func (p Plan) Total() int64 { return p.Before(p.Duration) }

// Due returns when request i is due, counted from 0. It is the exact quotient, rounded down to the nanosecond once, so
// that no error adds up over a run of any length and every slice computes the same times.
func (p Plan) Due(i int64) time.Duration {
	return time.Duration(mulDiv(p.Number(i), int64(p.Rate.Per), p.Rate.Freq, false))
}

// Number returns the number within the whole plan of the slice's request i.
func (p Plan) Number(i int64) int64 { return p.Offset + i*p.stride() }

// Before returns the number of requests that are due before t, as if the plan had no end.
func (p Plan) Before(t time.Duration) int64 {
	if t <= 0 {
		return 0
	}
	whole := mulDiv(int64(t), p.Rate.Freq, int64(p.Rate.Per), true)
	if whole <= p.Offset {
		return 0
	}
	return (whole-p.Offset-1)/p.stride() + 1
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

// PerSecond returns the rate that the plan, or slice, asks for.
func (p Plan) PerSecond() float64 { return p.Rate.PerSecond() / float64(p.stride()) }

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
