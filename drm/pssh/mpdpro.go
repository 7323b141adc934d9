package pssh

import (
	"bytes"
	"fmt"
)

// object is a PlayReady object and its place.
type object struct {
	path string
	data []byte
}

// readObject makes a box of the mspr:pro element that just ended. One that cannot be read is a note: clients take the box.
func (r *mpdReader) readObject() {
	place := r.text.place
	r.checkSystem(PlayReadySystemID, place, "an object")
	pro, notes, err := decodeBase64(r.text.text.String())
	if err != nil {
		r.c.addNote(place, "a PlayReady object (mspr:pro) that is not base64: "+err.Seen)
		return
	}
	for _, text := range notes {
		r.c.addNote(place, text)
	}
	if _, err := ParsePRO(pro); err != nil {
		r.c.addNote(place, "a PlayReady object (mspr:pro) that cannot be read: "+err.Error())
		return
	}
	if r.open.object == nil {
		r.open.object = &object{place.Path, pro}
	}
	if box, err := boxOfPRO(pro); err == nil {
		r.c.addBox(box, nil, place)
	}
}

// compareObjects notes a descriptor whose cenc:pssh and mspr:pro differ: nothing says which of them a player takes (sheet
// playready.md §1). Both are listed, in the order of the document.
func (r *mpdReader) compareObjects() {
	if a, b := r.open.boxObject, r.open.object; a != nil && b != nil && !bytes.Equal(a.data, b.data) {
		r.c.addNote(r.open.place, fmt.Sprintf("the PlayReady objects of %s and %s differ: a player may take either", a.path, b.path))
	}
	r.open.boxObject, r.open.object = nil, nil // the descriptor outlives the comparison
}
