package loadtest

import (
	"fmt"
	"strconv"
	"strings"
)

// The bounds of a [Mix].
const (
	MaxShares = 64
	// MaxCycle bounds the sum of the weights in lowest terms: shares can be told to a tenth of a percent, and a run holds
	// at most so many more requests ahead.
	MaxCycle = 1000
)

// Mix says to which of several shares each request of a plan belongs, in proportion to the weights of the shares. It is
// smooth weighted round robin: nothing is drawn, the number of a request and the weights say it all.
//
// Of the first n requests of a plan each share has n·weight/sum within less than one, whatever n is. The same holds for
// the slices of a plan: each has the whole mix. They begin at different places of it, so that generators that run side
// by side do not all turn to the same share at once.
type Mix struct {
	weights []int64 // in lowest terms
	cycle   []uint8 // the share of each request; it repeats
	starts  []int   // the places in the cycle from which slices may begin
}

// NewMix returns the mix of shares of these weights. No share, too many, a weight that is not positive and weights whose
// cycle is longer than [MaxCycle] are errors.
func NewMix(weights ...int64) (Mix, error) {
	if len(weights) == 0 || len(weights) > MaxShares {
		return Mix{}, fmt.Errorf("mix: %d shares are not between 1 and %d", len(weights), MaxShares)
	}
	divisor := weights[0]
	for i, w := range weights {
		if w <= 0 {
			return Mix{}, fmt.Errorf("mix: weight %d of share %d is not positive", w, i)
		}
		divisor = gcd(divisor, w)
	}
	m := Mix{weights: make([]int64, len(weights))}
	var sum int64
	for i, w := range weights {
		m.weights[i] = w / divisor
		if sum += m.weights[i]; m.weights[i] > MaxCycle || sum > MaxCycle {
			return Mix{}, fmt.Errorf("mix: the weights add up to more than %d in lowest terms", MaxCycle)
		}
	}
	behind := m.arrange(sum)
	m.starts = starts(behind, sum)
	return m, nil
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// arrange fills the cycle of sum requests. It returns how far each share is behind before each of them, in requests times
// sum.
//
// To serve whoever is most behind would let small shares fall behind by more than a request as soon as there are five
// shares. Instead, of those that are behind enough, the one is served that would be too far behind first (R. Tijdeman, The
// chairman assignment problem, Discrete Mathematics 32, 1980): k shares stay within 1-1/(2k-2) of what they should have.
func (m *Mix) arrange(sum int64) [][]int64 {
	k := int64(len(m.weights))
	half := max(2*k-2, 1)
	now := make([]int64, k)
	behind := make([][]int64, 0, sum)
	for range sum {
		behind = append(behind, append([]int64(nil), now...))
		next, left := -1, int64(0) // how long the share can wait, times its weight
		for i, w := range m.weights {
			now[i] += w
			if half*now[i] < sum {
				continue
			}
			if wait := (half-1)*sum - half*now[i]; next < 0 || wait*m.weights[next] < left*w {
				next, left = i, wait
			}
		}
		m.cycle = append(m.cycle, uint8(next))
		now[next] -= sum
	}
	return behind
}

// starts returns the places of the cycle from which no share is ever more than one request ahead or behind. The first is
// 0; with two shares it is all of them.
func starts(behind [][]int64, sum int64) []int {
	low, high := make([]int64, len(behind[0])), make([]int64, len(behind[0]))
	for _, at := range behind {
		for i, d := range at {
			low[i], high[i] = min(low[i], d), max(high[i], d)
		}
	}
	var places []int
next:
	for place, at := range behind {
		for i, d := range at {
			if high[i]-d > sum || d-low[i] > sum {
				continue next
			}
		}
		places = append(places, place)
	}
	return places
}

// Shares returns the number of shares.
func (m Mix) Shares() int { return len(m.weights) }

// Cycle returns the number of requests after which the mix repeats: each share has had its weight in lowest terms.
func (m Mix) Cycle() int64 { return int64(len(m.cycle)) }

// Share returns the share of the plan's, or slice's, request i, counted from 0.
func (m Mix) Share(p Plan, i int64) int { return int(m.cycle[(m.start(p)+i)%m.Cycle()]) }

func (m Mix) start(p Plan) int64 { return int64(m.starts[p.Offset%int64(len(m.starts))]) }

// Counts returns how many of the plan's, or slice's, first n requests belong to each share.
func (m Mix) Counts(p Plan, n int64) []int64 {
	counts := make([]int64, len(m.weights))
	for i, w := range m.weights {
		counts[i] = n / m.Cycle() * w
	}
	for i := range n % m.Cycle() {
		counts[m.Share(p, i)]++
	}
	return counts
}

// divide returns n in parts that are to each other like the weights, but at least 1 each.
func (m Mix) divide(n int64) []int64 {
	parts := m.Counts(Plan{}, n)
	for i := range parts {
		if parts[i] > 0 {
			continue
		}
		parts[i] = 1
		largest := 0
		for j := range parts {
			if parts[j] > parts[largest] {
				largest = j
			}
		}
		parts[largest] = max(1, parts[largest]-1)
	}
	return parts
}

// Weight is a name and the weight of its share.
type Weight struct {
	Name   string
	Weight int64
}

// MixError says why a text does not tell weights.
type MixError struct{ Text, Problem string }

// Error returns text, problem and what is accepted.
func (e *MixError) Error() string {
	return fmt.Sprintf(`mix %q: %s; write names and weights, such as "widevine=3,playready=1"`, clip(e.Text), e.Problem)
}

// ParseWeights reads the names and weights of a mix: NAME=WEIGHT, separated by commas. A weight is a whole number from 1 to
// [MaxCycle], a name stands once. Any error is a *[MixError].
func ParseWeights(s string) ([]Weight, error) {
	var list []Weight
	for part := range strings.SplitSeq(s, ",") {
		if len(list) == MaxShares {
			return nil, &MixError{s, fmt.Sprintf("it has more than %d shares", MaxShares)}
		}
		w, problem := parseWeight(part)
		for _, other := range list {
			if problem == "" && other.Name == w.Name {
				problem = fmt.Sprintf("%q stands twice", w.Name)
			}
		}
		if problem != "" {
			return nil, &MixError{s, problem}
		}
		list = append(list, w)
	}
	return list, nil
}

func parseWeight(s string) (w Weight, problem string) {
	name, number, found := strings.Cut(s, "=")
	name, number = strings.TrimSpace(name), strings.TrimSpace(number)
	if name == "" {
		return w, fmt.Sprintf("%q has no name", s)
	}
	if !found || number == "" {
		return w, fmt.Sprintf("%q has no weight", name)
	}
	n, err := strconv.ParseInt(number, 10, 64)
	switch {
	case err != nil:
		return w, fmt.Sprintf("weight %q of %q is not a whole number", number, name)
	case n < 1:
		return w, fmt.Sprintf("weight %d of %q is not positive", n, name)
	case n > MaxCycle:
		return w, fmt.Sprintf("weight %d of %q is above %d", n, name, MaxCycle)
	}
	return Weight{name, n}, ""
}

// ParsePercent reads a percentage above 0% and up to 100%, such as 5%, with up to four decimal places, as so many parts of a whole.
func ParsePercent(s string) (parts, whole int64, err error) {
	parts, ok := parsePercent(strings.TrimSpace(s))
	if !ok {
		return 0, 0, fmt.Errorf(`%q is no percentage from 0.0001%% to 100%% such as "5%%"`, clip(s))
	}
	return parts, million, nil
}

func parsePercent(s string) (parts int64, ok bool) {
	number, ok := strings.CutSuffix(s, "%")
	digits, scale, err := parseDecimal(number)
	if !ok || err != nil || million/100%scale != 0 {
		return 0, false
	}
	parts = digits * (million / 100 / scale)
	return parts, parts > 0 && parts <= million
}
