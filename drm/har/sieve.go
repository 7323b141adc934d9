package har

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// MaxWaiting bounds the entries that a [Sieve] holds until a later one may show whose they are.
const MaxWaiting = 2000

// Service names a URL without what differs from request to request: its scheme, host and path.
func Service(u *url.URL) string {
	return u.Scheme + "://" + strings.ToLower(u.Host) + u.EscapedPath()
}

// Sight is what an entry shows of the license service that it may be of.
type Sight struct {
	Service string // that was asked, see [Service]
	LeadsTo string // the one that the answer redirects to, "" for none
	Found   bool   // a message of a DRM system is in it
	Waits   bool   // a later entry may show that it is of a license service
	Likely  bool   // it waits, and looks as if it were of one by itself, see [Likely]
}

// licenseWords are what the URLs of license services are made of (sheet providers.md §2).
var licenseWords = regexp.MustCompile(`(?i)widevine|playready|licen[cs]e|drm|cenc|rights|expressplay|keydelivery|\b(?:wv|pr)\b`)

// Likely reports whether an entry looks like a request for a license though no message is in it: a POST that got no answer and whose
// body the browser did not keep, or a preflight of one that was refused, to a URL or with a header such as those of license services.
// Firefox keeps no body of a request whose preflight is refused.
func Likely(e Entry, u *url.URL) bool {
	switch e.Method {
	case http.MethodPost:
		if e.Status != 0 || len(e.Request.Data) > 0 {
			return false
		}
	case http.MethodOptions:
		if e.Status >= 200 && e.Status < 300 || e.Header.Get("Access-Control-Request-Method") != http.MethodPost {
			return false
		}
	default:
		return false
	}
	asks := strings.ToLower(e.Header.Get("Access-Control-Request-Headers"))
	return e.Header.Get("SOAPAction") != "" || strings.Contains(asks, "soapaction") || licenseWords.MatchString(u.Host+u.Path)
}

// Sieve sorts out the entries of an archive that are of a license service, in whatever form: those in which a message was found, all
// others to the same URL, such as preflights and requests whose body was not kept, those to where such an entry leads, and likely ones.
// Both functions are needed.
type Sieve[T any] struct {
	Take  func(T) bool // an entry of a license service; false: there is no room for it
	Leave func(T)      // another one

	services map[string]bool
	waiting  []waiting[T]
}

type waiting[T any] struct {
	entry T
	sight Sight
}

// Knows reports whether a URL is of a license service as far as the entries have shown.
func (s *Sieve[T]) Knows(service string) bool { return s.services[service] }

// Sift decides about an entry, or has it wait, which it reports.
func (s *Sieve[T]) Sift(entry T, sight Sight) (waits bool) {
	switch {
	case sight.Found || s.services[sight.Service]:
		s.take(entry, sight)
	case sight.Waits && len(s.waiting) < MaxWaiting:
		s.waiting = append(s.waiting, waiting[T]{entry, sight})
		return true
	default:
		s.Leave(entry)
	}
	return false
}

// Finish decides about the entries that wait. No other comes.
func (s *Sieve[T]) Finish() {
	for _, w := range s.waiting {
		if w.sight.Likely {
			s.know(w.sight.Service)
		}
	}
	for _, w := range s.waiting {
		if s.services[w.sight.Service] {
			s.take(w.entry, w.sight)
		} else {
			s.Leave(w.entry)
		}
	}
	s.waiting = nil
}

// take takes an entry in, and remembers where others of its service go.
func (s *Sieve[T]) take(entry T, sight Sight) {
	if !s.Take(entry) {
		return
	}
	if sight.Found {
		s.know(sight.Service)
	}
	if sight.LeadsTo != "" {
		s.know(sight.LeadsTo)
	}
}

func (s *Sieve[T]) know(service string) {
	if s.services == nil {
		s.services = map[string]bool{}
	}
	s.services[service] = true
}
