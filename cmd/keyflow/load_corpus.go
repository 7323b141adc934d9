package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/loadtest"
	"keyflow/loadtest/corpus"
	"keyflow/reports"
)

// drawn supplies the entries of a corpus, each once.
type drawn struct {
	path   string
	reader *corpus.Reader
	opened time.Time
	groups map[*stream][]int
}

func openCorpus(ctx context.Context, path string) (*drawn, error) {
	r, err := corpus.Open(ctx, path)
	var refused *corpus.Error
	switch {
	case errors.As(err, &refused):
		return nil, usage(err, refused.Hint)
	case err != nil:
		return nil, usage(err, "keyflow mint --out FILE writes a corpus")
	}
	return &drawn{path: path, reader: r, opened: time.Now(), groups: map[*stream][]int{}}, nil
}

func (d *drawn) close() error { return d.reader.Close() }

// has reports whether there are entries of the stream's system.
func (d *drawn) has(st *stream) bool {
	return slices.ContainsFunc(d.reader.Header().Groups, func(g corpus.Group) bool { return g.System == st.profile.DRM })
}

func (d *drawn) report() reports.KeyRequests {
	i := d.reader.Info()
	return reports.KeyRequests{Source: reports.Corpus, Corpus: &reports.CorpusFile{
		Digest: i.Digest, Entries: i.Entries, Oldest: i.Oldest.UTC(), AgeMS: max(0, d.opened.Sub(i.Oldest)).Milliseconds(),
	}}
}

// weigh gives the streams the weights that the corpus was minted with, where it has entries of each one's own profile.
func (d *drawn) weigh(streams []*stream) {
	own := make([]int64, len(streams))
	for i, st := range streams {
		for _, g := range d.reader.Header().Groups {
			if g.Profile == st.profile.ID && g.System == st.profile.DRM {
				own[i] = max(1, g.Weight)
			}
		}
	}
	if slices.Contains(own, 0) {
		return
	}
	for i, st := range streams {
		st.weight = own[i]
	}
}

// prepare finds the entries for each stream: those of its own profile, else those of its system that no other stream has.
func (d *drawn) prepare(s *setting, f *loadFlags, streams []*stream) error {
	taken := map[int]bool{}
	for _, own := range []bool{true, false} {
		for _, st := range streams {
			if len(d.groups[st]) > 0 {
				continue
			}
			for i, g := range d.reader.Header().Groups {
				if g.System == st.profile.DRM && !taken[i] && (!own || g.Profile == st.profile.ID) {
					d.groups[st], taken[i] = append(d.groups[st], i), true
				}
			}
		}
	}
	for _, st := range streams {
		if len(d.groups[st]) == 0 {
			return usage(fmt.Errorf("the corpus has no entries for %s; there are entries for %s", st.name(), d.profiles()), "mint some: "+f.mintCommand(streams))
		}
		if err := d.fits(st); err != nil {
			return err
		}
		if err := d.judgeable(s, f, st); err != nil {
			return err
		}
		if there := d.reader.Left(d.groups[st]...); there < st.planned {
			return usage(fmt.Errorf("the plan has %d requests for %s, and the corpus has %d entries for it: each is sent once", st.planned, st.name(), there),
				"a lower --rate, a shorter --duration, or mint enough: "+f.mintCommand(streams))
		}
	}
	return nil
}

// profiles names those that there are entries for.
func (d *drawn) profiles() string {
	var names []string
	for _, g := range d.reader.Header().Groups {
		names = append(names, fmt.Sprintf("%s (%s)", g.Profile, g.System))
	}
	return strings.Join(names, ", ")
}

// fits refuses entries that were made for a lease of another kind than the stream's profile gives.
func (d *drawn) fits(st *stream) error {
	const hint = "mint a corpus with this --profile"
	if err := st.profile.SignsAhead(); err != nil {
		return usage(fmt.Errorf("%w: no corpus can have it", err), "leave out --corpus: the requests are minted with their tokens then")
	}
	for _, i := range d.groups[st] {
		g := d.reader.Header().Groups[i]
		if st.profile.HasCustomData() && g.Profile != st.profile.ID {
			return usage(fmt.Errorf("the entries of %s do not have the custom data of %s, which clients sign", g.Profile, st.profile.ID), hint)
		}
		for _, ask := range g.Asks {
			need, err := ask.Need()
			if err != nil {
				return usage(fmt.Errorf("corpus %s: %w", d.path, err), hint)
			}
			if n := len(st.profile.Sessions(need)); n != 1 {
				return usage(fmt.Errorf("a lease of %s entitles to one KID, and entries of the corpus ask for %d: they were minted for %s", st.profile.ID, n, g.Profile), hint)
			}
		}
	}
	return nil
}

// judgeable refuses entries whose devices are not at hand, unless nothing is to be verified.
func (d *drawn) judgeable(s *setting, f *loadFlags, st *stream) error {
	if f.verify == loadtest.VerifyNone.String() {
		return nil
	}
	_, devices := s.devices(f.platform, st.profile.DRM, st.clock())
	for _, i := range d.groups[st] {
		for _, made := range d.reader.Header().Groups[i].Devices {
			if slices.ContainsFunc(devices, func(p device) bool { return p.Device() == made }) {
				continue
			}
			of := ""
			if a := d.reader.Header().Authority; a != "" {
				of = " of authority " + a
			}
			return usage(fmt.Errorf("the corpus has requests of the %s device %s%s, which this run does not have: nobody could judge the answers", st.profile.DRM, made, of),
				"give the --authority DIR or --identity DIR that it was minted with, or --verify none")
		}
	}
	return nil
}

// mintCommand is what mints enough for the run.
func (f *loadFlags) mintCommand(streams []*stream) string {
	var total int64
	for _, st := range streams {
		total += st.planned
	}
	words := []string{"keyflow mint", fmt.Sprintf("--count %d", total), "--out FILE"}
	add := func(flag string, values ...string) {
		for _, v := range values {
			if v != "" {
				words = append(words, flag+" "+v)
			}
		}
	}
	add("--authority", f.authority)
	add("--identity", f.identity)
	add("--profile", f.profiles...)
	add("--asset", f.asset...)
	add("--system", f.system)
	if len(streams) > 1 {
		var mix []string
		for _, st := range streams {
			mix = append(mix, fmt.Sprintf("%s=%d", st.profile.ID, st.weight))
		}
		add("--mix", strings.Join(mix, ","))
	}
	return strings.Join(words, " ")
}

// source draws the entries for a stream, and takes a lease for each, so that tokens are fresh.
func (d *drawn) source(st *stream, _ []device) (loadtest.Source, error) {
	groups := d.groups[st]
	needs := map[int][]provider.Need{}
	for _, i := range groups {
		for _, ask := range d.reader.Header().Groups[i].Asks {
			need, err := ask.Need()
			if err != nil {
				return nil, usage(err, "mint the corpus again")
			}
			needs[i] = append(needs[i], st.needOf(need))
		}
	}
	return func(ctx context.Context) (loadtest.Fresh, error) {
		e, err := d.reader.Draw(groups...)
		if err != nil {
			return loadtest.Fresh{}, err
		}
		return st.leased(ctx, e.Message, needs[e.Group][e.Ask])
	}, nil
}

// leased takes a lease for a key request that is there already.
func (st *stream) leased(ctx context.Context, m drm.Message, need provider.Need) (loadtest.Fresh, error) {
	lease, err := st.profile.Lease(ctx, need)
	if err != nil {
		return loadtest.Fresh{}, err
	}
	// The answer is made now: what its license says of times is judged by this time, not by that of the request.
	m.Ticket.Minted = st.clock().Now()
	m.Ticket.LeaseExpires = lease.Expires
	return loadtest.Fresh{Message: m, Lease: lease, Again: func(ctx context.Context) (loadtest.Fresh, error) { return st.leased(ctx, m, need) }}, nil
}
