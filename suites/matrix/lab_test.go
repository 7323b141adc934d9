package matrix_test

import (
	"slices"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/xmr"
	"keyflow/fakes"
	"keyflow/suites"
	"keyflow/suites/matrix"
)

// clientTimeout is short: faults that hang must not make the matrix slow.
const clientTimeout = 400 * time.Millisecond

// waitFor has a target's client wait for answers no longer than a fault deserves: a busy machine takes its time with others.
func waitFor(target *suites.Target, fault string) {
	target.Client.Timeout = suites.RequestTimeout
	if fault == "never-answers" || fault == "malformed-hangs" {
		target.Client.Timeout = clientTimeout
	}
}

func start(t *testing.T) (*fakes.Server, *suites.Target) {
	t.Helper()
	fake, target := matrix.Start(t, asset)
	target.Client, target.Patience, target.Soak = suites.NewClient(suites.RequestTimeout), nil, shortSoak
	return fake, target
}

func startPlayReady(t *testing.T, asset string) (*fakes.Server, *suites.Target) {
	t.Helper()
	fake, target := matrix.StartPlayReady(t, asset)
	target.Client, target.Patience, target.Soak = suites.NewClient(suites.RequestTimeout), nil, shortSoak
	return fake, target
}

// startPersistent starts a fake whose PlayReady licenses may be stored, have every limit, and are to be acknowledged.
func startPersistent(t *testing.T) (*fakes.Server, *suites.Target) {
	t.Helper()
	fake, target := matrix.StartPlayReadyWith(t, asset, fakes.PlayReadyOptions{Persistent: true, Acknowledgements: true}, fakes.PlayReadyTrack{
		Duration: time.Hour, FirstPlay: time.Minute,
		Output: &xmr.OutputProtection{CompressedVideo: 500, UncompressedVideo: 250, AnalogVideo: 150, CompressedAudio: 100, UncompressedAudio: 100},
	})
	target.Client, target.Patience, target.Soak = suites.NewClient(suites.RequestTimeout), nil, shortSoak
	return fake, target
}

// startRenewable starts a fake whose Widevine licenses may be renewed.
func startRenewable(t *testing.T) (*fakes.Server, *suites.Target) {
	t.Helper()
	fake, target := matrix.StartWidevineWith(t, asset, fakes.WidevineOptions{Renewable: true})
	target.Client, target.Patience, target.Soak = suites.NewClient(suites.RequestTimeout), nil, shortSoak
	return fake, target
}

// startTokens starts the fakes behind ExpressPlay's host names, for checks of tokens.
func startTokens(t *testing.T, variant string) (*fakes.Server, *suites.Target) {
	t.Helper()
	standIn, target := matrix.StandIn(t, asset, "expressplay-widevine-test", variant)
	return standIn.Server(), target
}

// startPlayReadyTokens is startTokens for ExpressPlay's PlayReady services.
func startPlayReadyTokens(t *testing.T) (*fakes.Server, *suites.Target) {
	t.Helper()
	standIn, target := matrix.StandIn(t, asset, "expressplay-playready-test", playReadyVariants[1])
	return standIn.Server(), target
}

// playReadyVariants are those of its PlayReady profile.
var playReadyVariants = []string{"token-in-query", "token-in-customdata", "persistent", "rental"}

// variants are the ways to attach ExpressPlay's token.
var variants = []string{"token-in-query", "token-in-header"}

func set(t *testing.T, fake *fakes.Server, fault string) {
	t.Helper()
	if err := fake.SetFaults(fakes.Named(fault)...); err != nil {
		t.Fatal(err)
	}
}

// lab is all that checks are run on, each as it was started.
type lab struct {
	plain, renewing, ctr, cbc, stored, tokens, header, prTokens, prQuery, jwt, once, microsoft, google served
}

// served is a target and the fake that serves it.
type served struct {
	fake   *fakes.Server
	target *suites.Target
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := new(lab)
	at := func(s *served, fake *fakes.Server, target *suites.Target) { *s = served{fake, target} }
	standIn := func(s *served, id, variant string) {
		started, target := matrix.StandIn(t, asset, id, variant)
		at(s, started.Server(), target)
	}
	at2 := func(s *served) func(*fakes.Server, *suites.Target) {
		return func(fake *fakes.Server, target *suites.Target) { at(s, fake, target) }
	}
	at2(&l.plain)(start(t))
	at2(&l.renewing)(startRenewable(t))
	at2(&l.ctr)(startPlayReady(t, asset))
	at2(&l.cbc)(startPlayReady(t, cbcs))
	at2(&l.stored)(startPersistent(t))
	at2(&l.tokens)(startTokens(t, variants[0]))
	at2(&l.header)(startTokens(t, variants[1]))
	at2(&l.prTokens)(startPlayReadyTokens(t))
	standIn(&l.prQuery, "expressplay-playready-test", playReadyVariants[0])
	standIn(&l.jwt, "axinom-widevine", "token-in-header")
	standIn(&l.once, "drmtoday-widevine-staging", "json-answer")
	standIn(&l.microsoft, "microsoft-playready-test", "kid-in-query")
	standIn(&l.google, "google-widevine-uat", "")
	return l
}

// where returns where a check meets one of its faults.
func (l *lab) where(c suites.Check, fault string) []served {
	switch fault {
	case "token-reuse-accepted", "raw-when-json-asked":
		return []served{l.once}
	case "customdata-missing-generic":
		return []served{l.prTokens}
	case "customdata-ignored":
		return []served{l.prQuery}
	}
	switch c.ID {
	case "AU-05", "AU-06", "AU-07":
		return []served{l.jwt, l.once}[:map[bool]int{true: 1, false: 2}[fault == "nbf-ignored"]] // DRMtoday's tokens have no beginning but their making
	case "AU-09":
		return []served{l.prTokens}
	case "SC-01":
		return []served{l.microsoft}
	}
	switch {
	case c.Area() == "TR":
		return []served{l.plain, l.ctr, l.tokens, l.prTokens}
	case c.Area() == "RW":
		return []served{l.google}
	case takesToken(c) && c.System == drm.PlayReady:
		return []served{l.prTokens}
	case takesToken(c):
		return []served{l.tokens}
	case onlyFor[c.ID] == cbcs:
		return []served{l.cbc}
	case slices.Contains(stored, c.ID):
		return []served{l.stored}
	case ofRenewable(c.ID):
		return []served{l.renewing}
	case c.System == drm.PlayReady:
		return []served{l.ctr}
	}
	return []served{l.plain}
}
