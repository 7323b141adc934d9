package suites

import (
	"slices"
	"testing"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/pssh"
	"keyflow/fixtures"
)

var asked = []drm.KID{{0: 1, 15: 1}, {0: 2, 15: 2}, {0: 3, 15: 3}}

func playReadyBox(t *testing.T, version, url string, kids ...drm.KID) drm.Box {
	t.Helper()
	h := pssh.WRMHeader{Version: version, LAURL: url}
	for _, k := range kids {
		h.KIDs = append(h.KIDs, pssh.HeaderKID{KID: k, Algorithm: pssh.AlgorithmAESCTR})
	}
	box, err := pssh.PlayReadyBox(h)
	if err != nil {
		t.Fatal(err)
	}
	return box
}

func content3(boxes ...drm.Box) *Asset {
	a := &Asset{Name: "a", Boxes: boxes}
	for _, k := range asked {
		a.Tracks = append(a.Tracks, fixtures.Track{KID: k})
	}
	return a
}

// TestAsks: PlayReady headers of version 4.0 name one KID each, so that content with several keys takes several sessions, each
// with the box that names its KID; what the MPD says goes before what the init segments say (sheet playready.md §1).
func TestAsks(t *testing.T) {
	t.Parallel()
	mpd, init := "https://mpd.example/", "https://init.example/"
	one := playReadyBox(t, pssh.Header40, mpd, asked[0])
	two, twoInit := playReadyBox(t, pssh.Header40, mpd, asked[1]), playReadyBox(t, pssh.Header40, init, asked[1])
	three := playReadyBox(t, pssh.Header40, init, asked[2])
	all := playReadyBox(t, pssh.Header42, mpd, asked...)
	widevine := drm.Box{SystemID: pssh.WidevineSystemID, Data: pssh.Synthesize(asked)}
	for name, c := range map[string]struct {
		system drm.System
		boxes  []drm.Box
		want   []drm.Box // of the sessions
		kids   []int     // how many each session needs
	}{
		"one box each":    {drm.PlayReady, []drm.Box{widevine, one, two, twoInit, three}, []drm.Box{one, two, three}, []int{1, 1, 1}},
		"one box for all": {drm.PlayReady, []drm.Box{all, one, two, three}, []drm.Box{all}, []int{3}},
		"all behind one":  {drm.PlayReady, []drm.Box{one, all}, []drm.Box{one, all}, []int{1, 2}},
		"a KID in no box": {drm.PlayReady, []drm.Box{one, two}, []drm.Box{one, two}, []int{1, 1}},
		"Widevine":        {drm.Widevine, []drm.Box{one, widevine, widevine}, []drm.Box{widevine}, []int{3}},
		"two Widevine":    {drm.Widevine, []drm.Box{{SystemID: pssh.WidevineSystemID, Data: pssh.Synthesize(asked[:1])}, widevine}, []drm.Box{{SystemID: pssh.WidevineSystemID, Data: pssh.Synthesize(asked[:1])}, widevine}, []int{1, 2}},
	} {
		target := &Target{Profile: &provider.Profile{DRM: c.system}, Asset: content3(c.boxes...)}
		asks, err := target.Asks()
		if err != nil {
			t.Fatal(err)
		}
		var boxes [][]byte
		var kids []int
		for _, a := range asks {
			boxes, kids = append(boxes, a.Box.Data), append(kids, len(a.Need.KIDs))
		}
		var want [][]byte
		for _, b := range c.want {
			want = append(want, b.Data)
		}
		if !slices.EqualFunc(boxes, want, slices.Equal[[]byte]) || !slices.Equal(kids, c.kids) {
			t.Errorf("%s: %d sessions for %v KIDs", name, len(asks), kids)
		}
	}
	for name, boxes := range map[string][]drm.Box{
		"no box": {widevine}, "a box that cannot be read": {{SystemID: pssh.PlayReadySystemID, Data: []byte("no object")}},
	} {
		if asks, err := (&Target{Profile: &provider.Profile{DRM: drm.PlayReady}, Asset: content3(boxes...)}).Asks(); err == nil {
			t.Errorf("%s: %d sessions", name, len(asks))
		}
	}
}
