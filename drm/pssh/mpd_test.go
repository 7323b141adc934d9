package pssh_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/drm/pssh"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

const (
	uriWV     = "urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed"
	uriPR     = "urn:uuid:9a04f079-9840-4286-ab92-e65be0885f95"
	uriMP4    = "urn:mpeg:dash:mp4protection:2011"
	openMPD   = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" xmlns:cenc="urn:mpeg:cenc:2013" xmlns:mspr="urn:microsoft:playready">`
	closeMPD  = `</MPD>`
	testASSet = `<Period><AdaptationSet>%s</AdaptationSet></Period>`
)

// mp4protection returns the descriptor with scheme and default_KID.
func mp4protection(scheme, kid string) string {
	return fmt.Sprintf(`<ContentProtection schemeIdUri=%q value=%q cenc:default_KID=%q/>`, uriMP4, scheme, kid)
}

// descriptor returns a ContentProtection with cenc:pssh texts.
func descriptor(uri string, texts ...string) string {
	var b strings.Builder
	for _, s := range texts {
		b.WriteString("<cenc:pssh>" + s + "</cenc:pssh>")
	}
	return fmt.Sprintf(`<ContentProtection schemeIdUri=%q>%s</ContentProtection>`, uri, b.String())
}

// inSet returns an MPD with one Period and AdaptationSet around the XML.
func inSet(xml string) string { return openMPD + fmt.Sprintf(testASSet, xml) + closeMPD }

func findMPD(t *testing.T, mpd string) *pssh.Content {
	t.Helper()
	c, err := pssh.Find("manifest.mpd", []byte(mpd))
	if err != nil {
		t.Fatal(err)
	}
	if c.Kind != pssh.KindMPD {
		t.Fatalf("kind %s", c.Kind)
	}
	return c
}

// keys writes path, KID and scheme of every default_KID.
func keys(c *pssh.Content) string {
	var parts []string
	for _, k := range c.Keys {
		parts = append(parts, fmt.Sprintf("%s %s %s", k.Place.Path, k.KID, k.Scheme))
	}
	return strings.Join(parts, "\n")
}

func TestMPD(t *testing.T) {
	t.Parallel()
	s1, s4, s7 := sampleText(t, "S1"), sampleText(t, "S4"), sampleText(t, "S7")
	mpd := openMPD + `
  <Period id="p0">
    <AdaptationSet id="1" contentType="video">
      ` + mp4protection("cenc", kidA) + `
      ` + descriptor(uriWV, s1) + `
      <ContentProtection schemeIdUri="` + uriPR + `"><mspr:pro>AAAA</mspr:pro></ContentProtection>
      <Representation id="v0"/>
    </AdaptationSet>
    <AdaptationSet id="text"/>
    <AdaptationSet id="audio">
      <Representation id="a0">
        ` + mp4protection("cbcs:10000", kidB) + descriptor(uriWV, s4) + `
      </Representation>
      <Representation id="a1"/>
      <Representation id="a2">` + descriptor(uriWV, s7) + `</Representation>
    </AdaptationSet>
  </Period>
  <Period>
    <AdaptationSet>` + mp4protection("cenc", strings.ToUpper(kidB)) + descriptor(uriWV, s1) + `</AdaptationSet>
  </Period>
` + closeMPD
	c := findMPD(t, mpd)
	if len(c.Problems) != 0 || len(c.Notes) != 1 || !strings.Contains(c.Notes[0].String(), "ContentProtection[3]/pro[1] at byte ") ||
		!strings.Contains(c.Notes[0].Text, "mspr:pro") {
		t.Errorf("problems %v, notes %v; want the note on mspr:pro alone", c.Problems, c.Notes)
	}
	wantKeys := "Period[1]/AdaptationSet[1]/ContentProtection[1] " + kidA + " cenc\n" +
		"Period[1]/AdaptationSet[3]/Representation[1]/ContentProtection[1] " + kidB + " cbcs\n" +
		"Period[2]/AdaptationSet[1]/ContentProtection[1] " + kidB + " cenc"
	if got := keys(c); got != wantKeys {
		t.Errorf("keys\n%s\nwant\n%s", got, wantKeys)
	}
	p0 := pssh.Node{Index: 1, ID: "p0"}
	audio := pssh.Node{Index: 3, ID: "audio"}
	want := []pssh.Place{
		{Path: "Period[1]/AdaptationSet[1]/ContentProtection[2]/pssh[1]", Line: 6, Period: p0, AdaptationSet: pssh.Node{Index: 1, ID: "1"}},
		{Path: "Period[1]/AdaptationSet[3]/Representation[1]/ContentProtection[2]/pssh[1]", Line: 13, Period: p0, AdaptationSet: audio,
			Representation: pssh.Node{Index: 1, ID: "a0"}},
		{Path: "Period[1]/AdaptationSet[3]/Representation[3]/ContentProtection[1]/pssh[1]", Line: 16, Period: p0, AdaptationSet: audio,
			Representation: pssh.Node{Index: 3, ID: "a2"}},
		{Path: "Period[2]/AdaptationSet[1]/ContentProtection[2]/pssh[1]", Line: 20, Period: pssh.Node{Index: 2}, AdaptationSet: pssh.Node{Index: 1}},
	}
	for i := range want {
		want[i].SchemeIDURI = uriWV
	}
	var got []pssh.Place
	for _, f := range c.Found {
		if !strings.HasPrefix(mpd[f.Place.Offset:], "<ContentProtection schemeIdUri=\""+uriWV) {
			t.Errorf("%s: offset %d is not its ContentProtection", f.Place.Path, f.Place.Offset)
		}
		f.Place.Offset = 0
		got = append(got, f.Place)
	}
	if !slices.Equal(got, want) {
		t.Errorf("places\n%+v\nwant\n%+v", got, want)
	}
	if boxes := c.Boxes(); len(boxes) != 3 || !bytes.Equal(boxes[1].Raw, sampleBox(t, "S4")) {
		t.Errorf("%d distinct boxes, want 3", len(boxes))
	}
	if kids := c.KIDs(); !slices.Equal(kids, kidsOf(t, kidA, kidB)) {
		t.Errorf("distinct KIDs %v", kids)
	}
}

func TestMPDForms(t *testing.T) {
	t.Parallel()
	s1, s3 := sampleText(t, "S1"), sampleText(t, "S3")
	const one = "Period[1]/AdaptationSet[1]/ContentProtection[1]"
	for _, c := range []struct{ name, mpd, paths, keys, note string }{
		{name: "white space, comment and CDATA in the text", mpd: inSet(descriptor(uriWV, "\n  "+s1[:10]+"<!-- x -->"+s1[10:20]+"\r\n\t "+s1[20:30]+"<![CDATA["+s1[30:]+"]]> ")), paths: one + "/pssh[1]"},
		{name: "undeclared prefix", paths: "Period[1]/AdaptationSet[1]/ContentProtection[2]/pssh[1]", keys: one + " " + kidA + " cenc", note: `namespace "e"`,
			mpd: strings.NewReplacer("<cenc:", "<e:", "</cenc:", "</e:", " cenc:", " e:").Replace(inSet(mp4protection("cenc", kidA) + descriptor(uriWV, s1)))},
		{name: "other prefix", paths: "Period[1]/AdaptationSet[1]/ContentProtection[2]/pssh[1]", keys: one + " " + kidA + " cenc",
			mpd: strings.NewReplacer("<cenc:", "<e:", "</cenc:", "</e:", " cenc:", " e:", "xmlns:cenc=", "xmlns:e=").Replace(inSet(mp4protection("cenc", kidA) + descriptor(uriWV, s1)))},
		{name: "default namespace on the element", paths: one + "/pssh[1]",
			mpd: inSet(`<ContentProtection schemeIdUri="` + uriWV + `"><pssh xmlns="urn:mpeg:cenc:2013">` + s1 + `</pssh></ContentProtection>`)},
		{name: "prefix for DASH as well", paths: one + "/pssh[1]",
			mpd: `<d:MPD xmlns:d="urn:mpeg:dash:schema:mpd:2011" xmlns:c="urn:mpeg:cenc:2013"><d:Period><d:AdaptationSet><d:ContentProtection><c:pssh>` + s1 +
				`</c:pssh></d:ContentProtection></d:AdaptationSet></d:Period></d:MPD>`},
		{name: "no namespace", paths: one + "/pssh[1]", note: `pssh is in namespace "", not urn:mpeg:cenc:2013`,
			mpd: `<MPD><Period><AdaptationSet><ContentProtection><pssh>` + s1 + `</pssh></ContentProtection></AdaptationSet></Period></MPD>`},
		{name: "two pssh in one descriptor", mpd: inSet(descriptor(uriWV, s1, s3)), paths: one + "/pssh[1] " + one + "/pssh[2]"},
		{name: "two boxes in one pssh", mpd: inSet(descriptor(uriWV, s1+s3)), paths: one + "/pssh[1]/box[1] " + one + "/pssh[1]/box[2]"},
		{name: "byte order mark", mpd: "\ufeff" + inSet(descriptor(uriWV, s1)), paths: one + "/pssh[1]"},
		{name: "box of another system", mpd: inSet(descriptor(uriPR, s1)), paths: one + "/pssh[1]", note: "a box of Widevine in the descriptor of PlayReady"},
		{name: "upper-case URN", mpd: inSet(descriptor(strings.ToUpper(uriWV), s1)), paths: one + "/pssh[1]"},
		{name: "URL alphabet", mpd: inSet(descriptor(uriWV, strings.ReplaceAll(s1, "+", "-"))), paths: one + "/pssh[1]", note: "URL alphabet"},
		{name: "no padding", mpd: inSet(descriptor(uriWV, strings.TrimRight(s1, "="))), paths: one + "/pssh[1]", note: "without its padding"},
		{name: "KID on the system's descriptor", paths: "Period[1]/AdaptationSet[1]/Representation[1]/ContentProtection[1]/pssh[1]",
			keys: "Period[1]/AdaptationSet[1]/Representation[1]/ContentProtection[1] " + kidB + " cbcs",
			mpd: inSet(`<ContentProtection schemeIdUri="` + uriMP4 + `" value="cbcs"/><Representation><ContentProtection schemeIdUri="` + uriWV +
				`" cenc:default_KID="` + kidB + `"><cenc:pssh>` + s1 + `</cenc:pssh></ContentProtection></Representation>`)},
		{name: "same KID on two descriptors of one set", paths: "Period[1]/AdaptationSet[1]/ContentProtection[2]/pssh[1]", keys: one + " " + kidA + " cenc",
			mpd: inSet(mp4protection("cenc", kidA) + strings.Replace(descriptor(uriWV, s1), " schemeIdUri", ` cenc:default_KID="`+kidA+`" schemeIdUri`, 1))},
		{name: "several KIDs, one without hyphens", paths: "Period[1]/AdaptationSet[1]/ContentProtection[2]/pssh[1]",
			keys: one + " " + kidA + " cens\n" + one + " " + kidB + " cens", note: "lacks the hyphens",
			mpd: inSet(mp4protection("cens", kidA+" "+strings.ReplaceAll(kidB, "-", "")) + descriptor(uriWV, s1))},
		{name: "ref to the MPD's descriptors", paths: "ContentProtection[2]/pssh[1]",
			keys: "ContentProtection[1] " + kidA + " cbcs\n" + one + " " + kidA + " cbcs",
			mpd: openMPD + `<ContentProtection refId="k" schemeIdUri="` + uriMP4 + `" value="cbcs" cenc:default_KID="` + kidA + `"/>` + descriptor(uriWV, s1) +
				`<Period><AdaptationSet><ContentProtection ref="k" schemeIdUri="` + uriMP4 + `"/></AdaptationSet></Period>` + closeMPD},
		{name: "ref to nothing", mpd: inSet(`<ContentProtection ref="gone"/>` + descriptor(uriWV, s1)), paths: "Period[1]/AdaptationSet[1]/ContentProtection[2]/pssh[1]",
			note: `ref "gone" names no other`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			content := findMPD(t, c.mpd)
			var got []string
			for _, f := range content.Found {
				got = append(got, f.Place.Path)
			}
			if strings.Join(got, " ") != c.paths || keys(content) != c.keys || len(content.Problems) != 0 {
				t.Errorf("boxes %v, keys %q, problems %v; want %s, %q", got, keys(content), content.Problems, c.paths, c.keys)
			}
			if notes := fmt.Sprint(content.Notes); !strings.Contains(notes, c.note) || (c.note == "") != (len(content.Notes) == 0) {
				t.Errorf("notes %s, want … %s …", notes, c.note)
			}
		})
	}
}

// TestMPDBroken has one thing broken in an MPD, which must not lose the box beside it.
func TestMPDBroken(t *testing.T) {
	t.Parallel()
	s1 := sampleText(t, "S1")
	whole := descriptor(uriWV, s1)
	for _, c := range []struct{ name, mpd, where, text, hint string }{
		{"base64", inSet(descriptor(uriWV, "AA*A") + whole), "ContentProtection[1]/pssh[1]", `base64 characters, seen "*"`, "line 2 of the MPD"},
		{"base64 cut", inSet(descriptor(uriWV, s1[:61]) + whole), "ContentProtection[1]/pssh[1]", "whole base64 groups", "line 2"},
		{"box cut", inSet(descriptor(uriWV, s1[:60]) + whole), "ContentProtection[1]/pssh[1]/pssh[1]", "expected 50 bytes", "line 2"},
		{"second box cut", inSet(whole + descriptor(uriWV, s1+s1[:60])), "ContentProtection[2]/pssh[1]/pssh[2]", "expected 50 bytes", "line 2"},
		{"no text", inSet(descriptor(uriWV, " ") + whole), "ContentProtection[1]/pssh[1]", "seen 0 bytes", "line 2"},
		{"version 2", inSet(whole + descriptor(uriWV, versionTwo(t))), "ContentProtection[2]/pssh[1]/pssh[1]", "seen version 2", "line 2"},
		{"KID", inSet(mp4protection("cenc", "key-1") + whole), "ContentProtection[1]/@default_KID", `a UUID with hyphens, seen "key-1"`, "line 2"},
		{"too many KIDs", inSet(mp4protection("cenc", strings.Repeat(kidA+" ", 65)) + whole), "@default_KID", "at most 64 KIDs", ""},
		{"end missing", strings.TrimSuffix(inSet(whole), "</Period></MPD>"), "Period[1]", "unexpected EOF", "cut off"},
		{"wrong end tag", strings.Replace(inSet(whole), "</Period>", "</Perio>", 1), "Period[1]", "well-formed XML", "cut off"},
		{"entity", inSet(whole + "&nbsp;"), "AdaptationSet[1]", "well-formed XML", ""},
		{"DOCTYPE inside", inSet(whole + `<!DOCTYPE MPD>`), "", "without DOCTYPE", "remove"},
		{"second MPD", inSet(whole) + strings.TrimPrefix(inSet(""), `<?xml version="1.0" encoding="UTF-8"?>`), "", "expected one MPD, seen another", ""},
		{"too deep", inSet(whole + strings.Repeat("<a>", 200)), "", "at most 100 nested elements", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			content := findMPD(t, c.mpd)
			if len(content.Found) < 1 || !bytes.Equal(content.Found[0].Box.Raw, sampleBox(t, "S1")) || len(content.Problems) != 1 {
				t.Fatalf("%d boxes, problems %v; want a problem beside the box", len(content.Found), content.Problems)
			}
			e := errorOf(t, content.Problems[0])
			if !strings.HasSuffix(e.Where, c.where) || !strings.Contains(e.Error(), c.text) || !strings.Contains(e.Hint, c.hint) || e.Offset <= 0 {
				t.Errorf("problem %v, hint %q; want … %s: … %s …, … %s …", e, e.Hint, c.where, c.text, c.hint)
			}
		})
	}
}

func versionTwo(t *testing.T) string {
	t.Helper()
	return base64Of(withVersion(sampleBox(t, "S1"), 2))
}

func TestMPDRefused(t *testing.T) {
	t.Parallel()
	bomb := `<!DOCTYPE MPD [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>` + inSet(descriptor(uriWV, sampleText(t, "S1")))
	c, err := pssh.Find("x", []byte(bomb))
	if e := errorOf(t, err); !strings.Contains(e.Expected, "without DOCTYPE") || len(c.Found) != 0 {
		t.Errorf("DOCTYPE: %v with %d boxes", e, len(c.Found))
	}
	_, err = pssh.Find("x", []byte(inSet(strings.Repeat(" ", pssh.MaxText))))
	if e := errorOf(t, err); !strings.Contains(e.Expected, "at most 16777216 bytes") {
		t.Errorf("too long: %v", e)
	}
	_, err = pssh.Find("x", []byte(inSet(descriptor(uriWV, "AA*A"))))
	if e := errorOf(t, err); !strings.Contains(e.Expected, "base64") || errors.Is(err, drm.ErrNoBox) {
		t.Errorf("only a broken box: %v", e)
	}
}

func TestMPDWithoutBox(t *testing.T) {
	t.Parallel()
	c, err := pssh.Find("x.mpd", []byte(inSet(mp4protection("cbcs", kidA))))
	e := errorOf(t, err)
	if !errors.Is(err, drm.ErrNoBox) || !strings.Contains(e.Seen, kidA) || !strings.Contains(e.Hint, "init segment") {
		t.Errorf("with default_KID: %v, hint %q", err, e.Hint)
	}
	if !slices.Equal(c.KIDs(), kidsOf(t, kidA)) || c.Keys[0].Scheme != drm.SchemeCBCS {
		t.Errorf("keys %v", c.Keys)
	}
	_, err = pssh.Find("x.mpd", []byte(inSet("")))
	if e := errorOf(t, err); !errors.Is(err, drm.ErrNoBox) || !strings.Contains(e.Hint, "in the clear") {
		t.Errorf("clear: %v, hint %q", err, e.Hint)
	}
}

// TestMPDLimits has more of everything than is kept.
func TestMPDLimits(t *testing.T) {
	t.Parallel()
	const many = 1<<16 + 10
	text := base64Of(sampleBox(t, "S5"))
	whole := descriptor(uriWV, text)
	for _, c := range []struct {
		name, mpd              string
		boxes, notes, problems int
		text                   string
	}{
		{"pssh elements", inSet("<ContentProtection>" + strings.Repeat("<cenc:pssh>"+text+"</cenc:pssh>", many) + "</ContentProtection>"),
			1 << 16, 0, 1, "at most 65536 pssh elements, seen more"},
		{"boxes", inSet(descriptor(uriWV, strings.Repeat(text, 1<<15), strings.Repeat(text, 1<<15), text)), 1 << 16, 0, 1, "at most 65536 pssh boxes, seen more"},
		{"descriptors", inSet(whole + strings.Repeat("<ContentProtection/>", many)), 1, 0, 1, "at most 65536 ContentProtection elements, seen more"},
		{"notes", inSet(whole + strings.Repeat("<ContentProtection ref='x'/>", 1010)), 1, 1000, 1, "at most 1000 notes, seen more"},
		{"problems", inSet(whole + strings.Repeat(descriptor(uriWV, "*"), 1010)), 1, 0, 1001, "at most 1000 problems, seen more"},
		{"keys", openMPD + `<ContentProtection refId="k" cenc:default_KID="` + kidList(64) + `"/>` + whole + strings.Repeat(`<Period><ContentProtection ref="k"/></Period>`, 1030) + closeMPD,
			1, 0, 1, "at most 65536 default_KIDs, seen more"},
	} {
		content := findMPD(t, c.mpd)
		if len(content.Found) != c.boxes || len(content.Notes) != c.notes || len(content.Problems) != c.problems || len(content.Keys) > 1<<16 {
			t.Errorf("%s: %d boxes, %d notes, %d problems, %d keys", c.name, len(content.Found), len(content.Notes), len(content.Problems), len(content.Keys))
			continue
		}
		if got := content.Problems[c.problems-1].Error(); got != "expected "+c.text {
			t.Errorf("%s: problem %s, want %s", c.name, got, c.text)
		}
	}
}

// kidList returns n distinct KIDs with spaces between.
func kidList(n int) string {
	var kids []string
	for i := range n {
		kids = append(kids, drm.KID{15: byte(i)}.String())
	}
	return strings.Join(kids, " ")
}
