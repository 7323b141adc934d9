package widevine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/pssh"
	"keyflow/drm/widevine/chain"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
)

// fieldNumbers returns the numbers of a message's fields in their order on the wire.
func fieldNumbers(t *testing.T, b []byte) []protowire.Number {
	t.Helper()
	var numbers []protowire.Number
	for len(b) > 0 {
		number, _, n := protowire.ConsumeField(b)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		numbers, b = append(numbers, number), b[n:]
	}
	return numbers
}

// TestRequestAsAServerSeesIt verifies a key request with nothing of the client but its wire format (sheet §6.1).
func TestRequestAsAServerSeesIt(t *testing.T) {
	t.Parallel()
	p := testPlatform(t)
	box := testBox()
	box.Version, box.KIDs = 1, []drm.KID{{0xee}} // of the box around the Data, which is not sent
	s, err := p.Open(context.Background(), box, drm.Options{LicenseType: drm.Offline})
	if err != nil {
		t.Fatal(err)
	}
	m := request(t, s)
	envelope, r := parseRequest(t, m.Body)
	if got := fieldNumbers(t, m.Body); !slices.Equal(got, []protowire.Number{1, 2, 3}) || envelope.GetType() != wire.SignedMessage_LICENSE_REQUEST {
		t.Errorf("envelope fields %v, type %v", got, envelope.GetType())
	}
	if got := fieldNumbers(t, envelope.GetMsg()); !slices.Equal(got, []protowire.Number{1, 2, 3, 4, 6, 7}) {
		t.Errorf("request fields %v", got)
	}
	device, err := chain.VerifyDevice(r.GetClientId().GetToken(), testKey(t).Public(), testNow)
	if err != nil {
		t.Fatalf("chain: %v", err)
	}
	if len(envelope.GetSignature()) != 256 || ladder.Verify(device.Key, envelope.GetMsg(), envelope.GetSignature()) != nil {
		t.Error("the signature does not verify under the device certificate")
	}
	asked := r.GetContentId().GetWidevinePsshData()
	if len(asked.GetPsshData()) != 1 || !bytes.Equal(asked.GetPsshData()[0], box.Data) {
		t.Errorf("pssh_data %x, want the box's Data %x", asked.GetPsshData(), box.Data)
	}
	if asked.GetLicenseType() != wire.LicenseType_OFFLINE || len(asked.GetRequestId()) != 16 {
		t.Errorf("asked for %v", asked)
	}
	if r.GetType() != wire.LicenseRequest_NEW || r.GetRequestTime() != testNow.Unix() || r.GetProtocolVersion() != wire.ProtocolVersion_VERSION_2_1 {
		t.Errorf("type %v, time %d, version %v", r.GetType(), r.GetRequestTime(), r.GetProtocolVersion())
	}
	if r.GetClientId().GetClientInfo()[0].GetValue() != "Harness" || r.GetClientId().GetClientCapabilities() == nil {
		t.Errorf("client identification %v", r.GetClientId())
	}
	kids := []drm.KID{{0xee}, vectorKID}
	want := drm.Ticket{System: drm.Widevine, Kind: drm.KindLicense, Device: device.Fingerprint(), Minted: testNow, KIDs: kids}
	if m.Kind != drm.KindLicense || m.ID == "" || !slices.Equal(m.KIDs, kids) || fmt.Sprint(m.Ticket) != fmt.Sprint(want) {
		t.Errorf("message %q of kind %s, KIDs %v, ticket %+v", m.ID, m.Kind, m.KIDs, m.Ticket)
	}
}

// TestRequestsAreFresh: no two requests share an id, a request id or a signature; nonces stay in 1…2³¹−1 and differ.
func TestRequestsAreFresh(t *testing.T) {
	t.Parallel()
	p := testPlatform(t)
	seen := map[string]bool{}
	nonces, odd := map[uint32]bool{}, 0
	const n = 32
	for range n {
		m := request(t, openSession(t, p))
		envelope, r := parseRequest(t, m.Body)
		for _, v := range []string{string(m.ID), string(r.GetContentId().GetWidevinePsshData().GetRequestId()), string(envelope.GetSignature())} {
			if seen[v] {
				t.Errorf("%x comes twice", v)
			}
			seen[v] = true
		}
		nonce := r.GetKeyControlNonce()
		if nonce == 0 || nonce >= 1<<31 {
			t.Errorf("nonce %d", nonce)
		}
		nonces[nonce] = true
		odd += int(nonce & 1)
	}
	if len(nonces) < n-1 || odd == n {
		t.Errorf("%d different nonces, %d of them odd", len(nonces), odd)
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	p := testPlatform(t)
	kids := []drm.KID{{1}, {2}}
	data := pssh.Synthesize(kids)
	for _, c := range []struct {
		name    string
		box     drm.Box
		options drm.Options
		sent    []byte
		license wire.LicenseType
		err     error // wrapped by the error; errAny for any
	}{
		{name: "version 1 without data", box: drm.Box{SystemID: pssh.WidevineSystemID, Version: 1, KIDs: kids}, sent: data, license: wire.LicenseType_STREAMING},
		{name: "common", box: drm.Box{SystemID: pssh.CommonSystemID, Version: 1, KIDs: kids, Data: []byte("ignored")}, sent: data, license: wire.LicenseType_STREAMING},
		{name: "streaming", box: testBox(), options: drm.Options{LicenseType: drm.Streaming}, sent: testBox().Data, license: wire.LicenseType_STREAMING},
		{name: "automatic", box: testBox(), options: drm.Options{LicenseType: drm.Automatic}, sent: testBox().Data, license: wire.LicenseType_AUTOMATIC},
		{name: "PlayReady", box: drm.Box{SystemID: pssh.PlayReadySystemID, KIDs: kids, Data: []byte("x")}, err: drm.ErrNoBox},
		{name: "FairPlay", box: drm.Box{SystemID: drm.SystemID{0x94, 0xce}, KIDs: kids}, err: drm.ErrNoBox},
		{name: "license type", box: testBox(), options: drm.Options{LicenseType: "forever"}, err: errAny},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, err := p.Open(context.Background(), c.box, c.options)
			if c.err != nil {
				if err == nil || c.err != errAny && !errors.Is(err, c.err) {
					t.Errorf("error %v, want %v", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			_, r := parseRequest(t, request(t, s).Body)
			asked := r.GetContentId().GetWidevinePsshData()
			if len(asked.GetPsshData()) != 1 || !bytes.Equal(asked.GetPsshData()[0], c.sent) || asked.GetLicenseType() != c.license {
				t.Errorf("asked for %v", asked)
			}
		})
	}
}

var errAny = errors.New("any error")

func TestRequestRefuses(t *testing.T) {
	t.Parallel()
	p := testPlatform(t)
	s := openSession(t, p)
	for kind, want := range map[drm.Kind]error{
		drm.KindRenewal: drm.ErrNoLicense, drm.KindRelease: drm.ErrNoLicense,
		drm.KindAcknowledgement: errors.ErrUnsupported, "": errors.ErrUnsupported, "lease": errors.ErrUnsupported,
	} {
		if _, err := s.Request(context.Background(), kind); !errors.Is(err, want) {
			t.Errorf("kind %q: %v", kind, err)
		}
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	m := request(t, s)
	body := answerTo(t, m.Body, nil)
	_, requested := s.Request(cancelled, drm.KindLicense)
	_, opened := p.Open(cancelled, testBox(), drm.Options{})
	_, processed := s.Process(cancelled, m.ID, body)
	for name, err := range map[string]error{"request": requested, "open": opened, "process": processed} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a cancelled context: %v", name, err)
		}
	}
	if _, err := s.Process(context.Background(), m.ID, body); err != nil || len(s.Licenses()) != 1 {
		t.Errorf("after the cancelled call: %v, %d licenses", err, len(s.Licenses()))
	}
}

// TestProcessOnce is check WV-CLI-04: each answer is processed once and for its own request only.
func TestProcessOnce(t *testing.T) {
	t.Parallel()
	s := openSession(t, testPlatform(t))
	first, second := request(t, s), request(t, s)
	one, two := answerTo(t, first.Body, nil), answerTo(t, second.Body, nil)
	if _, err := s.Process(context.Background(), "unknown", one); !errors.Is(err, errUnknownMessage) || len(s.Licenses()) != 0 {
		t.Errorf("unknown message: %v", err)
	}
	o, err := s.Process(context.Background(), second.ID, two)
	if err != nil || o.Fatal() != nil || o.Message != second.ID || o.Kind != drm.KindLicense || o.System != drm.Widevine {
		t.Fatalf("second: %v, %+v", err, o)
	}
	if a, ok := o.Detail.(*Answer); !ok || len(a.Containers) != 1 || !a.Containers[0].Usable {
		t.Errorf("detail %T", o.Detail)
	}
	if _, err := s.Process(context.Background(), second.ID, two); !errors.Is(err, errUnknownMessage) || len(s.Licenses()) != 1 {
		t.Errorf("second again: %v, %d licenses", err, len(s.Licenses()))
	}
	o, err = s.Process(context.Background(), first.ID, two)
	if err != nil {
		t.Fatal(err)
	}
	if o.Find(ReasonSignature) == nil || o.Find(ReasonRequestID) == nil || len(s.Licenses()) != 1 {
		t.Errorf("first with the second's answer: %v, %d licenses", o.Findings, len(s.Licenses()))
	}
	if _, err := s.Process(context.Background(), first.ID, one); !errors.Is(err, errUnknownMessage) {
		t.Errorf("first after a refused answer: %v", err)
	}
}

func TestCloseForgets(t *testing.T) {
	t.Parallel()
	p := testPlatform(t)
	s := openSession(t, p)
	m, pending := request(t, s), request(t, s)
	body := answerTo(t, pending.Body, nil)
	if _, err := s.Process(context.Background(), m.ID, answerTo(t, m.Body, nil)); err != nil || len(s.Licenses()) != 1 {
		t.Fatalf("%v, %d licenses", err, len(s.Licenses()))
	}
	if err := s.Close(); err != nil || len(s.Licenses()) != 0 {
		t.Errorf("close: %v, %d licenses", err, len(s.Licenses()))
	}
	if _, err := s.Process(context.Background(), pending.ID, body); !errors.Is(err, errClosed) {
		t.Errorf("process: %v", err)
	}
	if _, err := s.Request(context.Background(), drm.KindLicense); !errors.Is(err, errClosed) {
		t.Errorf("request: %v", err)
	}
	if err := errors.Join(s.Close(), p.Close()); err != nil || p.System() != drm.Widevine {
		t.Errorf("close again: %v", err)
	}
	request(t, openSession(t, p)) // a platform holds nothing that closing it could end
}

// TestLicense maps every field of a policy.
func TestLicense(t *testing.T) {
	t.Parallel()
	s := openSession(t, testPlatform(t))
	m := request(t, s)
	body := answerTo(t, m.Body, func(l *wire.License) {
		l.Id.Type = wire.LicenseType_OFFLINE.Enum()
		l.LicenseStartTime = proto.Int64(1700000000)
		l.Key[0].TrackLabel, l.Key[0].Level = proto.String("HD"), wire.License_KeyContainer_HW_SECURE_DECODE.Enum()
		l.Policy = &wire.License_Policy{
			CanPlay: proto.Bool(true), CanPersist: proto.Bool(true), CanRenew: proto.Bool(true),
			RentalDurationSeconds: proto.Int64(1), PlaybackDurationSeconds: proto.Int64(2), LicenseDurationSeconds: proto.Int64(3),
			RenewalServerUrl: proto.String("https://renew.test"), RenewalDelaySeconds: proto.Int64(4), RenewalRetryIntervalSeconds: proto.Int64(5),
		}
	})
	if _, err := s.Process(context.Background(), m.ID, body); err != nil || len(s.Licenses()) != 1 {
		t.Fatalf("%v, %d licenses", err, len(s.Licenses()))
	}
	l := s.Licenses()[0]
	want := drm.Policy{
		CanPlay: true, CanPersist: true, CanRenew: true, Rental: time.Second, Playback: 2 * time.Second, License: 3 * time.Second,
		RenewalURL: "https://renew.test", RenewAfter: 4 * time.Second, RetryEvery: 5 * time.Second,
	}
	if l.Type != drm.Offline || l.Policy != want || !l.Start.Equal(time.Unix(1700000000, 0)) {
		t.Errorf("license %+v", l)
	}
	key, ok := l.Key(vectorKID)
	if !ok || !bytes.Equal(key.Key.Reveal(), vectorKey) || key.TrackLabel != "HD" || key.SecurityLevel != 4 {
		t.Errorf("content key of track %q, level %d, found %v", key.TrackLabel, key.SecurityLevel, ok)
	}
}

// TestConcurrentSessions: one platform serves many sessions and judges their answers at once.
func TestConcurrentSessions(t *testing.T) {
	t.Parallel()
	p := testPlatform(t)
	var group sync.WaitGroup
	for i := range 32 {
		group.Go(func() {
			key := bytes.Repeat([]byte{byte(i)}, 8)
			s, err := p.Open(context.Background(), testBox(), drm.Options{})
			if err != nil {
				t.Error(err)
				return
			}
			m, err := s.Request(context.Background(), drm.KindLicense)
			if err != nil {
				t.Error(err)
				return
			}
			body := answerTo(t, m.Body, func(l *wire.License) { l.ProviderClientToken = key })
			verdict := p.Judge(m.Ticket, m.Body, body, drm.DepthFull)
			o, err := s.Process(context.Background(), m.ID, body)
			if err != nil || o.Fatal() != nil || len(verdict.Findings) > 0 || len(s.Licenses()) != 1 ||
				!bytes.Equal(o.Detail.(*Answer).License.GetProviderClientToken(), key) {
				t.Errorf("session %d: %v, %v, %v", i, err, o, verdict.Findings)
			}
		})
	}
	group.Wait()
}
