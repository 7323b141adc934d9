package provider

import "net/http"

// Renamed returns the request with the names of its header fields changed, for instance to lower case, which is the same
// request (RFC 9110 §5.1). A value that is secret stays so.
func (r *Request) Renamed(change func(name string) string) *Request {
	renamed := *r
	renamed.Header, renamed.secretHeaders = make(http.Header, len(r.Header)), nil
	for name, values := range r.Header {
		renamed.Header[change(name)] = append(renamed.Header[change(name)], values...)
	}
	for _, name := range r.secretHeaders {
		renamed.secretHeaders = append(renamed.secretHeaders, change(name))
	}
	return &renamed
}
