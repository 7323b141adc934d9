package pssh_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/drm/pssh"
)

// TestObjectsRefused says what is wrong with an object, and at which byte.
func TestObjectsRefused(t *testing.T) {
	t.Parallel()
	two := pssh.PRO{Records: []pssh.Record{{Type: pssh.RecordEmbeddedStore, Value: []byte{1, 2, 3}}, {Type: pssh.RecordHeader, Value: utf16le("<a/>")}}}.Bytes()
	put := func(at int, b byte) []byte {
		c := bytes.Clone(two)
		c[at] = b
		return c
	}
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"nothing":         {nil, "PRO at byte 0: expected at least 6 bytes, seen 0 bytes"},
		"length":          {put(0, 26), "PRO at byte 0: expected length 25, seen length 26"},
		"trailing byte":   {append(bytes.Clone(two), 0), "PRO at byte 0: expected length 26, seen length 25"},
		"records":         {put(4, 3), "PRO at byte 25: expected record 3 of 3, seen 0 bytes"},
		"no records":      {put(4, 0), "PRO at byte 6: expected the end after the last record, seen 19 bytes"},
		"a record less":   {put(4, 1), "PRO at byte 13: expected the end after the last record, seen 12 bytes"},
		"value too long":  {put(15, 10), "PRO/record[2] at byte 13: expected a value of 10 bytes, seen 8 bytes"},
		"value too short": {put(15, 6), "PRO at byte 23: expected the end after the last record, seen 2 bytes"},
		"odd header":      {put(15, 7), "PRO/record[2] at byte 13: expected a header of UTF-16, an even number of bytes, seen 7 bytes"},
		"too long":        {make([]byte, 1<<16+1), "PRO at byte 0: expected at most 65536 bytes, seen 65537 bytes"},
	} {
		for _, mode := range []pssh.Mode{pssh.Strict, pssh.Lenient} {
			p, notes, err := pssh.ReadPRO(c.b, mode)
			var refused *pssh.Error
			if !errors.As(err, &refused) || err.Error() != c.want || p.Records != nil || notes != nil {
				t.Errorf("%s: %v, want %s", name, err, c.want)
			}
		}
	}
	if p, err := pssh.ParsePRO(pssh.PRO{}.Bytes()); err != nil || len(p.Records) != 0 {
		t.Errorf("an object without records: %v", err)
	}
	box := pssh.Box{SystemID: pssh.PlayReadySystemID, Data: pssh.PRO{Records: []pssh.Record{{Type: 9, Value: []byte{1, 2}}, {Type: 1, Value: cat(utf16le("<a>"), []byte{0, 0xd8}, utf16le("</a>"))},
		{Type: 3, Value: []byte{1}}}}.Bytes()}
	const half = "PRO/record[2]/WRMHEADER at byte 22: expected UTF-16, seen half of a surrogate pair"
	if _, p, err := pssh.ReadPlayReadyBox(box, pssh.Strict); err == nil || err.Error() != half || len(p.Records) != 3 {
		t.Errorf("%v, want %s beside the object", err, half)
	}
	if _, err := pssh.PlayReadyHeader(pssh.Box{SystemID: pssh.WidevineSystemID, Data: two}); err == nil || !strings.Contains(err.Error(), "seen one of Widevine") {
		t.Errorf("a box of Widevine: %v", err)
	}
}

// TestTolerantForms reads the forms of sheet playready.md §2 that are taken on demand only.
func TestTolerantForms(t *testing.T) {
	t.Parallel()
	good, err := pssh.PlayReadyBox(header43(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data []byte
		note string
	}{
		"bare header":           {good.Data[10:], "a bare WRMHEADER without a PlayReady object"},
		"bare header, BOM":      {cat([]byte{0xff, 0xfe}, good.Data[10:]), "a bare WRMHEADER without a PlayReady object"},
		"single record":         {good.Data[6:], "a single record without the length and count"},
		"wrong length, no form": {cat([]byte{1}, good.Data[1:]), ""},
		"record, wrong length":  {cat(good.Data[6:], []byte{0, 0}), ""},
		"another record":        {cat([]byte{3, 0, 2, 0}, []byte("<\x00")), ""},
		"odd header":            {cat(good.Data[10:], []byte{0}), ""},
		"three bytes":           {[]byte{1, 0, 0}, ""},
		"UTF-8":                 {[]byte(headerOf("4.3", "") + " "), ""},
	} {
		box := pssh.Box{SystemID: pssh.PlayReadySystemID, Data: c.data}
		if _, err := pssh.ParsePRO(c.data); err == nil {
			t.Errorf("%s: taken as it stands", name)
		}
		if _, err := pssh.PlayReadyHeader(box); err == nil || pssh.KIDs(box) != nil {
			t.Errorf("%s: taken as it stands in a box", name)
		}
		h, p, err := pssh.ReadPlayReadyBox(box, pssh.Lenient)
		if c.note == "" {
			if _, _, perr := pssh.ReadPRO(c.data, pssh.Lenient); err == nil || perr == nil {
				t.Errorf("%s: taken", name)
			}
			continue
		}
		if err != nil || len(h.KIDs) != 2 || len(h.Notes) == 0 || !strings.HasPrefix(h.Notes[0], c.note) || len(p.Records) != 1 {
			t.Errorf("%s: %+v, %v", name, h, err)
		}
	}
	if _, notes, err := pssh.ReadPRO(good.Data, pssh.Lenient); err != nil || notes != nil {
		t.Errorf("a canonical object: notes %v, %v", notes, err)
	}
}

// TestBoxNotes is about what is odd around a header that is not.
func TestBoxNotes(t *testing.T) {
	t.Parallel()
	h := header43(t)
	good, err := pssh.PlayReadyBox(h)
	if err != nil {
		t.Fatal(err)
	}
	header := pssh.Record{Type: pssh.RecordHeader, Value: good.Data[10:]}
	store := func(n int) pssh.Record { return pssh.Record{Type: pssh.RecordEmbeddedStore, Value: make([]byte, n)} }
	object := func(records ...pssh.Record) []byte { return pssh.PRO{Records: records}.Bytes() }
	var swapped []drm.KID
	for _, k := range h.IDs() {
		swapped = append(swapped, drm.KID(pssh.GUID(k)))
	}
	for name, c := range map[string]struct {
		box  pssh.Box
		note string
	}{
		"plain":            {pssh.Box{Data: object(header)}, ""},
		"with a store":     {pssh.Box{Data: object(store(100), header, pssh.Record{Type: 7})}, ""},
		"two headers":      {pssh.Box{Data: object(header, header)}, "a second header record"},
		"too large":        {pssh.Box{Data: object(header, store(15<<10))}, "15928 bytes in the PlayReady object"},
		"KID list":         {pssh.Box{Version: 1, KIDs: []drm.KID{h.KIDs[1].KID, h.KIDs[0].KID}, Data: object(header)}, ""},
		"KID list, GUIDs":  {pssh.Box{Version: 1, KIDs: swapped, Data: object(header)}, "the box's KID list has the header's KIDs in the byte order of a GUID"},
		"KID list, others": {pssh.Box{Version: 1, KIDs: h.IDs()[:1], Data: object(header)}, "the box's KID list and the header name different KIDs"},
		"KID list, more":   {pssh.Box{Version: 1, KIDs: append(h.IDs(), drm.KID{}), Data: object(header)}, "the box's KID list and the header name different KIDs"},
	} {
		c.box.SystemID = pssh.PlayReadySystemID
		got, err := pssh.PlayReadyHeader(c.box)
		if err != nil || len(got.KIDs) != 2 || (c.note == "") != (len(got.Notes) == 0) || !strings.HasPrefix(strings.Join(got.Notes, "|"), c.note) {
			t.Errorf("%s: %+v, %v, want note %q", name, got, err, c.note)
		}
	}
}

// TestObjectInMPD: an mspr:pro alone is a box, and beside the same box it is none of its own. Where they differ, both are listed
// in the order of the document, with a note that names both.
func TestObjectInMPD(t *testing.T) {
	t.Parallel()
	box, err := pssh.PlayReadyBox(header43(t))
	if err != nil {
		t.Fatal(err)
	}
	const place = "Period[1]/AdaptationSet[1]/ContentProtection[1]"
	pro := func(b []byte) string { return "<mspr:pro>" + base64.StdEncoding.EncodeToString(b) + "</mspr:pro>" }
	old := unb64(t, sample40)[32:]
	same, other := pro(box.Data), "<cenc:pssh>"+sample40+"</cenc:pssh>"
	whole := "<cenc:pssh>" + base64.StdEncoding.EncodeToString(box.Raw) + "</cenc:pssh>"
	differ := func(pssh, pro string) string {
		return fmt.Sprintf("%s/%s and %s/%s differ", place, pssh, place, pro)
	}
	for name, c := range map[string]struct{ children, paths, note string }{
		"alone":              {same, "pro[1]", ""},
		"before the box":     {same + whole, "pro[1] pssh[1]", ""},
		"behind the box":     {whole + same, "pssh[1] pro[1]", ""},
		"before another box": {same + other, "pro[1] pssh[1]", differ("pssh[1]", "pro[1]")},
		"behind another box": {other + same, "pssh[1] pro[1]", differ("pssh[1]", "pro[1]")},
		"behind Widevine's":  {"<cenc:pssh>" + sampleText(t, "S1") + sample40 + "</cenc:pssh>" + same, "pssh[1]/box[1] pssh[1]/box[2] pro[1]", differ("pssh[1]/box[2]", "pro[1]")},
		"unreadable":         {whole + pro([]byte{1, 2, 3}), "pssh[1]", place + "/pro[1]"},
		"no base64":          {whole + "<mspr:pro>*</mspr:pro>", "pssh[1]", "that is not base64"},
		"unreadable first":   {pro(nil) + same + other, "pro[2] pssh[1]", differ("pssh[1]", "pro[2]")},
		"no padding":         {strings.ReplaceAll(pro(old), "=<", "<"), "pro[1]", "without its padding"},
		"URL alphabet":       {"<mspr:pro>" + base64.URLEncoding.EncodeToString(old) + "</mspr:pro>", "pro[1]", "URL alphabet"},
		"other namespace":    {`<pro xmlns="urn:other">` + same[len("<mspr:pro>"):len(same)-len("</mspr:pro>")] + "</pro>", "pro[1]", `pro is in namespace "urn:other", not urn:microsoft:playready`},
	} {
		c1, err := pssh.Find("stream.mpd", []byte(inSet(`<ContentProtection schemeIdUri="`+uriPR+`">`+c.children+`</ContentProtection>`)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var paths []string
		for _, f := range c1.Found {
			paths = append(paths, strings.TrimPrefix(f.Place.Path, place+"/"))
		}
		if notes := fmt.Sprint(c1.Notes); strings.Join(paths, " ") != c.paths || !strings.Contains(notes, c.note) || len(c1.Problems) != 0 || c.note == "" && strings.Contains(notes, "differ") {
			t.Errorf("%s: boxes at %v, notes %v, problems %v", name, paths, notes, c1.Problems)
		}
		if strings.HasSuffix(name, "the box") && (len(c1.Boxes()) != 1 || len(c1.Notes) != 0) {
			t.Errorf("%s: %d boxes, notes %v", name, len(c1.Boxes()), c1.Notes)
		}
	}
	// In two descriptors they have nothing to do with each other, and elsewhere a pro element has no meaning.
	two := findMPD(t, inSet(`<ContentProtection schemeIdUri="`+uriPR+`">`+same+`</ContentProtection><ContentProtection schemeIdUri="`+uriPR+`">`+other+`</ContentProtection>`+
		`<ContentProtection schemeIdUri="`+uriWV+`"><pro>AAAA</pro></ContentProtection>`))
	if len(two.Found) != 2 || len(two.Notes) != 0 {
		t.Errorf("two descriptors: %d boxes, notes %v", len(two.Found), two.Notes)
	}
	foreign := findMPD(t, inSet(`<ContentProtection schemeIdUri="`+uriWV+`">`+same+`</ContentProtection>`))
	if len(foreign.Found) != 1 || len(foreign.Notes) != 1 || !strings.Contains(foreign.Notes[0].Text, "an object of PlayReady in the descriptor of Widevine") {
		t.Errorf("in Widevine's descriptor: %d boxes, notes %v", len(foreign.Found), foreign.Notes)
	}
	if _, err := pssh.Find("text", []byte(base64.StdEncoding.EncodeToString(box.Data))); err == nil || !strings.Contains(err.Error(), "seen a bare PlayReady object") {
		t.Errorf("an object as text: %v", err)
	}
}
