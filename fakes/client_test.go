package fakes_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/secret"
	"keyflow/drm/widevine"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
	"keyflow/fakes"
)

// The authorities of the test process: making keys takes most of a test's time.
var (
	trusted = sync.OnceValues(func() (*fakes.Authority, error) {
		return fakes.NewAuthority(context.Background(), fakes.AuthorityOptions{RootBits: 2048})
	})
	foreign = sync.OnceValues(func() (*fakes.Authority, error) {
		return fakes.NewAuthority(context.Background(), fakes.AuthorityOptions{RootBits: 2048, Devices: 1})
	})
)

func authority(t testing.TB, made func() (*fakes.Authority, error)) *fakes.Authority {
	t.Helper()
	a, err := made()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// The KIDs that test servers know, and one that they don't.
var (
	kid0    = drm.KID{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	kid1    = drm.KID{16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31}
	unknown = drm.KID{0xee, 0xee, 1}
)

const cbcs = 0x63626373

func start(t testing.TB, o fakes.Options) *fakes.Server {
	t.Helper()
	if o.Authority == nil {
		o.Authority = authority(t, trusted)
	}
	if o.Keys == nil && o.DeriveKIDs == nil {
		o.DeriveKIDs = []drm.KID{kid0, kid1}
	}
	s, err := fakes.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// psshData is WidevinePsshData with the KIDs, written by hand from the sheet's table (§4.12).
func psshData(kids ...drm.KID) []byte {
	var b []byte
	for _, kid := range kids {
		b = appendBytes(b, 2, kid[:])
	}
	return b
}

func appendBytes(b []byte, field protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), value)
}

func appendVarint(b []byte, field protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), value)
}

// ask is a key request in the making.
type ask struct {
	device    widevine.Identity
	pssh      [][]byte
	requestID []byte
	edit      func(*wire.LicenseRequest)
	raw       func([]byte) []byte // alters the serialized request before it is signed
	sign      func([]byte) []byte
	envelope  func(*wire.SignedMessage)
}

// request is a finished key request.
type request struct {
	device    widevine.Identity
	requestID []byte
	context   []byte // the serialized LicenseRequest
	body      []byte
}

const requestTime = 1_700_000_000

func firstDevice(t testing.TB) widevine.Identity { return authority(t, trusted).Devices()[0] }

func (a ask) make(t testing.TB) request {
	t.Helper()
	if a.device.ClientID() == nil {
		a.device = firstDevice(t)
	}
	if a.pssh == nil {
		a.pssh = [][]byte{psshData(kid0, kid1)}
	}
	if a.requestID == nil {
		a.requestID = []byte("0123456789ABCDEF")
	}
	id := new(wire.ClientIdentification)
	must(t, proto.Unmarshal(a.device.ClientID(), id))
	m := &wire.LicenseRequest{
		ClientId: id,
		ContentId: &wire.LicenseRequest_ContentIdentification{
			ContentIdVariant: &wire.LicenseRequest_ContentIdentification_WidevinePsshData_{
				WidevinePsshData: &wire.LicenseRequest_ContentIdentification_WidevinePsshData{
					PsshData: a.pssh, LicenseType: wire.LicenseType_STREAMING.Enum(), RequestId: a.requestID,
				},
			},
		},
		Type:            wire.LicenseRequest_NEW.Enum(),
		RequestTime:     proto.Int64(requestTime),
		ProtocolVersion: wire.ProtocolVersion_VERSION_2_1.Enum(),
		KeyControlNonce: proto.Uint32(305419896),
	}
	if a.edit != nil {
		a.edit(m)
	}
	msg, err := proto.Marshal(m)
	must(t, err)
	if a.raw != nil {
		msg = a.raw(msg)
	}
	if a.sign == nil {
		a.sign = func(msg []byte) []byte {
			signature, err := ladder.Sign(a.device.Key().Reveal(), msg)
			must(t, err)
			return signature
		}
	}
	envelope := &wire.SignedMessage{Type: wire.SignedMessage_LICENSE_REQUEST.Enum(), Msg: msg, Signature: a.sign(msg)}
	if a.envelope != nil {
		a.envelope(envelope)
	}
	body, err := proto.Marshal(envelope)
	must(t, err)
	return request{device: a.device, requestID: a.requestID, context: envelope.GetMsg(), body: body}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// reply is an HTTP answer.
type reply struct {
	status int
	header http.Header
	body   []byte
}

var client = &http.Client{Timeout: 30 * time.Second}

// journal is what a server logs, from many goroutines at once.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) add(r fakes.Record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	fmt.Fprintf(&j.text, "%+v\n", r)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

func do(ctx context.Context, method, url string, body []byte) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	return reply{resp.StatusCode, resp.Header, b}, err
}

func post(t testing.TB, s *fakes.Server, body []byte) reply {
	t.Helper()
	r, err := do(context.Background(), http.MethodPost, s.LicenseURL(), body)
	must(t, err)
	return r
}

// opened is a license as the client finds it, step by step as sheet §8.5 has them, with nothing checked.
type opened struct {
	envelope   *wire.SignedMessage
	license    *wire.License
	sessionKey secret.Bytes
	keys       ladder.Keys
}

// openLicense does what a client does, and fails where a client can't go on.
func openLicense(r request, body []byte) (opened, error) {
	o := opened{envelope: new(wire.SignedMessage), license: new(wire.License)}
	if err := proto.Unmarshal(body, o.envelope); err != nil {
		return o, err
	}
	if o.envelope.GetType() != wire.SignedMessage_LICENSE {
		return o, fmt.Errorf("envelope type %d", o.envelope.GetType())
	}
	if err := proto.Unmarshal(o.envelope.GetMsg(), o.license); err != nil {
		return o, err
	}
	var err error
	if o.sessionKey, err = ladder.UnwrapSessionKey(r.device.Key().Reveal(), o.envelope.GetSessionKey()); err != nil {
		return o, err
	}
	if o.keys, err = ladder.Derive(o.sessionKey, r.context); err != nil {
		return o, err
	}
	if !bytes.Equal(o.envelope.GetSignature(), ladder.MAC(o.keys.Server, nil, o.envelope.GetMsg())) {
		return o, errHMAC
	}
	if !bytes.Equal(o.license.GetId().GetRequestId(), r.requestID) {
		return o, errRequestID
	}
	return o, nil
}

var (
	errHMAC      = errors.New("the HMAC does not verify")
	errRequestID = errors.New("the request_id is another one")
)

// getLicense asks for a license and opens it.
func getLicense(t testing.TB, s *fakes.Server, a ask) opened {
	t.Helper()
	r := a.make(t)
	answer := post(t, s, r.body)
	if answer.status != http.StatusOK {
		t.Fatalf("status %d: %s", answer.status, answer.body)
	}
	o, err := openLicense(r, answer.body)
	must(t, err)
	return o
}

// content returns the content key containers.
func (o opened) content() []*wire.License_KeyContainer {
	return slices.DeleteFunc(slices.Clone(o.license.GetKey()), func(k *wire.License_KeyContainer) bool {
		return k.Type == nil || k.GetType() != wire.License_KeyContainer_CONTENT
	})
}

func (o opened) unwrap(k *wire.License_KeyContainer) (secret.Bytes, error) {
	return ladder.UnwrapKey(o.keys.Encryption, k.GetIv(), k.GetKey())
}

// contentKeys returns the content keys by KID.
func (o opened) contentKeys(t testing.TB) map[drm.KID]secret.Bytes {
	t.Helper()
	keys := make(map[drm.KID]secret.Bytes)
	for _, k := range o.content() {
		kid, ok := drm.KIDFromBytes(k.GetId())
		if !ok {
			t.Fatalf("a key id of %d bytes", len(k.GetId()))
		}
		key, err := o.unwrap(k)
		must(t, err)
		keys[kid] = key
	}
	return keys
}

// expiring returns a trusted device whose certificate expires at the Unix time.
func expiring(t testing.TB, at uint32) widevine.Identity {
	t.Helper()
	a := authority(t, trusted)
	return a.IssueDevice(t, a.Devices()[0].Key(), func(c *wire.DrmCertificate) { c.ExpirationTimeSeconds = &at })
}
