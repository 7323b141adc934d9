package main

import (
	"net/http"
	"net/url"
	"strings"

	"keyflow/drm"
	"keyflow/drm/har"
	"keyflow/drm/secret"
)

// The bounds of the secrets that are learnt of an archive.
const (
	maxSecrets     = 5000
	minSecretValue = 24 // bytes of a value with a name that says nothing
	minSecretNamed = 12 // of one whose name says that it is secret
)

// archiveSecrets knows the secrets of an archive's exchanges.
type archiveSecrets struct {
	vault  *secret.Vault
	learnt int
}

// learn makes the secrets of an exchange known, for what is printed of messages to be searched for them.
func (s *archiveSecrets) learn(e har.Entry, u *url.URL) {
	for _, header := range []http.Header{e.Header, e.AnswerHeader} {
		for name, values := range header {
			for _, value := range values {
				if shownField(name, value).Hidden == 0 {
					continue
				}
				s.add("header", name, value)
				for part := range strings.FieldsFuncSeq(value, func(c rune) bool { return c == ' ' || c == ';' || c == ',' }) {
					s.add("header", name, part)
					if _, after, named := strings.Cut(part, "="); named {
						s.add("header", name, after)
					}
				}
			}
		}
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		query = url.Values{"": {u.RawQuery}}
	}
	for name, values := range query {
		for _, value := range values {
			s.add("query", name, value)
		}
	}
}

// add learns a value if it looks like a secret. What else stands in a query or a header, such as a KID, a URL or a content id,
// may stand in a message as well, and is to be seen there.
func (s *archiveSecrets) add(where, name, value string) {
	_, noKID := drm.ParseKID(value)
	long := len(value) >= minSecretValue || len(value) >= minSecretNamed && credentials.MatchString(name)
	if noKID == nil || !long || strings.Contains(value, "://") || s.learnt == maxSecrets {
		return
	}
	s.learnt++
	s.vault.Add(where, secret.New([]byte(value)))
}
