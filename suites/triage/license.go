package triage

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/capture"
	"keyflow/drm/playready"
	"keyflow/drm/playready/soap"
	"keyflow/drm/playready/xmr"
	"keyflow/drm/widevine"
	"keyflow/drm/widevine/wire"
)

// license is what can be read of a license without its keys.
type license struct {
	kids           []drm.KID
	play           bool
	persist, renew bool
	begins, ends   time.Time     // zero: no bound
	lasts          time.Duration // 0: no end
	negative       bool
	renewAfter     time.Duration
	retryEvery     time.Duration
	demands        []string // of outputs
}

// licenses reads the licenses of the answer, none if there are none that can be read.
func (w *walk) licenses() []license {
	if !w.message.has || !w.message.Answer || w.message.Refusal {
		return nil
	}
	if w.message.System == drm.PlayReady {
		return playReadyLicenses(w.message.Body)
	}
	l, good := widevineLicense(w.message.Body)
	if !good {
		return nil
	}
	return []license{l}
}

// asked are the KIDs that the request names.
func (w *walk) asked() []drm.KID {
	c, err := captured(w.first.request)
	if err != nil {
		return nil
	}
	return c.KIDs
}

// captured reads a license request.
func captured(m capture.Message) (drm.Captured, error) {
	if m.System == drm.PlayReady {
		return playready.Capture(m.Body)
	}
	return widevine.Capture(m.Body)
}

func widevineLicense(body []byte) (license, bool) {
	envelope, l := new(wire.SignedMessage), new(wire.License)
	if proto.Unmarshal(body, envelope) != nil || envelope.GetType() != wire.SignedMessage_LICENSE || proto.Unmarshal(envelope.GetMsg(), l) != nil {
		return license{}, false
	}
	p := l.GetPolicy()
	out := license{
		play: p.GetCanPlay(), persist: p.GetCanPersist(), renew: p.GetCanRenew(), lasts: seconds(p.GetLicenseDurationSeconds()),
		negative:   p.GetLicenseDurationSeconds() < 0 || p.GetPlaybackDurationSeconds() < 0 || p.GetRentalDurationSeconds() < 0,
		renewAfter: seconds(p.GetRenewalDelaySeconds()), retryEvery: seconds(p.GetRenewalRetryIntervalSeconds()),
	}
	if start := l.GetLicenseStartTime(); start > 0 && start < 1e11 {
		out.begins = time.Unix(start, 0).UTC()
		if out.lasts > 0 {
			out.ends = out.begins.Add(out.lasts)
		}
	}
	for _, k := range l.GetKey() {
		kid, good := drm.KIDFromBytes(k.GetId())
		if good && (k.GetType() == wire.License_KeyContainer_CONTENT || k.GetType() == wire.License_KeyContainer_OEM_CONTENT) {
			out.kids = append(out.kids, kid)
		}
		if hdcp := k.GetRequiredProtection().GetHdcp(); hdcp != wire.HDCP_HDCP_NONE {
			out.demand(hdcp.String())
		}
		for _, c := range k.GetVideoResolutionConstraints() {
			if hdcp := c.GetRequiredProtection().GetHdcp(); hdcp != wire.HDCP_HDCP_NONE {
				out.demand(hdcp.String() + " from a resolution on")
			}
		}
	}
	return out, true
}

func seconds(n int64) time.Duration {
	return time.Duration(min(max(n, 0), 1e9)) * time.Second
}

func (l *license) demand(what string) {
	if !slices.Contains(l.demands, what) && len(l.demands) < 10 {
		l.demands = append(l.demands, what)
	}
}

func playReadyLicenses(body []byte) []license {
	a, err := soap.ParseAnswer(body)
	if err != nil {
		return nil
	}
	var all []license
	for _, raw := range a.Response.Licenses[:min(len(a.Response.Licenses), 256)] {
		x, err := xmr.Parse(raw)
		if err != nil {
			continue
		}
		l := license{kids: []drm.KID{x.KID}, play: x.CanPlay, persist: !x.CannotPersist, begins: x.Begin, ends: x.End, lasts: x.FirstPlay}
		for _, item := range x.DigitalVideo {
			if item.ID == xmr.HDCPType1 {
				l.demand("HDCP type 1")
			}
		}
		if o := x.Output; o != nil && o.UncompressedVideo > 250 {
			l.demand(fmt.Sprintf("protection level %d of uncompressed video", o.UncompressedVideo))
		}
		all = append(all, l)
	}
	return all
}

// The reasons of the steps about keys and policy, beside those of the platforms.
const (
	reasonKIDMissing drm.Reason = "kid-missing"
	reasonKIDSwapped drm.Reason = "kid-byte-order"
	reasonShort      drm.Reason = "license-too-short"
	reasonPersist    drm.Reason = "persist-mismatch"
)

// keyReasons and policyReasons are findings of a judge that belong to these steps; all others are about the structure.
var (
	keyReasons    = []drm.Reason{widevine.ReasonNoContentKeys, widevine.ReasonKIDLength, widevine.ReasonKeyType, playready.ReasonKeyType}
	policyReasons = []drm.Reason{widevine.ReasonCannotPlay, widevine.ReasonNegativeTime, playready.ReasonNotYetValid, playready.ReasonExpired, playready.ReasonWindow}
)

// bindingReasons are findings that say that the answer is one to another request. They are told after the KIDs, which say more.
var bindingReasons = []drm.Reason{widevine.ReasonRequestID, playready.ReasonRightsID, playready.ReasonNonce}

// keys is the step of the KIDs: those of the license beside those that were asked for.
func (w *walk) keys() outcome {
	if f := w.finding(keyReasons); f != nil {
		return failed(f.Reason, f.Expected, f.Seen, "the license gives no key that a player can use")
	}
	licenses := w.licenses()
	if len(licenses) == 0 {
		return notShown("no license that can be read")
	}
	var given []drm.KID
	for _, l := range licenses {
		given = append(given, l.kids...)
	}
	asked := w.asked()
	switch {
	case len(given) == 0:
		return failed(reasonKIDMissing, "content keys", "a license without any", "the service granted nothing: entitlement, or keys that were not ingested")
	case len(asked) == 0 && w.first.Request.Lost != "":
		return notShown("KIDs %s came; which were asked for is not known, as the request's body is lost: %s", drm.JoinKIDs(given), w.first.Request.Lost)
	case len(asked) == 0:
		return ok("KIDs %s; the request names none", drm.JoinKIDs(given))
	}
	lacking := slices.DeleteFunc(slices.Clone(asked), func(k drm.KID) bool { return slices.Contains(given, k) })
	switch swapped := slices.ContainsFunc(lacking, func(k drm.KID) bool { return slices.Contains(given, swap(k)) }); {
	case swapped:
		return failed(reasonKIDSwapped, "KID "+drm.JoinKIDs(asked), drm.JoinKIDs(given)+": the same in another byte order",
			"the KID was stored or sent in the order of a GUID where that of a UUID was due, or the other way round (RW-11)")
	case len(lacking) == len(asked):
		return failed(reasonKIDMissing, "KID "+drm.JoinKIDs(asked), "a license for "+drm.JoinKIDs(given),
			"the license is for other content: compare the content id or KID that the player, the token and the packager use; does a cache answer (RW-07, RW-29)?")
	}
	if f := w.finding(bindingReasons); f != nil {
		return failed(f.Reason, f.Expected, f.Seen, "the answer belongs to another request: a cache that ignores the body, or answers that are mixed up under load (RW-29)")
	}
	if len(lacking) > 0 {
		return ok("KIDs %s; not %s, which the service may withhold by policy", drm.JoinKIDs(given), drm.JoinKIDs(lacking))
	}
	return ok("KIDs %s, all that were asked for", drm.JoinKIDs(asked))
}

// swap turns the byte order of a UUID into that of a GUID, and back.
func swap(k drm.KID) drm.KID {
	return drm.KID{k[3], k[2], k[1], k[0], k[5], k[4], k[7], k[6], k[8], k[9], k[10], k[11], k[12], k[13], k[14], k[15]}
}

// shortest is how long a license must last at least that cannot be renewed (sheet providers.md RW-21).
const shortest = time.Minute

// policy is the step of what the license allows, at the time that it arrived.
func (w *walk) policy() outcome {
	if f := w.finding(policyReasons); f != nil {
		return failed(f.Reason, f.Expected, f.Seen, "compare the policy with what the provider was asked for, and the clocks")
	}
	var told []string
	licenses := w.licenses()
	if len(licenses) == 0 {
		return notShown("no license that can be read")
	}
	offline := w.offline()
	for _, l := range licenses {
		arrived := w.final().ended()
		switch {
		case !l.play:
			return failed(widevine.ReasonCannotPlay, "a right to play", "none", "the policy allows no playback: ask the provider which rule makes it so")
		case l.negative:
			return failed(widevine.ReasonNegativeTime, "durations from 0 on", "a negative one", "the service computes the end of the license wrongly")
		case !l.ends.IsZero() && !arrived.IsZero() && !arrived.Before(l.ends):
			return failed(playready.ReasonExpired, "a license that has not ended", fmt.Sprintf("it ended %v before it arrived", arrived.Sub(l.ends).Round(time.Second)),
				"a cached answer, a clock, or an end date of the content that has passed (RW-22, RW-27)")
		case !l.begins.IsZero() && !arrived.IsZero() && l.begins.Sub(arrived) > clockTolerance:
			return failed(playready.ReasonNotYetValid, "a license that has begun", fmt.Sprintf("it begins %v after it arrived", l.begins.Sub(arrived).Round(time.Second)), "compare the clocks of the service and of the player")
		case l.lasts > 0 && l.lasts < shortest && !l.renew:
			return failed(reasonShort, fmt.Sprintf("%v at least, or a license that may be renewed", shortest), fmt.Sprintf("%v", l.lasts), "playback ends when the license does (RW-21): ask for a longer one, or for renewals")
		case offline && !l.persist:
			return failed(reasonPersist, "a license that may be kept", "one that must stay in memory", "a persistent license was asked for and is not granted (RW-23): entitlement, or the policy of the token")
		}
		told = append(told, l.text(arrived))
	}
	slices.Sort(told)
	return ok("%s", strings.Join(slices.Compact(told), "; "))
}

// text tells a policy.
func (l license) text(arrived time.Time) string {
	var parts []string
	switch {
	case !l.ends.IsZero() && !arrived.IsZero():
		parts = append(parts, fmt.Sprintf("ends %v after it arrived", l.ends.Sub(arrived).Round(time.Minute)))
	case l.lasts > 0:
		parts = append(parts, fmt.Sprintf("lasts %v", l.lasts))
	default:
		parts = append(parts, "no end")
	}
	if l.persist {
		parts = append(parts, "may be kept")
	}
	if len(l.demands) > 0 {
		parts = append(parts, "demands "+strings.Join(l.demands, ", "))
	}
	return strings.Join(parts, ", ")
}

// offline reports whether a Widevine request asks for a license to keep.
func (w *walk) offline() bool {
	m := w.first.request
	if m.System != drm.Widevine || m.Kind != drm.KindLicense || m.Answer {
		return false
	}
	envelope, q := new(wire.SignedMessage), new(wire.LicenseRequest)
	if proto.Unmarshal(m.Body, envelope) != nil || proto.Unmarshal(envelope.GetMsg(), q) != nil {
		return false
	}
	return q.GetContentId().GetWidevinePsshData().GetLicenseType() == wire.LicenseType_OFFLINE
}
