package suites

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/onsi/ginkgo/v2/types"

	"keyflow/drm"
	"keyflow/reports"
)

// Plan is what a run is to do: selected checks of the requirement set, on targets.
type Plan struct {
	Set      []Check // all checks that a claim speaks of
	Selected []Check // by one target's labels at least; see [Plan.Of]
	Targets  []*Target
	Seed     int64 // of the order
	Strict   bool  // a missed SHOULD fails the run

	picked []Check // by id
	filter types.LabelFilter
}

// ErrNoDevice says that a plan is empty because there is no device.
var ErrNoDevice = errors.New("without a device none of the selected checks can be judged")

// NewPlan selects by id globs and by a Ginkgo label filter (e.g. "MUST && KEY"); empty selects all. Checks
// for other systems than the target's are left out of set and selection alike.
func NewPlan(targets []*Target, globs []string, labels string, seed int64) (*Plan, error) {
	p := &Plan{Targets: targets, Seed: seed}
	for _, c := range All() {
		if slices.ContainsFunc(targets, func(t *Target) bool { return c.For(t.Profile.DRM) }) {
			p.Set = append(p.Set, c)
		}
	}
	var err error
	if p.picked, err = Select(p.Set, globs); err != nil {
		return nil, err
	}
	if p.filter, err = types.ParseLabelFilter(labels); err != nil {
		return nil, fmt.Errorf("label filter %q does not parse", labels) // Ginkgo's own message is a coloured page
	}
	for _, c := range p.picked {
		if slices.ContainsFunc(targets, func(t *Target) bool { return p.selects(c, t) }) {
			p.Selected = append(p.Selected, c)
		}
	}
	if len(p.Selected) > 0 {
		return p, nil
	}
	for _, c := range p.picked {
		if slices.ContainsFunc(targets, func(t *Target) bool { return p.wants(c, t) }) {
			return nil, ErrNoDevice
		}
	}
	return nil, fmt.Errorf("no check matches label filter %q", labels)
}

// wants reports whether a check is for a target, and the label filter takes it there: a check of every system has the label of
// the target's.
func (p *Plan) wants(c Check, t *Target) bool {
	return c.For(t.Profile.DRM) && p.filter(c.Labels(t.Profile.DRM))
}

// of returns the checks that are for the target's system.
func (t *Target) of(checks []Check) []Check {
	return slices.DeleteFunc(slices.Clone(checks), func(c Check) bool { return !c.For(t.Profile.DRM) })
}

// selects reports whether a check is wanted on a target and does not need what the user has left out.
func (p *Plan) selects(c Check, t *Target) bool {
	why := t.missing(c)
	return p.wants(c, t) && (why == nil || why.outcome != reports.Excluded)
}

// Of returns the selected checks of a target.
func (p *Plan) Of(t *Target) []Check {
	return slices.DeleteFunc(slices.Clone(p.Selected), func(c Check) bool { return !p.selects(c, t) })
}

// Total returns how many results the plan's selected checks will have on all targets.
func (p *Plan) Total() int {
	n := 0
	for _, t := range p.Targets {
		n += len(p.Of(t))
	}
	return n
}

// Labels returns the check's Ginkgo labels on a target of the system: id, level, system and area. They are plain values, because a filter then reads
// "MUST && KEY"; with keys it would have to be "level: containsAny {MUST} && area: containsAny {KEY}".
func (c Check) Labels(s drm.System) []string {
	return []string{c.ID, string(c.Level), string(s), c.Area()}
}

// Recorder collects the results of a run. It is safe for concurrent use.
type Recorder struct {
	mu          sync.Mutex
	results     map[identity]reports.Result
	transcripts map[string]string
	onResult    func(reports.Result)
}

// identity is what makes a result one of its kind.
type identity struct{ id, profile, variant, asset string }

func identityOf(r reports.Result) identity {
	return identity{r.ID, r.Profile, r.Variant, r.Asset}
}

// NewRecorder returns an empty recorder; onResult, if not nil, is called with each result, one at a time.
func NewRecorder(onResult func(reports.Result)) *Recorder {
	return &Recorder{results: map[identity]reports.Result{}, transcripts: map[string]string{}, onResult: onResult}
}

// Record keeps a result and its transcript.
func (r *Recorder) Record(result reports.Result, log *Transcript) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if text := log.Text(); text != "" {
		name := fileName(strings.Join(slices.DeleteFunc([]string{result.ID, result.Profile, result.Variant, result.Asset},
			func(part string) bool { return part == "" }), "-")) + ".txt"
		r.transcripts[name] = text
		result.Transcript = "transcripts/" + name
	}
	r.results[identityOf(result)] = result
	if r.onResult != nil {
		r.onResult(result)
	}
}

// fileName keeps letters, digits, dots and hyphens of an asset's name.
func fileName(s string) string {
	out := []rune(s)
	for i, c := range out {
		if c != '.' && c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			out[i] = '_'
		}
	}
	return string(out)
}

// Transcripts returns the transcripts by file name.
func (r *Recorder) Transcripts() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.transcripts
}

// Results returns a result for every check of the set on every target: the recorded one, "excluded" for those that were
// not selected, and "not run" for those that the run did not get to.
func (r *Recorder) Results(p *Plan) []reports.Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []reports.Result
	picked := ids(p.picked)
	for _, t := range p.Targets {
		selected := ids(p.Of(t))
		for _, c := range t.of(p.Set) {
			result := blank(c, t)
			recorded, done := r.results[identityOf(result)]
			switch {
			case done:
				result = recorded
			case !slices.Contains(selected, c.ID):
				result.Outcome, result.Note = reports.Excluded, "not selected"
				if why := t.missing(c); why != nil && slices.Contains(picked, c.ID) && p.wants(c, t) {
					result.Reason, result.Note = why.reason, why.text
				}
			default:
				result.Outcome, result.Note = reports.NotRun, "the run ended before it"
			}
			all = append(all, result)
		}
	}
	return all
}

// blank is a result that says which check on which target, and nothing else.
func blank(c Check, t *Target) reports.Result {
	return reports.Result{
		ID: c.ID, Title: c.Title, Level: c.Level, System: string(t.Profile.DRM), Area: c.Area(), Source: c.Source,
		Profile: t.Profile.ID, Variant: t.Variant, Asset: t.Asset.Name,
	}
}
