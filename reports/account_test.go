package reports

import (
	"bytes"
	"strings"
	"testing"
)

// TestLoadBalanced changes one count of one share at a time: no equation may be blind, and every format says so.
func TestLoadBalanced(t *testing.T) {
	t.Parallel()
	if l := loadMixReport().Load; !l.Balanced() {
		t.Fatalf("the sample does not balance: %v", l.shareBalances())
	}
	if !loadReport().Load.Balanced() || loadMissedReport().Load.Balanced() {
		t.Error("a run without shares is judged otherwise than by its totals")
	}
	for name, edit := range map[string]func(whole, share *Accounting){
		"planned":           func(_, a *Accounting) { a.Planned++ },
		"not sent":          func(_, a *Accounting) { a.NotSent["interrupted"]-- },
		"sent":              func(_, a *Accounting) { a.Sent-- },
		"failed":            func(_, a *Accounting) { a.Failed = nil },
		"answered":          func(_, a *Accounting) { a.Answered++ },
		"unverified":        func(_, a *Accounting) { a.Unverified++ },
		"verified":          func(_, a *Accounting) { a.Verified-- },
		"wrong":             func(_, a *Accounting) { a.Wrong++ },
		"said":              func(_, a *Accounting) { a.Balanced = false },
		"a whole request":   func(_, a *Accounting) { a.Planned++; a.Sent++; a.Answered++; a.Verified++ },
		"wrong as verified": func(_, a *Accounting) { a.Wrong--; a.Verified++ },
		"not sent as sent":  func(_, a *Accounting) { a.NotSent["interrupted"]--; a.Sent++; a.Answered++; a.Verified++ },
		"the total":         func(whole, _ *Accounting) { whole.Planned++; whole.Sent++; whole.Answered++; whole.Verified++ },
	} {
		r := loadMixReport()
		edit(&r.Load.Accounting, &r.Load.Shares[1].Accounting)
		if r.Load.Balanced() {
			t.Errorf("%s: the imbalance was not noticed", name)
		}
		for format, want := range map[string]struct {
			render Renderer
			text   string
		}{
			"html":     {Renderer{Render: RenderHTML}, "NOT balanced"},
			"markdown": {Renderer{Render: RenderMarkdown}, "**Not balanced:**"},
			"summary":  {Renderer{Render: plainSummary}, "NOT balanced"},
			"junit":    {Renderer{Render: RenderJUnit}, `type="unbalanced"`},
		} {
			var out bytes.Buffer
			if err := want.render.Render(&out, r); err != nil || !strings.Contains(out.String(), want.text) {
				t.Errorf("%s: %s does not say %q (%v)", name, format, want.text, err)
			}
		}
	}
}
