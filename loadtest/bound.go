package loadtest

import (
	"math"

	"keyflow/reports"
)

// confidence is that of the bound on what a sample has missed.
const confidence = 0.95

// upperBound returns the largest share of wrong answers with which it is not unlikely that so few of a sample are wrong: the upper
// end of the one-sided Clopper-Pearson interval. It is exact; with none wrong it is a little below 3/n (sheet load.md §4.4). Without a
// sample it is 1.
func upperBound(wrong, sampled int64) float64 {
	if wrong >= sampled {
		return 1
	}
	low, high := float64(wrong)/float64(sampled), 1.0
	for range 100 {
		middle := (low + high) / 2
		if atMost(wrong, sampled, middle) > 1-confidence {
			low = middle
		} else {
			high = middle
		}
	}
	return high
}

// atMost is the probability that at most k of n answers are wrong if each is with probability p: the regularized incomplete beta
// function I of 1-p with parameters n-k and k+1.
func atMost(k, n int64, p float64) float64 {
	return incompleteBeta(float64(n-k), float64(k+1), 1-p)
}

// incompleteBeta is the regularized incomplete beta function, by its continued fraction (Abramowitz and Stegun, Handbook of
// Mathematical Functions, 26.5.8), which converges fast below the mean; above it the symmetry leads there.
func incompleteBeta(a, b, x float64) float64 {
	if x <= 0 {
		return 0
	}
	if x >= 1 {
		return 1
	}
	if x > (a+1)/(a+b+2) {
		return 1 - incompleteBeta(b, a, 1-x)
	}
	sum, _ := math.Lgamma(a + b)
	first, _ := math.Lgamma(a)
	second, _ := math.Lgamma(b)
	front := math.Exp(sum - first - second + a*math.Log(x) + b*math.Log1p(-x))
	return front * betaFraction(a, b, x) / a
}

// betaFraction evaluates the continued fraction with Lentz's method.
func betaFraction(a, b, x float64) float64 {
	const tiny, enough, most = 1e-300, 1e-14, 100_000
	whole := func(v float64) float64 {
		if math.Abs(v) < tiny {
			return tiny
		}
		return v
	}
	c, d := 1.0, 1/whole(1-(a+b)*x/(a+1))
	f := d
	for i := range most {
		m := float64(i + 1)
		even := m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m))
		d, c = 1/whole(1+even*d), whole(1+even/c)
		f *= d * c
		odd := -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))
		d, c = 1/whole(1+odd*d), whole(1+odd/c)
		step := d * c
		f *= step
		if math.Abs(step-1) < enough {
			break
		}
	}
	return f
}

// verification tells how many answers were verified in full, and what that says of the others.
func (r *run) verification() *reports.Verification {
	b, v := r.books, r.verifier
	out := &reports.Verification{
		Sampled: v.sampled.Load(), Wrong: v.sampledWrong.Load(),
		Others: b.skipped + v.passed.Load(), Unjudged: b.overflow + v.unjudged.Load(),
	}
	bound(out)
	return out
}

// bound fills in what the sample says of the others.
func bound(v *reports.Verification) {
	v.Confidence, v.AtMost = 0, 0
	if v.Others > 0 {
		v.Confidence, v.AtMost = confidence, upperBound(v.Wrong, v.Sampled)
	}
}
