package loadtest

import (
	"math"
	"strconv"
	"time"

	"keyflow/drm"
	"keyflow/reports"
)

// The metrics of objectives other than the percentiles p50, p99.9 and so on.
const (
	metricPercentile = "p"
	metricMean       = "mean"
	metricMax        = "max"
	metricErrors     = "errors" // failed and wrong: a fast wrong answer is an error
	metricWrong      = "wrong"
	metricRate       = "rate"
)

// The times that percentiles, mean and max are of.
const (
	timeLatency = ""        // from the time at which a request was due
	timeService = "service" // from the time at which it was sent
	timeLag     = "lag"     // between the two
)

// The units in which an objective's value is compared.
const (
	unitMicros  = "µs"
	unitCount   = "count"
	unitPercent = "%"
	unitRate    = "/s"
)

// SLO is one service level objective, such as p99<250ms, over a whole run, and in each of its windows if it asks for it. It
// speaks of all requests, or of those of an operation or of a share of a mix. Make it with [ParseSLO].
//
// The warm-up is no part of it, but for wrong answers, which count wherever they come. Percentages of errors and wrong
// answers are of the requests sent behind the warm-up.
type SLO struct {
	share      string   // profile or system, as in the report; "": all
	kind       drm.Kind // "": all
	time       string   // of which the metric is
	metric     string
	percentile float64
	class      string // of errors; "": all, and wrong answers
	operator   string
	value      float64
	unit       string
	window     time.Duration // 0: over the whole run only
	text       string
}

// operators returns the comparisons, longer ones first, so that the first that matches is the right one.
func operators() []string { return []string{"<=", ">=", "==", "<", ">"} }

// String returns the objective as it was written.
func (s SLO) String() string { return s.text }

// MarshalText returns [SLO.String].
func (s SLO) MarshalText() ([]byte, error) { return []byte(s.text), nil }

// UnmarshalText reads what [ParseSLO] reads.
func (s *SLO) UnmarshalText(b []byte) error {
	parsed, err := ParseSLO(string(b))
	if err != nil {
		return err
	}
	*s = parsed
	return nil
}

// timed reports whether the metric is one of times, so that it needs an answer.
func (s SLO) timed() bool { return s.unit == unitMicros }

// selective reports whether the objective speaks of a part of the requests.
func (s SLO) selective() bool { return s.share != "" || s.kind != "" }

// implied returns the objectives that hold unless one over all requests names the same metric.
func implied() []SLO {
	return []SLO{
		{metric: metricWrong, operator: "==", unit: unitCount, text: "wrong==0"},
		{metric: metricErrors, operator: "==", unit: unitCount, text: "errors==0"},
	}
}

func (s SLO) compare(v float64) bool {
	switch s.operator {
	case "<":
		return v < s.value
	case "<=":
		return v <= s.value
	case ">":
		return v > s.value
	case ">=":
		return v >= s.value
	default:
		return v == s.value
	}
}

// worse reports whether a value is further on the wrong side than another.
func (s SLO) worse(v, than float64) bool {
	switch s.operator {
	case "<", "<=":
		return v > than
	case ">", ">=":
		return v < than
	default:
		return math.Abs(v-s.value) > math.Abs(than-s.value)
	}
}

// part returns a number in the objective's unit: itself, or as a percentage.
func (s SLO) part(n, of int64) float64 {
	if s.unit == unitCount {
		return float64(n)
	}
	return 100 * float64(n) / math.Max(float64(of), 1)
}

func (s SLO) format(v float64) string {
	switch s.unit {
	case unitMicros:
		return time.Duration(v * float64(time.Microsecond)).String()
	case unitCount:
		return strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 3, 64) + s.unit
	}
}

// timesOf returns the times of an operation that the metric is of.
func (s SLO) timesOf(op reports.Operation) reports.Percentiles {
	switch s.time {
	case timeService:
		return op.Service
	case timeLag:
		return op.Lag
	default:
		return op.Latency
	}
}
