package main

import (
	"net/url"
	"slices"
	"strings"
)

// The bounds of what is shown of a stranger's URL.
const (
	maxPathPart  = 40 // longer parts of a path, and names in a query, may be tokens
	maxQuery     = 50
	hiddenAsMark = "…"
)

// shownURL returns a URL without what may be secret: user, fragment, the values of its query and of parameters in its path, and
// long parts of the path. A query that has no names is left out as a whole.
func shownURL(text string) string {
	if text == "" {
		return ""
	}
	u, err := url.Parse(text)
	if err != nil {
		return "an invalid URL"
	}
	shown := ""
	if u.Scheme != "" {
		shown = u.Scheme + ":"
	}
	if u.Opaque != "" { // such as data:
		return shown + hiddenAsMark
	}
	if u.Host != "" {
		shown += "//" + ascii(u.Host)
	}
	shown += shownPath(u.EscapedPath())
	var names []string
	for _, p := range queryOf(u) {
		if p.Name == hiddenAsMark {
			names = append(names, hiddenAsMark)
			continue
		}
		names = append(names, ascii(p.Name)+"="+hiddenAsMark)
	}
	if len(names) > 0 {
		shown += "?" + strings.Join(names, "&")
	}
	return shown
}

func shownPath(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		name, _, named := strings.Cut(part, "=")
		switch {
		case len(name) > maxPathPart, strings.HasPrefix(part, "eyJ"): // as JSON in base64 begins, such as a JWT
			parts[i] = hiddenAsMark
		case named:
			parts[i] = name + "=" + hiddenAsMark
		}
	}
	return strings.Join(parts, "/")
}

// inspectedParameter is a parameter of a query: its value is left out.
type inspectedParameter struct {
	Name  string `json:"name"`
	Bytes int    `json:"value_bytes"`
}

// queryOf returns the parameters of a query in their order, the first of them. What has no name, or a long one, may be a token.
func queryOf(u *url.URL) []inspectedParameter {
	var all []inspectedParameter
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		name, value, named := strings.Cut(pair, "=")
		switch {
		case pair == "":
			continue
		case len(all) == maxQuery:
			return append(all, inspectedParameter{Name: hiddenAsMark})
		case !named, len(name) > maxPathPart:
			name, value = hiddenAsMark, pair
		}
		all = append(all, inspectedParameter{name, len(value)})
	}
	return all
}

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
		return inspectedField{Name: name, Value: shownURL(value)}
	}
	return inspectedField{Name: name, Hidden: len(value)}
}
