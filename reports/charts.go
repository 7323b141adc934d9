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
