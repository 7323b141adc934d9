package triage_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/fakes"
	"keyflow/reports"
	"keyflow/suites"
	"keyflow/suites/matrix"
	"keyflow/suites/triage"
)

func read(t *testing.T, archive []byte, o triage.Options) *reports.Triage {
	t.Helper()
	r, err := triage.Read(bytes.NewReader(archive), o)
	if err != nil {
		t.Fatal(err)
	}
	return r.Triage
}

func widevineTarget(t *testing.T, faults ...string) *suites.Target {
	_, target := matrix.Start(t, "cenc-1key", faults...)
	return target
}

func playReadyTarget(t *testing.T, faults ...string) *suites.Target {
	_, target := matrix.StartPlayReady(t, "cenc-1key", faults...)
	return target
}

// licensed records one acquisition.
func licensed(t *testing.T, target *suites.Target) *player {
	return newPlayer(t, target).asks(drm.KindLicense)
}

// renewable is a target whose licenses are renewed after a minute.
func renewable(t *testing.T, faults ...string) *suites.Target {
	_, target := matrix.StartWidevineWith(t, "cenc-1key", fakes.WidevineOptions{Renewable: true}, faults...)
	return target
}

// mixed asks for one content, and a proxy on the way sends a request for other content in its place.
func mixed(t *testing.T, sent, other *suites.Target) *player {
	wrong := newPlayer(t, other)
	m, err := wrong.session.Request(t.Context(), drm.KindLicense)
	if err != nil {
		t.Fatal(err)
	}
	sent.Profile = other.Profile
	p := newPlayer(t, sent)
	p.forward = func([]byte) []byte { return m.Body }
	return p.asks(drm.KindLicense)
}

// TestFirstFailingStep records acquisitions that are broken in one way each, and wants the step named at which they failed.
func TestFirstFailingStep(t *testing.T) {
	t.Parallel()
	type want struct {
		step, reason string // "" for none
		seen, hint   string
	}
	none := want{}
	for name, c := range map[string]struct {
		make    func(t *testing.T) *player
		profile string // the archive is read with the target's profile
		want    want
	}{
		"good, Widevine": {func(t *testing.T) *player {
			return newPlayer(t, widevineTarget(t)).asks(drm.KindCertificate).asks(drm.KindLicense)
		}, "", none},
		"good, PlayReady": {func(t *testing.T) *player { return licensed(t, playReadyTarget(t)) }, "", none},
		"good, renewed": {func(t *testing.T) *player {
			p := licensed(t, renewable(t))
			p.later(time.Minute)
			p.asks(drm.KindRenewal)
			p.later(time.Hour)
			return p
		}, "", none},
		"preflight refused, Widevine":   {func(t *testing.T) *player { return licensed(t, widevineTarget(t, "cors-preflight-404")) }, "", want{"preflight", "preflight-status", "HTTP 404", "OPTIONS"}},
		"preflight refused, PlayReady":  {func(t *testing.T) *player { return licensed(t, playReadyTarget(t, "cors-preflight-401")) }, "", want{"preflight", "preflight-status", "HTTP 401", "OPTIONS"}},
		"header not allowed, Widevine":  {func(t *testing.T) *player { return licensed(t, widevineTarget(t, "cors-omit-one-header")) }, "", want{"preflight", "cors-headers", "Access-Control-Allow-Headers: ", "Access-Control-Allow-Headers"}},
		"header not allowed, PlayReady": {func(t *testing.T) *player { return licensed(t, playReadyTarget(t, "cors-omit-one-header")) }, "", want{"preflight", "cors-headers", "Access-Control-Allow-Headers: ", "Access-Control-Allow-Headers"}},
		"token expired, Widevine": {func(t *testing.T) *player {
			_, target := matrix.StandIn(t, "cenc-1key", "drmtoday-widevine-staging", "")
			return newPlayer(t, target, provider.Forgery{Begin: -20 * time.Minute, End: -20 * time.Minute}).asks(drm.KindLicense)
		}, "", want{"code", "token-expired", "the token in header X-Dt-Auth-Token expired 15m", "fresh token"}},
		"token expired, PlayReady": {func(t *testing.T) *player {
			_, target := matrix.StandIn(t, "cenc-1key", "axinom-playready", "token-in-header")
			return newPlayer(t, target, provider.Forgery{Begin: -2 * time.Hour, End: -2 * time.Hour}).asks(drm.KindLicense)
		}, "read with it", want{"code", "auth_expired", "which the profile calls auth_expired", "fresh one"}},
		"HTML with 200, Widevine":  {func(t *testing.T) *player { return licensed(t, widevineTarget(t, "html-200@operation=license")) }, "", want{"edge", "html-answer", "HTTP 200 with an HTML page", "login"}},
		"HTML with 200, PlayReady": {func(t *testing.T) *player { return licensed(t, playReadyTarget(t, "html-200@operation=license")) }, "", want{"edge", "html-answer", "HTTP 200 with an HTML page", "login"}},
		"wrong unwrapping, Widevine": {func(t *testing.T) *player {
			_, target := matrix.StandIn(t, "cenc-1key", "drmtoday-widevine-staging", "")
			return licensed(t, target)
		}, "", want{"form", "license-wrapped", "a license in JSON $.license, base64", "take it out of JSON $.license"}},
		"wrapped, and unwrapped by the profile": {func(t *testing.T) *player {
			_, target := matrix.StandIn(t, "cenc-1key", "drmtoday-widevine-staging", "")
			return licensed(t, target)
		}, "read with it", none},
		"raw where JSON was asked for": {func(t *testing.T) *player {
			_, target := matrix.StandIn(t, "cenc-1key", "drmtoday-widevine-staging", "", "raw-when-json-asked")
			return licensed(t, target)
		}, "read with it", want{"form", "answer-form", "which holds a widevine license", "RW-02"}},
		"wrong unwrapping, PlayReady": {func(t *testing.T) *player {
			p := newPlayer(t, playReadyTarget(t))
			p.back = func(b []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(b)) }
			return p.asks(drm.KindLicense)
		}, "", want{"form", "license-wrapped", "a license in base64", "take it out of base64"}},
		"SOAP fault in 200": {func(t *testing.T) *player {
			p := newPlayer(t, playReadyTarget(t, "pr-fault-200"))
			p.forward = func(b []byte) []byte {
				return bytes.Replace(b, []byte("<DigestValue>"), []byte("<DigestValue>AAAA"), 1)
			}
			return p.asks(drm.KindLicense)
		}, "", want{"inside", "fault-in-200", "HTTP 200 with a SOAP fault 0x8004C601", "answer 500"}},
		"SOAP fault": {func(t *testing.T) *player {
			p := newPlayer(t, playReadyTarget(t))
			p.forward = func(b []byte) []byte {
				return bytes.Replace(b, []byte("<DigestValue>"), []byte("<DigestValue>AAAA"), 1)
			}
			return p.asks(drm.KindLicense)
		}, "", want{"inside", "soap-fault", "HTTP 500 with a SOAP fault 0x8004C601", "code says"}},
		"another KID, Widevine": {func(t *testing.T) *player {
			_, other := matrix.Start(t, "cenc-3key")
			return mixed(t, widevineTarget(t), other)
		}, "", want{"keys", "kid-missing", "a license for ", "other content"}},
		"another KID, PlayReady": {func(t *testing.T) *player {
			_, other := matrix.StartPlayReady(t, "cenc-3key")
			return mixed(t, playReadyTarget(t), other)
		}, "", want{"keys", "kid-missing", "a license for ", "other content"}},
		"byte order": {func(t *testing.T) *player { return licensed(t, widevineTarget(t, "wv-kid-little-endian")) }, "", want{"keys", "kid-byte-order", "another byte order", "RW-11"}},
		"renewal refused": {func(t *testing.T) *player {
			p := licensed(t, renewable(t, "wv-renewal-refused"))
			p.later(time.Minute)
			return p.asks(drm.KindRenewal)
		}, "", want{"renewal", "http-status", "failed at status: HTTP 403", "RW-20"}},
		"renewal never sent": {func(t *testing.T) *player {
			p := licensed(t, renewable(t))
			p.later(10 * time.Minute)
			return p
		}, "", want{"renewal", "renewal-never-sent", "goes on for 10m0s", "license-renewal"}},
		"redirect that became a GET": {func(t *testing.T) *player { return licensed(t, widevineTarget(t, "redirect-302-drops-body")) }, "", want{"redirect", "redirect-lost-method", "HTTP 302 to ", "TR-07"}},
		"redirect that keeps all":    {func(t *testing.T) *player { return licensed(t, widevineTarget(t, "redirect-307")) }, "", none},
		"status 201":                 {func(t *testing.T) *player { return licensed(t, widevineTarget(t, "status-201")) }, "", want{"status", "status-not-200", "HTTP 201", "TR-08"}},
		"content type refused":       {func(t *testing.T) *player { return licensed(t, widevineTarget(t, "ct-strict-415")) }, "", want{"status", "http-status", "HTTP 415", "TR-05"}},
		"connection reset": {func(t *testing.T) *player {
			return licensed(t, widevineTarget(t, "connection-reset@operation=license"))
		}, "", want{"network", "connection-reset", "net::ERR_CONNECTION_RESET", "cuts"}},
		"seven seconds": {func(t *testing.T) *player { return licensed(t, widevineTarget(t, "duration-7s")) }, "", want{"policy", "license-too-short", "7s", "RW-21"}},
		"begins later":  {func(t *testing.T) *player { return licensed(t, playReadyTarget(t, "pr-begin-in-future")) }, "", want{"policy", "license-not-yet-valid", "it begins ", "clocks"}},
		"expired on arrival": {func(t *testing.T) *player {
			p := newPlayer(t, widevineTarget(t))
			p.offset = 24 * time.Hour
			return p.asks(drm.KindLicense)
		}, "", want{"policy", "license-expired", "it ended ", "cached"}},
		"certificate in place of a license": {func(t *testing.T) *player {
			p := newPlayer(t, widevineTarget(t))
			p.forward = func([]byte) []byte { return []byte{8, 4} }
			return p.asks(drm.KindLicense)
		}, "", want{"form", "certificate-instead-of-license", "a service certificate", "RW-03"}},
		"certificate refused": {func(t *testing.T) *player {
			return newPlayer(t, widevineTarget(t, "wv-cert-refused")).asks(drm.KindCertificate).asks(drm.KindLicense)
		}, "", want{"status", "http-status", "HTTP 400", "content type"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := c.make(t)
			var o triage.Options
			if c.profile != "" {
				o.Profiles = map[drm.System]*provider.Profile{p.target.Profile.DRM: p.target.Profile}
			}
			got := read(t, p.archive(), o)
			text, _ := json.MarshalIndent(got, "", " ")
			if len(got.Sessions) != 1 {
				t.Fatalf("%d sessions: %s", len(got.Sessions), text)
			}
			cause := got.Sessions[0].Cause
			if c.want == none {
				if cause != nil || got.Exit() != reports.ExitOK {
					t.Fatalf("want no failure: %s", text)
				}
				return
			}
			if cause == nil || cause.Step != c.want.step || cause.Reason != c.want.reason || !strings.Contains(cause.Seen, c.want.seen) || !strings.Contains(cause.Hint, c.want.hint) || got.Exit() != reports.ExitFailed {
				t.Fatalf("want %+v, have %+v\n%s", c.want, cause, text)
			}
		})
	}
}
