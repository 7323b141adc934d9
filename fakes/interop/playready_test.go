//go:build interop

package interop_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/xmr"
	"keyflow/drm/secret"
	"keyflow/fakes"
	"keyflow/fixtures"
)

const clientTimeout = 2 * time.Minute

// TestPlayReadyPolicies lets the independent client of playready.mjs ask a fake whose licenses say more than those of keyflow
// fake: it must find the same keys in them. KEYFLOW_INTEROP is the folder with the script and its package.
func TestPlayReadyPolicies(t *testing.T) {
	folder := os.Getenv("KEYFLOW_INTEROP")
	if folder == "" {
		t.Fatal("KEYFLOW_INTEROP is not set: run this test by make interop")
	}
	output := &xmr.OutputProtection{CompressedVideo: 500, UncompressedVideo: 270, AnalogVideo: 200, CompressedAudio: 300, UncompressedAudio: 300}
	for name, grant := range map[string]fakes.PlayReadyTrack{
		"in memory, every limit":  {SecurityLevel: 3000, Duration: time.Hour, FirstPlay: time.Minute, Output: output},
		"persistent, every limit": {SecurityLevel: 3000, Persistent: true, Duration: time.Hour, FirstPlay: time.Minute, Output: output},
		"persistent, no limit":    {SecurityLevel: 150, Persistent: true},
	} {
		t.Run(name, func(t *testing.T) {
			export := filepath.Join(t.TempDir(), "export")
			if err := startPlayReady(t, grant).Export(export); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), clientTimeout)
			defer cancel()
			out, err := exec.CommandContext(ctx, "node", filepath.Join(folder, "playready.mjs"), export, "../../fixtures/assets").CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			t.Logf("ok    PlayReady licenses %s: %s", name, lines[len(lines)-1])
		})
	}
}

// startPlayReady starts a fake that grants every key of the embedded assets in the same way.
func startPlayReady(t *testing.T, grant fakes.PlayReadyTrack) *fakes.Server {
	assets, err := fixtures.Assets()
	if err != nil {
		t.Fatal(err)
	}
	o := fakes.Options{Keys: map[drm.KID]secret.Bytes{}, Tracks: map[drm.KID]fakes.Track{}, Policy: &drm.Policy{}}
	for _, a := range assets {
		for _, track := range a.Tracks {
			if track.Protected {
				o.Keys[track.KID] = track.Key
				o.Tracks[track.KID] = fakes.Track{PlayReady: grant}
			}
		}
	}
	s, err := fakes.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}
