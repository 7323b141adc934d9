package widevine

import (
	"bytes"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

// fuzzAnswer is the vectors' answer for the device of vector T8.
func fuzzAnswer(t testing.TB) *wire.SignedMessage {
	t.Helper()
	return &wire.SignedMessage{
		Type: wire.SignedMessage_LICENSE.Enum(), Msg: unhex(t, vectorLicense), Signature: unhex(t, vectorMAC), SessionKey: unhex(t, fuzzWrapped),
	}
}

// checkExamination holds for every answer whatever.
func checkExamination(t *testing.T, x *examination) {
	t.Helper()
	fatal := false
	for _, f := range x.findings {
		if f.Reason == "" || f.Step == "" || f.Expected == "" || f.Seen == "" {
			t.Errorf("finding is not complete: %+v", f)
		}
		fatal = fatal || f.Fatal
	}
	if len(x.findings) > 4*maxContainers+20 || len(x.answer.Containers) > maxContainers || len(x.answer.Unknown) > maxUnknown {
		t.Errorf("%d findings, %d containers, %d unknown fields", len(x.findings), len(x.answer.Containers), len(x.answer.Unknown))
	}
	l, ok := x.license()
	if ok == fatal {
		t.Errorf("license %v with findings %v", ok, x.findings)
	}
	for _, k := range l.Keys {
		if k.Key.Len() != 16 {
			t.Errorf("a content key of %d bytes", k.Key.Len())
		}
	}
	if p := l.Policy; p.License < 0 || p.Playback < 0 || p.Rental < 0 || p.RenewAfter < 0 || p.RetryEvery < 0 {
		t.Errorf("policy %+v", p)
	}
}

// FuzzAnswer: of all bodies only the vector answer, however it is encoded, gives a license.
func FuzzAnswer(f *testing.F) {
	right := fuzzAnswer(f)
	core := proto.CloneOf(right)
	core.OemcryptoCoreMessage, core.Signature = unhex(f, "c0c1c2c3"), unhex(f, vectorCoreMAC)
	split := proto.CloneOf(right) // core ‖ msg is what was signed, but its parts are not
	split.OemcryptoCoreMessage, split.Msg = right.Msg[:34], right.Msg[34:]
	for _, a := range []*wire.SignedMessage{right, core, split} {
		f.Add(serialize(f, a))
	}
	f.Add([]byte{0x08, 0x03, 0x12, 0x02, 0x08, 0x01})
	f.Add([]byte{0x08, 0x04})
	f.Add([]byte("<html>"))
	f.Add([]byte(`{"status":"OK"}`))
	f.Add([]byte{})
	key := fuzzKey(f)
	sent, err := pendingOf(unhex(f, vectorRequest))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		checkExamination(t, examine(key, sent, body, drm.DepthShape))
		x := examine(key, sent, body, drm.DepthFull)
		checkExamination(t, x)
		l, ok := x.license()
		if !ok {
			return
		}
		e := x.answer.Envelope
		got := slices.Concat(e.GetOemcryptoCoreMessage(), e.GetMsg(), e.GetSignature())
		if !bytes.Equal(got, slices.Concat(right.Msg, right.Signature)) && !bytes.Equal(got, slices.Concat(core.OemcryptoCoreMessage, core.Msg, core.Signature)) ||
			!bytes.Equal(e.GetSessionKey(), right.SessionKey) {
			t.Errorf("a license that is not the vector's: %v", e)
		}
		if len(l.Keys) > 1 || len(l.Keys) == 1 && (l.Keys[0].KID != vectorKID || !bytes.Equal(l.Keys[0].Key.Reveal(), vectorKey)) {
			t.Error("the keys are not the vector's")
		}
	})
}

// FuzzSignedAnswer: the server is who it should be, but what it signs is anything.
func FuzzSignedAnswer(f *testing.F) {
	keys := vectorKeys(f)
	l := vectorFields(f)
	f.Add(serialize(f, l))
	l.Policy = &wire.License_Policy{CanPlay: proto.Bool(true), LicenseDurationSeconds: proto.Int64(1 << 62), RenewalServerUrl: proto.String("x")}
	l.Key = append(l.Key, contentContainer(f, keys, drm.KID{1}, bytes.Repeat([]byte{5}, 16)), contentContainer(f, keys, drm.KID{1}, make([]byte, 15)),
		&wire.License_KeyContainer{Type: wire.License_KeyContainer_KEY_CONTROL.Enum()}, &wire.License_KeyContainer{Iv: make([]byte, 16), Key: make([]byte, 80)})
	f.Add(serialize(f, l))
	f.Add(bytes.Repeat([]byte{0x1a, 0}, 2*maxContainers))
	f.Add([]byte{})
	f.Add([]byte("<html>"))
	key := fuzzKey(f)
	sent, err := pendingOf(unhex(f, vectorRequest))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		a := fuzzAnswer(t)
		a.Msg, a.Signature = msg, ladder.MAC(keys.Server, nil, msg)
		x := examine(key, sent, serialize(t, a), drm.DepthFull)
		checkExamination(t, x)
		for _, finding := range x.findings {
			switch finding.Reason {
			case ReasonSignature, ReasonSignatureCore, ReasonSessionKey, ReasonSessionKeyLen, ReasonSessionKeyType, ReasonNoSignature, ReasonMessageType:
				t.Errorf("a right envelope has finding %v", finding)
			}
		}
		if l, ok := x.license(); ok && !bytes.Equal(x.answer.License.GetId().GetRequestId(), sent.requestID) {
			t.Errorf("license %+v of another request", l)
		}
	})
}

// FuzzRenewedAnswer: the server is who it should be, but what it signs is anything: no answer moves the session to another one, or to
// another content key, without a finding.
func FuzzRenewedAnswer(f *testing.F) {
	f.Add(unhex(f, vectorRenewed))
	l := new(wire.License)
	if err := proto.Unmarshal(unhex(f, vectorRenewed), l); err != nil {
		f.Fatal(err)
	}
	withSigning(f)(l)
	l.Key = append(l.Key, contentContainer(f, vectorKeys(f), vectorKID, vectorKey), contentContainer(f, vectorKeys(f), vectorKID, make([]byte, 16)))
	f.Add(serialize(f, l))
	f.Add(unhex(f, vectorLicense))
	f.Add([]byte{})
	key := fuzzKey(f)
	p := vectorPending(f)
	x := examine(key, p, serialize(f, fuzzAnswer(f)), drm.DepthFull)
	license, ok := x.license()
	if !ok {
		f.Fatal(x.findings)
	}
	h := x.holding(license)
	f.Fuzz(func(t *testing.T, msg []byte) {
		for _, kind := range []drm.Kind{drm.KindRenewal, drm.KindRelease} {
			copied := *h
			sent := pending{kind: kind, requestID: p.requestID, existing: &existing{holding: &copied, id: h.id, keys: h.keys}}
			s := &session{licenses: []drm.License{license}, holdings: []*holding{&copied}}
			x := examineExisting(key, sent, serialize(t, &wire.SignedMessage{
				Type: wire.SignedMessage_LICENSE.Enum(), Msg: msg, Signature: ladder.MAC(h.keys.server, nil, msg),
			}))
			for _, finding := range x.findings {
				if finding.Reason == "" || finding.Step == "" || finding.Expected == "" || finding.Seen == "" {
					t.Errorf("finding is not complete: %+v", finding)
				}
			}
			s.advance(x)
			if kind == drm.KindRelease {
				continue
			}
			if !bytes.Equal(copied.id.GetSessionId(), h.id.GetSessionId()) || !bytes.Equal(copied.id.GetRequestId(), h.id.GetRequestId()) {
				t.Errorf("the session moved to %v", copied.id)
			}
			if !s.licenses[0].Keys[0].Key.Equal(secret.New(vectorKey)) {
				t.Error("the content key changed")
			}
		}
	})
}

// TestFuzzDevice keeps the device of the fuzz targets in step with vector T8.
func TestFuzzDevice(t *testing.T) {
	t.Parallel()
	got, err := ladder.UnwrapSessionKey(fuzzKey(t).Reveal(), unhex(t, fuzzWrapped))
	if err != nil || !got.Equal(secret.New(unhex(t, vectorSession))) {
		t.Errorf("session key of vector T8: %v", err)
	}
}
