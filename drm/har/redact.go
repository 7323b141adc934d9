package har

import (
	"net/url"
	"strconv"
	"strings"
)

// The bounds of what is shown of a stranger's URL.
const (
	// MaxName is the longest name that is shown, in bytes: longer parts of a path, and names in a query, may be tokens.
	MaxName  = 40
	maxQuery = 50
	// Hidden stands for what is not shown.
	Hidden = "…"
)

// ShownURL returns a URL without what may be secret: user, fragment, the values of its query and of parameters in its path, and
// long parts of the path. A query that has no names is left out as a whole.
func ShownURL(text string) string {
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
		return shown + Hidden
	}
	if u.Host != "" {
		shown += "//" + printable(u.Host)
	}
	shown += shownPath(u.EscapedPath())
	var names []string
	for _, p := range Parameters(u) {
		if p.Name == Hidden {
			names = append(names, Hidden)
			continue
		}
		names = append(names, printable(p.Name)+"="+Hidden)
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
		case len(name) > MaxName, strings.HasPrefix(part, "eyJ"): // as JSON in base64 begins, such as a JWT
			parts[i] = Hidden
		case named:
			parts[i] = name + "=" + Hidden
		}
	}
	return strings.Join(parts, "/")
}

// Parameter is a parameter of a query: its value is left out.
type Parameter struct {
	Name  string `json:"name"`
	Bytes int    `json:"value_bytes"`
}

// Parameters returns the parameters of a query in their order, the first of them. What has no name, or a long one, may be a token.
func Parameters(u *url.URL) []Parameter {
	var all []Parameter
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		name, value, named := strings.Cut(pair, "=")
		switch {
		case pair == "":
			continue
		case len(all) == maxQuery:
			return append(all, Parameter{Name: Hidden})
		case !named, len(name) > MaxName:
			name, value = Hidden, pair
		}
		all = append(all, Parameter{name, len(value)})
	}
	return all
}

// printable escapes what is not printable ASCII.
func printable(s string) string {
	quoted := strconv.QuoteToASCII(s)
	return quoted[1 : len(quoted)-1]
}
