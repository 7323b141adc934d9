package suites

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"keyflow/drm"
	"keyflow/drm/provider"
)

const (
	reasonUnhealthy    drm.Reason = "unhealthy"     // a right request gets another answer after malformed ones
	reasonMethodServed drm.Reason = "method-served" // a license for another method than POST
	reasonMethodTaken  drm.Reason = "method-taken"  // status 200 for another method than POST
	reasonChunked      drm.Reason = "chunked-refused"
)

// malformed is a body that is no key request, made of one.
type malformed struct {
	name string
	body func(own []byte) []byte
}

const wantNoRequest = "a refusal: HTTP 4xx, or an error response"

// saysWhatIsWrong reports whether errors of a class say that something is wrong with the request. A service's own failures, and a
// page of somebody else's, do not.
func saysWhatIsWrong(c provider.ErrorClass) bool {
	return !slices.Contains([]provider.ErrorClass{
		provider.ErrorServerFault, provider.ErrorServerTransient, provider.ErrorEdgeHTML, provider.ErrorUnclassified,
	}, c)
}

// turnedAway tells how a request that is none was refused. Anything but a refusal is a miss: by HTTP 4xx, whoever it comes from, an
// in-band error, a SOAP fault or what the profile knows as an error. A PlayReady service may refuse with HTTP 500 (sheet
// playready.md §14.6, PR-XML-01); whether that has a fault in it PR-FLT-01 judges.
func (e *Env) turnedAway(x *Exchange) (string, *Failure) {
	seen := fmt.Sprintf("HTTP %d", x.Status)
	known := x.Reply.Error
	switch {
	case x.Granted():
		return "", &Failure{Reason: reasonAccepted, Expected: wantNoRequest, Seen: x.granted()}
	case x.PlayReady().Fault != nil:
		return fmt.Sprintf("%s and SOAP fault %s", seen, x.PlayReady().Fault.Code), nil
	case x.Answer().Error != nil:
		return fmt.Sprintf("%s and error response %v", seen, x.Answer().Error.GetErrorCode()), nil
	case x.Status >= 400 && x.Status < 500, e.Profile.DRM == drm.PlayReady && x.Status == http.StatusInternalServerError:
		return seen, nil
	case known != nil && saysWhatIsWrong(known.Class):
		return fmt.Sprintf("%s and %s", seen, known), nil
	case x.Status >= http.StatusInternalServerError:
		return "", &Failure{Reason: reasonServerError, Expected: wantNoRequest, Seen: seen}
	}
	return "", &Failure{Reason: reasonUnclear, Expected: wantNoRequest, Seen: fmt.Sprintf("%s with neither license nor error (%s)", seen, x.Reply.Class)}
}

// refuses sends bodies that are no key requests, each of which must be refused, and tells how. That nothing comes back is a failure:
// the service has answered right requests before.
func (p *posts) refuses(bodies ...malformed) string {
	var how []string
	for _, m := range bodies {
		step := "send " + m.name
		x, err := p.try(call{body: m.body})
		if err != nil {
			p.e.failOnSilence(err, step)
		}
		told, miss := p.e.turnedAway(x)
		if miss != nil {
			miss.Step = step
			p.e.Fail(*miss)
		}
		if !slices.Contains(how, told) {
			how = append(how, told)
		}
	}
	return strings.Join(how, ", ")
}

// unharmed sends a right request after malformed ones, which must get the answer that it got before.
func (p *posts) unharmed(before *Exchange) {
	const step = "send a right key request after the malformed ones"
	x, err := p.try(call{})
	if err != nil {
		p.e.failOnSilence(err, step)
	}
	if got, want := answerKind(x), answerKind(before); got != want {
		p.e.Fail(Failure{Reason: reasonUnhealthy, Step: step, Expected: want + ", as before them", Seen: got})
	}
}

// refusesAll sends a right request, malformed ones, and a right one again.
func (e *Env) refusesAll(bodies ...malformed) {
	p := &posts{e: e}
	before := p.wanted(HaveLicense.Name, call{})
	how := p.refuses(bodies...)
	p.unharmed(before)
	e.Note("%s; the service goes on to answer: %s", how, answerKind(before))
}

// cutTo returns a body's first n sixteenths.
func cutTo(n int) malformed {
	return malformed{fmt.Sprintf("a key request that ends after %d/16 of its length", n), func(own []byte) []byte { return own[:len(own)*n/16] }}
}

// leavesMethods is what the refusal of a stranger does not show.
const leavesMethods = "whether a request of a device that is trusted would get a license by another method than POST"

// otherMethods sends GET and HEAD, and PUT with a right key request. None may get a license, or end in a failure of the service;
// strict is that none may succeed. HEAD has the status of GET and no body that could say more (RFC 9110 §9.3.2).
func (e *Env) otherMethods(p *posts, strict bool) {
	var told []string
	toGet := 0
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut} {
		step := "send " + method + " to the license URL"
		x, err := p.try(call{edit: func(r *provider.Request) {
			if r.Method = method; method != http.MethodPut {
				r.Body = nil
			}
		}})
		if err != nil {
			e.failOnSilence(err, step)
		}
		f := judgeMethod(x, strict)
		if f != nil && (method != http.MethodHead || x.Status != toGet) {
			f.Step = step
			e.Miss(*f)
		}
		if method == http.MethodGet {
			toGet = x.Status
		}
		told = append(told, fmt.Sprintf("%s: HTTP %d", method, x.Status))
	}
	e.Note("%s", strings.Join(told, "; "))
}

// judgeMethod judges the answer to a method that is none for key requests. 501 is a right one to a method that the service does not
// know (RFC 9110 §15.6.2).
func judgeMethod(x *Exchange, strict bool) *Failure {
	known := x.Reply.Error
	f := &Failure{Expected: "HTTP 405, or another 4xx", Seen: fmt.Sprintf("HTTP %d", x.Status)}
	switch {
	case x.Granted():
		f.Reason, f.Seen = reasonMethodServed, x.granted()
	case x.PlayReady().Fault != nil, known != nil && saysWhatIsWrong(known.Class), x.Status == http.StatusNotImplemented:
		return nil
	case x.Status >= http.StatusInternalServerError:
		f.Reason = reasonServerError
	case x.Status < http.StatusBadRequest && strict:
		f.Reason = reasonMethodTaken
	default:
		return nil
	}
	return f
}

// chunked sends a right key request without Content-Length, which must get the answer that it gets with one.
func (e *Env) chunked(p *posts, before *Exchange) {
	const step = "send a key request in chunks, without Content-Length"
	u := newUpload(e.Client, true)
	x, err := p.try(call{client: u.client})
	if err != nil {
		e.failOnSilence(err, step)
	}
	if got, want := answerKind(x), answerKind(before); got != want {
		e.Miss(Failure{Reason: reasonChunked, Step: step, Expected: want + ", as with Content-Length", Seen: got})
	}
}
