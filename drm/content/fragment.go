package content

import (
	"errors"
	"fmt"

	"github.com/Eyevinn/mp4ff/mp4"
)

// fragment is one movie fragment of one track; the slices run parallel.
type fragment struct {
	entry       uint32 // sample entry, from 1
	samples     []sampleAt
	protections []protection
	ivs         [][]byte
	subsamples  [][]mp4.SubSamplePattern
}

// sampleAt is where in the segment a sample is.
type sampleAt struct {
	start, end int
	sync       bool
}

// nonSync is sample_is_non_sync_sample of the sample flags (ISO/IEC 14496-12 clause 8.8.3.1).
const nonSync = 0x00010000

func readFragment(d *Description, segment []byte, moofBox box, mdats []box) (*fragment, error) {
	raw, err := reduce(segment, moofBox)
	if err != nil {
		return nil, err
	}
	decoded, err := decodeBox(raw)
	if err != nil {
		return nil, err
	}
	moof, ok := decoded.(*mp4.MoofBox)
	if !ok || len(moof.Trafs) != 1 || moof.Traf.Tfhd == nil {
		return nil, errors.New("want exactly one track fragment with a tfhd box")
	}
	traf := moof.Traf
	if traf.Tfhd.TrackID != d.TrackID {
		return nil, fmt.Errorf("is of track %d, the init segment of track %d", traf.Tfhd.TrackID, d.TrackID)
	}
	f := &fragment{entry: d.defaultEntry}
	if traf.Tfhd.HasSampleDescriptionIndex() {
		f.entry = traf.Tfhd.SampleDescriptionIndex
	}
	if f.entry < 1 || uint64(f.entry) > uint64(len(d.Entries)) {
		return nil, fmt.Errorf("uses sample entry %d of %d", f.entry, len(d.Entries))
	}
	if f.samples, err = locate(d, traf, moofBox.start, mdats); err != nil || len(f.samples) == 0 {
		return f, err
	}
	if f.protections, err = protections(d, d.Entries[f.entry-1], traf, len(f.samples)); err != nil {
		return nil, err
	}
	return f, f.readAuxiliary(traf)
}

// locate returns where the samples of a track fragment are. Each must lie in the body of an mdat, and together they must
// not exceed the bodies, which bounds the work that a lying trun can ask for.
func locate(d *Description, traf *mp4.TrafBox, base int, mdats []box) ([]sampleAt, error) {
	if traf.Tfhd.HasBaseDataOffset() {
		return nil, fmt.Errorf("absolute data offset in tfhd, DASH segments count from the moof box: %w", errors.ErrUnsupported)
	}
	var list []sampleAt
	at, left := int64(base), int64(0)
	for _, m := range mdats {
		left += int64(m.end - m.body)
	}
	for _, trun := range traf.Truns {
		if trun.HasDataOffset() {
			at = int64(base) + int64(trun.DataOffset)
		}
		trun.AddSampleDefaultValues(traf.Tfhd, d.trex)
		for _, s := range trun.Samples {
			end := at + int64(s.Size)
			if left -= int64(s.Size); left < 0 || !inBody(mdats, at, end) {
				return nil, fmt.Errorf("sample %d (offset %d, %d bytes) is not in the media data", len(list), at, s.Size)
			}
			if list = append(list, sampleAt{start: int(at), end: int(end), sync: s.Flags&nonSync == 0}); len(list) > maxSamples {
				return nil, fmt.Errorf("more than %d samples", maxSamples)
			}
			at = end
		}
	}
	return list, nil
}

func inBody(mdats []box, start, end int64) bool {
	for _, m := range mdats {
		if start >= int64(m.body) && end <= int64(m.end) {
			return true
		}
	}
	return false
}

// readAuxiliary reads the IVs and subsamples of the samples out of the senc box (ISO/IEC 23001-7 clause 7.2).
func (f *fragment) readAuxiliary(traf *mp4.TrafBox) error {
	n := len(f.samples)
	f.ivs, f.subsamples = make([][]byte, n), make([][]mp4.SubSamplePattern, n)
	size, protected, err := ivSizeOf(f.protections)
	if err != nil || !protected {
		return err
	}
	for i := range f.ivs {
		f.ivs[i] = f.protections[i].constantIV
	}
	senc := traf.Senc
	if senc == nil {
		if size != 0 {
			return errors.New("no senc box, so that the samples have no IV")
		}
		return nil // whole samples with a constant IV need none
	}
	if countBoxes(traf, "senc") > 1 {
		return errors.New("several senc boxes in one track fragment")
	}
	if int64(senc.SampleCount) != int64(n) {
		return fmt.Errorf("senc is for %d samples, the fragment has %d", senc.SampleCount, n)
	}
	if senc.ReadButNotParsed() {
		if err := senc.ParseReadBox(byte(size), nil); err != nil {
			return fmt.Errorf("senc: %w", err)
		}
	}
	return f.takeAuxiliary(senc, size)
}

func (f *fragment) takeAuxiliary(senc *mp4.SencBox, size int) error {
	n := len(f.samples)
	if size != 0 && len(senc.IVs) != n || size == 0 && len(senc.IVs) != 0 {
		return fmt.Errorf("senc: %d IVs for %d samples with IVs of %d bytes", len(senc.IVs), n, size)
	}
	for i, iv := range senc.IVs {
		if len(iv) != size {
			return fmt.Errorf("senc: IV of sample %d has %d bytes, want %d", i, len(iv), size)
		}
		f.ivs[i] = iv
	}
	if len(senc.SubSamples) != 0 && len(senc.SubSamples) != n {
		return fmt.Errorf("senc: subsamples for %d of %d samples", len(senc.SubSamples), n)
	}
	copy(f.subsamples, senc.SubSamples)
	return nil
}
