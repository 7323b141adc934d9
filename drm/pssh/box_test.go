package pssh_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/drm/pssh"
)

// differ returns how two pieces of Widevine data differ, notes apart, "" if they do not.
func differ(got, want pssh.WidevineData) string {
	got.Notes, want.Notes = nil, nil
	if reflect.DeepEqual(got, want) {
		return ""
	}
	g, w := reflect.ValueOf(got), reflect.ValueOf(want)
	var b strings.Builder
	for i := range g.NumField() {
		if !reflect.DeepEqual(g.Field(i).Interface(), w.Field(i).Interface()) {
			fmt.Fprintf(&b, "%s = %s, want %s; ", g.Type().Field(i).Name, show(g.Field(i)), show(w.Field(i)))
		}
	}
	return b.String()
}

func show(v reflect.Value) string {
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	return fmt.Sprintf("%v", v.Interface())
}

// put returns b with the big-endian number v at the offset.
func put(b []byte, offset int, v uint32) []byte {
	b = bytes.Clone(b)
	binary.BigEndian.PutUint32(b[offset:], v)
	return b
}

// wide returns the box with a 64-bit size.
func wide(b []byte) []byte {
	w := binary.BigEndian.AppendUint32(nil, 1)
	w = append(w, "pssh"...)
	w = binary.BigEndian.AppendUint64(w, uint64(len(b)+8))
	return append(w, b[8:]...)
}

// withVersion returns the box with another version.
func withVersion(b []byte, v byte) []byte {
	b = bytes.Clone(b)
	b[8] = v
	return b
}

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// errorOf returns the [pssh.Error] in err.
func errorOf(t *testing.T, err error) *pssh.Error {
	t.Helper()
	var e *pssh.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v (%T) is no *pssh.Error", err, err)
	}
	if e.Expected == "" || e.Seen == "" {
		t.Errorf("error %#v lacks what was expected or seen", e)
	}
	return e
}

func TestParseMalformed(t *testing.T) {
	t.Parallel()
	s1, s4, s5 := sampleBox(t, "S1"), sampleBox(t, "S4"), sampleBox(t, "S5")
	trailing := put(append(bytes.Clone(s1), 1, 2, 3), 0, 53)
	foreign := cat([]byte{0, 0, 0, 12}, []byte("free"), []byte{1, 2, 3, 4})
	for _, c := range []struct {
		name  string
		in    []byte
		where string
		text  string // part of the strict error
		boxes int    // that come with the strict error
		loose int    // boxes in lenient mode, -1 if that fails as well
		notes string // part of the lenient notes
	}{
		{"empty", nil, "", "seen 0 bytes without one", 0, -1, ""},
		{"seven bytes", s1[:7], "pssh[1]", "a box header of 8 bytes, seen 7 bytes", 0, -1, ""},
		{"cut in the header", s1[:20], "pssh[1]", "expected 50 bytes, the size of this \"pssh\" box, seen 20 bytes", 0, -1, ""},
		{"cut in the data", s1[:49], "pssh[1]", "expected 50 bytes", 0, -1, ""},
		{"size too large", put(s1, 0, 51), "pssh[1]", "expected 51 bytes", 0, -1, ""},
		{"size 2", put(s1, 0, 2), "pssh[1]", "seen size 2", 0, -1, ""},
		{"size 7", put(s1, 0, 7), "pssh[1]", "seen size 7", 0, -1, ""},
		{"size 8, no version", cat([]byte{0, 0, 0, 8}, []byte("pssh")), "pssh[1]", "at least 32 bytes, seen size 8", 0, -1, ""},
		{"size 31", put(s5[:31], 0, 31), "pssh[1]", "at least 32 bytes, seen size 31", 0, -1, ""},
		{"version 1, size 35", put(s4[:35], 0, 35), "pssh[1]", "at least 36 bytes, seen size 35", 0, -1, ""},
		{"64-bit size below its header", put(wide(s1), 12, 15), "pssh[1]", "seen size 15", 0, -1, ""},
		{"64-bit size too large", put(wide(s1), 8, 1), "pssh[1]", "expected 4294967354 bytes", 0, -1, ""},
		{"64-bit size near 2^64", put(put(wide(s1), 8, 1<<32-1), 12, 1<<32-1), "pssh[1]", "expected 18446744073709551615 bytes", 0, -1, ""},
		{"64-bit header cut", wide(s1)[:12], "pssh[1]", "a header of 16 bytes", 0, -1, ""},
		{"64-bit, size 39", put(wide(s5)[:39], 12, 39), "pssh[1]", "at least 40 bytes, seen size 39", 0, -1, ""},
		{"KID_count 2 for one KID", put(s4, 28, 2), "pssh[1]", "expected 32 bytes of KIDs", 0, -1, ""},
		{"KID_count overflows 32 bits to 0", put(s4, 28, 0x10000000), "pssh[1]", "4294967296 bytes of KIDs", 0, -1, ""},
		{"KID_count overflows 32 bits to 16", put(s4, 28, 0x10000001), "pssh[1]", "4294967312 bytes of KIDs", 0, -1, ""},
		{"KID_count at its largest", put(s4, 28, 1<<32-1), "pssh[1]", "68719476720 bytes of KIDs", 0, -1, ""},
		{"DataSize one too large", put(s1, 28, 19), "pssh[1]", "19 bytes of Data, as DataSize says, seen 18 bytes left", 0, -1, ""},
		{"DataSize at its largest", put(s1, 28, 1<<32-1), "pssh[1]", "4294967295 bytes of Data", 0, -1, ""},
		{"version 2 alone", withVersion(s1, 2), "pssh[1]", "version 0 or 1, seen version 2", 0, -1, ""},
		{"versions 2 and 255 alone", cat(withVersion(s1, 2), withVersion(s1, 255)), "pssh[1]", "seen version 2", 0, -1, ""},
		{"trailing byte in the box", trailing, "pssh[1]", "3 trailing bytes inside the box", 0, 1, "3 trailing bytes inside the box"},
		{"DataSize too small", put(s1, 28, 17), "pssh[1]", "1 trailing byte inside", 0, 1, "1 trailing byte inside"},
		{"trailing bytes after the box", cat(s1, []byte{0, 0, 0}), "", "seen 3 trailing bytes", 1, 1, "3 trailing bytes"},
		{"second box cut", cat(s1, s4[:51]), "pssh[2]", "expected 52 bytes", 1, -1, ""},
		{"another box first", cat(foreign, s1), "pssh[1]", `a box of type pssh, seen type "free"`, 0, 1, `type "free"`},
		{"another box last", cat(s1, foreign), "pssh[2]", `seen type "free"`, 1, 1, `type "free"`},
		{"another box alone", foreign, "pssh[1]", `seen type "free"`, 0, -1, `type "free"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			boxes, _, err := pssh.Parse(c.in, pssh.Strict)
			e := errorOf(t, err)
			if e.Where != c.where || !strings.Contains(e.Error(), c.text) || len(boxes) != c.boxes {
				t.Errorf("strict: %d boxes, error at %q: %v; want %d, at %q: … %s …", len(boxes), e.Where, e, c.boxes, c.where, c.text)
			}
			boxes, notes, err := pssh.Parse(c.in, pssh.Lenient)
			if c.loose < 0 {
				errorOf(t, err)
			} else if err != nil || len(boxes) != c.loose {
				t.Errorf("lenient: %d boxes, error %v; want %d", len(boxes), err, c.loose)
			}
			if text := fmt.Sprint(notes); !strings.Contains(text, c.notes) {
				t.Errorf("notes %s, want … %s …", text, c.notes)
			}
		})
	}
}

func TestParseOffsets(t *testing.T) {
	t.Parallel()
	_, _, err := pssh.Parse(cat(sampleBox(t, "S1"), put(sampleBox(t, "S4"), 28, 9)), pssh.Strict)
	if e := errorOf(t, err); e.Offset != 50 || e.Hint == "" {
		t.Errorf("error at byte %d with hint %q, want byte 50 and a hint", e.Offset, e.Hint)
	}
}

func TestParseSizes(t *testing.T) {
	t.Parallel()
	s1, s3 := sampleBox(t, "S1"), sampleBox(t, "S3")
	for _, c := range []struct {
		name string
		in   []byte
		raw  [][]byte
	}{
		{"64-bit", wide(s3), [][]byte{wide(s3)}},
		{"64-bit between others", cat(s1, wide(s3), s1), [][]byte{s1, wide(s3), s1}},
		{"to the end", put(s3, 0, 0), [][]byte{put(s3, 0, 0)}},
		{"to the end behind another", cat(s1, put(s3, 0, 0)), [][]byte{s1, put(s3, 0, 0)}},
		{"version 2 in a list", cat(s1, withVersion(s3, 2), s3), [][]byte{s1, s3}},
		{"version 2 first", cat(withVersion(s3, 2), s3), [][]byte{s3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			boxes, _, err := pssh.Parse(c.in, pssh.Strict)
			if err != nil || len(boxes) != len(c.raw) {
				t.Fatalf("Parse = %d boxes, %v; want %d", len(boxes), err, len(c.raw))
			}
			for i, b := range boxes {
				if !bytes.Equal(b.Raw, c.raw[i]) {
					t.Errorf("box %d has Raw %x, want %x", i, b.Raw, c.raw[i])
				}
			}
			for i, b := range boxes {
				want := s1
				if b.Version == 1 {
					want = s3
				}
				if built, err := pssh.Build(b); err != nil || !bytes.Equal(built, want) {
					t.Errorf("Build of box %d = %x, %v; want the form with a 32-bit size", i, built, err)
				}
			}
		})
	}
}

func TestParseNotes(t *testing.T) {
	t.Parallel()
	s1 := sampleBox(t, "S1")
	for _, c := range []struct {
		name string
		in   []byte
		note string
	}{
		{"version 2 in a list", cat(withVersion(s1, 2), s1), "pssh[1] at byte 0: box skipped: version 2 is not defined"},
		{"flags", put(s1, 8, 5), "pssh[1] at byte 0: flags are 000005, not 0"},
		{"Data in a common box", cat(s1, common(t, s1)), "pssh[2] at byte 50: 18 bytes of Data in a common box, where Data is ignored"},
	} {
		_, notes, err := pssh.Parse(c.in, pssh.Strict)
		if err != nil || len(notes) != 1 || notes[0].String() != c.note {
			t.Errorf("%s: notes %v, error %v; want %s", c.name, notes, err, c.note)
		}
	}
}

// common returns the box with the common SystemID.
func common(t *testing.T, b []byte) []byte {
	t.Helper()
	b = bytes.Clone(b)
	if n := copy(b[12:], pssh.CommonSystemID[:]); n != 16 {
		t.Fatal("box is too short")
	}
	return b
}

// TestNoAliasing overwrites inputs after they were read.
func TestNoAliasing(t *testing.T) {
	t.Parallel()
	in := sampleBox(t, "S6")
	boxes, _, err := pssh.Parse(in, pssh.Strict)
	if err != nil {
		t.Fatal(err)
	}
	clear(in)
	if want := sampleBox(t, "S6"); !bytes.Equal(boxes[0].Raw, want) || !bytes.Equal(boxes[0].Data, want[32:]) {
		t.Error("the box changed with the input")
	}
	d, err := pssh.ParseWidevineData(boxes[0].Data)
	if err != nil {
		t.Fatal(err)
	}
	clear(boxes[0].Data)
	if string(d.ContentID) != "asset-1" {
		t.Error("the Widevine data changed with the input")
	}
}

func TestBuildRefuses(t *testing.T) {
	t.Parallel()
	for text, box := range map[string]pssh.Box{
		"version 2 is not defined":              {Version: 2},
		"version 0 has no KID list":             {KIDs: make([]drm.KID, 1)},
		"flags 1000000 do not fit in 24 bits":   {Flags: 1 << 24},
		"version 0 has no KID list, but there ": {KIDs: make([]drm.KID, 2), Data: []byte{1}},
	} {
		if b, err := pssh.Build(box); err == nil || !strings.Contains(err.Error(), text) || b != nil {
			t.Errorf("Build = %x, %v; want … %s …", b, err, text)
		}
	}
}

// TestBuildPlayReady builds the boxes whose digests sheet playready.md §13.3 gives.
func TestBuildPlayReady(t *testing.T) {
	t.Parallel()
	pro := unbase64(t, "NAIAAAEAAQAqAjwAVwBSAE0ASABFAEEARABFAFIAIAB4AG0AbABuAHMAPQAiAGgAdAB0AHAAOgAvAC8AcwBjAGgAZQBtAGEAcwAu"+
		"AG0AaQBjAHIAbwBzAG8AZgB0AC4AYwBvAG0ALwBEAFIATQAvADIAMAAwADcALwAwADMALwBQAGwAYQB5AFIAZQBhAGQAeQBIAGUA"+
		"YQBkAGUAcgAiACAAdgBlAHIAcwBpAG8AbgA9ACIANAAuADMALgAwAC4AMAAiAD4APABEAEEAVABBAD4APABQAFIATwBUAEUAQwBU"+
		"AEkATgBGAE8APgA8AEsASQBEAFMAPgA8AEsASQBEACAAQQBMAEcASQBEAD0AIgBBAEUAUwBDAEIAQwAiACAAVgBBAEwAVQBFAD0A"+
		"IgBQAFYAMQBMAE0ALwBWAEUAVgBrACsAawBFAE8AQgA4AHEAcQBjAFcARABnAD0APQAiAD4APAAvAEsASQBEAD4APABLAEkARAAg"+
		"AEEATABHAEkARAA9ACIAQQBFAFMAQwBCAEMAIgAgAFYAQQBMAFUARQA9ACIAdAB1AGgARABvAEsAVQBOADcARQB5AHgARABQAHQA"+
		"TQBSAE4AbQBoAHkAQQA9AD0AIgA+ADwALwBLAEkARAA+ADwALwBLAEkARABTAD4APAAvAFAAUgBPAFQARQBDAFQASQBOAEYATwA+"+
		"ADwALwBEAEEAVABBAD4APAAvAFcAUgBNAEgARQBBAEQARQBSAD4A")
	box := pssh.Box{SystemID: pssh.PlayReadySystemID, Data: pro}
	checkDigest(t, box, 596, "f3eaf3c8fa59aa560733dcb5bea6bd66c01cc9718c54643435d9169f8f676005")
	box.Version, box.KIDs = 1, kidsOf(t, "334b5d3d44f54f56a410e07caaa7160e", "a043e8b60da54cecb10cfb4c44d9a1c8")
	checkDigest(t, box, 632, "7e64dc9b13453bf3fd7a63be20fc01402515836ec8f55aee9e46b99d3fbd4d92")
}

func checkDigest(t *testing.T, box pssh.Box, size int, digest string) {
	t.Helper()
	b, err := pssh.Build(box)
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(b); len(b) != size || hex.EncodeToString(sum[:]) != digest {
		t.Errorf("Build gives %d bytes with digest %x, want %d with %s", len(b), sum, size, digest)
	}
}

func TestSystems(t *testing.T) {
	t.Parallel()
	for name, id := range map[string]drm.SystemID{
		"Widevine": pssh.IDOf(drm.Widevine), "PlayReady": pssh.IDOf(drm.PlayReady), "W3C common": pssh.CommonSystemID,
		"ClearKey": systemID(t, "e2719d58-a985-b3c9-781a-b030af78d30e"), "FairPlay": systemID(t, "94ce86fb-07ff-4f43-adb8-93d2fa968ca2"),
		"Marlin": systemID(t, "5e629af5-38da-4063-8977-97ffbd9902d4"), "": {1},
	} {
		if got := pssh.SystemName(id); got != name {
			t.Errorf("SystemName(%s) = %q, want %q", id, got, name)
		}
	}
	for _, s := range []drm.System{drm.Widevine, drm.PlayReady} {
		if got, ok := pssh.SystemOf(pssh.IDOf(s)); got != s || !ok {
			t.Errorf("SystemOf(IDOf(%s)) = %s, %t", s, got, ok)
		}
	}
	if pssh.WidevineSystemID.String() != "edef8ba9-79d6-4ace-a3c8-27dcd51d21ed" || pssh.PlayReadySystemID.String() != "9a04f079-9840-4286-ab92-e65be0885f95" ||
		pssh.CommonSystemID.String() != "1077efec-c0b2-4d02-ace3-3c1e52e2fb4b" {
		t.Error("a SystemID differs from the sheet's")
	}
	if s, ok := pssh.SystemOf(pssh.CommonSystemID); ok {
		t.Errorf("SystemOf(common) = %s, want none", s)
	}
	if id := pssh.IDOf("clearkey"); id != (drm.SystemID{}) {
		t.Errorf("IDOf(clearkey) = %s, want none", id)
	}
}

func systemID(t *testing.T, s string) drm.SystemID {
	t.Helper()
	return drm.SystemID(kidsOf(t, s)[0])
}
