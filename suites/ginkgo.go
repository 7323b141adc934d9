package suites

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/formatter"

	"keyflow/reports"
)

// Describe declares the plan in the caller's Ginkgo tree: a container for every target, in it an It for every selected
// check. Each It runs the check with the direct driver and tells Ginkgo the outcome. ctx is the run's: an It that starts
// after its end records nothing, which the recorder turns into "not run".
func Describe(ctx context.Context, p *Plan, r *Recorder) {
	for _, t := range p.Targets {
		ginkgo.Describe(t.Name(), func() {
			for _, c := range p.Of(t) {
				ginkgo.It(c.ID+" "+c.Title, ginkgo.Label(c.Labels(t.Profile.DRM)...), ginkgo.SpecTimeout(c.timeout()+2*gracePeriod), func(spec ginkgo.SpecContext) {
					runSpec(ctx, spec, c, t, r)
				})
			}
		})
	}
}

// Name is the target's identity: profile, variant and asset.
func (t *Target) Name() string {
	name := t.Profile.ID
	if t.Variant != "" {
		name += "/" + t.Variant
	}
	return name + " " + t.Asset.Name
}

func runSpec(run context.Context, spec ginkgo.SpecContext, c Check, t *Target, r *Recorder) {
	// The spec ends with Ginkgo's own interrupt, the run with the caller's; either stops the check.
	ctx, cancel := context.WithCancel(spec)
	defer cancel()
	defer context.AfterFunc(run, cancel)()
	if ctx.Err() != nil {
		ginkgo.Skip("interrupted")
	}
	result, log := Run(ctx, c, t)
	r.Record(result, log)
	switch result.Outcome {
	case reports.Fail, reports.Error:
		ginkgo.Fail(Message(result))
	case reports.Pass, reports.Warn, reports.Info:
	default:
		ginkgo.Skip(string(result.Outcome) + ": " + Message(result))
	}
}

// Message tells a result in one line: step, expected, seen, hint.
func Message(r reports.Result) string {
	var parts []string
	for _, p := range []struct{ name, text string }{
		{"step", r.Step}, {"blocked by", r.BlockedBy}, {"expected", r.Expected}, {"seen", r.Seen}, {"reason", r.Reason}, {"note", r.Note}, {"hint", r.Hint},
	} {
		if p.text != "" {
			parts = append(parts, p.name+": "+p.text)
		}
	}
	return strings.Join(parts, "; ")
}

// failer is what Ginkgo tells that the suite failed; the verdict comes from the results, not from it.
type failer struct{}

func (failer) Fail() {}

// RunSpecs runs the plan with Ginkgo, silently: what there is to tell goes through the recorder. Ginkgo runs one suite a
// process, so a second call fails.
func RunSpecs(ctx context.Context, p *Plan, r *Recorder) error {
	// The only way to silence Ginkgo's own console output, see TestGinkgoIsSilent.
	formatter.ColorableStdOut = io.Discard
	Describe(ctx, p, r)
	suite, reporter := ginkgo.GinkgoConfiguration()
	suite.RandomSeed, suite.RandomizeAllSpecs = p.Seed, true
	suite.FailOnEmpty = true
	reporter.Succinct, reporter.NoColor = true, true
	ginkgo.RunSpecs(failer{}, "keyflow", suite, reporter)
	for _, result := range r.Results(p) {
		if result.Outcome == reports.NotRun && ctx.Err() == nil {
			return fmt.Errorf("run suites: check %s was not run though nothing interrupted the run", result.ID)
		}
	}
	return nil
}
