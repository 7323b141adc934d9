package loadtest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/reports"
)

// Share is the part of a run's requests that belongs to one profile, or one leaf of a finer mix: a profile's requests of one
// kind, for one asset, good or bad.
type Share struct {
	Profile *provider.Profile // builds the requests, bounds and classifies the answers
	Weight  int64             // beside those of the other shares, from 1
	Source  Source            // of its key requests; nil where Renewing has them
	Clock   drm.Clock         // dates the requests; nil: the machine's
	Network *Network          // nil: the machine's
	Limit   Limit

	// Renewing makes the share one of renewals, of live sessions that are prepared before the first request is due.
	Renewing *Renewing
	// Bad says that a right server refuses each of the share's requests. A refusal that the profile recognises is the right
	// answer then, a license is wrong ([ReasonBadGranted]).
	Bad bool

	// Kind and Asset tell the shares of a profile apart in the report; "" where there is nothing to tell.
	Kind  drm.Kind
	Asset string
}

// label is the operation of the share's requests as the report has it, "" where there is nothing to tell apart.
func (s *Share) label() string {
	if s.Kind == "" {
		return ""
	}
	return OperationName(s.Kind, s.Bad)
}

// told is the share as reports name it, without a result.
func (s *Share) told() reports.Share {
	return reports.Share{Profile: s.Profile.ID, System: string(s.Profile.DRM), Operation: s.label(), Asset: s.Asset, Bad: s.Bad, Weight: s.Weight}
}

// shareOf is the share that a report names: its profile has no more than a name.
func shareOf(s reports.Share) Share {
	kind := drm.Kind(s.Operation)
	if s.Bad {
		kind = drm.Kind(strings.TrimSuffix(s.Operation, badSuffix))
	}
	return Share{Profile: &provider.Profile{ID: s.Profile, DRM: drm.System(s.System)}, Kind: kind, Asset: s.Asset, Bad: s.Bad, Weight: s.Weight}
}

// Network is how hosts are reached. Shares that have the same one have their connections in common.
type Network struct {
	Dial Dial        // nil: the machine's
	TLS  *tls.Config // nil: the system's roots; ALPN is always http/1.1
}

func (s Share) validate() error {
	switch {
	case s.Profile == nil:
		return errors.New("no profile")
	case s.Profile.Response.MaxBytes <= 0:
		return fmt.Errorf("the profile %s does not bound an answer's size", s.Profile.ID)
	case (s.Source == nil) == (s.Renewing == nil):
		return fmt.Errorf("not one source of key requests for %s", s.Profile.ID)
	case s.Renewing != nil && (s.Renewing.Open == nil || s.Renewing.Client == nil):
		return fmt.Errorf("no way to get the sessions that %s renews", s.Profile.ID)
	case s.Renewing != nil && s.Bad:
		return fmt.Errorf("the renewals for %s cannot be bad ones", s.Profile.ID)
	case s.Weight < 1:
		return fmt.Errorf("weight %d of %s is not positive", s.Weight, s.Profile.ID)
	}
	return nil
}

// mixOf returns the mix of valid shares.
func mixOf(shares []Share) (Mix, error) {
	weights := make([]int64, len(shares))
	for i, s := range shares {
		weights[i] = s.Weight
	}
	return NewMix(weights...)
}

// inCommon returns what each share has of something that all shares with the same key have in common. It is made for the first of
// them.
func inCommon[K comparable, T any](shares []Share, key func(Share) K, of func(Share) T) []T {
	all, known := make([]T, len(shares)), map[K]T{}
	for i, s := range shares {
		k := key(s)
		if _, there := known[k]; !there {
			known[k] = of(s)
		}
		all[i] = known[k]
	}
	return all
}

// profileOf is the key of what shares of a profile have in common.
func profileOf(s Share) *provider.Profile { return s.Profile }

// distinct returns each element once, in the order in which they come first.
func distinct[T comparable](list []T) []T {
	var once []T
	for _, e := range list {
		if !slices.Contains(once, e) {
			once = append(once, e)
		}
	}
	return once
}

// lane is the way to the hosts of a network: connections that were opened ahead, and the transport that uses them.
type lane struct {
	pool      *connPool
	transport *http.Transport
}

// newLanes returns the lane of each share; shares of a network have one.
func newLanes(c Config, t *traffic) []*lane {
	return inCommon(c.Shares, func(s Share) *Network { return s.Network }, func(s Share) *lane {
		n := s.Network
		if n == nil {
			n = &Network{}
		}
		pool := newConnPool(n.Dial, n.TLS)
		pool.traffic = t
		return &lane{pool, newTransport(c, pool)}
	})
}

func (l *lane) close() {
	l.transport.CloseIdleConnections()
	l.pool.close()
}
