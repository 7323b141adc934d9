package pssh_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"keyflow/drm"
	"keyflow/drm/pssh"
	"keyflow/drm/secret"
)

// sample40 is the box of sheet playready.md §13.2.
const sample40 = "AAAB5HBzc2gAAAAAmgTweZhAQoarkuZb4IhflQAAAcTEAQAAAQABALoBPABXAFIATQBIAEUAQQBEAEUAUgAgAHgAbQBsAG4AcwA9ACIAaAB0AHQAcAA6AC8A" +
	"LwBzAGMAaABlAG0AYQBzAC4AbQBpAGMAcgBvAHMAbwBmAHQALgBjAG8AbQAvAEQAUgBNAC8AMgAwADAANwAvADAAMwAvAFAAbABhAHkAUgBlAGEAZAB5AEgA" +
	"ZQBhAGQAZQByACIAIAB2AGUAcgBzAGkAbwBuAD0AIgA0AC4AMAAuADAALgAwACIAPgA8AEQAQQBUAEEAPgA8AFAAUgBPAFQARQBDAFQASQBOAEYATwA+ADwA" +
	"SwBFAFkATABFAE4APgAxADYAPAAvAEsARQBZAEwARQBOAD4APABBAEwARwBJAEQAPgBBAEUAUwBDAFQAUgA8AC8AQQBMAEcASQBEAD4APAAvAFAAUgBPAFQA" +
	"RQBDAFQASQBOAEYATwA+ADwASwBJAEQAPgBiAG4AaAB5AEMATwBmADUAWAAwAGEAagBvAGsANQBiAEQAdgBqADYAUgBRAD0APQA8AC8ASwBJAEQAPgA8AC8A" +
	"RABBAFQAQQA+ADwALwBXAFIATQBIAEUAQQBEAEUAUgA+AA=="

func kidOf(t testing.TB, text string) drm.KID {
	t.Helper()
	kid, err := drm.ParseKID(text)
	if err != nil {
		t.Fatal(err)
	}
	return kid
}

func unb64(t testing.TB, text string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func header43(t testing.TB) pssh.WRMHeader {
	return pssh.WRMHeader{Version: pssh.Header43, KIDs: []pssh.HeaderKID{
		{KID: kidOf(t, "334b5d3d-44f5-4f56-a410-e07caaa7160e"), Algorithm: pssh.AlgorithmAESCBC},
		{KID: kidOf(t, "a043e8b6-0da5-4cec-b10c-fb4c44d9a1c8"), Algorithm: pssh.AlgorithmAESCBC},
	}}
}

// TestHeader40 reads the sample of sheet playready.md §13.2 and builds it again.
func TestHeader40(t *testing.T) {
	t.Parallel()
	boxes, _, err := pssh.ParseText(sample40, pssh.Strict)
	if err != nil || len(boxes) != 1 {
		t.Fatalf("%d boxes, %v", len(boxes), err)
	}
	h, err := pssh.PlayReadyHeader(boxes[0])
	if err != nil {
		t.Fatal(err)
	}
	want := kidOf(t, "0872786e-f9e7-465f-a3a2-4e5b0ef8fa45")
	if h.Version != pssh.Header40 || len(h.KIDs) != 1 || h.KIDs[0].KID != want || h.KIDs[0].Algorithm != "AESCTR" || h.KIDs[0].Checksum != nil || len(h.Notes) != 0 {
		t.Errorf("%+v", h)
	}
	if got := pssh.KIDs(boxes[0]); !slices.Equal(got, []drm.KID{want}) {
		t.Errorf("KIDs %v", got)
	}
	again, err := pssh.PlayReadyBox(*h)
	if err != nil || !bytes.Equal(again.Raw, boxes[0].Raw) {
		t.Errorf("built again: %v\n%x\n%x", err, again.Raw, boxes[0].Raw)
	}
	if selected, err := pssh.Select(boxes, drm.PlayReady); err != nil || !bytes.Equal(selected.Data, boxes[0].Data) {
		t.Errorf("selected %v", err)
	}
}

// TestHeader43 builds sheet playready.md §13.3, alone and in boxes of both versions.
func TestHeader43(t *testing.T) {
	t.Parallel()
	h := header43(t)
	digest := func(b []byte) string { return fmt.Sprintf("%d %x", len(b), sha256.Sum256(b)) }
	box, err := pssh.PlayReadyBox(h)
	if err != nil {
		t.Fatal(err)
	}
	v1, err := pssh.Build(pssh.Box{SystemID: pssh.PlayReadySystemID, Version: 1, KIDs: h.IDs(), Data: box.Data})
	if err != nil {
		t.Fatal(err)
	}
	for got, want := range map[string]string{
		digest(box.Data): "564 00a6665a5c061fa962b95fb61ec34c23b7ceb8dbe692a128817145f326b416cc",
		digest(box.Raw):  "596 f3eaf3c8fa59aa560733dcb5bea6bd66c01cc9718c54643435d9169f8f676005",
		digest(v1):       "632 7e64dc9b13453bf3fd7a63be20fc01402515836ec8f55aee9e46b99d3fbd4d92",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestKeySeed is the table of sheet playready.md §13.1.
func TestKeySeed(t *testing.T) {
	t.Parallel()
	raw, err := hex.DecodeString("5d5068bec9b384ff6044867159f16d6b755544fcd5116989b1acc4278e88")
	if err != nil {
		t.Fatal(err)
	}
	seed := secret.New(raw)
	for _, c := range []struct{ guid, uuid, key, checksum string }{
		{"q5HgCTj40kGeNVhTH9Gexw==", "09e091ab-f838-41d2-9e35-58531fd19ec7", "9cb061164b7013eaefcc7d6d18424c2c", "w+OZVr8vzrQ="},
		{"0IbHou/5s0yzM80yOkKEpQ==", "a2c786d0-f9ef-4cb3-b333-cd323a4284a5", "4edb7704cdbf03617f4800bd878a6df2", "xNvWVxoWk04="},
		{"/qgG2xbs4k2SKCxx6bhWqw==", "db06a8fe-ec16-4de2-9228-2c71e9b856ab", "3179923adf3c929892951e62f93a518a", "GnKaQIRacPU="},
		{"4Rplb+TbNES8tGkNFWTEHA==", "6f651ae1-dbe4-4434-bcb4-690d1564c41c", "88da852ae4fa2e1e36aeb2d5c94997b1", "KLj3QzQP/NA="},
		{"PV1LM/VEVk+kEOB8qqcWDg==", "334b5d3d-44f5-4f56-a410-e07caaa7160e", "ae8b0d6d853c83a74a744fb80dfc8191", ""},
		{"AAAAEAAQABAQABAAAAAAAQ==", "10000000-1000-1000-1000-100000000001", "", ""}, // §13.10
	} {
		kid := kidOf(t, c.uuid)
		if guid := pssh.GUID(kid); base64.StdEncoding.EncodeToString(guid[:]) != c.guid || pssh.KIDOfGUID(guid) != kid {
			t.Errorf("%s: GUID order %x", kid, guid)
		}
		key, err := pssh.KeyFromSeed(seed, kid)
		if err != nil || c.key != "" && hex.EncodeToString(key.Reveal()) != c.key {
			t.Errorf("%s: another key than the sheet's, %v", kid, err)
		}
		if c.checksum == "" {
			continue
		}
		if sum, err := pssh.Checksum(pssh.AlgorithmAESCTR, kid, key); err != nil || base64.StdEncoding.EncodeToString(sum) != c.checksum {
			t.Errorf("%s: checksum %x, %v", kid, sum, err)
		}
	}
	if sum, err := pssh.Checksum(pssh.AlgorithmCocktail, drm.KID{}, secret.New([]byte{1, 2, 3, 4, 5, 6, 7})); err != nil || base64.StdEncoding.EncodeToString(sum) != "XQp3VdZaaw==" {
		t.Errorf("COCKTAIL: %x, %v", sum, err)
	}
	for _, algorithm := range []string{pssh.AlgorithmCocktail, pssh.AlgorithmAESCTR} {
		for _, n := range []int{0, 8, 15, 24} {
			if _, err := pssh.Checksum(algorithm, drm.KID{}, secret.New(make([]byte, n))); err == nil {
				t.Errorf("%s: a key of %d bytes has a checksum", algorithm, n)
			}
		}
	}
	if _, err := pssh.Checksum(pssh.AlgorithmAESCBC, drm.KID{}, seed); err == nil {
		t.Error("AESCBC has a checksum")
	}
	if _, err := pssh.KeyFromSeed(secret.New(raw[:29]), drm.KID{}); err == nil {
		t.Error("a seed of 29 bytes is taken")
	}
}

func utf16le(text string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(text)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

// TestHeaderRoundTrip builds headers of all versions with all fields and reads them back.
func TestHeaderRoundTrip(t *testing.T) {
	t.Parallel()
	kid := pssh.HeaderKID{KID: kidOf(t, "09e091ab-f838-41d2-9e35-58531fd19ec7"), Algorithm: pssh.AlgorithmAESCTR, Checksum: unb64(t, "w+OZVr8vzrQ=")}
	for _, version := range []string{pssh.Header40, pssh.Header41, pssh.Header42, pssh.Header43} {
		h := pssh.WRMHeader{
			Version: version, KIDs: []pssh.HeaderKID{kid}, LAURL: "https://license.example/?a=1&b=2", LUIURL: "https://license.example/help",
			DomainServiceID: "q5HgCTj40kGeNVhTH9Gexw==", CustomAttributes: `<IIS_DRM_VERSION xmlns="">7.1 &amp; more</IIS_DRM_VERSION>`,
		}
		if version == pssh.Header43 {
			second := kid
			second.KID = kidOf(t, kidA)
			h.KIDs, h.LicenseRequested = append(h.KIDs, second), "false"
		}
		if version != pssh.Header40 {
			h.DecryptorSetup = "ONDEMAND"
		}
		text, err := h.Build()
		if err != nil {
			t.Fatal(err)
		}
		got, err := pssh.ParseWRMHeader(text)
		if err != nil {
			t.Fatal(err)
		}
		xml := got.XML
		got.XML = ""
		if fmt.Sprintf("%+v", *got) != fmt.Sprintf("%+v", h) || !strings.Contains(xml, "?a=1&amp;b=2</LA_URL>") {
			t.Errorf("version %s\n%+v\nwant\n%+v\n%s", version, *got, h, xml)
		}
	}
}

func TestBadObjects(t *testing.T) {
	t.Parallel()
	good, err := pssh.PlayReadyBox(header43(t))
	if err != nil {
		t.Fatal(err)
	}
	for n := range good.Data {
		if _, err := pssh.ParsePRO(good.Data[:n]); err == nil {
			t.Errorf("cut at %d: accepted", n)
		}
	}
	for name, edit := range map[string]func([]byte) []byte{
		"trailing byte":     func(b []byte) []byte { return append(b, 0) },
		"a record too many": func(b []byte) []byte { b[4]++; return b },
		"no record":         func(b []byte) []byte { b[4] = 0; return b },
		"record length":     func(b []byte) []byte { b[8]++; return b },
	} {
		if _, err := pssh.ParsePRO(edit(bytes.Clone(good.Data))); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	store := pssh.PRO{Records: []pssh.Record{{Type: pssh.RecordEmbeddedStore, Value: []byte{1, 2, 3}}, {Type: 9}}}
	p, err := pssh.ParsePRO(store.Bytes())
	if err != nil || len(p.Records) != 2 || p.Header() != nil {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := pssh.PlayReadyHeader(pssh.Box{SystemID: pssh.PlayReadySystemID, Data: store.Bytes()}); err == nil || !strings.Contains(err.Error(), "a header record") {
		t.Errorf("no header: %v", err)
	}
}

func FuzzPRO(f *testing.F) {
	good, err := pssh.PlayReadyBox(header43(f))
	if err != nil {
		f.Fatal(err)
	}
	old := unb64(f, sample40)[32:]
	for _, b := range [][]byte{good.Data, good.Data[6:], good.Data[10:], old, old[10:], pssh.PRO{Records: []pssh.Record{{Type: 3, Value: []byte{1}}, {Type: 1}, {Type: 9}}}.Bytes()} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := pssh.ParsePRO(b)
		checkError(t, err)
		if err == nil && !bytes.Equal(p.Bytes(), b) {
			t.Error("built again it is another object")
		}
		tolerant, notes, terr := pssh.ReadPRO(b, pssh.Lenient)
		checkError(t, terr)
		if err == nil && (terr != nil || notes != nil || len(tolerant.Records) != len(p.Records)) {
			t.Errorf("lenient: %d records, notes %v, %v", len(tolerant.Records), notes, terr)
		}
		box := pssh.Box{SystemID: pssh.PlayReadySystemID, Version: 1, Data: b}
		_, herr := pssh.PlayReadyHeader(box)
		_, _, lerr := pssh.ReadPlayReadyBox(box, pssh.Lenient)
		checkError(t, herr)
		checkError(t, lerr)
		if herr == nil && lerr != nil {
			t.Errorf("strict reads what lenient does not: %v", lerr)
		}
	})
}

func FuzzWRMHeader(f *testing.F) {
	good, err := header43(f).Build()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(unb64(f, sample40)[42:])
	for _, text := range []string{
		"\ufeff<?xml version='1.0' encoding='utf-16'?>\r\n" + headerOf("4.1", "<PROTECTINFO><KID "+aesCTR+checksum+valueA+"/></PROTECTINFO><LA_URL>a&gt;></LA_URL>"),
		headerOf("4.3", "<PROTECTINFO LICENSEREQUESTED='true'></PROTECTINFO><CUSTOMATTRIBUTES xmlns=''><a b='\"/>'/><![CDATA[>]]></CUSTOMATTRIBUTES><DS_ID>A</DS_ID>"),
		headerOf("4.0", info40+guid40+"<DECRYPTORSETUP></DECRYPTORSETUP><LA_URL>\U0001f642</LA_URL><CHECKSUM></CHECKSUM>"),
	} {
		f.Add(utf16le(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := pssh.ParseWRMHeader(b)
		checkError(t, err)
		if err != nil {
			return
		}
		if found, err := pssh.ParseWRMHeaderXML(h.XML); err != nil || found.XML != h.XML || !slices.Equal(found.IDs(), h.IDs()) || len(found.Notes) > len(h.Notes) {
			t.Errorf("the header as a challenge has it: %+v, %v, want %+v", found, err, h)
		}
		h.CustomAttributes = "" // its prefixes may be declared outside of it
		text, err := h.Build()
		if err != nil {
			if len(b) > 10<<10 { // escapes may make it too long
				return
			}
			t.Fatalf("build what was read: %v", err)
		}
		again, err := pssh.ParseWRMHeader(text)
		if err != nil || !slices.Equal(again.IDs(), h.IDs()) || again.LAURL != h.LAURL || again.LicenseRequested != h.LicenseRequested {
			t.Errorf("read again: %v", err)
		}
	})
}
