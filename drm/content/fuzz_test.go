package content_test

import (
	"bytes"
	"testing"

	"keyflow/drm/content"
	"keyflow/drm/secret"
)

// short returns the segment with all but the first bytes of its media data gone: enough structure for a fuzzer, few bytes
// of noise.
func short(segment []byte) []byte {
	i := bytes.Index(segment, []byte("mdat"))
	return segment[:min(len(segment), i+4+512)]
}

// FuzzDecrypt decrypts arbitrary segments under arbitrary init segments: no crash, no memory for counts that are not there,
// and samples only out of the segment.
func FuzzDecrypt(f *testing.F) {
	for _, asset := range embedded() {
		for _, x := range tracksOf(f, asset) {
			f.Add(x.init, short(x.segments[0]))
			f.Add(x.init, x.segments[0][:300])
		}
	}
	f.Add(cbcs(f, "sd-init.mp4"), short(cbcs(f, "sd-1.m4s")))
	audio := cbcs(f, "audio-init.mp4")
	f.Add(audio, cbcs(f, "audio-1.m4s"))
	f.Add(audio[:600], []byte("\x00\x00\x00\x00moof\x00\x00\x00\x01"))
	key := secret.New([]byte("0123456789abcdef"))
	f.Fuzz(func(t *testing.T, init, segment []byte) {
		d, err := content.Decrypt(init, segment, keyOf(key))
		if err != nil {
			return
		}
		if len(d.Init) != len(init) || len(d.Segment) != len(segment) {
			t.Errorf("layout changed: %d and %d bytes, from %d and %d", len(d.Init), len(d.Segment), len(init), len(segment))
		}
		total := 0
		for _, s := range d.Samples {
			if s.Encrypted > len(s.Data) {
				t.Errorf("%d of %d bytes were encrypted", s.Encrypted, len(s.Data))
			}
			total += len(s.Data)
		}
		if total > len(segment) {
			t.Errorf("%d bytes of samples in %d bytes", total, len(segment))
		}
	})
}
