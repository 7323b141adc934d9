//go:build interop

// Package interop_test compares what keyflow decrypts with what ffmpeg decrypts on its own.
package interop_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/content"
	"keyflow/drm/secret"
	"keyflow/fixtures"
)

const decodeTimeout = time.Minute

// TestFFmpegAgrees lets ffmpeg decrypt and decode every track of the embedded assets, and decode what keyflow decrypted: frame
// by frame both must be the same. With another key they must not.
func TestFFmpegAgrees(t *testing.T) {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Fatal("ffmpeg is missing: install it, for example with apt-get install ffmpeg")
	}
	assets, err := fixtures.Assets()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range assets {
		for _, track := range a.Tracks {
			if track.Protected {
				t.Run(a.Name+"/"+track.Label, func(t *testing.T) { compare(t, a, track) })
			}
		}
	}
}

// compare goes segment by segment, each behind the init segment: ffmpeg 5.1 loses count of the encryption's samples where a
// file has several fragments. Each begins with a random access point.
func compare(t *testing.T, a fixtures.Asset, track fixtures.Track) {
	init, err := a.Read(track.Init)
	if err != nil {
		t.Fatal(err)
	}
	wrong := bytes.Clone(track.Key.Reveal())
	wrong[0] ^= 1
	total := 0
	for i, s := range track.Segments {
		segment, err := a.Read(s.Part)
		if err != nil {
			t.Fatal(err)
		}
		d, err := content.Decrypt(init, segment, func(kid drm.KID) (secret.Bytes, bool) { return track.Key, kid == track.KID })
		if err != nil {
			t.Fatal(err)
		}
		encrypted := slices.Concat(init, segment)
		want, err := frames(t, encrypted, track.Key)
		if err != nil {
			t.Fatalf("segment %d: ffmpeg decrypts: %v", i+1, err)
		}
		got, err := frames(t, slices.Concat(d.Init, d.Segment), secret.Bytes{})
		if err != nil {
			t.Fatalf("segment %d: ffmpeg decodes what keyflow decrypted: %v", i+1, err)
		}
		if len(want) == 0 || !slices.Equal(got, want) {
			t.Fatalf("segment %d: %d frames of what keyflow decrypted, %d of what ffmpeg decrypted, or they differ", i+1, len(got), len(want))
		}
		if other, err := frames(t, encrypted, secret.New(wrong)); err == nil && slices.Equal(other, want) {
			t.Errorf("segment %d: ffmpeg gets the same frames with another key: the comparison proves nothing", i+1)
		}
		total += len(want)
	}
	if total == 0 {
		t.Fatal("no frame was compared")
	}
	t.Logf("ok    %s, %s %s (%s): %d frames as ffmpeg decrypts them", a.Name, track.Type, track.Label, track.Scheme, total)
}

// frameHash matches the hash at the end of a line of ffmpeg's framemd5.
var frameHash = regexp.MustCompile(`(?m)^\d.*\b([0-9a-f]{32})\s*$`)

// frames decodes media with ffmpeg, which decrypts them if there is a key, and returns the hash of each frame. ffmpeg takes a
// key as an argument and in no other way; these are test keys. Its messages are not returned: they repeat the arguments.
func frames(t *testing.T, media []byte, key secret.Bytes) ([]string, error) {
	file := filepath.Join(t.TempDir(), "media.mp4")
	if err := os.WriteFile(file, media, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), decodeTimeout)
	defer cancel()
	args := []string{"-nostdin", "-v", "error", "-xerror"}
	if !key.IsZero() {
		args = append(args, "-decryption_key", hex.EncodeToString(key.Reveal()))
	}
	c := exec.CommandContext(ctx, "ffmpeg", append(args, "-i", file, "-map", "0:0", "-f", "framemd5", "-")...)
	var out bytes.Buffer
	c.Stdout = &out
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("ffmpeg ended with %s", strings.TrimSpace(err.Error()))
	}
	var hashes []string
	for _, m := range frameHash.FindAllStringSubmatch(out.String(), -1) {
		hashes = append(hashes, m[1])
	}
	return hashes, nil
}
