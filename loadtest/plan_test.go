package loadtest_test

import (
	"math/big"
	"testing"
	"time"

	"keyflow/loadtest"
)

func plan(t testing.TB, rate string, d time.Duration) loadtest.Plan {
	t.Helper()
	r, err := loadtest.ParseRate(rate)
	if err != nil {
		t.Fatal(err)
	}
	return loadtest.Plan{Rate: r, Duration: d}
}

func TestPlanTotal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rate     string
		duration time.Duration
		want     int64
	}{
		{"200/s", 10 * time.Second, 2000},
		{"7/s", time.Second, 7},
		{"7/s", 1500 * time.Millisecond, 11}, // 0, 1/7 … 10/7 s
		{"0.5/s", time.Second, 1},
		{"333.3/s", 10 * time.Second, 3333},
		{"12000/m", time.Second, 200},
		{"1000000/s", 30 * 24 * time.Hour, 2_592_000_000_000},
		{"1/h", time.Nanosecond, 1},
	} {
		if got := plan(t, c.rate, c.duration).Total(); got != c.want {
			t.Errorf("%s for %s: got %d requests, want %d", c.rate, c.duration, got, c.want)
		}
	}
}

// TestPlanDue compares due times with rational arithmetic: after a month at an odd rate there is no drift.
func TestPlanDue(t *testing.T) {
	t.Parallel()
	for _, rate := range []string{"7/s", "333.3/s", "1/s", "0.7/s", "9999.9999/s", "1000000/s", "13/7s", "59/m"} {
		p := plan(t, rate, loadtest.MaxDuration)
		total := p.Total()
		for _, i := range []int64{0, 1, 2, 3, 6, 7, 1000, 99_999, total / 3, total / 2, total - 1, total} {
			exact := new(big.Int).Mul(big.NewInt(i), big.NewInt(int64(p.Rate.Per)))
			exact.Quo(exact, big.NewInt(p.Rate.Freq))
			if got := p.Due(i); int64(got) != exact.Int64() {
				t.Errorf("%s: request %d is due at %d ns, want %s", rate, i, got, exact)
			}
			if i > 0 && p.Due(i) <= p.Due(i-1) {
				t.Errorf("%s: request %d is not due after request %d", rate, i, i-1)
			}
			if before := p.Before(p.Due(i)); before != i {
				t.Errorf("%s: %d requests are due before request %d", rate, before, i)
			}
		}
		if p.Due(total-1) >= p.Duration || p.Due(total) < p.Duration {
			t.Errorf("%s: request %d at %s and %d at %s do not frame the duration %s", rate, total-1, p.Due(total-1), total, p.Due(total), p.Duration)
		}
	}
	if p := plan(t, "7/s", 3*time.Second); p.Due(p.Total()) != p.Duration {
		t.Errorf("the 21st request after the last is due at %s, want %s", p.Due(p.Total()), p.Duration)
	}
}

func TestPlanSlices(t *testing.T) {
	t.Parallel()
	for _, rate := range []string{"7/s", "333.3/s", "100/s"} {
		whole := plan(t, rate, 3100*time.Millisecond)
		for _, count := range []int{1, 2, 3, 7, 500} {
			var total int64
			seen := map[int64]bool{}
			for index := range count {
				s, err := whole.Slice(index, count)
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Validate(); err != nil {
					t.Fatal(err)
				}
				total += s.Total()
				for i := range s.Total() {
					n := s.Number(i)
					if seen[n] || s.Due(i) != whole.Due(n) {
						t.Fatalf("%s: slice %d of %d: request %d is number %d, due %s; seen before: %v", rate, index, count, i, n, s.Due(i), seen[n])
					}
					seen[n] = true
				}
			}
			if total != whole.Total() || int64(len(seen)) != total {
				t.Errorf("%s: %d slices have %d requests, %d different, want %d", rate, count, total, len(seen), whole.Total())
			}
		}
	}
}

func TestPlanSliceOfSlice(t *testing.T) {
	t.Parallel()
	whole := plan(t, "60/s", time.Second)
	half, err := whole.Slice(1, 2)
	if err != nil {
		t.Fatal(err)
	}
	sixth, err := half.Slice(2, 3)
	if err != nil {
		t.Fatal(err)
	}
	if sixth.Offset != 5 || sixth.Stride != 6 || sixth.Total() != 10 || sixth.PerSecond() != 10 {
		t.Errorf("got %+v with %d requests at %v/s", sixth, sixth.Total(), sixth.PerSecond())
	}
}

func TestPlanInvalid(t *testing.T) {
	t.Parallel()
	good := plan(t, "7/s", time.Second)
	for name, p := range map[string]loadtest.Plan{
		"zero":            {},
		"no duration":     {Rate: good.Rate},
		"no rate":         {Duration: time.Second},
		"too long":        {Rate: good.Rate, Duration: loadtest.MaxDuration + 1},
		"offset":          {Rate: good.Rate, Duration: time.Second, Offset: 3, Stride: 3},
		"negative":        {Rate: good.Rate, Duration: time.Second, Offset: -1, Stride: 3},
		"negative stride": {Rate: good.Rate, Duration: time.Second, Stride: -1},
	} {
		if err := p.Validate(); err == nil {
			t.Errorf("%s: %+v was accepted", name, p)
		}
	}
	for _, c := range [][2]int{{0, 0}, {-1, 2}, {2, 2}, {0, 1 << 40}} {
		if _, err := good.Slice(c[0], c[1]); err == nil {
			t.Errorf("slice %d of %d was made", c[0], c[1])
		}
	}
}
