package main

import (
	"slices"
	"strings"

	"keyflow/drm/har"
)

// plainHeaders are header fields whose values say nothing of who asks; those that begin with access-control- are as well.
var plainHeaders = []string{
	"accept", "accept-encoding", "accept-language", "age", "allow", "cache-control", "connection", "content-encoding", "content-length",
	"content-type", "date", "expires", "host", "origin", "pragma", "retry-after", "sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site", "server",
	"soapaction", "strict-transport-security", "transfer-encoding", "user-agent", "vary", "via", "x-content-type-options",
}

// shownField tells a header field: its value only if it is known to be no secret.
func shownField(name, value string) inspectedField {
	lower := strings.ToLower(name)
	switch {
	case slices.Contains(plainHeaders, lower), strings.HasPrefix(lower, "access-control-"):
		return inspectedField{Name: name, Value: value}
	case lower == "location", lower == "referer", lower == "content-location":
		return inspectedField{Name: name, Value: har.ShownURL(value)}
	}
	return inspectedField{Name: name, Hidden: len(value)}
}
