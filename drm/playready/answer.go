package playready

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/playready/soap"
	"keyflow/drm/playready/xmr"
	"keyflow/drm/pssh"
	"keyflow/drm/secret"
)

// Answer is everything that was decoded of an answer, whatever is wrong with it.
type Answer struct {
	Fault    *soap.Fault  // of a refusal
	Body     *soap.Answer // nil if the body does not parse, or answers an acknowledgement
	Licenses []License    // in the order of the response, at most 256
	// Pattern says how the Rights IDs of several licenses that stay in memory follow from the nonce, "" if they are not several.
	Pattern NoncePattern
}

// License is one license of an answer.
type License struct {
	Index     int             // in the response, from 0
	XMR       *xmr.License    // nil if it does not parse
	Form      string          // see [xmr.License.Form]
	Key       secret.Bytes    // the content key, once unwrapped; not to be used if a finding speaks against it
	Integrity drm.Fingerprint // of the integrity key, once unwrapped
	Usable    bool            // nothing that was found keeps a client from using it

	verified bool // its CMAC does
}

// NoncePattern is a way in which Rights IDs follow from a nonce (sheet playready.md §8.1).
type NoncePattern string

// The patterns that are accepted. Which of them servers use is not certain.
const (
	NonceBigEndian    NoncePattern = "nonce + i, big-endian"
	NonceLittleEndian NoncePattern = "nonce + i, little-endian"
	NonceUnchanged    NoncePattern = "the nonce itself"
	NonceMixed        NoncePattern = "different ones in one answer"
)

// maxLicenses bounds the licenses of an answer that are read.
const maxLicenses = 256

// The steps that findings name.
const (
	stepParse    = "read the answer"
	stepLicense  = "read the license"
	stepUnwrap   = "unwrap the content key"
	stepPolicy   = "apply the policy"
	stepBinding  = "bind the answer to the request"
	stepResponse = "verify the response's signature"
)

// clockTolerance is how far the clocks of client and server may be apart where a license begins or ends.
const clockTolerance = time.Minute

// examination is one answer being judged.
type examination struct {
	platform *Platform
	pending  pending
	depth    drm.Depth
	stranger bool // the device is not the platform's: nothing is compared with it
	findings []drm.Finding
	answer   Answer
}

// examine decodes and judges an answer. It goes on after a finding wherever something is left to decode.
func (p *Platform) examine(sent pending, body []byte, depth drm.Depth) *examination {
	x := &examination{platform: p, pending: sent, depth: depth}
	x.run(body)
	return x
}

func (x *examination) run(body []byte) {
	if !x.parse(body) {
		return
	}
	for i, raw := range x.answer.Body.Response.Licenses {
		if i == maxLicenses {
			x.find(ReasonForm, stepParse, fmt.Sprintf("at most %d licenses", maxLicenses), fmt.Sprint(len(x.answer.Body.Response.Licenses)))
			break
		}
		x.license(i, raw)
	}
	x.conflicts()
	x.binding()
	x.signature()
}

// examineAcknowledged judges the answer to an acknowledgement (sheet playready.md §8.3).
func (p *Platform) examineAcknowledged(sent pending, body []byte) *examination {
	x := &examination{platform: p, pending: sent}
	if _, fault, _ := soap.ParseAcknowledgementAnswer(body); fault != nil {
		x.answer.Fault = fault
		x.fatal(ReasonFault, "an acknowledgement that is accepted", fault.Error())
	}
	return x
}

// fatal notes a finding after which there is no key to use: the answer cannot be read, or has no license.
func (x *examination) fatal(reason drm.Reason, expected, seen string) {
	x.findings = append(x.findings, drm.Finding{Reason: reason, Step: stepParse, Expected: expected, Seen: seen, Fatal: true})
}

// find notes a finding about the answer as a whole.
func (x *examination) find(reason drm.Reason, step, expected, seen string) {
	x.findings = append(x.findings, drm.Finding{Reason: reason, Step: step, Expected: expected, Seen: seen})
}

// about notes a finding about one license, which a client does not use then.
func (x *examination) about(l *License, reason drm.Reason, step, expected, seen string) {
	l.Usable = false
	x.note(l, reason, step, expected, seen)
}

// note notes a finding about one license that a client uses all the same.
func (x *examination) note(l *License, reason drm.Reason, step, expected, seen string) {
	f := drm.Finding{Reason: reason, Step: step, Expected: expected, Seen: fmt.Sprintf("license %d: %s", l.Index+1, seen)}
	if l.XMR != nil {
		f.KID = &l.XMR.KID
	}
	x.findings = append(x.findings, f)
}

// parse reads the SOAP body and reports whether it holds licenses.
func (x *examination) parse(body []byte) bool {
	if len(body) == 0 {
		x.fatal(ReasonEmptyAnswer, "a license response", "an empty body")
		return false
	}
	a, err := soap.ParseAnswer(body)
	if err != nil {
		x.fatal(ReasonNotSOAP, "a license response or fault in SOAP 1.1", describe(body, err))
		return false
	}
	if a.Fault != nil {
		x.answer.Fault = a.Fault
		x.fatal(ReasonFault, "a license response", a.Fault.Error())
		return false
	}
	x.answer.Body = a
	if len(a.Odd) > 0 {
		x.find(ReasonForm, stepParse, "version and namespaces of a license response", a.Odd[0])
	}
	if len(a.Response.Licenses) == 0 {
		x.fatal(ReasonNoLicense, "at least one license", "none")
		return false
	}
	return true
}

// describe tells what a foreign body looks like without printing it. Only of XML the reader's error is told: of anything else it
// would quote the beginning.
func describe(body []byte, err error) string {
	head := bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\ufeff")))
	what := "what is no XML"
	switch {
	case bytes.HasPrefix(head, []byte("<")):
		what = err.Error()
	case bytes.HasPrefix(head, []byte("XMR\x00")), bytes.HasPrefix(head, []byte("WE1S")):
		what = "a license without its response"
	case bytes.HasPrefix(head, []byte("{")), bytes.HasPrefix(head, []byte("[")):
		what = "what looks like JSON"
	case bytes.HasPrefix(head, []byte{0x08}):
		what = "what looks like a Widevine message"
	}
	return fmt.Sprintf("%d bytes: %s", len(body), what)
}

// license judges one license.
func (x *examination) license(i int, raw []byte) {
	l := License{Index: i, Usable: true}
	defer func() { x.answer.Licenses = append(x.answer.Licenses, l) }()
	parsed, err := xmr.Parse(raw)
	if err != nil {
		x.about(&l, ReasonLicenseParse, stepLicense, "an XMR license", err.Error())
		return
	}
	l.XMR, l.Form = parsed, parsed.Form()
	x.deviceKey(&l)
	switch {
	case x.depth == drm.DepthFull:
		x.unwrap(&l)
	case l.Form != xmr.FormSimple && l.Form != xmr.FormScalable: // what else may be wrong with its keys cannot be seen from outside
		x.about(&l, ReasonLicenseForm, stepLicense, wantForm, "a license of form "+l.Form)
	}
	x.keyType(&l)
	x.policy(&l)
}

// deviceKey compares the device key that the license is for with the device's own (sheet §9.5). The leaf of a chain is bound to its
// root, and need not name one.
func (x *examination) deviceKey(l *License) {
	if x.stranger {
		return
	}
	switch own := x.platform.identity.encrypt.Public(); {
	case l.XMR.DeviceKey == own:
	case l.XMR.DeviceKey != ecc.PublicKey{}:
		x.about(l, ReasonDeviceKey, stepLicense, "device key "+own.String(), l.XMR.DeviceKey.String())
	case l.Form != xmr.FormChained:
		x.about(l, ReasonDeviceKey, stepLicense, "the device key that the license is for", "none")
	}
}

const wantForm = "a license of simple form"

// unwrap takes the keys out and verifies the license with them (sheet §9.4, §9.5).
func (x *examination) unwrap(l *License) {
	integrity, content, err := l.XMR.Unwrap(x.platform.identity.encrypt)
	switch {
	case errors.Is(err, xmr.ErrForm):
		x.about(l, ReasonLicenseForm, stepUnwrap, wantForm, err.Error())
		return
	case err != nil:
		x.about(l, ReasonKeyUnwrap, stepUnwrap, "an encrypted key of two points for this device", err.Error())
		return
	}
	l.Key, l.Integrity = content, integrity.Fingerprint()
	l.verified = l.XMR.Verify(integrity)
	if !l.verified {
		x.about(l, ReasonCMAC, stepUnwrap, "an AES-CMAC over the license under its integrity key", "one that does not verify")
	}
}

// keyType compares the key's type with the algorithm of the header. A client that ignores it still decrypts.
func (x *examination) keyType(l *License) {
	if x.pending.header == nil {
		return
	}
	for _, k := range x.pending.header.KIDs {
		want, ok := KeyType(k.Algorithm)
		if k.KID == l.XMR.KID && ok && l.XMR.KeyType != want {
			x.note(l, ReasonKeyType, stepLicense, fmt.Sprintf("key type %d, since the header says %s", want, k.Algorithm),
				fmt.Sprintf("key type %d", l.XMR.KeyType))
			return
		}
	}
}

// KeyType returns the type of a content key for an algorithm of a PlayReady header (sheet playready.md §9.4), false for one that
// says nothing: no algorithm, or COCKTAIL.
func KeyType(algorithm string) (xmr.KeyType, bool) {
	switch algorithm {
	case pssh.AlgorithmAESCTR:
		return xmr.KeyAESCTR, true
	case pssh.AlgorithmAESCBC:
		return xmr.KeyAESCBC, true
	}
	return 0, false
}

func (x *examination) policy(l *License) {
	p, now := l.XMR.Policy, x.pending.minted
	if !p.CanPlay {
		x.about(l, ReasonCannotPlay, stepPolicy, "a right to play", "no playback policy")
	}
	if !x.stranger {
		if own := x.platform.identity.SecurityLevel(); p.SecurityLevel > own {
			x.about(l, ReasonSecurityLevel, stepPolicy, fmt.Sprintf("at most this device's security level, %d", own), fmt.Sprint(p.SecurityLevel))
		}
	}
	if !p.Begin.IsZero() && p.Begin.After(now.Add(clockTolerance)) {
		x.about(l, ReasonNotYetValid, stepPolicy, "a license that has begun at "+now.UTC().Format(time.RFC3339), "begins "+p.Begin.Format(time.RFC3339))
	}
	if !p.End.IsZero() && p.End.Before(now.Add(-clockTolerance)) {
		x.about(l, ReasonExpired, stepPolicy, "a license that has not ended at "+now.UTC().Format(time.RFC3339), "ended "+p.End.Format(time.RFC3339))
	}
	if start := l.start(); !p.End.IsZero() && !start.IsZero() && !p.End.After(start) {
		x.about(l, ReasonWindow, stepPolicy, "an end after the start "+start.Format(time.RFC3339), "ends "+p.End.Format(time.RFC3339))
	}
}

// conflicts finds KIDs with several keys. What a license that does not verify has for a key says nothing against another's.
func (x *examination) conflicts() {
	for i := range x.answer.Licenses {
		l := &x.answer.Licenses[i]
		if !l.verified {
			continue
		}
		for j := range x.answer.Licenses[:i] {
			if o := &x.answer.Licenses[j]; o.verified && o.XMR.KID == l.XMR.KID && !o.Key.Equal(l.Key) {
				o.Usable = false
				x.about(l, ReasonKeyConflict, stepUnwrap, "one key for a KID", fmt.Sprintf("another key than that of license %d", j+1))
				break
			}
		}
	}
}

// licenses returns what a session may use of the answer: nothing after a fatal finding.
func (x *examination) licenses() []drm.License {
	if slices.ContainsFunc(x.findings, func(f drm.Finding) bool { return f.Fatal }) {
		return nil
	}
	var all []drm.License
	for _, l := range x.answer.Licenses {
		if l.Usable && (x.depth != drm.DepthFull || !l.Key.IsZero()) {
			all = append(all, l.license())
		}
	}
	return all
}

// start is when the license begins: without a begin, when it was issued.
func (l License) start() time.Time {
	if l.XMR.Begin.IsZero() {
		return l.XMR.Issued
	}
	return l.XMR.Begin
}

func (l License) license() drm.License {
	p := l.XMR.Policy
	out := drm.License{
		Type: drm.Offline, Start: l.start(),
		Keys:   []drm.ContentKey{{KID: l.XMR.KID, Key: l.Key, SecurityLevel: p.SecurityLevel}},
		Policy: drm.Policy{CanPlay: p.CanPlay, CanPersist: !p.CannotPersist, Playback: p.FirstPlay},
	}
	if p.CannotPersist {
		out.Type = drm.Streaming
	}
	if !p.End.IsZero() && !out.Start.IsZero() {
		out.Policy.License = p.End.Sub(out.Start)
	}
	return out
}
