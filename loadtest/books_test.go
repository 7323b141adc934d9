package loadtest

import (
	"context"
	"fmt"
	"testing"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"

	"keyflow/drm"
	"keyflow/drm/provider"
)

func testConfig(rate int64, d time.Duration) Config {
	return Config{
		Plan: Plan{Rate: Rate{Freq: rate, Per: time.Second}, Duration: d},
		Shares: []Share{{
			Profile: &provider.Profile{Request: provider.Endpoint{URL: "http://127.0.0.1:1/"}, Response: provider.Response{OKStatus: []int{200}, MaxBytes: 1 << 10}},
			Source:  func(context.Context) (Fresh, error) { return Fresh{Message: drm.Message{Kind: drm.KindLicense}}, nil },
			Weight:  1,
		}},
		Judge: func(_ drm.Message, _ []byte, d drm.Depth) drm.Verdict { return drm.Verdict{Depth: d} },
	}
}

// settled returns a run of two shares after twenty requests that went well, five of them in the warm-up, without a network.
func settled(t *testing.T) *run {
	t.Helper()
	const n int64 = 20
	c := testConfig(n, time.Second)
	c.Shares = append(c.Shares, c.Shares[0])
	c.Shares[0].Weight = 3
	c.WarmUp = 250 * time.Millisecond
	c, mix, err := c.prepare()
	if err != nil {
		t.Fatal(err)
	}
	r := newRun(context.Background(), c, mix)
	t.Cleanup(r.close)
	r.verifier.start(1)
	for i := range n {
		r.pacer.released.Add(1)
		r.sender.sent.Add(1)
		share := mix.Share(c.Plan, i)
		r.sender.sentBy[share].Add(1)
		due := c.Plan.Due(i)
		r.finished <- &flight{seq: i, share: share, message: drm.Message{Kind: drm.KindLicense}, sent: due + 1, done: due + 2, answer: []byte("x")}
		r.books.enter(r.finished)
	}
	r.verifier.drain()
	return r
}

// TestBalanceNoticesEveryLoss moves one counter at a time: no equation may be blind.
func TestBalanceNoticesEveryLoss(t *testing.T) {
	t.Parallel()
	if r := settled(t); !r.balanced() {
		t.Fatal("a run without loss does not balance")
	}
	for name, lose := range map[string]func(*run){
		"released":                 func(r *run) { r.pacer.released.Add(1) },
		"withheld":                 func(r *run) { r.pacer.withheld++ },
		"sent":                     func(r *run) { r.sender.sent.Add(1) },
		"refused":                  func(r *run) { r.books.refused.add("x") },
		"results":                  func(r *run) { r.books.results.Add(-1) },
		"lost":                     func(r *run) { r.books.enter(r.finished) },
		"answered":                 func(r *run) { r.books.answered.Add(-1) },
		"failed":                   func(r *run) { r.books.failed.Add(1) },
		"class":                    func(r *run) { r.books.classes.add("dns") },
		"queued":                   func(r *run) { r.books.queued-- },
		"skipped":                  func(r *run) { r.books.skipped++ },
		"overflow":                 func(r *run) { r.books.overflow++ },
		"judged":                   func(r *run) { r.verifier.judged.Add(-1) },
		"unjudged":                 func(r *run) { r.verifier.unjudged.Add(1) },
		"verified":                 func(r *run) { r.verifier.verified.Add(-1) },
		"passed":                   func(r *run) { r.verifier.passed.Add(1) },
		"wrong":                    func(r *run) { r.verifier.wrong.Add(1) },
		"reason":                   func(r *run) { r.verifier.reasons.add("x") },
		"a latency":                func(r *run) { _ = r.books.operations["license"].latency.record(1) },
		"wrong by kind":            func(r *run) { r.verifier.byKind.add("license") },
		"wrong by kind of a share": func(r *run) { r.verifier.shares[1].byKind.add("license") },
		"measured sent":            func(r *run) { r.books.operations["license"].sent-- },
		"measured answered":        func(r *run) { r.books.operations["license"].answered++ },
		"measured failed":          func(r *run) { r.books.operations["license"].classes.add("dns") },
		"warm sent":                func(r *run) { r.books.warm.sent-- },
		"warm refused":             func(r *run) { r.books.warm.refused++ },
		"warm answered":            func(r *run) { r.books.warm.answered-- },
		"warm failed":              func(r *run) { r.books.warm.classes.add("dns") },
		"warm latencies":           func(r *run) { r.books.warm.latencies-- },
		"warm of a share":          func(r *run) { r.books.shares[1].warm.sent++ },
		"warm of another share": func(r *run) {
			f := r.books.shares[1].warm
			r.books.shares[1].warm, r.books.shares[0].warm = r.books.shares[0].warm, f
		},
		"one request moved into the warm-up": func(r *run) { r.books.warming++ },
		"a warm one measured":                func(r *run) { r.books.warm.sent--; r.books.operations["license"].sent++ },
		"a lag":                              func(r *run) { _ = r.books.operations["license"].lag.record(1) },
		"a whole flight":                     func(r *run) { r.pacer.released.Add(1); r.sender.sent.Add(1) },

		"planned of a share":    func(r *run) { r.minter.planned[1]-- },
		"sent of a share":       func(r *run) { r.sender.sentBy[1].Add(-1) },
		"sent as another":       func(r *run) { r.sender.sentBy[1].Add(-1); r.sender.sentBy[0].Add(1) },
		"refused of a share":    func(r *run) { r.books.shares[1].refused.add("x") },
		"answered of a share":   func(r *run) { r.books.shares[1].answered-- },
		"answered as another":   func(r *run) { r.books.shares[1].answered--; r.books.shares[0].answered++ },
		"class of a share":      func(r *run) { r.books.shares[1].classes.add("dns") },
		"queued of a share":     func(r *run) { r.books.shares[1].queued-- },
		"skipped of a share":    func(r *run) { r.books.shares[1].queued--; r.books.shares[1].skipped++ },
		"overflow of a share":   func(r *run) { r.books.shares[1].queued--; r.books.shares[1].overflow++ },
		"verified of a share":   func(r *run) { r.verifier.shares[1].verified.Add(-1) },
		"passed of a share":     func(r *run) { r.verifier.shares[1].verified.Add(-1); r.verifier.shares[1].passed.Add(1) },
		"wrong of a share":      func(r *run) { r.verifier.shares[1].wrong.Add(1) },
		"unjudged of a share":   func(r *run) { r.verifier.shares[1].unjudged.Add(1) },
		"reason of a share":     func(r *run) { r.verifier.shares[1].reasons.add("x") },
		"a latency of a share":  func(r *run) { _ = r.books.shares[1].operations["license"].latency.record(1) },
		"a lag of a share":      func(r *run) { _ = r.books.shares[1].operations["license"].lag.record(1) },
		"a flight of one share": func(r *run) { f := r.books.shares[1]; r.books.shares[1], r.books.shares[0] = r.books.shares[0], f },
	} {
		r := settled(t)
		lose(r)
		if r.balanced() {
			t.Errorf("%s: the loss was not noticed", name)
		}
	}
}

func TestTallyIsBounded(t *testing.T) {
	t.Parallel()
	counts, kept := tally{}, newSamples(nil)
	for i := range 10_000 {
		class := counts.add(fmt.Sprintf("dial 127.0.0.1:%d", i))
		kept.add(class, 0, int64(i), "", "", nil)
	}
	if len(counts) > maxClasses+1 || counts.sum() != 10_000 || counts[classOther] != 10_000-maxClasses {
		t.Errorf("%d classes, %d counted, %d of them other", len(counts), counts.sum(), counts[classOther])
	}
	if n := len(kept.list()); n != maxClasses+maxSamplesPerClass {
		t.Errorf("%d samples are kept", n)
	}
}

func TestHistogramClamps(t *testing.T) {
	t.Parallel()
	h := newHistogram()
	for _, d := range []time.Duration{-time.Second, 0, time.Microsecond, HistogramMax, HistogramMax + 1, 100 * time.Hour} {
		if err := h.record(d); err != nil {
			t.Fatal(err)
		}
	}
	p, err := h.percentiles()
	if err != nil {
		t.Fatal(err)
	}
	if p.Count != 6 || h.beyond != 2 || p.Min != 0 || p.Max < HistogramMax.Microseconds() {
		t.Errorf("got %+v with %d beyond", p, h.beyond)
	}
	decoded, err := hdr.Decode([]byte(p.Histogram))
	if err != nil || !decoded.Equals(h.h) {
		t.Errorf("the encoding is not lossless: %v", err)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	if r := settled(t); len(r.limits(must(r.report()))) != 0 {
		t.Errorf("a run without trouble is limited by %q", r.limits(must(r.report())))
	}
	for name, limit := range map[string]func(*run){
		"rate":      func(r *run) { r.books.last = 2 * time.Second },
		"bound":     func(r *run) { r.pacer.bound.Store(1) },
		"starved":   func(r *run) { r.minter.starved.Store(1) },
		"overflow":  func(r *run) { r.books.overflow = 1 },
		"cut":       func(r *run) { r.verifier.unjudged.Store(1) },
		"exhausted": func(r *run) { r.books.classes[string(provider.ReasonExhausted)] = 1 },
		"beyond":    func(r *run) { r.books.operations["license"].lag.beyond = 1 },
	} {
		r := settled(t)
		limit(r)
		load, err := r.report()
		if err != nil {
			t.Fatal(err)
		}
		if g := load.Generator; !g.Limited || g.Why == "" || len(r.limits(load)) != 1 {
			t.Errorf("%s: got %+v", name, g)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
