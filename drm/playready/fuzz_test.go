package playready

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/drm/playready/soap"
	"keyflow/drm/playready/xmr"
	"keyflow/drm/secret"
)

// checkExamination holds for every answer whatever to the challenge of the vectors.
func checkExamination(t *testing.T, x *examination) {
	t.Helper()
	fatal := false
	for _, f := range x.findings {
		if f.Reason == "" || f.Step == "" || f.Expected == "" || f.Seen == "" {
			t.Errorf("finding is not complete: %+v", f)
		}
		fatal = fatal || f.Fatal
	}
	if len(x.findings) > 10*maxLicenses || len(x.answer.Licenses) > maxLicenses {
		t.Errorf("%d findings, %d licenses", len(x.findings), len(x.answer.Licenses))
	}
	all := x.licenses()
	if fatal && len(all) > 0 || len(x.findings) == 0 && len(all) == 0 {
		t.Errorf("%d licenses with findings %v", len(all), x.findings)
	}
	for _, l := range all {
		if len(l.Keys) != 1 || l.Policy.License < 0 || l.Policy.Playback < 0 || !l.Policy.CanPlay {
			t.Errorf("license %+v", l)
		}
		if k := l.Keys[0]; x.depth == drm.DepthFull && k.Key.Len() != 16 || x.depth == drm.DepthShape && !k.Key.IsZero() {
			t.Errorf("a content key of %d bytes at depth %d", k.Key.Len(), x.depth)
		}
	}
}

// FuzzAnswer: of all bodies only those with the vectors' licenses give a key.
func FuzzAnswer(f *testing.F) {
	right, memory := vectorAnswer(f), vectorMemory(f)
	f.Add(right)
	f.Add(memory)
	f.Add([]byte(strings.Replace(string(right), "<LicenseNonce>", "<License>"+vectorLicense+"</License><LicenseNonce>", 1)))
	f.Add([]byte(strings.Replace(string(memory), "<Licenses>", "<Licenses><License>WE1S</License><License></License>", 1)))
	f.Add([]byte(strings.Replace(string(memory), "<Licenses>", "<Licenses><License>"+vectorLicense+"</License>", 1)))
	f.Add(soap.ResponseBody(soap.Response{Version: "1"}.Text(false), "", nil))
	f.Add(soap.FaultBody(soap.Fault{Code: soap.CodeInvalidMessage, Text: "no"}))
	f.Add([]byte("<html>"))
	f.Add([]byte(`{"license":""}`))
	f.Add([]byte{})
	p, sent := vectorPlatform(f), vectorPending(f)
	key := secret.New(unhex(f, vectorKey))
	signed, err := soap.ParseAnswer(right)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		checkExamination(t, p.examine(sent, body, drm.DepthShape))
		x := p.examine(sent, body, drm.DepthFull)
		checkExamination(t, x)
		for _, l := range x.licenses() {
			if l.Keys[0].KID.String() != vectorKID || !l.Keys[0].Key.Equal(key) {
				t.Error("a key that is not the vectors'")
			}
		}
		if len(x.findings) == 0 && x.persistent() && x.answer.Body.Response.Text(true) != signed.Response.Text(true) {
			t.Error("nothing is wrong with a signed response, and it is not the vectors'")
		}
	})
}

// FuzzSealedLicense: the server is who it should be, but what it seals is anything: objects in the outer container, around the
// vectors' encrypted key.
func FuzzSealedLicense(f *testing.F) {
	whole := unb64(f, vectorLicense)
	const prelude, signature = 32, 28
	f.Add(whole[prelude : len(whole)-signature])
	f.Add(vectorPersistent(f)[prelude : len(vectorPersistent(f))-signature])
	l, err := xmr.Parse(whole)
	if err != nil {
		f.Fatal(err)
	}
	global := l.Outer.Find(xmr.TypeGlobalPolicy)
	for _, more := range []*xmr.Object{
		xmr.Leaf(xmr.TypeExpiration, 1, []byte{0x65, 0x53, 0xf1, 0, 0x65, 0x53, 0xf1, 1}), xmr.Leaf(xmr.TypeExpiration, 1, []byte{0, 0, 0, 0, 0, 0, 0, 1}),
		xmr.Leaf(xmr.TypeIssueDate, 0, []byte{0x65, 0x53, 0xf1, 0}), xmr.Leaf(xmr.TypeFirstPlay, 1, []byte{0xff, 0xff, 0xff, 0xff}),
		xmr.Leaf(xmr.TypeUplinkKID, 0, []byte{1}), xmr.Leaf(0x1234, 0, nil),
	} {
		global.Children = append(global.Children, more)
		var b []byte
		for _, o := range l.Outer.Children[:len(l.Outer.Children)-1] {
			b = o.Append(b)
		}
		f.Add(b)
	}
	f.Add([]byte{})
	p, sent := vectorPlatform(f), vectorPending(f)
	integrity := secret.New(unhex(f, vectorIntegrity))
	f.Fuzz(func(t *testing.T, objects []byte) {
		b := slices.Concat(whole[:prelude], objects, whole[len(whole)-signature:])
		binary.BigEndian.PutUint32(b[28:], uint32(len(b)-24)) // the length of the outer container
		tag, err := xmr.CMAC(integrity, b[:len(b)-signature])
		if err != nil {
			t.Fatal(err)
		}
		copy(b[len(b)-16:], tag)
		body := soap.ResponseBody(soap.Response{Version: "1", Licenses: [][]byte{b}}.Text(false), "", nil)
		x := p.examine(sent, body, drm.DepthFull)
		checkExamination(t, x)
		for _, l := range x.answer.Licenses {
			if l.Usable && (l.XMR.SecurityLevel > 150 || l.XMR.DeviceKey != p.identity.encrypt.Public()) {
				t.Errorf("a license for another device can be used: %+v", l)
			}
		}
	})
}

// FuzzParseKey: what is read is a key of P-256, and is written and read again as the same.
func FuzzParseKey(f *testing.F) {
	key := everybody(f).sign
	f.Add(key.Scalar().Reveal())
	f.Add(pemOf("PRIVATE KEY", pkcs8(f, ecdsaOf(f, key))))
	f.Add(pemOf("EC PRIVATE KEY", sec1(f, ecdsaOf(f, key))))
	f.Add(pemOf("ENCRYPTED PRIVATE KEY", []byte("x")))
	f.Add(append(pemOf("EC PARAMETERS", []byte{6, 8}), pemOf("EC PRIVATE KEY", []byte{0x30})...))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := ParseKey(b)
		if err != nil {
			if len(b) >= 16 && strings.Contains(err.Error(), string(b)) || !k.IsZero() {
				t.Errorf("the error quotes what was read, or there is a key: %v", err)
			}
			return
		}
		text, err := MarshalKey(k)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseKey(text); err != nil || again.Public() != k.Public() {
			t.Errorf("read again: %v", err)
		}
	})
}
