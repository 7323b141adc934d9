package loadtest

import (
	"math"
	"testing"
)

func TestUpperBound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		wrong, sampled int64
		want           float64 // 0: not tabulated
	}{
		{0, 0, 1}, {1, 1, 1}, {50, 50, 1},
		// None wrong: 1 - 0.05^(1/n).
		{0, 1, 0.95}, {0, 10, 0.258866}, {0, 100, 0.029513}, {0, 1000, 0.0029912}, {0, 1_000_000, 2.995728e-6},
		// From tables of the one-sided interval at 95 %.
		{1, 10, 0.394163}, {1, 20, 0.216106}, {2, 20, 0.282619}, {5, 100, 0.102253}, {9, 10, 0.994884},
		{3, 5000, 0}, {400, 5000, 0}, {500_000, 1_000_000, 0},
	} {
		got := upperBound(c.wrong, c.sampled)
		if c.want != 0 && math.Abs(got-c.want) > 2e-6*math.Max(1, c.want) {
			t.Errorf("%d wrong of %d: at most %v, want %v", c.wrong, c.sampled, got, c.want)
		}
		if c.wrong == 0 && c.sampled > 0 && got > 3/float64(c.sampled) {
			t.Errorf("none wrong of %d: %v is above 3/n", c.sampled, got)
		}
		if c.wrong < c.sampled {
			if p := binomial(c.wrong, c.sampled, got); math.Abs(p-0.05) > 1e-6 {
				t.Errorf("%d wrong of %d: with %v so few are wrong with probability %v, want 0.05", c.wrong, c.sampled, got, p)
			}
		}
	}
}

// binomial sums the probabilities up, as the definition says.
func binomial(k, n int64, p float64) float64 {
	whole, _ := math.Lgamma(float64(n) + 1)
	sum := 0.0
	for i := range k + 1 {
		first, _ := math.Lgamma(float64(i) + 1)
		second, _ := math.Lgamma(float64(n-i) + 1)
		sum += math.Exp(whole - first - second + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
	}
	return sum
}
