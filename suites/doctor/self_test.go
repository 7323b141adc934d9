package doctor_test

import (
	"context"
	"errors"
	"testing"

	"keyflow/fakes"
	"keyflow/reports"
	"keyflow/suites"
	"keyflow/suites/doctor"
	"keyflow/suites/matrix"
)

// known is a fake with both systems.
func known(t *testing.T) (*fakes.Server, doctor.Known) {
	fake, target := matrix.StartPlayReady(t, "cenc-3key")
	return fake, doctor.Known{Targets: []*suites.Target{target.Twin, target}, Spoil: func(fault string) error {
		if fault == "" {
			return fake.SetFaults()
		}
		return fake.SetFaults(fakes.Named(fault)...)
	}}
}

// TestSelf is sound here, and tells when the server that it runs against, or its own eyes, are not.
func TestSelf(t *testing.T) {
	t.Parallel()
	fake, k := known(t)
	hops := doctor.Self(t.Context(), k, 0, nil)
	if doctor.SelfExit(hops) != reports.ExitOK || len(hops) < 18 {
		t.Errorf("exit code %d\n%s", doctor.SelfExit(hops), all(hops))
	}
	for _, id := range []string{"WV-CLI-01", "WV-CLI-03", "WV-CLI-04", "WV-KEY-07", "PR-LIC-08", "fault wv-keys-swapped", "fault pr-cmac-range", "fixtures", "profiles"} {
		if h := find(hops, id); h.Outcome != doctor.OK {
			t.Errorf("%s: %+v", id, h)
		}
	}
	right := k.Spoil
	k.Spoil = func(fault string) error {
		if fault == "pr-cmac-range" {
			return errors.New("cannot be set")
		}
		return nil // a fault that is not there cannot be seen
	}
	hops = doctor.Self(t.Context(), k, 0, nil)
	if find(hops, "fault wv-keys-swapped").Outcome != doctor.Failed || find(hops, "fault pr-cmac-range").Outcome != doctor.Failed || doctor.SelfExit(hops) != reports.ExitHarness {
		t.Errorf("blind\n%s", all(hops))
	}
	k.Spoil = right
	if err := fake.SetFaults(fakes.Named("wv-keys-swapped")...); err != nil {
		t.Fatal(err)
	}
	if h := find(doctor.Self(t.Context(), k, 0, nil), "WV-KEY-07"); h.Outcome != doctor.Failed {
		t.Errorf("a wrong server: %+v", h)
	}
}

// TestSelfInterrupted calls nothing failed.
func TestSelfInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	hops := doctor.Self(ctx, doctor.Known{}, 0, nil)
	if doctor.SelfExit(hops) != reports.ExitIncomplete || doctor.FirstFailing(hops) != nil {
		t.Errorf("%s", all(hops))
	}
}
