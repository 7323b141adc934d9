package fakes

import (
	"cmp"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strconv"

	"keyflow/drm"
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
	x := &exchange{server: s, now: s.clock.Now()}
	x.record = Record{N: s.history.arrive(), Time: x.now.UTC(), Method: r.Method[:min(len(r.Method), maxMethod)]}
	s.role.enter(r)
	refused := s.receive(w, r, x)
	x.faults = s.faults.match(x.record.Operation, x.record.KIDs)
	for _, a := range x.faults {
		if instead := s.instead[a.Name]; instead != nil {
			instead(w, r, x)
			return
		}
	}
	x.stall(r.Context())
	var a answer
	if refused == nil {
		a, refused = x.respond()
	}
	if refused != nil {
		x.send(w, refused.answer(s.textOnly), Refused, refused.reason)
		return
	}
	x.send(w, a, Answered, "")
}

// receive reads the request into the exchange and returns why it can't be one, or nil.
func (s *Server) receive(w http.ResponseWriter, r *http.Request, x *exchange) *refusal {
	x.record.System = systemOf(r.URL.Path)
	path := r.URL.Path
	if !s.role.has(hostName(hostOf(r)), path) {
		path = ""
	}
	switch path {
	case expressPlayIssuePath, expressPlayPlayReadyIssuePath:
		return s.receiveTokenRequest(w, r, x)
	case expressPlayLicensePath, expressPlayPlayReadyLicensePath:
		x.present(r)
	case licensePath, playReadyPath:
	default:
		return refuse(http.StatusNotFound, reasonPath, "nothing here: key requests go to "+licensePath+" and "+playReadyPath)
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return refuse(http.StatusMethodNotAllowed, reasonMethod, "key requests are sent with POST")
	}
	body, refused := s.readBody(w, r)
	x.record.RequestBytes = len(body)
	if refused != nil {
		return refused
	}
	x.record.Request = secret.FingerprintOf(body)
	if x.record.System == drm.PlayReady {
		return x.receiveChallenge(r, body)
	}
	x.request = readRequest(body)
	x.record.Operation = x.request.operation
	x.record.KIDs = x.request.content.kids
	x.record.RequestID = shortHex(x.request.message.GetContentId().GetWidevinePsshData().GetRequestId())
	return nil
}

// systemOf returns whose services a path belongs to; Widevine's if to nobody's.
func systemOf(path string) drm.System {
	switch path {
	case playReadyPath, expressPlayPlayReadyIssuePath, expressPlayPlayReadyLicensePath:
		return drm.PlayReady
	}
	return drm.Widevine
}

// shortHex returns the first maxRequestID bytes in lower-case hexadecimal.
func shortHex(b []byte) string { return hex.EncodeToString(b[:min(len(b), maxRequestID)]) }

// readBody reads at most maxBody bytes. A longer body closes the connection, without reading the rest.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request) ([]byte, *refusal) {
	tooLarge := func() *refusal {
		w.Header().Set("Connection", "close")
		return refuse(http.StatusRequestEntityTooLarge, reasonTooLarge, "the body has more than "+strconv.FormatInt(s.maxBody, 10)+" bytes")
	}
	if r.ContentLength > s.maxBody {
		return nil, tooLarge()
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.maxBody))
	var limit *http.MaxBytesError
	switch {
	case errors.As(err, &limit):
		return body, tooLarge()
	case err != nil:
		return body, refuse(http.StatusBadRequest, reasonIncomplete, "the body ends early")
	}
	return body, nil
}

// send settles the exchange and sends the answer, or half of it where that fault is on.
func (x *exchange) send(w http.ResponseWriter, a answer, outcome Outcome, reason drm.Reason) {
	if x.on(faultTruncated) && len(a.body) > 1 {
		sendHalf(w, x, a)
		return
	}
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
	h.Set("Content-Type", a.contentType)
	h.Set("Content-Length", strconv.Itoa(len(a.body)))
	h.Set("Cache-Control", cmp.Or(a.cache, "no-store"))
	h.Set("X-Content-Type-Options", "nosniff")
}
