package provider_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/drm/playready/soap"
	"keyflow/drm/provider"
)

const faultProfile = `profile: 1
id: faults
drm: playready
request: {url: "https://license.example/rm.asmx"}
errors:
  - {when: {body: "-4010"}, class: auth_invalid, code: {from: regex, regex: "-[0-9]{4}"}}
  - {when: {soap_status: ["0x8004c065"]}, class: device_rejected, code: {from: soap}}
  - {when: {soap_status: [0x8004C601, "0x8004c60b"], status: [500]}, class: request_malformed, code: {from: soap}}
  - {when: {content_type: xml}, class: server_fault, code: {from: soap}}
`

// TestSOAPStatus: matchers know the status codes of SOAP faults, whatever their case; other bodies have none.
func TestSOAPStatus(t *testing.T) {
	t.Parallel()
	p, err := provider.Parse("p.yaml", []byte(faultProfile))
	if err != nil {
		t.Fatal(err)
	}
	fault := func(code soap.Code, custom string) string {
		return string(soap.FaultBody(soap.Fault{FaultCode: "soap:Server", Text: "refused", Code: code, CustomData: custom}))
	}
	xml := http.Header{"Content-Type": {"text/xml; charset=utf-8"}}
	for name, c := range map[string]struct {
		status int
		header http.Header
		body   string
		want   string
	}{
		"code of the service":    {500, xml, fault(soap.CodeServiceSpecific, "Error -4010"), "auth_invalid (-4010)"},
		"revoked":                {500, xml, fault(soap.CodeDeviceRevoked, ""), "device_rejected (0x8004C065)"},
		"with another status":    {403, nil, fault(soap.CodeDeviceRevoked, ""), "device_rejected (0x8004C065)"},
		"in lower case":          {500, xml, strings.Replace(fault(soap.CodeDeviceRevoked, ""), "0x8004C065", "0x8004c065", 1), "device_rejected (0x8004C065)"},
		"one of two":             {500, xml, fault(soap.CodeVersionMismatch, ""), "request_malformed (0x8004C60B)"},
		"both must match":        {400, xml, fault(soap.CodeVersionMismatch, ""), "server_fault (0x8004C60B)"},
		"another code":           {500, xml, fault(soap.CodeInternalError, ""), "server_fault (0x8004C600)"},
		"without a code":         {500, xml, strings.Replace(fault(soap.CodeDeviceRevoked, ""), "<StatusCode>0x8004C065</StatusCode>", "", 1), "server_fault"},
		"cut off":                {500, xml, fault(soap.CodeDeviceRevoked, "")[:200], "server_fault"},
		"a code that is no XML":  {500, nil, "0x8004C065", "unclassified"},
		"an answer with nothing": {500, nil, "", "unclassified"},
	} {
		r := p.Read(drm.KindLicense, c.status, c.header, []byte(c.body))
		if r.Error == nil || r.Error.String() != c.want {
			t.Errorf("%s: %v, want %s", name, r.Error, c.want)
		}
	}
}

func TestSOAPStatusErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ old, new, want string }{
		"no code":      {`"0x8004c065"`, `"8004c065"`, `p.yaml:7: errors[1].when.soap_status: want status codes of SOAP faults, e.g. ["0x8004c601"], seen "8004c065"`},
		"short":        {`"0x8004c065"`, `"0x8004c06"`, "soap_status: want status codes"},
		"sign":         {`"0x8004c065"`, `"0x+004c065"`, "soap_status: want status codes"},
		"none":         {`"0x8004c065"`, `"0x00000000"`, "soap_status: want status codes"},
		"no list":      {`["0x8004c065"]`, `"0x8004c065"`, "soap_status: want a list"},
		"of Widevine":  {"drm: playready", "drm: widevine", "errors[1].when.soap_status: is for profiles with drm: playready"},
		"code's path":  {"code: {from: soap}", "code: {from: soap, path: x}", "errors[1].code.path: belongs to json, xml, header and url_query"},
		"code's place": {"code: {from: soap}", "code: {from: soup}", `errors[1].code.from: seen "soup": did you mean "soap"`},
	} {
		_, err := provider.Parse("p.yaml", []byte(strings.Replace(faultProfile, c.old, c.new, 1)))
		if err == nil || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
