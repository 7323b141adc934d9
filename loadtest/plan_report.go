package loadtest

import (
	"time"

	"keyflow/reports"
)

// planned tells the plan as a report has it.
func (c Config) planned() reports.Plan {
	p := reports.Plan{
		Shape: c.Plan.Shape(), RatePerSec: c.Plan.PerSecond(), DurationMS: c.Plan.Duration.Milliseconds(),
		Requests: c.Plan.Total(), Verify: c.Verify.String(), Workers: c.Workers, NewConnections: c.NewConnections, KeyRequests: c.KeyRequests,
	}
	if len(c.Plan.Stages) > 0 {
		p.PeakPerSec = c.Plan.Peak()
	}
	var begin time.Duration
	part := float64(c.Plan.stride())
	for _, s := range c.Plan.Stages {
		p.Stages = append(p.Stages, reports.Stage{
			FromPerSec: s.From.PerSecond() / part, ToPerSec: s.To.PerSecond() / part, DurationMS: s.Duration.Milliseconds(),
			Requests: c.Plan.Before(begin+s.Duration) - c.Plan.Before(begin),
		})
		begin += s.Duration
	}
	return p
}
