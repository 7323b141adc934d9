package reports

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Geometry of a chart, in the units of its viewBox.
const (
	chartW, chartH       = 860.0, 280.0
	plotLeft, plotRight  = 72.0, 846.0
	plotTop, plotBottom  = 14.0, 228.0
	maxPoints            = 240 // more would be thinner than a pixel
	logFrom              = 20  // values that span more than this factor need a logarithmic axis
	plotWidth, plotDepth = plotRight - plotLeft, plotBottom - plotTop
)

// chart is a line or bar chart over the seconds of a run, ready to be drawn: all positions are computed.
type chart struct {
	ID, Title, Desc, YLabel string
	Note                    string // instead of the drawing, if there is nothing to draw
	Shade                   *shade // behind the warm-up, nil if there was none
	Series                  []series
	Bars                    []bar
	X, Y                    []tick
	Points                  []point
	Columns                 []string // heads of the table that says the same
}

// series is one line and its legend; Path is an SVG path.
type series struct{ Class, Label, Path string }

// shade is the part of the x axis that is marked.
type shade struct{ X, W string }

// tick is a mark on an axis.
type tick struct{ Pos, Label string }

// bar is one filled rectangle.
type bar struct{ Class, X, Y, W, H string }

// point is what one position of the x axis shows, for the pointer and for the table.
type point struct {
	X, W  string // of the column that the pointer finds
	When  string
	Cells []string
}

// bucket is one position on the x axis: one second, or several of a long run.
type bucket struct {
	From, Seconds             int
	Due, Answered, Bad, Wrong float64            // per second; Bad and Wrong are of the worst second
	P50, P99, Max             int64              // of the worst second
	FailedBy, WrongBy         map[string]float64 // by class, of the worst second of each
	Use                       use
}

// timeline is the x axis of all charts of a run.
type timeline struct {
	Size    int // seconds per bucket
	Buckets []bucket
}

// latest is the last second that is drawn, about 30 years: a report read from a file may say anything.
const latest = 1_000_000_000

// newTimeline joins seconds until at most maxPoints or one more are left. Rates are averaged, everything that is bad
// when it is large is taken from the worst second, so that no stall is smoothed away.
func newTimeline(seconds []Second) timeline {
	seconds = slices.DeleteFunc(slices.Clone(seconds), func(s Second) bool { return s.At < 0 || s.At > latest })
	if len(seconds) == 0 {
		return timeline{}
	}
	slices.SortStableFunc(seconds, func(a, b Second) int { return cmp.Compare(a.At, b.At) })
	first, last := seconds[0].At, seconds[len(seconds)-1].At
	t := timeline{Size: 1 + (last-first)/maxPoints}
	for _, s := range seconds {
		from := first + (s.At-first)/t.Size*t.Size
		if len(t.Buckets) == 0 || t.Buckets[len(t.Buckets)-1].From != from {
			t.Buckets = append(t.Buckets, bucket{From: from})
		}
		t.Buckets[len(t.Buckets)-1].add(s)
	}
	return t
}

func (b *bucket) add(s Second) {
	b.Seconds++
	n := float64(b.Seconds)
	b.Due += (float64(s.Due) - b.Due) / n
	b.Answered += (float64(s.Answered) - b.Answered) / n
	b.Bad, b.Wrong = max(b.Bad, float64(s.Failed)), max(b.Wrong, float64(s.Wrong))
	worst(&b.FailedBy, s.FailedBy)
	worst(&b.WrongBy, s.WrongBy)
	b.P50, b.P99, b.Max = max(b.P50, s.P50), max(b.P99, s.P99), max(b.Max, s.Max)
}

// worst keeps the largest count of each class.
func worst(to *map[string]float64, by map[string]int64) {
	if *to == nil && len(by) > 0 {
		*to = map[string]float64{}
	}
	for class, n := range by {
		(*to)[class] = max((*to)[class], float64(n))
	}
}

// charts draws the seconds of a load run.
func charts(l *Load) []chart {
	var all []chart
	if t := newTimeline(l.Seconds); len(t.Buckets) > 0 {
		all = t.shaded(l.WarmUp, rateChart(t), latencyChart(t), failureChart(t))
	}
	if t := newUsageTimeline(l.Usage); len(t.Buckets) > 0 {
		all = append(all, t.shaded(l.WarmUp, trafficChart(t), connectionChart(t), generatorChart(t))...)
	}
	return all
}

// shaded marks the warm-up in charts, if there was one.
func (t timeline) shaded(w *WarmUp, all ...chart) []chart {
	for i := range all {
		if w == nil || all[i].Note != "" {
			continue
		}
		all[i].Desc += " The shaded beginning is the warm-up."
		all[i].Shade = t.shade(float64(w.DurationMS) / 1000)
	}
	return all
}

// shade marks the beginning of the axis up to a second of the run, nil if that is not on it.
func (t timeline) shade(until float64) *shade {
	s := newScale(t, 0, 1, false)
	if until <= s.from {
		return nil
	}
	return &shade{px(plotLeft), px(min((until-s.from)/s.span, 1) * plotWidth)}
}

// scale maps the buckets and the values of one chart to positions.
type scale struct {
	from, span float64 // seconds
	width      float64 // of one bucket
	lo, hi     float64 // values
	log        bool
}

func newScale(t timeline, lo, hi float64, log bool) scale {
	first, last := t.Buckets[0], t.Buckets[len(t.Buckets)-1]
	span := float64(last.From - first.From + t.Size)
	return scale{from: float64(first.From), span: span, width: float64(t.Size) / span * plotWidth, lo: lo, hi: hi, log: log}
}

// left returns the left edge of a bucket's column, and mid its middle.
func (s scale) left(b bucket) float64 {
	return plotLeft + (float64(b.From)-s.from)/s.span*plotWidth
}

func (s scale) mid(b bucket) float64 { return s.left(b) + s.width/2 }

func (s scale) y(v float64) float64 {
	if s.log {
		v = min(max(v, s.lo), s.hi)
		return plotBottom - math.Log(v/s.lo)/math.Log(s.hi/s.lo)*plotDepth
	}
	return plotBottom - (v-s.lo)/(s.hi-s.lo)*plotDepth
}

// path draws the values of the buckets; a value below zero is missing and leaves a gap.
func (s scale) path(t timeline, value func(bucket) float64) string {
	var p strings.Builder
	verb := "M"
	for i, b := range t.Buckets {
		v := value(b)
		if v < 0 {
			verb = "M"
			continue
		}
		fmt.Fprintf(&p, "%s%s %s", verb, px(s.mid(b)), px(s.y(v)))
		if verb == "M" && (i+1 == len(t.Buckets) || value(t.Buckets[i+1]) < 0) {
			p.WriteString("h0.01") // a round cap makes a lone point visible
		}
		verb = "L"
	}
	return p.String()
}

// px writes a position with a tenth of a unit.
func px(f float64) string { return strconv.FormatFloat(math.Round(f*10)/10, 'f', -1, 64) }

// xTicks marks up to ten seconds.
func (s scale) xTicks() []tick {
	var ts []tick
	step := math.Max(1, niceStep(s.span, 10))
	for at := math.Ceil(s.from/step) * step; at <= s.from+s.span; at += step {
		ts = append(ts, tick{px(plotLeft + (at-s.from)/s.span*plotWidth), count(int64(at))})
	}
	return ts
}

func (s scale) yTicks(label func(float64) string) []tick {
	var ts []tick
	if !s.log {
		step := niceStep(s.hi-s.lo, 5)
		for i := 0.0; s.lo+i*step <= s.hi*1.0001; i++ {
			ts = append(ts, tick{px(s.y(s.lo + i*step)), label(s.lo + i*step)})
		}
		return ts
	}
	for v := s.lo; v <= s.hi*1.0001; v *= 10 {
		ts = append(ts, tick{px(s.y(v)), label(v)})
	}
	return ts
}

// niceStep returns the 1, 2 or 5 times a power of ten that divides the span into at most n parts.
func niceStep(span float64, n int) float64 {
	raw := span / float64(n)
	power := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= raw*0.9999 {
			return m * power
		}
	}
	return 10 * power
}

// niceMax rounds up to the end of a linear axis that starts at zero.
func niceMax(v float64) float64 {
	if v <= 0 {
		return 1
	}
	step := niceStep(v, 5)
	return math.Ceil(v/step*0.9999) * step
}

func (s scale) points(t timeline, cells func(bucket) []string) []point {
	ps := make([]point, len(t.Buckets))
	for i, b := range t.Buckets {
		when := strconv.Itoa(b.From) + " s"
		if b.Seconds > 1 {
			when = fmt.Sprintf("%d–%d s", b.From, b.From+b.Seconds-1)
		}
		ps[i] = point{X: px(s.left(b)), W: px(max(s.width, 0.1)), When: when, Cells: cells(b)}
	}
	return ps
}
