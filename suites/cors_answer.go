package suites

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"keyflow/drm"
	"keyflow/drm/provider"
)

// DefaultOrigin is a player's page where the profile names none.
const DefaultOrigin = "https://player.example"

// The headers by which a server answers a browser (Fetch standard, "HTTP responses").
const (
	allowOrigin      = "Access-Control-Allow-Origin"
	allowCredentials = "Access-Control-Allow-Credentials"
	allowHeaders     = "Access-Control-Allow-Headers"
	exposeHeaders    = "Access-Control-Expose-Headers"
)

// Preflight returns what a browser asks for leave with to send a request from an origin: to the same URL, with neither body,
// credentials nor any of the headers that it asks for (Fetch standard, "CORS-preflight fetch").
func Preflight(r *provider.Request, origin string, names []string) *provider.Request {
	ask := *r
	ask.Method, ask.Body = http.MethodOptions, nil
	ask.Header = http.Header{
		"Accept": {"*/*"}, "Origin": {origin}, "Access-Control-Request-Method": {r.Method}, "Access-Control-Request-Headers": {strings.Join(names, ",")},
	}
	return &ask
}

// Shared says why a browser withholds an answer from a script of the origin, nil if it does not. Of an origin that is not known,
// "", it is only asked that there is one.
func Shared(c provider.CORS, h http.Header, origin, step string) *drm.Finding {
	values := h.Values(allowOrigin)
	switch {
	case len(values) == 1 && values[0] == origin, len(values) == 1 && origin == "" && values[0] != "*", len(values) == 1 && values[0] == "*" && !c.Credentials:
	default:
		page := cmp.Or(origin, "the page's origin")
		expected := page + " or *"
		if c.Credentials {
			expected = page + ", as * does not go with credentials"
		}
		return &drm.Finding{Reason: reasonAllowOrigin, Step: step, Expected: allowOrigin + ": " + expected, Seen: seenHeader(allowOrigin, values)}
	}
	if c.Credentials && h.Get(allowCredentials) != "true" {
		return &drm.Finding{Reason: reasonAllowCredentials, Step: step, Expected: allowCredentials + ": true", Seen: seenHeader(allowCredentials, h.Values(allowCredentials))}
	}
	return nil
}

// Refused says which of the headers that leave was asked for the answer to a preflight gives none for, nil if it does for all.
func Refused(c provider.CORS, h http.Header, names []string, step string) *drm.Finding {
	missing := lacking(c, h, allowHeaders, names)
	if len(missing) == 0 {
		return nil
	}
	return &drm.Finding{
		Reason: reasonAllowHeaders, Step: step,
		Expected: allowHeaders + " with " + strings.Join(missing, ", "), Seen: seenHeader(allowHeaders, h.Values(allowHeaders)),
	}
}

func seenHeader(name string, values []string) string {
	if len(values) == 0 {
		return "no " + name
	}
	return fmt.Sprintf("%s: %.200s", name, strings.Join(values, ", "))
}

// lacking returns which of the names an answer's list of names lacks. A * stands for all but Authorization, and where
// credentials are sent for nothing (Fetch standard, "CORS-preflight fetch").
func lacking(c provider.CORS, h http.Header, list string, names []string) []string {
	var listed []string
	for name := range strings.SplitSeq(strings.Join(h.Values(list), ","), ",") {
		listed = append(listed, strings.ToLower(strings.TrimSpace(name)))
	}
	all := slices.Contains(listed, "*") && !c.Credentials
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return slices.Contains(listed, name) || all && name != "authorization"
	})
}
