package fakes_test

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready/soap"
	"keyflow/fakes"
)

// startFuzzed starts a server for a fuzzer and returns where its newest record is: one process has one request at a time.
func startFuzzed(f *testing.F) (*fakes.Server, *fakes.Record) {
	last := new(fakes.Record)
	return startPlayReady(f, fakes.Options{
		Tracks:    map[drm.KID]fakes.Track{kid1: {PlayReady: fakes.PlayReadyTrack{Persistent: true}}},
		PlayReady: fakes.PlayReadyOptions{Acknowledgements: true, RevocationInfo: true},
		Log:       func(r fakes.Record) { *last = r },
	}), last
}

// checkAnswer checks an answer to what a fuzzer made: licenses for known KIDs that the device opens, the answer to an
// acknowledgement that quotes its id, or a refusal with a code that blames the client.
func checkAnswer(t *testing.T, s *fakes.Server, r prRequest, answer reply, got *fakes.Record) {
	t.Helper()
	o, err := openPlayReady(r, answer.body)
	switch {
	case answer.status == http.StatusOK && got.Operation == drm.KindAcknowledgement:
		id, err := soap.ParseAcknowledgement([]byte(r.body))
		if err != nil || !bytes.Equal(answer.body, soap.AcknowledgementResponseBody(id)) {
			t.Errorf("%q, %v: %s", id, err, answer.body)
		}
	case answer.status == http.StatusOK:
		must(t, err)
		if len(o.licenses) == 0 || !slices.Equal(o.kids(), got.Granted) {
			t.Errorf("licenses for %v, granted %v", o.kids(), got.Granted)
		}
		for _, l := range o.licenses {
			if l.KID != kid0 && l.KID != kid1 || !l.content.Equal(s.Authority().ContentKey(l.KID)) {
				t.Errorf("a license for %s, or with another key", l.KID)
			}
		}
	case answer.status == http.StatusInternalServerError:
		if o.Answer == nil || o.Fault == nil || o.Fault.Code == 0 || o.Fault.Code == prInternal || got.Reason == "" || got.Reason == "internal" {
			t.Errorf("%v, reason %q: %.300q", err, got.Reason, answer.body)
		}
	case answer.status == http.StatusRequestEntityTooLarge:
	default:
		t.Errorf("status %d", answer.status)
	}
}

// FuzzPlayReadyBody posts arbitrary bodies, as challenges and as acknowledgements: the handler never panics, fails with nothing but SOAP faults that blame the client,
// answers soon, and counts every one. Fuzzing can't sign, so that a license is for what a seed asks for.
func FuzzPlayReadyBody(f *testing.F) {
	good := prAsk{}.make(f)
	f.Add(false, []byte(good.body))
	f.Add(true, []byte(good.body))
	for _, body := range malformed(f, "http://127.0.0.1/") {
		if len(body) < 10_000 {
			f.Add(false, []byte(body))
		}
	}
	for _, name := range []string{"padding of 17", "random key", "no XML", "chain is garbage", "length of 4 GiB"} {
		f.Add(false, []byte(wrongEncryption(f)[name].make(f).body))
	}
	for _, a := range []prAsk{
		{header: header40(kid0, wrongChecksum)}, {header: header41(kid0, "")}, {header: header43("AESCBC", kid0)}, {header: header42(unknown)},
		{device: authority(f, foreign).PlayReadyDevices()[0]}, {device: authority(f, trusted).RevokedPlayReadyDevice()}, laWith(func(la *soap.LA) { la.Nonce = "AAAA" }),
	} {
		f.Add(false, []byte(a.make(f).body))
	}
	s, last := startFuzzed(f)
	issued, err := soap.ParseAnswer(good.direct(s).body)
	must(f, err)
	for _, id := range []string{issued.Response.Transaction, "unknown", "a<b>&c", strings.Repeat("x", 129)} {
		f.Add(true, soap.AcknowledgementBody(id))
		f.Add(false, soap.AcknowledgementBody(id))
	}
	f.Fuzz(func(t *testing.T, acknowledges bool, body []byte) {
		before, _ := s.Count()
		r := good
		r.body = string(body)
		if acknowledges {
			r.header = map[string]string{"Content-Type": soap.ContentType, "SOAPAction": soap.ActionHeader(soap.ActionAcknowledgeLicense)}
		}
		began := time.Now()
		answer := r.direct(s)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("answered after %v", took)
		}
		checkAnswer(t, s, r, answer, last)
		want := fakes.Count{Received: before.Received + 1, Answered: before.Answered, Refused: before.Refused + 1}
		if answer.status == http.StatusOK {
			want.Answered, want.Refused = before.Answered+1, before.Refused
		}
		if after, _ := s.Count(); after != want {
			t.Errorf("counts %+v, then %+v", before, after)
		}
	})
}

// FuzzPlayReadySigned posts challenges that are signed and encrypted well, and in which the rest is arbitrary: header, version,
// nonce, time, and what is encrypted in place of the client's data.
func FuzzPlayReadySigned(f *testing.F) {
	now := fmt.Sprint(requestTime)
	for _, header := range []string{header40(kid0, ""), header41(kid1, wrongChecksum), header42(kid0, kid1), header43("AESCBC", kid1), "<a></a>", ""} {
		f.Add(header, "4", b64(prNonce()), now, []byte(nil))
	}
	f.Add(header42(kid0), "99", "AAAA", "0", []byte("<Data></Data>"))
	f.Add(header42(kid0), "", "", "-1", soap.ClientData([]byte("CHAI")))
	f.Add(header42(kid0), "1", b64(prNonce()), now, soap.ClientData(authority(f, trusted).RevokedPlayReadyDevice().Chain().Raw))
	f.Add(header42(kid0), "1", b64(prNonce()), now, soap.ClientData(authority(f, foreign).PlayReadyDevices()[0].Chain().Raw))
	s, last := startFuzzed(f)
	f.Fuzz(func(t *testing.T, header, version, nonce, clientTime string, data []byte) {
		a := prAsk{header: header, la: func(la *soap.LA) { la.Header, la.Version, la.Nonce, la.ClientTime = header, version, nonce, clientTime }}
		if data != nil {
			a.plain = func([]byte) []byte { return data }
		}
		r := a.make(t)
		checkAnswer(t, s, r, r.direct(s), last)
	})
}

// BenchmarkPlayReadyLicense is one challenge answered, without the network: with one KID and with three, the device's chain
// remembered or verified anew.
func BenchmarkPlayReadyLicense(b *testing.B) {
	kids := []drm.KID{kid0, kid1, unknown}
	for _, n := range []int{1, 3} {
		for _, cached := range []bool{true, false} {
			b.Run(fmt.Sprintf("kids=%d/cache=%v", n, cached), func(b *testing.B) {
				s := startPlayReady(b, fakes.Options{DeriveKIDs: kids})
				if !cached {
					s.ForgetPlayReadyChains()
				}
				r := prAsk{header: header42(kids[:n]...)}.make(b)
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if answer := r.direct(s); answer.status != http.StatusOK {
							b.Fatal(answer.status)
						}
					}
				})
			})
		}
	}
}
