package fakes

import (
	"mime"
	"net/http"
	"strings"

	"keyflow/drm"
)

// reasonPreflight is why a fault refuses a preflight.
const reasonPreflight drm.Reason = "preflight" // 401

// typeless is a provider's service that reads its requests whatever their type says.
type typeless interface{ takesAnyType() }

// takesType decides on the type of a key request's body. One that is another than the system's is refused (RFC 9110 §15.5.16), as
// text; none is taken for the right one, since some clients send none (sheet widevine.md §11). A [typeless] service looks at none.
func (x *exchange) takesType(r *http.Request) *refusal {
	want, refused := "application/octet-stream", "key requests are of type application/octet-stream"
	if x.record.System == drm.PlayReady {
		want, refused = "text/xml", "challenges are of type text/xml, in UTF-8"
	}
	given := r.Header.Get("Content-Type")
	if given == "" {
		if x.acts(faultTypeMissing500) {
			return refuse(http.StatusInternalServerError, reasonInternal, "an internal error")
		}
		return nil
	}
	media, parameters, err := mime.ParseMediaType(given)
	charset := parameters["charset"]
	_, lenient := x.provider.(typeless)
	if !lenient && (err != nil || media != want || want == "text/xml" && charset != "" && !strings.EqualFold(charset, "utf-8")) {
		return refuse(http.StatusUnsupportedMediaType, reasonMediaType, refused)
	}
	if !x.spelled("Content-Type") && x.acts(faultHeaderCase) {
		return refuse(http.StatusUnsupportedMediaType, reasonMediaType, refused)
	}
	if x.record.Operation == drm.KindLicense && x.acts(faultTypeStrict415) {
		return refuse(http.StatusUnsupportedMediaType, reasonMediaType, "key requests are of type application/json")
	}
	return nil
}
