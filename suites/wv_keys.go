package suites

import (
	"bytes"
	"crypto/aes"
	"fmt"
	"slices"
	"strings"

	"github.com/onsi/gomega"

	"keyflow/drm"
	"keyflow/drm/content"
	"keyflow/drm/widevine"
	"keyflow/drm/widevine/wire"
	"keyflow/fixtures"
	"keyflow/reports"
)

const (
	reasonKIDMissing   drm.Reason = "kid-missing"
	reasonKIDByteOrder drm.Reason = "kid-byte-order"
	reasonKeyChanged   drm.Reason = "key-changed"
	reasonNotDecrypted drm.Reason = "content-not-decrypted"
	reasonIVLength     drm.Reason = "iv-length"
	reasonIVShared     drm.Reason = "iv-shared"
)

// widevineKeys are the checks of a license's keys (sheet widevine.md §18, "Keys").
func widevineKeys() []Check {
	return []Check{
		{
			ID: "WV-KEY-01", Title: "Every KID asked for and entitled is in the license",
			Level: reports.Must, Source: "protocol necessity; sheet widevine.md §18",
			Why:  "A missing key shows as one black or silent track, often only when the player switches to it.",
			Hint: "Does the server answer for every KID of the pssh, in the pssh's byte order?",
			Kills: []Kill{
				{"wv-last-key-dropped", reports.Fail, reasonKIDMissing},
				{"wv-kid-little-endian", reports.Fail, reasonKIDMissing},
			},
			Run: everyKIDIsThere,
		},
		{
			ID: "WV-KEY-03", Title: "A container's id is the KID's 16 bytes in the byte order of the pssh",
			Level: reports.Must, Source: "protocol necessity; sheet widevine.md §18",
			Why:   "CDMs look keys up by these bytes; GUID byte order is the usual slip of servers that serve PlayReady too.",
			Hint:  "Is the KID read or written as a GUID, or as hexadecimal text?",
			Kills: []Kill{{"wv-kid-little-endian", reports.Fail, reasonKIDByteOrder}},
			Run:   kidByteOrder,
		},
		{
			ID: "WV-KEY-04", Title: "An unwrapped content key has exactly 16 bytes with valid PKCS#7 padding",
			Level: reports.Must, Source: "protocol necessity; sheet widevine.md §18, §8.4",
			Why:   "Strict clients drop such a key, lenient ones decrypt with a wrong one.",
			Hint:  "Which padding does the server's AES-CBC add, and over how many bytes of key?",
			Kills: []Kill{{"wv-key-bad-padding", reports.Fail, widevine.ReasonKeyPadding}},
			Run: func(e *Env) {
				x := Require(e, HaveLicense)
				e.FailOn(x.Observation, widevine.ReasonKeyUnwrap, widevine.ReasonKeyPadding, widevine.ReasonKeyUnpadded, widevine.ReasonKeyLength)
				e.Note("%d containers unwrapped", len(x.Answer().Containers))
			},
		},
		{
			ID: "WV-KEY-05", Title: "A container's IV has 16 bytes, is not all zero and differs from the others",
			Level: reports.Must, Source: "protocol necessity (length), practice (the rest: SHOULD); sheet widevine.md §18",
			Why:   "Keys wrapped with one IV show which of them begin alike.",
			Hint:  "Is the IV drawn anew for every container?",
			Kills: []Kill{{"wv-iv-constant", reports.Warn, reasonIVShared}},
			Run:   ivsDiffer,
		},
		{
			ID: "WV-KEY-07", Title: "The keys decrypt the content of their KIDs",
			Level: reports.Must, Source: "protocol necessity; sheet widevine.md §18, §14",
			Why:  "A license can be perfect in form and still hold another asset's keys, yesterday's keys, or two keys swapped.",
			Hint: "Do packager and license server take the key of this KID from the same place? Fixtures prove it by the packager's own clear samples.",
			Kills: []Kill{
				{"wv-keys-swapped", reports.Fail, reasonNotDecrypted},
				{"wv-key-random-per-request", reports.Fail, reasonNotDecrypted},
			},
			Run: keysDecrypt,
		},
		{
			ID: "WV-KEY-08", Title: "No KID has two different content keys",
			Level: reports.Must, Source: "protocol necessity; sheet widevine.md §18",
			Why:   "Which of the two a client uses is chance.",
			Hint:  "Is a key listed once per track or rotation period under the same KID?",
			Kills: []Kill{{"wv-kid-twice-two-keys", reports.Fail, widevine.ReasonKeyConflict}},
			Run: func(e *Env) {
				x := Require(e, HaveLicense)
				e.FailOn(x.Observation, widevine.ReasonKeyConflict)
			},
		},
		{
			ID: "WV-KEY-11", Title: "A KID has the same content key for all clients and at all times",
			Level: reports.Must, Source: "protocol necessity; sheet widevine.md §18",
			Why:   "Content is encrypted once: a key that changes decrypts nothing.",
			Hint:  "Does the server create a key when it does not find one?",
			Kills: []Kill{{"wv-key-random-per-request", reports.Fail, reasonKeyChanged}},
			Run:   keysAreStable,
		},
	}
}

// contentKIDs returns the KIDs of the containers that hold a content or entitlement key, whether it can be used or not.
func contentKIDs(a *widevine.Answer) []drm.KID {
	var kids []drm.KID
	for _, c := range a.Containers {
		t, present := c.Type()
		if present && c.KID != nil && (t == wire.License_KeyContainer_CONTENT || t == wire.License_KeyContainer_ENTITLEMENT) {
			kids = append(kids, *c.KID)
		}
	}
	return kids
}

// without returns the KIDs of a that are not in b.
func without(a, b []drm.KID) []drm.KID {
	return slices.DeleteFunc(slices.Clone(a), func(k drm.KID) bool { return slices.Contains(b, k) })
}

func everyKIDIsThere(e *Env) {
	xs := Require(e, HaveLicenses)
	found := 0
	for _, x := range xs {
		want := x.Entitled()
		if lacking := without(want, contentKIDs(x.Answer())); len(lacking) > 0 {
			e.Fail(Failure{Reason: reasonKIDMissing, Step: "read the license",
				Expected: fmt.Sprintf("keys for the %d KIDs of the pssh that the request is entitled to", len(want)), Seen: "no key for " + drm.JoinKIDs(lacking)})
		}
		found += len(want)
	}
	e.Note("%d of %d KIDs in %d sessions", found, len(e.Asset.KIDs()), len(xs))
}

func kidByteOrder(e *Env) {
	x := Require(e, HaveLicense)
	e.FailOn(x.Observation, widevine.ReasonKIDLength)
	for _, kid := range without(contentKIDs(x.Answer()), x.Message.KIDs) {
		if slices.Contains(x.Message.KIDs, guidOrder(kid)) {
			e.Fail(Failure{Reason: reasonKIDByteOrder, Step: "read the license",
				Expected: "KID " + guidOrder(kid).String(), Seen: "its bytes in GUID order, " + kid.String()})
		}
	}
}

func ivsDiffer(e *Env) {
	x := Require(e, HaveLicense)
	first := map[string]int{}
	for _, c := range x.Answer().Containers {
		if t, present := c.Type(); present && t == wire.License_KeyContainer_KEY_CONTROL {
			continue // it has none (sheet widevine.md §8.4)
		}
		iv := c.Wire.GetIv()
		e.Because(reasonIVLength, "read the license", "IVs of 16 bytes").
			Expect(iv).To(gomega.HaveLen(aes.BlockSize), "IV of container %d", c.Index)
		other, seen := first[string(iv)]
		switch {
		case seen:
			e.Miss(Failure{Reason: reasonIVShared, Level: reports.Should, Step: "read the license", Expected: "an IV of its own for every container",
				Seen: fmt.Sprintf("containers %d and %d share one", other, c.Index)})
		case bytes.Count(iv, []byte{0}) == len(iv):
			e.Miss(Failure{Reason: reasonIVShared, Level: reports.Should, Step: "read the license", Expected: "a random IV", Seen: fmt.Sprintf("container %d: all zero", c.Index)})
		}
		first[string(iv)] = c.Index
	}
}

// guidOrder swaps between a UUID's big-endian bytes and the mixed order of a GUID in memory; it undoes itself (sheet
// playready.md §1).
func guidOrder(k drm.KID) drm.KID {
	slices.Reverse(k[0:4])
	slices.Reverse(k[4:6])
	slices.Reverse(k[6:8])
	return k
}

func keysAreStable(e *Env) {
	platforms := []drm.Platform{e.Platform, e.Platform}
	if e.Second != nil {
		platforms = append(platforms, e.Second)
	}
	first := map[drm.KID]string{}
	for i, p := range platforms {
		for _, k := range keysOf(Require(e, haveKeys(p))) {
			got := string(k.Key.Fingerprint())
			if was, seen := first[k.KID]; seen {
				e.Because(reasonKeyChanged, "compare licenses", "the key of the first time, fingerprint "+was).
					Expect(got).To(gomega.Equal(was), "fingerprint of KID %s, asked for the %d. time", k.KID, i+1)
			}
			first[k.KID] = got
		}
	}
	e.Note("%d KIDs, asked for %d times", len(first), len(platforms))
}

// haveKeys gets licenses that together have a usable key for every KID of the asset.
func haveKeys(p drm.Platform) Step[[]drm.License] {
	return Step[[]drm.License]{"get a usable key for every KID", func(e *Env) ([]drm.License, error) {
		xs, err := e.obtainAll(p)
		if err != nil {
			return nil, err
		}
		var licenses []drm.License
		var findings []drm.Finding
		for _, x := range xs {
			licenses = append(licenses, x.Session.Licenses()...)
			findings = append(findings, x.Observation.Findings...)
		}
		return licenses, lacksKey(e.Asset.KIDs(), licenses, findings)
	}}
}

// lacksKey says why a KID has no usable key: what was found about it, or that there is none. It returns nil if each has one.
func lacksKey(kids []drm.KID, licenses []drm.License, findings []drm.Finding) error {
	for _, kid := range kids {
		if slices.ContainsFunc(licenses, func(l drm.License) bool { _, ok := l.Key(kid); return ok }) {
			continue
		}
		for _, f := range findings {
			if f.KID != nil && *f.KID == kid {
				return f
			}
		}
		return drm.Finding{Reason: reasonKIDMissing, Step: "read the license", Expected: "a usable key for KID " + kid.String(), Seen: "none"}
	}
	return nil
}

func keysOf(licenses []drm.License) []drm.ContentKey {
	var keys []drm.ContentKey
	for _, l := range licenses {
		keys = append(keys, l.Keys...)
	}
	return keys
}

func keysDecrypt(e *Env) {
	licenses := Require(e, haveKeys(e.Platform))
	var proved, open []string
	for _, track := range e.Asset.Tracks {
		p, err := e.prove(track, licenses)
		switch {
		case err != nil:
			e.block("read the asset", err)
		case p.Outcome == content.Disproved || p.Outcome == content.NoKey:
			e.Fail(Failure{Reason: reasonNotDecrypted, Step: "decrypt track " + track.Label, Expected: p.Expected, Seen: p.Seen})
		case p.Outcome == content.Unverifiable:
			open = append(open, fmt.Sprintf("%s track %s: %s", track.Type, track.Label, p.Seen))
			e.result.Hint = p.Hint
		default:
			proved = append(proved, fmt.Sprintf("%s (%d samples by %s)", track.Label, p.Samples, p.Method))
		}
	}
	if len(open) > 0 {
		e.Unverifiable("decoding-not-proved", strings.Join(open, "; "), e.result.Hint)
	}
	e.Note("decrypted and proved: %s", strings.Join(proved, ", "))
}

// prove decrypts a track and proves that media came out. With known hashes all segments are proved; else the first that
// can be, because one segment proves the key, a clear lead proves nothing, and later ones may need earlier ones.
func (e *Env) prove(t fixtures.Track, licenses []drm.License) (content.Proof, error) {
	total := content.Proof{Outcome: content.Unverifiable, Seen: "the asset has no media segment of this track", Hint: "give a folder that holds segments too"}
	init, err := e.Asset.source.Read(t.Init)
	if err != nil {
		return total, err
	}
	samples := 0
	for _, s := range t.Segments {
		segment, err := e.Asset.source.Read(s.Part)
		if err != nil {
			return total, err
		}
		total, err = content.Prove(e.Context, content.Media{Track: t.Label, Init: init, Segment: segment, Hash: s.Hash}, licenses)
		if err != nil {
			return total, err
		}
		samples += total.Samples
		goOn := total.Outcome == content.Unverifiable
		if s.Hash != "" {
			goOn = total.Outcome == content.Proved
		}
		if !goOn {
			break
		}
	}
	total.Samples = samples
	return total, nil
}
