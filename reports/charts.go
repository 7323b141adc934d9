package reports

import "math"

// rateChart compares requests due with licenses obtained.
func rateChart(t timeline) chart {
	hi := 0.0
	for _, b := range t.Buckets {
		hi = max(hi, b.Due, b.Answered)
	}
	s := newScale(t, 0, niceMax(hi), false)
	return chart{
		ID: "rate", Title: "Rate: asked and answered", YLabel: "requests per second",
		Desc: "Requests due and licenses obtained, per second of the run, by the time a request was due.",
		Series: []series{
			{"asked", "asked", s.path(t, func(b bucket) float64 { return b.Due })},
			{"one", "answered", s.path(t, func(b bucket) float64 { return b.Answered })},
		},
		X: s.xTicks(), Y: s.yTicks(digits3),
		Columns: []string{"Second", "Asked", "Answered"},
		Points:  s.points(t, func(b bucket) []string { return []string{digits3(b.Due), digits3(b.Answered)} }),
	}
}

// latencyChart shows latencies over time, on a logarithmic axis if they span orders of magnitude.
func latencyChart(t timeline) chart {
	lo, hi := math.Inf(1), 0.0
	for _, b := range t.Buckets {
		if b.P50 > 0 {
			lo = min(lo, float64(b.P50))
		}
		hi = max(hi, float64(b.P50), float64(b.P99), float64(b.Max))
	}
	c := chart{
		ID: "latency", Title: "Latency over time", YLabel: "latency from due time",
		Desc:    "Median, 99th percentile and largest latency of each second, counted from the time a request was due.",
		Columns: []string{"Second", "p50", "p99", "max"},
	}
	if hi == 0 {
		c.Note = "No request was answered: there is no latency to show."
		return c
	}
	s := newScale(t, 0, niceMax(hi), false)
	if hi/lo > logFrom {
		c.YLabel += ", logarithmic"
		s = newScale(t, math.Pow(10, math.Floor(math.Log10(lo))), math.Pow(10, math.Ceil(math.Log10(hi))), true)
	}
	line := func(of func(bucket) int64) string {
		return s.path(t, func(b bucket) float64 {
			if b.Max == 0 {
				return -1
			}
			return float64(of(b))
		})
	}
	c.Series = []series{
		{"one", "p50", line(func(b bucket) int64 { return b.P50 })},
		{"two", "p99", line(func(b bucket) int64 { return b.P99 })},
		{"three", "max", line(func(b bucket) int64 { return b.Max })},
	}
	c.X, c.Y = s.xTicks(), s.yTicks(micros)
	c.Points = s.points(t, func(b bucket) []string {
		return []string{micros(float64(b.P50)), micros(float64(b.P99)), micros(float64(b.Max))}
	})
	return c
}

// failureChart stacks wrong answers on failed requests.
func failureChart(t timeline) chart {
	hi := 0.0
	for _, b := range t.Buckets {
		hi = max(hi, b.Bad+b.Wrong)
	}
	c := chart{
		ID: "failures", Title: "Failures per second", YLabel: "requests per second",
		Desc:    "Failed requests and wrong licenses per second of the run; of a position that stands for several seconds, the worst.",
		Columns: []string{"Second", "Failed", "Wrong"},
	}
	if hi == 0 {
		c.Note = "No request failed and no license was wrong, in any second."
		return c
	}
	s := newScale(t, 0, niceMax(hi), false)
	c.Series = []series{{Class: "bad", Label: "failed"}, {Class: "three", Label: "wrong license"}}
	gap := min(1.5, s.width*0.15)
	for _, b := range t.Buckets {
		c.Bars = append(c.Bars, s.bar("bad", b, 0, b.Bad, gap)...)
		c.Bars = append(c.Bars, s.bar("three", b, b.Bad, b.Bad+b.Wrong, gap)...)
	}
	c.X, c.Y = s.xTicks(), s.yTicks(digits3)
	c.Points = s.points(t, func(b bucket) []string { return []string{digits3(b.Bad), digits3(b.Wrong)} })
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
