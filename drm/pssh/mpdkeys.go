package pssh

import (
	"strings"

	"keyflow/drm"
)

// extent is the part of an MPD that a ContentProtection applies to.
type extent struct{ period, adaptationSet, representation int }

func (p Place) extent() extent {
	return extent{p.Period.Index, p.AdaptationSet.Index, p.Representation.Index}
}

// outer returns the next wider extent; that of the whole MPD is its own.
func (e extent) outer() extent {
	switch {
	case e.representation != 0:
		e.representation = 0
	case e.adaptationSet != 0:
		e.adaptationSet = 0
	default:
		e.period = 0
	}
	return e
}

// declareKeys lists the default_KIDs of all descriptors, each once per element. The scheme comes from the innermost
// mp4protection descriptor around it, which need not be the one that bears the KID.
func (r *mpdReader) declareKeys() {
	r.resolve()
	schemes := make(map[extent]drm.Scheme)
	for _, d := range r.descs {
		if e := d.place.extent(); d.scheme != "" && schemes[e] == "" {
			schemes[e] = d.scheme
		}
	}
	type declared struct {
		extent
		kid drm.KID
	}
	seen := make(map[declared]bool)
	for _, d := range r.descs {
		for _, kid := range d.kids {
			id := declared{d.place.extent(), kid}
			if seen[id] {
				continue
			}
			seen[id] = true
			r.c.addKey(Key{KID: kid, Scheme: schemeAt(schemes, d), Place: d.place})
		}
	}
}

// schemeAt returns the descriptor's own scheme, or the one of the innermost element around it that states one.
func schemeAt(schemes map[extent]drm.Scheme, d descriptor) drm.Scheme {
	if d.scheme != "" {
		return d.scheme
	}
	e := d.place.extent()
	for schemes[e] == "" && e != (extent{}) {
		e = e.outer()
	}
	return schemes[e]
}

// resolve copies KIDs and scheme to descriptors that refer to another one by ref (ISO/IEC 23009-1, 5.8.4.1). The boxes
// of the other one are listed at its own place only.
func (r *mpdReader) resolve() {
	defined := make(map[string]*descriptor)
	for i := range r.descs {
		if id := r.descs[i].refID; id != "" && defined[id] == nil {
			defined[id] = &r.descs[i]
		}
	}
	for i := range r.descs {
		d := &r.descs[i]
		if strings.TrimSpace(d.ref) == "" {
			continue
		}
		target := defined[d.ref]
		if target == nil || target == d {
			r.c.addNote(d.place, "ref "+quote(d.ref)+" names no other ContentProtection of this MPD")
			continue
		}
		if len(d.kids) == 0 {
			d.kids = target.kids
		}
		if d.scheme == "" {
			d.scheme = target.scheme
		}
	}
}
