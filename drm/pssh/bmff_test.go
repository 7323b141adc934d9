package pssh_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/Eyevinn/mp4ff/mp4"

	"keyflow/drm"
	"keyflow/drm/pssh"
)

func base64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// bmffBox returns a box of the type around the parts.
func bmffBox(kind string, parts ...[]byte) []byte {
	body := cat(parts...)
	return cat(binary.BigEndian.AppendUint32(nil, uint32(len(body)+8)), []byte(kind), body)
}

// mp4ffPssh returns the sample as mp4ff's box.
func mp4ffPssh(t testing.TB, id string) *mp4.PsshBox {
	t.Helper()
	boxes, err := mp4.PsshBoxesFromBytes(sampleBox(t, id))
	if err != nil {
		t.Fatal(err)
	}
	return boxes[0]
}

// initSegment returns a protected init segment made by mp4ff, with the samples as pssh boxes.
func initSegment(t testing.TB, media, scheme, kid string, ids ...string) []byte {
	t.Helper()
	init := mp4.CreateEmptyInit()
	trak := init.AddEmptyTrack(48000, media, "und")
	var err error
	if media == "video" {
		sps, _ := hex.DecodeString("67640020accac05005bb0169e0000003002000000c9c4c000432380008647c12401cb1c31380")
		pps, _ := hex.DecodeString("68e84332c8b0")
		err = trak.SetAVCDescriptor("avc1", [][]byte{sps}, [][]byte{pps}, true)
	} else {
		err = trak.SetAACDescriptor(2, 48000)
	}
	if err != nil {
		t.Fatal(err)
	}
	if scheme != "" {
		var boxes []*mp4.PsshBox
		for _, id := range ids {
			boxes = append(boxes, mp4ffPssh(t, id))
		}
		uuid, err := mp4.NewUUIDFromString(kid)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := mp4.InitProtect(init, make([]byte, 16), make([]byte, 16), scheme, uuid, boxes); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if err := init.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// mediaSegment returns a media segment of two fragments made by mp4ff; the first has the samples as pssh boxes.
func mediaSegment(t testing.TB, ids ...string) []byte {
	t.Helper()
	seg := mp4.NewMediaSegment()
	for n := range uint32(2) {
		frag, err := mp4.CreateFragment(n+1, 1)
		if err != nil {
			t.Fatal(err)
		}
		frag.AddFullSample(mp4.FullSample{Sample: mp4.Sample{Size: 5, Dur: 1}, Data: []byte("media")})
		for _, id := range ids {
			if err := frag.Moof.AddChild(mp4ffPssh(t, id)); err != nil {
				t.Fatal(err)
			}
		}
		ids = nil
		seg.AddFragment(frag)
	}
	var b bytes.Buffer
	if err := seg.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func pathsOnly(c *pssh.Content) string {
	var parts []string
	for _, f := range c.Found {
		parts = append(parts, f.Place.Path)
	}
	return strings.Join(parts, " ")
}

func TestInitSegment(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ media, scheme, entry string }{{"video", "cenc", "encv"}, {"video", "cbcs", "encv"}, {"audio", "cenc", "enca"}, {"audio", "cbcs", "enca"}} {
		t.Run(c.media+" "+c.scheme, func(t *testing.T) {
			t.Parallel()
			data := initSegment(t, c.media, c.scheme, kidB, "S1", "W1", "P7")
			content, err := pssh.Find("init.mp4", data)
			if err != nil || content.Kind != pssh.KindInit || len(content.Notes)+len(content.Problems) != 0 {
				t.Fatalf("Find = %+v, %v", content, err)
			}
			if got := pathsOnly(content); got != "moov/pssh[1] moov/pssh[2] moov/pssh[3]" {
				t.Errorf("boxes at %s", got)
			}
			for i, id := range []string{"S1", "W1", "P7"} {
				f := content.Found[i]
				want := sampleBox(t, id)
				if !bytes.Equal(f.Box.Raw, want) || !bytes.HasPrefix(data[f.Place.Offset:], want) {
					t.Errorf("box %d is not %s, or not at byte %d", i, id, f.Place.Offset)
				}
			}
			want := fmt.Sprintf("moov/trak[1]/mdia/minf/stbl/stsd/%s/sinf/schi/tenc %s %s", c.entry, kidB, c.scheme)
			if got := keys(content); got != want {
				t.Errorf("keys %s, want %s", got, want)
			}
			if k := content.Keys[0]; string(data[k.Place.Offset+4:k.Place.Offset+8]) != "tenc" {
				t.Errorf("tenc is not at byte %d", k.Place.Offset)
			}
		})
	}
}

func TestMediaSegment(t *testing.T) {
	t.Parallel()
	data := mediaSegment(t, "S2", "S4")
	content, err := pssh.Find("1.m4s", data)
	if err != nil || content.Kind != pssh.KindMedia || len(content.Notes)+len(content.Problems) != 0 {
		t.Fatalf("Find = %+v, %v", content, err)
	}
	if got := pathsOnly(content); got != "moof[1]/pssh[1] moof[1]/pssh[2]" || !bytes.Equal(content.Found[1].Box.Raw, sampleBox(t, "S4")) {
		t.Errorf("boxes at %s", got)
	}
	content, err = pssh.Find("all.mp4", cat(initSegment(t, "audio", "cenc", kidA, "S1"), data))
	if err != nil || content.Kind != pssh.KindFile || pathsOnly(content) != "moov/pssh[1] moof[1]/pssh[1] moof[1]/pssh[2]" {
		t.Errorf("whole file: %s at %s, error %v", content.Kind, pathsOnly(content), err)
	}
}

func TestSegmentWithoutBox(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		in   []byte
		kind pssh.Kind
		kids int
		hint string
	}{
		{"encrypted init", initSegment(t, "video", "cenc", kidA), pssh.KindInit, 1, "in the MPD only"},
		{"clear init", initSegment(t, "video", "", ""), pssh.KindInit, 0, "not encrypted"},
		{"media", mediaSegment(t), pssh.KindMedia, 0, "where keys rotate"},
		{"index alone", bmffBox("sidx", make([]byte, 24)), pssh.KindFile, 0, "MPD only"},
	} {
		content, err := pssh.Find("x", c.in)
		e := errorOf(t, err)
		if !errors.Is(err, drm.ErrNoBox) || content.Kind != c.kind || len(content.KIDs()) != c.kids || !strings.Contains(e.Hint, c.hint) {
			t.Errorf("%s: %s with %d KIDs, error %v, hint %q; want %s, %d, … %s …", c.name, content.Kind, len(content.KIDs()), err, e.Hint, c.kind, c.kids, c.hint)
		}
	}
}

// protectedTrack returns a moov box with a track whose stsd has the version and holds the entry.
func protectedTrack(version byte, entry []byte) []byte {
	stsd := bmffBox("stsd", []byte{version, 0, 0, 0, 0, 0, 0, 1}, entry)
	return bmffBox("moov", bmffBox("trak", bmffBox("mdia", bmffBox("minf", bmffBox("stbl", stsd)))))
}

// sinfBox returns protection information for the KID A; a nil schm is left out.
func sinfBox(t testing.TB, schm []byte, protected byte) []byte {
	kid := kidsOf(t, kidA)[0]
	tenc := bmffBox("tenc", []byte{0, 0, 0, 0, 0, 0, protected, 8}, kid[:])
	return bmffBox("sinf", bmffBox("frma", []byte("mp4a")), schm, bmffBox("schi", tenc))
}

func TestSampleEntries(t *testing.T) {
	t.Parallel()
	schm := bmffBox("schm", []byte("\x00\x00\x00\x00cens\x00\x01\x00\x00"))
	sinf := sinfBox(t, schm, 1)
	audio := func(version byte, extra int) []byte {
		fixed := make([]byte, 28+extra)
		fixed[9] = version
		return bmffBox("enca", fixed, sinf)
	}
	for _, c := range []struct {
		name string
		in   []byte
		keys int
		note string
	}{
		{"audio", protectedTrack(0, audio(0, 0)), 1, ""},
		{"QuickTime audio 1", protectedTrack(0, audio(1, 16)), 1, ""},
		{"QuickTime audio 2", protectedTrack(0, audio(2, 36)), 1, ""},
		{"ISO audio version 1", protectedTrack(1, audio(1, 0)), 1, ""},
		{"timed text", protectedTrack(0, bmffBox("encs", make([]byte, 8), sinf)), 1, ""},
		{"unknown layout", protectedTrack(0, bmffBox("enct", make([]byte, 8), sinf)), 0, ""},
		{"not protected", protectedTrack(0, bmffBox("encv", make([]byte, 78), sinfBox(t, schm, 0))), 0, ""},
		{"QuickTime terminator", protectedTrack(0, bmffBox("encv", make([]byte, 78), sinf, []byte{0, 0, 0, 0})), 1, "4 stray bytes"},
	} {
		content, err := pssh.Find("x", cat(c.in, bmffBox("moof", sampleBox(t, "S1"))))
		if err != nil || len(content.Problems) != 0 || len(content.Keys) != c.keys || !strings.Contains(fmt.Sprint(content.Notes), c.note) {
			t.Errorf("%s: %d keys, notes %v, problems %v, error %v; want %d keys", c.name, len(content.Keys), content.Notes, content.Problems, err, c.keys)
		}
		if c.keys == 1 && (content.Keys[0].Scheme != drm.SchemeCENS || content.Keys[0].KID.String() != kidA) {
			t.Errorf("%s: key %+v", c.name, content.Keys[0])
		}
	}
	content, err := pssh.Find("x", cat(protectedTrack(0, bmffBox("encv", make([]byte, 78), sinfBox(t, nil, 1))), bmffBox("moof", sampleBox(t, "S1"))))
	if err != nil || len(content.Keys) != 1 || content.Keys[0].Scheme != "" {
		t.Errorf("without schm: keys %v, error %v", content.Keys, err)
	}
}

// TestBMFFBroken has something broken in a file, which must not lose the box before it or in the next container.
func TestBMFFBroken(t *testing.T) {
	t.Parallel()
	s1, s4 := sampleBox(t, "S1"), sampleBox(t, "S4")
	good := bmffBox("moof", s1)
	schm := bmffBox("schm", []byte("\x00\x00\x00\x00cenc\x00\x01\x00\x00"))
	for _, c := range []struct {
		name, where, text string
		in                []byte
	}{
		{"mdat cut", "", `expected 108 bytes, the size of this "mdat" box, seen 18 bytes`, cat(good, bmffBox("mdat", make([]byte, 100))[:18])},
		{"header cut", "", "a box header of 8 bytes, seen 3 bytes", cat(good, []byte{0, 0, 0})},
		{"child larger than its parent", "moov", "expected 500 bytes", cat(bmffBox("moov", put(s1, 0, 500)), good)},
		{"child of size 0", "moov", "a box with a size", cat(bmffBox("moov", put(s1, 0, 0)), good)},
		{"child of size 3", "moov", "seen size 3", cat(bmffBox("moov", put(s1, 0, 3)), good)},
		{"KID_count", "moov/pssh[1]", "16777216 bytes of KIDs", cat(bmffBox("moov", put(s4, 28, 1<<20)), good)},
		{"DataSize", "moof[1]/pssh[1]", "19 bytes of Data", cat(bmffBox("moof", put(s1, 28, 19)), good)},
		{"short pssh", "moov/pssh[1]", "at least 32 bytes", cat(bmffBox("moov", bmffBox("pssh", make([]byte, 10))), good)},
		{"short stsd", "moov/trak[1]/mdia/minf/stbl/stsd", "at least 16 bytes, seen size 12",
			cat(bmffBox("moov", bmffBox("trak", bmffBox("mdia", bmffBox("minf", bmffBox("stbl", bmffBox("stsd", make([]byte, 4))))))), good)},
		{"short sample entry", "stsd/encv", "at least 86 bytes, seen size 28", cat(protectedTrack(0, bmffBox("encv", make([]byte, 20))), good)},
		{"short tenc", "sinf/schi/tenc", "a complete tenc box",
			cat(protectedTrack(0, bmffBox("encv", make([]byte, 78), bmffBox("sinf", schm, bmffBox("schi", bmffBox("tenc", make([]byte, 23)))))), good)},
		{"constant IV beyond tenc", "sinf/schi/tenc", "a complete tenc box", cat(protectedTrack(0, bmffBox("encv", make([]byte, 78),
			bmffBox("sinf", schm, bmffBox("schi", bmffBox("tenc", []byte{1, 0, 0, 0, 0, 0, 1, 0}, make([]byte, 16), []byte{255}))))), good)},
		{"short schm", "sinf/schm", "a complete schm box",
			cat(protectedTrack(0, bmffBox("encv", make([]byte, 78), bmffBox("sinf", bmffBox("schm", make([]byte, 6))))), good)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			content, err := pssh.Find("x", c.in)
			if err != nil || len(content.Found) != 1 || !bytes.Equal(content.Found[0].Box.Raw, s1) || len(content.Problems) != 1 {
				t.Fatalf("%d boxes, problems %v, error %v; want a problem beside the box", len(content.Found), content.Problems, err)
			}
			e := errorOf(t, content.Problems[0])
			if !strings.HasSuffix(e.Where, c.where) || !strings.Contains(e.Error(), c.text) || e.Hint == "" {
				t.Errorf("problem %v, hint %q; want … %s: … %s …", e, e.Hint, c.where, c.text)
			}
		})
	}
	_, err := pssh.Find("x", bmffBox("moov", put(s4, 28, 1<<20)))
	if e := errorOf(t, err); e.Where != "moov/pssh[1]" || errors.Is(err, drm.ErrNoBox) {
		t.Errorf("only a broken box: %v", err)
	}
}

func TestBMFFOdd(t *testing.T) {
	t.Parallel()
	s1 := sampleBox(t, "S1")
	wideMoov := wideBox("moov", cat(s1, withVersion(s1, 2)))
	content, err := pssh.Find("x", cat(bmffBox("styp", []byte("msdh")), s1, wideMoov, put(bmffBox("moof", s1), 0, 0)))
	if err != nil || len(content.Problems) != 0 {
		t.Fatal(content.Problems, err)
	}
	if got := paths(content); got != "pssh[1]@12 moov/pssh[1]@78 moof[1]/pssh[1]@186" {
		t.Errorf("boxes at %s", got)
	}
	notes := fmt.Sprint(content.Notes)
	if !strings.Contains(notes, "outside of moov and moof") || !strings.Contains(notes, "moov/pssh[2] at byte 128: box skipped: version 2") {
		t.Errorf("notes %s", notes)
	}
}

// wideBox returns a box with a 64-bit size.
func wideBox(kind string, body []byte) []byte {
	b := cat([]byte{0, 0, 0, 1}, []byte(kind))
	return append(binary.BigEndian.AppendUint64(b, uint64(len(body)+16)), body...)
}
