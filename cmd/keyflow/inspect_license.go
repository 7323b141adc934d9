package main

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"keyflow/drm/playready/ecc"
	"keyflow/drm/playready/xmr"
)

// keyTypes and cipherTypes are the names of sheet playready.md §9.3.
var (
	keyTypes = map[xmr.KeyType]string{
		0: "invalid", xmr.KeyAESCTR: "AES-128-CTR", 2: "RC4", 3: "AES-128-ECB", 4: "Cocktail", xmr.KeyAESCBC: "AES-128-CBC", 6: "key exchange",
	}
	cipherTypes = map[xmr.CipherType]string{
		0: "invalid", 1: "RSA-1024", xmr.CipherChained: "chained license", xmr.CipherECC256: "ECC-256", xmr.CipherScalableRoot: "ECC-256 with KZ",
		5: "TEE transient", xmr.CipherScalableLeaf: "ECC-256 via symmetric",
	}
	// guidNames are the names of the GUIDs that are well known (sheet playready.md §9.2).
	guidNames = map[xmr.GUID]string{
		xmr.HDCPType1: "HDCP type 1", xmr.MaxResolution: "maximum resolution", xmr.SCMS: "SCMS", xmr.AGCColorStripe: "AGC and color stripe",
		xmr.CGMSA: "CGMS-A", xmr.UnknownOutput: "unknown output", xmr.ConstrainedUnknownOutput: "constrained unknown output", xmr.AirPlay: "AirPlay",
	}
)

// numbered returns a number, and its name if it has one.
func numbered[N ~uint16](n N, names map[N]string) string {
	if name := names[n]; name != "" {
		return fmt.Sprintf("%d (%s)", n, name)
	}
	return fmt.Sprintf("%d (not known)", n)
}

// licenseView reads a license and tells what it says. It is never nil: with an error it has what could be read.
func licenseView(raw []byte) (*inspectedLicense, error) {
	v := &inspectedLicense{Bytes: len(raw)}
	l, err := xmr.Read(raw)
	if l == nil {
		return v, err
	}
	v.RightsID = hex.EncodeToString(l.RightsID[:])
	if l.EncryptedKey != nil {
		v.KID, v.KeyType, v.CipherType = &l.KID, numbered(l.KeyType, keyTypes), numbered(l.CipherType, cipherTypes)
		v.Form, v.EncryptedKey = l.Form(), len(l.EncryptedKey)
	}
	if l.DeviceKey != (ecc.PublicKey{}) {
		v.DeviceKey = l.DeviceKey.String()
	}
	v.Auxiliary = len(l.Auxiliary)
	switch {
	case l.Uplink != nil && l.States(xmr.TypeUplinkKID2):
		v.Root = &l.Uplink.Root
	case l.UplinkX != nil:
		v.Root = &l.UplinkX.Root
	}
	if l.Outer != nil {
		v.Policy = policyView(l, err == nil)
	}
	for _, o := range l.Unread {
		v.Unread = append(v.Unread, objectView(o))
	}
	return v, err
}

func objectView(o *xmr.Object) inspectedObj {
	v := inspectedObj{Type: fmt.Sprintf("0x%04x", uint16(o.Type)), Flags: fmt.Sprintf("0x%04x", o.Flags), Bytes: len(o.Append(nil))}
	if name := o.Type.String(); !strings.HasPrefix(name, "object 0x") {
		v.Name = name
	}
	return v
}

// policyView tells what a license states. Of one that is not whole it is not known what else it would.
func policyView(l *xmr.License, whole bool) *inspectedPolicy {
	p := &inspectedPolicy{
		RealTime: l.RealTimeExpiration, AnalogVideo: itemViews(l.AnalogVideo), DigitalAudio: itemViews(l.DigitalAudio), DigitalVideo: itemViews(l.DigitalVideo),
		PlayEnablers: enablerViews(l.PlayEnablers), CopyEnablers: enablerViews(l.CopyEnablers), MoveEnabler: l.MoveEnabler, CopyCount: l.CopyCount,
		Settings: stated(l, xmr.TypeSettings, l.Settings), SecurityLevel: stated(l, xmr.TypeSecurityLevel, l.SecurityLevel),
		Issued: stated(l, xmr.TypeIssueDate, date(l.Issued)), RemovalDate: stated(l, xmr.TypeRemovalDate, date(l.RemovalDate)),
		FirstPlay:   stated(l, xmr.TypeFirstPlay, int64(l.FirstPlay/time.Second)),
		GracePeriod: stated(l, xmr.TypeGracePeriod, int64(l.GracePeriod/time.Second)),
		Revocation:  stated(l, xmr.TypeRevocation, l.Revocation), Embedding: stated(l, xmr.TypeEmbedding, l.Embedding),
		SourceID: l.SourceID, MeteringID: hex.EncodeToString(l.MeteringID), SecureStop: hex.EncodeToString(l.SecureStop),
	}
	if whole || l.CanPlay {
		p.Play = &l.CanPlay
	}
	if whole || l.States(xmr.TypeSettings) {
		p.CannotPersist = &l.CannotPersist
	}
	if l.States(xmr.TypeExpiration) {
		p.Expiration = &inspectedSpan{bound(l.Begin), bound(l.End)}
	}
	if o := l.Output; o != nil {
		p.Output = &inspectedOutput{o.CompressedVideo, o.UncompressedVideo, o.AnalogVideo, o.CompressedAudio, o.UncompressedAudio}
	}
	if d := l.Domain; d != nil {
		p.Domain = &inspectedDomain{hex.EncodeToString(d.Account[:]), d.Revision}
	}
	for _, m := range l.Metadata {
		p.Metadata = append(p.Metadata, inspectedMetadata{m.ID, len(m.Data)})
	}
	return p
}

// stated returns a value that an object of the type states, or nil.
func stated[T any](l *xmr.License, t xmr.Type, value T) *T {
	if !l.States(t) {
		return nil
	}
	return &value
}

// date returns a date that is stated: of one as zero the policy has no date, and it is the first second of Unix.
func date(t time.Time) time.Time {
	if t.IsZero() {
		return time.Unix(0, 0).UTC()
	}
	return t
}

func bound(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// maxItemData is how many bytes of an item's data are shown.
const maxItemData = 32

func itemViews(items []xmr.Item) []inspectedItem {
	var views []inspectedItem
	for _, i := range items {
		v := inspectedItem{ID: i.ID, Name: guidNames[i.ID], Data: hex.EncodeToString(i.Data[:min(len(i.Data), maxItemData)]), Bytes: len(i.Data)}
		if width, height, ok := i.Resolution(); ok {
			v.Means = fmt.Sprintf("at most %d × %d", width, height)
		}
		views = append(views, v)
	}
	return views
}

func enablerViews(ids []xmr.GUID) []inspectedItem {
	var views []inspectedItem
	for _, id := range ids {
		views = append(views, inspectedItem{ID: id, Name: guidNames[id]})
	}
	return views
}
