package suites

import (
	"errors"
	"slices"

	"keyflow/drm"
	"keyflow/drm/playready"
	"keyflow/drm/provider"
	"keyflow/drm/pssh"
)

// The steps that most PlayReady checks need.
var (
	// haveResponse gets an answer that is a license response, whatever is in its licenses.
	haveResponse = Step[*Exchange]{"get a license response", func(e *Env) (*Exchange, error) {
		x := Require(e, HaveAnswer)
		return x, x.problem(responseForms...)
	}}
	// haveXMR gets a response whose licenses could all be read, their keys right or not.
	haveXMR = Step[*Exchange]{"read the licenses", func(e *Env) (*Exchange, error) {
		x := Require(e, haveResponse)
		return x, x.problem(playready.ReasonLicenseParse)
	}}
)

// responseForms are the findings after which an answer is no license response.
var responseForms = []drm.Reason{playready.ReasonEmptyAnswer, playready.ReasonNotSOAP, playready.ReasonNoLicense}

// playReadyDevice returns the platform as a PlayReady device whose challenges can be forged.
func (e *Env) playReadyDevice() *playready.Platform {
	p, ok := e.Platform.(*playready.Platform)
	if !ok {
		e.NotApplicable("challenges of this platform cannot be forged")
	}
	return p
}

// mustRefuseChallenge sends the untampered twin, which must be granted, and then each forged challenge, which must be refused.
// It returns the refused exchanges.
func (e *Env) mustRefuseChallenge(forges ...playready.Forge) []*Exchange {
	Require(e, HaveLicense)
	box := Require(e, HaveBox)
	var refused []*Exchange
	for _, f := range forges {
		refused = append(refused, e.refusedExchange(e.playReadyDevice().WithForge(f), box))
	}
	e.Note("untampered twin granted; refused with %s", e.refusal(refused[0], stepTampered))
	return refused
}

// algorithm is what a header says of the content's keys: AESCBC for cbcs, AESCTR for cenc.
func (e *Env) algorithm() string {
	for _, t := range e.Asset.Tracks {
		if t.Scheme == drm.SchemeCBCS {
			return pssh.AlgorithmAESCBC
		}
	}
	return pssh.AlgorithmAESCTR
}

// ctrOnly ends a check of a header version that knows no AES-CBC.
func (e *Env) ctrOnly(version string) {
	if e.algorithm() != pssh.AlgorithmAESCTR {
		e.NotApplicable("headers of version " + version + " cannot say AESCBC, which content in cbcs needs")
	}
}

// header makes a header that asks for the asset's first KIDs, n of them.
func (e *Env) header(version string, n int) pssh.WRMHeader {
	h := pssh.WRMHeader{Version: version}
	kids := e.Asset.KIDs()
	for _, kid := range kids[:min(n, len(kids))] {
		h.KIDs = append(h.KIDs, pssh.HeaderKID{KID: kid, Algorithm: e.algorithm()})
	}
	return h
}

// ask sends a challenge for a header and returns the exchange, whatever the answer.
func (e *Env) ask(h pssh.WRMHeader) *Exchange {
	box, err := pssh.PlayReadyBox(h)
	if err != nil {
		e.block("make a PlayReady header", &HarnessError{err})
	}
	x, err := e.exchange(e.Platform, box, call{kind: drm.KindLicense, need: e.needOf(h.IDs())})
	if err != nil {
		e.block("get an answer to a challenge with a header of version "+h.Version, err)
	}
	return x
}

// needOf returns what the lease is wanted for that a challenge for the KIDs goes with: the content's, or that of the first KID
// where a lease entitles to one.
func (e *Env) needOf(kids []drm.KID) *provider.Need {
	if !e.Profile.PerKID() {
		return &provider.Need{Asset: e.Asset.Name, KIDs: e.Asset.KIDs(), Keys: e.Asset.Keys(), Labels: e.Asset.Labels()}
	}
	for _, a := range Require(e, haveAsks) {
		if slices.Contains(a.Need.KIDs, kids[0]) {
			return &a.Need
		}
	}
	return nil
}

// haveGranted gets licenses for a header whose like other checks judge, so that what comes after it is not judged by it.
func haveGranted(h pssh.WRMHeader) Step[*Exchange] {
	return Step[*Exchange]{"obtain licenses with a header of version " + h.Version, func(e *Env) (*Exchange, error) {
		x := e.ask(h)
		return x, lacksLicense(x, h)
	}}
}

// mustGrant sends a challenge for a header, which must get a license for each of its KIDs. Licenses that cannot be read block the
// check: PR-LIC-01 judges them.
func (e *Env) mustGrant(h pssh.WRMHeader) *Exchange {
	x := e.ask(h)
	if f := x.Observation.Find(playready.ReasonLicenseParse); f != nil {
		e.block("read the licenses", *f)
	}
	var f drm.Finding
	if errors.As(lacksLicense(x, h), &f) {
		e.failFor(f)
	}
	return x
}

// lacksLicense says why a header did not get a license for each of its KIDs, nil if it did. A KID in the wrong byte order is
// there: PR-KID-01 judges that.
func lacksLicense(x *Exchange, h pssh.WRMHeader) error {
	missing := drm.Finding{
		Reason: reasonHeaderRefused, Step: "send a challenge with a header of version " + h.Version, Expected: "licenses for KID " + drm.JoinKIDs(h.IDs()),
	}
	var f drm.Finding
	if errors.As(x.problem(responseForms...), &f) {
		missing.Seen = f.Seen
		return missing
	}
	there := licensedKIDs(x)
	for _, kid := range there[:len(there):len(there)] {
		there = append(there, guidOrder(kid))
	}
	if lacking := without(x.Lease.Entitled(h.IDs()), there); len(lacking) > 0 {
		missing.Reason, missing.Seen = reasonKIDMissing, "none for "+drm.JoinKIDs(lacking)
		return missing
	}
	return nil
}

const reasonHeaderRefused drm.Reason = "header-refused"

// licensedKIDs returns the KIDs of the licenses of a response, each as often as it has one.
func licensedKIDs(x *Exchange) []drm.KID {
	var kids []drm.KID
	for _, l := range x.PlayReady().Licenses {
		if l.XMR != nil {
			kids = append(kids, l.XMR.KID)
		}
	}
	return kids
}
