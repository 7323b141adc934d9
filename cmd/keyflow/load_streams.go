package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"keyflow/drm"
	"keyflow/drm/nearest"
	"keyflow/drm/provider"
	"keyflow/fakes"
	"keyflow/loadtest"
	"keyflow/suites"
)

// stream is the traffic for one profile: what it is about, where it leads, and its weight in the mix.
type stream struct {
	profile *provider.Profile
	targets []*suites.Target  // the profile's, one for each asset
	network *loadtest.Network // nil: the machine's
	fake    *fakes.Server     // nil: a real server; streams may have the same
	weight  int64
	planned int64 // requests
	leases  int64 // that they take

	// What a leaf of a finer mix has: the stream that it is a part of, and what its requests are; for renewals, also of the
	// stream itself, the license requests beside the plan.
	of       *stream
	kind     drm.Kind
	asset    string
	bad      bool
	prepared int64
}

// open prepares the run and returns the streams that there can be: one for each profile, with the embedded fakes one for
// each system. embedded says that these are the targets. Close the setting.
func (f *loadFlags) open(ctx context.Context) (s *setting, all []*stream, embedded bool, err error) {
	first, rest := f.targetFlags, []string(nil)
	if len(f.profiles) > 1 {
		if err := f.readable(); err != nil {
			return nil, nil, false, err
		}
		first.profiles, rest = f.profiles[:1], f.profiles[1:]
	}
	if s, err = first.prepare(ctx); err != nil {
		return nil, nil, false, err
	}
	all = s.streams(s.targets)
	for _, name := range rest {
		more, err := s.add(ctx, f.targetFlags, name)
		if err == nil {
			all = append(all, more...)
			err = distinct(all)
		}
		if err != nil {
			s.close()
			return nil, nil, false, err
		}
	}
	return s, all, len(first.profiles) == 0, nil
}

// readable reports what is wrong with the flags and with each of several profiles, before one of them is opened.
func (f *loadFlags) readable() error {
	if err := f.consistent(); err != nil {
		return err
	}
	_, err := f.openProfiles()
	return err
}

// add opens one more profile in the setting and returns its stream. What the setting has is shared: authority, budget, vault.
// A setting holds the fake and the roots of the profile that was added last.
func (s *setting) add(ctx context.Context, f targetFlags, name string) ([]*stream, error) {
	f.profiles = []string{name}
	assets := s.assets()
	parties, err := f.parties(ctx, s, assets)
	if err != nil {
		return nil, err
	}
	for _, p := range parties {
		if err := s.identity.suits(f.identity, p); err != nil {
			return nil, err
		}
	}
	before := len(s.targets)
	s.addTargets(&f, parties, assets)
	return s.streams(s.targets[before:]), nil
}

// assets are those of the targets.
func (s *setting) assets() []*suites.Asset {
	var assets []*suites.Asset
	for _, t := range s.targets {
		if !slices.Contains(assets, t.Asset) {
			assets = append(assets, t.Asset)
		}
	}
	return assets
}

// streams sorts targets that were added together by profile. Of a profile's variants only the first counts: the others send
// the same.
func (s *setting) streams(targets []*suites.Target) []*stream {
	var all []*stream
	for _, t := range targets {
		i := slices.IndexFunc(all, func(st *stream) bool { return st.profile.ID == t.Profile.ID })
		switch {
		case i < 0:
			st := &stream{profile: t.Profile, targets: []*suites.Target{t}, fake: s.fakes[t.Profile], weight: 1}
			if t.Dial != nil || t.TLS != nil {
				st.network = &loadtest.Network{Dial: loadtest.Dial(t.Dial), TLS: t.TLS}
			}
			all = append(all, st)
		case all[i].profile == t.Profile:
			all[i].targets = append(all[i].targets, t)
		}
	}
	return all
}

// distinct refuses two profiles that a report could not tell apart.
func distinct(all []*stream) error {
	for i, st := range all {
		if slices.ContainsFunc(all[:i], func(other *stream) bool { return other.profile.ID == st.profile.ID }) {
			return usage(fmt.Errorf("two profiles have the id %q: the report could not tell their shares apart", st.profile.ID), "give each profile an id of its own")
		}
	}
	return nil
}

// mixed returns the streams of the run with their weights. Without --mix these are all that there are requests for, in equal
// shares or as a corpus was minted; of the embedded fakes, where requests are minted, the first.
func (f *loadFlags) mixed(from supply, all []*stream, embedded bool) ([]*stream, error) {
	all, err := supplied(from, all, embedded)
	if err != nil {
		return nil, err
	}
	if f.mix == nil {
		switch d := from.(type) {
		case minted:
			if embedded {
				all = all[:1]
			}
		case *drawn:
			d.weigh(all)
		}
		return all, nil
	}
	return mixOf(f.mix, all)
}

// mixOf returns the streams that --mix names, with their weights.
func mixOf(mix []string, all []*stream) ([]*stream, error) {
	text := strings.Join(mix, ",")
	weights, err := loadtest.ParseWeights(text)
	if err != nil {
		return nil, usage(err, mixHint)
	}
	if len(all) < 2 {
		return nil, usage(fmt.Errorf("--mix %s: there is only %s to send to", text, all[0].name()), "name several profiles, or leave out --mix and --system")
	}
	var chosen []*stream
	for _, w := range weights {
		st, err := find(all, w.Name)
		if err != nil {
			return nil, usage(fmt.Errorf("--mix %s: %w", text, err), mixHint)
		}
		if slices.Contains(chosen, st) {
			return nil, usage(fmt.Errorf("--mix %s: %s has two weights", text, st.name()), mixHint)
		}
		st.weight = w.Weight
		chosen = append(chosen, st)
	}
	for _, st := range all {
		if !slices.Contains(chosen, st) {
			return nil, usage(fmt.Errorf("--mix %s: %s has no weight", text, st.name()), fmt.Sprintf("--mix %s,%s=1, or leave it out of the run with --profile or --system", text, st.profile.ID))
		}
	}
	return chosen, nil
}

const mixHint = "for example --mix widevine=3,playready=1; names are those of the profiles, or their systems"

func (st *stream) name() string { return fmt.Sprintf("%s (%s)", st.profile.ID, st.profile.DRM) }

// find returns the stream of a profile's id, or of a system that only one of them is of.
func find(all []*stream, name string) (*stream, error) {
	var names, ofSystem []string
	var found *stream
	for _, st := range all {
		if st.profile.ID == name {
			return st, nil
		}
		names = append(names, st.profile.ID)
		if string(st.profile.DRM) == name {
			found, ofSystem = st, append(ofSystem, st.profile.ID)
		}
	}
	switch {
	case len(ofSystem) == 1:
		return found, nil
	case len(ofSystem) > 1:
		return nil, fmt.Errorf("%q may be %s: give the profile's name", name, strings.Join(ofSystem, " or "))
	case name == string(drm.Widevine) || name == string(drm.PlayReady):
		return nil, fmt.Errorf("no profile of the run is for %s; there are %s", name, strings.Join(names, ", "))
	}
	for _, st := range all {
		if system := string(st.profile.DRM); !slices.Contains(names, system) {
			names = append(names, system)
		}
	}
	return nil, fmt.Errorf("unknown share %q: %s", name, nearest.Hint(name, names))
}
