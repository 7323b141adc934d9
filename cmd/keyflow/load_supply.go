package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/secret"
	"keyflow/loadtest"
	"keyflow/reports"
	"keyflow/suites"
)

// supply is where the key requests of a load run are from.
type supply interface {
	// has reports whether there are requests for a profile's stream.
	has(*stream) bool
	// prepare refuses streams that the supply cannot serve. They know by now how many requests they have.
	prepare(*setting, *loadFlags, []*stream) error
	source(*stream, []device) (loadtest.Source, error)
	report() reports.KeyRequests
	close() error
}

// supply opens what the flags name: a corpus, captured requests, or nothing, which means that requests are minted.
func (f *loadFlags) supply(ctx context.Context) (supply, error) {
	switch {
	case f.platform == string(suites.PlatformCaptured) && !f.captured():
		return nil, usage(errors.New("--platform captured needs captured requests"), captureHint)
	case f.corpus != "" && f.captured():
		return nil, usage(errors.New("--corpus excludes --request and --har: each says where the key requests are from"), "leave out one of the two")
	case (f.corpus != "" || f.captured()) && f.parts.given():
		return nil, usage(errors.New("--mix-kind, --mix-asset and --bad are for requests that the run makes; those of --corpus, --request and --har are what they are"), "leave out one of them; keyflow mint --asset NAME makes a corpus for some assets only")
	case f.corpus != "":
		return openCorpus(ctx, f.corpus)
	case f.captured():
		return f.readCaptures()
	}
	return minted{}, nil
}

// supplied are the streams that there are requests for. Of several profiles each must have some; of the embedded fakes those
// are taken that have.
func supplied(from supply, all []*stream, embedded bool) ([]*stream, error) {
	if !embedded {
		return all, nil
	}
	if _, fresh := from.(minted); fresh {
		return all, nil
	}
	some := slices.DeleteFunc(slices.Clone(all), func(st *stream) bool { return !from.has(st) })
	if len(some) == 0 {
		return nil, usage(fmt.Errorf("there are no key requests for %s", all[0].name()), "leave out --system, or mint or capture requests of that system")
	}
	return some, nil
}

// minted supplies requests that are minted ahead of the attack, while it goes on.
type minted struct{}

func (minted) has(*stream) bool                              { return true }
func (minted) prepare(*setting, *loadFlags, []*stream) error { return nil }
func (minted) report() reports.KeyRequests                   { return reports.KeyRequests{Source: reports.Fresh} }
func (minted) close() error                                  { return nil }

func (minted) source(st *stream, devices []device) (loadtest.Source, error) {
	return st.source(devices)
}

// needOf completes what a lease is wanted for with the content keys that the run's assets have: some token services want them.
func (st *stream) needOf(n provider.Need) provider.Need {
	n.Keys = map[drm.KID]secret.Bytes{}
	for _, t := range st.targets {
		keys := t.Asset.Keys()
		for _, kid := range n.KIDs {
			if key := keys[kid]; !key.IsZero() {
				n.Keys[kid] = key
			}
		}
	}
	return n
}

// clock is the one that the stream's requests are dated by.
func (st *stream) clock() drm.Clock {
	if c := st.targets[0].Clock; c != nil {
		return c
	}
	return drm.SystemClock
}

// asks are what the stream's sessions ask for: those of each asset in turn.
func (st *stream) asks() ([]suites.Ask, error) {
	var asks []suites.Ask
	for _, t := range st.targets {
		sessions, err := t.Asks()
		if err != nil {
			return nil, usage(err, "keyflow inspect FILE shows the pssh boxes of an MPD or segment")
		}
		asks = append(asks, sessions...)
	}
	return asks, nil
}
