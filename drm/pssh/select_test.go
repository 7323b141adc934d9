package pssh_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/drm/pssh"
)

// boxesOf returns the samples' boxes; "PR" is a PlayReady box with data, "PR0" one without.
func boxesOf(t *testing.T, ids string) []pssh.Box {
	t.Helper()
	var boxes []pssh.Box
	for id := range strings.FieldsSeq(ids) {
		switch id {
		case "PR":
			boxes = append(boxes, pssh.Box{SystemID: pssh.PlayReadySystemID, Data: []byte("pro"), Version: 1, KIDs: kidsOf(t, kidB)})
		case "PR0":
			boxes = append(boxes, pssh.Box{SystemID: pssh.PlayReadySystemID})
		default:
			parsed, _, err := pssh.Parse(sampleBox(t, id), pssh.Strict)
			if err != nil {
				t.Fatal(err)
			}
			boxes = append(boxes, parsed...)
		}
	}
	return boxes
}

func TestSelect(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, boxes string
		system      drm.System
		found       int    // index of the box that is returned as it is, -1 if none
		synthesised string // KID of the first in the synthesised box
	}{
		{"only one", "S1", drm.Widevine, 0, ""},
		{"first with data", "PR W1 S5 S4 S2 S1", drm.Widevine, 4, ""},
		{"data before KID list", "S4 P4", drm.Widevine, 1, ""},
		{"Widevine box with KIDs only", "S5 S4 W1", drm.Widevine, -1, kidA},
		{"common box", "S5 W1 S4", drm.Widevine, -1, "30313233-3435-3637-3839-303132333435"},
		{"PlayReady box with KIDs", "PR", drm.Widevine, -1, kidB},
		{"PlayReady", "S1 PR0 PR", drm.PlayReady, 2, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			boxes := boxesOf(t, c.boxes)
			box, err := pssh.Select(boxes, c.system)
			if err != nil {
				t.Fatal(err)
			}
			if c.found >= 0 {
				if want := boxes[c.found]; !bytes.Equal(box.Raw, want.Raw) || !bytes.Equal(box.Data, want.Data) || box.SystemID != want.SystemID {
					t.Errorf("Select = %+v, want %+v", box, want)
				}
				return
			}
			if box.SystemID != pssh.WidevineSystemID || box.Version != 1 || box.Raw != nil || box.KIDs[0].String() != c.synthesised {
				t.Errorf("Select = %+v, want a synthesised box for %s", box, c.synthesised)
			}
			d, err := pssh.ParseWidevineData(box.Data)
			if err != nil || differ(d, pssh.WidevineData{KeyIDs: box.KIDs}) != "" {
				t.Errorf("synthesised data %+v, error %v; want the KIDs alone", d, err)
			}
		})
	}
}

func TestSelectNone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		boxes  string
		system drm.System
		seen   string
	}{
		{"", drm.Widevine, "none at all"},
		{"S5 PR0", drm.Widevine, "boxes of Widevine (empty), PlayReady (empty)"},
		{"S1 W1 S1", drm.PlayReady, "boxes of Widevine, W3C common"},
	} {
		box, err := pssh.Select(boxesOf(t, c.boxes), c.system)
		if e := errorOf(t, err); !errors.Is(err, drm.ErrNoBox) || e.Seen != c.seen || e.Hint == "" || box.Data != nil {
			t.Errorf("Select(%s) = %+v, %v; want seen %s", c.boxes, box, err, c.seen)
		}
	}
	if _, err := pssh.Select(boxesOf(t, "S1"), "fairplay"); err == nil || !strings.Contains(err.Error(), `"fairplay" is not known`) {
		t.Errorf("unknown system: %v", err)
	}
	var many []pssh.Box
	for i := range byte(20) {
		many = append(many, pssh.Box{SystemID: drm.SystemID{i}, Data: []byte{1}})
	}
	_, err := pssh.Select(many, drm.Widevine)
	if e := errorOf(t, err); strings.Count(e.Seen, "system ") != 8 || !strings.HasSuffix(e.Seen, ", others") {
		t.Errorf("twenty systems: %s", e.Seen)
	}
}

func TestRequestData(t *testing.T) {
	t.Parallel()
	synthesised := slices.Concat([]byte{0x12, 0x10}, sampleBox(t, "S1")[34:50])
	for _, c := range []struct {
		box        string
		synthesize bool
		want       []byte
	}{
		{"S1", true, sampleBox(t, "S1")[32:]},
		{"S1", false, sampleBox(t, "S1")[32:]},
		{"P9", true, sampleBox(t, "P9")[52:]},
		{"S4", true, synthesised},
		{"S4", false, nil},
		{"S5", true, nil},
		{"PR", true, pssh.Synthesize(kidsOf(t, kidB))},
		{"PR", false, nil},
		{"PR0", true, nil},
	} {
		if got := pssh.RequestData(boxesOf(t, c.box)[0], c.synthesize); !bytes.Equal(got, c.want) || (got == nil) != (c.want == nil) {
			t.Errorf("RequestData(%s, %t) = %x, want %x", c.box, c.synthesize, got, c.want)
		}
	}
}

// TestKIDsOfBrokenData asks a box whose data is no protobuf, and one of another system whose data looks like Widevine's.
func TestKIDsOfBrokenData(t *testing.T) {
	t.Parallel()
	box := boxesOf(t, "S4")[0]
	box.Data = []byte{0xff}
	if got := pssh.KIDs(box); !slices.Equal(got, kidsOf(t, kidA)) {
		t.Errorf("KIDs = %v, want the list alone", got)
	}
	box = boxesOf(t, "S1")[0]
	box.SystemID = pssh.PlayReadySystemID
	if got := pssh.KIDs(box); got != nil {
		t.Errorf("KIDs of a PlayReady box = %v, want none", got)
	}
}
