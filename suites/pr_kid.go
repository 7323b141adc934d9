package suites

import (
	"crypto/rand"
	"fmt"
	"slices"

	"keyflow/drm"
	"keyflow/drm/content"
	"keyflow/drm/pssh"
	"keyflow/reports"
)

const (
	reasonKeyShared   drm.Reason = "key-shared"
	reasonKIDRepeated drm.Reason = "kid-repeated"
	reasonSystems     drm.Reason = "keys-differ-between-systems"
)

// playReadyKIDs are the checks of which keys a server answers with (sheet playready.md §14.1, PR-KID).
func playReadyKIDs() []Check {
	return append([]Check{
		{
			ID: "PR-KID-01", Title: "The KID in a license is the header's, in the same byte order",
			Level: reports.Must, Source: "Microsoft's documents; sheet playready.md §14.1, §1",
			Why:   "Clients look the key up by these bytes; the big-endian order of the content's boxes is the usual slip.",
			Hint:  "Are the KID's bytes taken as the header has them, or read as a UUID and written in its order?",
			Kills: []Kill{{"pr-kid-big-endian", reports.Fail, reasonKIDByteOrder}},
			Run:   playReadyByteOrder,
		},
		{
			ID: "PR-KID-03", Title: "A header with several KIDs gets a license for each, with one key each",
			Level: reports.Must, Source: "Microsoft's documents, protocol necessity; sheet playready.md §14.1",
			Why:   "A missing license shows as one black or silent track, often only when the player switches to it.",
			Hint:  "Does the server loop over all KIDs of the header?",
			Kills: []Kill{{"pr-first-kid-only", reports.Fail, reasonKIDMissing}},
			Run:   everyKIDHasALicense,
		},
		{
			ID: "PR-KID-04", Title: "Each license of a response has a key of its own",
			Level: reports.Must, Source: "protocol necessity; sheet playready.md §14.1",
			Why:   "Tracks with keys of their own do not decrypt with the first one's.",
			Hint:  "Is the key looked up for each KID, or once for the request?",
			Kills: []Kill{{"pr-same-key-for-all", reports.Fail, reasonKeyShared}},
			Run:   everyLicenseHasItsKey,
		},
		{
			ID: "PR-KID-05", Title: "An unknown KID is refused or left out; a key is never made up",
			Level: reports.Must, Source: "protocol necessity; sheet playready.md §14.1, §11",
			Why:   "A made-up key looks like a working license until the first frame; a typo in a KID then costs days.",
			Hint:  "Does the key store create keys on demand, or fall back to a key seed?",
			Kills: []Kill{{"pr-unknown-kid-served", reports.Fail, reasonMadeUpKey}},
			Run: func(e *Env) {
				Require(e, haveGranted(e.header(e.multiVersion(), 1)))
				e.noMadeUpKey(pssh.WRMHeader{Version: e.multiVersion()})
			},
		},
		{
			ID: "PR-KID-06", Title: "An unknown KID beside a known one gets no key",
			Level: reports.Should, Source: "practice; sheet playready.md §14.1",
			Why:   "One wrong KID in a header must not put a key into the world that nobody made.",
			Hint:  "Is every KID of the header looked up, or only the first?",
			Kills: []Kill{{"pr-unknown-kid-served", reports.Warn, reasonMadeUpKey}},
			Run: func(e *Env) {
				Require(e, haveGranted(e.header(e.multiVersion(), 1)))
				e.noMadeUpKey(e.header(e.multiVersion(), 1))
			},
		},
	}, playReadyChecksums()...)
}

// multiVersion is the header version that can ask for several of the content's KIDs.
func (e *Env) multiVersion() string {
	if e.algorithm() == pssh.AlgorithmAESCBC {
		return pssh.Header43
	}
	return pssh.Header42
}

func playReadyByteOrder(e *Env) {
	x := Require(e, haveXMR)
	for _, kid := range without(licensedKIDs(x), x.Message.KIDs) {
		if slices.Contains(x.Message.KIDs, guidOrder(kid)) {
			e.Fail(Failure{Reason: reasonKIDByteOrder, Step: "read the license",
				Expected: "KID " + guidOrder(kid).String(), Seen: "its bytes in big-endian order, which read as KID " + kid.String()})
		}
	}
}

// severalKIDs is a header for all KIDs of the asset.
func (e *Env) severalKIDs() pssh.WRMHeader {
	n := len(e.Asset.KIDs())
	if n < 2 {
		e.NotApplicable("the content has one key only")
	}
	if e.Profile.PerKID() {
		e.NotApplicable("the profile's leases entitle to one KID each")
	}
	return e.header(e.multiVersion(), n)
}

func everyKIDHasALicense(e *Env) {
	h := e.severalKIDs()
	Require(e, haveGranted(e.header(h.Version, 1)))
	x := e.mustGrant(h)
	seen := map[drm.KID]bool{}
	for _, kid := range licensedKIDs(x) {
		if seen[kid] {
			e.Fail(Failure{Reason: reasonKIDRepeated, Step: "read the licenses", Expected: "one license for each KID", Seen: "several for " + kid.String()})
		}
		seen[kid] = true
	}
	e.Note("%d KIDs, %d licenses", len(h.KIDs), len(seen))
}

func everyLicenseHasItsKey(e *Env) {
	h := e.severalKIDs()
	x := Require(e, haveGranted(h))
	first := map[string]drm.KID{}
	for _, kid := range h.IDs() {
		key := e.keyFor(x, kid)
		if other, shared := first[key]; shared && key != "" {
			e.Fail(Failure{Reason: reasonKeyShared, Step: "compare the keys", Expected: "a key of its own for every KID",
				Seen: fmt.Sprintf("KIDs %s and %s share one, fingerprint %s", other, kid, key)})
		}
		first[key] = kid
	}
	e.Note("%d keys", len(first))
}

// noMadeUpKey asks for a random KID, behind those of the header.
func (e *Env) noMadeUpKey(h pssh.WRMHeader) {
	var kid drm.KID
	_, _ = rand.Read(kid[:]) // never fails since Go 1.24
	h.KIDs = append(h.KIDs, pssh.HeaderKID{KID: kid, Algorithm: e.algorithm()})
	x := e.ask(h)
	const step = "ask for a random KID"
	switch {
	case !x.Granted():
		e.Note("content granted; random KID refused with %s", e.refusal(x, step))
	case slices.Contains(licensedKIDs(x), kid):
		e.Fail(Failure{Reason: reasonMadeUpKey, Step: step, Expected: "a refusal, or a response without the KID",
			Seen: fmt.Sprintf("HTTP %d with a license for the random KID %s", x.Status, kid)})
	default:
		e.Note("content granted; random KID: a response without a license for it")
	}
}

// playReadyKeys compares both systems: the one check whose id is not the sheet's.
func playReadyKeys() []Check {
	return []Check{{
		ID: "PR-KEY-01", Title: "A KID has the same content key in PlayReady and Widevine licenses",
		Level: reports.Must, Source: "protocol necessity: content is encrypted once for all systems (ISO/IEC 23001-7)",
		Why:   "With two key stores that disagree, content plays on one half of the devices.",
		Hint:  "Do both license services take the key of this KID from the same place? Which of them fails its check of decryption?",
		Needs: []Need{NeedTwin},
		Kills: []Kill{{"pr-key-bit-flipped", reports.Fail, reasonSystems}},
		Run:   sameKeyInBothSystems,
	}}
}

// haveTwinKeys gets the keys of the other system. Keys that do not decrypt the content block the check: that system has a check of
// its own for them.
var haveTwinKeys = Step[[]drm.ContentKey]{"get the right keys in the other system", func(e *Env) ([]drm.ContentKey, error) {
	there := *e
	there.Target = e.Twin
	licenses := Require(&there, haveKeys(e.Twin.Platform))
	for _, track := range e.Asset.Tracks {
		p, err := e.prove(track, licenses)
		if err != nil {
			return nil, err
		}
		if p.Outcome == content.Disproved {
			return nil, drm.Finding{Reason: reasonNotDecrypted, Step: "decrypt track " + track.Label, Expected: p.Expected, Seen: p.Seen}
		}
	}
	return keysOf(licenses), nil
}}

func sameKeyInBothSystems(e *Env) {
	own := keysOf(Require(e, haveKeys(e.Platform)))
	twin := Require(e, haveTwinKeys)
	for _, k := range own {
		i := slices.IndexFunc(twin, func(o drm.ContentKey) bool { return o.KID == k.KID })
		if i < 0 || twin[i].Key.Equal(k.Key) {
			continue // haveKeys has one for every KID of the content; a license may have more
		}
		e.Fail(Failure{Reason: reasonSystems, Step: "compare the systems' keys", Expected: fmt.Sprintf("for KID %s the key of %s, fingerprint %s", k.KID, e.Twin.Profile.ID, twin[i].Key.Fingerprint()),
			Seen: "another, fingerprint " + string(k.Key.Fingerprint())})
	}
	e.Note("%d KIDs have the same key from %s and %s", len(own), e.Profile.ID, e.Twin.Profile.ID)
}
