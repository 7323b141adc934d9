package content

import (
	"fmt"
	"slices"
)

// clearedInit returns a copy of an init segment without its encryption: encrypted sample entries get back their format,
// pssh and sinf boxes become free space. An edit list goes too, since a player drops samples by it, and all samples of a
// segment are to be decoded.
func clearedInit(init []byte) ([]byte, error) {
	out := slices.Clone(init)
	moov, err := topBox(out, "moov")
	if err != nil {
		return nil, err
	}
	return out, clearIn(out, moov)
}

// clearedSegment returns a copy of a media segment, whose top-level boxes are top, in which everything but the movie
// fragments and the media data is free space, and so are the boxes that tell of encryption.
func clearedSegment(segment []byte, top []box) ([]byte, error) {
	out := slices.Clone(segment)
	for _, b := range top {
		switch b.typ {
		case "moof":
			if err := clearIn(out, b); err != nil {
				return nil, err
			}
		case "mdat", "styp":
		default:
			free(out, b)
		}
	}
	return out, nil
}

// encryptionBoxes are the boxes that only make sense for encrypted samples; a uuid box may be the PIFF form of one.
var encryptionBoxes = []string{"pssh", "sinf", "senc", "saiz", "saio", "sbgp", "sgpd", "uuid", "edts"}

func clearIn(out []byte, parent box) error {
	list, err := childBoxes(out, parent.body+prefix[parent.typ], parent.end)
	if err != nil {
		return fmt.Errorf("in box %q: %w", parent.typ, err)
	}
	for _, b := range list {
		if slices.Contains(encryptionBoxes, b.typ) {
			free(out, b)
			continue
		}
		if b.typ == "encv" || b.typ == "enca" {
			format, err := originalFormat(out, b)
			if err != nil {
				return err
			}
			copy(out[b.start+4:], format)
		}
		if slices.Contains(grammar[parent.typ], b.typ) && grammar[b.typ] != nil {
			if err := clearIn(out, b); err != nil {
				return err
			}
		}
	}
	return nil
}

// originalFormat returns the four-character code in frma of an encrypted sample entry (ISO/IEC 14496-12 clause 8.12.2).
func originalFormat(out []byte, entry box) ([]byte, error) {
	at := box{typ: entry.typ, body: entry.body + prefix[entry.typ], end: entry.end}
	for _, typ := range []string{"sinf", "frma"} {
		list, err := childBoxes(out, at.body, at.end)
		if err != nil {
			return nil, fmt.Errorf("in box %q: %w", at.typ, err)
		}
		i := slices.IndexFunc(list, func(b box) bool { return b.typ == typ })
		if i < 0 {
			return nil, fmt.Errorf("no %s box in sample entry %q", typ, entry.typ)
		}
		at = list[i]
	}
	if at.end-at.body != 4 {
		return nil, fmt.Errorf("frma has %d bytes, want 4", at.end-at.body)
	}
	return slices.Clone(out[at.body:at.end]), nil
}
