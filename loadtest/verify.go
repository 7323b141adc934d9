package loadtest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"keyflow/drm"
)

// Judge judges the answer to a message at a depth, or says in its verdict that it could not go as deep, and returns no finding
// for a right answer. It is called by several workers at once, never while a request waits for it.
type Judge func(m drm.Message, answer []byte, d drm.Depth) drm.Verdict

// Reasons that this package adds to those of the judge: the license gave a key that is not the content's, or lacks one
// that was asked for.
const (
	ReasonKeyFingerprint drm.Reason = "key-fingerprint"
	ReasonKeyMissing     drm.Reason = "key-missing"
)

// Verify says which share of the answers is judged in full, in parts per million that are not: the zero value verifies
// all. With [VerifyNone] no answer is judged; anywhere between, an answer outside the sample is judged by its shape only
// and counts as unverified unless that is wrong.
type Verify int32

// The ends of the scale.
const (
	VerifyAll  Verify = 0
	VerifyNone Verify = million
)

const million = 1_000_000

// VerifyError says why a text is not a share.
type VerifyError struct{ Text string }

// Error names the text and what is accepted.
func (e *VerifyError) Error() string {
	return fmt.Sprintf(`verify %q: want "all", "none", or a percentage from 0.0001%% to 100%% such as "5%%"`, e.Text)
}

// ParseVerify reads "all", "none" or a percentage with up to four decimal places. Any error is a *[VerifyError].
func ParseVerify(s string) (Verify, error) {
	switch s = strings.TrimSpace(s); s {
	case "all":
		return VerifyAll, nil
	case "none":
		return VerifyNone, nil
	}
	parts, ok := parsePercent(s)
	if !ok {
		return 0, &VerifyError{s}
	}
	return Verify(million - parts), nil
}

// String returns the share in the form that [ParseVerify] reads.
func (v Verify) String() string {
	switch v {
	case VerifyAll:
		return "all"
	case VerifyNone:
		return "none"
	}
	return strconv.FormatFloat(float64(million-int64(v))/(million/100), 'f', -1, 64) + "%"
}

// MarshalText returns [Verify.String].
func (v Verify) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads what [ParseVerify] reads.
func (v *Verify) UnmarshalText(b []byte) error {
	parsed, err := ParseVerify(string(b))
	if err != nil {
		return err
	}
	*v = parsed
	return nil
}

// depth says how the answer to request seq of the whole plan is judged. It depends on seed and seq alone, so that a run
// can be repeated and slices sample independently of each other.
func (v Verify) depth(seed, seq int64) drm.Depth {
	if v <= VerifyAll || splitmix(uint64(seed)^splitmix(uint64(seq)))%million >= uint64(v) {
		return drm.DepthFull
	}
	return drm.DepthShape
}

// splitmix is the output function of SplitMix64: it spreads consecutive numbers evenly.
func splitmix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// verifier judges answers in its own workers, behind a queue that is bounded in bytes. An answer that finds it full
// counts as unverified at once: to wait would delay requests that are due, to keep it would let memory grow with the run.
// What is in the queue when the last answer has arrived is judged before the run ends.
type verifier struct {
	config Config
	queue  chan *flight
	held   atomic.Int64 // bytes
	cut    <-chan struct{}
	group  sync.WaitGroup

	judged   atomic.Int64
	verified atomic.Int64
	passed   atomic.Int64 // of right shape, outside the sample
	wrong    atomic.Int64
	unjudged atomic.Int64 // in the queue when the run was cut short

	sampled, sampledWrong atomic.Int64 // judged in full because the sample has them

	warmWrong atomic.Int64 // of the warm-up; they are among the wrong ones
	policies  policies
	shares    []shareVerdicts
	ledger    *ledger // for the journal; nil: none

	mu       sync.Mutex
	reasons  tally
	byKind   tally // wrong answers by kind of message
	samples  samples
	bySecond wrongs
	classes  map[int]tally // of wrong answers, by second
}

// shareVerdicts counts the verdicts on one share's answers, beside the totals.
type shareVerdicts struct {
	verified, passed, wrong, unjudged atomic.Int64

	reasons, byKind tally // under the verifier's lock
}

// newVerifier returns a verifier without workers; cut ends the judging.
func newVerifier(c Config, cut <-chan struct{}) *verifier {
	v := &verifier{
		config: c, cut: cut, queue: make(chan *flight, c.VerifyBytes/flightOverhead+1), shares: make([]shareVerdicts, len(c.Shares)),
		reasons: tally{}, byKind: tally{}, samples: newSamples(c.Shares), bySecond: wrongs{}, classes: map[int]tally{},
	}
	v.policies.first = map[policyKey]policyClass{}
	for i := range v.shares {
		v.shares[i].reasons, v.shares[i].byKind = tally{}, tally{}
	}
	return v
}

// start adds n workers.
func (v *verifier) start(n int) {
	for range n {
		v.group.Go(func() {
			for f := range v.queue {
				v.held.Add(-f.size())
				v.take(f)
			}
		})
	}
}

// take judges a flight, or counts it as unjudged if the run was cut short.
func (v *verifier) take(f *flight) {
	select {
	case <-v.cut:
		f.land(true, nil)
		if !f.unasked {
			v.unjudged.Add(1)
			v.shares[f.share].unjudged.Add(1)
			v.ledger.unverified(f)
		}
		return
	default:
	}
	if f.unasked {
		f.land(true, f.answer)
		return
	}
	v.judge(f)
}

// offer hands an answered flight over, or reports that the queue is full. Only one goroutine calls it.
func (v *verifier) offer(f *flight) bool {
	size := f.size()
	if v.held.Load()+size > v.config.VerifyBytes {
		return false
	}
	v.held.Add(size)
	select {
	case v.queue <- f:
		return true
	default:
		v.held.Add(-size)
		return false
	}
}

// drain waits until everything in the queue is judged or cut. Nothing may be offered any more.
func (v *verifier) drain() {
	close(v.queue)
	v.group.Wait()
}

func (v *verifier) judge(f *flight) {
	chosen := f.settle == nil && !f.bad // others are judged in full wherever they come
	finding, depth := v.examine(f)
	if chosen && depth == drm.DepthFull {
		v.sampled.Add(1)
		if finding != nil {
			v.sampledWrong.Add(1)
		}
	}
	share := &v.shares[f.share]
	v.judged.Add(1)
	switch {
	case finding != nil:
		v.wrong.Add(1)
		share.wrong.Add(1)
		if f.seq < v.config.warming() {
			v.warmWrong.Add(1)
		}
		v.keep(f, *finding)
	case depth == drm.DepthFull: // a judge without the device's keys judges the shape alone
		v.verified.Add(1)
		share.verified.Add(1)
		v.ledger.verified(f)
	default:
		v.passed.Add(1)
		share.passed.Add(1)
		v.ledger.unverified(f)
	}
}

// examine returns what is wrong with an answer, and how deeply it was looked at in fact. An answer that its session waits for is always
// processed in full, and of a bad request it is only asked whether it was refused: there the sample does not matter.
func (v *verifier) examine(f *flight) (*drm.Finding, drm.Depth) {
	c := v.config
	switch {
	case f.settle != nil:
		if findings := f.land(true, f.answer).Findings; len(findings) > 0 {
			return &findings[0], drm.DepthFull
		}
		return nil, drm.DepthFull
	case f.bad:
		return v.granted(f), drm.DepthFull
	}
	verdict := c.Judge(f.message, f.answer, c.Verify.depth(c.Seed, c.Plan.Number(f.seq)))
	finding := firstFinding(verdict, c.Expect, f.lease.Entitled(f.message.KIDs))
	if finding == nil {
		finding = arrival(verdict, f.message.Ticket)
	}
	if finding == nil {
		finding = v.policies.differs(f.share, verdict)
	}
	return finding, verdict.Depth
}

func (v *verifier) keep(f *flight, finding drm.Finding) {
	v.mu.Lock()
	defer v.mu.Unlock()
	class := v.reasons.add(string(finding.Reason))
	v.shares[f.share].reasons.add(string(finding.Reason))
	v.byKind.add(f.operation())
	v.shares[f.share].byKind.add(f.operation())
	v.samples.add(class, f.share, v.config.Plan.Number(f.seq), finding.Expected, finding.Seen, f)
	f.release()
	at := second(v.config.Plan, f.seq)
	v.bySecond.add(at, f.operation())
	v.countClass(at, class, 1)
	v.ledger.wrong(f, class)
}

// countClass counts wrong answers to requests that were due in a second.
func (v *verifier) countClass(second int, class string, n int64) {
	if v.classes[second] == nil {
		v.classes[second] = tally{}
	}
	v.classes[second][class] += n
}

// firstFinding returns the judge's first finding, or what is wrong with the keys of a license that it found right.
func firstFinding(v drm.Verdict, expect map[drm.KID]drm.Fingerprint, asked []drm.KID) *drm.Finding {
	if len(v.Findings) > 0 {
		return &v.Findings[0]
	}
	if v.Depth != drm.DepthFull && len(v.KIDs) == 0 {
		return nil // nothing is known of its keys
	}
	for _, kid := range slices.SortedFunc(maps.Keys(v.Keys), compareKIDs) {
		want, known := expect[kid]
		if got := v.Keys[kid]; known && got != want {
			return &drm.Finding{Reason: ReasonKeyFingerprint, Step: "verify", KID: &kid,
				Expected: "key " + string(want) + " for " + kid.String(), Seen: "key " + string(got)}
		}
	}
	for _, kid := range asked {
		if _, known := expect[kid]; !known {
			continue
		}
		_, there := v.Keys[kid]
		if v.Depth != drm.DepthFull {
			there = slices.Contains(v.KIDs, kid)
		}
		if !there {
			return &drm.Finding{Reason: ReasonKeyMissing, Step: "verify", KID: &kid,
				Expected: "a key for " + kid.String(), Seen: strconv.Itoa(max(len(v.Keys), len(v.KIDs))) + " other keys"}
		}
	}
	return nil
}

func compareKIDs(a, b drm.KID) int { return slices.Compare(a[:], b[:]) }
