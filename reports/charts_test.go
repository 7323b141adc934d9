package reports

import (
	"encoding/xml"
	"math"
	"strconv"
	"strings"
	"testing"
)

func TestTimelineKeepsTheWorst(t *testing.T) {
	t.Parallel()
	ss := seconds(3600, func(i int, s *Second) {
		if i == 1801 {
			s.Max, s.P99, s.P50, s.Failed, s.Wrong, s.Answered = 9e6, 8e6, 7e6, 40, 3, 0
		}
	})
	tl := newTimeline(ss)
	if len(tl.Buckets) > maxPoints+1 || tl.Size != 15 {
		t.Fatalf("%d buckets of %d s", len(tl.Buckets), tl.Size)
	}
	covered := 0
	for _, b := range tl.Buckets {
		covered += b.Seconds
		if b.From <= 1801 && 1801 < b.From+tl.Size {
			if b.Max != 9e6 || b.P99 != 8e6 || b.P50 != 7e6 || b.Bad != 40 || b.Wrong != 3 {
				t.Errorf("the stall was smoothed away: %+v", b)
			}
			if math.Abs(b.Answered-500*14.0/15) > 1e-6 || math.Abs(b.Due-500) > 1e-6 {
				t.Errorf("the rates are %v and %v", b.Due, b.Answered)
			}
		}
	}
	if covered != 3600 {
		t.Errorf("%d seconds are drawn", covered)
	}
}

// TestChartsStayInTheirFrame draws odd runs and checks every position.
func TestChartsStayInTheirFrame(t *testing.T) {
	t.Parallel()
	for name, ss := range map[string][]Second{
		"none":          nil,
		"one second":    {{At: 0, Due: 5, Answered: 5, P50: 10, P99: 20, Max: 30}},
		"one long run":  seconds(100_000, func(int, *Second) {}),
		"1441 seconds":  seconds(1441, func(int, *Second) {}),
		"nothing came":  {{At: 0, Due: 5, Failed: 5}, {At: 1, Due: 5, Failed: 5}},
		"gap":           {{At: 0, Due: 1, Answered: 1, P50: 1, P99: 1, Max: 1}, {At: 900, Due: 1, Answered: 1, P50: 5e8, P99: 5e8, Max: 5e8}},
		"out of order":  {{At: 5, Due: 1}, {At: 1, Due: 1}},
		"out of bounds": {{At: -5, Due: 1}, {At: math.MaxInt, Due: 1}, {At: 3, Due: math.MaxInt64, Answered: math.MaxInt64, Max: math.MaxInt64, P50: 1}},
		"flat":          {{At: 0, Due: 7, Answered: 7, P50: 100, P99: 100, Max: 100}, {At: 1, Due: 7, Answered: 7, P50: 100, P99: 100, Max: 100}},
	} {
		us := make([]Usage, len(ss))
		for i, s := range ss {
			us[i] = Usage{At: s.At, CPUSeconds: float64(s.Due), WireSent: s.Max, ConnectionsOpen: s.P50, ConnectionsOpened: s.Due, HeapBytes: uint64(s.Max)}
		}
		cs := charts(&Load{Seconds: ss, Usage: us})
		if (len(cs) == 0) != (name == "none") {
			t.Errorf("%s: %d charts", name, len(cs))
		}
		for _, c := range cs {
			if c.Note != "" {
				continue
			}
			if len(c.Y) < 2 || len(c.Y) > 21 || len(c.X) < 1 || len(c.X) > 12 || len(c.Points) > maxPoints+1 {
				t.Errorf("%s, %s: %d and %d marks, %d points", name, c.ID, len(c.X), len(c.Y), len(c.Points))
			}
			for _, s := range c.Series {
				if s.Path == "" {
					continue // bars
				}
				for _, p := range strings.FieldsFunc(strings.ReplaceAll(s.Path, "h0.01", ""), func(r rune) bool { return r == 'M' || r == 'L' }) {
					x, y, _ := strings.Cut(p, " ")
					inside(t, name+", "+c.ID, x, plotLeft, plotRight)
					inside(t, name+", "+c.ID, y, plotTop, plotBottom)
				}
			}
			for _, b := range c.Bars {
				inside(t, name+", bar", b.X, plotLeft, plotRight)
				inside(t, name+", bar", b.Y, plotTop-1, plotBottom)
			}
			for _, tk := range c.Y {
				inside(t, name+", mark "+tk.Label, tk.Pos, plotTop, plotBottom)
			}
		}
	}
}

func inside(t *testing.T, what, pos string, lo, hi float64) {
	t.Helper()
	f, err := strconv.ParseFloat(pos, 64)
	if err != nil || math.IsNaN(f) || f < lo-0.1 || f > hi+0.1 {
		t.Errorf("%s: %q is outside of %v to %v", what, pos, lo, hi)
	}
}

// TestChartsTellUnits reads a page's drawings.
func TestChartsTellUnits(t *testing.T) {
	t.Parallel()
	page := renderHTML(t, loadMissedReport())
	for _, want := range []string{"seconds since the start", "requests per second", "latency from due time, logarithmic", ">10\u00a0ms<", ">1\u00a0s<"} {
		if !strings.Contains(page, want) {
			t.Errorf("no axis says %q", want)
		}
	}
	if n := strings.Count(page, "<svg viewBox=\"0 0 860 280\""); n != 6 {
		t.Errorf("%d charts are drawn", n)
	}
	for part := range strings.SplitSeq(page, "<svg viewBox=\"0 0 860 280\"") {
		svg, _, ok := strings.Cut(part, "</svg>")
		if !ok {
			continue
		}
		if err := xml.Unmarshal([]byte("<svg "+svg+"</svg>"), new(struct{})); err != nil && !strings.Contains(part, "<!DOCTYPE") {
			t.Errorf("a chart is not well-formed: %v", err)
		}
	}
}

func TestMicros(t *testing.T) {
	t.Parallel()
	for us, want := range map[float64]string{
		0: "0", 0.4: "0.4 µs", 1: "1 µs", 999: "999 µs", 999.6: "1 ms", 1000: "1 ms", 1234: "1.23 ms", 41800: "41.8 ms", 999_600: "1 s",
		1_210_000: "1.21 s", 60_000_000: "60 s", 599_000_000: "599 s", 600_000_000: "10 min", -1500: "-1.5 ms",
	} {
		if got := strings.ReplaceAll(micros(us), "\u00a0", " "); got != want {
			t.Errorf("micros(%v) = %q, want %q", us, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1 000", -1234567: "-1 234 567"} {
		if got := strings.ReplaceAll(count(n), "\u00a0", " "); got != want {
			t.Errorf("count(%d) = %q, want %q", n, got, want)
		}
	}
	for n, want := range map[uint64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 187_000_000: "178 MiB", math.MaxUint64: "16 EiB"} {
		if got := strings.ReplaceAll(bytesIEC(n), "\u00a0", " "); got != want {
			t.Errorf("bytesIEC(%d) = %q, want %q", n, got, want)
		}
	}
}
