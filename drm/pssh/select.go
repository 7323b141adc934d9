package pssh

import (
	"fmt"
	"slices"
	"strings"

	"keyflow/drm"
)

// Select makes the harness's choice among the boxes of one piece of content (sheet widevine.md §3.1, §3.3): the first box
// of the system that has Data. If there is none, Widevine data is synthesised from the first box of any system that has
// a KID list: the result is a Widevine box of version 1 that holds the KIDs and the data, and no Raw. Other systems'
// data is never synthesised.
//
// The error wraps [drm.ErrNoBox] and is an [*Error] that names the boxes seen.
func Select(boxes []Box, system drm.System) (Box, error) {
	id := IDOf(system)
	if id == (drm.SystemID{}) {
		return Box{}, fmt.Errorf("select pssh box: system %q is not known", system)
	}
	for _, b := range boxes {
		if b.SystemID == id && len(b.Data) > 0 {
			return b, nil
		}
	}
	for _, b := range boxes {
		if system == drm.Widevine && len(b.KIDs) > 0 {
			return Box{SystemID: id, Version: 1, KIDs: slices.Clone(b.KIDs), Data: Synthesize(b.KIDs)}, nil
		}
	}
	err := &Error{Offset: -1, Expected: "a pssh box of " + SystemName(id), Seen: summary(boxes), Err: drm.ErrNoBox,
		Hint: "the content is not packaged for " + SystemName(id) + ", or its box is elsewhere: try the init segment, or the MPD"}
	return Box{}, fmt.Errorf("select pssh box: %w", err)
}

// Cover returns boxes of the system that together ask for all of the KIDs: the one that [Select] chooses, and then each further
// one that asks for a KID which those before it do not. Widevine boxes usually hold every KID of the content, PlayReady headers
// of version 4.0 one each. KIDs that no box asks for are left uncovered. The error is that of Select.
func Cover(boxes []Box, system drm.System, kids []drm.KID) ([]Box, error) {
	first, err := Select(boxes, system)
	if err != nil {
		return nil, err
	}
	chosen, covered := []Box{first}, KIDs(first)
	for _, b := range boxes {
		if b.SystemID != IDOf(system) || len(b.Data) == 0 {
			continue
		}
		own := KIDs(b)
		if slices.ContainsFunc(own, func(k drm.KID) bool { return slices.Contains(kids, k) && !slices.Contains(covered, k) }) {
			chosen, covered = append(chosen, b), append(covered, own...)
		}
	}
	return chosen, nil
}

// summary names the systems of the boxes, each once.
func summary(boxes []Box) string {
	const most = 8
	var names []string
	seen := make(map[string]bool)
	for _, b := range boxes {
		name := label(b.SystemID)
		if len(b.Data) == 0 && len(b.KIDs) == 0 {
			name += " (empty)"
		}
		if seen[name] || len(names) > most {
			continue
		}
		seen[name] = true
		if len(names) == most {
			name = "others"
		}
		names = append(names, name)
	}
	if names == nil {
		return "none at all"
	}
	return "boxes of " + strings.Join(names, ", ")
}

// Synthesize returns Widevine data that asks for the KIDs: a WidevinePsshData with nothing but key_ids (sheet
// widevine.md §3.3). Of no KIDs it makes nil.
func Synthesize(kids []drm.KID) []byte {
	d := WidevineData{KeyIDs: kids}
	return d.Marshal()
}

// RequestData returns the bytes that a Widevine client puts into its key request for the box: a Widevine box's Data,
// without the box around it. Of a box without Data, or of another system, it synthesises them from the KID list if
// synthesize is set; otherwise, or if there are no KIDs either, it returns nil.
func RequestData(box Box, synthesize bool) []byte {
	if box.SystemID == WidevineSystemID && len(box.Data) > 0 {
		return box.Data
	}
	if !synthesize {
		return nil
	}
	return Synthesize(box.KIDs)
}

// KIDs returns the KIDs that the box asks for, each once: its KID list, then those in Widevine data or in a PlayReady header,
// which may be others (sheets widevine.md §3.3, playready.md §2). Data that cannot be read has none.
func KIDs(box Box) []drm.KID {
	var kids kidSet
	for _, k := range box.KIDs {
		kids.add(k)
	}
	switch box.SystemID {
	case WidevineSystemID:
		if d, err := ParseWidevineData(box.Data); err == nil {
			for _, k := range d.KeyIDs {
				kids.add(k)
			}
		}
	case PlayReadySystemID:
		if h, err := PlayReadyHeader(box); err == nil {
			for _, k := range h.IDs() {
				kids.add(k)
			}
		}
	}
	return kids.list
}

// kidSet is a list of distinct KIDs.
type kidSet struct {
	list []drm.KID
	has  map[drm.KID]bool
}

func (s *kidSet) add(k drm.KID) {
	if s.has[k] {
		return
	}
	if s.has == nil {
		s.has = make(map[drm.KID]bool)
	}
	s.has[k] = true
	s.list = append(s.list, k)
}
