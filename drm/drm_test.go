package drm_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/secret"
)

var kid = drm.KID{0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff}

const uuid = "00112233-4455-6677-8899-aabbccddeeff"

func TestParseKID(t *testing.T) {
	t.Parallel()
	for _, s := range []string{uuid, strings.ToUpper(uuid), strings.ReplaceAll(uuid, "-", ""), "00112233445566778899AABBCCDDEEFF"} {
		if got, err := drm.ParseKID(s); err != nil || got != kid {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for name, s := range map[string]string{
		"empty":              "",
		"31 digits":          uuid[1:],
		"33 digits":          "0" + strings.ReplaceAll(uuid, "-", ""),
		"no digit":           "g" + uuid[1:],
		"no digit, no UUID":  strings.Repeat("g", 32),
		"braces":             "{" + uuid + "}",
		"URN":                "urn:uuid:" + uuid,
		"space":              " " + uuid,
		"misplaced hyphen":   "0011223-34455-6677-8899-aabbccddeeff",
		"hyphens at the end": "00112233445566778899aabbccddeeff----",
		"hyphen for a digit": "0-112233-4455-6677-8899-aabbccddeeff",
		"one hyphen":         "00112233-445566778899aabbccddeeff",
		"32 with a hyphen":   "00112233-445566778899aabbccddeef",
		"no ASCII":           strings.Repeat("é", 18),
	} {
		if got, err := drm.ParseKID(s); err == nil || !strings.Contains(err.Error(), "KID") {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func FuzzParseKID(f *testing.F) {
	f.Add(uuid)
	f.Add(strings.ReplaceAll(uuid, "-", ""))
	f.Add("{" + uuid + "}")
	f.Add("00112233445566778899aabbccddeeff----")
	f.Fuzz(func(t *testing.T, s string) {
		k, err := drm.ParseKID(s)
		if err == nil && k.String() != strings.ToLower(s) && strings.ReplaceAll(k.String(), "-", "") != strings.ToLower(s) {
			t.Errorf("%q reads as %v", s, k)
		}
	})
}

func TestKIDFromBytes(t *testing.T) {
	t.Parallel()
	if got, ok := drm.KIDFromBytes(kid[:]); !ok || got != kid {
		t.Errorf("16 bytes: %v, %v", got, ok)
	}
	for _, n := range []int{0, 1, 15, 17, 32} {
		if got, ok := drm.KIDFromBytes(make([]byte, n)); ok || !got.IsZero() {
			t.Errorf("%d bytes: %v, %v", n, got, ok)
		}
	}
	if kid.IsZero() || !(drm.KID{}).IsZero() {
		t.Error("IsZero")
	}
}

func TestKIDText(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(map[drm.KID]drm.KID{kid: kid})
	if err != nil || string(text) != `{"`+uuid+`":"`+uuid+`"}` {
		t.Fatalf("%s, %v", text, err)
	}
	var back map[drm.KID]drm.KID
	if err := json.Unmarshal(text, &back); err != nil || back[kid] != kid {
		t.Errorf("%v, %v", back, err)
	}
	k := kid
	if err := k.UnmarshalText([]byte("0011")); err == nil || k != kid {
		t.Errorf("%v, %v: a KID that cannot be read was stored", k, err)
	}
	id, err := drm.SystemID(kid).MarshalText()
	if err != nil || string(id) != uuid || drm.SystemID(kid).String() != uuid {
		t.Errorf("system id %s, %v", id, err)
	}
}

func TestJoinKIDs(t *testing.T) {
	t.Parallel()
	for want, kids := range map[string][]drm.KID{
		"none":                                 nil,
		uuid:                                   {kid},
		uuid + ", " + (drm.KID{}).String():     {kid, {}},
		"00000000-0000-0000-0000-000000000000": {{}},
	} {
		if got := drm.JoinKIDs(kids); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	at := time.Unix(1700000000, 0)
	var c drm.Clock = drm.ClockFunc(func() time.Time { return at })
	if !c.Now().Equal(at) {
		t.Errorf("%v", c.Now())
	}
	if before := time.Now(); drm.SystemClock.Now().Before(before) {
		t.Error("the system clock is behind")
	}
}

func TestObservation(t *testing.T) {
	t.Parallel()
	minor := drm.Finding{Reason: "minor", Expected: "this", Seen: "that"}
	first := drm.Finding{Reason: "first", Fatal: true}
	o := drm.Observation{Findings: []drm.Finding{minor, first, {Reason: "second", Fatal: true}}}
	if f := o.Fatal(); f == nil || f.Reason != "first" {
		t.Errorf("first fatal finding: %v", f)
	}
	if f := o.Find("second", "minor"); f == nil || f.Reason != "minor" {
		t.Errorf("first of two reasons: %v", f)
	}
	if f := o.Find("third"); f != nil {
		t.Errorf("a reason that is not there: %v", f)
	}
	if f := o.Find(); f != nil {
		t.Errorf("no reason: %v", f)
	}
	if f := (&drm.Observation{Findings: []drm.Finding{minor}}).Fatal(); f != nil {
		t.Errorf("fatal finding: %v", f)
	}
	if got, want := minor.Error(), "minor: expected this, seen that"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestLicenseKey(t *testing.T) {
	t.Parallel()
	l := drm.License{Keys: []drm.ContentKey{
		{KID: drm.KID{1}, TrackLabel: "SD"}, {KID: kid, TrackLabel: "HD", Key: secret.New([]byte("0123456789abcdef"))},
	}}
	if k, ok := l.Key(kid); !ok || k.TrackLabel != "HD" || k.Key.Len() != 16 {
		t.Errorf("%v, %v", k, ok)
	}
	if k, ok := l.Key(drm.KID{2}); ok || !k.Key.IsZero() {
		t.Errorf("a KID that is not there: %v, %v", k, ok)
	}
}
