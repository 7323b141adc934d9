package matrix_test

import (
	"slices"
	"testing"

	"keyflow/fakes"
	"keyflow/reports"
	"keyflow/suites"
	"keyflow/suites/matrix"
)

// judgesBare reports whether a check judges something without a device that the server trusts.
func judgesBare(c suites.Check) bool {
	return c.Partly() || !slices.Contains(c.Needs, suites.NeedTrusted)
}

// ofBrowsers are the checks of what browsers want.
var ofBrowsers = []string{"TR-01", "TR-02", "TR-03"}

// noTrusted is the reason of what is open for want of a device.
const noTrusted = "no-trusted-device"

// TestCleanRunWithoutDevice: nothing is red, all that can be judged without a device is judged, and what leaves something open
// says so. Only services that tell a wrong token from an unknown device let their tokens be judged.
func TestCleanRunWithoutDevice(t *testing.T) {
	l := newLab(t)
	tellsTokens := []*suites.Target{l.header.target, l.jwt.target, l.once.target}
	for _, s := range []served{l.plain, l.ctr, l.header, l.prTokens, l.jwt, l.once, l.microsoft, l.google} {
		bare := matrix.Bare(t, s.target, s.fake.Authority())
		for _, c := range of(bare.Profile.DRM) {
			r, _ := suites.Run(t.Context(), c, bare)
			token := takesToken(c) && bare.Profile.TakesToken()
			want := reports.Pass
			switch {
			case !judgesBare(c):
				want = reports.Excluded
			case takesToken(c) && !token, token && !applies(c.ID, bare.Profile), bare.Profile.CORS.Skip && slices.Contains(ofBrowsers, c.ID),
				s == l.google && c.ID == "WV-ATH-02":
				want = reports.NotApplicable
			case token && !slices.Contains(tellsTokens, s.target):
				if r.Outcome == reports.Pass { // one scenario that its document tells apart
					continue
				}
				want = reports.Excluded
			}
			switch {
			case r.Outcome == reports.NotApplicable && !judgesBare(c):
			case r.Outcome != want, want == reports.Excluded && r.Reason != noTrusted, (r.Partial != "") != (want == reports.Pass && c.Partly()):
				t.Errorf("%s on %s %s: %s (%s), in part %q: %s", c.ID, r.Profile, r.Variant, r.Outcome, r.Reason, r.Partial, suites.Message(r))
			}
		}
	}
}

// licenseOnly are faults that show in a license only, each behind the check that names it.
var licenseOnly = []string{"TR-06/resp-ct-lies", "WV-ROB-02/wv-truncated-accepted", "WV-ROB-09/method-ignored", "PR-SOAP-06/method-ignored"}

// TestChecksCanFailWithoutDevice: a check that judges without a device is as red as with one by each of its faults, but by those
// that show in a license only. A check of tokens, whose pass says that a wrong token is told from an unknown device, is open then.
func TestChecksCanFailWithoutDevice(t *testing.T) {
	l := newLab(t)
	for _, c := range suites.All() {
		if !judgesBare(c) {
			continue
		}
		for _, k := range c.Kills {
			if slices.Contains(licenseOnly, c.ID+"/"+k.Fault) {
				continue
			}
			for _, at := range l.where(c, k.Fault) {
				bare := served{at.fake, matrix.Bare(t, at.target, at.fake.Authority())}
				if !takesToken(c) {
					bare.mustDetect(t, c, k)
					continue
				}
				bare.mustNotPass(t, c, k.Fault)
			}
		}
	}
}

// mustNotPass runs a check against one of its faults.
func (s served) mustNotPass(t *testing.T, c suites.Check, fault string) {
	t.Helper()
	t.Run(c.ID+"/"+fault+"/"+s.target.Profile.ID, func(t *testing.T) {
		if err := s.fake.SetFaults(fakes.Named(fault)...); err != nil {
			t.Fatal(err)
		}
		defer s.fake.ClearFaults()
		waitFor(s.target, fault)
		r, _ := suites.Run(t.Context(), c, s.target)
		if r.Outcome != reports.Fail && (r.Outcome != reports.Excluded || r.Reason != noTrusted) {
			t.Errorf("%s (%s): %s", r.Outcome, r.Reason, suites.Message(r))
		}
	})
}
