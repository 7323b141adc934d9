package fakes_test

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/bcert"
	"keyflow/drm/playready/soap"
	"keyflow/drm/playready/xmr"
	"keyflow/fakes"
)

// prFaultWith is the test of a fault that acts on a server with options, on another operation, or on some of its requests.
type prFaultWith struct {
	prFault
	options   fakes.Options
	operation drm.Kind // "" is license
	rare      bool
}

var (
	persistentByDefault = fakes.Options{PlayReady: fakes.PlayReadyOptions{Persistent: true}}
	acknowledging       = fakes.Options{PlayReady: fakes.PlayReadyOptions{Acknowledgements: true}}
)

// prOutput are levels of which every one is allowed, and none in another's place but the analog one (sheet playready.md §9.2).
var prOutput = xmr.OutputProtection{CompressedVideo: 500, UncompressedVideo: 270, AnalogVideo: 150, CompressedAudio: 200, UncompressedAudio: 300}

func trackOptions(track fakes.PlayReadyTrack) fakes.Options {
	return fakes.Options{Tracks: map[drm.KID]fakes.Track{kid0: {PlayReady: track}, kid1: {PlayReady: track}}}
}

// allPlayReadyFaults has the tests of all faults of the PlayReady server.
func allPlayReadyFaults() map[string]prFaultWith {
	all := make(map[string]prFaultWith)
	for name, c := range playReadyFaults {
		all[name] = prFaultWith{prFault: c, operation: drm.KindLicense}
	}
	for name, c := range playReadyFaultsWith {
		if c.operation == "" {
			c.operation = drm.KindLicense
		}
		all[name] = c
	}
	return all
}

func acknowledging1234(*testing.T) prAsk { return prAsk{acknowledges: "1234"} }

// signed is the check of a fault in a signed response, whose licenses are right.
func signed(check func(t *testing.T, s prSpoilt, o prOpened)) func(*testing.T, prSpoilt) {
	return func(t *testing.T, s prSpoilt) {
		licenses(kid0, kid1)(t, s)
		for _, o := range s.opened(t) {
			isTrue(t, len(o.Odd) == 0)
			check(t, s, o)
		}
	}
}

var playReadyFaultsWith = map[string]prFaultWith{
	"pr-revocation-ignored": {prFault: prFault{func(t *testing.T) prAsk {
		return prAsk{device: authority(t, trusted).RevokedPlayReadyDevice()}
	}, "device-revoked", licenses(kid0, kid1)}},
	"pr-redirect": {prFault: prFault{check: func(t *testing.T, s prSpoilt) {
		f := s.fault(t, http.StatusInternalServerError)
		isTrue(t, f.Code == 0x8004C60D && f.RedirectURL == s.server.PlayReadyURL()+"?keyflow-redirected=1")
		answer, err := send(t.Context(), http.MethodPost, f.RedirectURL, s.request.header, s.request.body)
		must(t, err)
		o, err := openPlayReady(s.request, answer.body)
		isTrue(t, err == nil && answer.status == http.StatusOK && sameKIDs(o.kids(), kid0, kid1) && len(lastRecord(t, s.server).Faults) == 0)
	}}},
	"pr-redirect-empty": {prFault: prFault{check: func(t *testing.T, s prSpoilt) {
		f := s.fault(t, http.StatusInternalServerError)
		isTrue(t, f.Code == 0x8004C60D && f.RedirectURL == "" && bytes.Contains(s.answers[0].body, []byte("<RedirectUrl></RedirectUrl>")))
		isTrue(t, lastRecord(t, s.server).Reason == "redirect")
	}}},
	"pr-unknown-transaction-accepted": {
		prFault: prFault{acknowledging1234, "transaction-id", func(t *testing.T, s prSpoilt) {
			for _, a := range s.answers {
				isTrue(t, a.status == http.StatusOK && bytes.Equal(a.body, soap.AcknowledgementResponseBody("1234")))
			}
		}}, options: acknowledging, operation: drm.KindAcknowledgement},
	"pr-settings-inverted": {prFault: prFault{check: func(t *testing.T, s prSpoilt) {
		each(func(_ prSpoilt, l prLicense) bool { return !l.CannotPersist && l.Outer.Find(xmr.TypeSettings) == nil })(t, s)
		isTrue(t, s.opened(t)[0].Signature == nil && sameBytes(s.opened(t)[0].licenses[0].RightsID, s.request.nonce))
	}}},
	"pr-real-time-missing": {prFault: prFault{check: each(func(_ prSpoilt, l prLicense) bool {
		return l.Outer.Find(xmr.TypeRealTimeExpiry) == nil && !l.RealTimeExpiration && l.CannotPersist && !l.End.IsZero()
	})}},
	"pr-first-play-missing": {prFault: prFault{check: each(func(_ prSpoilt, l prLicense) bool {
		return l.FirstPlay == 0 && l.Outer.Find(xmr.TypeFirstPlay) == nil && l.RealTimeExpiration && !l.End.IsZero()
	})}, options: trackOptions(fakes.PlayReadyTrack{FirstPlay: time.Hour})},
	"pr-output-order": {prFault: prFault{check: each(func(_ prSpoilt, l prLicense) bool {
		want := xmr.OutputProtection{CompressedVideo: 300, UncompressedVideo: 200, AnalogVideo: 150, CompressedAudio: 270, UncompressedAudio: 500}
		return l.Output != nil && *l.Output == want
	})}, options: trackOptions(fakes.PlayReadyTrack{Output: &prOutput})},
	"pr-minimal-integers": {rare: true, prFault: prFault{check: func(t *testing.T, s prSpoilt) {
		for _, a := range s.answers {
			answer, err := soap.ParseAnswer(a.body)
			must(t, err)
			short := shortened(t, answer)
			isTrue(t, len(answer.Response.Licenses) == 2 && len(short) > 0)
			for _, l := range short {
				_, _, err := l.Unwrap(s.request.device.EncryptionKey())
				isTrue(t, err != nil && slices.Contains([]drm.KID{kid0, kid1}, l.KID))
				unwrapsPadded(t, s, l)
			}
		}
	}}},
	"pr-cacheable": {prFault: prFault{check: func(t *testing.T, s prSpoilt) {
		licenses(kid0, kid1)(t, s)
		isTrue(t, s.answers[0].header.Get("Cache-Control") == "public, max-age=3600")
	}}},
	"pr-nonce-of-another": {prFault: prFault{check: signed(func(t *testing.T, s prSpoilt, o prOpened) {
		o.verifySigned(t, s.server.Authority().PlayReadyRoot())
		isTrue(t, len(unb64(t, o.Response.Nonce)) == 16 && o.Response.Nonce != b64(s.request.nonce))
	})}, options: persistentByDefault},
	"pr-response-unsigned": {prFault: prFault{check: signed(func(t *testing.T, s prSpoilt, o prOpened) {
		isTrue(t, o.Signature == nil && o.ID == "" && len(o.Response.ResponseID) == 0 && len(o.Response.SigningChain) == 0)
		isTrue(t, o.Response.Nonce == b64(s.request.nonce) && !o.licenses[0].CannotPersist)
	})}, options: persistentByDefault},
	"pr-response-id-constant": {prFault: prFault{check: func(t *testing.T, s prSpoilt) {
		signed(func(t *testing.T, s prSpoilt, o prOpened) { o.verifySigned(t, s.server.Authority().PlayReadyRoot()) })(t, s)
		o := s.opened(t)
		isTrue(t, len(o[0].Response.ResponseID) == 32 && bytes.Equal(o[0].Response.ResponseID, o[1].Response.ResponseID))
		isTrue(t, !bytes.Equal(o[0].Response.ResponseID[:16], o[0].Response.ResponseID[16:]))
	}}, options: persistentByDefault},
	"pr-response-signer-foreign": {prFault: prFault{check: signed(func(t *testing.T, s prSpoilt, o prOpened) {
		chain, err := bcert.Parse(o.Response.SigningChain)
		must(t, err)
		isReason(t, chain.Verify(s.server.Authority().PlayReadyRoot(), prNow()), bcert.ReasonRoot)
		o.verifySigned(t, chain.Certificates[len(chain.Certificates)-1].Issuer)
	})}, options: persistentByDefault},
	"pr-response-digest": {prFault: prFault{check: signed(func(t *testing.T, _ prSpoilt, o prOpened) {
		chain, err := bcert.Parse(o.Response.SigningChain)
		must(t, err)
		key, ok := chain.Leaf().Key(bcert.UsageSignResponse)
		isTrue(t, ok && o.Signature.Verifies(key) && !o.Signature.DigestMatches())
		isTrue(t, bytes.Equal(soap.Digest(strings.Replace(o.Text, "\n", "", 1)), o.Signature.Digest))
	})}, options: persistentByDefault},
	"pr-transaction-id-constant": {prFault: prFault{check: func(t *testing.T, s prSpoilt) {
		licenses(kid0, kid1)(t, s)
		o := s.opened(t)
		_, err := drm.ParseKID(o[0].Response.Transaction)
		isTrue(t, err == nil && o[0].Response.Transaction == o[1].Response.Transaction)
		acknowledge(t, s.server, o[0].Response.Transaction) // it was handed out
	}}, options: acknowledging},
}

// shortened returns the licenses whose encrypted key has fewer than 128 bytes.
func shortened(t *testing.T, a *soap.Answer) []*xmr.License {
	t.Helper()
	var short []*xmr.License
	for _, raw := range a.Response.Licenses {
		l, err := xmr.Parse(raw)
		must(t, err)
		if len(l.EncryptedKey) < 128 {
			short = append(short, l)
		}
	}
	return short
}

// unwrapsPadded puts zeros back where they can stand: with them in the right place the license is right but for its length.
func unwrapsPadded(t *testing.T, s prSpoilt, l *xmr.License) {
	t.Helper()
	if len(l.EncryptedKey) != 127 {
		return // more than one coordinate is short, which happens in one license of 10,000
	}
	for at := 0; at < 128; at += 32 {
		padded := *l
		padded.EncryptedKey = slices.Insert(slices.Clone(l.EncryptedKey), at, 0)
		if integrity, content, err := padded.Unwrap(s.request.device.EncryptionKey()); err == nil && l.Verify(integrity) {
			isTrue(t, content.Equal(s.right(l.KID)))
			return
		}
	}
	t.Error("no coordinate lacks a zero")
}

// TestPlayReadyMinimalIntegers counts how many licenses that fault spoils: of 4,096 some 128, and 11 more or less are usual. Half of
// them would be spoilt without looking for any.
func TestPlayReadyMinimalIntegers(t *testing.T) {
	t.Parallel()
	kids := make([]drm.KID, 16)
	for i := range kids {
		kids[i] = drm.KID{byte(i), 7}
	}
	s := startPlayReady(t, fakes.Options{AnyKID: true, Faults: fakes.Named("pr-minimal-integers")})
	r := prAsk{header: header42(kids...)}.make(t)
	spoilt, acted := 0, uint64(0)
	for range 256 {
		answer, err := soap.ParseAnswer(r.direct(s).body)
		must(t, err)
		short := shortened(t, answer)
		isTrue(t, len(answer.Response.Licenses) == 16)
		if len(short) > 0 {
			acted++
		}
		spoilt += len(short)
	}
	if spoilt < 84 || spoilt > 180 || s.Exercised("pr-minimal-integers") != acted {
		t.Errorf("%d of 4096 licenses, in %d answers, of which %d are counted", spoilt, acted, s.Exercised("pr-minimal-integers"))
	}
}
