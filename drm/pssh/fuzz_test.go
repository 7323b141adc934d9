package pssh_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/drm/pssh"
)

// maxFactor and maxBase bound the bytes allocated for one input: the factor is that of notes and problems, which take a
// few hundred bytes for a dozen of the input; the base covers decoders and messages.
const (
	maxFactor = 200
	maxBase   = 1 << 20
)

// bounded fails if f allocates more than an input of n bytes may cost.
func bounded(t *testing.T, n int, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > uint64(maxBase+maxFactor*n) {
		t.Errorf("%d bytes allocated for an input of %d", got, n)
	}
}

// checkBox holds what is true of every box read: building and parsing it gives it back.
func checkBox(t *testing.T, box pssh.Box) {
	t.Helper()
	b, err := pssh.Build(box)
	if err != nil {
		t.Fatalf("build what was parsed: %v", err)
	}
	again, _, err := pssh.Parse(b, pssh.Strict)
	if err != nil || len(again) != 1 {
		t.Fatalf("parse what was built: %d boxes, %v", len(again), err)
	}
	if !bytes.Equal(again[0].Raw, b) {
		t.Error("Raw is not what was parsed")
	}
	again[0].Raw = box.Raw
	if !reflect.DeepEqual(again[0], box) {
		t.Errorf("round trip gives %+v, want %+v", again[0], box)
	}
	pssh.KIDs(box)
	pssh.RequestData(box, true)
}

// checkError holds what is true of every error: it is typed and says what was expected and seen.
func checkError(t *testing.T, err error) {
	t.Helper()
	var e *pssh.Error
	if err != nil && (!errors.As(err, &e) || e.Expected == "" || e.Seen == "") {
		t.Errorf("error %v (%T) is not complete", err, err)
	}
}

func addBoxes(f *testing.F, add func([]byte)) {
	var all []byte
	for _, s := range samples(f) {
		b := unbase64(f, s.text)
		all = append(all, b...)
		add(b)
	}
	add(all)
	s1, s4 := sampleBox(f, "S1"), sampleBox(f, "S4")
	for _, b := range [][]byte{nil, s1[:20], wide(s4), put(s1, 0, 0), put(s4, 28, 0x10000000), put(s1, 28, 1<<32-1), withVersion(s1, 2), cat(s1, []byte{0, 0}),
		put(append(bytes.Clone(s1), 9), 0, 51), put(wide(s1), 8, 1<<31)} {
		add(b)
	}
}

func FuzzParse(f *testing.F) {
	addBoxes(f, func(b []byte) { f.Add(b) })
	f.Fuzz(func(t *testing.T, b []byte) {
		bounded(t, len(b), func() {
			strict, _, err := pssh.Parse(b, pssh.Strict)
			checkError(t, err)
			lenient, _, lerr := pssh.Parse(b, pssh.Lenient)
			checkError(t, lerr)
			if len(strict) > len(lenient) || err == nil && (lerr != nil || len(strict) != len(lenient)) {
				t.Errorf("strict reads %d boxes (%v), lenient %d (%v)", len(strict), err, len(lenient), lerr)
			}
			for _, box := range lenient[:min(len(lenient), 10)] {
				checkBox(t, box)
			}
		})
	})
}

func FuzzParseText(f *testing.F) {
	addBoxes(f, func(b []byte) {
		f.Add(base64Of(b))
		f.Add(hex.EncodeToString(b))
	})
	f.Add("0x00 00")
	f.Add("AA==-_\n= =")
	f.Fuzz(func(t *testing.T, s string) {
		bounded(t, len(s), func() {
			boxes, _, err := pssh.ParseText(s, pssh.Lenient)
			checkError(t, err)
			for _, box := range boxes[:min(len(boxes), 10)] {
				checkBox(t, box)
			}
		})
	})
}

func FuzzWidevineData(f *testing.F) {
	every := everyField(f)
	f.Add(every.Marshal())
	for _, s := range samples(f) {
		f.Add(s.data.Marshal())
	}
	for _, s := range []string{"3a020102", "4a00", "3a0180", "10013d010203042001", "388180808010", "720108", "22ffffffffffffffff7f", "a3060801a406", "00"} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		bounded(t, len(b), func() {
			d, err := pssh.ParseWidevineData(b)
			checkError(t, err)
			if err != nil {
				return
			}
			d.Scheme()
			again, err := pssh.ParseWidevineData(d.Marshal())
			if err != nil {
				t.Fatalf("parse what was marshalled: %v", err)
			}
			if diff := differ(again, d); diff != "" {
				t.Errorf("round trip: %s", diff)
			}
		})
	})
}

// checkContent holds what is true of everything that Find returns.
func checkContent(t *testing.T, data []byte) {
	t.Helper()
	bounded(t, len(data), func() {
		c, err := pssh.Find("fuzz", data)
		checkError(t, err)
		if (err == nil) != (len(c.Found) > 0) {
			t.Errorf("%d boxes, error %v", len(c.Found), err)
		}
		if errors.Is(err, drm.ErrNoBox) && len(c.Problems) > 0 {
			t.Errorf("said to have no box, with %d problems, the first of them %v", len(c.Problems), c.Problems[0])
		}
		for _, p := range c.Problems {
			checkError(t, p)
		}
		for _, box := range c.Boxes()[:min(len(c.Boxes()), 10)] {
			checkBox(t, box)
		}
		c.KIDs()
	})
}

func FuzzMPD(f *testing.F) {
	s1, s3 := sampleText(f, "S1"), sampleText(f, "S3")
	for _, s := range []string{
		inSet(mp4protection("cenc", kidA) + descriptor(uriWV, s1, s3) + `<Representation id="r">` + descriptor(uriPR, s1) + "</Representation>"),
		strings.ReplaceAll(inSet(mp4protection("cbcs", kidA+" "+kidB)+descriptor(uriWV, " \n"+s3)), "cenc:", "x:"),
		inSet(`<ContentProtection refId="a" ref="a" cenc:default_KID="` + kidA + `"/><ContentProtection ref="a"><mspr:pro>AA==</mspr:pro></ContentProtection>`),
		inSet(descriptor(uriWV, "AA*A") + descriptor(uriWV, "AAAA") + descriptor(uriWV, s1+s1)),
		inSet("<!DOCTYPE x>"), "<!DOCTYPE html><html>", "<MPD/>", "<MPD><MPD/></MPD><MPD/>", "<a", "\ufeff<MPD>&lt;</MPD>",
		inSet("<![CDATA[x]]><!-- --><?pi x?>"),
		inSet(`<ContentProtection schemeIdUri="` + uriPR + `"><cenc:pssh>` + sample40 + `</cenc:pssh><mspr:pro>BgAAAAAA</mspr:pro><pro>AA==</pro></ContentProtection>`),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(checkContent)
}

func FuzzBMFF(f *testing.F) {
	for _, media := range []string{"video", "audio"} {
		f.Add(initSegment(f, media, "cbcs", kidA, "S1", "W1"))
	}
	segment := mediaSegment(f, "S2")
	f.Add(segment)
	f.Add(cat(bmffBox("moov", put(sampleBox(f, "S4"), 28, 1<<28)), segment))
	f.Add(cat(bmffBox("ftyp", []byte("iso6")), wideBox("moov", sampleBox(f, "P7")), put(bmffBox("moof", sampleBox(f, "S1")), 0, 0)))
	schm := bmffBox("schm", []byte("\x00\x00\x00\x01cens\x00\x01\x00\x00uri"))
	f.Add(protectedTrack(0, bmffBox("encv", make([]byte, 78), sinfBox(f, schm, 1), []byte{0, 0, 0, 0})))
	f.Add(protectedTrack(1, bmffBox("enca", make([]byte, 28), sinfBox(f, nil, 0))))
	f.Fuzz(checkContent)
}
