package fakes_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/widevine/wire"
	"keyflow/fakes"
)

// TestTracks has keys that are granted in different ways.
func TestTracks(t *testing.T) {
	t.Parallel()
	offline := func(m *wire.LicenseRequest) {
		m.GetContentId().GetWidevinePsshData().LicenseType = wire.LicenseType_OFFLINE.Enum()
	}
	s := start(t, fakes.Options{
		TrackLabels: map[drm.KID]string{kid0: "SD", kid1: "overruled"},
		Policy:      &drm.Policy{CanPlay: true, CanPersist: true, License: 3 * time.Hour, Rental: time.Hour},
		Tracks: map[drm.KID]fakes.Track{
			kid0: {HDCP: wire.HDCP_HDCP_V1},
			kid1: {
				Label: "UHD", Level: wire.License_KeyContainer_HW_SECURE_ALL, HDCP: wire.HDCP_HDCP_V2_2, MinSecurity: 3,
				Policy: &drm.Policy{CanPlay: true, License: time.Hour, Playback: time.Minute, Rental: 2 * time.Hour},
			},
		},
	})
	o := getLicense(t, s, ask{edit: offline})
	sd, uhd := o.content()[0], o.content()[1]
	isTrue(t, sd.GetTrackLabel() == "SD" && sd.GetLevel() == wire.License_KeyContainer_SW_SECURE_CRYPTO && sd.GetRequiredProtection().GetHdcp() == wire.HDCP_HDCP_V1)
	isTrue(t, uhd.GetTrackLabel() == "UHD" && uhd.GetLevel() == wire.License_KeyContainer_HW_SECURE_ALL && uhd.GetRequiredProtection().GetHdcp() == wire.HDCP_HDCP_V2_2)
	p := o.license.GetPolicy() // the strictest of both
	isTrue(t, p.GetCanPlay() && !p.GetCanPersist() && o.license.GetId().GetType() == wire.LicenseType_STREAMING)
	isTrue(t, p.GetLicenseDurationSeconds() == 3600 && p.GetPlaybackDurationSeconds() == 60 && p.GetRentalDurationSeconds() == 3600)
	swapped := getLicense(t, s, ask{pssh: [][]byte{psshData(kid1, kid0)}, edit: offline}).license.GetPolicy()
	isTrue(t, proto.Equal(p, swapped))

	alone := getLicense(t, s, ask{pssh: [][]byte{psshData(kid0)}, edit: offline}).license // the server's
	p = alone.GetPolicy()
	isTrue(t, p.GetCanPersist() && alone.GetId().GetType() == wire.LicenseType_OFFLINE)
	isTrue(t, p.GetLicenseDurationSeconds() == 3*3600 && p.PlaybackDurationSeconds == nil)
	alone = getLicense(t, s, ask{pssh: [][]byte{psshData(kid1)}, edit: offline}).license // its own
	isTrue(t, !alone.GetPolicy().GetCanPersist() && alone.GetPolicy().GetRentalDurationSeconds() == 7200)
}

// TestRenewableTracks has a policy that renews beside one that doesn't.
func TestRenewableTracks(t *testing.T) {
	t.Parallel()
	renewable := drm.Policy{CanPlay: true, CanRenew: true, License: time.Hour, RenewAfter: time.Minute, RetryEvery: time.Second, RenewalURL: "https://renew.example/"}
	s := start(t, fakes.Options{Tracks: map[drm.KID]fakes.Track{kid0: {Policy: &renewable}}})
	alone := getLicense(t, s, ask{pssh: [][]byte{psshData(kid0)}})
	isTrue(t, alone.license.GetPolicy().GetCanRenew() && alone.license.GetKey()[0].GetType() == wire.License_KeyContainer_SIGNING)
	both := getLicense(t, s, ask{pssh: [][]byte{psshData(kid1, kid0)}})
	p := both.license.GetPolicy()
	isTrue(t, !p.GetCanRenew() && len(both.license.GetKey()) == 2 && p.GetRenewalServerUrl() == "https://renew.example/" && p.GetRenewalDelaySeconds() == 60)
}

// TestSecurityLevels is row WV-KEY-12: a harness device is L3 and gets no key that is for better ones.
func TestSecurityLevels(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{Tracks: map[drm.KID]fakes.Track{kid1: {MinSecurity: 1}}})
	keys := getLicense(t, s, ask{}).contentKeys(t)
	isTrue(t, len(keys) == 1 && keys[kid0].Len() == 16)
	answer := post(t, s, ask{pssh: [][]byte{psshData(kid1)}}.make(t).body)
	isTrue(t, answer.status == 403)
	checkRefusal(t, answer, 0)
	records := s.Requests()
	isTrue(t, records[1].Reason == "security-level" && len(records[1].Granted) == 0 && len(records[0].Granted) == 1)
}

func TestTracksRefused(t *testing.T) {
	t.Parallel()
	for want, track := range map[string]fakes.Track{
		"security level 6":        {Level: 6},
		"security level -1":       {Level: -1},
		"device security level 4": {MinSecurity: 4},
		"HDCP version 9":          {HDCP: 9},
		"negative duration":       {Policy: &drm.Policy{RetryEvery: -1}},
	} {
		_, err := fakes.Start(t.Context(), fakes.Options{Authority: authority(t, trusted), Tracks: map[drm.KID]fakes.Track{kid0: track}})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), kid0.String()) {
			t.Errorf("%v, want %q and the KID in it", err, want)
		}
	}
}
