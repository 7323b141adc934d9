package main

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/pssh"
	"keyflow/loadtest"
	"keyflow/reports"
	"keyflow/suites"
	"keyflow/suites/triage"
)

// replayed supplies captured requests, again and again in turn.
type replayed struct {
	requests []*capturedRequest
}

// readCaptures reads what the flags name.
func (f *captureFlags) readCaptures() (*replayed, error) {
	requests, err := f.readRequests()
	if err != nil || f.har == "" {
		return &replayed{requests}, err
	}
	recorded, err := f.readArchive(triage.Options{})
	if err != nil {
		return nil, err
	}
	own, err := recorded.captured(f.har)
	if err == nil && len(own) == 0 {
		err = usage(fmt.Errorf("%s holds no license request that can be replayed", f.har), archiveHint)
	}
	return &replayed{append(requests, own...)}, err
}

func (r *replayed) close() error { return nil }

func (r *replayed) has(st *stream) bool { return len(r.of(st)) > 0 }

// of returns the requests of the stream's system.
func (r *replayed) of(st *stream) []*capturedRequest {
	return slices.DeleteFunc(slices.Clone(r.requests), func(c *capturedRequest) bool { return c.System != st.profile.DRM })
}

func (r *replayed) report() reports.KeyRequests {
	known := 0
	for _, c := range r.requests {
		if c.device != nil || c.Kind == drm.KindCertificate {
			known++
		}
	}
	return reports.KeyRequests{Source: reports.Replay, Replay: &reports.Replayed{Requests: len(r.requests), Known: known}}
}

// prepare finds the device of each request, and keeps their custom data out of everything that is written.
func (r *replayed) prepare(s *setting, f *loadFlags, streams []*stream) error {
	for _, st := range streams {
		own := r.of(st)
		if len(own) == 0 {
			return usage(fmt.Errorf("no --request is a key request of %s, for %s", st.profile.DRM, st.profile.ID), "leave the profile out, or capture a key request for it")
		}
		for _, t := range st.targets {
			if t.PlatformKind == suites.PlatformNone || f.platform == string(suites.PlatformCaptured) {
				t.PlatformKind = suites.PlatformCaptured
			}
		}
		_, devices := s.devices(f.platform, st.profile.DRM, st.clock())
		for _, c := range own {
			if c.Kind == drm.KindLicense && len(c.wanted(st.targets)) == 0 {
				return usage(fmt.Errorf("%s names no KID, and no asset does", c.file), "name the content that it is for: --asset NAME or FOLDER")
			}
			for _, d := range devices {
				if c.device == nil && d.Recognizes(c.Body) {
					c.device = d
				}
			}
		}
	}
	for _, c := range r.requests {
		if !slices.ContainsFunc(streams, func(st *stream) bool { return st.profile.DRM == c.System }) {
			return usage(fmt.Errorf("%s is a key request of %s, and no profile of the run is", c.file, c.System), "give a profile of that system, or leave the file out")
		}
		if !c.CustomData.IsZero() {
			s.vault.Add("captured custom data", c.CustomData)
		}
	}
	return nil
}

// wanted returns the KIDs that a lease for the request is wanted for: those that it names, or else those of the targets' assets.
func (c *capturedRequest) wanted(targets []*suites.Target) []drm.KID {
	if len(c.KIDs) > 0 {
		return c.KIDs
	}
	var kids []drm.KID
	for _, t := range targets {
		kids = append(kids, t.Asset.KIDs()...)
	}
	return kids
}

// need is what a lease for the request is wanted for.
func (c *capturedRequest) need(targets []*suites.Target) provider.Need {
	need := provider.Need{Asset: c.file, KIDs: c.wanted(targets), Box: c.Box, Labels: map[drm.KID]string{}}
	for _, t := range targets {
		labels := t.Asset.Labels()
		for _, kid := range need.KIDs {
			if label, known := labels[kid]; known && need.Labels[kid] == "" {
				need.Asset, need.Labels[kid] = t.Asset.Name, label
			}
		}
	}
	need.ContentID = []byte(need.Asset)
	if d, err := pssh.ParseWidevineData(c.Box.Data); err == nil && c.System == drm.Widevine && len(d.ContentID) > 0 {
		need.ContentID = d.ContentID
	}
	return need
}

// needs returns what leases for the request are wanted for, in turn: one for each of its KIDs if a lease entitles to one.
func (st *stream) needs(c *capturedRequest) []provider.Need {
	return st.profile.Sessions(st.needOf(c.need(st.targets)))
}

// source repeats the stream's requests, each with a lease of its own every time.
func (r *replayed) source(st *stream, _ []device) (loadtest.Source, error) {
	type turn struct {
		message drm.Message
		need    provider.Need
	}
	var turns []turn
	for _, c := range r.of(st) {
		m := drm.Message{Kind: c.Kind, Body: c.Body, KIDs: c.KIDs, Ticket: drm.Ticket{System: c.System, Kind: c.Kind, KIDs: c.KIDs}}
		if c.device != nil {
			m.Ticket.Device = c.device.Device()
		}
		for _, need := range st.needs(c) {
			turns = append(turns, turn{m, need})
		}
	}
	var n atomic.Uint64
	return func(ctx context.Context) (loadtest.Fresh, error) {
		t := turns[(n.Add(1)-1)%uint64(len(turns))]
		return st.leased(ctx, t.message, t.need)
	}, nil
}
