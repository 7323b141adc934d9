package provider_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/drm/playready/soap"
	"keyflow/drm/provider"
)

// answering returns a profile with keys of response and matchers.
func answering(system, response, matchers string) string {
	return "profile: 1\nid: test\ndrm: " + system + "\nrequest: {url: 'https://license.example/'}\nresponse:\n  " + strings.ReplaceAll(response, "\n", "\n  ") + "\nerrors:\n  " + strings.ReplaceAll(matchers, "\n", "\n  ") + "\n"
}

func typed(contentType string, pairs ...string) http.Header {
	h := http.Header{"Content-Type": {contentType}}
	for i := 0; i+1 < len(pairs); i += 2 {
		h.Set(pairs[i], pairs[i+1])
	}
	return h
}

// TestUnwrap takes licenses out of answers. Each case has the rules, the answer, and the license or what is wrong.
func TestUnwrap(t *testing.T) {
	t.Parallel()
	const lic, percent, hexed = "\x08\x02\xff\xfe\xfb", "CAL%2F%2Fvs%3D", "0802fffefb"
	for name, c := range map[string]struct {
		rules  string
		kind   drm.Kind
		status int
		header http.Header
		body   string
		want   string // the license
		reason drm.Reason
		seen   string // of the problem
	}{
		"no rules":             {"[]", "", 200, nil, lic, lic, "", ""},
		"raw":                  {"[{as: raw}]", "", 200, nil, lic, lic, "", ""},
		"raw, b64":             {"[{decode: b64}]", "", 200, nil, "CAL//vs=", lic, "", ""},
		"raw, b64, no padding": {"[{decode: b64}]", "", 200, nil, "CAL//vs", "", provider.ReasonForm, "is not base64 with padding"},
		"raw, b64url":          {"[{decode: b64url}]", "", 200, nil, "CAL__vs", lic, "", ""},
		"raw, b64url, padding": {"[{decode: b64url}]", "", 200, nil, "CAL__vs=", lic, "", ""},
		"raw, not b64url":      {"[{decode: b64url}]", "", 200, nil, "CAL//vs=", "", provider.ReasonForm, "is not base64 for URLs"},
		"raw, lenient":         {"[{decode: b64_lenient}]", "", 200, nil, " CAL/\r\n/vs\n", lic, "", ""},
		"raw, lenient, URLs":   {"[{decode: b64_lenient}]", "", 200, nil, "CAL__vs", lic, "", ""},
		"raw, lenient nothing": {"[{decode: b64_lenient}]", "", 200, nil, " \r\n", "", provider.ReasonEmpty, "nothing in the answer's body"},
		"raw, not lenient":     {"[{decode: b64_lenient}]", "", 200, nil, "CAL/$/vs", "", provider.ReasonForm, "is not base64"},
		"raw, b64+urlquery":    {"[{decode: b64+urlquery}]", "", 200, nil, percent, lic, "", ""},
		"raw, no urlquery":     {"[{decode: b64+urlquery}]", "", 200, nil, "%zz", "", provider.ReasonForm, "is not percent-encoded as it should be"},
		"raw, hex":             {"[{decode: hex}]", "", 200, nil, hexed, lic, "", ""},
		"raw, no hex":          {"[{decode: hex}]", "", 200, nil, hexed + "0", "", provider.ReasonForm, "is not hexadecimal"},
		"json":                 {"[{as: json, path: '$.a[1].b', decode: b64}]", "", 200, nil, `{"a": [0, {"b": "CAL//vs="}]}`, lic, "", ""},
		"json, lenient":        {"[{as: json, path: $.l, decode: b64_lenient}]", "", 200, nil, `{"l": "CAL__vs"}`, lic, "", ""},
		"json, urlquery":       {"[{as: json, path: $.l, decode: b64+urlquery}]", "", 200, nil, `{"l": "` + percent + `"}`, lic, "", ""},
		"json, not there":      {"[{as: json, path: $.l, decode: b64}]", "", 200, nil, `{"m": "CAL"}`, "", provider.ReasonForm, "none there"},
		"json, empty":          {"[{as: json, path: $.l, decode: b64}]", "", 200, nil, `{"l": ""}`, "", provider.ReasonForm, "none there"},
		"json, an object":      {"[{as: json, path: $.l, decode: b64}]", "", 200, nil, `{"l": {}}`, "", provider.ReasonForm, "none there"},
		"json that is none":    {"[{as: json, path: $.l, decode: b64}]", "", 200, nil, lic, "", provider.ReasonForm, "none there"},
		"ok_if":                {"[{as: json, path: $.l, decode: b64, ok_if: {path: $.status, equals: OK}}]", "", 200, nil, `{"status": "OK", "l": "CAL//vs="}`, lic, "", ""},
		"ok_if, a number":      {"[{as: json, path: $.l, decode: b64, ok_if: {path: $.code, equals: 0}}]", "", 200, nil, `{"code": 0, "l": "CAL//vs="}`, lic, "", ""},
		"ok_if, truth":         {"[{as: json, path: $.l, decode: b64, ok_if: {path: $.ok, equals: true}}]", "", 200, nil, `{"ok": true, "l": "CAL//vs="}`, lic, "", ""},
		"ok_if says no":        {"[{as: json, path: $.l, decode: b64, ok_if: {path: $.status, equals: OK}}]", "", 200, nil, `{"status": "DENIED", "l": "CAL//vs="}`, "", provider.ReasonStatusInside, `"DENIED"`},
		"ok_if says nothing":   {"[{as: json, path: $.l, decode: b64, ok_if: {path: $.status, equals: OK}}]", "", 200, nil, `{"l": "CAL//vs="}`, "", provider.ReasonStatusInside, "none"},
		"by content type":      {"[{when: {content_type: '^application/json'}, as: json, path: $.l, decode: b64}, {as: raw}]", "", 200, typed("application/json; charset=x"), `{"l": "CAL//vs="}`, lic, "", ""},
		"by another type":      {"[{when: {content_type: '^application/json'}, as: json, path: $.l, decode: b64}, {as: raw}]", "", 200, typed("text/json"), lic, lic, "", ""},
		"by status":            {"[{when: {status: [201]}, decode: hex}, {when: {status: \"200-299\"}, decode: b64}]", "", 201, nil, hexed, lic, "", ""},
		"by another status":    {"[{when: {status: [201]}, decode: hex}, {when: {status: \"200-299\"}, decode: b64}]", "", 200, nil, "CAL//vs=", lic, "", ""},
		"by first bytes":       {"[{when: {first_bytes: '7B'}, as: json, path: $.l, decode: b64}, {when: {first_bytes: '0802'}}]", "", 200, nil, `{"l": "CAL//vs="}`, lic, "", ""},
		"by other bytes":       {"[{when: {first_bytes: '7b'}, as: json, path: $.l, decode: b64}, {when: {first_bytes: '0802'}}]", "", 200, nil, lic, lic, "", ""},
		"of no form":           {"[{when: {first_bytes: '7b'}, as: json, path: $.l, decode: b64}, {when: {first_bytes: '0802'}}]", "", 200, nil, "\x08\x03\x01", "", provider.ReasonForm, "a body that starts 0803"},
		"by kind":              {"[{when: {kind: certificate}, decode: hex}, {when: {kind: license}}]", drm.KindCertificate, 200, nil, hexed, lic, "", ""},
		"by another kind":      {"[{when: {kind: certificate}, decode: hex}, {when: {kind: license}}]", drm.KindLicense, 200, nil, lic, lic, "", ""},
		"kind of no form":      {"[{when: {kind: certificate}, decode: hex}, {when: {kind: license}}]", drm.KindRenewal, 200, nil, lic, "", provider.ReasonForm, "a body that starts 0802"},
		"first match wins":     {"[{when: {first_bytes: '08'}}, {decode: hex}]", "", 200, nil, lic, lic, "", ""},
		"one byte of no form":  {"[{when: {first_bytes: '0802'}}]", "", 200, nil, "\x08", "", provider.ReasonForm, "a body that starts 08"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kind := c.kind
			if kind == "" {
				kind = drm.KindLicense
			}
			p := parsed(t, answering("widevine", "ok_status: [200, 201]\nunwrap: "+c.rules, "- {class: server_fault}"))
			r := p.Read(kind, c.status, c.header, []byte(c.body))
			if c.reason == "" {
				if r.Class != provider.ClassOK || string(r.Body) != c.want || len(r.Problems) > 0 || r.Error != nil {
					t.Errorf("%+v, want %q", r, c.want)
				}
				return
			}
			if r.Class != provider.ClassUnexpected || string(r.Body) != c.body && c.reason != provider.ReasonEmpty || len(r.Problems) != 1 || r.Problems[0].Reason != c.reason || r.Problems[0].Seen != c.seen || r.Error == nil || r.Error.Class != "server_fault" {
				t.Errorf("%+v, want %s %q", r, c.reason, c.seen)
			}
		})
	}
}

func TestUnwrapSOAP(t *testing.T) {
	t.Parallel()
	p := parsed(t, answering("playready", "content_types: [text/xml]\nunwrap: [{when: {content_type: xml}, as: soap}]", "- {when: {content_type: xml}, class: server_fault, code: {from: soap}}"))
	fault := soap.FaultBody(soap.Fault{FaultCode: "soap:Server", Text: "no", Code: soap.CodeDeviceRevoked})
	if r := p.Read(drm.KindLicense, 200, typed("text/xml"), fault); r.Class != provider.ClassOK || string(r.Body) != string(fault) {
		t.Errorf("an envelope: %+v", r)
	}
	if r := p.Read(drm.KindLicense, 200, typed("text/xml"), []byte("<a/>")); r.Class != provider.ClassUnexpected || len(r.Problems) != 1 || r.Problems[0].Expected != "a SOAP envelope" || r.Error.String() != "server_fault" {
		t.Errorf("other XML: %+v", r)
	}
}

// TestMatchers gives classes to refusals: what each condition matches, and what not.
func TestMatchers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		when    string
		status  int
		header  http.Header
		body    string
		matches bool
	}{
		"status":                  {"{status: [401, 403]}", 403, nil, "", true},
		"another status":          {"{status: [401, 403]}", 402, nil, "", false},
		"range, low":              {`{status: "500-599"}`, 500, nil, "", true},
		"range, high":             {`{status: "500-599"}`, 599, nil, "", true},
		"range, beyond":           {`{status: "500-598"}`, 599, nil, "", false},
		"content type":            {"{content_type: json}", 400, typed("application/json"), "", true},
		"another type":            {"{content_type: json}", 400, typed("text/plain"), "", false},
		"body":                    {"{body: 'E-[0-9]{4}'}", 400, nil, "x E-1234 y", true},
		"another body":            {"{body: 'E-[0-9]{4}'}", 400, nil, "x E-123 y", false},
		"first bytes":             {"{first_bytes: '0801'}", 400, nil, "\x08\x01\x02", true},
		"fewer bytes":             {"{first_bytes: '0801'}", 400, nil, "\x08", false},
		"header":                  {"{header: {x-code: '^03'}}", 400, typed("", "X-Code", "0301"), "", true},
		"header is missing":       {"{header: {x-code: '^03'}}", 400, typed(""), "", false},
		"header must be missing":  {"{header: {x-code: '^$'}}", 400, typed(""), "", true},
		"header is there":         {"{header: {x-code: '^$'}}", 400, typed("", "X-Code", "1"), "", false},
		"two headers":             {"{header: {a: x, b: y}}", 400, typed("", "a", "x", "b", "y"), "", true},
		"one of two headers":      {"{header: {a: x, b: y}}", 400, typed("", "a", "x"), "", false},
		"json":                    {"{json: {$.status: '^BAD'}}", 200, nil, `{"status": "BAD_REQUEST"}`, true},
		"json, other value":       {"{json: {$.status: '^BAD'}}", 400, nil, `{"status": "OK"}`, false},
		"json, number":            {"{json: {'$.a[0]': 17}}", 400, nil, `{"a": [17]}`, true},
		"json, number as regex":   {"{json: {'$.a[0]': '^1'}}", 400, nil, `{"a": [17]}`, true},
		"json, another number":    {"{json: {'$.a[0]': 17}}", 400, nil, `{"a": [170]}`, false},
		"json, truth":             {"{json: {$.ok: false}}", 400, nil, `{"ok": false}`, true},
		"json, other truth":       {"{json: {$.ok: false}}", 400, nil, `{"ok": true}`, false},
		"json, missing":           {"{json: {$.ok: false}}", 400, nil, `{}`, false},
		"json, not there":         {"{json: {'$.a[1]': 17}}", 400, nil, `{"a": [17]}`, false},
		"json, anything":          {"{json: {$.a: '.*'}}", 400, nil, `{"a": "x"}`, true},
		"json, no JSON":           {"{json: {$.a: '.*'}}", 400, nil, `a: x`, false},
		"all conditions":          {"{status: [400], body: no, content_type: text}", 400, typed("text/plain"), "no", true},
		"one condition is missed": {"{status: [400], body: no, content_type: text}", 400, typed("text/plain"), "yes", false},
	} {
		p := parsed(t, answering("widevine", "unwrap: [{as: json, path: $.license, decode: b64}]", "- {when: "+c.when+", class: not_entitled, retry: never}\n- {class: key_unknown}"))
		r := p.Read(drm.KindLicense, c.status, c.header, []byte(c.body))
		want := provider.ErrorClass("key_unknown")
		if c.matches {
			want = "not_entitled"
		}
		if r.Error == nil || r.Error.Class != want || (r.Error.Retry == "never") != c.matches {
			t.Errorf("%s: %+v, want %s", name, r.Error, want)
		}
	}
}

// TestCodes finds the provider's own code and words.
func TestCodes(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 150)
	for name, c := range map[string]struct {
		places string
		header http.Header
		body   string
		want   string
	}{
		"neither":        {"", nil, "x", "policy_refused"},
		"code":           {"code: {from: regex, regex: 'E-[0-9]+'}", nil, "x E-17 y", "policy_refused (E-17)"},
		"group":          {"code: {from: regex, regex: 'E-([0-9]+)'}", nil, "x E-17 y", "policy_refused (17)"},
		"not there":      {"code: {from: regex, regex: 'E-([0-9]+)'}", nil, "x", "policy_refused"},
		"json, header":   {"code: {from: json, path: $.e.code}, message: {from: header, path: x-message}", typed("", "X-Message", "no such thing"), `{"e": {"code": 4711}}`, "policy_refused (4711): no such thing"},
		"message":        {"message: {from: json, path: $.m}", nil, `{"m": "a\n b"}`, "policy_refused: a b"},
		"message, regex": {"message: {from: json, path: $.m, regex: 'b+'}", nil, `{"m": "abbc"}`, "policy_refused: bb"},
		"binary":         {"message: {from: regex, regex: '(?s).*'}", nil, "\x08\x02\x00", "policy_refused"},
		"long":           {"message: {from: regex, regex: '.*'}", nil, long, "policy_refused: " + strings.Repeat("é", 100)},
		"long, shifted":  {"message: {from: regex, regex: '.*'}", nil, "x" + long, "policy_refused: x" + strings.Repeat("é", 99)},
	} {
		places := c.places
		if places != "" {
			places = ", " + places
		}
		p := parsed(t, answering("widevine", "ok_status: [200]", "- {class: policy_refused"+places+"}"))
		if r := p.Read(drm.KindLicense, 403, c.header, []byte(c.body)); r.Error == nil || r.Error.String() != c.want {
			t.Errorf("%s: %v, want %q", name, r.Error, c.want)
		}
	}
	if got := (&provider.Matched{Class: "x", Message: "m"}).String(); got != "x: m" {
		t.Error(got)
	}
}

// TestHTMLIsNeverALicense, whatever the rules and matchers say of it.
func TestHTMLIsNeverALicense(t *testing.T) {
	t.Parallel()
	for _, rules := range []string{"[]", "[{as: raw}]", "[{when: {first_bytes: '3c'}, as: raw}]", "[{when: {content_type: html}}]"} {
		p := parsed(t, answering("widevine", "content_types: [text/html]\nunwrap: "+rules, "- {when: {body: 'E-1'}, class: auth_invalid}"))
		for _, body := range []string{"<html>", "\ufeff<!doctype HTML><p>", "  <HTML>"} {
			if r := p.Read(drm.KindLicense, 200, typed("text/html"), []byte(body)); r.Class != provider.ClassEdgeHTML || len(r.Problems) != 1 || r.Error == nil || r.Error.Class != provider.ErrorEdgeHTML {
				t.Errorf("%s, %q: %+v", rules, body, r)
			}
		}
		// With a code of the service in it a refusal is one; a good status never becomes a license by it.
		if r := p.Read(drm.KindLicense, 403, typed("text/html"), []byte("<html>E-1")); r.Class != provider.ClassRefused || r.Error.Class != "auth_invalid" {
			t.Errorf("%s: a refusal in HTML: %+v", rules, r)
		}
		if r := p.Read(drm.KindLicense, 200, typed("text/html"), []byte("<html>E-1")); r.Class != provider.ClassEdgeHTML {
			t.Errorf("%s: HTML with a code and a good status: %+v", rules, r)
		}
	}
}

// TestMetadata tells what the profile names of an answer, good or not, as text on one line.
func TestMetadata(t *testing.T) {
	t.Parallel()
	p := parsed(t, answering("widevine", "unwrap: [{as: json, path: $.license, decode: b64}]\nmetadata: {id: {from: header, path: x-request-id}, internal: {from: json, path: $.internal}, gone: {from: json, path: $.none}}", "- {class: server_fault}"))
	header := typed("application/json", "X-Request-Id", "id-1")
	want := map[string]string{"id": "id-1", "internal": "17"}
	for _, status := range []int{200, 500} {
		if r := p.Read(drm.KindLicense, status, header, []byte(`{"license": "CAI=", "internal": 17}`)); !maps.Equal(r.Metadata, want) {
			t.Errorf("HTTP %d: %v, want %v", status, r.Metadata, want)
		}
	}
	if r := parsed(t, head+"request: {url: 'https://license.example/'}\n").Read(drm.KindLicense, 200, header, []byte("x")); r.Metadata != nil {
		t.Errorf("a profile that names none: %v", r.Metadata)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(200, "application/json", "0301", []byte(`{"license": "CAI=", "status": "OK"}`))
	f.Add(403, "text/html", "", []byte("<html>E-1"))
	f.Add(500, "text/xml", "x", soap.FaultBody(soap.Fault{FaultCode: "soap:Server", Text: "no", Code: soap.CodeDeviceRevoked}))
	f.Add(200, "", "", []byte("\x08\x02"))
	profiles := []*provider.Profile{
		parsed(f, answering("widevine", "unwrap:\n  - {when: {first_bytes: '7b'}, as: json, path: '$.a[0].b', decode: b64_lenient, ok_if: {path: $.status, equals: OK}}\n  - {when: {content_type: json}, as: json, path: $.license, decode: b64+urlquery}\n  - {when: {first_bytes: '08'}}\n  - {when: {status: [201]}, decode: hex}\nmetadata: {m: {from: json, path: $.m}, h: {from: header, path: x-code}}",
			"- {when: {json: {'$.a[0]': 1, $.s: '^B'}}, class: auth_invalid, code: {from: json, path: $.c}, message: {from: regex, regex: '(?s).+'}}\n- {when: {header: {x-code: '^03'}}, class: not_entitled, code: {from: header, path: x-code}}\n- {when: {body: 'E-[0-9]'}, class: key_unknown, code: {from: regex, regex: 'E-[0-9]'}}")),
		parsed(f, answering("playready", "unwrap: [{when: {content_type: xml}, as: soap}]", "- {when: {soap_status: ['0x8004c065']}, class: device_rejected, code: {from: soap}}\n- {class: server_fault, code: {from: soap}}")),
	}
	f.Fuzz(func(t *testing.T, status int, contentType, code string, body []byte) {
		for _, p := range profiles {
			r := p.Read(drm.KindLicense, status, http.Header{"Content-Type": {contentType}, "X-Code": {code}}, body)
			if (r.Class == provider.ClassOK) != (r.Error == nil) || r.Class != provider.ClassOK && len(r.Problems) == 0 {
				t.Errorf("%d %q %q: %+v", status, contentType, body, r)
			}
			if r.Class == provider.ClassOK && (status != 200 || provider.IsHTML(typed(contentType), body) || len(r.Body) == 0) {
				t.Errorf("%d %q %q is a license: %+v", status, contentType, body, r)
			}
			if r.Error != nil && strings.ContainsAny(r.Error.String(), "\r\n\x00") {
				t.Errorf("%q: the error is %q", body, r.Error)
			}
		}
	})
}
