package loadtest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"

	"keyflow/drm"
	"keyflow/drm/provider"
)

// Share is the part of a run's requests that belongs to one profile.
type Share struct {
	Profile *provider.Profile // builds the requests, bounds and classifies the answers
	Weight  int64             // beside those of the other shares, from 1
	Source  Source            // of its key requests
	Clock   drm.Clock         // dates the requests; nil: the machine's
	Network *Network          // nil: the machine's
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
	case s.Source == nil:
		return fmt.Errorf("no source of key requests for %s", s.Profile.ID)
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

// lane is the way to the hosts of a network: connections that were opened ahead, and the transport that uses them.
type lane struct {
	pool      *connPool
	transport *http.Transport
}

// newLanes returns the lane of each share.
func newLanes(shares []Share, workers int, t *traffic) []*lane {
	lanes := make([]*lane, len(shares))
	known := map[*Network]*lane{}
	for i, s := range shares {
		if known[s.Network] == nil {
			n := s.Network
			if n == nil {
				n = &Network{}
			}
			pool := newConnPool(n.Dial, n.TLS)
			pool.traffic = t
			known[s.Network] = &lane{pool, newTransport(workers, pool)}
		}
		lanes[i] = known[s.Network]
	}
	return lanes
}

func (l *lane) close() {
	l.transport.CloseIdleConnections()
	l.pool.close()
}
