package suites

import (
	"fmt"
	"strings"

	"keyflow/drm"
	"keyflow/drm/playready"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/playready/xmr"
	"keyflow/drm/secret"
	"keyflow/reports"
)

const (
	reasonIntegrityRepeated drm.Reason = "integrity-key-repeated"
	reasonEphemeralRepeated drm.Reason = "ephemeral-point-repeated"
	reasonFlag              drm.Reason = "must-understand"
)

// playReadyLicense are the checks of a license's content (sheet playready.md §14.2).
func playReadyLicense() []Check {
	return []Check{
		{
			ID: "PR-LIC-01", Title: "A license is XMR with exact lengths and one outer container",
			Level: reports.Must, Source: "protocol necessity; sheet playready.md §14.2, §9.1",
			Why:   "Clients walk the objects by their lengths: one that is off ends in an invalid license, or in another one's bytes.",
			Hint:  "Do the lengths count their own headers, and the outer one the signature?",
			Kills: []Kill{{"pr-outer-length", reports.Fail, playready.ReasonLicenseParse}},
			Run: func(e *Env) {
				x := Require(e, haveResponse)
				e.FailOn(x.Observation, playready.ReasonLicenseParse)
				e.Note("%d licenses, the first %s, of %d bytes", len(x.PlayReady().Licenses), x.PlayReady().Licenses[0].Form, len(x.PlayReady().Licenses[0].XMR.Raw))
			},
		},
		{
			ID: "PR-LIC-02", Title: "A license's AES-CMAC verifies under its integrity key",
			Level: reports.Must, Source: "Microsoft's documents, protocol necessity; sheet playready.md §14.2, §9.5",
			Why:   "Clients verify it before they use the key.",
			Hint:  "Over which bytes is the CMAC: up to the header of the signature object? And under which half of the encrypted point?",
			Kills: []Kill{{"pr-cmac-range", reports.Fail, playready.ReasonCMAC}},
			Run: func(e *Env) {
				x := Require(e, Step[*Exchange]{"unwrap the content key", func(e *Env) (*Exchange, error) {
					x := Require(e, haveXMR)
					return x, x.problem(playready.ReasonKeyUnwrap, playready.ReasonLicenseForm, playready.ReasonDeviceKey)
				}})
				e.FailOn(x.Observation, playready.ReasonCMAC)
			},
		},
		{
			ID: "PR-LIC-04", Title: "A license names the requesting client's encryption key",
			Level: reports.Must, Source: "protocol necessity; sheet playready.md §14.2, §9.2",
			Why:   "It says for whom the license is: a cached license of another client is refused.",
			Hint:  "Is the key that of the leaf certificate of this request, with usage 2?",
			Kills: []Kill{{"pr-device-key-of-another", reports.Fail, playready.ReasonDeviceKey}},
			Run: func(e *Env) {
				x := Require(e, haveXMR)
				e.FailOn(x.Observation, playready.ReasonDeviceKey)
			},
		},
		{
			ID: "PR-LIC-06", Title: "Integrity keys and encrypted points are fresh for every license",
			Level: reports.Must, Source: "protocol necessity; sheet playready.md §14.2, §9.4",
			Why:   "A repeated integrity key lets a license be changed with another one's CMAC; a repeated point lets keys be told apart.",
			Hint:  "Is there a cache of licenses, or a random generator with a constant seed?",
			Kills: []Kill{{"pr-integrity-key-constant", reports.Fail, reasonIntegrityRepeated}},
			Run:   playReadyIsFresh,
		},
		{
			ID: "PR-LIC-08", Title: "The keys decrypt the content of their KIDs",
			Level: reports.Must, Source: "protocol necessity; sheet playready.md §14.2",
			Why:   "A license can be perfect in form and still hold another asset's keys, yesterday's keys, or two keys swapped.",
			Hint:  "Do packager and license server take the key of this KID from the same place? Fixtures prove it by the packager's own clear samples.",
			Kills: []Kill{{"pr-key-bit-flipped", reports.Fail, reasonNotDecrypted}},
			Run:   keysDecrypt,
		},
		{
			ID: "PR-LIC-09", Title: "What a client must not skip is marked so: security level, expiration, output protection, key",
			Level: reports.Should, Source: "practice; sheet playready.md §14.2, §9.1",
			Why:   "A client that does not know an object skips it unless the flag forbids it, and with it the restriction.",
			Hint:  "Is flag 0x0001 set on these objects?",
			Kills: []Kill{{"pr-must-understand-cleared", reports.Warn, reasonFlag}},
			Run:   flagsAreSet,
		},
		{
			ID: "PR-LIC-10", Title: "A license gives the right to play",
			Level: reports.Must, Source: "Microsoft's documents, protocol necessity; sheet playready.md §14.2",
			Why:   "A license without a playback policy holds a key that no player may use.",
			Hint:  "Is there a playback container, if only an empty one?",
			Kills: []Kill{{"pr-playback-missing", reports.Fail, playready.ReasonCannotPlay}},
			Run: func(e *Env) {
				x := Require(e, haveXMR)
				e.FailOn(x.Observation, playready.ReasonCannotPlay)
			},
		},
	}
}

func playReadyIsFresh(e *Env) {
	integrity, points := map[string]int{}, map[string]int{}
	for i := range freshLicenses {
		for _, l := range Require(e, HaveLicense).PlayReady().Licenses {
			if l.XMR == nil || len(l.XMR.EncryptedKey) < ecc.PublicLen {
				continue
			}
			e.unique(integrity, string(l.Integrity), i, Failure{Reason: reasonIntegrityRepeated, Expected: "a fresh integrity key for every license"})
			e.unique(points, string(secret.FingerprintOf(l.XMR.EncryptedKey[:ecc.PublicLen])), i,
				Failure{Reason: reasonEphemeralRepeated, Expected: "a fresh point in every encrypted key"})
		}
	}
	e.Note("%d licenses compared", freshLicenses)
}

func flagsAreSet(e *Env) {
	x := Require(e, haveXMR)
	for _, l := range x.PlayReady().Licenses {
		var lacking []string
		for _, t := range []xmr.Type{xmr.TypeSecurityLevel, xmr.TypeExpiration, xmr.TypeOutput, xmr.TypeContentKey} {
			if o := l.XMR.Outer.Find(t); o != nil && o.Flags&xmr.FlagMustUnderstand == 0 {
				lacking = append(lacking, t.String())
			}
		}
		if len(lacking) > 0 {
			e.Fail(Failure{Reason: reasonFlag, Step: "read the license", Expected: "the flag must-understand", Seen: fmt.Sprintf("license %d: not on %s", l.Index+1, strings.Join(lacking, ", "))})
		}
	}
}
