package content

import (
	"errors"
	"fmt"

	"github.com/Eyevinn/mp4ff/mp4"

	"keyflow/drm"
)

// protection is how one sample is encrypted: the fields of tenc, or of the seig sample group entry that overrides them
// (ISO/IEC 23001-7 clauses 6 and 8.2).
type protection struct {
	on          bool
	kid         drm.KID
	ivSize      int    // of the per-sample IV: 0, 8 or 16 bytes
	constantIV  []byte // 8 or 16 bytes if ivSize is 0
	crypt, skip int    // pattern, in blocks of 16 bytes; no pattern if skip is 0
}

func newProtection(isProtected, ivSize byte, kid, constantIV []byte, crypt, skip byte) (protection, error) {
	p := protection{on: isProtected == 1, ivSize: int(ivSize), constantIV: constantIV, crypt: int(crypt), skip: int(skip)}
	if isProtected > 1 {
		return p, fmt.Errorf("isProtected is %d, want 0 or 1", isProtected)
	}
	if !p.on {
		return p, nil
	}
	k, ok := drm.KIDFromBytes(kid)
	if !ok {
		return p, fmt.Errorf("KID has %d bytes", len(kid))
	}
	p.kid = k
	switch {
	case ivSize == 8 || ivSize == 16:
	case ivSize == 0 && (len(constantIV) == 8 || len(constantIV) == 16):
	case ivSize == 0:
		return p, fmt.Errorf("constant IV of %d bytes, want 8 or 16", len(constantIV))
	default:
		return p, fmt.Errorf("per-sample IV of %d bytes, want 0, 8 or 16", ivSize)
	}
	if crypt == 0 && skip != 0 {
		return p, fmt.Errorf("pattern 0:%d encrypts nothing", skip)
	}
	return p, nil
}

// insideFragment is added to the group description index of an sbgp that means the sgpd of its own track fragment
// (ISO/IEC 14496-12 clause 8.9.4).
const insideFragment = 0x10000

// protections returns how each of n samples of a track fragment is protected.
func protections(d *Description, e Entry, traf *mp4.TrafBox, n int) ([]protection, error) {
	list := make([]protection, n)
	for i := range list {
		list[i] = e.protect
	}
	if traf.Sbgp == nil && traf.Sgpd == nil {
		return list, nil
	}
	if !e.encrypted {
		return nil, errors.New("seig sample group on a sample entry that is in the clear")
	}
	if countBoxes(traf, "sbgp") > 1 || countBoxes(traf, "sgpd") > 1 {
		return nil, errors.New("several seig sample groups in one track fragment")
	}
	indices := make([]uint32, n)
	if traf.Sgpd != nil && traf.Sgpd.Version >= 2 && traf.Sgpd.DefaultGroupDescriptionIndex != 0 {
		for i := range indices {
			indices[i] = insideFragment + traf.Sgpd.DefaultGroupDescriptionIndex
		}
	}
	if traf.Sbgp != nil {
		at := 0
		for i, count := range traf.Sbgp.SampleCounts {
			if uint64(count) > uint64(n-at) {
				return nil, fmt.Errorf("sbgp: groups more than the %d samples there are", n)
			}
			for range count {
				indices[at] = traf.Sbgp.GroupDescriptionIndices[i]
				at++
			}
		}
	}
	for i, index := range indices {
		if index == 0 {
			continue // in no group: tenc holds
		}
		p, err := groupProtection(d, traf, index)
		if err != nil {
			return nil, fmt.Errorf("sample %d: %w", i, err)
		}
		list[i] = p
	}
	return list, nil
}

func groupProtection(d *Description, traf *mp4.TrafBox, index uint32) (protection, error) {
	entries := d.groups
	if index > insideFragment {
		index -= insideFragment
		entries = nil
		if traf.Sgpd != nil {
			entries = traf.Sgpd.SampleGroupEntries
		}
	}
	if uint64(index) > uint64(len(entries)) {
		return protection{}, fmt.Errorf("seig group %d of %d", index, len(entries))
	}
	g, ok := entries[index-1].(*mp4.SeigSampleGroupEntry)
	if !ok {
		return protection{}, fmt.Errorf("seig group %d has another type", index)
	}
	p, err := newProtection(g.IsProtected, g.PerSampleIVSize, g.KID, g.ConstantIV, g.CryptByteBlock, g.SkipByteBlock)
	if err != nil {
		return p, fmt.Errorf("seig group %d: %w", index, err)
	}
	return p, nil
}

func countBoxes(traf *mp4.TrafBox, typ string) int {
	n := 0
	for _, c := range traf.Children {
		if c.Type() == typ {
			n++
		}
	}
	return n
}

// ivSizeOf returns the size of the per-sample IVs of a fragment. The box library reads a senc with one size for all its
// samples, so that a fragment that mixes sizes (a change of protection within it) is refused rather than misread.
func ivSizeOf(list []protection) (size int, protected bool, err error) {
	for i, p := range list {
		if i > 0 && (p.on != list[0].on || p.on && p.ivSize != list[0].ivSize) {
			return 0, false, fmt.Errorf("samples with and without encryption or with IVs of different size in one fragment: %w",
				errors.ErrUnsupported)
		}
	}
	return list[0].ivSize, list[0].on, nil
}
