package pssh_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"keyflow/drm"
	"keyflow/drm/pssh"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// everyField returns data with every field of sheet widevine.md §4.12 and two unknown ones.
func everyField(t testing.TB) pssh.WidevineData {
	t.Helper()
	return pssh.WidevineData{
		Algorithm: ptr(pssh.Unencrypted), KeyIDs: kidsOf(t, kidB, kidA), OddKeyIDs: [][]byte{{}, make([]byte, 17)}, Provider: ptr("p"), ContentID: []byte("c"),
		TrackType: ptr("SD"), Policy: ptr("q"), CryptoPeriodIndex: ptr(uint32(1<<32 - 1)), GroupedLicense: []byte("g"), ProtectionScheme: ptr(uint32(fourCBCS)),
		CryptoPeriodSeconds: ptr(uint32(60)), Type: ptr(pssh.TypeEntitledKey), KeySequence: ptr(uint32(0)), GroupIDs: [][]byte{{}, []byte("gid")},
		EntitledKeys: []pssh.EntitledKey{{EntitlementKeyID: []byte("e"), KeyID: []byte("k"), Key: []byte("wrapped"), IV: []byte("iv"), KeySize: ptr(uint32(32)),
			Unknown: []pssh.UnknownField{{Number: 6, Raw: unhex(t, "3001")}}}, {}},
		VideoFeature: ptr("HDR"),
		Unknown:      []pssh.UnknownField{{Number: 16, Raw: unhex(t, "8201 02 abcd")}, {Number: 100, Raw: unhex(t, "a306 0801 a406")}},
	}
}

func TestWidevineDataEveryField(t *testing.T) {
	t.Parallel()
	want := everyField(t)
	b := want.Marshal()
	got, err := pssh.ParseWidevineData(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := differ(got, want); diff != "" {
		t.Error(diff)
	}
	if len(got.Notes) != 2 || got.Notes[0].Offset != int64(2+2*18) || !strings.Contains(got.Notes[1].Text, "key_id of 17 bytes, not 16") {
		t.Errorf("notes %v, want one for each odd key_id", got.Notes)
	}
	if again := got.Marshal(); !bytes.Equal(again, b) {
		t.Errorf("Marshal = %x, want %x", again, b)
	}
	// The numbers of the wire format, by another reader.
	var numbers []protowire.Number
	for rest := b; len(rest) > 0; {
		num, _, n := protowire.ConsumeField(rest)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		numbers, rest = append(numbers, num), rest[n:]
	}
	if got := fmt.Sprint(numbers); got != "[1 2 2 2 2 3 4 5 6 7 8 9 10 11 12 13 13 14 14 15 16 100]" {
		t.Errorf("fields %s", got)
	}
}

func TestWidevineDataForms(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, in string
		want     pssh.WidevineData
		note     string
	}{
		{"empty", "", pssh.WidevineData{}, ""},
		{"present but empty", "1a00 2200 3800", pssh.WidevineData{Provider: ptr(""), ContentID: []byte{}, CryptoPeriodIndex: ptr(uint32(0))}, ""},
		{"repeated single fields", "3801 3802 2201 61 2201 62", pssh.WidevineData{CryptoPeriodIndex: ptr(uint32(2)), ContentID: []byte("b")}, "field 7 stands more than once"},
		{"packed number", "3a02 0102", pssh.WidevineData{CryptoPeriodIndex: ptr(uint32(2))}, "field 7 is in packed form"},
		{"packed and empty", "4a00", pssh.WidevineData{}, "field 9 is in packed form"},
		{"packed and broken", "3a01 80", pssh.WidevineData{Unknown: []pssh.UnknownField{{Number: 7, Raw: []byte{0x3a, 1, 0x80}}}}, ""},
		{"other wire types", "1001 3d 01020304 2001", pssh.WidevineData{Unknown: []pssh.UnknownField{{Number: 2, Raw: []byte{0x10, 1}},
			{Number: 7, Raw: []byte{0x3d, 1, 2, 3, 4}}, {Number: 4, Raw: []byte{0x20, 1}}}}, ""},
		{"more than 32 bits", "38 8180808010", pssh.WidevineData{CryptoPeriodIndex: ptr(uint32(1))}, "field 7 does not fit in 32 bits"},
		{"unknown enumeration numbers", "0807 5863", pssh.WidevineData{Algorithm: ptr(pssh.Algorithm(7)), Type: ptr(pssh.DataType(99))}, ""},
		{"broken entitled key", "7201 08", pssh.WidevineData{Unknown: []pssh.UnknownField{{Number: 14, Raw: []byte{0x72, 1, 8}}}}, "entitled_keys entry cannot be read"},
		{"KID as text", "1220 " + hex.EncodeToString([]byte("00010203040506070809101112131415")),
			pssh.WidevineData{OddKeyIDs: [][]byte{[]byte("00010203040506070809101112131415")}}, "key_id of 32 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := pssh.ParseWidevineData(unhex(t, c.in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := differ(got, c.want); diff != "" {
				t.Error(diff)
			}
			if notes := fmt.Sprint(got.Notes); !strings.Contains(notes, c.note) || (c.note == "") != (len(got.Notes) == 0) {
				t.Errorf("notes %s, want … %s …", notes, c.note)
			}
		})
	}
}

func TestWidevineDataMalformed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, in string
		offset   int64
		text     string
	}{
		{"field number 0", "3801 00", 2, "a protobuf field tag"},
		{"tag cut", "80", 0, "a protobuf field tag"},
		{"value cut", "3801 2205 61", 2, "a value of protobuf field 4"},
		{"length near 2^63", "22 ffffffffffffffff7f", 0, "a value of protobuf field 4"},
		{"varint of 11 bytes", "38 8080808080808080808001", 0, "a value of protobuf field 7"},
		{"wire type 6", "3e", 0, "a value of protobuf field 7"},
		{"end of no group", "a406", 0, "a value of protobuf field 100"},
		{"group without end", "a306 0801", 0, "a value of protobuf field 100"},
		{"too long", strings.Repeat("00", pssh.MaxWidevineData+1), -1, "at most 262144 bytes"},
	} {
		_, err := pssh.ParseWidevineData(unhex(t, c.in))
		if e := errorOf(t, err); e.Offset != c.offset || !strings.Contains(e.Error(), c.text) {
			t.Errorf("%s: %v at byte %d; want … %s … at %d", c.name, e, e.Offset, c.text, c.offset)
		}
	}
}

func TestWidevineDataIsBounded(t *testing.T) {
	t.Parallel()
	const most = 1 << 14
	d, err := pssh.ParseWidevineData(bytes.Repeat([]byte{0x12, 0x00}, most))
	if err != nil || len(d.OddKeyIDs) != most {
		t.Fatalf("%d odd key_ids, error %v", len(d.OddKeyIDs), err)
	}
	if len(d.Notes) != 100 || d.Notes[99].Text != "further notes left out" {
		t.Errorf("%d notes, the last is %v", len(d.Notes), d.Notes[len(d.Notes)-1])
	}
	for name, b := range map[string][]byte{
		"fields":       bytes.Repeat([]byte{0x12, 0x00}, most+1),
		"inner fields": bytes.Repeat([]byte{0x72, 0x02, 0x28, 0x01}, most/2+1),
	} {
		_, err := pssh.ParseWidevineData(b)
		if e := errorOf(t, err); !strings.Contains(e.Error(), "at most 16384 protobuf fields, seen more") {
			t.Errorf("%s: %v", name, e)
		}
	}
}

func TestScheme(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		v       uint32
		scheme  drm.Scheme
		noticed bool
	}{
		{1667591779, drm.SchemeCENC, false}, {1667392305, drm.SchemeCBC1, false}, {1667591795, drm.SchemeCENS, false}, {1667392371, drm.SchemeCBCS, false},
		{0x636e6563, "cnec", true}, {0, "0x00000000", true}, {1, "0x00000001", true},
	} {
		d := pssh.WidevineData{ProtectionScheme: ptr(c.v)}
		if s, present := d.Scheme(); s != c.scheme || !present {
			t.Errorf("Scheme of %d = %s, %t; want %s", c.v, s, present, c.scheme)
		}
		got, err := pssh.ParseWidevineData(d.Marshal())
		if err != nil || (len(got.Notes) > 0) != c.noticed {
			t.Errorf("%d: notes %v, error %v", c.v, got.Notes, err)
		}
	}
	var none pssh.WidevineData
	if s, present := none.Scheme(); s != drm.SchemeCENC || present {
		t.Errorf("absent scheme = %s, %t; want cenc, absent", s, present)
	}
}

func TestEnumNames(t *testing.T) {
	t.Parallel()
	got := fmt.Sprint(pssh.Unencrypted, pssh.AESCTR, pssh.Algorithm(2), pssh.TypeSingle, pssh.TypeEntitlement, pssh.TypeEntitledKey, pssh.DataType(3))
	if got != "UNENCRYPTED AESCTR 2 SINGLE ENTITLEMENT ENTITLED_KEY 3" {
		t.Error(got)
	}
}
