package fakes

import (
	"net/http"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"keyflow/drm"
	"keyflow/drm/widevine/wire"
)

// The faults of services that do not expect what is no key request (sheets widevine.md §18, WV-ROB, and playready.md §14.6,
// PR-XML and PR-SOAP-06).
const (
	faultMalformed500    = "wv-malformed-500"
	faultMalformedHangs  = "malformed-hangs"
	faultMalformedResets = "malformed-resets"
	faultMalformedBreaks = "malformed-breaks-next"
	faultCutAccepted     = "wv-truncated-accepted"
	faultEmptyIsAsking   = "wv-empty-is-certificate-request"
	faultBodyUnlimited   = "body-limit-ignored"
	faultChunkedRefused  = "chunked-refused"
	faultMethodIgnored   = "method-ignored"
	faultMethod500       = "method-500"
	faultGetAnswered     = "get-answered"
)

// unlimitedBody is as much as a fake takes that has no limit of its own, in bytes.
const unlimitedBody = 64 << 20

func malformedFaults() []definition {
	fault := func(name, description string, layer Layer, system drm.System) definition {
		return definition{Fault: Fault{Name: name, Description: description, Layer: layer, System: system}}
	}
	return []definition{
		fault(faultMalformedHangs, "a body that is no key request is read, and never answered", Transport, ""),
		fault(faultMalformedResets, "a body that is no key request resets the connection, as a worker that crashes does", Transport, ""),
		fault(faultMalformedBreaks, "the first request that can be read after one that can't is answered with status 503", HTTP, ""),
		fault(faultBodyUnlimited, "a body is read whole whatever its length, up to 64 MiB", HTTP, ""),
		fault(faultChunkedRefused, "a body without Content-Length is refused with status 411", HTTP, ""),
		fault(faultMethodIgnored, "a key request is served whatever its method", HTTP, ""),
		fault(faultMethod500, "every method but POST is answered with status 500", HTTP, ""),
		fault(faultGetAnswered, "GET and HEAD are answered with a page and status 200", HTTP, ""),
		fault(faultMalformed500, "a body that is no key request is answered with status 500", Protocol, drm.Widevine),
		fault(faultCutAccepted, "a key request that is cut off within its signature is served: what is left of it is not verified", Protocol, drm.Widevine),
		fault(faultEmptyIsAsking, "an empty body is taken for a request for the service certificate", Protocol, drm.Widevine),
	}
}

// unreadable reports whether a refusal is of a body that is no key request.
func (r *refusal) unreadable() bool {
	return r != nil && (r.reason == reasonMalformed || r.reason == reasonEmpty)
}

// mishandled does what a fault wants with a request that gets no proper answer, and reports whether it did.
func (x *exchange) mishandled(w http.ResponseWriter, r *http.Request, refused *refusal) bool {
	switch {
	case refused == nil:
	case refused.unreadable() && x.on(faultMalformedHangs):
		x.holdOpen(w, r, faultMalformedHangs)
		return true
	case refused.unreadable() && x.on(faultMalformedResets):
		x.cut(w, faultMalformedResets)
		return true
	case refused.reason == reasonMethod && r.Method != http.MethodPut && x.acts(faultGetAnswered):
		a := answer{status: http.StatusOK, contentType: contentTypeText, body: []byte("the license service is up\n")}
		x.settle(Broken, a.status, len(a.body), "")
		a.write(w)
		return true
	}
	return false
}

// failing is the refusal of a fault that comes in the place of what the request deserves, which otherwise is returned as it is.
func (x *exchange) failing(refused *refusal) *refusal {
	internal := refuse(http.StatusInternalServerError, reasonInternal, "an internal error")
	switch {
	case refused.unreadable():
		x.server.broken.Store(x.on(faultMalformedBreaks))
		if x.record.System == drm.Widevine && x.acts(faultMalformed500) {
			return internal
		}
	case x.on(faultMalformedBreaks) && x.server.broken.CompareAndSwap(true, false):
		x.acted(faultMalformedBreaks)
		return refuse(http.StatusServiceUnavailable, reasonUnavailable, "the service is starting anew")
	case refused != nil && refused.reason == reasonMethod && x.acts(faultMethod500):
		return internal
	}
	return refused
}

// bodyLimit is how many bytes of a body are read: which faults are on for a request is known only after that.
func (s *Server) bodyLimit() int64 {
	if s.faults.has(faultBodyUnlimited) {
		return max(s.maxBody, unlimitedBody)
	}
	return s.maxBody
}

// tooLarge refuses a body, and with it the connection, on which more of the body may come.
func (s *Server) tooLarge(w http.ResponseWriter) *refusal {
	w.Header().Set("Connection", "close")
	return refuse(http.StatusRequestEntityTooLarge, reasonTooLarge, "the body has more than "+strconv.FormatInt(s.maxBody, 10)+" bytes")
}

// takesForm decides on a request's method and on how its body came, before anybody looks at the body.
func (x *exchange) takesForm(w http.ResponseWriter, r *http.Request) *refusal {
	switch {
	case r.Method != http.MethodPost && !x.acts(faultMethodIgnored):
		w.Header().Set("Allow", http.MethodPost)
		return refuse(http.StatusMethodNotAllowed, reasonMethod, "key requests are sent with POST")
	case int64(x.record.RequestBytes) > x.server.maxBody && !x.acts(faultBodyUnlimited):
		return x.server.tooLarge(w)
	case r.ContentLength < 0 && x.acts(faultChunkedRefused):
		return refuse(http.StatusLengthRequired, reasonIncomplete, "the body has no Content-Length")
	}
	return nil
}

// cutOff is a fault: it reads a request of which the end is missing, if all that is missing is of the signature.
func (x *exchange) cutOff() bool {
	if x.request.refusal == nil || x.request.refusal.reason != reasonMalformed || !x.on(faultCutAccepted) {
		return false
	}
	for rest := x.body; len(rest) > 0; {
		number, kind, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return false
		}
		m := protowire.ConsumeFieldValue(number, kind, rest[n:])
		if m >= 0 {
			rest = rest[n+m:]
			continue
		}
		if number != signatureField || kind != protowire.BytesType {
			return false
		}
		whole := x.body[:len(x.body)-len(rest)]
		if again := readRequest(whole); again.refusal == nil {
			x.request = again
			x.request.cut = true
			return true
		}
		return false
	}
	return false
}

// signatureField is the number of SignedMessage.signature.
var signatureField = (*wire.SignedMessage)(nil).ProtoReflect().Descriptor().Fields().ByName("signature").Number()
