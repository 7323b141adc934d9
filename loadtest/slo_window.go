package loadtest

import (
	"fmt"
	"time"

	"keyflow/reports"
)

// The windows of an objective follow each other without a gap. The first begins with the first whole second behind the
// warm-up; a request belongs to the window in which it was due. The last is judged if it has at least half of its seconds
// before the run ended. A window in which nothing was sent that the objective speaks of is not judged; one in which nothing
// was answered misses objectives of latency.

// windows judges the objective in each window.
func (s SLO) windows(load *reports.Load) (*reports.SLOWindows, error) {
	length := int(s.window / time.Second)
	result := &reports.SLOWindows{Seconds: length}
	var worst float64
	for _, w := range cut(load, length) {
		value, missing, err := s.measureWindow(w)
		if err != nil {
			return nil, err
		}
		if missing == seenNoRequest {
			continue
		}
		result.Judged++
		seen := reports.SLOWindow{At: w[0].At, Seconds: len(w), Seen: missing}
		if missing == "" {
			seen.Seen = s.format(value)
		}
		if missing != "" || !s.compare(value) {
			result.Missed++
		}
		switch {
		case result.Worst == nil:
		case result.Worst.Seen == seenNoAnswer || missing == "" && !s.worse(value, worst):
			continue
		}
		result.Worst, worst = &seen, value
	}
	return result, nil
}

// firstSecond returns the first whole second behind a warm-up.
func firstSecond(warmUp time.Duration) int { return int((warmUp + time.Second - 1) / time.Second) }

// cut divides the seconds of a run behind its warm-up into windows.
func cut(load *reports.Load, length int) [][]reports.Second {
	from := 0
	if load.WarmUp != nil {
		from = firstSecond(time.Duration(load.WarmUp.DurationMS) * time.Millisecond)
	}
	var windows [][]reports.Second
	number, last := -1, 0
	for _, second := range load.Seconds {
		if second.At < from {
			continue
		}
		if n := (second.At - from) / length; n != number {
			windows, number = append(windows, nil), n
		}
		last = len(windows) - 1
		windows[last] = append(windows[last], second)
	}
	if len(windows) > 0 && 2*len(windows[last]) < length {
		windows = windows[:last]
	}
	return windows
}

// measureWindow returns the metric's value in a window, or what is missing to have one.
func (s SLO) measureWindow(window []reports.Second) (value float64, missing string, err error) {
	var c sloCounts
	var times []string
	for _, second := range window {
		for _, op := range second.Operations {
			if !s.speaksOf(op.Name, op.Bad) {
				continue
			}
			c.sent += op.Sent
			c.failed += op.Failed
			c.wrong += op.Wrong
			if len(second.Operations) == 1 && !op.Bad {
				op.Histogram = second.Histogram
			}
			times = append(times, op.Histogram)
		}
	}
	if c.sent == 0 {
		return 0, seenNoRequest, nil
	}
	if !s.timed() {
		return s.bad(c), "", nil
	}
	all, err := merge(times)
	if err != nil {
		return 0, "", fmt.Errorf("second %d and those behind it: %w", window[0].At, err)
	}
	if all.TotalCount() == 0 {
		return 0, seenNoAnswer, nil
	}
	return s.statistic(all), "", nil
}
