package loadtest

import (
	"fmt"
	"net/http"
	"slices"

	"keyflow/drm"
	"keyflow/drm/playready"
	"keyflow/drm/playready/soap"
	"keyflow/drm/provider"
	"keyflow/drm/widevine"
)

// ReasonBadGranted is that of a license for a request that a right server refuses.
const ReasonBadGranted drm.Reason = "bad-request-granted"

// readBad classifies the answer to a request that has to be refused. denied says that the profile recognises a refusal; what
// it reads as a license is for the judge, and anything else is a failure as it is for a good request.
func readBad(p *provider.Profile, kind drm.Kind, status int, header http.Header, body []byte) (answer []byte, denied bool, f failure) {
	reply := p.Read(kind, status, header, body)
	switch {
	case reply.Class == provider.ClassOK:
		return reply.Body, false, failure{}
	case denies(p, reply):
		return nil, true, failure{}
	}
	return nil, false, failureOf(reply)
}

// noRefusal are what an answer may mean that says nothing of the request: the service, or what stands before it, is in trouble
// or busy, or somebody else speaks.
var noRefusal = []provider.ErrorClass{
	provider.ErrorEdgeHTML, provider.ErrorUnclassified, provider.ErrorRateLimited, provider.ErrorServerTransient, provider.ErrorServerFault,
}

// denies reports whether an answer that is no license refuses the request: as the errors of the profile say, or if it names
// none by a status of 4xx that is about the request, or by a SOAP fault.
func denies(p *provider.Profile, reply provider.Reply) bool {
	switch {
	case reply.Class == provider.ClassEdgeHTML:
		return false
	case reply.Error != nil:
		return !slices.Contains(noRefusal, reply.Error.Class)
	case p.DRM == drm.PlayReady && isFault(reply.Body):
		return true
	}
	return reply.Class == provider.ClassRefused && reply.Status != http.StatusRequestTimeout && reply.Status != http.StatusTooManyRequests
}

func isFault(body []byte) bool {
	a, err := soap.ParseAnswer(body)
	return err == nil && a.Fault != nil
}

// inBand are the findings that say that an answer which looked like a license is a refusal.
var inBand = []drm.Reason{widevine.ReasonLicenseError, playready.ReasonFault}

// granted returns what is wrong with the answer to a bad request: nothing with a refusal. Of anything else the shape tells
// whether a license could be got out of it.
func (v *verifier) granted(f *flight) *drm.Finding {
	if f.denied {
		return nil
	}
	for _, finding := range v.config.Judge(f.message, f.answer, drm.DepthShape).Findings {
		if slices.Contains(inBand, finding.Reason) {
			return nil
		}
		if finding.Fatal {
			return &finding
		}
	}
	return &drm.Finding{Reason: ReasonBadGranted, Step: "verify", Expected: "a refusal of the bad request", Seen: fmt.Sprintf("a license of %d bytes", len(f.answer))}
}
