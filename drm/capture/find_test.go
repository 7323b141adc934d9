package capture_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"

	"keyflow/drm"
	"keyflow/drm/capture"
	"keyflow/drm/playready"
	"keyflow/drm/playready/soap"
	"keyflow/drm/pssh"
	"keyflow/drm/widevine"
	"keyflow/fakes"
	"keyflow/fixtures"
)

var authority = sync.OnceValues(func() (*fakes.Authority, error) {
	return fakes.NewAuthority(context.Background(), fakes.AuthorityOptions{Devices: 1, RootBits: 2048})
})

// keyRequest is a fresh key request of a harness device.
func keyRequest(t testing.TB, system drm.System) []byte {
	t.Helper()
	a, err := authority()
	if err != nil {
		t.Fatal(err)
	}
	asset, err := fixtures.Open("cenc-1key")
	if err != nil {
		t.Fatal(err)
	}
	sources, err := asset.Sources()
	if err != nil {
		t.Fatal(err)
	}
	found, err := pssh.Find(sources[0].Name, sources[0].Data)
	if err != nil {
		t.Fatal(err)
	}
	box, err := pssh.Select(found.Boxes(), system)
	if err != nil {
		t.Fatal(err)
	}
	var p drm.Platform = widevine.NewPlatform(a.Devices()[0], drm.SystemClock)
	if system == drm.PlayReady {
		p = playready.NewPlatform(a.PlayReadyDevices()[0], drm.SystemClock).WithServerKey(a.PlayReadyServerKey())
	}
	session, err := p.Open(t.Context(), box, drm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := session.Request(t.Context(), drm.KindLicense)
	if err != nil {
		t.Fatal(err)
	}
	return m.Body
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// untyped is a key request without its type, as encoders leave out what is the default.
func untyped(t testing.TB, request []byte) []byte {
	t.Helper()
	if !strings.HasPrefix(string(request), "\x08\x01") {
		t.Fatal("the request does not begin with its type")
	}
	return request[2:]
}

// bareCertificate is a service certificate without an envelope.
func bareCertificate(t testing.TB) []byte {
	t.Helper()
	a, err := authority()
	if err != nil {
		t.Fatal(err)
	}
	return a.ServiceCertificate()
}

// utf16le encodes text as some CDMs do.
func utf16le(text string) []byte {
	b := []byte{0xff, 0xfe}
	for _, c := range utf16.Encode([]rune(text)) {
		b = append(b, byte(c), byte(c>>8))
	}
	return b
}

// TestFind: the bytes of the sheets' messages, and of the harness's own, in every wrapping.
func TestFind(t *testing.T) {
	t.Parallel()
	challenge := keyRequest(t, drm.PlayReady)
	const response = `<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><AcquireLicenseResponse/></soap:Body></soap:Envelope>`
	for name, c := range map[string]struct {
		body []byte
		want string
	}{
		"Widevine request":     {keyRequest(t, drm.Widevine), "widevine license request"},
		"PlayReady challenge":  {challenge, "playready license request"},
		"untyped request":      {untyped(t, keyRequest(t, drm.Widevine)), "widevine license request"}, // sheet widevine.md §4
		"bare certificate":     {bareCertificate(t), "widevine certificate"},                          // sheet widevine.md §5.2
		"certificate request":  {[]byte{8, 4}, "widevine certificate request"},                        // sheet widevine.md §5
		"error":                {unhex(t, "0803120208015a"[:12]), "widevine refusal"},                 // sheet widevine.md §4.14
		"SOAP fault":           {soap.FaultBody(soap.Fault{Code: 0x8004c600}), "playready refusal"},
		"response":             {[]byte(response), "playready license"},
		"response in UTF-16LE": {utf16le(response), "playready license"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			numbers := make([]int, len(c.body))
			for i, b := range c.body {
				numbers[i] = int(b)
			}
			array, err := json.Marshal(map[string]any{"token": "abc", "drm_info": numbers})
			if err != nil {
				t.Fatal(err)
			}
			std, web := base64.StdEncoding.EncodeToString(c.body), base64.RawURLEncoding.EncodeToString(c.body)
			for wrapping, body := range map[string]string{
				"":                                   string(c.body),
				"base64":                             std,
				"hex":                                hex.EncodeToString(c.body),
				"base64, base64":                     base64.StdEncoding.EncodeToString([]byte(web)),
				"JSON $.a[1].license, base64":        fmt.Sprintf(`{"a":[{"x":1},{"license":%q}],"status":"OK"}`, web),
				"JSON $.drm_info, an array of bytes": string(array),
				"form field widevine2, base64":       url.Values{"widevine2": {std}, "assetId": {"7"}}.Encode(),
			} {
				m, ok := capture.Find([]byte(body))
				want := c.want
				if wrapping != "" {
					want += " in " + wrapping
				}
				if !ok || m.String() != want || string(m.Body) != string(c.body) {
					t.Errorf("%s: %v, %v", want, ok, m)
				}
			}
		})
	}
	wrapped, ok := capture.Find(soap.KeyMessage{Challenge: challenge}.Bytes())
	if !ok || wrapped.String() != "playready license request in PlayReadyKeyMessage" || string(wrapped.Body) != string(challenge) {
		t.Errorf("%v, %v", ok, wrapped)
	}
}

// TestFindNothing has what is no message, or not one that is worth the search.
func TestFindNothing(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"a":`, 200) + `"CAQ="` + strings.Repeat("}", 200)
	for _, body := range []string{
		"", "{}", "[]", "hello", "<html><body>Sign in</body></html>", "\x08", "\x08\x02", "\x08\x09", "\x08\x01\x12\x00", "AAAA", "0", "null",
		`{"a":1}`, `[256,8,4]`, `[8,4.5]`, "a=b&c=d", deep, "XMR", "\xff\xfe", `{"license":""}`, `{"a":"CAQ="} x`,
	} {
		if m, ok := capture.Find([]byte(body)); ok {
			t.Errorf("%.40q: %v", body, m)
		}
	}
}

func FuzzFind(f *testing.F) {
	f.Add([]byte{8, 4})
	f.Add([]byte(`{"a":["CAQ=",[8,4]]}`))
	f.Add([]byte("a=CAQ%3D"))
	f.Add(soap.FaultBody(soap.Fault{Code: 0x8004c600}))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, ok := capture.Find(body)
		if ok != (m.System != "") || ok && len(m.Body) == 0 || len(m.Wrapped) > 2000 {
			t.Errorf("%v %v", ok, m)
		}
	})
}
