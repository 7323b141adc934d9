package main

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"keyflow/loadtest"
	"keyflow/reports"
)

// planFlags are the flags that say which requests there are and when each is due.
type planFlags struct {
	rate     string
	duration time.Duration
	stages   string
	warmUp   time.Duration
	set      *pflag.FlagSet
}

const stagesHint = "for example --stages '50/s..500/s@30s,500/s@1m,2000/s@5s,500/s@1m'"

func (f *planFlags) register(s *pflag.FlagSet) {
	f.set = s
	s.StringVar(&f.rate, "rate", "50/s", "requests per time: `N/s`, N/m or N/h")
	s.DurationVar(&f.duration, "duration", 10*time.Second, "how long requests are sent")
	s.StringVar(&f.stages, "stages", "", "a rate that changes, in place of --rate and --duration: `STAGE,...` that follow each other, each RATE@TIME for a constant rate or RATE..RATE@TIME for a ramp; ramp '0/s..500/s@1m', steps '100/s@1m,200/s@1m', spike '100/s@1m,2000/s@5s,100/s@1m'")
	s.DurationVar(&f.warmUp, "warm-up", 0, "beginning of the plan that is sent, accounted for and verified like the rest, but is no part of rates, percentiles and objectives; only wrong answers count in it")
}

// plan reads the flags.
func (f *planFlags) plan() (loadtest.Plan, error) {
	if !f.set.Changed("stages") {
		return f.constant()
	}
	for _, name := range []string{"rate", "duration"} {
		if f.set.Changed(name) {
			return loadtest.Plan{}, usage(fmt.Errorf("--stages and --%s exclude each other: stages have their own", name), stagesHint)
		}
	}
	stages, err := loadtest.ParseStages(f.stages)
	if err != nil {
		return loadtest.Plan{}, usage(err, stagesHint)
	}
	p, err := loadtest.NewPlan(stages...)
	if err != nil {
		return p, usage(err, stagesHint)
	}
	return p, nil
}

func (f *planFlags) constant() (loadtest.Plan, error) {
	rate, err := loadtest.ParseRate(f.rate)
	if err != nil {
		return loadtest.Plan{}, usage(err, "for example --rate 200/s")
	}
	p := loadtest.Plan{Rate: rate, Duration: f.duration}
	if err := p.Validate(); err != nil {
		return p, usage(err, "for example --rate 200/s --duration 10s")
	}
	return p, nil
}

// objectives reads the flags of the objectives.
func objectives(texts []string) ([]loadtest.SLO, error) {
	var slos []loadtest.SLO
	for _, text := range texts {
		slo, err := loadtest.ParseSLO(text)
		if err != nil {
			return nil, usage(err, "for example --slo 'p99<250ms'")
		}
		slos = append(slos, slo)
	}
	return slos, nil
}

// planLines tells the plan before the first request.
func planLines(c *loadtest.Config) []string {
	p := c.Plan
	what := fmt.Sprintf("%s for %v", p.Rate, p.Duration)
	if len(p.Stages) > 0 {
		what = fmt.Sprintf("%s for %v, mean %.4g/s, peak %.4g/s", p.Shape(), p.Duration, p.PerSecond(), p.Peak())
	}
	fresh := ""
	if c.KeyRequests.Source == reports.Fresh {
		fresh = "fresh "
	}
	lines := []string{fmt.Sprintf("%s = %d %skey requests", what, p.Total(), fresh)}
	var begin time.Duration
	for _, s := range p.Stages {
		n := p.Before(begin+s.Duration) - p.Before(begin)
		rate := s.From.String()
		if s.To != s.From {
			rate += " to " + s.To.String()
		}
		lines = append(lines, fmt.Sprintf("  stage %s for %v = %d requests", rate, s.Duration, n))
		begin += s.Duration
	}
	if c.WarmUp > 0 {
		lines = append(lines, fmt.Sprintf("  warm-up: the first %v = %d requests, sent and verified but not measured", c.WarmUp, p.Before(c.WarmUp)))
	}
	return lines
}
