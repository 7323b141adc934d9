package content

import (
	"errors"
	"fmt"
	"slices"

	"github.com/Eyevinn/mp4ff/mp4"

	"keyflow/drm"
	"keyflow/drm/secret"
)

// Keys returns the content key of a KID, and false if there is none.
type Keys func(drm.KID) (secret.Bytes, bool)

// KeySize is the length of a content key in bytes: every scheme of ISO/IEC 23001-7 is AES-128.
const KeySize = 16

// KeyError says that a sample's content key cannot be used.
type KeyError struct {
	KID     drm.KID
	Missing bool // there is no content key for the KID
	Size    int  // of the content key in bytes, if there is one
}

// Error says what is wrong with the key.
func (e *KeyError) Error() string {
	if e.Missing {
		return fmt.Sprintf("no content key for KID %s", e.KID)
	}
	return fmt.Sprintf("content key for KID %s has %d bytes, want %d", e.KID, e.Size, KeySize)
}

// Decrypted is a media segment in the clear.
type Decrypted struct {
	// Init and Segment are playable one after the other. They have the layout of the encrypted files: boxes that tell
	// of encryption have become free space.
	Init, Segment []byte
	Samples       []Sample // in decoding order
	KIDs          []drm.KID
	Entry         Entry  // the sample entry that the samples use
	Handler       string // of the track: "vide", "soun", …
}

// Sample is one sample in the clear.
type Sample struct {
	Data      []byte  // part of the segment
	KID       drm.KID // zero if the sample was in the clear
	Encrypted int     // number of bytes that were encrypted
	Sync      bool    // the sample is said to be a random access point
}

// Decrypt decrypts a media segment of the track that the init segment describes (ISO/IEC 23001-7; sheet widevine.md §14):
// schemes cenc and cbcs, with subsamples, patterns, constant IVs and KIDs per sample group.
//
// Nothing tells a wrong key: the samples are then noise, see [Prove]. The error wraps a [*KeyError] if a key is missing or
// of the wrong length, and [errors.ErrUnsupported] if the segment is sound but of a form that is not supported (other
// schemes, a change of protection within a fragment).
func Decrypt(init, segment []byte, keys Keys) (*Decrypted, error) {
	d, err := Inspect(init)
	if err != nil {
		return nil, err
	}
	clearInit, err := clearedInit(init)
	if err != nil {
		return nil, fmt.Errorf("clear init segment: %w", err)
	}
	out := &Decrypted{Init: clearInit, Handler: d.Handler}
	if err := out.decrypt(d, segment, keys); err != nil {
		return nil, fmt.Errorf("decrypt media segment: %w", err)
	}
	return out, nil
}

func (out *Decrypted) decrypt(d *Description, segment []byte, keys Keys) error {
	top, err := topBoxes(segment)
	if err != nil {
		return err
	}
	if out.Segment, err = clearedSegment(segment, top); err != nil {
		return err
	}
	var mdats []box
	for _, b := range top {
		if b.typ == "mdat" {
			mdats = append(mdats, b)
		}
	}
	entry := uint32(0)
	for _, b := range top {
		if b.typ != "moof" {
			continue
		}
		f, err := readFragment(d, segment, b, mdats)
		if err != nil {
			return fmt.Errorf("fragment at offset %d: %w", b.start, err)
		}
		if entry != 0 && entry != f.entry {
			return fmt.Errorf("fragments of different sample entries in one segment: %w", errors.ErrUnsupported)
		}
		entry = f.entry
		out.Entry = d.Entries[entry-1]
		if err := out.add(f, keys); err != nil {
			return fmt.Errorf("fragment at offset %d: %w", b.start, err)
		}
	}
	if len(out.Samples) == 0 {
		return errors.New("no sample")
	}
	return nil
}

// add decrypts the samples of a fragment in place.
func (out *Decrypted) add(f *fragment, keys Keys) error {
	for i, s := range f.samples {
		sample := Sample{Data: out.Segment[s.start:s.end:s.end], Sync: s.sync}
		if p := f.protections[i]; p.on {
			key, ok := keys(p.kid)
			if !ok || key.Len() != KeySize {
				return &KeyError{KID: p.kid, Missing: !ok, Size: key.Len()}
			}
			var err error
			if sample.Encrypted, err = decryptSample(out.Entry.Scheme, sample.Data, key, p, f.ivs[i], f.subsamples[i]); err != nil {
				return fmt.Errorf("sample %d: %w", i, err)
			}
			sample.KID = p.kid
			if !slices.Contains(out.KIDs, p.kid) {
				out.KIDs = append(out.KIDs, p.kid)
			}
		}
		out.Samples = append(out.Samples, sample)
	}
	return nil
}

// decryptSample decrypts a sample in place and returns the number of bytes that were encrypted.
func decryptSample(scheme drm.Scheme, sample []byte, key secret.Bytes, p protection, iv []byte, subs []mp4.SubSamplePattern) (int, error) {
	ranges, err := protectedRanges(len(sample), subs)
	if err != nil {
		return 0, err
	}
	block := make([]byte, 16) // an IV of 8 bytes is the high half of the counter block or IV
	copy(block, iv)
	encrypted := 0
	switch scheme {
	case drm.SchemeCENC:
		for _, r := range ranges {
			encrypted += r.end - r.start
		}
		return encrypted, mp4.CryptSampleCenc(sample, key.Reveal(), block, subs)
	case drm.SchemeCBCS:
		for _, r := range ranges {
			n, err := decryptPattern(sample[r.start:r.end], key, block, p)
			if err != nil {
				return 0, err
			}
			encrypted += n
		}
		return encrypted, nil
	}
	return 0, fmt.Errorf("protection scheme %q: %w", scheme, errors.ErrUnsupported)
}

type span struct{ start, end int }

// protectedRanges returns the protected parts of a sample, which the subsamples must fill exactly; without subsamples
// the whole sample is protected.
func protectedRanges(size int, subs []mp4.SubSamplePattern) ([]span, error) {
	if len(subs) == 0 {
		return []span{{0, size}}, nil
	}
	var ranges []span
	at := 0
	for _, s := range subs {
		start := at + int(s.BytesOfClearData)
		at = start + int(s.BytesOfProtectedData)
		if at > size {
			return nil, fmt.Errorf("subsamples exceed the sample of %d bytes", size)
		}
		ranges = append(ranges, span{start, at})
	}
	if at != size {
		return nil, fmt.Errorf("subsamples cover %d of %d bytes", at, size)
	}
	return ranges, nil
}

// decryptPattern decrypts one protected range of the cbcs scheme and returns the number of bytes that were encrypted.
// The encrypted blocks of a range chain across the skipped ones, and the pattern is followed until no whole block is
// left (ISO/IEC 23001-7 clause 9.6); so the encrypted blocks are brought together, decrypted as one run, and put back.
func decryptPattern(data []byte, key secret.Bytes, iv []byte, p protection) (int, error) {
	whole := len(data) / 16
	var run []byte
	each := func(do func(block []byte)) {
		for i := range whole {
			if p.skip == 0 || i%(p.crypt+p.skip) < p.crypt {
				do(data[i*16 : i*16+16])
			}
		}
	}
	each(func(block []byte) { run = append(run, block...) })
	if err := mp4.DecryptSampleCbcs(run, key.Reveal(), iv, nil, &mp4.TencBox{}); err != nil {
		return 0, err
	}
	n := len(run)
	each(func(block []byte) { run = run[copy(block, run):] })
	return n, nil
}
