package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"keyflow/drm"
	"keyflow/drm/har"
	"keyflow/drm/provider"
	"keyflow/reports"
	"keyflow/suites"
	"keyflow/suites/triage"
)

// targetRecording is the kind of target of a report on a recording alone.
const targetRecording = "recording"

// capturesPossible refuses flags that no captured exchange can be judged with.
func (f *checkFlags) capturesPossible() error {
	switch {
	case f.platform == string(suites.PlatformCaptured) && !f.captured():
		return usage(errors.New("--platform captured needs captured exchanges"), captureHint)
	case !f.captured():
		return nil
	case f.platform == string(suites.PlatformNone):
		return usage(errors.New("--platform none sends no key request: it goes with neither --request nor --har"), "leave out --platform, or --request and --har")
	case len(f.requests) > 0 && len(f.profiles) == 0:
		return usage(errors.New("--request needs --profile: a captured request is sent to its server"), "--har FILE alone reads a recording and sends nothing; keyflow inspect FILE shows a request")
	case len(f.profiles) == 0 && (len(f.ids) > 0 || f.labels != "" || len(f.faults) > 0 || f.standIn):
		return usage(errors.New("without --profile nothing is sent, and --id, --label, --fault and --stand-in have nothing to act on"), "leave them out, or name the server with --profile")
	}
	return nil
}

// checkRecording reads a recording and sends nothing.
func (a *app) checkRecording(f *checkFlags) error {
	s, _, err := f.begin()
	if err != nil {
		return err
	}
	if err := f.ready(); err != nil {
		return err
	}
	recorded, err := f.readArchive(s.reading(nil))
	if err != nil {
		return err
	}
	r := &reports.Report{
		Schema: reports.Schema, Tool: tool(), Run: s.run("check"), Triage: recorded.Triage, Verdict: recorded.Triage.Verdict(),
		Target: reports.Target{Kind: targetRecording, Platform: string(suites.PlatformCaptured)},
	}
	for _, session := range recorded.Triage.Sessions {
		if !slices.Contains(r.Target.URLs, session.URL) {
			r.Target.URLs = append(r.Target.URLs, session.URL)
		}
	}
	r.Run.Finished = time.Now().UTC()
	return a.finish(&f.targetFlags, s, r, nil)
}

// reading says how an archive is read: its secrets become those of the run.
func (s *setting) reading(profiles map[drm.System]*provider.Profile) triage.Options {
	secrets := &archiveSecrets{vault: s.vault}
	return triage.Options{
		Profiles: profiles, Judges: s.onlookers(),
		Visit: func(e har.Entry) {
			if u, err := url.Parse(e.URL); err == nil {
				secrets.learn(e, u)
			}
		},
	}
}

// captures are what check was given of captured exchanges.
type captures struct {
	triage   *reports.Triage
	requests []*capturedRequest
}

// readCaptured reads what the flags name, before anything is sent; nil if they name nothing.
func (f *checkFlags) readCaptured(s *setting) (*captures, error) {
	if !f.captured() {
		return nil, nil
	}
	requests, err := f.readRequests()
	if err != nil {
		return nil, err
	}
	c := &captures{&reports.Triage{}, requests}
	if f.har != "" {
		profiles := map[drm.System]*provider.Profile{}
		for _, t := range s.targets {
			if profiles[t.Profile.DRM] == nil {
				profiles[t.Profile.DRM] = t.Profile
			}
		}
		recorded, err := f.readArchive(s.reading(profiles))
		if err != nil {
			return nil, err
		}
		own, err := recorded.captured(f.har)
		if err != nil {
			return nil, err
		}
		c.triage, c.requests = recorded.Triage, append(c.requests, own...)
	}
	for _, t := range s.targets {
		if f.platform == string(suites.PlatformCaptured) || t.PlatformKind == suites.PlatformNone {
			t.PlatformKind, t.Platform, t.Second, t.Issue, t.Revoked = suites.PlatformCaptured, nil, nil, nil, nil
		}
	}
	return c, c.possible(s)
}

// possible refuses requests that no target can be sent, and keeps their custom data out of everything that is written.
func (c *captures) possible(s *setting) error {
	sent := 0
	for _, q := range c.requests {
		if !q.CustomData.IsZero() {
			s.vault.Add("captured custom data", q.CustomData)
		}
		targets := targetsOf(s.targets, q.System)
		if len(targets) == 0 {
			continue
		}
		if q.Kind == drm.KindLicense && len(q.wanted(targets)) == 0 {
			return usage(fmt.Errorf("%s names no KID, and no asset does", q.file), "name the content that it is for: --asset NAME or FOLDER")
		}
		sent++
	}
	if sent == 0 && len(c.requests) > 0 {
		return usage(fmt.Errorf("no captured request is of the system of %s", s.targets[0].Profile.ID), "give a profile of the system that was captured")
	}
	return nil
}

func targetsOf(all []*suites.Target, system drm.System) []*suites.Target {
	return slices.DeleteFunc(slices.Clone(all), func(t *suites.Target) bool { return t.Profile.DRM != system })
}

// replay sends each captured request once to each profile of its system.
func (c *captures) replay(ctx context.Context, s *setting) {
	judges := s.onlookers()
	for _, q := range c.requests {
		targets, done := targetsOf(s.targets, q.System), map[*provider.Profile]bool{}
		for _, t := range targets {
			if done[t.Profile] || ctx.Err() != nil {
				continue
			}
			done[t.Profile] = true
			need := t.Profile.Sessions(q.need(targets))[0]
			sent := triage.Replay{Name: q.file, Request: q.Captured, Target: t, Need: need, Judge: judges[q.System]}.Send(ctx)
			c.triage.Replays = append(c.triage.Replays, sent)
		}
	}
	if c.triage.Unjudged == nil {
		c.triage.Unjudged = triage.Unjudged()
	}
}
