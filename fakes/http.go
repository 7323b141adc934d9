package fakes

import (
	"cmp"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"

	"keyflow/drm"
	"keyflow/drm/playready/soap"
	"keyflow/drm/secret"
)

// licensePath is where the Widevine license server is.
const licensePath = "/widevine/license"

// maxMethod and maxRequestID bound what a record keeps of a request.
const (
	maxMethod    = 16
	maxRequestID = 64
)

// serveProtocol answers one request to the protocol address. It reads the request as a whole first: which faults are on
// depends on what is asked for.
func (s *Server) serveProtocol(w http.ResponseWriter, r *http.Request) {
	x := s.arrive(r)
	x.head, x.from = headOf(r), portOf(r.RemoteAddr)
	s.role.enter(r)
	refused := s.receive(w, r, x)
	x.faults = s.faults.match(x.record.System, x.record.Operation, x.record.KIDs)
	for _, a := range x.faults {
		if instead := s.instead[a.Name]; instead != nil {
			instead(w, r, x)
			return
		}
	}
	x.stall(r.Context())
	if x.redirected(w, r) {
		return
	}
	var a answer
	if refused == nil {
		a, refused = x.decide(w, r)
	}
	if x.mishandled(w, r, refused) {
		return
	}
	if refused = x.failing(refused); refused != nil {
		a = refused.answer(s.textOnly)
		if x.provider != nil {
			a = x.provider.refuse(x, refused, a)
		}
		x.send(w, a, Refused, refused.reason)
		return
	}
	x.send(w, a, Answered, "")
}

// arrive begins the exchange of a request: from now on it counts.
func (s *Server) arrive(r *http.Request) *exchange {
	x := &exchange{server: s, now: s.clock.Now()}
	x.record = Record{N: s.history.arrive(), Time: x.now.UTC(), Method: r.Method[:min(len(r.Method), maxMethod)]}
	return x
}

// decide returns the answer to a request that could be received.
func (x *exchange) decide(w http.ResponseWriter, r *http.Request) (answer, *refusal) {
	switch {
	case x.browser.preflight:
		return x.preflight()
	case x.token == nil:
		if refused := x.takesForm(w, r); refused != nil {
			return answer{}, refused
		}
		if refused := x.takesType(r); refused != nil {
			return answer{}, refused
		}
	}
	return x.respond()
}

// receive reads the request into the exchange and returns why it can't be one, or nil.
func (s *Server) receive(w http.ResponseWriter, r *http.Request, x *exchange) *refusal {
	to, found := s.role.route(hostName(hostOf(r)), r.URL.Path)
	x.record.System = to.system
	switch {
	case !found:
		return refuse(http.StatusNotFound, reasonPath, "nothing here: key requests go to "+licensePath+" and "+playReadyPath)
	case to.issues:
		return s.receiveTokenRequest(w, r, x, to)
	}
	if x.browser = readBrowser(r); x.browser.preflight {
		x.record.Operation = OperationPreflight
		return nil
	}
	body, refused := s.readBody(w, r)
	x.record.RequestBytes = len(body)
	if refused != nil {
		return refused
	}
	if to.open != nil {
		x.provider, x.asked = to.open(), urlOf(r)
		x.misspelt = unknown(r.URL.Query(), append(slices.Clone(to.query), redirectMarker))
		body = x.provider.unwrap(x, r, body)
	}
	x.record.Request = secret.FingerprintOf(body)
	if x.record.System == drm.PlayReady {
		return x.receiveChallenge(r, body)
	}
	x.request = readRequest(body)
	x.body = body
	x.record.Operation = x.request.operation
	x.record.KIDs = x.request.content.kids
	x.record.RequestID = shortHex(x.request.requestID())
	return nil
}

// authorize has the provider decide, and refuses what it would grant to a client that misspells a parameter.
func (x *exchange) authorize() *refusal {
	const text = "a query parameter is not known"
	refused := x.provider.authorize(x)
	switch {
	case refused != nil || !x.misspelt:
		return refused
	case x.record.System == drm.PlayReady:
		return x.fault(reasonArgument, soap.CodeServiceSpecific, text)
	}
	return refuse(http.StatusBadRequest, reasonArgument, text)
}

// unknown reports whether there are parameters of other names.
func unknown(given url.Values, known []string) bool {
	for name := range given {
		if !slices.Contains(known, name) {
			return true
		}
	}
	return false
}

// hostOf returns the host and port that the client asked, or that it reached where it didn't say (HTTP/1.0).
func hostOf(r *http.Request) string {
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && r.Host == "" {
		return addr.String()
	}
	return r.Host
}

// portOf returns the port of an address, 0 if it has none.
func portOf(address string) uint16 {
	from, _ := netip.ParseAddrPort(address) // a handler of the caller's own may have any
	return from.Port()
}

// urlOf returns what the client asked for, without the query.
func urlOf(r *http.Request) string {
	u := url.URL{Scheme: "http", Host: hostOf(r), Path: r.URL.Path}
	if r.TLS != nil {
		u.Scheme = "https"
	}
	return u.String()
}

// shortHex returns the first maxRequestID bytes in lower-case hexadecimal.
func shortHex(b []byte) string { return hex.EncodeToString(b[:min(len(b), maxRequestID)]) }

// readBody reads at most maxBody bytes. A longer body closes the connection, without reading the rest.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request) ([]byte, *refusal) {
	limit := s.bodyLimit()
	if r.ContentLength > limit {
		return nil, s.tooLarge(w)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		return body, s.tooLarge(w)
	case err != nil:
		return body, refuse(http.StatusBadRequest, reasonIncomplete, "the body ends early")
	}
	return body, nil
}

// send settles the exchange and sends the answer, or half of it, or two of it, where such a fault is on.
func (x *exchange) send(w http.ResponseWriter, a answer, outcome Outcome, reason drm.Reason) {
	a = x.spoilAnswer(a, outcome)
	if x.on(faultTruncated) && len(a.body) > 1 {
		sendHalf(w, x, a)
		return
	}
	if x.on(faultTwice) {
		sendTwice(w, x, a)
		return
	}
	x.share(w.Header(), a.status)
	x.settle(outcome, a.status, len(a.body), reason)
	a.write(w)
}

// write sends the answer with its exact length; it must not be cached (sheet widevine.md §18, WV-HTP-03), but by a fault.
func (a answer) write(w http.ResponseWriter) {
	a.header(w.Header())
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // a client that left is no concern of the server
}

func (a answer) header(h http.Header) {
	if a.status != http.StatusNoContent {
		h.Set("Content-Type", a.contentType)
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	h.Set("Cache-Control", cmp.Or(a.cache, "no-store"))
	h.Set("X-Content-Type-Options", "nosniff")
	for name, value := range a.more {
		h.Set(name, value)
	}
}
