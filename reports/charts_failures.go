package reports

import (
	"cmp"
	"maps"
	"slices"
)

// layer is one part of the stacked bars of failures.
type layer struct {
	class, label string
	of           func(bucket) float64
}

// layerColors are those of the classes with the most requests, largest first; the rest shares a last one.
var layerColors = []string{"bad", "three", "two", "one", "four"}

// failureLayers returns the classes of failed requests and of wrong licenses, or failed and wrong for seconds that do not
// tell classes.
func failureLayers(t timeline) []layer {
	failed, wrong := map[string]float64{}, map[string]float64{}
	for _, b := range t.Buckets {
		for class, n := range b.FailedBy {
			failed[class] += n
		}
		for class, n := range b.WrongBy {
			wrong[class] += n
		}
	}
	if len(failed)+len(wrong) == 0 {
		return []layer{
			{"bad", "failed", func(b bucket) float64 { return b.Bad }},
			{"three", "wrong license", func(b bucket) float64 { return b.Wrong }},
		}
	}
	sums := map[float64][]layer{}
	add := func(prefix string, sum map[string]float64, by func(bucket) map[string]float64) {
		for _, class := range slices.Sorted(maps.Keys(sum)) {
			sums[sum[class]] = append(sums[sum[class]], layer{label: prefix + class, of: func(b bucket) float64 { return by(b)[class] }})
		}
	}
	add("", failed, func(b bucket) map[string]float64 { return b.FailedBy })
	add("wrong: ", wrong, func(b bucket) map[string]float64 { return b.WrongBy })
	var all []layer
	for _, n := range slices.SortedFunc(maps.Keys(sums), func(a, b float64) int { return cmp.Compare(b, a) }) {
		all = append(all, sums[n]...)
	}
	shown := all[:min(len(all), len(layerColors))]
	for i := range shown {
		shown[i].class = layerColors[i]
	}
	if rest := all[len(shown):]; len(rest) > 0 {
		shown = append(slices.Clone(shown), layer{"asked", "other classes", func(b bucket) float64 {
			sum := 0.0
			for _, l := range rest {
				sum += l.of(b)
			}
			return sum
		}})
	}
	return shown
}

// failureChart stacks failed requests and wrong answers, by class.
func failureChart(t timeline) chart {
	layers := failureLayers(t)
	hi := 0.0
	for _, b := range t.Buckets {
		sum := 0.0
		for _, l := range layers {
			sum += l.of(b)
		}
		hi = max(hi, sum)
	}
	c := chart{
		ID: "failures", Title: "Failures per second", YLabel: "requests per second",
		Desc:    "Failed requests and wrong licenses per second of the run, by class, by the time a request was due; of a position that stands for several seconds, the worst of each class.",
		Columns: []string{"Second"},
	}
	if hi == 0 {
		c.Note = "No request failed and no license was wrong, in any second."
		return c
	}
	s := newScale(t, 0, niceMax(hi), false)
	for _, l := range layers {
		c.Series = append(c.Series, series{Class: l.class, Label: l.label})
		c.Columns = append(c.Columns, l.label)
	}
	gap := min(1.5, s.width*0.15)
	for _, b := range t.Buckets {
		from := 0.0
		for _, l := range layers {
			to := from + l.of(b)
			c.Bars = append(c.Bars, s.bar(l.class, b, from, to, gap)...)
			from = to
		}
	}
	c.X, c.Y = s.xTicks(), s.yTicks(digits3)
	c.Points = s.points(t, func(b bucket) []string {
		var cells []string
		for _, l := range layers {
			cells = append(cells, digits3(l.of(b)))
		}
		return cells
	})
	return c
}

// bar fills a bucket's column between two values; nothing gives no bar.
func (s scale) bar(class string, b bucket, from, to, gap float64) []bar {
	if to <= from {
		return nil
	}
	height := max(s.y(from)-s.y(to), 1) // one failure among thousands still shows
	return []bar{{class, px(s.left(b) + gap), px(s.y(from) - height), px(max(s.width-2*gap, 0.5)), px(height)}}
}
