package loadtest

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// MaxRatePerSecond bounds a [Rate]: a single generator is far from it, and the arithmetic of a plan is exact below it.
const MaxRatePerSecond = 1_000_000

// maxPer bounds the interval of a rate, maxDigits the digits of its number before and after the decimal point.
const (
	maxPer          = 1000 * time.Hour
	maxWholeDigits  = 9
	maxFractionDigs = 6
)

// Rate is a number of requests per interval. It is kept as the two integers that were asked for, because the due times
// of a run must not drift and 333.3/s has no exact float.
type Rate struct {
	Freq int64         // requests ...
	Per  time.Duration // ... in this time
}

// RateError says why a text is not a rate.
type RateError struct {
	Text    string
	Problem string
	Hint    string
}

// Error returns text, problem and hint in one line.
func (e *RateError) Error() string {
	return fmt.Sprintf("rate %q: %s; %s", e.Text, e.Problem, e.Hint)
}

const rateHint = `write requests per time, such as "200/s", "12000/m", "0.5/s" or "3/100ms"`

// ParseRate reads a rate: a decimal number, a slash, and s, m, h or a duration such as 100ms. Any error is a *[RateError].
func ParseRate(s string) (Rate, error) {
	r, err := readRate(s)
	if err != nil {
		return Rate{}, err
	}
	if r.Freq == 0 {
		return Rate{}, &RateError{s, "it asks for no requests", rateHint}
	}
	return r, nil
}

// readRate is ParseRate, but takes a rate of zero: a stage may begin or end with it.
func readRate(s string) (Rate, error) {
	number, unit, found := strings.Cut(strings.TrimSpace(s), "/")
	if !found {
		hint := rateHint
		if _, _, err := parseDecimal(number); err == nil {
			hint = fmt.Sprintf("did you mean %q?", number+"/s")
		}
		return Rate{}, &RateError{s, "it has no time unit", hint}
	}
	freq, scale, err := parseDecimal(strings.TrimSpace(number))
	if err != nil {
		return Rate{}, &RateError{s, err.Error(), rateHint}
	}
	per, err := parsePer(strings.TrimSpace(unit))
	if err != nil {
		return Rate{}, &RateError{s, err.Error(), rateHint}
	}
	if freq == 0 {
		return Rate{Per: time.Second}, nil // there is one way to ask for nothing
	}
	if per > maxPer/time.Duration(scale) {
		return Rate{}, &RateError{s, "it is too slow to be exact", "use fewer decimal places or a shorter time"}
	}
	r := Rate{Freq: freq, Per: per * time.Duration(scale)}
	if problem := r.problem(); problem != "" {
		return Rate{}, &RateError{s, problem, rateHint}
	}
	return r, nil
}

// parseDecimal returns the digits of a decimal number without its point, and the power of ten they were scaled by.
func parseDecimal(s string) (digits, scale int64, err error) {
	whole, fraction, point := strings.Cut(s, ".")
	if whole == "" || point && fraction == "" {
		return 0, 0, fmt.Errorf("%q is not a decimal number", s)
	}
	for _, c := range whole + fraction {
		if c < '0' || c > '9' {
			return 0, 0, fmt.Errorf("%q is not a decimal number", s)
		}
	}
	fraction = strings.TrimRight(fraction, "0")
	if len(whole) > maxWholeDigits || len(fraction) > maxFractionDigs {
		return 0, 0, fmt.Errorf("%q has too many digits, at most %d before the point and %d after it", s, maxWholeDigits, maxFractionDigs)
	}
	digits, err = strconv.ParseInt(whole+fraction, 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("%q is not a decimal number", s)
	}
	scale = 1
	for range fraction {
		scale *= 10
	}
	return digits, scale, nil
}

func parsePer(s string) (time.Duration, error) {
	switch s {
	case "s":
		return time.Second, nil
	case "m":
		return time.Minute, nil
	case "h":
		return time.Hour, nil
	}
	per, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a time", s)
	}
	if per <= 0 || per > maxPer {
		return 0, fmt.Errorf("the time %q is out of range", s)
	}
	return per, nil
}

func (r Rate) problem() string {
	switch {
	case r.Freq < 0:
		return "it is negative"
	case r.Per <= 0 || r.Per > maxPer:
		return "its time is out of range"
	case r.Freq > math.MaxInt64/int64(time.Second):
		return "it asks for too many requests"
	case r.PerSecond() > MaxRatePerSecond:
		return fmt.Sprintf("it is above %d per second", MaxRatePerSecond)
	}
	return ""
}

// PerSecond returns the rate in requests per second.
func (r Rate) PerSecond() float64 { return float64(r.Freq) / r.Per.Seconds() }

// String returns the rate in the form that [ParseRate] reads, without loss.
func (r Rate) String() string {
	for _, unit := range []struct {
		name string
		per  time.Duration
	}{{"s", time.Second}, {"m", time.Minute}, {"h", time.Hour}} {
		if number, ok := scaled(r.Freq, r.Per, unit.per); ok {
			return number + "/" + unit.name
		}
	}
	return fmt.Sprintf("%d/%s", r.Freq, r.Per)
}

// scaled returns freq as a decimal number of requests per unit, if per is the unit times a power of ten.
func scaled(freq int64, per, unit time.Duration) (string, bool) {
	for places := 0; places <= maxFractionDigs && per >= unit; places++ {
		if per == unit {
			return decimal(freq, places), true
		}
		unit *= 10
	}
	return "", false
}

func decimal(digits int64, places int) string {
	s := strconv.FormatInt(digits, 10)
	if places == 0 {
		return s
	}
	if missing := places + 1 - len(s); missing > 0 {
		s = strings.Repeat("0", missing) + s
	}
	return s[:len(s)-places] + "." + s[len(s)-places:]
}

// MarshalText returns [Rate.String].
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what [ParseRate] reads.
func (r *Rate) UnmarshalText(b []byte) error {
	parsed, err := ParseRate(string(b))
	if err != nil {
		return err
	}
	*r = parsed
	return nil
}
