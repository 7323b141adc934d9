package loadtest_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"keyflow/loadtest"
)

func TestParseRate(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]loadtest.Rate{
		"200/s":      {Freq: 200, Per: time.Second},
		" 200 / s ":  {Freq: 200, Per: time.Second},
		"12000/m":    {Freq: 12000, Per: time.Minute},
		"1/h":        {Freq: 1, Per: time.Hour},
		"0.5/s":      {Freq: 5, Per: 10 * time.Second},
		"333.3/s":    {Freq: 3333, Per: 10 * time.Second},
		"2.50/s":     {Freq: 25, Per: 10 * time.Second},
		"7.0/s":      {Freq: 7, Per: time.Second},
		"3/100ms":    {Freq: 3, Per: 100 * time.Millisecond},
		"0.001/s":    {Freq: 1, Per: 1000 * time.Second},
		"1000000/s":  {Freq: 1000000, Per: time.Second},
		"1/7s":       {Freq: 1, Per: 7 * time.Second},
		"0.000001/s": {Freq: 1, Per: 1000000 * time.Second},
	} {
		got, err := loadtest.ParseRate(text)
		if err != nil || got != want {
			t.Errorf("ParseRate(%q) = %+v, %v; want %+v", text, got, err, want)
			continue
		}
		again, err := loadtest.ParseRate(got.String())
		if err != nil || again != got {
			t.Errorf("ParseRate(%q) = %+v, %v; want %+v back", got.String(), again, err, got)
		}
	}
}

func TestRateString(t *testing.T) {
	t.Parallel()
	for rate, want := range map[loadtest.Rate]string{
		{Freq: 3333, Per: 10 * time.Second}:     "333.3/s",
		{Freq: 5, Per: 1000 * time.Second}:      "0.005/s",
		{Freq: 12000, Per: time.Minute}:         "12000/m",
		{Freq: 3, Per: 100 * time.Millisecond}:  "3/100ms",
		{Freq: 2, Per: 7 * time.Second}:         "2/7s",
		{Freq: 1, Per: 1_000_000 * time.Second}: "0.000001/s",
		{Freq: 30, Per: 10 * time.Second}:       "3.0/s",
	} {
		if got := rate.String(); got != want {
			t.Errorf("%d per %s: got %q, want %q", rate.Freq, rate.Per, got, want)
		}
	}
}

func TestParseRateErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"200":           `did you mean "200/s"?`,
		"":              "no time unit",
		"fast":          "no time unit",
		"/s":            "not a decimal number",
		"-3/s":          "not a decimal number",
		"1e3/s":         "not a decimal number",
		"1./s":          "not a decimal number",
		".5/s":          "not a decimal number",
		"0/s":           "asks for no requests",
		"200/x":         `"x" is not a time`,
		"200/-1s":       "out of range",
		"200/0s":        "out of range",
		"2/2000h":       "out of range",
		"0.000001/h":    "too slow to be exact",
		"0.0000001/s":   "too many digits",
		"1234567890/s":  "too many digits",
		"1000001/s":     "above 1000000 per second",
		"999999999/1ns": "above 1000000 per second",
	} {
		_, err := loadtest.ParseRate(text)
		var typed *loadtest.RateError
		if !errors.As(err, &typed) {
			t.Errorf("ParseRate(%q): got %v, want a *RateError", text, err)
			continue
		}
		if !strings.Contains(err.Error(), want) || typed.Hint == "" || typed.Text != text {
			t.Errorf("ParseRate(%q): got %v, want %q and a hint", text, err, want)
		}
	}
}

func TestRateJSON(t *testing.T) {
	t.Parallel()
	plan := loadtest.Plan{Rate: loadtest.Rate{Freq: 3333, Per: 10 * time.Second}, Duration: time.Minute, Offset: 1, Stride: 3}
	text, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"rate":"333.3/s","duration_ns":60000000000,"offset":1,"stride":3}`; string(text) != want {
		t.Errorf("got %s, want %s", text, want)
	}
	var back loadtest.Plan
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back, plan) {
		t.Errorf("got %+v, %v; want %+v", back, err, plan)
	}
	if err := json.Unmarshal([]byte(`{"rate":"200"}`), &back); err == nil {
		t.Error("a rate without unit was accepted")
	}
}

func FuzzParseRate(f *testing.F) {
	for _, seed := range []string{"200/s", "0.5/s", "333.3/s", "12000/m", "3/100ms", "200", "/", "1/1000h", "0.000001/h", "999999999/999h"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rate, err := loadtest.ParseRate(text)
		if err != nil {
			var typed *loadtest.RateError
			if !errors.As(err, &typed) {
				t.Fatalf("%q: %T is not a *RateError", text, err)
			}
			return
		}
		again, err := loadtest.ParseRate(rate.String())
		if err != nil || again.PerSecond() != rate.PerSecond() {
			t.Fatalf("%q is %+v, its String %q is %+v, %v", text, rate, rate.String(), again, err)
		}
		plan := loadtest.Plan{Rate: rate, Duration: time.Hour}
		if err := plan.Validate(); err != nil {
			t.Fatalf("%q: a rate that parses makes an invalid plan: %v", text, err)
		}
		if n := plan.Total(); n < 1 || plan.Due(n-1) >= plan.Duration || plan.Due(n) < plan.Duration {
			t.Fatalf("%q: %d requests, the last is due at %s, the next at %s", text, n, plan.Due(n-1), plan.Due(n))
		}
	})
}
