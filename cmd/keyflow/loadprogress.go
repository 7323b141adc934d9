package main

import (
	"fmt"
	"io"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"keyflow/loadtest"
	"keyflow/reports"
)

// loadProgress shows a bar on a terminal and a line every few seconds elsewhere.
type loadProgress struct {
	w    io.Writer
	bars *mpb.Progress // nil where w is no terminal
	bar  *mpb.Bar
	last time.Duration // of the last line
	now  loadtest.Progress
}

func (a *app) loadProgress(json bool) *loadProgress {
	p := &loadProgress{w: a.out}
	if json {
		p.w = a.err
	}
	if isTerminal(p.w) {
		p.bars = mpb.New(mpb.WithOutput(p.w), mpb.WithWidth(40))
	}
	return p
}

// lineEvery is how often a pipe gets a line.
const lineEvery = 2 * time.Second

// start tells what is about to be sent, and shows the bar.
func (p *loadProgress) start(s *setting, streams []*stream, c *loadtest.Config, terms []string) {
	p.tell(s, streams, c, terms)
	if p.bars == nil {
		return
	}
	p.bar = p.bars.AddBar(c.Plan.Total(),
		mpb.PrependDecorators(decor.Any(func(decor.Statistics) string { return fmt.Sprintf("%-9s ", p.now.Phase) })),
		mpb.AppendDecorators(decor.CountersNoUnit("%d/%d"), decor.Any(func(decor.Statistics) string {
			return fmt.Sprintf("  failed %d  wrong %d", p.now.Failed, p.now.Wrong)
		})))
}

// tell tells what is about to be sent, and on which terms.
func (p *loadProgress) tell(s *setting, streams []*stream, c *loadtest.Config, terms []string) {
	if n := profilesOf(streams); n == 1 {
		fmt.Fprintf(p.w, "keyflow %s: load on %s\n", version(), streams[0].profile.Request.URL)
	} else {
		fmt.Fprintf(p.w, "keyflow %s: load on %d profiles\n", version(), n)
	}
	if len(streams) > 1 {
		for _, st := range streams {
			fmt.Fprintf(p.w, "  weight %d = %d requests: %s at %s\n", st.weight, st.planned, st.leaf(), st.profile.Request.URL)
		}
	}
	for _, st := range streams {
		if st.prepared > 0 {
			fmt.Fprintf(p.w, "  beside the plan %d licenses to renew: %s\n", st.prepared, st.leaf())
		}
	}
	lines := planLines(c)
	fmt.Fprintf(p.w, "%s, verify %s, seed %d\n", lines[0], c.Verify, s.seed)
	for _, line := range lines[1:] {
		fmt.Fprintln(p.w, line)
	}
	if c.KeyRequests.Source != reports.Fresh {
		fmt.Fprintf(p.w, "key requests: %s\n", c.KeyRequests)
	}
	for _, line := range terms {
		fmt.Fprintf(p.w, "  %s\n", line)
	}
	fmt.Fprintln(p.w)
}

func (p *loadProgress) update(now loadtest.Progress) {
	p.now = now
	if p.bar != nil {
		p.bar.SetCurrent(now.Answered + now.Failed)
		return
	}
	if now.Phase != loadtest.PhaseDone && now.Elapsed-p.last < lineEvery {
		return
	}
	p.last = now.Elapsed
	fmt.Fprintf(p.w, "%6.1fs %-9s sent %d/%d  answered %d  failed %d  judged %d  wrong %d\n",
		now.Elapsed.Seconds(), now.Phase, now.Sent, now.Planned, now.Answered, now.Failed, now.Judged, now.Wrong)
}

// stop leaves the bar as it is: a run that ended early shows how far it came.
func (p *loadProgress) stop() {
	if p.bar == nil {
		return
	}
	p.bar.Abort(false)
	p.bars.Wait()
}
