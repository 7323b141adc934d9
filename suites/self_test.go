package suites_test

import (
	"context"
	"testing"

	"keyflow/drm"
	"keyflow/reports"
	"keyflow/suites"
	"keyflow/suites/matrix"
)

// gullible is a client that verifies nothing.
type gullible struct{ drm.Platform }

func (g gullible) Judge(drm.Ticket, []byte, []byte, drm.Depth) drm.Verdict {
	return drm.Verdict{Keys: map[drm.KID]drm.Fingerprint{{1}: "key"}}
}

func (g gullible) WithServerCertificate(context.Context, []byte) (drm.Platform, error) { return g, nil }

// Open opens a session whose answers are taken whatever they are.
func (g gullible) Open(ctx context.Context, box drm.Box, o drm.Options) (drm.Session, error) {
	s, err := g.Platform.Open(ctx, box, o)
	return &gullibleSession{Session: s}, err
}

type gullibleSession struct {
	drm.Session
	taken []drm.License
}

// Process takes a license for every answer.
func (s *gullibleSession) Process(ctx context.Context, id drm.MessageID, body []byte) (*drm.Observation, error) {
	s.taken = append(s.taken, drm.License{})
	if o, err := s.Session.Process(ctx, id, body); err == nil {
		return o, nil
	}
	return &drm.Observation{System: drm.Widevine, Message: id}, nil
}

func (s *gullibleSession) Licenses() []drm.License { return s.taken }

// TestSelfChecks: keyflow's own client passes them, and one that verifies nothing fails each.
func TestSelfChecks(t *testing.T) {
	t.Parallel()
	_, target := matrix.Start(t, "cenc-3key")
	wrong := *target
	wrong.Platform = gullible{target.Platform}
	for _, c := range suites.SelfChecks() {
		if c.Scope != suites.ScopeSelf || c.Level != reports.Must || c.Source == "" || c.Why == "" || c.Hint == "" {
			t.Errorf("%+v", c)
		}
		if r, _ := suites.Run(t.Context(), c, target); r.Outcome != reports.Pass {
			t.Errorf("%s: %s: %s", c.ID, r.Outcome, suites.Message(r))
		}
		if r, _ := suites.Run(t.Context(), c, &wrong); r.Outcome != reports.Fail {
			t.Errorf("%s on a client that verifies nothing: %s: %s", c.ID, r.Outcome, suites.Message(r))
		}
	}
}
