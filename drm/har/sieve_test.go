package har_test

import (
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
