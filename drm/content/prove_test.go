package content_test

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/content"
	"keyflow/drm/secret"
	"keyflow/fixtures"
)

// track is a track of an embedded asset with its media read.
type track struct {
	fixtures.Track
	init     []byte
	segments [][]byte
}

// embedded are the names of the embedded assets.
func embedded() []string { return []string{"cbcs-3key", "cenc-1key", "cenc-3key", "cenc-segmentbase"} }

// tracks returns the tracks of the embedded asset that most tests use by label.
func tracks(t testing.TB) map[string]track {
	t.Helper()
	return tracksOf(t, "cenc-3key")
}

// tracksOf returns the tracks of an embedded asset by label.
func tracksOf(t testing.TB, asset string) map[string]track {
	t.Helper()
	a, err := fixtures.Open(asset)
	if err != nil {
		t.Fatal(err)
	}
	read := func(p fixtures.Part) []byte {
		b, err := a.Read(p)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	byLabel := map[string]track{}
	for _, tr := range a.Tracks {
		x := track{Track: tr, init: read(tr.Init)}
		for _, s := range tr.Segments {
			x.segments = append(x.segments, read(s.Part))
		}
		byLabel[tr.Label] = x
	}
	return byLabel
}

// media returns the track's segment i, without its hash unless hashed is set.
func (x track) media(i int, hashed bool) content.Media {
	m := content.Media{Track: x.Label, Init: x.init, Segment: x.segments[i]}
	if hashed {
		m.Hash = x.Segments[i].Hash
	}
	return m
}

// license returns a license with one content key.
func license(kid drm.KID, key secret.Bytes) []drm.License {
	return []drm.License{{Keys: []drm.ContentKey{{KID: kid, Key: key}}}}
}

// oneBitOff returns the key with its last bit flipped.
func oneBitOff(key secret.Bytes) secret.Bytes {
	b := append([]byte(nil), key.Reveal()...)
	b[len(b)-1] ^= 1
	return secret.New(b)
}

func needFFmpeg(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is not installed: decoding of video is not tested")
	}
}

// TestProve proves every segment of every track with its key by every method, and none with any other key.
func TestProve(t *testing.T) {
	t.Parallel()
	all := map[string]map[string]track{}
	for _, name := range embedded() {
		all[name] = tracksOf(t, name)
	}
	wrong := secret.New([]byte("no key of theirs"))
	for _, c := range []struct {
		asset, label      string
		otherAsset, other string // the track whose key is taken for this one's
		method            content.Method
	}{
		{"cbcs-3key", "SD", "cbcs-3key", "HD", content.ByHash},
		{"cbcs-3key", "HD", "cbcs-3key", "AUDIO", content.ByHash},
		{"cbcs-3key", "AUDIO", "cbcs-3key", "SD", content.ByHash},
		{"cbcs-3key", "SD", "cbcs-3key", "HD", content.ByFFmpeg},
		{"cbcs-3key", "HD", "cbcs-3key", "AUDIO", content.ByFFmpeg},
		{"cbcs-3key", "AUDIO", "cbcs-3key", "SD", content.ByAAC},
		{"cenc-1key", "SD", "cenc-3key", "SD", content.ByHash},
		{"cenc-1key", "HD", "cenc-3key", "HD", content.ByHash},
		{"cenc-1key", "AUDIO", "cenc-3key", "AUDIO", content.ByHash},
		{"cenc-1key", "SD", "cenc-3key", "SD", content.ByFFmpeg},
		{"cenc-1key", "HD", "cenc-3key", "HD", content.ByFFmpeg},
		{"cenc-1key", "AUDIO", "cenc-3key", "AUDIO", content.ByAAC},
		{"cenc-3key", "SD", "cenc-3key", "HD", content.ByHash},
		{"cenc-3key", "HD", "cenc-3key", "AUDIO", content.ByHash},
		{"cenc-3key", "AUDIO", "cenc-3key", "SD", content.ByHash},
		{"cenc-3key", "SD", "cenc-3key", "HD", content.ByFFmpeg},
		{"cenc-3key", "HD", "cenc-3key", "AUDIO", content.ByFFmpeg},
		{"cenc-3key", "AUDIO", "cenc-3key", "SD", content.ByAAC},
		{"cenc-segmentbase", "SD", "cenc-segmentbase", "AUDIO", content.ByHash},
		{"cenc-segmentbase", "HD", "cenc-segmentbase", "AUDIO", content.ByHash},
		{"cenc-segmentbase", "AUDIO", "cenc-segmentbase", "HD", content.ByHash},
		{"cenc-segmentbase", "SD", "cenc-segmentbase", "AUDIO", content.ByFFmpeg},
		{"cenc-segmentbase", "HD", "cenc-segmentbase", "AUDIO", content.ByFFmpeg},
		{"cenc-segmentbase", "AUDIO", "cenc-segmentbase", "HD", content.ByAAC},
	} {
		t.Run(c.asset+" "+c.label+" by "+string(c.method), func(t *testing.T) {
			t.Parallel()
			if c.method == content.ByFFmpeg {
				needFFmpeg(t)
			}
			x := all[c.asset][c.label]
			keys := map[string]secret.Bytes{
				"right": x.Key, "wrong": wrong, "swapped": all[c.otherAsset][c.other].Key, "one bit off": oneBitOff(x.Key),
			}
			for name, key := range keys {
				for i := range x.segments {
					p, err := content.Prove(t.Context(), x.media(i, c.method == content.ByHash), license(x.KID, key))
					if err != nil {
						t.Fatalf("segment %d, key %s: %v", i, name, err)
					}
					want := content.Disproved
					if name == "right" {
						want = content.Proved
					}
					if p.Outcome != want || p.Method != c.method {
						t.Errorf("segment %d, key %s: %+v, want %s by %s", i, name, p, want, c.method)
					}
					if p.Track != c.label || p.Samples != x.Segments[i].Samples || len(p.KIDs) != 1 || p.KIDs[0] != x.KID {
						t.Errorf("segment %d, key %s: %+v is not about the segment", i, name, p)
					}
					if p.Expected == "" || p.Seen == "" || (p.Hint == "") != (want == content.Proved) {
						t.Errorf("segment %d, key %s: expected, seen or hint is missing: %+v", i, name, p)
					}
				}
			}
		})
	}
}

// TestProveWithoutFFmpeg hides ffmpeg: video is then neither proved nor disproved, whatever the key.
func TestProveWithoutFFmpeg(t *testing.T) {
	t.Parallel()
	x := tracks(t)["SD"]
	hidden := content.Prover{LookPath: func(string) (string, error) { return "", exec.ErrNotFound }}
	for name, key := range map[string]secret.Bytes{"right": x.Key, "one bit off": oneBitOff(x.Key)} {
		p, err := hidden.Prove(t.Context(), x.media(0, false), license(x.KID, key))
		if err != nil || p.Outcome != content.Unverifiable || p.Method != "" || !strings.Contains(p.Hint, "install ffmpeg") {
			t.Errorf("key %s: %+v, %v", name, p, err)
		}
	}
	if p, err := hidden.Prove(t.Context(), x.media(0, true), license(x.KID, x.Key)); err != nil || p.Outcome != content.Proved {
		t.Errorf("with the hash: %+v, %v", p, err)
	}
}

// TestProveKeys gives licenses whose keys cannot be used at all.
func TestProveKeys(t *testing.T) {
	t.Parallel()
	all := tracks(t)
	x := all["AUDIO"]
	twice := append(license(x.KID, x.Key), license(x.KID, all["SD"].Key)...)
	for name, c := range map[string]struct {
		licenses []drm.License
		want     content.Outcome
		seen     string
	}{
		"no license":           {nil, content.NoKey, "no content key"},
		"license without keys": {[]drm.License{{}}, content.NoKey, "no content key"},
		"another KID":          {license(all["SD"].KID, x.Key), content.NoKey, "no content key"},
		"short key":            {license(x.KID, secret.New([]byte("15 bytes of key"))), content.Disproved, "15 bytes"},
		"empty key":            {license(x.KID, secret.Bytes{}), content.Disproved, "0 bytes"},
		"two keys for the KID": {twice, content.Disproved, "different keys"},
		"the same key twice":   {append(license(x.KID, x.Key), license(x.KID, x.Key)...), content.Proved, x.Segments[0].Hash},
		"among others":         {append(license(all["SD"].KID, all["SD"].Key), license(x.KID, x.Key)...), content.Proved, x.Segments[0].Hash},
	} {
		p, err := content.Prove(t.Context(), x.media(0, true), c.licenses)
		if err != nil || p.Outcome != c.want || !strings.Contains(p.Seen, c.seen) || len(p.KIDs) != 1 || p.KIDs[0] != x.KID {
			t.Errorf("%s: %+v, %v; want %s, %q seen", name, p, err, c.want, c.seen)
		}
	}
}

// TestProveClear gives media that no key was needed for: it looks like media and proves nothing.
func TestProveClear(t *testing.T) {
	t.Parallel()
	for label, x := range tracks(t) {
		d, err := content.Decrypt(x.init, x.segments[0], keyOf(x.Key))
		if err != nil {
			t.Fatal(err)
		}
		m := content.Media{Track: label, Init: d.Init, Segment: d.Segment, Hash: x.Segments[0].Hash}
		p, err := content.Prove(t.Context(), m, license(x.KID, x.Key))
		if err != nil || p.Outcome != content.Unverifiable || p.Seen != "all samples in the clear" {
			t.Errorf("%s: %+v, %v", label, p, err)
		}
	}
}

// keyOf returns the key for every KID.
func keyOf(key secret.Bytes) content.Keys {
	return func(drm.KID) (secret.Bytes, bool) { return key, true }
}

func TestProveObeysContext(t *testing.T) {
	t.Parallel()
	x := tracks(t)["HD"]
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := content.Prove(ctx, x.media(0, true), license(x.KID, x.Key)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestProveBadMedia gives segments that are no media at all: an error that says so, not a word on the key.
func TestProveBadMedia(t *testing.T) {
	t.Parallel()
	all := tracks(t)
	x := all["SD"]
	seg := x.segments[0]
	d, err := content.Decrypt(x.init, seg, keyOf(x.Key))
	if err != nil {
		t.Fatal(err)
	}
	rename := func(data []byte, from, to string) []byte {
		return []byte(strings.Replace(string(data), from, to, 1))
	}
	for name, c := range map[string]struct {
		init, segment []byte
		want          string
	}{
		"empty segment":      {x.init, nil, "decrypt media segment: is empty"},
		"empty init":         {nil, seg, "read init segment: is empty"},
		"web page":           {x.init, []byte("<html><body>404 not found</body></html>"), `decrypt media segment: box "l><b" at offset 0`},
		"init is a web page": {[]byte("<html><body>404 not found</body></html>"), seg, "read init segment"},
		"truncated":          {x.init, seg[:len(seg)-1], "bytes are left"},
		"cut in the moof":    {x.init, seg[:200], "bytes are left"},
		"init as segment":    {x.init, x.init, "no sample"},
		"segment as init":    {seg, seg, "0 moov boxes, want 1"},
		"truncated init":     {x.init[:len(x.init)-1], seg, "bytes are left"},
		"init without tenc":  {rename(x.init, "tenc", "xxxx"), seg, "has no tenc box"},
		"no senc":            {x.init, rename(seg, "senc", "xxxx"), "no senc box"},
		"no mdat":            {x.init, rename(seg, "mdat", "xxxx"), "is not in the media data"},
		"clear init":         {d.Init, seg, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := content.Prove(t.Context(), content.Media{Track: "SD", Init: c.init, Segment: c.segment, Hash: x.Segments[0].Hash}, license(x.KID, x.Key))
			if c.want == "" {
				if err != nil || p.Outcome == content.Proved {
					t.Errorf("%+v, %v", p, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "prove track SD") {
				t.Errorf("error %v, want %q in it", err, c.want)
			}
		})
	}
}

// TestProveTimeout runs a decoder that never ends.
func TestProveTimeout(t *testing.T) {
	t.Parallel()
	x := tracks(t)["SD"]
	p := content.Prover{LookPath: hanging(t), Timeout: 200 * time.Millisecond}
	proof, err := p.Prove(t.Context(), x.media(0, false), license(x.KID, x.Key))
	if err != nil || proof.Outcome != content.Unverifiable || !strings.Contains(proof.Seen, "did not end within 200ms") {
		t.Errorf("timeout: %+v, %v", proof, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := (content.Prover{LookPath: hanging(t)}).Prove(ctx, x.media(0, false), license(x.KID, x.Key)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("context: %v", err)
	}
}
