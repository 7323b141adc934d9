package content

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"keyflow/drm"
	"keyflow/drm/content/aac"
	"keyflow/drm/secret"
)

// Outcome is what a proof came to.
type Outcome string

// The outcomes. Only Proved says that the content key opens the content.
const (
	Proved       Outcome = "proved"
	Disproved    Outcome = "disproved"    // decryption with the license's key gives noise
	NoKey        Outcome = "no-key"       // the licenses hold no key for the samples' KID
	Unverifiable Outcome = "unverifiable" // nothing here can tell media from noise in this content
)

// Method is how a proof was made.
type Method string

// The methods; "" if it did not come to one.
const (
	ByHash   Method = "hash"   // the samples are those of the packager's clear output
	ByAAC    Method = "aac"    // every raw data block parses to its last bit
	ByFFmpeg Method = "ffmpeg" // ffmpeg decodes every frame without complaint
)

// Media is one media segment to decrypt and what is known of it.
type Media struct {
	Track         string // label, for messages
	Init, Segment []byte
	Hash          string // of the clear samples by [HashSamples], "" if unknown
}

// Proof is the word on one media segment.
type Proof struct {
	Track    string
	KIDs     []drm.KID // of the samples, in the order of their first use
	Outcome  Outcome
	Method   Method
	Samples  int // decrypted
	Expected string
	Seen     string
	Hint     string // what to look at, "" if proved
}

// Prover proves that decoded media is media. The zero value is ready for use.
type Prover struct {
	// LookPath finds ffmpeg; [exec.LookPath] if nil.
	LookPath func(file string) (string, error)
	// Timeout bounds one run of ffmpeg; 30 s if 0.
	Timeout time.Duration
}

// Prove is [Prover.Prove] of the zero Prover.
func Prove(ctx context.Context, m Media, licenses []drm.License) (Proof, error) {
	return Prover{}.Prove(ctx, m, licenses)
}

// Prove decrypts the segment with the content keys of the licenses and judges the result: by hash if the media has one,
// else AAC-LC by parsing every block to its end, video by decoding it with ffmpeg if that is installed. NAL unit lengths
// and slice headers are in the clear and prove nothing, so that they are not looked at.
//
// Give it a segment that starts with a random access point and does not need an earlier one, such as the first of a
// track: ffmpeg cannot tell a reference that is missing from a key that is wrong.
//
// An error is about the media (truncated, malformed, not MP4) or the context, never about the keys.
func (p Prover) Prove(ctx context.Context, m Media, licenses []drm.License) (Proof, error) {
	if err := ctx.Err(); err != nil {
		return Proof{}, err
	}
	proof := Proof{Track: m.Track}
	keys, conflict := keysOf(licenses)
	dec, err := Decrypt(m.Init, m.Segment, keys)
	var keyErr *KeyError
	switch {
	case errors.As(err, &keyErr):
		proof.noKey(keyErr)
		return proof, nil
	case errors.Is(err, errors.ErrUnsupported):
		proof.unverifiable("a segment that can be decrypted", err.Error(), "the content uses a form of encryption that keyflow does not read")
		return proof, nil
	case err != nil:
		return Proof{}, fmt.Errorf("prove track %s: %w", m.Track, err)
	}
	proof.KIDs, proof.Samples = dec.KIDs, len(dec.Samples)
	for _, kid := range dec.KIDs {
		if conflict[kid] {
			proof.disproved("", "one content key for KID "+kid.String(), "licenses with different keys for it",
				"the license server gave different keys for the same KID")
			return proof, nil
		}
	}
	if err := p.judge(ctx, &proof, m, dec); err != nil {
		return Proof{}, fmt.Errorf("prove track %s: %w", m.Track, err)
	}
	return proof, nil
}

func (p Prover) judge(ctx context.Context, proof *Proof, m Media, dec *Decrypted) error {
	switch {
	case len(dec.encrypted()) == 0:
		proof.unverifiable("encrypted samples", "all samples in the clear", "use a segment behind the clear lead")
	case m.Hash != "":
		proof.byHash(m.Hash, dec)
	case dec.Entry.Format == "mp4a" && dec.Entry.aacConfig != nil:
		return proof.byAAC(dec)
	case dec.Handler == "vide":
		return p.byFFmpeg(ctx, proof, dec)
	default:
		proof.unverifiable("AAC-LC audio or video, or a hash", fmt.Sprintf("a %s track of format %s", dec.Handler, dec.Entry.Format),
			"prove the key with another track")
	}
	return nil
}

// keysOf returns the content keys of the licenses and the KIDs that they disagree on.
func keysOf(licenses []drm.License) (Keys, map[drm.KID]bool) {
	keys, conflict := map[drm.KID]secret.Bytes{}, map[drm.KID]bool{}
	for _, l := range licenses {
		for _, k := range l.Keys {
			if old, ok := keys[k.KID]; ok && !old.Equal(k.Key) {
				conflict[k.KID] = true
			}
			keys[k.KID] = k.Key
		}
	}
	return func(kid drm.KID) (secret.Bytes, bool) {
		key, ok := keys[kid]
		return key, ok
	}, conflict
}

// encrypted returns the samples that prove something: those in the clear look well whatever the key.
func (d *Decrypted) encrypted() []Sample {
	var list []Sample
	for _, s := range d.Samples {
		if s.Encrypted > 0 {
			list = append(list, s)
		}
	}
	return list
}

const wrongKeyHint = "the license's content key is not the one that the content was encrypted with"

func (proof *Proof) noKey(e *KeyError) {
	proof.KIDs = []drm.KID{e.KID}
	proof.Expected = fmt.Sprintf("a content key of %d bytes for KID %s", KeySize, e.KID)
	if e.Missing {
		proof.Outcome, proof.Seen = NoKey, "no content key for it"
		proof.Hint = "the license does not cover this track: check the KIDs that were asked for and what the account may play"
		return
	}
	proof.Outcome, proof.Seen = Disproved, fmt.Sprintf("one of %d bytes", e.Size)
	proof.Hint = "the license's content key has the wrong length"
}

func (proof *Proof) unverifiable(expected, seen, hint string) {
	proof.Outcome, proof.Expected, proof.Seen, proof.Hint = Unverifiable, expected, seen, hint
}

func (proof *Proof) disproved(by Method, expected, seen, hint string) {
	proof.Outcome, proof.Method, proof.Expected, proof.Seen, proof.Hint = Disproved, by, expected, seen, hint
}

func (proof *Proof) proved(by Method, expected, seen string) {
	proof.Outcome, proof.Method, proof.Expected, proof.Seen = Proved, by, expected, seen
}

func (proof *Proof) byHash(want string, dec *Decrypted) {
	samples := make([][]byte, len(dec.Samples))
	for i, s := range dec.Samples {
		samples[i] = s.Data
	}
	expected, got := "SHA-256 of the clear samples "+want, HashSamples(samples)
	if !strings.EqualFold(got, want) {
		proof.disproved(ByHash, expected, got, wrongKeyHint)
		return
	}
	proof.proved(ByHash, expected, got)
}

// byAAC parses the encrypted blocks of each KID: a key is proved by its own blocks only.
func (proof *Proof) byAAC(dec *Decrypted) error {
	blocks := map[drm.KID][][]byte{}
	for _, s := range dec.encrypted() {
		blocks[s.KID] = append(blocks[s.KID], s.Data)
	}
	const expected = "AAC blocks that parse to their last bit"
	for _, kid := range dec.KIDs {
		err := aac.CheckBlocks(dec.Entry.aacConfig, blocks[kid])
		var syntax *aac.SyntaxError
		switch {
		case err == nil:
		case errors.As(err, &syntax):
			proof.disproved(ByAAC, expected, err.Error(), wrongKeyHint)
			return nil
		case errors.Is(err, errors.ErrUnsupported):
			proof.unverifiable(expected, err.Error(), "prove the key with another segment or track")
			return nil
		default:
			return err
		}
	}
	proof.proved(ByAAC, expected, fmt.Sprintf("%d blocks parsed", len(dec.encrypted())))
	return nil
}

// lookPath returns the path of ffmpeg.
func (p Prover) lookPath() (string, error) {
	if p.LookPath != nil {
		return p.LookPath("ffmpeg")
	}
	return exec.LookPath("ffmpeg")
}
