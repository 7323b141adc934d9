package loadtest

import (
	"fmt"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"keyflow/drm"
	"keyflow/reports"
)

// What an objective saw that could not be measured: it is missed.
const (
	seenNoAnswer  = "no answer"
	seenNoRequest = "no request"
)

// Evaluate judges the objectives, and the implied ones wrong==0 and errors==0 unless one over all requests names the
// metric. Percentiles come from the merged histograms. An objective is missed where nothing was sent, or answered, that it
// speaks of. An error means that the result's histograms cannot be read.
func Evaluate(slos []SLO, load *reports.Load) ([]reports.SLO, error) {
	named := map[string]bool{}
	var results []reports.SLO
	for _, s := range slos {
		if !s.selective() && s.class == "" {
			named[s.metric] = true
		}
		result, err := s.judge(load)
		if err != nil {
			return nil, err
		}
		results = append(results, result)
	}
	for _, s := range implied() {
		if named[s.metric] {
			continue
		}
		result, err := s.judge(load)
		if err != nil {
			return nil, err
		}
		result.Implied = true
		results = append(results, result)
	}
	return results, nil
}

func (s SLO) judge(load *reports.Load) (reports.SLO, error) {
	result := reports.SLO{Expression: s.text}
	value, missing, err := s.measure(load)
	if err != nil {
		return result, fmt.Errorf("evaluate SLO %s: %w", s.text, err)
	}
	if result.Seen = missing; missing == "" {
		result.Seen, result.Kept = s.format(value), s.compare(value)
	}
	if s.window == 0 {
		return result, nil
	}
	if result.Windows, err = s.windows(load); err != nil {
		return result, fmt.Errorf("evaluate SLO %s: %w", s.text, err)
	}
	result.Kept = result.Kept && result.Windows.Judged > 0 && result.Windows.Missed == 0
	return result, nil
}

// measure returns the metric's value over the whole run in the objective's unit, or what is missing to have one.
func (s SLO) measure(load *reports.Load) (value float64, missing string, err error) {
	switch {
	case s.timed():
		return s.measureTimes(s.operations(load))
	case s.metric == metricRate:
		if load.WarmUp != nil && load.WarmUp.Sent == load.Accounting.Sent {
			return 0, seenNoRequest, nil
		}
		if s.unit == unitPercent {
			return load.Rate.Percent, "", nil
		}
		return load.Rate.AchievedPerSec, "", nil
	}
	c := s.counts(load)
	if c.sent == 0 && c.wrong == 0 && s.selective() {
		return 0, seenNoRequest, nil
	}
	return s.bad(c), "", nil
}

// bad returns failed and wrong requests, or the wrong ones only, in the objective's unit.
func (s SLO) bad(c sloCounts) float64 {
	switch {
	case s.metric == metricWrong:
		return s.part(c.wrong, c.sent)
	case s.class != "":
		return s.part(c.failed, c.sent)
	default:
		return s.part(c.failed+c.wrong, c.sent)
	}
}

// sloCounts are the requests that an objective speaks of: sent and failed behind the warm-up, wrong wherever.
type sloCounts struct{ sent, failed, wrong int64 }

func (s SLO) counts(load *reports.Load) sloCounts {
	if !s.selective() {
		a, w := load.Accounting, load.WarmUp
		c := sloCounts{a.Sent, s.failed(a.Failed), a.Wrong}
		if w != nil {
			c.sent -= w.Sent
			c.failed -= s.failed(w.Failed)
		}
		return c
	}
	var c sloCounts
	for _, op := range s.operations(load) {
		c.sent += op.Sent
		c.failed += s.failed(op.Failed)
		c.wrong += op.Wrong
	}
	return c
}

// failed returns how many of the failed requests are of the objective's class.
func (s SLO) failed(by map[string]int64) int64 {
	if s.class != "" {
		return by[s.class]
	}
	return tally(by).sum()
}

// operations returns the operations that the objective speaks of.
func (s SLO) operations(load *reports.Load) []reports.Operation {
	from := load.Operations
	if s.share != "" {
		from = nil
		for _, share := range load.Shares {
			if s.share == share.Profile || s.share == share.System {
				from = append(from, share.Operations...)
			}
		}
	}
	var chosen []reports.Operation
	for _, op := range from {
		if s.speaksOf(op.Name, op.Bad) {
			chosen = append(chosen, op)
		}
	}
	return chosen
}

// speaksOf reports whether the objective speaks of an operation. One of times does so of bad requests only if it names them: their
// refusals may be quick.
func (s SLO) speaksOf(operation string, bad bool) bool {
	if s.kind != "" {
		return s.kind == drm.Kind(operation)
	}
	return !bad || !s.timed()
}

func (s SLO) measureTimes(ops []reports.Operation) (value float64, missing string, err error) {
	var parts []string
	for _, op := range ops {
		parts = append(parts, s.timesOf(op).Histogram)
	}
	all, err := merge(parts)
	if err != nil {
		return 0, "", err
	}
	if all.TotalCount() == 0 {
		return 0, seenNoAnswer, nil
	}
	return s.statistic(all), "", nil
}

// statistic returns the metric of times, in microseconds.
func (s SLO) statistic(h *hdr.Histogram) float64 {
	switch s.metric {
	case metricMean:
		return h.Mean()
	case metricMax:
		return float64(h.Max())
	default:
		return float64(h.ValueAtPercentile(s.percentile))
	}
}
