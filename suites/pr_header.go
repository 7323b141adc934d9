package suites

import (
	"fmt"

	"keyflow/drm"
	"keyflow/drm/playready"
	"keyflow/drm/playready/soap"
	"keyflow/drm/playready/xmr"
	"keyflow/drm/pssh"
	"keyflow/reports"
)

// playReadyHeaders are the checks of the header versions that a server must read (sheet playready.md §14.1).
func playReadyHeaders() []Check {
	const hint = "Does the server read the header by its version: where the KID stands, and what may be left out?"
	version := func(id, title, number string) Check {
		return Check{
			ID: id, Title: title, Level: reports.Must, Source: "Microsoft's header specification; sheet playready.md §14.1, §4",
			Why:  "Content is packaged with every version; a server that reads one of them only serves a part of its catalogue.",
			Hint: hint,
			Run: func(e *Env) {
				e.ctrOnly(number)
				e.answersAtAll()
				e.mustGrant(e.header(number, 1))
				e.Note("license for the KID of a header of version %s", number)
			},
		}
	}
	one := version("PR-HDR-01", "A header of version 4.0 gets a license for its KID", pssh.Header40)
	one.Kills = []Kill{{"pr-default-kid", reports.Fail, reasonKIDMissing}}
	two := version("PR-HDR-02", "A header of version 4.1, with its KID in attributes, gets a license", pssh.Header41)
	two.Kills = []Kill{{"pr-header-41-refused", reports.Fail, reasonHeaderRefused}}
	three := version("PR-HDR-03", "A header of version 4.2, with its KID under KIDS, gets a license", pssh.Header42)
	three.Kills = []Kill{{"pr-header-42-refused", reports.Fail, reasonHeaderRefused}}
	return []Check{
		one, two, three,
		{
			ID: "PR-HDR-04", Title: "A header of version 4.3 gets a license, with ALGID or without",
			Level: reports.Must, Source: "Microsoft's header specification; sheet playready.md §14.1, §4",
			Why:   "ALGID became optional with 4.3, and clients leave it out of what they send.",
			Hint:  hint,
			Kills: []Kill{{"pr-algid-required", reports.Fail, reasonHeaderRefused}},
			Run: func(e *Env) {
				e.answersAtAll()
				h := e.header(pssh.Header43, 1)
				e.mustGrant(h)
				h.KIDs[0].Algorithm = ""
				e.mustGrant(h)
			},
		},
		{
			ID: "PR-HDR-05", Title: "A key that is asked for as AESCBC has the key type of AES-CBC",
			Level: reports.Must, Source: "Microsoft's documents, protocol necessity; sheet playready.md §14.1, §9.4",
			Why:   "Content in cbcs does not decrypt on clients that go by the key type.",
			Hint:  "Does the server take the key type from the header's ALGID?",
			Kills: []Kill{{"pr-key-type-always-ctr", reports.Fail, playready.ReasonKeyType}},
			Run:   func(e *Env) { e.keyTypeIs(pssh.AlgorithmAESCBC, xmr.KeyAESCBC) },
		},
		{
			ID: "PR-HDR-06", Title: "A key that is asked for as AESCTR has the key type of AES-CTR",
			Level: reports.Must, Source: "protocol necessity; sheet playready.md §14.1, §9.3",
			Why:   "Clients that go by the key type decrypt content in cenc with the wrong mode.",
			Hint:  "Does the server take the key type from the header's ALGID?",
			Kills: []Kill{{"pr-key-type-always-cbc", reports.Fail, playready.ReasonKeyType}},
			Run:   func(e *Env) { e.keyTypeIs(pssh.AlgorithmAESCTR, xmr.KeyAESCTR) },
		},
		{
			ID: "PR-HDR-08", Title: "Optional elements of a header do not keep it from getting a license",
			Level: reports.Should, Source: "Microsoft's header specification; sheet playready.md §14.1, §4",
			Why:   "Packagers write LA_URL, LUI_URL, DS_ID, CUSTOMATTRIBUTES and DECRYPTORSETUP as they are configured.",
			Hint:  "Does the server skip what it does not need, or does it know a fixed list of elements?",
			Kills: []Kill{{"pr-optional-elements-refused", reports.Warn, reasonHeaderRefused}},
			Run:   optionalElements,
		},
	}
}

// answersAtAll is the positive control of checks of header versions: the content's own header gets an answer of the license
// service, a response or a fault.
func (e *Env) answersAtAll() {
	Require(e, Step[*Exchange]{"get an answer of the license service", func(e *Env) (*Exchange, error) {
		x := Require(e, HaveAnswer)
		if f := x.PlayReady().Fault; f == nil || f.Code == soap.CodeProtocolRedirect {
			return x, x.problem(responseForms...)
		}
		return x, nil
	}})
}

// keyTypeIs judges the types of the keys that the asset's own header gets.
func (e *Env) keyTypeIs(algorithm string, want xmr.KeyType) {
	if e.algorithm() != algorithm {
		e.NotApplicable("the content is not encrypted for " + algorithm)
	}
	x := Require(e, haveXMR)
	e.FailOn(x.Observation, playready.ReasonKeyType)
	for _, l := range x.PlayReady().Licenses {
		if l.XMR.KeyType != want {
			e.Fail(Failure{Reason: playready.ReasonKeyType, Step: "read the license", Expected: fmt.Sprintf("key type %d", want), Seen: fmt.Sprintf("key type %d", l.XMR.KeyType)})
		}
	}
}

func optionalElements(e *Env) {
	h := e.header(e.multiVersion(), 1)
	Require(e, haveGranted(h))
	h.LAURL, h.LUIURL, h.DomainServiceID = "https://license.keyflow.invalid/?a=1&b=2", "https://license.keyflow.invalid/help", "AAECAwQFBgcICQoLDA0ODw=="
	h.CustomAttributes, h.DecryptorSetup = `<Harness xmlns="">&lt;any&gt; content</Harness>`, "ONDEMAND"
	e.mustGrant(h)
	e.Note("LA_URL, LUI_URL, DS_ID, CUSTOMATTRIBUTES and DECRYPTORSETUP")
}

const (
	reasonChecksumRefused drm.Reason = "checksum-refused"
	reasonChecksumKey     drm.Reason = "checksum-changes-key"
)

// playReadyChecksums are the checks of checksums in headers (sheet playready.md §14.1, PR-CHK).
func playReadyChecksums() []Check {
	return []Check{
		{
			ID: "PR-CHK-01", Title: "A header with a right checksum gets a license",
			Level: reports.Must, Source: "Microsoft's header specification; sheet playready.md §14.1, §5",
			Why:   "Packagers write checksums by default; a server that computes them in another way refuses all that they make.",
			Hint:  "Is the checksum computed over the KID's 16 bytes as the header has them, in GUID order?",
			Kills: []Kill{{"pr-checksum-byte-order", reports.Fail, reasonChecksumRefused}},
			Run:   rightChecksum,
		},
		{
			ID: "PR-CHK-02", Title: "A wrong checksum is refused, or does not change the key",
			Level: reports.Should, Source: "Microsoft's header specification; sheet playready.md §14.1, §5",
			Why:   "The checksum is there to notice a wrong key. It must never make one.",
			Hint:  "What does the server do with a checksum that does not fit?",
			Kills: []Kill{{"pr-checksum-changes-key", reports.Warn, reasonChecksumKey}},
			Run:   wrongChecksum,
		},
		{
			ID: "PR-CHK-03", Title: "A header without checksum gets a license",
			Level: reports.Must, Source: "Microsoft's header specification; sheet playready.md §14.1, §4",
			Why:   "Checksums have been optional since the first server SDKs, and are forbidden with AESCBC.",
			Hint:  "Is the checksum compared only where there is one?",
			Kills: []Kill{{"pr-checksum-required", reports.Fail, reasonChecksumRefused}},
			Run: func(e *Env) {
				with := e.checksummed()[1]
				Require(e, haveGranted(with))
				e.checksumGranted(e.header(with.Version, 1))
			},
		},
	}
}

// checksumGranted sends a challenge for a header that must not be refused for its checksum. The caller has had the same header
// granted with, or without.
func (e *Env) checksumGranted(h pssh.WRMHeader) {
	x := e.ask(h)
	if !x.Granted() {
		e.Fail(Failure{Reason: reasonChecksumRefused, Step: "send a challenge with a header of version " + h.Version, Expected: "a license",
			Seen: e.refusal(x, "send a challenge with a checksum")})
	}
}

// checksummed are headers of versions 4.0 and 4.2 with a checksum that fits the content's key.
func (e *Env) checksummed() []pssh.WRMHeader {
	e.ctrOnly(pssh.Header42)
	var headers []pssh.WRMHeader
	for _, version := range []string{pssh.Header40, pssh.Header42} {
		h := e.header(version, 1)
		key, known := e.Asset.Keys()[h.KIDs[0].KID]
		if !known {
			e.NotApplicable("the content's keys are not known, so that no checksum can be computed")
		}
		sum, err := pssh.Checksum(h.KIDs[0].Algorithm, h.KIDs[0].KID, key)
		if err != nil {
			e.block("compute a checksum", &HarnessError{err})
		}
		h.KIDs[0].Checksum = sum
		headers = append(headers, h)
	}
	return headers
}

func rightChecksum(e *Env) {
	for _, h := range e.checksummed() {
		Require(e, haveGranted(e.header(h.Version, 1)))
		e.checksumGranted(h)
	}
	e.Note("headers of versions 4.0 and 4.2")
}

func wrongChecksum(e *Env) {
	h := e.checksummed()[1]
	right := e.keyFor(Require(e, haveGranted(h)), h.KIDs[0].KID)
	h.KIDs[0].Checksum = flip(h.KIDs[0].Checksum)
	x := e.ask(h)
	if !x.Granted() {
		e.Note("right checksum granted; wrong one refused with %s", e.refusal(x, "send a wrong checksum"))
		return
	}
	if got := e.keyFor(x, h.KIDs[0].KID); got != right {
		e.Fail(Failure{Reason: reasonChecksumKey, Step: "send a wrong checksum", Expected: "a refusal, or the same key as with the right one, fingerprint " + right,
			Seen: "a license with another key, fingerprint " + got})
	}
	e.Note("a wrong checksum is not noticed; the key stays the same")
}

// keyFor returns the fingerprint of the key that a response has for a KID, "" if it has none.
func (e *Env) keyFor(x *Exchange, kid drm.KID) string {
	for _, l := range x.Session.Licenses() {
		if k, ok := l.Key(kid); ok {
			return string(k.Key.Fingerprint())
		}
	}
	return ""
}
