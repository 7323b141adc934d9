package loadtest_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/loadtest"
)

const jsonProfile = `profile: 1
id: json
drm: widevine
request: {url: "URL"}
response:
  unwrap:
    - {as: json, path: "$.license", decode: b64, ok_if: {path: "$.status", equals: OK}}
errors:
  - {when: {json: {"$.status": "^SIGNATURE_FAILED$"}}, class: auth_invalid, code: {from: json, path: "$.status"}}
  - {when: {json: {"$.status": "^INTERNAL_ERROR$"}}, class: server_transient, code: {from: json, path: "$.status"}}
`

const soapFault = `<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><soap:Fault>` +
	`<faultcode>soap:Server</faultcode><faultstring>refused</faultstring><detail><Exception><StatusCode>0x8004c600</StatusCode></Exception></detail>` +
	`</soap:Fault></soap:Body></soap:Envelope>`

// TestRefusalsWithStatus200 are errors, whether answers are verified or not: none of them is a license.
func TestRefusalsWithStatus200(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		system  drm.System // of a plain profile; "" for one that reads JSON
		class   string
		seen    string
	}{
		"page":                       {body(200, "text/html", "<!DOCTYPE html><title>Login</title>"), drm.Widevine, loadtest.ClassEdgeHTML, "an HTML page"},
		"Widevine's error":           {body(200, "application/octet-stream", "\x08\x03\x12\x02\x08\x01"), drm.Widevine, loadtest.ClassLicenseError, "error response 1"},
		"Widevine's error, no code":  {body(200, "application/octet-stream", "\x08\x03"), drm.Widevine, loadtest.ClassLicenseError, "without a code"},
		"SOAP fault":                 {body(200, "text/xml", soapFault), drm.PlayReady, loadtest.ClassSOAPFault, "8004C600"},
		"JSON":                       {body(200, "application/json", `{"status": "INTERNAL_ERROR"}`), "", loadtest.ClassNotALicense, "INTERNAL_ERROR"},
		"JSON, the token is refused": {body(200, "application/json", `{"status": "SIGNATURE_FAILED"}`), "", "auth-invalid", "SIGNATURE_FAILED"},
		"JSON with Widevine's error": {body(200, "application/json", `{"status": "OK", "license": "CAMSAggB"}`), "", loadtest.ClassLicenseError, "error response 1"},
		"JSON without a license":     {body(200, "application/json", `{"status": "OK"}`), "", loadtest.ClassNotALicense, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, c.handler)
			cfg := config(t, s.URL, "100/s", 100*time.Millisecond)
			cfg.Verify = loadtest.VerifyNone
			if c.system != "" {
				cfg.Shares[0].Profile.DRM = c.system
			} else {
				p, err := provider.Parse("json.yaml", []byte(strings.Replace(jsonProfile, "URL", s.URL, 1)))
				if err != nil {
					t.Fatal(err)
				}
				cfg.Shares[0].Profile = p
			}
			load, err := loadtest.Run(bounded(t), cfg)
			if err != nil {
				t.Fatal(err)
			}
			checkClass(t, load, c.class)
			if seen := load.Samples[0].Seen; !strings.Contains(strings.ToLower(seen), strings.ToLower(c.seen)) {
				t.Errorf("seen is %q, want %q in it", seen, c.seen)
			}
		})
	}
}
