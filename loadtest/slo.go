package loadtest

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"keyflow/reports"
)

// The metrics of objectives other than the percentiles p50, p99.9 and so on.
const (
	metricMean   = "mean"
	metricMax    = "max"
	metricErrors = "errors" // failed and wrong: a fast wrong answer is an error
	metricWrong  = "wrong"
	metricRate   = "rate"
)

// The units in which an objective's value is compared.
const (
	unitMicros  = "µs"
	unitCount   = "count"
	unitPercent = "%"
	unitRate    = "/s"
)

// SLO is one service level objective over a whole run, such as p99<250ms. Make it with [ParseSLO].
type SLO struct {
	metric     string
	percentile float64 // of latency, for metric p…; 0 for others
	op         string
	value      float64
	unit       string
	text       string
}

// SLOError says why a text is not an objective.
type SLOError struct {
	Text    string
	Problem string
}

// Error returns text, problem and the valid metrics in one line.
func (e *SLOError) Error() string {
	return fmt.Sprintf("SLO %q: %s; write a metric (%s), one of %s, and a value, such as %s",
		e.Text, e.Problem, strings.Join(SLOMetrics(), ", "), strings.Join(operators(), " "),
		`"p99<250ms", "errors<0.1%", "wrong==0", "rate>=95%" or "rate>=190/s"`)
}

// SLOMetrics returns the metrics that an objective may name.
func SLOMetrics() []string {
	return []string{"p50", "p90", "p95", "p99", "p99.9 or any other percentile of latency", metricMean, metricMax, metricErrors, metricWrong, metricRate}
}

// operators returns the comparisons, longer ones first, so that the first that matches is the right one.
func operators() []string { return []string{"<=", ">=", "==", "<", ">"} }

// ParseSLO reads an objective. Latencies take a duration, errors and wrong a count or a percentage of what was sent,
// rate a percentage of what was asked or a rate. Any error is a *[SLOError].
func ParseSLO(text string) (SLO, error) {
	s := SLO{text: strings.TrimSpace(text)}
	at := strings.IndexAny(s.text, "<>=")
	if at < 0 {
		return SLO{}, &SLOError{text, "it has no comparison"}
	}
	s.metric = strings.TrimSpace(s.text[:at])
	rest := s.text[at:]
	for _, op := range operators() {
		if value, ok := strings.CutPrefix(rest, op); ok {
			s.op, rest = op, strings.TrimSpace(value)
			break
		}
	}
	if s.op == "" {
		return SLO{}, &SLOError{text, fmt.Sprintf("%q is not a comparison", rest)}
	}
	if problem := s.parseValue(rest); problem != "" {
		return SLO{}, &SLOError{text, problem}
	}
	return s, nil
}

// parseValue reads the value in a unit that the metric has. It returns what is wrong, or "".
func (s *SLO) parseValue(v string) (problem string) {
	switch s.metric {
	case metricErrors, metricWrong:
		if !s.percent(v) && !s.count(v) {
			return fmt.Sprintf("%q is neither a count nor a percentage", v)
		}
	case metricRate:
		if !s.percent(v) && !s.rate(v) {
			return fmt.Sprintf("%q is neither a percentage nor a rate", v)
		}
	case metricMean, metricMax:
		return s.duration(v)
	default:
		number, isPercentile := strings.CutPrefix(s.metric, "p")
		digits, scale, err := parseDecimal(number)
		if !isPercentile || err != nil {
			return fmt.Sprintf("there is no metric %q", s.metric)
		}
		if s.percentile = float64(digits) / float64(scale); s.percentile <= 0 || s.percentile >= 100 {
			return fmt.Sprintf("percentile %q is not between 0 and 100", s.metric)
		}
		return s.duration(v)
	}
	return ""
}

func (s *SLO) duration(v string) (problem string) {
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 {
		return fmt.Sprintf("%q is not a duration with its unit", v)
	}
	s.unit, s.value = unitMicros, float64(d)/float64(time.Microsecond)
	return ""
}

func (s *SLO) percent(v string) bool {
	number, ok := strings.CutSuffix(v, "%")
	digits, scale, err := parseDecimal(strings.TrimSpace(number))
	if !ok || err != nil {
		return false
	}
	s.unit, s.value = unitPercent, float64(digits)/float64(scale)
	return true
}

func (s *SLO) count(v string) bool {
	n, err := strconv.ParseUint(v, 10, 53)
	s.unit, s.value = unitCount, float64(n)
	return err == nil
}

func (s *SLO) rate(v string) bool {
	r, err := ParseRate(v)
	if err != nil {
		return false
	}
	s.unit, s.value = unitRate, r.PerSecond()
	return true
}

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

// implied returns the objectives that hold unless one names the same metric.
func implied() []SLO {
	return []SLO{
		{metric: metricWrong, op: "==", unit: unitCount, text: "wrong==0"},
		{metric: metricErrors, op: "==", unit: unitCount, text: "errors==0"},
	}
}

// Evaluate judges the objectives, and the implied ones wrong==0 and errors==0 unless one names the metric, over all
// operations of a result. Percentiles come from the merged histograms. A latency objective is missed where nothing was
// answered. An error means that the result's histograms cannot be read.
func Evaluate(slos []SLO, load *reports.Load) ([]reports.SLO, error) {
	latency, err := mergeLatencies(load.Operations)
	if err != nil {
		return nil, fmt.Errorf("evaluate SLOs: %w", err)
	}
	named := map[string]bool{}
	var results []reports.SLO
	for _, s := range slos {
		named[s.metric] = true
		results = append(results, s.judge(load, latency))
	}
	for _, s := range implied() {
		if !named[s.metric] {
			result := s.judge(load, latency)
			result.Implied = true
			results = append(results, result)
		}
	}
	return results, nil
}

func (s SLO) judge(load *reports.Load, latency *hdr.Histogram) reports.SLO {
	if s.unit == unitMicros && latency.TotalCount() == 0 {
		return reports.SLO{Expression: s.text, Seen: "no answer"}
	}
	value := s.measure(load, latency)
	return reports.SLO{Expression: s.text, Kept: s.compare(value), Seen: s.format(value)}
}

// measure returns the metric's value in the objective's unit.
func (s SLO) measure(load *reports.Load, latency *hdr.Histogram) float64 {
	a := load.Accounting
	switch s.metric {
	case metricWrong:
		return s.share(a.Wrong, a.Sent)
	case metricErrors:
		return s.share(tally(a.Failed).sum()+a.Wrong, a.Sent)
	case metricRate:
		if s.unit == unitPercent {
			return load.Rate.Percent
		}
		return load.Rate.AchievedPerSec
	case metricMean:
		return latency.Mean()
	case metricMax:
		return float64(latency.Max())
	default:
		return float64(latency.ValueAtPercentile(s.percentile))
	}
}

func (s SLO) share(n, of int64) float64 {
	if s.unit == unitCount {
		return float64(n)
	}
	return 100 * float64(n) / math.Max(float64(of), 1)
}

func (s SLO) compare(v float64) bool {
	switch s.op {
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
