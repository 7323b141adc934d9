package content

import (
	"errors"
	"fmt"

	"github.com/Eyevinn/mp4ff/bits"
	"github.com/Eyevinn/mp4ff/mp4"

	"keyflow/drm"
)

// MaxInput is the most bytes of an init or media segment that are read: 64 MiB.
const MaxInput = 64 << 20

// Description is what an init segment says of its track.
type Description struct {
	TrackID uint32
	Handler string  // of the hdlr box: "vide", "soun", …
	Entries []Entry // the sample entries, in order; fragments name them from 1

	defaultEntry uint32 // of trex, from 1
	trex         *mp4.TrexBox
	groups       []mp4.SampleGroupEntry // seig entries of the whole track
}

// Entry is one sample entry: a codec, and how its samples are protected.
type Entry struct {
	Format    string // four-character code of the codec, taken from frma where the entry is encrypted: "avc1", "mp4a"
	Protected bool   // the samples are encrypted unless a sample group says otherwise
	Scheme    drm.Scheme
	KID       drm.KID // default_KID of tenc; zero if the entry is in the clear

	encrypted bool // is an encv or enca, so that it has a tenc
	protect   protection
	aacConfig []byte // AudioSpecificConfig, nil if the entry is not MPEG-4 audio
}

// Protected returns the first protected entry.
func (d *Description) Protected() (Entry, bool) {
	for _, e := range d.Entries {
		if e.Protected {
			return e, true
		}
	}
	return Entry{}, false
}

// Inspect reads an init segment of one track: sample entries and the track encryption box (ISO/IEC 23001-7 clause 8.2).
func Inspect(init []byte) (*Description, error) {
	d, err := inspect(init)
	if err != nil {
		return nil, fmt.Errorf("read init segment: %w", err)
	}
	return d, nil
}

func inspect(init []byte) (*Description, error) {
	moovBox, err := topBox(init, "moov")
	if err != nil {
		return nil, err
	}
	raw, err := reduce(init, moovBox)
	if err != nil {
		return nil, err
	}
	decoded, err := decodeBox(raw)
	if err != nil {
		return nil, err
	}
	moov, ok := decoded.(*mp4.MoovBox)
	if !ok || len(moov.Traks) != 1 {
		return nil, errors.New("want exactly one track, as a DASH Representation has")
	}
	formats, err := entryFormats(init, moovBox)
	if err != nil {
		return nil, err
	}
	return describe(moov, formats)
}

func describe(moov *mp4.MoovBox, formats []string) (*Description, error) {
	trak := moov.Trak
	if trak.Tkhd == nil || trak.Mdia == nil || trak.Mdia.Hdlr == nil || trak.Mdia.Minf == nil ||
		trak.Mdia.Minf.Stbl == nil || trak.Mdia.Minf.Stbl.Stsd == nil {
		return nil, errors.New("the track lacks one of tkhd, hdlr, stsd")
	}
	d := &Description{TrackID: trak.Tkhd.TrackID, Handler: trak.Mdia.Hdlr.HandlerType, defaultEntry: 1}
	if moov.Mvex != nil && moov.Mvex.Trex != nil {
		d.trex = moov.Mvex.Trex
		if d.trex.TrackID != d.TrackID {
			return nil, fmt.Errorf("trex is for track %d, the track is %d", d.trex.TrackID, d.TrackID)
		}
		d.defaultEntry = d.trex.DefaultSampleDescriptionIndex
	}
	stbl := trak.Mdia.Minf.Stbl
	if stbl.Sgpd != nil {
		d.groups = stbl.Sgpd.SampleGroupEntries
	}
	if len(stbl.Stsd.Children) != len(formats) || len(formats) == 0 {
		return nil, errors.New("stsd has no sample entry")
	}
	for i, child := range stbl.Stsd.Children {
		e, err := describeEntry(child, formats[i])
		if err != nil {
			return nil, fmt.Errorf("sample entry %d (%q): %w", i+1, formats[i], err)
		}
		d.Entries = append(d.Entries, e)
	}
	return d, nil
}

func describeEntry(child mp4.Box, format string) (Entry, error) {
	e := Entry{Format: format}
	var sinf *mp4.SinfBox
	switch entry := child.(type) {
	case *mp4.VisualSampleEntryBox:
		sinf, e.encrypted = entry.Sinf, true
	case *mp4.AudioSampleEntryBox:
		sinf, e.encrypted = entry.Sinf, entry.Type() == "enca"
		e.aacConfig = aacConfig(entry)
	}
	if !e.encrypted {
		return e, nil
	}
	if sinf == nil || sinf.Frma == nil || sinf.Schm == nil || sinf.Schi == nil || sinf.Schi.Tenc == nil {
		return e, errors.New("is encrypted, but has no tenc box or lacks one of sinf, frma, schm, schi around it")
	}
	e.Format, e.Scheme = sinf.Frma.DataFormat, drm.Scheme(sinf.Schm.SchemeType)
	tenc := sinf.Schi.Tenc
	var err error
	e.protect, err = newProtection(tenc.DefaultIsProtected, tenc.DefaultPerSampleIVSize, tenc.DefaultKID,
		tenc.DefaultConstantIV, tenc.DefaultCryptByteBlock, tenc.DefaultSkipByteBlock)
	if err != nil {
		return e, fmt.Errorf("tenc: %w", err)
	}
	e.Protected, e.KID = e.protect.on, e.protect.kid
	return e, nil
}

// aacConfig returns the AudioSpecificConfig of an MPEG-4 audio entry (object type indication 0x40, ISO/IEC 14496-1
// clause 7.2.6.6), or nil.
func aacConfig(entry *mp4.AudioSampleEntryBox) []byte {
	if entry.Esds == nil {
		return nil
	}
	dec := entry.Esds.DecConfigDescriptor
	if dec == nil || dec.ObjectType != mp4.ObjectTypeAAC || dec.DecSpecificInfo == nil {
		return nil
	}
	return dec.DecSpecificInfo.DecConfig
}

// topBox returns the only top-level box of the type.
func topBox(data []byte, typ string) (box, error) {
	list, err := topBoxes(data)
	if err != nil {
		return box{}, err
	}
	var found []box
	for _, b := range list {
		if b.typ == typ {
			found = append(found, b)
		}
	}
	if len(found) != 1 {
		return box{}, fmt.Errorf("%d %s boxes, want 1", len(found), typ)
	}
	return found[0], nil
}

func topBoxes(data []byte) ([]box, error) {
	switch {
	case len(data) == 0:
		return nil, errors.New("is empty")
	case len(data) > MaxInput:
		return nil, fmt.Errorf("has %d bytes, at most %d are read", len(data), MaxInput)
	}
	return childBoxes(data, 0, len(data))
}

// entryFormats returns the box types of the sample entries as the file has them, which reduce hides.
func entryFormats(data []byte, moov box) ([]string, error) {
	at := moov
	for _, typ := range []string{"trak", "mdia", "minf", "stbl", "stsd"} {
		list, err := childBoxes(data, at.body, at.end)
		if err != nil {
			return nil, fmt.Errorf("in box %q: %w", at.typ, err)
		}
		var found []box
		for _, b := range list {
			if b.typ == typ {
				found = append(found, b)
			}
		}
		if len(found) != 1 {
			return nil, fmt.Errorf("%d %s boxes in %s, want 1", len(found), typ, at.typ)
		}
		at = found[0]
	}
	list, err := childBoxes(data, at.body+prefix["stsd"], at.end)
	if err != nil {
		return nil, fmt.Errorf("in box %q: %w", at.typ, err)
	}
	var formats []string
	for _, b := range list {
		formats = append(formats, b.typ)
	}
	return formats, nil
}

// decodeBox hands a reduced moov or moof to the box library.
func decodeBox(reduced []byte) (mp4.Box, error) {
	return mp4.DecodeBoxSR(0, bits.NewFixedSliceReader(reduced))
}
