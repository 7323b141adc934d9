package pssh

import (
	"slices"

	"keyflow/drm"
)

// PlayReadyHeader returns the header in a PlayReady box's Data, which must be in its canonical form. The error is an [*Error].
func PlayReadyHeader(box Box) (*WRMHeader, error) {
	h, _, err := ReadPlayReadyBox(box, Strict)
	return h, err
}

// ReadPlayReadyBox returns the header in a PlayReady box's Data and the object that holds it, read as by [ReadPRO]. The header's
// notes include what is odd about object and box. The error is an [*Error], with the offset in the Data; the object is returned
// with an error on its header.
func ReadPlayReadyBox(box Box, mode Mode) (*WRMHeader, PRO, error) {
	if box.SystemID != PlayReadySystemID {
		return nil, PRO{}, &Error{Offset: -1, Expected: "a box of PlayReady", Seen: "one of " + label(box.SystemID)}
	}
	p, notes, err := ReadPRO(box.Data, mode)
	if err != nil {
		return nil, PRO{}, err
	}
	isHeader := func(r Record) bool { return r.Type == RecordHeader }
	first := slices.IndexFunc(p.Records, isHeader)
	if first < 0 {
		return nil, p, &Error{Where: wherePRO, Offset: -1, Expected: "a header record", Seen: count(len(p.Records), "record") + " of other types"}
	}
	h, e := parseUTF16(p.Records[first].Value)
	if e != nil {
		return nil, p, e.within(recordPath(first), p.offset(first, len(box.Data))+max(e.Offset, 0))
	}
	var more []string
	for _, n := range notes {
		more = append(more, n.Text)
	}
	if slices.ContainsFunc(p.Records[first+1:], isHeader) {
		more = append(more, "a second header record: clients may take one or the other")
	}
	if len(box.Data) > advisedPRO {
		more = append(more, count(len(box.Data), "byte")+" in the PlayReady object: devices need not take more than 15 KiB")
	}
	h.Notes = append(append(more, kidListNotes(box, h)...), h.Notes...)
	return h, p, nil
}

// kidListNotes compares the box's KID list with the header, which should name the same KIDs (sheet playready.md §2).
func kidListNotes(box Box, h *WRMHeader) []string {
	if box.Version == 0 {
		return nil
	}
	if sameKIDs(box.KIDs, h.IDs()) {
		return nil
	}
	swapped := make([]drm.KID, len(box.KIDs))
	for i, k := range box.KIDs {
		swapped[i] = GUID(k)
	}
	if sameKIDs(swapped, h.IDs()) {
		return []string{"the box's KID list has the header's KIDs in the byte order of a GUID, not of a UUID"}
	}
	return []string{"the box's KID list and the header name different KIDs"}
}

// sameKIDs reports whether both lists name the same KIDs, in any order.
func sameKIDs(a, b []drm.KID) bool {
	within := func(a, b []drm.KID) bool {
		var set kidSet
		for _, k := range b {
			set.add(k)
		}
		return !slices.ContainsFunc(a, func(k drm.KID) bool { return !set.has[k] })
	}
	return within(a, b) && within(b, a)
}

// PlayReadyBox returns a box of version 0 that holds the header alone.
func PlayReadyBox(h WRMHeader) (Box, error) {
	text, err := h.Build()
	if err != nil {
		return Box{}, err
	}
	return boxOfPRO(PRO{Records: []Record{{Type: RecordHeader, Value: text}}}.Bytes())
}

func boxOfPRO(pro []byte) (Box, error) {
	box := Box{SystemID: PlayReadySystemID, Data: pro}
	var err error
	box.Raw, err = Build(box)
	return box, err
}
