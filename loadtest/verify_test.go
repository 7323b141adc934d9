package loadtest

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
)

func TestParseVerify(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Verify{
		"all": VerifyAll, "none": VerifyNone, "100%": VerifyAll, "5%": 950_000, "0.5%": 995_000, "33.3%": 667_000, " 0.0001% ": 999_999,
	} {
		got, err := ParseVerify(text)
		if err != nil || got != want {
			t.Errorf("ParseVerify(%q) = %d, %v; want %d", text, got, err, want)
		}
		if again, err := ParseVerify(got.String()); err != nil || again != got {
			t.Errorf("ParseVerify(%q) = %d, %v; want %d", got.String(), again, err, got)
		}
	}
	for _, text := range []string{"", "some", "5", "0%", "101%", "-5%", "0.00001%", "5 percent", "%", "99999999999%"} {
		_, err := ParseVerify(text)
		var typed *VerifyError
		if !errors.As(err, &typed) || !strings.Contains(err.Error(), "none") {
			t.Errorf("ParseVerify(%q): got %v, want a *VerifyError", text, err)
		}
	}
}

func FuzzParseVerify(f *testing.F) {
	for _, seed := range []string{"all", "none", "5%", "0.5%", "100%", "1.0000%", "0.00001%"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := ParseVerify(text)
		if err != nil {
			return
		}
		if v < VerifyAll || v > VerifyNone {
			t.Fatalf("%q is %d parts", text, v)
		}
		if again, err := ParseVerify(v.String()); err != nil || again != v {
			t.Fatalf("%q is %d, its String %q is %d, %v", text, v, v.String(), again, err)
		}
	})
}

func TestVerifySample(t *testing.T) {
	t.Parallel()
	const n = 200_000
	for _, text := range []string{"all", "50%", "5%", "0.5%"} {
		v, err := ParseVerify(text)
		if err != nil {
			t.Fatal(err)
		}
		share := 1 - float64(v)/million
		full, same := 0, 0
		for seq := range int64(n) {
			d := v.depth(7, seq)
			if d == drm.DepthFull {
				full++
			}
			if d == v.depth(8, seq) {
				same++
			}
			if d != v.depth(7, seq) {
				t.Fatal("the sample is not deterministic")
			}
		}
		// Five standard deviations of a binomial distribution.
		if slack := 5 * math.Sqrt(n*share*(1-share)); math.Abs(float64(full)-n*share) > slack {
			t.Errorf("%s: %d of %d are in the sample, want %.0f ± %.0f", text, full, n, n*share, slack)
		}
		if v != VerifyAll && same == n {
			t.Errorf("%s: the seed does not change the sample", text)
		}
	}
}

// queued returns a verifier and a judge that waits for a token per answer.
func queued(bytes int64, verify Verify, cut <-chan struct{}) (*verifier, chan struct{}) {
	tokens := make(chan struct{}, 1000)
	rate := Rate{Freq: 100, Per: time.Second}
	c := Config{
		Plan: Plan{Rate: rate, Duration: time.Minute}, Shares: make([]Share, 1), Verify: verify, VerifyBytes: bytes,
		Judge: func(_ drm.Message, answer []byte, d drm.Depth) drm.Verdict {
			<-tokens
			if answer[0] == 'x' {
				return drm.Verdict{Depth: d, Findings: []drm.Finding{{Reason: "bad"}}}
			}
			return drm.Verdict{Depth: d}
		},
	}
	return newVerifier(c, cut), tokens
}

func TestVerifierQueueIsBounded(t *testing.T) {
	t.Parallel()
	const size = 8<<10 + flightOverhead
	v, tokens := queued(10*size, VerifyAll, nil)
	accepted := 0
	for seq := range int64(25) {
		if v.offer(&flight{seq: seq, answer: make([]byte, 8<<10)}) {
			accepted++
		}
		if held := v.held.Load(); held > 10*size {
			t.Fatalf("%d bytes are held, the bound is %d", held, 10*size)
		}
	}
	if accepted != 10 {
		t.Errorf("%d answers were accepted, want 10", accepted)
	}
	for range accepted {
		tokens <- struct{}{}
	}
	v.start(2)
	v.drain()
	if v.verified.Load() != 10 || v.held.Load() != 0 {
		t.Errorf("%d verified, %d bytes held; want 10 and 0", v.verified.Load(), v.held.Load())
	}
}

func TestVerifierIsCut(t *testing.T) {
	t.Parallel()
	cut := make(chan struct{})
	v, tokens := queued(1<<20, VerifyAll, cut)
	v.start(1)
	for seq := range int64(5) {
		v.offer(&flight{seq: seq, answer: []byte("x")})
	}
	close(cut)
	tokens <- struct{}{} // for the one that may be with the judge already
	v.drain()
	if n := v.judged.Load() + v.unjudged.Load(); n != 5 || v.unjudged.Load() < 4 || v.wrong.Load() != v.judged.Load() {
		t.Errorf("%d judged, %d not, %d wrong", v.judged.Load(), v.unjudged.Load(), v.wrong.Load())
	}
}

// TestVerifierOutsideTheSample judges by shape only, and still finds a wrong answer.
func TestVerifierOutsideTheSample(t *testing.T) {
	t.Parallel()
	v, tokens := queued(1<<20, million-1, nil)
	for seq, answer := range []string{"ok", "x", "ok", "x"} {
		v.offer(&flight{seq: int64(seq) * 100, answer: []byte(answer)})
		tokens <- struct{}{}
	}
	v.start(2)
	v.drain()
	if v.passed.Load() != 2 || v.wrong.Load() != 2 || v.verified.Load() != 0 || v.reasons["bad"] != 2 {
		t.Errorf("%d passed, %d wrong, %d verified", v.passed.Load(), v.wrong.Load(), v.verified.Load())
	}
	if v.bySecond[1][""] != 1 || v.bySecond[3][""] != 1 {
		t.Errorf("wrong by second: %v", v.bySecond)
	}
}

func TestFirstFinding(t *testing.T) {
	t.Parallel()
	a, b := drm.KID{1}, drm.KID{2}
	expect := map[drm.KID]drm.Fingerprint{a: "a", b: "b"}
	for name, c := range map[string]struct {
		verdict drm.Verdict
		asked   []drm.KID
		want    drm.Reason
	}{
		"right":        {drm.Verdict{Depth: drm.DepthFull, Keys: map[drm.KID]drm.Fingerprint{a: "a", b: "b"}}, []drm.KID{a, b}, ""},
		"unknown key":  {drm.Verdict{Depth: drm.DepthFull, Keys: map[drm.KID]drm.Fingerprint{a: "a", {9}: "?"}}, []drm.KID{a, {9}}, ""},
		"swapped":      {drm.Verdict{Depth: drm.DepthFull, Keys: map[drm.KID]drm.Fingerprint{a: "b", b: "a"}}, nil, ReasonKeyFingerprint},
		"missing":      {drm.Verdict{Depth: drm.DepthFull, Keys: map[drm.KID]drm.Fingerprint{a: "a"}}, []drm.KID{a, b}, ReasonKeyMissing},
		"not asked":    {drm.Verdict{Depth: drm.DepthFull, Keys: map[drm.KID]drm.Fingerprint{a: "a"}}, []drm.KID{a}, ""},
		"shape":        {drm.Verdict{Depth: drm.DepthShape}, []drm.KID{a}, ""},
		"judge speaks": {drm.Verdict{Findings: []drm.Finding{{Reason: "first"}, {Reason: "second"}}}, []drm.KID{a}, "first"},
	} {
		var got drm.Reason
		if f := firstFinding(c.verdict, expect, c.asked); f != nil {
			got = f.Reason
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
