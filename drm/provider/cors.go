package provider

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// CORS says what a player in a browser needs of the license service (sheet providers.md §4.2).
type CORS struct {
	Origins        []string `yaml:"origins"`         // that must be allowed, e.g. https://player.example
	RequestHeaders []string `yaml:"request_headers"` // empty: those of the request that need leave, see [Profile.CORSHeaders]
	ExposeHeaders  []string `yaml:"expose_headers"`  // that a script must be able to read
	Credentials    bool     `yaml:"credentials"`     // requests are sent with cookies
	Skip           bool     `yaml:"skip"`            // no browser speaks to the service
}

func (v *validator) cors() {
	c := v.p.CORS
	for i, o := range c.Origins {
		if u, err := url.Parse(o); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || o != u.Scheme+"://"+u.Host {
			v.bad(fmt.Sprintf("cors.origins[%d]", i), "want a scheme and a host and nothing else, e.g. https://player.example, seen %q", o)
		}
	}
	for _, l := range []struct {
		key   string
		names []string
	}{{"request_headers", c.RequestHeaders}, {"expose_headers", c.ExposeHeaders}} {
		for i, name := range l.names {
			if !fieldName.MatchString(name) {
				v.bad(fmt.Sprintf("cors.%s[%d]", l.key, i), "is no header name: %q", name)
			}
		}
	}
	if c.Skip && (len(c.Origins) > 0 || len(c.RequestHeaders) > 0 || len(c.ExposeHeaders) > 0 || c.Credentials) {
		v.bad("cors.skip", "says that no browser speaks to the service, and other keys say what a browser needs")
	}
}

// safelistedTypes are the request media types that a browser sends without asking (Fetch standard, §2.2.2).
var safelistedTypes = []string{"application/x-www-form-urlencoded", "multipart/form-data", "text/plain"}

// CORSHeaders returns which headers of a request a browser asks leave for before it sends it to another origin, in lower
// case and in order: those that the profile names, or else all but the safelisted ones (Fetch standard, "CORS-safelisted
// request-header").
func (p *Profile) CORSHeaders(r *Request) []string {
	var names []string
	for name := range r.Header {
		names = append(names, strings.ToLower(name))
	}
	if len(p.CORS.RequestHeaders) > 0 {
		names = names[:0]
		for _, name := range p.CORS.RequestHeaders {
			names = append(names, strings.ToLower(name))
		}
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool {
		switch name {
		case "accept", "accept-language", "content-language":
			return true
		case "content-type":
			return slices.Contains(safelistedTypes, mediaType(http.Header{"Content-Type": r.Header["Content-Type"]}))
		}
		return false
	})
}
