package pssh_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/drm/pssh"
)

func TestParseText(t *testing.T) {
	t.Parallel()
	// P1 has + in standard base64 and is padded, S1 and S6 are so as well.
	p1, s6 := sampleBox(t, "P1"), sampleBox(t, "S6")
	std := base64.StdEncoding.EncodeToString(p1)
	upper := strings.ToUpper(hex.EncodeToString(p1))
	for _, c := range []struct{ name, in string }{
		{"standard", std},
		{"without padding", base64.RawStdEncoding.EncodeToString(p1)},
		{"URL alphabet", base64.URLEncoding.EncodeToString(p1)},
		{"URL alphabet without padding", base64.RawURLEncoding.EncodeToString(p1)},
		{"lines", " \t" + std[:20] + "\r\n  " + std[20:76] + "\n" + std[76:] + "\n"},
		{"hexadecimal", hex.EncodeToString(p1)},
		{"upper-case hexadecimal", upper},
		{"0x", "0x" + hex.EncodeToString(p1)},
		{"hexadecimal in groups", " 0X" + upper[:8] + " " + upper[8:16] + "\n" + upper[16:]},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			boxes, notes, err := pssh.ParseText(c.in, pssh.Strict)
			if err != nil || len(notes) != 0 || len(boxes) != 1 || !bytes.Equal(boxes[0].Raw, p1) {
				t.Errorf("ParseText = %v, notes %v, error %v; want the box", boxes, notes, err)
			}
		})
	}
	boxes, _, err := pssh.ParseText(std+base64.StdEncoding.EncodeToString(s6), pssh.Strict)
	if err != nil || len(boxes) != 2 || !bytes.Equal(boxes[1].Raw, s6) {
		t.Errorf("two padded texts: %d boxes, error %v", len(boxes), err)
	}
}

func TestParseTextMalformed(t *testing.T) {
	t.Parallel()
	p1 := sampleText(t, "P1")
	data := base64.StdEncoding.EncodeToString(sampleBox(t, "S1")[32:])
	contentID := base64.StdEncoding.EncodeToString(sampleBox(t, "S6")[32:])
	for _, c := range []struct{ name, in, text, hint string }{
		{"empty", "", "seen nothing", ""},
		{"white space", " \n", "seen nothing", ""},
		{"0x alone", "0x", "a box header of 8 bytes", "cut off"},
		{"odd hexadecimal digits", "000", "two hexadecimal digits for each byte, seen 3 digits", "cut off"},
		{"data URI", "data:text/plain;base64," + p1, `byte 4: expected base64 characters, seen ":"`, "data: prefix"},
		{"not ASCII", p1[:8] + "é", `byte 8: expected base64 characters, seen "\u00e9"`, "cenc:pssh"},
		{"one character too many", p1[:121], "whole base64 groups of four", "cut off"},
		{"cut", p1[:60], "pssh[1] at byte 0: expected 91 bytes", "cut off"},
		{"text", "hello", "whole base64 groups", "cut off"},
		{"bare Widevine data", data, "expected a pssh box, seen bare Widevine data for 1 KID", "give the whole box"},
		{"bare Widevine data with content id", contentID, `bare Widevine data for content id "asset-1"`, "give the whole box"},
		{"too long", strings.Repeat("A", pssh.MaxText+1), "at most 16777216 bytes", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			boxes, _, err := pssh.ParseText(c.in, pssh.Strict)
			e := errorOf(t, err)
			if len(boxes) != 0 || !strings.Contains(e.Error(), c.text) || !strings.Contains(e.Hint, c.hint) {
				t.Errorf("ParseText = %d boxes, %v, hint %q; want … %s …, … %s …", len(boxes), e, e.Hint, c.text, c.hint)
			}
		})
	}
}

func TestFindKinds(t *testing.T) {
	t.Parallel()
	s1 := sampleBox(t, "S1")
	two := cat(s1, withVersion(s1, 2), sampleBox(t, "W1"))
	for _, c := range []struct {
		name  string
		in    []byte
		kind  pssh.Kind
		paths string
	}{
		{"box", s1, pssh.KindBoxes, "pssh[1]@0"},
		{"64-bit box", wide(s1), pssh.KindBoxes, "pssh[1]@0"},
		{"boxes", two, pssh.KindBoxes, "pssh[1]@0 pssh[3]@100"},
		{"base64", []byte(" " + sampleText(t, "S1") + "\n"), pssh.KindText, "pssh[1]@0"},
		{"base64 behind a byte order mark", []byte("\ufeff" + sampleText(t, "S1")), pssh.KindText, "pssh[1]@0"},
		{"hexadecimal", []byte(hex.EncodeToString(two)), pssh.KindText, "pssh[1]@0 pssh[3]@100"},
		{"boxes and a broken one", cat(s1, s1[:40]), pssh.KindBoxes, "pssh[1]@0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			content, err := pssh.Find("in", c.in)
			if err != nil {
				t.Fatal(err)
			}
			if got := paths(content); content.Kind != c.kind || got != c.paths {
				t.Errorf("Find = %s with %s, want %s with %s", content.Kind, got, c.kind, c.paths)
			}
			if broken := c.name == "boxes and a broken one"; broken != (len(content.Problems) == 1) {
				t.Errorf("problems %v", content.Problems)
			}
		})
	}
}

func TestFindNothing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, text, hint string }{
		{"empty", "", "an empty input", "in full"},
		{"white space", "\n \n", "an empty input", "in full"},
		{"HLS", "#EXTM3U\n#EXT-X-VERSION:6\n", "an HLS playlist", "init segment"},
		{"UTF-16", "\xff\xfe<\x00M\x00P\x00D\x00", "a UTF-16 text", "UTF-8"},
		{"gzip", "\x1f\x8b\x08\x00\x00", "gzip data", "decompress"},
		{"JSON", `{"pssh": "AAAA"}`, `bytes that begin with "{\"pssh\": \"AAAA\"}"`, "DASH manifest"},
		{"bytes", "\x00\x01\x02\x03\x04\x05\x06\x07\x08", `"\x00\x01\x02`, "DASH manifest"},
		{"web page", "<!DOCTYPE html><html><body>Not found</body></html>", "an HTML page", "web page"},
		{"web page without DOCTYPE", "<html><body>Not found</body></html>", "an HTML page", "web page"},
		{"other XML", `<?xml version="1.0"?><SmoothStreamingMedia/>`, `element "SmoothStreamingMedia"`, "DASH manifest"},
		{"no element", `<?xml version="1.0"?><!-- none -->`, "no element", ""},
		{"UTF-8 is required", `<?xml version="1.0" encoding="UTF-16"?><MPD/>`, "UTF-16", ""},
		{"broken box", "\x00\x00\x00\x20pssh\x00", "seen 9 bytes", "cut off"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			content, err := pssh.Find("clip.mpd", []byte(c.in))
			e := errorOf(t, err)
			if !strings.Contains(e.Error(), c.text) || !strings.Contains(e.Hint, c.hint) || !strings.Contains(err.Error(), `"clip.mpd"`) {
				t.Errorf("Find: %v, hint %q; want … %s …, … %s …", err, e.Hint, c.text, c.hint)
			}
			if content == nil || len(content.Found) != 0 || errors.Is(err, drm.ErrNoBox) {
				t.Errorf("content %+v, error %v is ErrNoBox", content, err)
			}
		})
	}
}

// paths writes path and offset of every box found.
func paths(c *pssh.Content) string {
	var parts []string
	for _, f := range c.Found {
		parts = append(parts, f.Place.Path+"@"+itoa(f.Place.Offset))
	}
	return strings.Join(parts, " ")
}
