package main

import (
	"time"

	"keyflow/drm/har"
)

// What inspect prints of an HTTP archive with --json. The values of queries, of cookies and of header fields that may be secret are
// told by their length alone.
type (
	inspectedArchive struct {
		Name      string              `json:"name"`
		Kind      string              `json:"kind"`
		Entries   int                 `json:"entries"`
		Others    int                 `json:"other_entries"`                 // that are not of a license service, as far as can be told
		Lost      int                 `json:"other_bodies_lost,omitempty"`   // of others: requests whose body the archive does not hold
		More      int                 `json:"exchanges_not_shown,omitempty"` // beyond the first 1000
		Exchanges []inspectedExchange `json:"exchanges"`
		Problems  []string            `json:"problems,omitempty"`
	}
	// inspectedExchange is an entry of the archive.
	inspectedExchange struct {
		Index          int              `json:"index"` // in log.entries, from 0
		Kind           string           `json:"kind"`
		Started        *time.Time       `json:"started,omitempty"`
		Took           float64          `json:"took_milliseconds"`
		Method         string           `json:"method"`
		URL            string           `json:"url"` // without the values of its query
		Query          []har.Parameter  `json:"query,omitempty"`
		RequestHeaders []inspectedField `json:"request_headers,omitempty"`
		Request        *inspectedBody   `json:"request,omitempty"`
		Status         int              `json:"status"` // 0: the browser got no answer, or showed none
		Failure        string           `json:"failure,omitempty"`
		Redirect       string           `json:"redirect,omitempty"`
		AnswerHeaders  []inspectedField `json:"answer_headers,omitempty"`
		Answer         *inspectedBody   `json:"answer,omitempty"`
	}
	inspectedBody struct {
		Type    string            `json:"content_type,omitempty"`
		Bytes   int               `json:"bytes"`
		Lost    string            `json:"lost,omitempty"` // why it is not, or may not be, what went over the network
		Summary string            `json:"summary,omitempty"`
		Message *inspectedMessage `json:"message,omitempty"`
	}
)
