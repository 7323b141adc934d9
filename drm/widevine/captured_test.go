package widevine

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/pssh"
	"keyflow/drm/widevine/wire"
)

func TestCapture(t *testing.T) {
	t.Parallel()
	p := testPlatform(t)
	m := request(t, openSession(t, p))
	c, err := Capture(m.Body)
	if err != nil {
		t.Fatal(err)
	}
	if c.System != drm.Widevine || c.Kind != drm.KindLicense || !slices.Equal(c.KIDs, []drm.KID{vectorKID}) || !c.Made.Equal(testNow) ||
		!reflect.DeepEqual(c.Body, m.Body) || !c.CustomData.IsZero() {
		t.Errorf("captured %+v", c)
	}
	if again := request(t, reopen(t, p, c.Box)); !slices.Equal(again.KIDs, m.KIDs) {
		t.Errorf("the box asks for %v", again.KIDs)
	}
	if c, err = Capture(requestCertificate(t, openSession(t, p)).Body); err != nil || c.Kind != drm.KindCertificate || c.KIDs != nil {
		t.Errorf("certificate request: %+v, %v", c, err)
	}
}

func reopen(t *testing.T, p *Platform, box drm.Box) drm.Session {
	t.Helper()
	s, err := p.Open(t.Context(), box, drm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestCaptureInitData: a request may hold whole boxes, or none of the content's data.
func TestCaptureInitData(t *testing.T) {
	t.Parallel()
	raw, err := pssh.Build(testBox())
	if err != nil {
		t.Fatal(err)
	}
	type content = wire.LicenseRequest_ContentIdentification
	for name, c := range map[string]struct {
		id   *content
		kids []drm.KID
	}{
		"init data":    {&content{ContentIdVariant: &wire.LicenseRequest_ContentIdentification_InitData_{InitData: &wire.LicenseRequest_ContentIdentification_InitData{InitData: raw}}}, []drm.KID{vectorKID}},
		"spoilt":       {&content{ContentIdVariant: &wire.LicenseRequest_ContentIdentification_InitData_{InitData: &wire.LicenseRequest_ContentIdentification_InitData{InitData: raw[:9]}}}, nil},
		"no pssh data": {&content{ContentIdVariant: &wire.LicenseRequest_ContentIdentification_WidevinePsshData_{WidevinePsshData: &wire.LicenseRequest_ContentIdentification_WidevinePsshData{}}}, nil},
		"nothing":      {nil, nil},
	} {
		m := request(t, openSession(t, testPlatform(t).WithForge(Forge{Request: func(r *wire.LicenseRequest) { r.ContentId = c.id }})))
		got, err := Capture(m.Body)
		if err != nil || !slices.Equal(got.KIDs, c.kids) {
			t.Errorf("%s: KIDs %v, %v", name, got.KIDs, err)
		}
	}
}

func TestCaptureRefuses(t *testing.T) {
	t.Parallel()
	renewal := request(t, openSession(t, testPlatform(t).WithForge(Forge{Request: func(r *wire.LicenseRequest) { r.Type = wire.LicenseRequest_RENEWAL.Enum() }})))
	for _, c := range []struct {
		name string
		body []byte
		want string
	}{
		{"text", []byte("<html>"), "HTML"},
		{"empty", nil, "SignedMessage"},
		{"an answer", []byte{0x08, 0x02}, "LICENSE"},
		{"no msg", []byte{0x08, 0x01}, "empty"},
		{"msg is text", append([]byte{0x08, 1, 0x12, 4}, "text"...), "parse license request"},
		{"renewal", renewal.Body, "RENEWAL"},
	} {
		_, err := Capture(c.body)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.name == "renewal" && !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%v is not unsupported", err)
		}
	}
}

func TestRecognizes(t *testing.T) {
	t.Parallel()
	p := testPlatform(t)
	clear, encrypted := request(t, openSession(t, p)), request(t, openSession(t, private(t, rootedPlatform(t))))
	for name, body := range map[string][]byte{"in the clear": clear.Body, "privacy mode": encrypted.Body} {
		if !p.Recognizes(body) {
			t.Errorf("%s: its own request is not recognised", name)
		}
	}
	other := request(t, openSession(t, p.WithForge(Forge{Sign: invert})))
	for name, body := range map[string][]byte{"another's": other.Body, "text": []byte("<html>"), "certificate": {0x08, 0x04}} {
		if p.Recognizes(body) {
			t.Errorf("%s is recognised", name)
		}
	}
}

// TestOnlooker: without the device everything that can be seen from outside is judged, and nothing counts as judged in full.
func TestOnlooker(t *testing.T) {
	t.Parallel()
	m := request(t, openSession(t, testPlatform(t)))
	onlooker := NewOnlooker(nil)
	for _, c := range []struct {
		name    string
		license func(l *wire.License)
		answer  func(a *wire.SignedMessage)
		want    []drm.Reason
	}{
		{name: "right"},
		{name: "message type", answer: func(a *wire.SignedMessage) { a.Type = wire.SignedMessage_LICENSE_REQUEST.Enum() }, want: []drm.Reason{ReasonMessageType}},
		{name: "session key of another length", answer: func(a *wire.SignedMessage) { a.SessionKey = a.SessionKey[1:] }, want: []drm.Reason{ReasonSessionKeyLen}},
		{name: "no signature", answer: func(a *wire.SignedMessage) { a.Signature = nil }, want: []drm.Reason{ReasonNoSignature}},
		{name: "another request", license: func(l *wire.License) { l.Id.RequestId = []byte("other") }, want: []drm.Reason{ReasonRequestID}},
		{name: "no keys", license: func(l *wire.License) { l.Key = nil }, want: []drm.Reason{ReasonNoContentKeys}},
		{name: "cannot be seen: wrong signature", answer: func(a *wire.SignedMessage) { a.Signature[0] ^= 1 }},
	} {
		a := new(wire.SignedMessage)
		if err := proto.Unmarshal(answerTo(t, m.Body, c.license), a); err != nil {
			t.Fatal(err)
		}
		if c.answer != nil {
			c.answer(a)
		}
		v := onlooker.Judge(drm.Ticket{System: drm.Widevine, Kind: drm.KindLicense}, m.Body, serialize(t, a), drm.DepthFull)
		if got := reasons(v.Findings); !slices.Equal(got, c.want) || v.Keys != nil || v.Depth != drm.DepthShape {
			t.Errorf("%s: verdict %+v, want %v", c.name, v, c.want)
		}
	}
	if v := onlooker.Judge(m.Ticket, []byte("<html>"), nil, drm.DepthFull); !slices.Equal(reasons(v.Findings), []drm.Reason{ReasonNotProtobuf}) {
		t.Errorf("a request that is none: %+v", v)
	}
	certificate := certificateAnswer(t, serviceCertificate(t, nil))
	ticket := drm.Ticket{Kind: drm.KindCertificate, Minted: testNow}
	if v := NewOnlooker(testKey(t).Public()).Judge(ticket, nil, certificate, drm.DepthFull); len(v.Findings) > 0 || v.Depth != drm.DepthFull {
		t.Errorf("certificate: %+v", v)
	}
	if v := onlooker.Judge(ticket, nil, certificate, drm.DepthFull); len(v.Findings) == 0 {
		t.Error("a certificate of another root was accepted")
	}
}

// FuzzCapture: a request that can be captured can be judged by, whatever the answer.
func FuzzCapture(f *testing.F) {
	msg := unhex(f, vectorRequest)
	f.Add(serialize(f, &wire.SignedMessage{Type: wire.SignedMessage_LICENSE_REQUEST.Enum(), Msg: msg, Signature: make([]byte, 256)}))
	f.Add([]byte{0x08, 0x04})
	f.Add([]byte("<html>"))
	answer := serialize(f, fuzzAnswer(f))
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := Capture(body)
		if err != nil {
			return
		}
		if c.Kind != drm.KindLicense && c.Kind != drm.KindCertificate || len(c.Body) != len(body) {
			t.Fatalf("captured %+v", c)
		}
		if v := NewOnlooker(nil).Judge(drm.Ticket{Kind: c.Kind}, c.Body, answer, drm.DepthFull); c.Kind == drm.KindLicense && v.Depth != drm.DepthShape {
			t.Fatalf("verdict %+v", v)
		}
	})
}
