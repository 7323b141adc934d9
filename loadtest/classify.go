package loadtest

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"keyflow/drm"
	"keyflow/drm/playready"
	"keyflow/drm/provider"
	"keyflow/drm/widevine"
)

// The classes of failed requests are the reasons of a [provider.TransportError], these, and for a status that the
// profile does not name "http-" and the status, such as http-503; a refusal that the profile says to be for the token is
// the profile's class, such as auth-expired. They are a closed set: no text of an error or of an
// answer ever becomes one.
const (
	ClassEdgeHTML    = "edge-html"     // an HTML page in place of a license or a refusal
	ClassEmpty       = "empty"         // an OK status without a body
	ClassNotALicense = "not-a-license" // refused by the profile for another reason

	ClassLicenseError = "license-error" // Widevine's own refusal with an OK status
	ClassSOAPFault    = "soap-fault"    // PlayReady's own refusal with an OK status
)

// Classes returns the classes of failed requests but those of a status.
func Classes() []string {
	classes := []string{ClassEdgeHTML, ClassEmpty, ClassNotALicense, ClassLicenseError, ClassSOAPFault, classOther}
	for _, c := range authClasses {
		classes = append(classes, authClass(c))
	}
	for _, reason := range []drm.Reason{
		provider.ReasonTimeout, provider.ReasonRefused, provider.ReasonReset, provider.ReasonClosed, provider.ReasonTruncated, provider.ReasonUnreachable,
		provider.ReasonDNS, provider.ReasonTLS, provider.ReasonTransport, provider.ReasonExhausted, provider.ReasonInterrupted, provider.ReasonTooLarge,
	} {
		classes = append(classes, string(reason))
	}
	return classes
}

// isClass reports whether requests can fail in the class.
func isClass(class string) bool {
	status, ok := strings.CutPrefix(class, "http-")
	_, err := strconv.ParseUint(status, 10, 16)
	return slices.Contains(Classes(), class) || ok && len(status) == 3 && err == nil
}

const classTimeout = string(provider.ReasonTimeout)

// authClasses are the profile's classes of refusals that are for the token.
var authClasses = []provider.ErrorClass{
	provider.ErrorAuthMissing, provider.ErrorAuthMalformed, provider.ErrorAuthInvalid, provider.ErrorAuthExpired, provider.ErrorAuthReused,
}

func authClass(c provider.ErrorClass) string { return strings.ReplaceAll(string(c), "_", "-") }

// transportFailure classifies an error on the way to the end of an answer.
func transportFailure(err error) failure {
	var t *provider.TransportError
	if !errors.As(err, &t) {
		t = provider.NewTransportError(err, false)
	}
	return failure{class: string(t.Reason), expected: t.Expected, seen: t.Seen}
}

// read classifies an answer by the profile. It returns the unwrapped license, or the failure.
func read(p *provider.Profile, kind drm.Kind, status int, header http.Header, body []byte) ([]byte, failure) {
	reply := p.Read(kind, status, header, body)
	if reply.Class == provider.ClassOK {
		return inBandRefusal(p.DRM, reply.Body)
	}
	return nil, failureOf(reply)
}

// failureOf classifies an answer that is no license.
func failureOf(reply provider.Reply) failure {
	f := failure{class: ClassNotALicense, expected: "a license", seen: fmt.Sprintf("HTTP %d", reply.Status)}
	if len(reply.Problems) == 0 {
		return f
	}
	problem := reply.Problems[0]
	f.expected, f.seen = problem.Expected, problem.Seen
	switch problem.Reason {
	case provider.ReasonHTML:
		f.class = ClassEdgeHTML
	case provider.ReasonEmpty:
		f.class = ClassEmpty
	case provider.ReasonStatus:
		f.class = fmt.Sprintf("http-%03d", reply.Status)
	}
	if reply.Error != nil && slices.Contains(authClasses, reply.Error.Class) {
		f.class, f.seen = authClass(reply.Error.Class), fmt.Sprintf("HTTP %d: %s", reply.Status, reply.Error)
	}
	return f
}

// inBandRefusal looks whether an answer with an OK status is a refusal in the words of its system.
func inBandRefusal(system drm.System, body []byte) ([]byte, failure) {
	refusal, class := widevine.Refusal, ClassLicenseError
	if system == drm.PlayReady {
		refusal, class = playready.Refusal, ClassSOAPFault
	}
	if seen, refused := refusal(body); refused {
		return nil, failure{class: class, expected: "a license", seen: seen}
	}
	return body, failure{}
}
