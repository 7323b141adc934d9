package content_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Eyevinn/mp4ff/bits"
	"github.com/Eyevinn/mp4ff/mp4"

	"keyflow/drm"
	"keyflow/drm/content"
	"keyflow/drm/secret"
)

func hashOf(d *content.Decrypted) string {
	var samples [][]byte
	for _, s := range d.Samples {
		samples = append(samples, s.Data)
	}
	return content.HashSamples(samples)
}

// TestDecrypt compares every decrypted segment with the packager's own clear samples, and what comes out with what the box
// library finds in it.
func TestDecrypt(t *testing.T) {
	t.Parallel()
	for _, asset := range embedded() {
		for label, x := range tracksOf(t, asset) {
			t.Run(asset+" "+label, func(t *testing.T) {
				t.Parallel()
				for i, seg := range x.segments {
					before := bytes.Clone(seg)
					d, err := content.Decrypt(x.init, seg, keyOf(x.Key))
					if err != nil {
						t.Fatal(err)
					}
					if got := hashOf(d); got != x.Segments[i].Hash || len(d.Samples) != x.Segments[i].Samples {
						t.Errorf("segment %d: %d samples with hash %s, want %d, %s", i, len(d.Samples), got, x.Segments[i].Samples, x.Segments[i].Hash)
					}
					if !bytes.Equal(before, seg) {
						t.Errorf("segment %d: the input was changed", i)
					}
					if len(d.KIDs) != 1 || d.KIDs[0] != x.KID || d.Entry.KID != x.KID || d.Entry.Scheme != x.Scheme || !d.Samples[0].Sync {
						t.Errorf("segment %d: KIDs %s, entry %+v", i, drm.JoinKIDs(d.KIDs), d.Entry)
					}
					checkPlayable(t, label, d)
				}
			})
		}
	}
}

// checkPlayable reads the cleared segments with the box library alone.
func checkPlayable(t *testing.T, label string, d *content.Decrypted) {
	t.Helper()
	f, err := mp4.DecodeFile(bytes.NewReader(append(bytes.Clone(d.Init), d.Segment...)))
	if err != nil {
		t.Fatalf("%s: %v", label, err)
	}
	entry := f.Init.Moov.Trak.Mdia.Minf.Stbl.Stsd.Children[0].Type()
	if entry != d.Entry.Format || strings.HasPrefix(entry, "enc") {
		t.Errorf("%s: sample entry %q, want %q", label, entry, d.Entry.Format)
	}
	for _, word := range []string{"pssh", "sinf", "senc", "saiz", "saio"} {
		if bytes.Contains(d.Init, []byte(word)) || bytes.Contains(d.Segment[:400], []byte(word)) {
			t.Errorf("%s: %s is still there", label, word)
		}
	}
	var samples [][]byte
	for _, s := range f.Segments {
		for _, fragment := range s.Fragments {
			full, err := fragment.GetFullSamples(f.Init.Moov.Mvex.Trex)
			if err != nil {
				t.Fatal(err)
			}
			for _, sample := range full {
				samples = append(samples, sample.Data)
			}
		}
	}
	if content.HashSamples(samples) != hashOf(d) {
		t.Errorf("%s: a player would find other samples", label)
	}
}

// cbcs reads a file of a cbcs twin of the asset cenc-3key with its KIDs, keys and samples (fixtures/assets/make.sh).
func cbcs(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "cbcs-5-5", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestDecryptCBCS decrypts what the packager encrypted with pattern 5:5 (video) and whole samples (audio), constant IV. The
// clear samples are those of the cenc asset.
func TestDecryptCBCS(t *testing.T) {
	t.Parallel()
	for label, x := range tracks(t) {
		file := strings.ToLower(label)
		if label == "HD" {
			continue // its twin is not kept: it has nothing that SD has not
		}
		init, seg := cbcs(t, file+"-init.mp4"), cbcs(t, file+"-1.m4s")
		d, err := content.Decrypt(init, seg, keyOf(x.Key))
		if err != nil {
			t.Fatal(err)
		}
		if got := hashOf(d); got != x.Segments[0].Hash || d.Entry.Scheme != drm.SchemeCBCS {
			t.Errorf("%s: scheme %s, hash %s, want %s", label, d.Entry.Scheme, got, x.Segments[0].Hash)
		}
		for name, key := range map[string]secret.Bytes{"right": x.Key, "one bit off": oneBitOff(x.Key)} {
			t.Run(label+", key "+name, func(t *testing.T) {
				if label == "SD" {
					needFFmpeg(t)
				}
				p, err := content.Prove(t.Context(), content.Media{Track: label, Init: init, Segment: seg}, license(x.KID, key))
				if err != nil || (p.Outcome == content.Proved) != (name == "right") || p.Outcome == content.Unverifiable {
					t.Errorf("%+v, %v", p, err)
				}
			})
		}
	}
}

func TestInspect(t *testing.T) {
	t.Parallel()
	formats := map[string]string{"SD": "avc1", "HD": "avc1", "AUDIO": "mp4a"}
	for _, asset := range embedded() {
		for label, x := range tracksOf(t, asset) {
			d, err := content.Inspect(x.init)
			if err != nil {
				t.Fatal(err)
			}
			e, ok := d.Protected()
			if !ok || e.KID != x.KID || e.Scheme != x.Scheme || e.Format != formats[label] || len(d.Entries) != 1 {
				t.Errorf("%s %s: %+v", asset, label, d)
			}
		}
	}
}

// TestUnsupported marks the segments as something that is sound but not supported: no proof, and no error either.
func TestUnsupported(t *testing.T) {
	t.Parallel()
	x := tracks(t)["AUDIO"]
	for _, scheme := range []string{"cens", "cbc1"} {
		init := bytes.Replace(x.init, []byte("schm\x00\x00\x00\x00cenc"), []byte("schm\x00\x00\x00\x00"+scheme), 1)
		if _, err := content.Decrypt(init, x.segments[0], keyOf(x.Key)); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), scheme) {
			t.Errorf("%s: %v", scheme, err)
		}
		p, err := content.Prove(t.Context(), content.Media{Init: init, Segment: x.segments[0], Hash: x.Segments[0].Hash}, license(x.KID, x.Key))
		if err != nil || p.Outcome != content.Unverifiable || p.Hint == "" {
			t.Errorf("%s: %+v, %v", scheme, p, err)
		}
	}
}

// group is a seig sample group to put into the fragment of a segment.
type group struct {
	kid         drm.KID
	isProtected byte
	ivSize      byte
	counts      []uint32 // sbgp: samples
	indices     []uint32 // sbgp: 65537 is the group, 0 none
}

// withGroup puts sbgp and sgpd boxes into the only fragment of a segment.
func withGroup(t *testing.T, segment []byte, g group) []byte {
	t.Helper()
	f, err := mp4.DecodeFileSR(bits.NewFixedSliceReader(segment))
	if err != nil {
		t.Fatal(err)
	}
	traf := f.Segments[0].Fragments[0].Moof.Traf
	seig := &mp4.SeigSampleGroupEntry{IsProtected: g.isProtected, PerSampleIVSize: g.ivSize, KID: g.kid[:]}
	return rewrite(t, f, func() error { return addGroup(traf, g, seig) })
}

func addGroup(traf *mp4.TrafBox, g group, seig *mp4.SeigSampleGroupEntry) error {
	boxes := []mp4.Box{
		&mp4.SbgpBox{GroupingType: "seig", SampleCounts: g.counts, GroupDescriptionIndices: g.indices},
		&mp4.SgpdBox{Version: 1, GroupingType: "seig", DefaultLength: uint32(seig.Size()), SampleGroupEntries: []mp4.SampleGroupEntry{seig}},
		&mp4.SbgpBox{GroupingType: "roll", SampleCounts: []uint32{1}, GroupDescriptionIndices: []uint32{1}},
	}
	for _, b := range boxes {
		if err := traf.AddChild(b); err != nil {
			return err
		}
	}
	return nil
}

// rewrite changes a decoded segment and returns its bytes.
func rewrite(t *testing.T, f *mp4.File, change func() error) []byte {
	t.Helper()
	if err := change(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, s := range f.Segments {
		if err := s.Encode(&out); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// TestSampleGroups overrides the KID of samples. What the group calls another KID is encrypted with the track's key all
// the same, so that only keys asked for by the right KID decrypt.
func TestSampleGroups(t *testing.T) {
	t.Parallel()
	x := tracks(t)["AUDIO"]
	n := uint32(x.Segments[0].Samples)
	rotated := drm.KID{0: 0xaa, 15: 0x01}
	only := func(want ...drm.KID) content.Keys {
		return func(kid drm.KID) (secret.Bytes, bool) {
			for _, w := range want {
				if w == kid {
					return x.Key, true
				}
			}
			return secret.Bytes{}, false
		}
	}
	all := group{kid: rotated, isProtected: 1, ivSize: 8, counts: []uint32{n}, indices: []uint32{65537}}
	some := all
	some.counts, some.indices = []uint32{n - 40, 30}, []uint32{0, 65537}
	clear := group{counts: []uint32{n}, indices: []uint32{65537}}
	mixed := clear
	mixed.counts = []uint32{2}
	other := all
	other.ivSize, other.counts = 16, []uint32{2}
	beyond := all
	beyond.indices = []uint32{65538}
	outside := all
	outside.indices = []uint32{1}
	many := all
	many.counts = []uint32{n + 1}

	t.Run("whole fragment", func(t *testing.T) {
		seg := withGroup(t, x.segments[0], all)
		d, err := content.Decrypt(x.init, seg, only(rotated))
		if err != nil || hashOf(d) != x.Segments[0].Hash || drm.JoinKIDs(d.KIDs) != rotated.String() {
			t.Fatalf("%v", err)
		}
		var keyErr *content.KeyError
		if _, err := content.Decrypt(x.init, seg, only(x.KID)); !errors.As(err, &keyErr) || keyErr.KID != rotated || !keyErr.Missing {
			t.Errorf("with the track's KID only: %v", err)
		}
	})
	t.Run("some samples", func(t *testing.T) {
		seg := withGroup(t, x.segments[0], some)
		d, err := content.Decrypt(x.init, seg, only(x.KID, rotated))
		if err != nil || hashOf(d) != x.Segments[0].Hash || len(d.KIDs) != 2 {
			t.Fatalf("%v", err)
		}
		keys := append(license(x.KID, x.Key), license(rotated, oneBitOff(x.Key))...)
		p, err := content.Prove(t.Context(), content.Media{Init: x.init, Segment: seg}, keys)
		if err != nil || p.Outcome != content.Disproved || len(p.KIDs) != 2 {
			t.Errorf("one of two keys wrong: %+v, %v", p, err)
		}
	})
	t.Run("in the clear", func(t *testing.T) {
		d, err := content.Decrypt(x.init, withGroup(t, x.segments[0], clear), only())
		if err != nil || len(d.KIDs) != 0 || d.Samples[0].Encrypted != 0 {
			t.Errorf("%v", err)
		}
	})
	for name, c := range map[string]struct {
		group       group
		want        string
		unsupported bool
	}{
		"clear and encrypted":   {mixed, "in one fragment", true},
		"IVs of different size": {other, "in one fragment", true},
		"group beyond the list": {beyond, "seig group 2 of 1", false},
		"group of the init":     {outside, "seig group 1 of 0", false},
		"too many samples":      {many, "groups more than", false},
	} {
		_, err := content.Decrypt(x.init, withGroup(t, x.segments[0], c.group), keyOf(x.Key))
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, errors.ErrUnsupported) != c.unsupported {
			t.Errorf("%s: %v, want %q in it", name, err, c.want)
		}
	}
}

// TestVideoEvidence gives ffmpeg too little to judge by, or a segment that it cannot judge: neither is proved, though the
// key is right.
func TestVideoEvidence(t *testing.T) {
	t.Parallel()
	needFFmpeg(t)
	x := tracks(t)["SD"]
	rotated := drm.KID{0: 0xaa}
	last := withGroup(t, x.segments[0], group{kid: rotated, isProtected: 1, ivSize: 8,
		counts: []uint32{uint32(x.Segments[0].Samples) - 2, 2}, indices: []uint32{0, 65537}})
	f, err := mp4.DecodeFileSR(bits.NewFixedSliceReader(x.segments[0]))
	if err != nil {
		t.Fatal(err)
	}
	middle := rewrite(t, f, func() error {
		trun := f.Segments[0].Fragments[0].Moof.Traf.Trun
		trun.SetFirstSampleFlags(0x00010000)
		trun.Samples[0].Flags |= 0x00010000
		return nil
	})
	for name, c := range map[string]struct {
		segment []byte
		seen    string
	}{
		"two frames with another KID": {last, "bytes of encrypted samples for KID " + rotated.String()},
		"no random access point":      {middle, "does not start with a random access point"},
	} {
		keys := append(license(x.KID, x.Key), license(rotated, x.Key)...)
		p, err := content.Prove(t.Context(), content.Media{Init: x.init, Segment: c.segment}, keys)
		if err != nil || p.Outcome != content.Unverifiable || !strings.Contains(p.Seen, c.seen) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

// patch returns a copy of data with the 32-bit number at offset behind the first occurrence of the box type replaced.
func patch(t *testing.T, data []byte, typ string, offset int, value uint32) []byte {
	t.Helper()
	out := bytes.Clone(data)
	i := bytes.Index(out, []byte(typ))
	if i < 0 {
		t.Fatalf("no %s box", typ)
	}
	binary.BigEndian.PutUint32(out[i+4+offset:], value)
	return out
}

// TestLyingBoxes gives counts, sizes and offsets that the bytes do not bear out.
func TestLyingBoxes(t *testing.T) {
	t.Parallel()
	x := tracks(t)["SD"]
	seg := x.segments[0]
	for name, c := range map[string]struct {
		segment []byte
		want    string
	}{
		"moof larger than the file": {patch(t, seg, "moof", -8, 0xfffffff0), "bytes are left"},
		"moof of 64-bit size":       {patch(t, seg, "moof", -8, 1), `"moof"`},
		"traf smaller than header":  {patch(t, seg, "traf", -8, 4), "less than its header"},
		"trun of 2^32-1 samples":    {patch(t, seg, "trun", 4, 0xffffffff), "4294967295 samples, at most"},
		"trun without fields":       {patch(t, patch(t, seg, "trun", 0, 0), "trun", 4, 1<<20), "trun"},
		"senc of 2^32-1 samples":    {patch(t, seg, "senc", 4, 0xffffffff), "4294967295 samples, at most"},
		"senc without subsamples":   {patch(t, patch(t, seg, "senc", 0, 0), "senc", 4, 1<<19), "524288 samples in"},
		"senc of fewer samples":     {patch(t, seg, "senc", 4, 3), "senc"},
		"senc of no samples":        {patch(t, seg, "senc", 4, 0), "senc is for 0 samples"},
		"subsample beyond sample":   {patch(t, seg, "senc", 8+8+2+2, 0x00ffffff), "subsamples exceed"},
		"data offset before file":   {patch(t, seg, "trun", 8, 0x80000000), "is not in the media data"},
		"data offset past the end":  {patch(t, seg, "trun", 8, 0x7fffffff), "is not in the media data"},
		"sample of 2 GiB":           {patch(t, seg, "trun", 12, 0x7fffffff), "is not in the media data"},
		"another track":             {patch(t, seg, "tfhd", 4, 9), "is of track 9"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := content.Decrypt(x.init, c.segment, keyOf(x.Key)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q in it", err, c.want)
			}
		})
	}
}

// TestHashSamples pins the form of the hash: the manifests depend on it.
func TestHashSamples(t *testing.T) {
	t.Parallel()
	// SHA-256 of 00000001 61 00000000 00000002 6263, by sha256sum.
	const want = "e7ab503819a08f424da9ba8421b745917f2f82f92b7e6a09ecce37d61289b827"
	got := content.HashSamples([][]byte{[]byte("a"), nil, []byte("bc")})
	if got != want {
		t.Errorf("hash %s, want %s", got, want)
	}
	if got == content.HashSamples([][]byte{[]byte("ab"), nil, []byte("c")}) {
		t.Error("a byte that moves between samples goes unnoticed")
	}
}
