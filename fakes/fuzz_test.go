package fakes_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/widevine/wire"
	"keyflow/fakes"
)

// FuzzHandler posts arbitrary bodies: the handler never panics, never takes one for a key request of a trusted device,
// refuses with a 4xx what is no certificate request, and counts every one. Fuzzing can't sign, so that no body but a
// seed's own is right.
func FuzzHandler(f *testing.F) {
	good := ask{}.make(f).body
	f.Add([]byte{})
	f.Add([]byte{8, 4})
	f.Add([]byte{8, 4, 0x12, 0})
	f.Add(ask{edit: private(f, wrongPrivacy(f)["last block"])}.make(f).body)
	f.Add([]byte{8, 1, 0x12, 0})
	f.Add(good[:len(good)/2])
	f.Add(flip(good, len(good)-1))
	f.Add(flip(good, 40))
	f.Add(ask{envelope: func(m *wire.SignedMessage) { m.Signature = nil }}.make(f).body)
	f.Add(ask{edit: func(m *wire.LicenseRequest) { m.Type = wire.LicenseRequest_RENEWAL.Enum() }}.make(f).body)
	f.Add(ask{device: authority(f, foreign).Devices()[0]}.make(f).body)
	s := start(f, fakes.Options{AnyKID: true})
	f.Fuzz(func(t *testing.T, body []byte) {
		before, _ := s.Count()
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, s.LicenseURL(), bytes.NewReader(body)))
		want := fakes.Count{Received: before.Received + 1, Answered: before.Answered, Refused: before.Refused + 1}
		switch {
		case w.Code == http.StatusOK && bytes.Equal(certificateOf(t, w.Body.Bytes()), s.Authority().ServiceCertificate()):
			want.Answered, want.Refused = before.Answered+1, before.Refused
		case w.Code < 400 || w.Code >= 500:
			t.Errorf("status %d", w.Code)
		}
		if after, _ := s.Count(); after != want {
			t.Errorf("counts %+v, then %+v", before, after)
		}
	})
}

// FuzzContent posts requests that are signed well and ask for arbitrary content: a license has only keys that were asked
// for, and none is granted for what can't be read.
func FuzzContent(f *testing.F) {
	f.Add(psshData(kid0))
	f.Add(appendVarint(psshData(kid0, kid1), 9, cbcs))
	f.Add(appendBytes(nil, 2, []byte("0")))
	f.Add(appendBytes(nil, 4, []byte("asset-1")))
	f.Add([]byte{0xff})
	s := start(f, fakes.Options{ContentIDs: map[string][]drm.KID{"asset-1": {kid1}}})
	f.Fuzz(func(t *testing.T, data []byte) {
		r := ask{pssh: [][]byte{data}}.make(t)
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, s.LicenseURL(), bytes.NewReader(r.body)))
		switch w.Code {
		case http.StatusBadRequest, http.StatusNotFound, http.StatusRequestEntityTooLarge:
		case http.StatusOK:
			o, err := openLicense(r, w.Body.Bytes())
			must(t, err)
			for kid := range o.contentKeys(t) {
				if kid != kid0 && kid != kid1 {
					t.Errorf("a key for %s, which the server doesn't know", kid)
				}
			}
			if len(o.content()) == 0 || len(o.content()) > 2 {
				t.Errorf("%d content keys", len(o.content()))
			}
		default:
			t.Errorf("status %d", w.Code)
		}
	})
}

// FuzzClientID posts signed requests whose encrypted client id holds arbitrary bytes, or is arbitrary itself: none gets a
// license but the device's own id, and what can't be decrypted and read has one answer.
func FuzzClientID(f *testing.F) {
	f.Add([]byte{}, []byte{}, []byte{})
	f.Add(firstDevice(f).ClientID(), []byte{}, []byte{})
	f.Add([]byte{8, 1, 0x12, 0}, []byte{}, []byte{})
	f.Add([]byte{8, 1}, make([]byte, 16), make([]byte, 256))
	f.Add([]byte{0xff}, make([]byte, 15), []byte{1})
	s := start(f, fakes.Options{})
	f.Fuzz(func(t *testing.T, id, iv, key []byte) {
		body := ask{edit: private(t, privacy{
			plain: func([]byte) []byte { return pad(id) },
			edit: func(e *wire.EncryptedClientIdentification) {
				if len(iv) > 0 {
					e.EncryptedClientIdIv = iv
				}
				if len(key) > 0 {
					e.EncryptedPrivacyKey = key
				}
			},
		})}.make(t).body
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, s.LicenseURL(), bytes.NewReader(body)))
		switch w.Code {
		case http.StatusOK: // the id may be the device's, with other words about itself
			got := new(wire.ClientIdentification)
			own := new(wire.ClientIdentification)
			must(t, proto.Unmarshal(firstDevice(t).ClientID(), own))
			if proto.Unmarshal(id, got) != nil || !bytes.Equal(got.GetToken(), own.GetToken()) || len(key) > 0 {
				t.Error("a license for somebody else")
			}
		case http.StatusForbidden, http.StatusRequestEntityTooLarge: // another device, or the same that did not sign
		case http.StatusBadRequest:
			if got := w.Body.String(); got != "the encrypted client id can't be used\n" {
				t.Errorf("%q", got)
			}
		default:
			t.Errorf("status %d", w.Code)
		}
	})
}

// BenchmarkLicense is one key request answered, without the network.
func BenchmarkLicense(b *testing.B) {
	s := start(b, fakes.Options{})
	body := ask{}.make(b).body
	handler := s.Handler()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, s.LicenseURL(), bytes.NewReader(body)))
			if w.Code != http.StatusOK {
				b.Fatal(w.Code)
			}
		}
	})
}
