package reports

import (
	"strings"
	"testing"
)

// TestWarmUpBalances holds the warm-up and the operations against the requests sent.
func TestWarmUpBalances(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Load)
		want   bool
	}{
		"as it is":          {func(*Load) {}, true},
		"one too many":      {func(l *Load) { l.WarmUp.Sent++ }, false},
		"one lost":          {func(l *Load) { l.Operations[1].Sent-- }, false},
		"moved":             {func(l *Load) { l.Operations[1].Sent--; l.WarmUp.Sent++ }, true},
		"an operation less": {func(l *Load) { l.Operations = l.Operations[1:] }, false},
		"no warm-up":        {func(l *Load) { l.WarmUp, l.Operations = nil, nil }, true},
	} {
		l := loadShapeReport().Load
		if c.change(l); l.Balanced() != c.want {
			t.Errorf("%s: balanced is %v, want %v", name, !c.want, c.want)
		}
	}
}

func TestShade(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		first, seconds int
		until          int64
		want           string
	}{
		{0, 60, 10_000, "129"},  // 774 units for 60 seconds
		{0, 60, 500, "6.5"},     //
		{0, 60, 90_000, "774"},  // a run that ended in its warm-up
		{30, 30, 45_000, "387"}, // a report that begins later
		{30, 30, 20_000, ""},    //
	} {
		l := loadReport().Load
		l.WarmUp = &WarmUp{DurationMS: c.until}
		l.Seconds = seconds(c.first+c.seconds, func(int, *Second) {})[c.first:]
		l.Usage = usage(c.first + c.seconds)[c.first:]
		for _, chart := range charts(l) {
			got := ""
			if chart.Shade != nil {
				got = chart.Shade.W
			}
			if chart.Note == "" && got != c.want {
				t.Errorf("%d ms of %d to %d s: %s is shaded for %q, want %q", c.until, c.first, c.first+c.seconds, chart.ID, got, c.want)
			}
			if chart.Note == "" && !strings.Contains(chart.Desc, "warm-up") {
				t.Errorf("%s does not say what is shaded: %s", chart.ID, chart.Desc)
			}
		}
	}
	if l := loadReport().Load; charts(l)[0].Shade != nil {
		t.Error("a run without warm-up is shaded")
	}
}

// TestNormalizeWindows keeps which objectives were judged by windows and kept, and drops what was measured.
func TestNormalizeWindows(t *testing.T) {
	t.Parallel()
	r := loadShapeReport()
	Normalize(r)
	s := r.Load.SLOs[0]
	if s.Kept || s.Windows.Seconds != 10 || s.Windows.Judged != 5 || s.Windows.Missed != 0 || s.Windows.Worst != nil {
		t.Errorf("got %+v with %+v", s, s.Windows)
	}
	if r.Load.WarmUp.Planned != 1250 || r.Load.Operations[0].Sent != 750 || !r.Load.Balanced() {
		t.Errorf("got %+v with warm-up %+v", r.Load, r.Load.WarmUp)
	}
}
