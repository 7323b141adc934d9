package fakes

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/widevine/wire"
)

// exchange is one request on its way through the server.
type exchange struct {
	server      *Server
	now         time.Time                  // of arrival, by the server's clock
	request     request                    // of Widevine
	body        []byte                     // that it was read from
	challenge   *challenge                 // of PlayReady; nil: not a request to its license server
	clientID    *wire.ClientIdentification // decrypted, of a request in privacy mode
	token       *tokenRequest              // to ExpressPlay's token service; nil: a key request
	provider    provider                   // a provider's license service; nil: a key request to the plain one
	asked       string                     // URL of that service as the client calls it, without the query
	misspelt    bool                       // a query parameter is not one of that service's
	entitlement *entitlement               // nil: to everything
	faults      []*armed                   // on for this request
	record      Record
	browser     browser
	from        uint16 // the client's port: which connection it is
	head        []byte // as the client wrote it, nil if that is not known
}

// on reports whether the fault is on for this request.
func (x *exchange) on(name string) bool {
	return slices.ContainsFunc(x.faults, func(a *armed) bool { return a.Name == name })
}

// acts reports whether the fault is on, and if so counts it as exercised. It is asked only where the fault changes what
// happens.
func (x *exchange) acts(name string) bool {
	if !x.on(name) {
		return false
	}
	x.acted(name)
	return true
}

// acted counts the fault as exercised, once for each request.
func (x *exchange) acted(name string) {
	if slices.Contains(x.record.Faults, name) {
		return
	}
	x.record.Faults = append(x.record.Faults, name)
	x.server.faults.exercised[name].Add(1)
}

// settle decides the outcome and puts the request into the history. It is called once, before anything is sent.
func (x *exchange) settle(outcome Outcome, status, bytes int, reason drm.Reason) {
	x.record.Outcome, x.record.Status, x.record.AnswerBytes, x.record.Reason = outcome, status, bytes, reason
	x.record.Elapsed = max(0, x.server.clock.Now().Sub(x.now))
	x.server.history.add(x.record)
	if x.server.log != nil {
		x.server.log(x.record)
	}
}

// answer is what goes back over HTTP.
type answer struct {
	status      int
	contentType string
	cache       string            // of Cache-Control; "" is no-store
	more        map[string]string // headers of a provider
	body        []byte
}

// withHeader returns the answer with one more header.
func (a answer) withHeader(name, value string) answer {
	more := map[string]string{name: value}
	maps.Copy(more, a.more)
	a.more = more
	return a
}

// refusal is why a request gets no license.
type refusal struct {
	status int
	reason drm.Reason
	text   string                 // for the client, without internals
	code   wire.LicenseError_Code // 0: none
	page   *answer                // as a provider has it; nil: as the Widevine server does
}

const (
	contentTypeBinary = "application/octet-stream"
	contentTypeText   = "text/plain; charset=utf-8"
	contentTypeHTML   = "text/html; charset=utf-8"
)

// Reasons of refusals that no DRM system comes into.
const (
	reasonMethod      drm.Reason = "method"          // 405
	reasonPath        drm.Reason = "path"            // 404
	reasonTooLarge    drm.Reason = "body-too-large"  // 413
	reasonIncomplete  drm.Reason = "body-incomplete" // 400
	reasonInternal    drm.Reason = "internal"        // 500
	reasonUnavailable drm.Reason = "unavailable"     // 503, by a fault
)

func refuse(status int, reason drm.Reason, text string) *refusal {
	return &refusal{status: status, reason: reason, text: text}
}

func refuseDevice(reason drm.Reason, text string, code wire.LicenseError_Code) *refusal {
	return &refusal{status: http.StatusForbidden, reason: reason, text: text, code: code}
}

// answer returns the refusal as the client sees it: a LicenseError for certificate faults, unless the server is told to
// refuse in text alone, and one line of text for all others (sheet widevine.md §11). What a provider's own services refuse has
// their form.
func (r *refusal) answer(textOnly bool) answer {
	if r.page != nil {
		return *r.page
	}
	if r.code != 0 && !textOnly {
		if body, err := licenseError(r.code); err == nil {
			return answer{status: r.status, contentType: contentTypeBinary, body: body}
		}
	}
	return answer{status: r.status, contentType: contentTypeText, body: []byte(r.text + "\n")}
}

// licenseError returns a SignedMessage of type ERROR_RESPONSE, not signed (sheet §4.2, §4.14).
func licenseError(code wire.LicenseError_Code) ([]byte, error) {
	msg, err := proto.Marshal(&wire.LicenseError{ErrorCode: code.Enum()})
	if err != nil {
		return nil, err
	}
	return marshal.Marshal(&wire.SignedMessage{Type: wire.SignedMessage_ERROR_RESPONSE.Enum(), Msg: msg})
}
