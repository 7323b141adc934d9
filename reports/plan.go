package reports

import (
	"fmt"
	"strings"
)

// text tells one stage: from 50/s to 500/s for 30 s = 8 250 requests.
func (s Stage) text() string {
	rate := digits3(s.FromPerSec) + "/s"
	if s.FromPerSec != s.ToPerSec {
		rate = "from " + rate + " to " + digits3(s.ToPerSec) + "/s"
	}
	return fmt.Sprintf("%s for %s = %s", rate, micros(float64(s.DurationMS)*1000), plural(int(s.Requests), "request", "requests"))
}

// stageTexts tells the stages of a plan whose rate changes, none of another.
func (p Plan) stageTexts() []string {
	texts := make([]string, len(p.Stages))
	for i, s := range p.Stages {
		texts[i] = s.text()
	}
	return texts
}

// rateText is the plan's rate, or its mean and peak.
func (p Plan) rateText() string {
	text := digits3(p.RatePerSec) + "/s"
	if p.PeakPerSec > 0 {
		text = fmt.Sprintf("mean %s, peak %s/s", text, digits3(p.PeakPerSec))
	}
	return text
}

// text says what became of the warm-up.
func (w *WarmUp) text() string {
	if w == nil {
		return ""
	}
	return fmt.Sprintf("the first %s = %s planned, %s sent, %s answered, %s failed, %s wrong; verified like all others, but not measured",
		micros(float64(w.DurationMS)*1000), plural(int(w.Planned), "request", "requests"), count(w.Sent), count(w.Answered), count(total(w.Failed)), count(w.Wrong))
}

func planFacts(l *Load) []fact {
	p := l.Plan
	return known(
		fact{"Shape", p.Shape},
		fact{"Rate", p.rateText()},
		fact{"Duration", micros(float64(p.DurationMS) * 1000)},
		fact{"Requests", count(p.Requests)},
		fact{"Verify", p.Verify},
		fact{"Connections", p.connections()},
		fact{"Key requests", p.KeyRequests.String()},
		fact{"Stages", strings.Join(p.stageTexts(), "; ")},
		fact{"Warm-up", l.WarmUp.text()},
	)
}

// connections tells how many there were, and whether they were kept open.
func (p Plan) connections() string {
	if p.NewConnections {
		return "a new one for each request, " + count(p.Workers) + " requests in flight at most; latency includes opening it"
	}
	return count(p.Workers) + ", kept open; as many requests in flight at most"
}

// balances returns the equations of the accounting, and that of warm-up and operations if there was a warm-up.
func (l *Load) balances() []balance {
	bs := l.Accounting.balances()
	if l.WarmUp == nil {
		return bs
	}
	var measured int64
	for _, op := range l.Operations {
		measured += op.Sent
	}
	parts := []part{{"in the warm-up", l.WarmUp.Sent}, {"measured", measured}}
	return append(bs, newBalance("sent", l.Accounting.Sent, l.Accounting.withFlying(parts)...))
}
