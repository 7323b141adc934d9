package fakes_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"keyflow/drm"
	"keyflow/drm/widevine/ladder"
	"keyflow/drm/widevine/wire"
	"keyflow/fakes"
)

// TestRefusals is sheet widevine.md §11, last paragraph: every refusal with its status, in the history with its reason.
func TestRefusals(t *testing.T) {
	t.Parallel()
	const skip = -1
	invalid := int(wire.LicenseError_INVALID_DRM_DEVICE_CERTIFICATE)
	expired := int(wire.LicenseError_EXPIRED_DRM_DEVICE_CERTIFICATE)
	withType := func(n int32) ask {
		return ask{envelope: func(m *wire.SignedMessage) { m.Type = wire.SignedMessage_Type(n).Enum() }}
	}
	ofType := func(n int32) ask {
		return ask{edit: func(m *wire.LicenseRequest) { m.Type = wire.LicenseRequest_RequestType(n).Enum() }}
	}
	client := func(edit func(*wire.LicenseRequest)) ask { return ask{edit: edit} }
	pssh := func(data ...[]byte) ask { return ask{pssh: append([][]byte{}, data...)} }
	second := authority(t, trusted).Devices()[1]
	first := firstDevice(t)
	manyKIDs := make([]drm.KID, 257)
	for i := range manyKIDs {
		manyKIDs[i] = drm.KID{byte(i), byte(i >> 8), 1}
	}
	for name, c := range map[string]struct {
		body   []byte
		status int
		reason drm.Reason
		code   int // of the in-band error, 0: plain text
	}{
		"empty body":        {[]byte{}, 400, "empty", 0},
		"no protobuf":       {[]byte("what's this?"), 400, "malformed", 0},
		"random bytes":      {randomBytes(1024), 400, "", skip},
		"empty msg":         {[]byte{8, 1, 0x12, 0}, 400, "empty", 0},
		"no msg":            {[]byte{8, 1}, 400, "empty", 0},
		"msg is no request": {[]byte{8, 1, 0x12, 1, 0xff}, 400, "malformed", 0},
		"type 0":            {withType(0).make(t).body, 400, "message-type", 0},
		"type 2":            {withType(2).make(t).body, 400, "message-type", 0},
		"type 10":           {withType(10).make(t).body, 400, "message-type", 0},
		"type 99":           {withType(99).make(t).body, 400, "message-type", 0},
		"renewal of pssh":   {ofType(2).make(t).body, 400, "content-id", 0},
		"release of pssh":   {ofType(3).make(t).body, 400, "content-id", 0},
		"request type 9":    {ofType(9).make(t).body, 400, "request-type", 0},
		"no client id":      {client(func(m *wire.LicenseRequest) { m.ClientId = nil }).make(t).body, 400, "client-id", 0},
		"encrypted client id": {client(func(m *wire.LicenseRequest) {
			m.ClientId, m.EncryptedClientId = nil, &wire.EncryptedClientIdentification{}
		}).make(t).body, 400, "encrypted-client-id", 0},
		"both client ids": {client(func(m *wire.LicenseRequest) {
			m.EncryptedClientId = &wire.EncryptedClientIdentification{}
		}).make(t).body, 400, "client-id", 0},
		"keybox":           {client(func(m *wire.LicenseRequest) { m.ClientId.Type = nil }).make(t).body, 400, "client-id", 0},
		"no token":         {client(func(m *wire.LicenseRequest) { m.ClientId.Token = nil }).make(t).body, 403, "certificate-chain", invalid},
		"token is garbage": {client(func(m *wire.LicenseRequest) { m.ClientId.Token = randomBytes(100) }).make(t).body, 403, "certificate-chain", invalid},
		"token altered": {client(func(m *wire.LicenseRequest) {
			m.ClientId.Token = flip(m.ClientId.Token, 12) // inside the serial number
		}).make(t).body, 403, "certificate-chain", invalid},
		"foreign root": {ask{device: authority(t, foreign).Devices()[0]}.make(t).body, 403, "certificate-chain", invalid},
		"system ids differ": {ask{device: authority(t, trusted).IssueDevice(t, first.Key(), func(c *wire.DrmCertificate) {
			c.SystemId = proto.Uint32(fakes.SystemID + 1)
		})}.make(t).body, 403, "certificate-chain", invalid},
		"certificate of a model": {ask{device: authority(t, trusted).IssueDevice(t, first.Key(), func(c *wire.DrmCertificate) {
			c.Type = wire.DrmCertificate_DEVICE_MODEL.Enum()
		})}.make(t).body, 403, "certificate-chain", invalid},
		"expired": {ask{device: expiring(t, 1_600_000_000)}.make(t).body, 403, "certificate-expired", expired},
		"signature flipped": {ask{envelope: func(m *wire.SignedMessage) {
			m.Signature = flip(m.Signature, 100)
		}}.make(t).body, 403, "request-signature", 0},
		"no signature":    {ask{envelope: func(m *wire.SignedMessage) { m.Signature = nil }}.make(t).body, 403, "request-signature", 0},
		"empty signature": {ask{envelope: func(m *wire.SignedMessage) { m.Signature = []byte{} }}.make(t).body, 403, "request-signature", 0},
		"signed by another device": {ask{sign: func(msg []byte) []byte {
			signature, err := ladder.Sign(second.Key().Reveal(), msg)
			must(t, err)
			return signature
		}}.make(t).body, 403, "request-signature", 0},
		"altered after signing": {ask{envelope: func(m *wire.SignedMessage) {
			m.Msg = appendVarint(m.Msg, 7, 1)
		}}.make(t).body, 403, "request-signature", 0},
		// WV-ROB-07: the last msg counts, for the signature as for the license.
		"two msg fields": {appendBytes(ask{}.make(t).body, 2, ask{requestID: []byte("other")}.make(t).context), 403, "request-signature", 0},
		"KID of 1 byte":  {pssh(appendBytes(nil, 2, []byte("0"))).make(t).body, 400, "content-id", 0},
		"KID of 15":      {pssh(appendBytes(psshData(kid0), 2, kid1[:15])).make(t).body, 400, "content-id", 0},
		"KID of 17":      {pssh(appendBytes(nil, 2, append(kid1[:], 0))).make(t).body, 400, "content-id", 0},
		"pssh garbage":   {pssh([]byte{0xff, 0xff}).make(t).body, 400, "content-id", 0},
		"257 KIDs":       {pssh(psshData(manyKIDs...)).make(t).body, 400, "content-id", 0},
		"no content id":  {client(func(m *wire.LicenseRequest) { m.ContentId = nil }).make(t).body, 400, "content-id", 0},
		"no pssh data":   {pssh().make(t).body, 404, "unknown-content", 0},
		"empty pssh":     {pssh([]byte{}).make(t).body, 404, "unknown-content", 0},
		"unknown KID":    {pssh(psshData(unknown)).make(t).body, 404, "unknown-content", 0},
		"unknown id":     {pssh(appendBytes(nil, 4, []byte("asset-2"))).make(t).body, 404, "unknown-content", 0},
		"too large":      {make([]byte, 300<<10), 413, "body-too-large", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, fakes.Options{})
			answer := post(t, s, c.body)
			if answer.status != c.status {
				t.Errorf("status %d, want %d: %s", answer.status, c.status, answer.body)
			}
			if c.code != skip {
				checkRefusal(t, answer, c.code)
			}
			records := s.Requests()
			if len(records) != 1 || records[0].Outcome != fakes.Refused || records[0].Status != c.status {
				t.Fatalf("history: %+v", records)
			}
			if got := records[0].Reason; c.reason != "" && got != c.reason {
				t.Errorf("reason %q, want %q", got, c.reason)
			}
		})
	}
}

// checkRefusal checks the form of a refusal: an in-band error where there is a code, else one line of text.
func checkRefusal(t *testing.T, answer reply, code int) {
	t.Helper()
	if code == 0 {
		if got := answer.header.Get("Content-Type"); got != "text/plain; charset=utf-8" {
			t.Errorf("content type %q", got)
		}
		if n := bytes.Count(answer.body, []byte("\n")); n != 1 || len(answer.body) > 200 {
			t.Errorf("want one short line: %q", answer.body)
		}
		return
	}
	m, e := new(wire.SignedMessage), new(wire.LicenseError)
	must(t, proto.Unmarshal(answer.body, m))
	must(t, proto.Unmarshal(m.GetMsg(), e))
	if m.GetType() != wire.SignedMessage_ERROR_RESPONSE || int(e.GetErrorCode()) != code || m.Signature != nil || m.SessionKey != nil {
		t.Errorf("message type %v with error %v, want code %d, not signed", m.GetType(), e.GetErrorCode(), code)
	}
	if got := answer.header.Get("Content-Type"); got != "application/octet-stream" {
		t.Errorf("content type %q", got)
	}
}

func flip(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// TestTruncatedRequest is row WV-ROB-02.
func TestTruncatedRequest(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{})
	body := ask{}.make(t).body
	for i := range 16 {
		if answer := post(t, s, body[:len(body)*i/16]); answer.status < 400 || answer.status >= 500 {
			t.Errorf("%d/16 of a request: status %d", i, answer.status)
		}
	}
}

func TestTextErrors(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{TextErrors: true})
	answer := post(t, s, ask{device: authority(t, foreign).Devices()[0]}.make(t).body)
	if answer.status != http.StatusForbidden {
		t.Errorf("status %d", answer.status)
	}
	checkRefusal(t, answer, 0)
}

func TestMethodsAndPaths(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{})
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodHead, http.MethodOptions, http.MethodDelete} {
		answer, err := do(context.Background(), method, s.LicenseURL(), nil)
		must(t, err)
		if answer.status != http.StatusMethodNotAllowed || answer.header.Get("Allow") != http.MethodPost {
			t.Errorf("%s: status %d, Allow %q", method, answer.status, answer.header.Get("Allow"))
		}
	}
	answer, err := do(context.Background(), http.MethodPost, s.URL()+"/elsewhere", ask{}.make(t).body)
	must(t, err)
	if answer.status != http.StatusNotFound {
		t.Errorf("another path: status %d", answer.status)
	}
}

// TestExpiryFollowsTheClock has a certificate that expires while its chain is remembered.
func TestExpiryFollowsTheClock(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	s := start(t, fakes.Options{Clock: drm.ClockFunc(func() time.Time { return now })})
	body := ask{device: expiring(t, uint32(now.Unix())+3600)}.make(t).body
	for i, want := range []int{200, 200, 403, 403} {
		if i == 2 {
			s.Clock().Advance(time.Hour)
		}
		if got := post(t, s, body).status; got != want {
			t.Errorf("request %d: status %d, want %d", i+1, got, want)
		}
	}
	s.Clock().Advance(-time.Second)
	if got := post(t, s, body).status; got != 200 {
		t.Errorf("with the clock moved back: status %d", got)
	}
}

// TestOversizedBody has bodies that announce their size, and one that doesn't: neither is read to its end.
func TestOversizedBody(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{MaxBody: 1000})
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL(), "http://"))
	must(t, err)
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	_, err = io.WriteString(conn, "POST /widevine/license HTTP/1.1\r\nHost: x\r\nContent-Length: 16000000\r\n\r\n")
	must(t, err)
	answer, err := io.ReadAll(conn) // to its end: the server closes without the 16 MB
	must(t, err)
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 413 ")) {
		t.Errorf("%q", answer)
	}
	req, err := http.NewRequest(http.MethodPost, s.LicenseURL(), io.LimitReader(zeros{}, 1001))
	must(t, err)
	resp, err := client.Do(req)
	must(t, err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("chunked: status %d", resp.StatusCode)
	}
	for _, r := range s.Requests() {
		if r.Reason != "body-too-large" || r.RequestBytes > 1000 {
			t.Errorf("%+v", r)
		}
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// TestBodyEndsEarly has a client that announces more than it sends.
func TestBodyEndsEarly(t *testing.T) {
	t.Parallel()
	s := start(t, fakes.Options{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL(), "http://"))
	must(t, err)
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	_, err = io.WriteString(conn, "POST /widevine/license HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
	must(t, err)
	must(t, conn.(*net.TCPConn).CloseWrite())
	answer, err := io.ReadAll(conn)
	must(t, err)
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 400 ")) {
		t.Errorf("%q", answer)
	}
	if r := s.Requests()[0]; r.Reason != "body-incomplete" || r.RequestBytes != 3 {
		t.Errorf("%+v", r)
	}
}
