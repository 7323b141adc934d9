package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"

	"keyflow/drm"
	"keyflow/drm/har"
	"keyflow/drm/secret"
	"keyflow/drm/widevine"
	"keyflow/drm/widevine/wire"
)

// maxContainers is how many key containers of a license are shown.
const maxContainers = 1000

func (v *inspectedMessage) readLicense(msg []byte) {
	l := new(wire.License)
	err := readProto(msg, l)
	v.problemIn("License", err)
	if len(msg) == 0 {
		v.problemIn("License", errNoMessage)
		return
	}
	view := &inspectedWVLicense{
		Partly: err != nil, Start: timeView(l.LicenseStartTime), Attested: l.RemoteAttestationVerified, ClientToken: len(l.GetProviderClientToken()),
		SRM: srmText(l.GetSrmRequirement()), SRMUpdate: len(l.GetSrmUpdate()), Verification: enumStated(l.PlatformVerificationStatus),
		Keys: []inspectedKeyBox{}, KeyContainers: len(l.GetKey()),
	}
	v.Widevine.License = view
	v.Widevine.unknown("License", l.ProtoReflect())
	if l.Id != nil {
		view.ID = licenseIDView(l.GetId())
	}
	if l.Policy != nil {
		view.Policy = widevinePolicyView(l.GetPolicy())
	}
	if l.ProtectionScheme != nil {
		view.Scheme = schemeText(l.GetProtectionScheme())
	}
	for _, g := range l.GetGroupIds()[:min(len(l.GetGroupIds()), maxListed)] {
		view.GroupIDs = append(view.GroupIDs, idText(g))
	}
	ivs := map[string]int{}
	for i, k := range l.GetKey()[:min(len(l.GetKey()), maxContainers)] {
		box := keyBoxView(k, err != nil && i == len(l.GetKey())-1) // if one is cut off, it is the last
		if len(k.GetIv()) > 0 {
			if first, seen := ivs[string(k.GetIv())]; seen {
				box.Remarks = append(box.Remarks, fmt.Sprintf("the IV is that of key %d: each container needs its own", first+1))
			} else {
				ivs[string(k.GetIv())] = i
			}
		}
		view.Keys = append(view.Keys, box)
	}
}

func widevinePolicyView(p *wire.License_Policy) *inspectedWVPolicy {
	return &inspectedWVPolicy{
		CanPlay: p.CanPlay, CanPersist: p.CanPersist, CanRenew: p.CanRenew, Rental: p.RentalDurationSeconds, Playback: p.PlaybackDurationSeconds,
		License: p.LicenseDurationSeconds, Recovery: p.RenewalRecoveryDurationSeconds, RenewalURL: har.ShownURL(p.GetRenewalServerUrl()),
		RenewalDelay: p.RenewalDelaySeconds, RetryInterval: p.RenewalRetryIntervalSeconds, RenewWithUsage: p.RenewWithUsage,
		IncludeClientID: p.AlwaysIncludeClientId, GracePeriod: p.PlayStartGracePeriodSeconds, SoftPlayback: p.SoftEnforcePlaybackDuration,
		SoftRental: p.SoftEnforceRentalDuration,
	}
}

// srmText tells the SRM that a license demands: HDCPDATA and the lowest version (sheet widevine.md §4.10).
func srmText(b []byte) string {
	if version, ok := bytes.CutPrefix(b, []byte("HDCPDATA")); ok && len(version) == 4 {
		return fmt.Sprintf("HDCPDATA version %d", binary.BigEndian.Uint32(version))
	}
	return idText(b)
}

// schemeText tells a protection scheme, a four-character code as a number (sheet widevine.md §4.12).
func schemeText(n uint32) string {
	code := []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	known := []drm.Scheme{drm.SchemeCENC, drm.SchemeCENS, drm.SchemeCBC1, drm.SchemeCBCS}
	switch {
	case slices.Contains(known, drm.Scheme(code)):
		return string(code)
	case n == 0:
		return "0 (none)"
	}
	return fmt.Sprintf("0x%08x (not known)", n)
}

func keyBoxView(k *wire.License_KeyContainer, partly bool) inspectedKeyBox {
	v := inspectedKeyBox{
		Partly: partly,
		Type:   enumStated(k.Type), IV: len(k.GetIv()), Key: len(k.GetKey()), Fingerprint: secret.FingerprintOf(k.GetKey()), Level: enumStated(k.Level),
		Track: k.GetTrackLabel(), Required: protectionView(k.RequiredProtection), Requested: protectionView(k.RequestedProtection),
		AntiRollback: k.AntiRollbackUsageTable,
	}
	if kid, ok := drm.KIDFromBytes(k.GetId()); ok {
		v.KID = &kid
	} else if len(k.GetId()) > 0 {
		v.OddID = hex.EncodeToString(k.GetId()[:min(len(k.GetId()), maxID)])
		v.Remarks = append(v.Remarks, fmt.Sprintf("the id has %d bytes, a KID has 16", len(k.GetId())))
	}
	if c := k.KeyControl; c != nil {
		v.Control = &inspectedControl{len(c.GetKeyControlBlock()), len(c.GetIv())}
	}
	if p := k.OperatorSessionKeyPermissions; p != nil {
		for _, right := range []struct {
			name string
			has  bool
		}{{"encrypt", p.GetAllowEncrypt()}, {"decrypt", p.GetAllowDecrypt()}, {"sign", p.GetAllowSign()}, {"verify signatures", p.GetAllowSignatureVerify()}} {
			if right.has {
				v.Permissions = append(v.Permissions, right.name)
			}
		}
	}
	for _, c := range k.GetVideoResolutionConstraints()[:min(len(k.GetVideoResolutionConstraints()), maxListed)] {
		v.Constraints = append(v.Constraints, inspectedConstraint{c.MinResolutionPixels, c.MaxResolutionPixels, protectionView(c.RequiredProtection)})
	}
	if !partly {
		v.judgeKey(k)
	}
	return v
}

// judgeKey says what lengths and form of a container tell without unwrapping it (sheet widevine.md §8.4).
func (v *inspectedKeyBox) judgeKey(k *wire.License_KeyContainer) {
	t := k.GetType()
	if k.Type == nil {
		v.Remarks = append(v.Remarks, "the type is not stated: it reads as 1 (SIGNING)")
	}
	if k.GetType() == wire.License_KeyContainer_KEY_CONTROL && v.Key == 0 {
		return
	}
	plain, sized := widevine.PlainLen(t)
	switch {
	case v.Key == 0:
		v.Remarks = append(v.Remarks, "there is no key in it")
	case sized && v.Key == plain+16:
		v.Means = fmt.Sprintf("as long as a key of %d bytes with padding", plain)
	case sized && v.Key == plain:
		v.Means = fmt.Sprintf("as long as a key of %d bytes without padding", plain)
		v.Remarks = append(v.Remarks, fmt.Sprintf("padding: a %v key of %d bytes has %d wrapped", t, plain, plain+16))
	case v.Key%16 != 0:
		v.Remarks = append(v.Remarks, fmt.Sprintf("%d bytes are no whole blocks of 16: they cannot be unwrapped", v.Key))
	case sized:
		v.Remarks = append(v.Remarks, fmt.Sprintf("length: a %v key of %d bytes has %d wrapped", t, plain, plain+16))
	}
	if iv := k.GetIv(); v.Key > 0 && len(iv) != 16 {
		v.Remarks = append(v.Remarks, fmt.Sprintf("the IV has %d bytes, want 16", len(iv)))
	} else if len(iv) > 0 && !slices.ContainsFunc(iv, func(b byte) bool { return b != 0 }) {
		v.Remarks = append(v.Remarks, "the IV is all zero")
	}
}

func protectionView(p *wire.License_KeyContainer_OutputProtection) *inspectedProtection {
	if p == nil {
		return nil
	}
	return &inspectedProtection{
		HDCP: enumStated(p.Hdcp), CGMS: enumStated(p.CgmsFlags), SRMRule: enumStated(p.HdcpSrmRule),
		DisableAnalog: p.DisableAnalogOutput, DisableDigital: p.DisableDigitalOutput,
	}
}
