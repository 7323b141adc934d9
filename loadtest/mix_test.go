package loadtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func mustMix(t testing.TB, weights ...int64) Mix {
	t.Helper()
	m, err := NewMix(weights...)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// mixes are weights of every kind; of those of five shares and more, serving whoever is most behind would not do.
func mixes() [][]int64 {
	list := [][]int64{
		{1}, {7}, {1, 1}, {3, 1}, {1, 3}, {2, 3}, {999, 1}, {1, 999}, {500, 499}, {1, 1, 1}, {5, 3, 2}, {1, 13, 13}, {1, 1, 7, 7},
		{3, 97, 1, 97, 1}, {78, 2, 1, 78, 5, 5}, {3, 1, 1, 69, 5, 1, 5, 69}, {1, 3, 1, 3, 3, 1, 3, 2, 82, 88, 1, 3, 3, 1, 1, 1},
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		weights := make([]int64, 2+random.IntN(MaxShares-1))
		for i := range weights {
			weights[i] = 1 + random.Int64N(int64(min(60, MaxCycle/len(weights))))
		}
		list = append(list, weights)
	}
	return list
}

// checkPrefixes counts the shares of a plan's requests one by one: at no point may a share be a request ahead or behind, and
// a cycle is exact.
func checkPrefixes(t *testing.T, m Mix, p Plan, weights []int64) {
	t.Helper()
	var sum int64
	for _, w := range weights {
		sum += w
	}
	counts := make([]int64, len(weights))
	for n := range 2*m.Cycle() + 1 {
		if got := m.Counts(p, n); !slices.Equal(got, counts) {
			t.Fatalf("%v, slice %d of %d: of the first %d requests %v belong to the shares, Counts says %v", weights, p.Offset, p.Stride, n, counts, got)
		}
		for i, w := range weights {
			if off := n*w - counts[i]*sum; off > sum || off < -sum || n%m.Cycle() == 0 && off != 0 {
				t.Fatalf("%v, slice %d of %d: share %d has %d of the first %d requests, want %.2f", weights, p.Offset, p.Stride, i, counts[i], n, float64(n*w)/float64(sum))
			}
		}
		counts[m.Share(p, n)]++
	}
}

func TestMixIsExact(t *testing.T) {
	t.Parallel()
	for _, weights := range mixes() {
		checkPrefixes(t, mustMix(t, weights...), Plan{}, weights)
	}
}

func TestMixOrder(t *testing.T) {
	t.Parallel()
	for want, weights := range map[string][]int64{
		"0000":         {5},
		"0101":         {4, 4},
		"00100010":     {3, 1},
		"00100010 ":    {30, 10}, // in lowest terms
		"10111011":     {1, 3},
		"012012":       {1, 1, 1},
		"010210010210": {3, 2, 1},
	} {
		m := mustMix(t, weights...)
		var got strings.Builder
		for i := range len(strings.TrimSpace(want)) {
			fmt.Fprint(&got, m.Share(Plan{}, int64(i)))
		}
		if got.String() != strings.TrimSpace(want) {
			t.Errorf("%v: got %s, want %s", weights, got.String(), want)
		}
	}
}

// TestMixSlices cuts plans for several generators: each has the whole mix, also where their number divides the cycle.
func TestMixSlices(t *testing.T) {
	t.Parallel()
	whole := Plan{Rate: Rate{Freq: 1000, Per: time.Second}, Duration: time.Minute}
	for _, weights := range mixes() {
		m := mustMix(t, weights...)
		for _, count := range []int{2, 3, 4, 10, 2 * int(m.Cycle())} {
			for _, index := range []int{0, 1, count / 2, count - 1} {
				p, err := whole.Slice(index, count)
				if err != nil {
					t.Fatal(err)
				}
				checkPrefixes(t, m, p, weights)
			}
		}
	}
}

// TestMixSlicesTakeTurns has as many generators as the cycle is long: at any time exactly one of them is at the small share.
func TestMixSlicesTakeTurns(t *testing.T) {
	t.Parallel()
	m := mustMix(t, 3, 1)
	whole := Plan{Rate: Rate{Freq: 1000, Per: time.Second}, Duration: time.Minute}
	for i := range int64(20) {
		small := 0
		for index := range 4 {
			p, err := whole.Slice(index, 4)
			if err != nil {
				t.Fatal(err)
			}
			small += m.Share(p, i)
		}
		if small != 1 {
			t.Errorf("request %d of %d slices belongs to the small share", i, small)
		}
	}
}

func TestMixErrors(t *testing.T) {
	t.Parallel()
	for name, weights := range map[string][]int64{
		"none": {}, "zero": {1, 0}, "negative": {-1, 2}, "a long cycle": {999, 2}, "overflow": {1 << 62, 1<<62 + 1},
		"too many": slices.Repeat([]int64{1}, MaxShares+1),
	} {
		if m, err := NewMix(weights...); err == nil {
			t.Errorf("%s: got a mix of %d shares", name, m.Shares())
		}
	}
	if m := mustMix(t, 3<<40, 1<<40); m.Cycle() != 4 {
		t.Errorf("the cycle has %d requests, want 4", m.Cycle())
	}
}

func TestMixDivides(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct {
		n       int64
		weights []int64
	}{
		"[12 4]":    {16, []int64{3, 1}},
		"[16]":      {16, []int64{9}},
		"[15 1]":    {16, []int64{999, 1}},
		"[1 1]":     {1, []int64{1, 1}},
		"[1 1 6]":   {8, []int64{1, 1, 100}},
		"[4 2 2]":   {8, []int64{2, 1, 1}},
		"[1 1 1 1]": {2, []int64{1, 2, 3, 4}},
	} {
		if got := fmt.Sprint(mustMix(t, c.weights...).divide(c.n)); got != want {
			t.Errorf("%d by %v: got %s, want %s", c.n, c.weights, got, want)
		}
	}
}

func TestParseWeights(t *testing.T) {
	t.Parallel()
	got, err := ParseWeights(" widevine = 3,my-playready=1 ")
	if want := []Weight{{"widevine", 3}, {"my-playready", 1}}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	for text, want := range map[string]string{
		"":                           "has no name",
		"a=1,":                       "has no name",
		"=3":                         "has no name",
		"a":                          `"a" has no weight`,
		"a=":                         `"a" has no weight`,
		"a=x":                        `weight "x" of "a" is not a whole number`,
		"a=1.5":                      "is not a whole number",
		"a=1=2":                      `weight "1=2" of "a"`,
		"a=0":                        `weight 0 of "a" is not positive`,
		"a=3,b=-1":                   `weight -1 of "b" is not positive`,
		"a=1001":                     "is above 1000",
		"a=99999999999999999999":     "is not a whole number",
		"a=1,b=2,a=3":                `"a" stands twice`,
		strings.Repeat("a=1,", 4000): "stands twice",
		many(MaxShares + 1):          fmt.Sprintf("more than %d", MaxShares),
	} {
		_, err := ParseWeights(text)
		var typed *MixError
		if !errors.As(err, &typed) || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseWeights(%.40q): got %.200v, want %q", text, err, want)
		}
	}
}

func FuzzParseWeights(f *testing.F) {
	for _, seed := range []string{"widevine=3,playready=1", "a=1", "a=1000,b=999", "a=0", "=", ",", "a=1,a=1", "a =\t7 , b= 8"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := ParseWeights(text)
		if err != nil {
			return
		}
		weights := make([]int64, len(list))
		for i, w := range list {
			weights[i] = w.Weight
			if w.Name == "" || w.Weight < 1 || w.Weight > MaxCycle {
				t.Fatalf("%q: got %+v", text, w)
			}
		}
		m, err := NewMix(weights...)
		if err != nil {
			return
		}
		if got := m.Counts(Plan{}, m.Cycle()); !slices.Equal(got, m.weights) || m.Cycle() > MaxCycle {
			t.Fatalf("%q: a cycle of %d requests has %v", text, m.Cycle(), got)
		}
	})
}

func BenchmarkNewMix(b *testing.B) {
	weights := []int64{1, 3, 1, 3, 3, 1, 3, 2, 382, 388, 1, 3, 3, 1, 1, 1}
	for b.Loop() {
		if _, err := NewMix(weights...); err != nil {
			b.Fatal(err)
		}
	}
}

// many returns a mix of n shares.
func many(n int) string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("n%d=1", i))
	}
	return strings.Join(names, ",")
}
