package loadtest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"keyflow/drm"
	"keyflow/drm/nearest"
)

// SLOError says why a text is not an objective.
type SLOError struct {
	Text    string
	Problem string
}

// Error returns text, problem and the valid metrics in one line.
func (e *SLOError) Error() string {
	return fmt.Sprintf("SLO %q: %s; write a metric (%s), one of %s, and a value, such as %s; before the metric may stand %s, behind the value %s",
		e.Text, e.Problem, strings.Join(SLOMetrics(), ", "), strings.Join(operators(), " "),
		`"p99<250ms", "errors<0.1%", "wrong==0", "rate>=95%" or "rate>=190/s"`,
		`an operation or a share ("license.p99<250ms")`, `"each 10s" for windows`)
}

// SLOMetrics returns the metrics that an objective may name.
func SLOMetrics() []string {
	return []string{
		"p50", "p90", "p95", "p99", "p99.9 or any other percentile of latency", metricMean, metricMax,
		timeService + ".p99", timeLag + ".p99", metricErrors, metricErrors + ".CLASS", metricWrong, metricRate,
	}
}

func kinds() []string {
	return []string{
		string(drm.KindLicense), string(drm.KindCertificate), string(drm.KindRenewal), string(drm.KindRelease), string(drm.KindAcknowledgement),
		OperationName(drm.KindLicense, true),
	}
}

// ParseSLO reads an objective: a metric, a comparison and a value, such as p99<250ms. Latencies take a duration, errors and
// wrong a count or a percentage of what was sent, rate a percentage of what was asked or a rate.
//
//   - Before the metric may stand a share of a mix and an operation: license.p99, plain-widevine.errors, widevine.license.p99.
//   - Percentiles, mean and max are of latencies, or of what stands right before them: service.p99, license.lag.max.
//   - errors may be those of one class: errors.http-503.
//   - Behind the value may stand each and a time of whole seconds: the objective must be kept over the whole run and in each
//     window of that length too (p99<250ms each 10s).
//
// Any error is a *[SLOError].
func ParseSLO(text string) (SLO, error) {
	s := SLO{text: strings.TrimSpace(text)}
	problem := s.parse()
	if problem != "" {
		return SLO{}, &SLOError{text, problem}
	}
	return s, nil
}

func (s *SLO) parse() (problem string) {
	at := strings.IndexAny(s.text, "<>=")
	if at < 0 {
		return "it has no comparison"
	}
	if problem = s.parseMetric(strings.TrimSpace(s.text[:at])); problem != "" {
		return problem
	}
	rest := s.text[at:]
	for _, op := range operators() {
		if value, ok := strings.CutPrefix(rest, op); ok {
			s.operator, rest = op, strings.TrimSpace(value)
			break
		}
	}
	if s.operator == "" {
		return fmt.Sprintf("%q is not a comparison", rest)
	}
	value, window, windows := strings.Cut(rest, " each ")
	if problem = s.parseValue(strings.TrimSpace(value)); problem != "" || !windows {
		return problem
	}
	return s.parseWindow(strings.TrimSpace(window))
}

// parseMetric reads [SHARE.][OPERATION.][service.|lag.]METRIC[.CLASS].
func (s *SLO) parseMetric(text string) (problem string) {
	words := strings.Split(text, ".")
	at := slices.IndexFunc(words, isMetric)
	if at < 0 {
		return fmt.Sprintf("there is no metric %q", words[len(words)-1])
	}
	before, behind := words[:at], words[at+1:]
	s.metric = words[at]
	if digits, ok := strings.CutPrefix(s.metric, metricPercentile); ok {
		if problem = s.parsePercentile(strings.Join(append([]string{digits}, behind...), ".")); problem != "" {
			return problem
		}
		behind = nil
	}
	if n := len(before); n > 0 && (before[n-1] == timeService || before[n-1] == timeLag) {
		s.time, before = before[n-1], before[:n-1]
	}
	if n := len(before); n > 0 && slices.Contains(kinds(), before[n-1]) {
		s.kind, before = drm.Kind(before[n-1]), before[:n-1]
	}
	s.share = strings.Join(before, ".")
	if slices.Contains(before, "") {
		return fmt.Sprintf("%q has a point without a name", text)
	}
	return s.parseClass(strings.Join(behind, "."), len(behind) > 0)
}

// isMetric reports whether a word of those between points is a metric: p and a digit begin a percentile.
func isMetric(word string) bool {
	switch word {
	case metricMean, metricMax, metricErrors, metricWrong, metricRate:
		return true
	}
	digits, ok := strings.CutPrefix(word, metricPercentile)
	_, err := strconv.ParseUint(digits, 10, 32)
	return ok && err == nil
}

func (s *SLO) parsePercentile(number string) (problem string) {
	digits, scale, err := parseDecimal(number)
	if err != nil {
		return fmt.Sprintf("there is no metric %q", metricPercentile+number)
	}
	if s.percentile = float64(digits) / float64(scale); s.percentile <= 0 || s.percentile >= 100 {
		return fmt.Sprintf("percentile %q is not between 0 and 100", metricPercentile+number)
	}
	s.metric = metricPercentile
	return ""
}

// parseClass reads the class of errors; present says that something stands behind the metric. It refuses what the metric
// does not have.
func (s *SLO) parseClass(class string, present bool) (problem string) {
	counts := s.metric == metricErrors || s.metric == metricWrong || s.metric == metricRate
	switch {
	case counts && s.time != timeLatency:
		return fmt.Sprintf("%s is no %s", s.metric, map[string]string{timeService: "service time", timeLag: "lag"}[s.time])
	case s.metric == metricRate && s.selective():
		return "rate is that of all requests together"
	case !present:
		return ""
	case s.metric != metricErrors:
		return fmt.Sprintf("%s has no %q", s.metric, class)
	case !isClass(class):
		return fmt.Sprintf("unknown class of errors %q: %s", class, nearest.Hint(class, append(Classes(), "http-503")))
	}
	s.class = class
	return ""
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
	default:
		return s.duration(v)
	}
	return ""
}

func (s *SLO) parseWindow(v string) (problem string) {
	d, err := time.ParseDuration(v)
	switch {
	case err != nil:
		return fmt.Sprintf("%q is not a duration with its unit", v)
	case d < time.Second || d > MaxDuration || d%time.Second != 0:
		return fmt.Sprintf("windows of %s are not whole seconds from 1s to %s", v, MaxDuration)
	case s.metric == metricRate:
		return "rate has no windows: a window's requests are those that were due in it, whenever they were sent"
	case s.time != timeLatency:
		return fmt.Sprintf("%s has no windows", s.time)
	case s.share != "":
		return "a share has no windows"
	case s.class != "":
		return "a class of errors has no windows"
	}
	s.window = d
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
