package fakes

import (
	"encoding/binary"
	"encoding/json"
	"net/http"
	"time"

	"keyflow/drm/playready/xmr"
)

// unknownOutput is what a license allows on outputs that the client doesn't know.
type unknownOutput byte

const (
	unknownOutputUnsaid unknownOutput = iota
	unknownOutputAllow
	unknownOutputDisallow
	unknownOutputSDOnly
)

// playReadyRights are those of a token for PlayReady alone.
type playReadyRights struct {
	persistent bool
	ends       time.Time     // of a rental, whole seconds; zero: bought
	plays      time.Duration // of a rental, from first play, whole seconds; 0: until its end
	output     xmr.OutputProtection
	unknown    unknownOutput
}

const playReadyRightsLen = 1 + 1 + 8 + 4 + 5*2 // as append has them, integers in big-endian order

// lastEnd is the last second that a license can end at: the one after it says that there is no end (sheet playready.md §9.2).
const lastEnd = 1<<32 - 2

func (p playReadyRights) append(b []byte) []byte {
	persistent, ends := byte(0), uint64(0)
	if p.persistent {
		persistent = 1
	}
	if !p.ends.IsZero() {
		ends = uint64(p.ends.Unix())
	}
	b = binary.BigEndian.AppendUint64(append(b, persistent, byte(p.unknown)), ends)
	b = binary.BigEndian.AppendUint32(b, uint32(p.plays/time.Second))
	for _, level := range levelsOf(&p.output) {
		b = binary.BigEndian.AppendUint16(b, *level)
	}
	return b
}

// read reports whether the bytes can be rights.
func (p *playReadyRights) read(b []byte) bool {
	persistent, ends := b[0], binary.BigEndian.Uint64(b[2:])
	p.persistent, p.unknown = persistent == 1, unknownOutput(b[1])
	if ends > 0 {
		p.ends = time.Unix(int64(min(ends, lastEnd)), 0)
	}
	p.plays = time.Duration(binary.BigEndian.Uint32(b[10:])) * time.Second
	valid := persistent <= 1 && p.unknown <= unknownOutputSDOnly && ends <= lastEnd
	for i, level := range levelsOf(&p.output) {
		*level = binary.BigEndian.Uint16(b[14+2*i:])
		valid = valid && *level <= maxOPL
	}
	return valid
}

// levelsOf returns the output protection levels in the order in which a token has them.
func levelsOf(o *xmr.OutputProtection) []*uint16 {
	return []*uint16{&o.AnalogVideo, &o.CompressedAudio, &o.CompressedVideo, &o.UncompressedAudio, &o.UncompressedVideo}
}

// licenseAndToken is the answer with a token for PlayReady. The document's table calls it a list of URLs as for Widevine, its
// sample is JSON (sheet providers.md §2.1).
func licenseAndToken(license, token string) (answer, *refusal) {
	body, err := json.Marshal(struct {
		License string `json:"licenseAcquisitionUrl"`
		Token   string `json:"token"`
	}{license, token})
	if err != nil {
		return answer{}, refuse(http.StatusInternalServerError, reasonInternal, "the answer could not be made")
	}
	return answer{status: http.StatusOK, contentType: "application/json", body: body}, nil
}
