package pssh_test

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/drm/pssh"
)

// sample is one published or synthetic box of sheet widevine.md §17 with its description there.
type sample struct {
	id, text string
	size     int
	version  uint8
	system   drm.SystemID
	boxKIDs  []string
	dataLen  int
	data     pssh.WidevineData // as far as the description goes; Notes are compared by number
	notes    int
}

func ptr[T any](v T) *T { return &v }

const (
	kidA = "00010203-0405-0607-0809-0a0b0c0d0e0f"
	kidB = "10111213-1415-1617-1819-1a1b1c1d1e1f"

	fourCENC = 0x63656E63
	fourCBCS = 0x63626373
)

func samples(t testing.TB) []sample {
	t.Helper()
	wv := pssh.WidevineSystemID
	p7 := kidsOf(t, "1447b7ed2f66572bbd1306ce7cf3610d", "5ac6a11eaa2f5ed5bf668c401c8134ca", "6ee13516c8e7587bae9f7ecd3e99a26e",
		"f9ec12a61a265d478f83334e3a78d2c7", "0dc3ec4f7683548b81e73c64e582e136")
	p8 := []string{"010018cfaf0d45ad92a9dd46a496e6f5", "010140eab9e64f1d9573a4ce4f02addb", "0102e8d110ae4a8e9e3f0113d198f117"}
	return []sample{
		{id: "P1", size: 91, system: wv, dataLen: 59,
			text: "AAAAW3Bzc2gAAAAA7e+LqXnWSs6jyCfc1R0h7QAAADsIARIQ62dqu8s0Xpa7z2FmMPGj2hoNd2lkZXZpbmVfdGVzdCIQZmtqM2xqYVNkZmFsa3IzaioCSEQyAA==",
			data: pssh.WidevineData{Algorithm: ptr(pssh.AESCTR), KeyIDs: kidsOf(t, "eb676abbcb345e96bbcf616630f1a3da"), Provider: ptr("widevine_test"),
				ContentID: []byte("fkj3ljaSdfalkr3j"), TrackType: ptr("HD"), Policy: ptr("")}},
		{id: "P2", size: 71, system: wv, dataLen: 39, notes: 1,
			text: "AAAAR3Bzc2gAAAAA7e+LqXnWSs6jyCfc1R0h7QAAACcIARIBMBoNd2lkZXZpbmVfdGVzdCIKMjAxNV90ZWFycyoFQVVESU8=",
			data: pssh.WidevineData{Algorithm: ptr(pssh.AESCTR), OddKeyIDs: [][]byte{{0x30}}, Provider: ptr("widevine_test"),
				ContentID: []byte("2015_tears"), TrackType: ptr("AUDIO")}},
		{id: "P3", size: 56, system: wv, dataLen: 24,
			text: "AAAAOHBzc2gAAAAA7e+LqXnWSs6jyCfc1R0h7QAAABgSEAAWNwaftdGsPEdH4BMi5MJI49yVmwY=",
			data: pssh.WidevineData{KeyIDs: kidsOf(t, "001637069fb5d1ac3c4747e01322e4c2"), ProtectionScheme: ptr(uint32(fourCENC))}},
		{id: "P4", size: 64, system: wv, dataLen: 32,
			text: "AAAAQHBzc2gAAAAA7e+LqXnWSs6jyCfc1R0h7QAAACAiGFlPVVRVQkU6NTM5ZjEyZjRhM2IzMTczYkjj3JWbBg==",
			data: pssh.WidevineData{ContentID: []byte("YOUTUBE:539f12f4a3b3173b"), ProtectionScheme: ptr(uint32(fourCENC))}},
		{id: "P5", size: 88, system: wv, dataLen: 56,
			text: "AAAAWHBzc2gAAAAA7e+LqXnWSs6jyCfc1R0h7QAAADgIARIQwJbQbFg0QpKbCITZyoPU8SIgdUM4NUFGMlJ6VjdyNXJ0ZG82QkNtcEtCNFBkd2RWbUM4AQ==",
			data: pssh.WidevineData{Algorithm: ptr(pssh.AESCTR), KeyIDs: kidsOf(t, "c096d06c583442929b0884d9ca83d4f1"),
				ContentID: []byte("uC85AF2RzV7r5rtdo6BCmpKB4PdwdVmC"), CryptoPeriodIndex: ptr(uint32(1))}},
		{id: "P6", size: 63, system: wv, dataLen: 31,
			text: "AAAAP3Bzc2gAAAAA7e+LqXnWSs6jyCfc1R0h7QAAAB8SEN2Q7Myl60KKrKWuRhwzOPYaBWV6ZHJtSPPGiZsG",
			data: pssh.WidevineData{KeyIDs: kidsOf(t, "dd90eccca5eb428aaca5ae461c3338f6"), Provider: ptr("ezdrm"), ProtectionScheme: ptr(uint32(fourCBCS))}},
		{id: "P7", size: 198, version: 1, system: wv, dataLen: 130,
			boxKIDs: []string{"0dc3ec4f7683548b81e73c64e582e136", "1447b7ed2f66572bbd1306ce7cf3610d"},
			text:    "AAAAxnBzc2gBAAAA7e+LqXnWSs6jyCfc1R0h7QAAAAINw+xPdoNUi4HnPGTlguE2FEe37S9mVyu9EwbOfPNhDQAAAIISEBRHt+0vZlcrvRMGznzzYQ0SEFrGoR6qL17Vv2aMQByBNMoSEG7hNRbI51h7rp9+zT6Zom4SEPnsEqYaJl1Hj4MzTjp40scSEA3D7E92g1SLgec8ZOWC4TYaDXdpZGV2aW5lX3Rlc3QiEXVuaWZpZWQtc3RyZWFtaW5nSOPclZsG",
			data:    pssh.WidevineData{KeyIDs: p7, Provider: ptr("widevine_test"), ContentID: []byte("unified-streaming"), ProtectionScheme: ptr(uint32(fourCENC))}},
		{id: "P8", size: 138, version: 1, system: wv, dataLen: 54, boxKIDs: p8,
			text: "AAAAinBzc2gBAAAA7e+LqXnWSs6jyCfc1R0h7QAAAAMBABjPrw1FrZKp3Uaklub1AQFA6rnmTx2Vc6TOTwKt2wEC6NEQrkqOnj8BE9GY8RcAAAA2EhABABjPrw1FrZKp3Uaklub1EhABAUDqueZPHZVzpM5PAq3bEhABAujREK5Kjp4/ARPRmPEX",
			data: pssh.WidevineData{KeyIDs: kidsOf(t, p8...)}},
		{id: "P9", size: 82, version: 1, system: wv, dataLen: 30, boxKIDs: []string{"867c8d7670eab5e7aa10571830ad3d8c"},
			text: "AAAAUnBzc2gBAAAA7e+LqXnWSs6jyCfc1R0h7QAAAAGGfI12cOq156oQVxgwrT2MAAAAHiIWRVZNQkNQTFVTRUxJRkVIRFkyMDIzTUjj3JWbBg==",
			data: pssh.WidevineData{ContentID: []byte("EVMBCPLUSELIFEHDY2023M"), ProtectionScheme: ptr(uint32(fourCENC))}},
		{id: "W1", size: 68, version: 1, system: pssh.CommonSystemID,
			boxKIDs: []string{"30313233343536373839303132333435", "4142434445464748494a4b4c4d4e4f50"},
			text:    "AAAARHBzc2gBAAAAEHfv7MCyTQKs4zweUuL7SwAAAAIwMTIzNDU2Nzg5MDEyMzQ1QUJDREVGR0hJSktMTU5PUAAAAAA="},
		{id: "S1", size: 50, system: wv, dataLen: 18, text: "AAAAMnBzc2gAAAAA7e+LqXnWSs6jyCfc1R0h7QAAABISEAABAgMEBQYHCAkKCwwNDg8=",
			data: pssh.WidevineData{KeyIDs: kidsOf(t, kidA)}},
		{id: "S2", size: 74, system: wv, dataLen: 42,
			text: "AAAASnBzc2gAAAAA7e+LqXnWSs6jyCfc1R0h7QAAACoSEAABAgMEBQYHCAkKCwwNDg8SEBAREhMUFRYXGBkaGxwdHh9I88aJmwY=",
			data: pssh.WidevineData{KeyIDs: kidsOf(t, kidA, kidB), ProtectionScheme: ptr(uint32(fourCBCS))}},
		{id: "S3", size: 104, version: 1, system: wv, dataLen: 36, boxKIDs: []string{kidA, kidB},
			text: "AAAAaHBzc2gBAAAA7e+LqXnWSs6jyCfc1R0h7QAAAAIAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHwAAACQSEAABAgMEBQYHCAkKCwwNDg8SEBAREhMUFRYXGBkaGxwdHh8=",
			data: pssh.WidevineData{KeyIDs: kidsOf(t, kidA, kidB)}},
		{id: "S4", size: 52, version: 1, system: wv, boxKIDs: []string{kidA}, text: "AAAANHBzc2gBAAAA7e+LqXnWSs6jyCfc1R0h7QAAAAEAAQIDBAUGBwgJCgsMDQ4PAAAAAA=="},
		{id: "S5", size: 32, system: wv, text: "AAAAIHBzc2gAAAAA7e+LqXnWSs6jyCfc1R0h7QAAAAA="},
		{id: "S6", size: 55, system: wv, dataLen: 23, text: "AAAAN3Bzc2gAAAAA7e+LqXnWSs6jyCfc1R0h7QAAABcaDGhhcm5lc3NfdGVzdCIHYXNzZXQtMQ==",
			data: pssh.WidevineData{Provider: ptr("harness_test"), ContentID: []byte("asset-1")}},
		{id: "S7", size: 68, system: wv, dataLen: 36,
			text: "AAAARHBzc2gAAAAA7e+LqXnWSs6jyCfc1R0h7QAAACQSEAABAgMEBQYHCAkKCwwNDg8SEBAREhMUFRYXGBkaGxwdHh8=",
			data: pssh.WidevineData{KeyIDs: kidsOf(t, kidA, kidB)}},
	}
}

// sampleText returns the base64 text of a sample.
func sampleText(t testing.TB, id string) string {
	t.Helper()
	for _, s := range samples(t) {
		if s.id == id {
			return s.text
		}
	}
	t.Fatalf("no sample %s", id)
	return ""
}

func sampleBox(t testing.TB, id string) []byte { return unbase64(t, sampleText(t, id)) }

func unbase64(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func kidsOf(t testing.TB, texts ...string) []drm.KID {
	t.Helper()
	var kids []drm.KID
	for _, s := range texts {
		kid, err := drm.ParseKID(s)
		if err != nil {
			t.Fatal(err)
		}
		kids = append(kids, kid)
	}
	return kids
}

func TestSamples(t *testing.T) {
	t.Parallel()
	for _, s := range samples(t) {
		t.Run(s.id, func(t *testing.T) {
			t.Parallel()
			raw := unbase64(t, s.text)
			boxes, notes, err := pssh.ParseText(s.text, pssh.Strict)
			if err != nil || len(boxes) != 1 || len(notes) != 0 {
				t.Fatalf("ParseText = %d boxes, notes %v, error %v; want one box alone", len(boxes), notes, err)
			}
			box := boxes[0]
			if len(box.Raw) != s.size || !bytes.Equal(box.Raw, raw) {
				t.Errorf("Raw is %d bytes, want the sample's %d", len(box.Raw), s.size)
			}
			if box.Version != s.version || box.Flags != 0 || box.SystemID != s.system || len(box.Data) != s.dataLen {
				t.Errorf("version %d, flags %d, system %s, %d bytes of Data; want %d, 0, %s, %d",
					box.Version, box.Flags, box.SystemID, len(box.Data), s.version, s.system, s.dataLen)
			}
			if want := kidsOf(t, s.boxKIDs...); !slices.Equal(box.KIDs, want) {
				t.Errorf("KID list %v, want %v", box.KIDs, want)
			}
			built, err := pssh.Build(box)
			if err != nil || !bytes.Equal(built, raw) {
				t.Errorf("Build = %x, %v; want the sample", built, err)
			}
			if s.system == pssh.WidevineSystemID {
				checkData(t, box.Data, s)
			}
		})
	}
}

func checkData(t *testing.T, data []byte, s sample) {
	t.Helper()
	d, err := pssh.ParseWidevineData(data)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Notes) != s.notes {
		t.Errorf("notes %v, want %d", d.Notes, s.notes)
	}
	if diff := differ(d, s.data); diff != "" {
		t.Error(diff)
	}
	// The samples' fields are in order of their numbers, so that nothing may change. P2 and the likes have no KIDs beside
	// the odd ones, whose order Marshal does not keep.
	if got := d.Marshal(); !bytes.Equal(got, data) {
		t.Errorf("Marshal = %x, want %x", got, data)
	}
}

func TestSchemeOfSamples(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]struct {
		scheme  drm.Scheme
		present bool
	}{
		"P1": {drm.SchemeCENC, false}, "P3": {drm.SchemeCENC, true}, "P6": {drm.SchemeCBCS, true}, "S2": {drm.SchemeCBCS, true}, "S7": {drm.SchemeCENC, false},
	} {
		boxes, _, err := pssh.ParseText(sampleText(t, id), pssh.Strict)
		if err != nil {
			t.Fatal(err)
		}
		d, err := pssh.ParseWidevineData(boxes[0].Data)
		if err != nil {
			t.Fatal(err)
		}
		if scheme, present := d.Scheme(); scheme != want.scheme || present != want.present {
			t.Errorf("%s: Scheme = %s, %t; want %s, %t", id, scheme, present, want.scheme, want.present)
		}
	}
}

// TestKIDsOfSamples holds the union of box and data for boxes where they differ.
func TestKIDsOfSamples(t *testing.T) {
	t.Parallel()
	for id, want := range map[string][]string{
		"P2": nil, "P4": nil, "S5": nil,
		"P7": {"0dc3ec4f7683548b81e73c64e582e136", "1447b7ed2f66572bbd1306ce7cf3610d", "5ac6a11eaa2f5ed5bf668c401c8134ca",
			"6ee13516c8e7587bae9f7ecd3e99a26e", "f9ec12a61a265d478f83334e3a78d2c7"},
		"P9": {"867c8d7670eab5e7aa10571830ad3d8c"},
		"W1": {"30313233343536373839303132333435", "4142434445464748494a4b4c4d4e4f50"},
		"S3": {kidA, kidB}, "S4": {kidA},
	} {
		boxes, _, err := pssh.ParseText(sampleText(t, id), pssh.Strict)
		if err != nil {
			t.Fatal(err)
		}
		if got := pssh.KIDs(boxes[0]); !slices.Equal(got, kidsOf(t, want...)) {
			t.Errorf("%s: KIDs = %v, want %v", id, got, want)
		}
	}
}

// TestConcatenated reads all samples as one list, as EME's init data is one.
func TestConcatenated(t *testing.T) {
	t.Parallel()
	var all []byte
	var texts strings.Builder
	for _, s := range samples(t) {
		all = append(all, unbase64(t, s.text)...)
		texts.WriteString(s.text + "\n")
	}
	boxes, notes, err := pssh.Parse(all, pssh.Strict)
	if err != nil || len(notes) != 0 || len(boxes) != len(samples(t)) {
		t.Fatalf("Parse = %d boxes, notes %v, error %v; want %d", len(boxes), notes, err, len(samples(t)))
	}
	fromText, _, err := pssh.ParseText(texts.String(), pssh.Strict)
	if err != nil || len(fromText) != len(boxes) {
		t.Fatalf("ParseText of all lines = %d boxes, error %v; want %d", len(fromText), err, len(boxes))
	}
	for i, s := range samples(t) {
		if want := unbase64(t, s.text); !bytes.Equal(boxes[i].Raw, want) || !bytes.Equal(fromText[i].Raw, want) {
			t.Errorf("box %d differs from %s", i, s.id)
		}
	}
}
