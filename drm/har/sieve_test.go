package har_test

import (
	"net/http"
	"net/url"
	"slices"
	"testing"

	"keyflow/drm/har"
)

func TestService(t *testing.T) {
	t.Parallel()
	u, err := url.Parse("https://License.example:8443/a%2Fb?token=1#x")
	if err != nil {
		t.Fatal(err)
	}
	if got := har.Service(u); got != "https://license.example:8443/a%2Fb" {
		t.Errorf("got %s", got)
	}
}

func TestSieve(t *testing.T) {
	t.Parallel()
	var taken, left []string
	room := 5
	s := har.Sieve[string]{
		Take: func(name string) bool {
			if len(taken) == room {
				left = append(left, name+" for want of room")
				return false
			}
			taken = append(taken, name)
			return true
		},
		Leave: func(name string) { left = append(left, name) },
	}
	for _, e := range []struct {
		name  string
		sight har.Sight
		waits bool
	}{
		{"preflight", har.Sight{Service: "wv", Waits: true}, true},
		{"page", har.Sight{Service: "page"}, false},
		{"elsewhere", har.Sight{Service: "other", Waits: true}, true},
		{"license", har.Sight{Service: "wv", LeadsTo: "moved", Found: true, Waits: true}, false},
		{"body lost", har.Sight{Service: "wv", Waits: true}, false},
		{"redirected, with GET", har.Sight{Service: "moved"}, false},
	} {
		if got := s.Sift(e.name, e.sight); got != e.waits {
			t.Errorf("%s waits: %v", e.name, got)
		}
	}
	if !s.Knows("wv") || !s.Knows("moved") || s.Knows("other") {
		t.Error("the services are not those that were shown")
	}
	room = len(taken)
	s.Sift("too much", har.Sight{Service: "new", Found: true})
	if s.Knows("new") {
		t.Error("an entry without room has shown a service")
	}
	room++
	s.Finish()
	if want := []string{"license", "body lost", "redirected, with GET", "preflight"}; !slices.Equal(taken, want) {
		t.Errorf("taken %q, want %q", taken, want)
	}
	if want := []string{"page", "too much for want of room", "elsewhere"}; !slices.Equal(left, want) {
		t.Errorf("left %q, want %q", left, want)
	}
}

func TestSieveHoldsSoMany(t *testing.T) {
	t.Parallel()
	left := 0
	s := har.Sieve[int]{Take: func(int) bool { return true }, Leave: func(int) { left++ }}
	for i := range har.MaxWaiting + 3 {
		s.Sift(i, har.Sight{Service: "x", Waits: true})
	}
	if left != 3 {
		t.Errorf("%d were left at once, want 3", left)
	}
}

// TestLikely: what looks like a license request of which the browser kept no body, and what does not.
func TestLikely(t *testing.T) {
	t.Parallel()
	asks := http.Header{"Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"content-type,soapaction"}}
	for name, c := range map[string]struct {
		entry har.Entry
		url   string
		want  bool
	}{
		"without an answer":     {har.Entry{Method: "POST"}, "https://lic.example/widevine", true},
		"by its header":         {har.Entry{Method: "POST", Header: http.Header{"Soapaction": {"x"}}}, "https://a.example/b", true},
		"by its host":           {har.Entry{Method: "POST"}, "https://wv.service.example/x", true},
		"preflight refused":     {har.Entry{Method: "OPTIONS", Status: 404, Header: asks}, "https://a.example/b", true},
		"preflight granted":     {har.Entry{Method: "OPTIONS", Status: 204, Header: asks}, "https://a.example/license", false},
		"preflight for a GET":   {har.Entry{Method: "OPTIONS", Status: 404}, "https://a.example/license", false},
		"answered":              {har.Entry{Method: "POST", Status: 204}, "https://a.example/license", false},
		"with a body":           {har.Entry{Method: "POST", Request: har.Body{Data: []byte("{}")}}, "https://a.example/license", false},
		"GET":                   {har.Entry{Method: "GET"}, "https://a.example/license", false},
		"something else":        {har.Entry{Method: "POST"}, "https://stats.example/collect", false},
		"a word in other words": {har.Entry{Method: "POST"}, "https://stats.example/expr", false},
	} {
		u, err := url.Parse(c.url)
		if err != nil {
			t.Fatal(err)
		}
		if got := har.Likely(c.entry, u); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
