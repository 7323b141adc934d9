package har

import (
	"net/url"
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
}

// Sieve sorts out the entries of an archive that are of a license service, in whatever form: those in which a message was found, all
// others to the same URL, such as preflights and requests whose body was not kept, and those to where such an entry leads. Both
// functions are needed.
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
	if s.services == nil {
		s.services = map[string]bool{}
	}
	if sight.Found {
		s.services[sight.Service] = true
	}
	if sight.LeadsTo != "" {
		s.services[sight.LeadsTo] = true
	}
}
