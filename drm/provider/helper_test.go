package provider_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/secret"
)

// head are the first lines of a test's profile for Widevine.
const head = "profile: 1\nid: test\ndrm: widevine\n"

// parsed reads a profile that must be good.
func parsed(t testing.TB, text string) *provider.Profile {
	t.Helper()
	p, err := provider.Parse("p.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// from returns an environment of names and values.
func from(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

// boundTo reads a profile and binds it to an environment of names and values.
func boundTo(t testing.TB, text string, pairs ...string) *provider.Profile {
	t.Helper()
	p, err := parsed(t, text).Bind(provider.Environment{Getenv: from(pairs...), Clock: fixedClock{}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// fixedClock stands still.
type fixedClock struct{}

// testNow is the time that it shows.
var testNow = time.Unix(1_700_000_000, 0)

func (fixedClock) Now() time.Time { return testNow }

var testKID = drm.KID{0xf8, 0x1d, 0x4f, 0xae, 0x7d, 0xec, 0x11, 0xd0, 0xa7, 0x65, 0x00, 0xa0, 0xc9, 0x1e, 0x6b, 0xf6}

// testNeed is one key, which is known.
func testNeed() provider.Need {
	return provider.Need{
		Asset: "clip", KIDs: []drm.KID{testKID}, ContentID: []byte("cid"), Labels: map[drm.KID]string{testKID: "HD"},
		Keys: map[drm.KID]secret.Bytes{testKID: secret.New([]byte("0123456789abcdef"))},
	}
}

func leaseFor(t testing.TB, p *provider.Profile, need provider.Need) *provider.Lease {
	t.Helper()
	lease, err := p.Lease(t.Context(), need)
	if err != nil {
		t.Fatal(err)
	}
	return lease
}

var testAt = provider.At{Now: testNow, Seq: 7, Rand: [16]byte{1, 2, 3}}

// built returns the license request for a challenge as it goes to net/http.
func built(t testing.TB, p *provider.Profile, l *provider.Lease, challenge string) *http.Request {
	t.Helper()
	q, err := p.Build(l, drm.Message{Kind: drm.KindLicense, Body: []byte(challenge)}, testAt).HTTP(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func bodyOf(t testing.TB, q *http.Request) string {
	t.Helper()
	b, err := io.ReadAll(q.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// refusesAll looks for every part of a message in the error of a profile.
func refusesAll(t *testing.T, name, text string, want ...string) {
	t.Helper()
	_, err := provider.Parse("p.yaml", []byte(text))
	if err == nil {
		t.Errorf("%s: accepted", name)
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: the error does not say %q:\n%v", name, w, err)
		}
	}
}

// hush keeps a server from telling of handshakes that fail on purpose.
func hush(s *httptest.Server) {
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
}
