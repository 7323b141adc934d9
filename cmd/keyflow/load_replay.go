package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync/atomic"

	"keyflow/drm"
	"keyflow/drm/capture"
	"keyflow/drm/playready"
	"keyflow/drm/provider"
	"keyflow/drm/pssh"
	"keyflow/drm/widevine"
	"keyflow/loadtest"
	"keyflow/reports"
	"keyflow/suites"
)

// replayed supplies captured requests, again and again in turn.
type replayed struct {
	requests []*capturedRequest
}

// capturedRequest is a key request that was captured.
type capturedRequest struct {
	drm.Captured
	file   string
	device device // that made it; nil if it is not at hand
}

// readCaptures reads the files of --request.
func readCaptures(files []string) (*replayed, error) {
	r := &replayed{}
	for _, file := range files {
		data, err := readCapture(file)
		if err != nil {
			return nil, usage(fmt.Errorf("read key request %s: %w", file, err), "give a file with the message of a CDM, or the body of one request to a license server, as bytes or in base64")
		}
		c, err := captured(data)
		if err != nil {
			return nil, usage(fmt.Errorf("%s is no key request that can be replayed: %w", file, err), "keyflow inspect FILE tells more of what it holds")
		}
		r.requests = append(r.requests, &capturedRequest{Captured: c, file: file})
	}
	return r, nil
}

func readCapture(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, capture.MaxBody+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > capture.MaxBody:
		return nil, fmt.Errorf("it is longer than %d bytes", capture.MaxBody)
	case len(data) == 0:
		return nil, errors.New("it is empty")
	}
	return data, nil
}

// captured reads the key request that there is in a file, whatever it is wrapped in: the profile wraps it anew.
func captured(data []byte) (drm.Captured, error) {
	m, found := capture.Find(data)
	switch {
	case !found:
		return drm.Captured{}, errors.New("it holds no message of Widevine or PlayReady")
	case m.Answer || m.Refusal:
		return drm.Captured{}, fmt.Errorf("it holds a %s, which a server answered", m)
	case m.System == drm.PlayReady:
		return playready.Capture(m.Body)
	}
	return widevine.Capture(m.Body)
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
			if t.PlatformKind == suites.PlatformNone {
				t.PlatformKind = suites.PlatformCaptured
			}
		}
		_, devices := s.devices(f.platform, st.profile.DRM, st.clock())
		for _, c := range own {
			if c.Kind == drm.KindLicense && len(st.wanted(c)) == 0 {
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

// wanted returns the KIDs that a lease for the request is wanted for: those that it names, or else those of the run's assets.
func (st *stream) wanted(c *capturedRequest) []drm.KID {
	if len(c.KIDs) > 0 {
		return c.KIDs
	}
	var kids []drm.KID
	for _, t := range st.targets {
		kids = append(kids, t.Asset.KIDs()...)
	}
	return kids
}

// needs returns what leases for the request are wanted for, in turn: one for each of its KIDs if a lease entitles to one.
func (st *stream) needs(c *capturedRequest) []provider.Need {
	need := provider.Need{Asset: c.file, KIDs: st.wanted(c), Box: c.Box, Labels: map[drm.KID]string{}}
	for _, t := range st.targets {
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
	return st.profile.Sessions(st.needOf(need))
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
