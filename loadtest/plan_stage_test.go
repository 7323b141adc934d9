package loadtest_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"keyflow/loadtest"
)

func staged(t testing.TB, text string) loadtest.Plan {
	t.Helper()
	stages, err := loadtest.ParseStages(text)
	if err != nil {
		t.Fatal(err)
	}
	p, err := loadtest.NewPlan(stages...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// requests returns by rational arithmetic to how many requests the rate of a stage adds up in the time t.
func requests(s loadtest.Stage, t time.Duration) *big.Rat {
	from, to := big.NewRat(s.From.Freq, int64(s.From.Per)), big.NewRat(s.To.Freq, int64(s.To.Per))
	at, half := new(big.Rat).SetInt64(int64(t)), big.NewRat(int64(t), 2*int64(s.Duration))
	slope := new(big.Rat).Sub(to, from)
	mean := slope.Add(slope.Mul(slope, half), from)
	return mean.Mul(mean, at)
}

// ceil rounds up.
func ceil(r *big.Rat) int64 {
	q, rest := new(big.Int).QuoRem(r.Num(), r.Denom(), new(big.Int))
	if rest.Sign() > 0 {
		q.Add(q, big.NewInt(1))
	}
	return q.Int64()
}

// bruteTotal counts a plan's requests by rational arithmetic.
func bruteTotal(p loadtest.Plan) (n int64) {
	for _, s := range p.Stages {
		n += ceil(requests(s, s.Duration))
	}
	return n
}

// bruteDue finds by bisection, with rational arithmetic, when request i of a plan with stages is due: the last nanosecond
// until which no more than i requests have been asked for.
func bruteDue(p loadtest.Plan, i int64) time.Duration {
	var begin time.Duration
	for _, s := range p.Stages {
		count := ceil(requests(s, s.Duration))
		if i >= count {
			i -= count
			begin += s.Duration
			continue
		}
		low, high, want := time.Duration(0), s.Duration, new(big.Rat).SetInt64(i)
		for high-low > 1 {
			if middle := low + (high-low)/2; requests(s, middle).Cmp(want) <= 0 {
				low = middle
			} else {
				high = middle
			}
		}
		return begin + low
	}
	return math.MaxInt64
}

// checkPlan holds some of a plan's times against rational arithmetic, and against each other.
func checkPlan(t *testing.T, p loadtest.Plan, indices []int64) {
	t.Helper()
	total := p.Total()
	if len(p.Stages) > 0 && total != bruteTotal(p) {
		t.Fatalf("%s: got %d requests, want %d", p, total, bruteTotal(p))
	}
	for _, i := range indices {
		if i < 0 || i >= total {
			continue
		}
		due := p.Due(i)
		if len(p.Stages) > 0 && due != bruteDue(p, i) {
			t.Fatalf("%s: request %d of %d is due at %d ns, want %d", p, i, total, due, bruteDue(p, i))
		}
		if due < 0 || due >= p.Duration {
			t.Fatalf("%s: request %d of %d is due at %s, not within the plan", p, i, total, due)
		}
		if before, with := p.Before(due), p.Before(due+1); before != i || with != i+1 {
			t.Fatalf("%s: %d requests are due before request %d at %d ns, %d with that nanosecond", p, before, i, due, with)
		}
		if i > 0 && p.Due(i-1) >= due {
			t.Fatalf("%s: request %d is due at %d ns, request %d at %d ns", p, i-1, p.Due(i-1), i, due)
		}
	}
}

// some returns numbers near the beginning, the end, the stages' boundaries, and anywhere.
func some(p loadtest.Plan, r *rand.Rand) []int64 {
	total := p.Total()
	list := []int64{0, 1, 2, 3, total / 2, total - 2, total - 1}
	var end time.Duration
	for _, s := range p.Stages {
		end += s.Duration
		n := p.Before(end)
		list = append(list, n-2, n-1, n, n+1)
	}
	for range 20 {
		list = append(list, r.Int64N(total))
	}
	return list
}

func TestStages(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text  string
		shape string
		total int64
		mean  float64
		peak  float64
	}{
		{"50/s@10s", loadtest.ShapeConstant, 500, 50, 50},
		{"0/s..100/s@10s", loadtest.ShapeRamp, 500, 50, 100},
		{"100/s..0/s@10s", loadtest.ShapeRamp, 500, 50, 100},
		{"50/s..500/s@30s", loadtest.ShapeRamp, 8250, 275, 500},
		{"1/s..2/s@1s", loadtest.ShapeRamp, 2, 2, 2}, // one and a half, of which the second is due within the second
		{"100/s@10s,200/s@10s,300/s@10s", loadtest.ShapeSteps, 6000, 200, 300},
		{"100/s@1s,200/s@1s", loadtest.ShapeSteps, 300, 150, 200},
		{"100/s@10s,2000/s@2s,100/s@8s", loadtest.ShapeSpike, 5800, 290, 2000},
		{"100/s@10s,50/s@2s,100/s@8s", loadtest.ShapeSteps, 1900, 95, 100},
		{"50/s..500/s@30s,500/s@1m,2000/s@5s,500/s@1m", loadtest.ShapeStages, 8250 + 30_000 + 10_000 + 30_000, 78250.0 / 155, 2000},
		{"10/s@1s,0/s@10s,10/s@1s", loadtest.ShapeSteps, 20, 20.0 / 12, 10},
		{"333.3/s..12/m@7s", loadtest.ShapeRamp, 1168, 1168.0 / 7, 333.3},
		{"60/m..1/s@1m30s", loadtest.ShapeConstant, 90, 1, 1}, // the same rate in other words
	} {
		p := staged(t, c.text)
		if p.Total() != c.total || math.Abs(p.PerSecond()-c.mean) > 1e-9 || math.Abs(p.Peak()-c.peak) > 1e-9 || p.Shape() != c.shape {
			t.Errorf("%s: got a %s of %d requests, %v/s, at most %v/s; want a %s of %d, %v/s, %v/s",
				c.text, p.Shape(), p.Total(), p.PerSecond(), p.Peak(), c.shape, c.total, c.mean, c.peak)
		}
		if p.String() != c.text {
			t.Errorf("%s: its String is %s", c.text, p)
		}
		all := make([]int64, min(p.Total(), 300))
		for i := range all {
			all[i] = int64(i)
		}
		checkPlan(t, p, all)
		checkPlan(t, p, some(p, rand.New(rand.NewPCG(1, 2))))
	}
}

// TestStagesExact holds plans of random rates and times, among them extreme ones, against rational arithmetic.
func TestStagesExact(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	rate := func() loadtest.Rate {
		per := []time.Duration{time.Second, time.Second, time.Minute, 100 * time.Millisecond, 7 * time.Second, 1000 * time.Hour, time.Duration(1 + r.Int64N(1e12))}[r.IntN(7)]
		most := int64(per.Seconds() * loadtest.MaxRatePerSecond)
		if most < 1 || r.IntN(8) == 0 {
			return loadtest.Rate{Per: time.Second}
		}
		return loadtest.Rate{Freq: 1 + r.Int64N(most)>>r.IntN(30), Per: per}
	}
	for range 400 {
		stages := make([]loadtest.Stage, 1+r.IntN(4))
		for i := range stages {
			stages[i] = loadtest.Stage{From: rate(), To: rate(), Duration: time.Duration(1 + r.Int64N(int64(loadtest.MaxDuration)/4)>>r.IntN(50))}
			if r.IntN(3) == 0 {
				stages[i].To = stages[i].From
			}
		}
		p, err := loadtest.NewPlan(stages...)
		if err != nil {
			continue // nothing but zeros
		}
		checkPlan(t, p, some(p, r))
	}
}

// TestStagesSlices deals a plan of every kind of stage out: each request is in one slice, at its own time.
func TestStagesSlices(t *testing.T) {
	t.Parallel()
	whole := staged(t, "0/s..100/s@700ms,100/s@300ms,0/s@200ms,333.3/s@100ms,90/s..1/s@1s")
	for _, count := range []int{1, 2, 3, 7, 300} {
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
			if want := whole.Peak() / float64(count); math.Abs(s.Peak()-want) > 1e-9 {
				t.Errorf("slice %d of %d has a peak of %v/s, want %v/s", index, count, s.Peak(), want)
			}
			total += s.Total()
			for i := range s.Total() {
				n := s.Number(i)
				if seen[n] || s.Due(i) != whole.Due(n) || s.Before(s.Due(i)) != i || s.Before(s.Due(i)+1) != i+1 {
					t.Fatalf("slice %d of %d: request %d is number %d, due %s; seen before: %v", index, count, i, n, s.Due(i), seen[n])
				}
				seen[n] = true
			}
		}
		if total != whole.Total() || int64(len(seen)) != total {
			t.Errorf("%d slices have %d requests, %d different, want %d", count, total, len(seen), whole.Total())
		}
	}
}

// TestStagesBoundary has no request lost or doubled where stages meet, whatever a stage's share of a request is.
func TestStagesBoundary(t *testing.T) {
	t.Parallel()
	p := staged(t, "3/s@500ms,3/s@500ms,0/s@1s,7/s@1s")
	var got []time.Duration
	for i := range p.Total() {
		got = append(got, p.Due(i).Round(time.Microsecond))
	}
	ms, us := time.Millisecond, time.Microsecond
	want := []time.Duration{
		0, 333_333 * us, 500 * ms, 833_333 * us,
		2 * time.Second, 2_142_857 * us, 2_285_714 * us, 2_428_571 * us, 2_571_429 * us, 2_714_286 * us, 2_857_143 * us,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestStagesBehindTheEnd goes on at the rate that a plan ends with.
func TestStagesBehindTheEnd(t *testing.T) {
	t.Parallel()
	p := staged(t, "0/s..10/s@2s")
	if p.Total() != 10 || p.Due(10) != 2*time.Second || p.Due(15) != 2500*time.Millisecond || p.Before(2500*time.Millisecond) != 15 {
		t.Errorf("request 10 of %d is due at %s, 15 at %s; %d are due before 2.5 s", p.Total(), p.Due(10), p.Due(15), p.Before(2500*time.Millisecond))
	}
	p = staged(t, "10/s..0/s@2s")
	if p.Due(10) != math.MaxInt64 || p.Before(math.MaxInt64) != 10 {
		t.Errorf("request 10 is due at %s, %d requests are due at all", p.Due(10), p.Before(math.MaxInt64))
	}
	p = staged(t, "1/s@1s,1000000/s@1s")
	if p.Due(math.MaxInt64) < 0 || p.Before(math.MaxInt64) < 0 {
		t.Error("times overflow")
	}
}

func TestStagesJSON(t *testing.T) {
	t.Parallel()
	p := staged(t, "50/s..500/s@30s, 0.5/s@1h ,3/70ms@1m30s")
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"duration_ns":3720000000000,"stages":["50/s..500/s@30s","0.5/s@1h","3/70ms@1m30s"]}`; string(text) != want {
		t.Errorf("got %s, want %s", text, want)
	}
	var back loadtest.Plan
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back, p) {
		t.Errorf("got %+v, %v; want %+v", back, err, p)
	}
	var typed *loadtest.StageError
	if err := json.Unmarshal([]byte(`{"stages":["50/s"]}`), &back); !errors.As(err, &typed) {
		t.Errorf("got %v for a stage without a time", err)
	}
}

func TestNewPlanInvalid(t *testing.T) {
	t.Parallel()
	rate := loadtest.Rate{Freq: 1, Per: time.Second}
	none := loadtest.Rate{Per: time.Second}
	good := loadtest.Stage{From: rate, To: rate, Duration: time.Second}
	for name, stages := range map[string][]loadtest.Stage{
		"none":            nil,
		"nothing asked":   {{From: none, To: none, Duration: time.Second}},
		"pauses":          {{From: none, To: none, Duration: time.Second}, {From: none, To: none, Duration: time.Second}},
		"no time":         {good, {From: rate, To: rate}},
		"negative time":   {good, {From: rate, To: rate, Duration: -1}},
		"no rate":         {good, {From: rate, Duration: time.Second}},
		"negative rate":   {good, {From: rate, To: loadtest.Rate{Freq: -1, Per: time.Second}, Duration: time.Second}},
		"too fast":        {good, {From: rate, To: loadtest.Rate{Freq: loadtest.MaxRatePerSecond + 1, Per: time.Second}, Duration: time.Second}},
		"together long":   {{From: rate, To: rate, Duration: loadtest.MaxDuration}, good},
		"too many stages": make([]loadtest.Stage, loadtest.MaxStages+1),
	} {
		if p, err := loadtest.NewPlan(stages...); err == nil {
			t.Errorf("%s: %+v was accepted", name, p)
		}
	}
	two := []loadtest.Stage{good, good}
	for name, p := range map[string]loadtest.Plan{
		"rate beside stages": {Rate: rate, Stages: two, Duration: 2 * time.Second},
		"other duration":     {Stages: two, Duration: time.Second},
		"no duration":        {Stages: two},
	} {
		if err := p.Validate(); err == nil {
			t.Errorf("%s: %+v was accepted", name, p)
		}
	}
}

func TestParseStagesErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                "does not say for how long",
		"50/s":            "does not say for how long",
		"50/s@":           "is not a time",
		"50/s@x":          "is not a time",
		"50@10s":          `did you mean "50/s"?`,
		"50/s..@10s":      "has no time unit",
		"..50/s@10s":      "has no time unit",
		"50/s..60/s..7/s": "does not say for how long",
		"50/s@10s,":       "does not say for how long",
		"50/s@10s;60/s@1": "is not a time",
		"-1/s@10s":        "is not a decimal number",
		"50/s@-10s":       "is not between 0",
		"50/s@0s":         "is not between 0",
		"2000000/s@1s":    "is above 1000000",
		"1/s..2/s@10000h": "is not between 0",
		strings.Repeat("1/s@1s,", loadtest.MaxStages) + "1/s@1s": "more than 64",
	} {
		_, err := loadtest.ParseStages(text)
		var typed *loadtest.StageError
		if !errors.As(err, &typed) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "RATE..RATE@TIME") {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func FuzzParseStages(f *testing.F) {
	for _, seed := range []string{
		"50/s..500/s@30s,500/s@1m,2000/s@5s,500/s@1m", "0/s..1/s@1ns", "1/1000h..1000000/s@720h", "10/s@1s,0/s@1h,3/70ms..0.7/s@1m",
		"1/s..0/s@3s", "@", "..@", "1/s@1s,", "60/m..1/s@1s", "0/s@1s",
	} {
		f.Add(seed, uint64(0))
	}
	f.Fuzz(func(t *testing.T, text string, seed uint64) {
		stages, err := loadtest.ParseStages(text)
		if err != nil {
			var typed *loadtest.StageError
			if !errors.As(err, &typed) {
				t.Fatalf("%q: %T is not a *StageError", text, err)
			}
			return
		}
		p, err := loadtest.NewPlan(stages...)
		if err != nil {
			return // nothing but zeros, or too long together
		}
		again, err := loadtest.ParseStages(p.String())
		if err != nil {
			t.Fatalf("%q: its String %q: %v", text, p, err)
		}
		q, err := loadtest.NewPlan(again...)
		if err != nil || q.String() != p.String() || q.Total() != p.Total() || q.Due(q.Total()/2) != p.Due(p.Total()/2) {
			t.Fatalf("%q: its String %q is another plan, %q: %v", text, p, q, err)
		}
		if total := p.Total(); total > 0 {
			checkPlan(t, p, some(p, rand.New(rand.NewPCG(seed, seed))))
		}
	})
}

func BenchmarkPlanDue(b *testing.B) {
	for _, text := range []string{"500/s@30s", "50/s..500/s@30s", "50/s..500/s@30s,500/s@1m,2000/s@5s,500/s@1m", "333.3/s..12/m@7s"} {
		b.Run(text, func(b *testing.B) {
			p := staged(b, text)
			total := p.Total()
			b.ReportAllocs()
			for i := range int64(b.N) {
				p.Due(i % total)
			}
		})
	}
}
