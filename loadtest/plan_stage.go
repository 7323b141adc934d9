package loadtest

import (
	"fmt"
	"math"
	"math/big"
	"time"
)

// MaxStages bounds the stages of a [Plan].
const MaxStages = 64

// Stage is a part of a plan in which the rate changes evenly from one to another; from a rate to the same it is constant.
// Here a rate may be zero. Each stage starts afresh: its first request is due when it begins, and its requests are those due
// before it ends, so that a plan has exactly the sum of its stages' requests.
//
// Where the requests of a ramp are due follows from its rate's integral, from·t + (to-from)·t²/2T requests in the time t:
// request i is due when that is i. Whole numbers of any size make it exact, the same on every machine.
type Stage struct {
	From, To Rate
	Duration time.Duration
}

func (s Stage) validate() error {
	for _, r := range []Rate{s.From, s.To} {
		if problem := r.problem(); problem != "" {
			return &RateError{r.String(), problem, rateHint}
		}
	}
	if s.Duration <= 0 || s.Duration > MaxDuration {
		return fmt.Errorf("duration %s is not between 0 and %s", s.Duration, MaxDuration)
	}
	return nil
}

// constant reports whether the rate stays, however it is written.
func (s Stage) constant() bool {
	return s.From == s.To || s.From.Freq == 0 && s.To.Freq == 0 ||
		new(big.Int).Mul(big.NewInt(s.From.Freq), big.NewInt(int64(s.To.Per))).Cmp(new(big.Int).Mul(big.NewInt(s.To.Freq), big.NewInt(int64(s.From.Per)))) == 0
}

// count returns the number of requests.
func (s Stage) count() int64 {
	if s.From.Per == s.To.Per { // as nearly always: the mean rate has small terms
		return mulDiv(int64(s.Duration), s.From.Freq+s.To.Freq, 2*int64(s.From.Per), true)
	}
	return s.before(s.Duration)
}

// before returns how many requests are due before t, which lies within the stage.
func (s Stage) before(t time.Duration) int64 {
	if s.constant() {
		return mulDiv(int64(t), s.From.Freq, int64(s.From.Per), true)
	}
	square, linear, unit := s.integral()
	at := big.NewInt(int64(t))
	n := square.Mul(square, at)
	n.Mul(n.Add(n, linear), at)
	rest := new(big.Int)
	if n.QuoRem(n, unit, rest); rest.Sign() > 0 {
		n.Add(n, big.NewInt(1))
	}
	return n.Int64()
}

// due returns when request i is due, from the stage's beginning: the last nanosecond until which the rate adds up to no more
// than i requests. There must be a request i.
func (s Stage) due(i int64) time.Duration {
	if i == 0 {
		return 0
	}
	if s.constant() {
		return time.Duration(mulDiv(i, int64(s.From.Per), s.From.Freq, false))
	}
	// The largest t with square·t² + linear·t ≤ i·unit. With root = √(linear² + 4·square·i·unit) that is
	// (root - linear)/2·square for a rate that rises, and (linear - root)/-2·square for one that falls. As t is whole, root may
	// be rounded: down for the one, up for the other.
	square, linear, unit := s.integral()
	root := unit.Mul(unit, big.NewInt(i))
	root.Mul(root, square)
	root.Lsh(root, 2)
	inside := new(big.Int).Mul(linear, linear)
	inside.Add(inside, root)
	root.Sqrt(inside)
	rises := square.Sign() > 0
	if !rises && new(big.Int).Mul(root, root).Cmp(inside) < 0 {
		root.Add(root, big.NewInt(1))
	}
	root.Sub(root, linear)
	return time.Duration(root.Quo(root, square.Lsh(square, 1)).Int64()) // both positive or both negative
}

// integral returns square, linear and unit: in the time t the rate adds up to (square·t² + linear·t)/unit requests.
func (s Stage) integral() (square, linear, unit *big.Int) {
	from, to := big.NewInt(s.From.Freq), big.NewInt(s.To.Freq)
	unit = big.NewInt(int64(s.From.Per))
	if s.From.Per != s.To.Per { // bring both to the same time
		from.Mul(from, big.NewInt(int64(s.To.Per)))
		to.Mul(to, unit)
		unit.Mul(unit, big.NewInt(int64(s.To.Per)))
	}
	twice := big.NewInt(2 * int64(s.Duration))
	square = to.Sub(to, from)
	linear = from.Mul(from, twice)
	unit.Mul(unit, twice)
	return square, linear, unit
}

// stagesDue returns when request n of the stages is due.
func stagesDue(stages []Stage, n int64) time.Duration {
	var begin time.Duration
	for _, s := range stages {
		count := s.count()
		if n < count {
			return begin + s.due(n)
		}
		n -= count
		begin += s.Duration
	}
	last := stages[len(stages)-1].To
	if last.Freq == 0 {
		return math.MaxInt64
	}
	after := time.Duration(mulDiv(n, int64(last.Per), last.Freq, false))
	return begin + min(after, math.MaxInt64-begin)
}

// stagesBefore returns how many requests of the stages are due before t.
func stagesBefore(stages []Stage, t time.Duration) int64 {
	var n int64
	for _, s := range stages {
		if t < s.Duration {
			return n + s.before(t)
		}
		n += s.count()
		t -= s.Duration
	}
	last := stages[len(stages)-1].To
	after := mulDiv(int64(t), last.Freq, int64(last.Per), true)
	return n + min(after, math.MaxInt64-n)
}
