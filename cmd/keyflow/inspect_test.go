package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"keyflow/drm"
	"keyflow/drm/playready"
	"keyflow/drm/playready/soap"
	"keyflow/drm/pssh"
	"keyflow/drm/secret"
	"keyflow/fakes"
	"keyflow/reports"
)

// customDataCanary is custom data as a service's token looks.
const customDataCanary = "canary-4711-custom-data-token"

// inspectFile runs keyflow inspect on a file in the folder, and returns what it printed and its exit code.
func inspectFile(t testing.TB, dir string, data []byte, flags ...string) (stdout, stderr string, code int) {
	t.Helper()
	name := filepath.Join(dir, "message")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	code = run(append([]string{"inspect", name}, flags...), &out, &errs)
	return strings.ReplaceAll(out.String(), name, "FILE"), strings.ReplaceAll(errs.String(), name, "FILE"), code
}

// conversation is a key request of the harness's platform with custom data, and what a fake answers to it.
type conversation struct {
	request, response, fault []byte
	vault                    *secret.Vault
}

func converse(t testing.TB) conversation {
	t.Helper()
	var kids []drm.KID
	keys := map[drm.KID]secret.Bytes{}
	c := conversation{vault: secret.NewVault()}
	for i := range 2 {
		kid := drm.KID{0: 0xab, 3: byte(i), 9: 7, 15: 1}
		keys[kid] = secret.New([]byte{byte(i), 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xfe})
		kids = append(kids, kid)
		c.vault.Add("content key", keys[kid])
	}
	c.vault.Add("custom data", secret.New([]byte(customDataCanary)))
	fake, err := fakes.Start(t.Context(), fakes.Options{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	fake.AddTo(c.vault)
	header := pssh.WRMHeader{Version: pssh.Header43, LAURL: "https://license.example/"}
	for _, kid := range kids {
		header.KIDs = append(header.KIDs, pssh.HeaderKID{KID: kid, Algorithm: pssh.AlgorithmAESCTR})
	}
	box, err := pssh.PlayReadyBox(header)
	if err != nil {
		t.Fatal(err)
	}
	authority := fake.Authority()
	platform := playready.NewPlatform(authority.PlayReadyDevices()[0], drm.ClockFunc(time.Now)).
		WithRoot(authority.PlayReadyRoot()).WithServerKey(authority.PlayReadyServerKey())
	session, err := platform.Open(t.Context(), box, drm.Options{CustomData: secret.New([]byte(customDataCanary))})
	if err != nil {
		t.Fatal(err)
	}
	m, err := session.Request(t.Context(), drm.KindLicense)
	if err != nil {
		t.Fatal(err)
	}
	c.request = m.Body
	c.response = post(t, fake.PlayReadyURL(), soap.ContentType, m.Body)
	c.fault = post(t, fake.PlayReadyURL(), soap.ContentType, bytes.Replace(m.Body, []byte("<ClientTime>1"), []byte("<ClientTime>2"), 1))
	return c
}

func post(t testing.TB, url, contentType string, body []byte) []byte {
	t.Helper()
	answer, err := http.Post(url, contentType, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// wide returns a text as UTF-16LE, with a byte order mark.
func wide(ascii []byte) []byte {
	b := []byte{0xFF, 0xFE}
	for _, c := range ascii {
		b = append(b, c, 0)
	}
	return b
}

// TestInspectConversation shows what went to and fro between a platform and a fake, in every form that it is found in, and searches
// all that is printed for the secrets of both.
func TestInspectConversation(t *testing.T) {
	t.Parallel()
	c, dir := converse(t), t.TempDir()
	answer, err := soap.ParseAnswer(c.response)
	if err != nil || len(answer.Response.Licenses) != 2 {
		t.Fatalf("no two licenses: %v", err)
	}
	message := soap.KeyMessage{Challenge: c.request, Header: []soap.HeaderField{
		{Name: "Content", Value: soap.ContentType}, {Name: "Authorization", Value: "Bearer " + customDataCanary},
	}}
	wrapped := message.Bytes()
	narrow, err := soap.DecodeText(wrapped)
	if err != nil {
		t.Fatal(err)
	}
	request := []string{"header version +4.3.0.0", "header KID +ab000000-0000-0000-0007-000000000001, ALGID AESCTR", "LA_URL", "client time +1[0-9]+ .20..-..-..T",
		"nonce +16 bytes", "custom data +29 bytes", "key name +WMRMServer", "encrypted key +128 bytes", "digest +matches", "signature +verifies under", "LA version +5"}
	for name, x := range map[string]struct {
		data []byte
		kind string
		want []string
	}{
		"bare":                      {c.request, kindRequest, append(request, "form +bare SOAP")},
		"bare, UTF-16":              {wide(c.request), kindRequest, request},
		"wrapped":                   {wrapped, kindRequest, append(request, "HTTP header +Content-Type: \"text/xml; ", "Authorization, 36 bytes, not shown")},
		"wrapped, UTF-8 with a BOM": {[]byte("\ufeff\r\n" + narrow), kindRequest, append(request, "form +SOAP in a PlayReadyKeyMessage")},
		"response": {c.response, kindResponse, []string{"signed +no", "nonce +none", "license 2, ", "KID +ab000000-0000-0000-0007-000000000001", "key type +1 .AES-128-CTR.",
			"form +simple", "security level +2000", "persistence +in memory only .settings 0x0001.", "ends +20..-..-..T", "right to play +yes"}},
		"response, UTF-16": {wide(c.response), kindResponse, []string{"license 2, "}},
		"fault":            {c.fault, kindFault, []string{"code +0x8004C601", "name +DRM_E_SERVER_INVALID_MESSAGE", "meaning +the challenge is malformed"}},
		"license":          {answer.Response.Licenses[0], kindLicense, []string{"KID +ab0000", "encrypted key +128 bytes"}},
	} {
		stdout, stderr, code := inspectFile(t, dir, x.data)
		if code != 0 || stderr != "" || !strings.HasPrefix(stdout, "FILE: "+x.kind+", ") {
			t.Errorf("%s: exit %d, %s%s", name, code, stderr, stdout)
		}
		for _, want := range x.want {
			if !regexp.MustCompile(want).MatchString(stdout) {
				t.Errorf("%s: want %q in\n%s", name, want, stdout)
			}
		}
		asJSON, _, code := inspectFile(t, dir, x.data, "--json")
		var v struct{ Kind string }
		if err := json.Unmarshal([]byte(asJSON), &v); err != nil || v.Kind != x.kind || code != 0 {
			t.Errorf("%s: exit %d, %v\n%s", name, code, err, asJSON)
		}
		if names := c.vault.Names([]byte(stdout + asJSON)); names != nil {
			t.Errorf("%s: gives away %v", name, names)
		}
	}
}

// TestInspectSpoiled cuts and changes messages at many places. It never ends in anything but 0 or 2, the latter with a hint, and
// never tells custom data: not in an error that quotes what it stumbled over either.
func TestInspectSpoiled(t *testing.T) {
	t.Parallel()
	c, dir := converse(t), t.TempDir()
	fault := soap.FaultBody(soap.Fault{FaultCode: "soap:Server", Text: "refused", Code: soap.CodeServiceSpecific, CustomData: customDataCanary})
	look := func(what string, data []byte) (stdout, stderr string, code int) {
		stdout, stderr, code = inspectFile(t, dir, data)
		if code != 0 && (code != reports.ExitUsage || !strings.Contains(stderr, "hint: ")) {
			t.Errorf("%s: exit %d, %s", what, code, stderr)
		}
		if names := c.vault.Names([]byte(stdout + stderr)); names != nil || strings.Contains(stdout+stderr, "4711") {
			t.Errorf("%s: gives away %v\n%s%s", what, names, stderr, stdout)
		}
		return stdout, stderr, code
	}
	for _, m := range [][]byte{c.request, c.response, fault, soap.KeyMessage{Challenge: c.request}.Bytes()} {
		for at := 0; at < len(m); at += 1 + len(m)/150 {
			look("cut", m[:at])
			look("changed", append(append(bytes.Clone(m[:at]), '<'), m[at:]...))
		}
	}
	for _, spoiled := range []string{
		"a&" + customDataCanary, "<" + customDataCanary, "</" + customDataCanary + ">", "<a " + customDataCanary + ">", "]]>&#0;" + customDataCanary,
		"\x00" + customDataCanary, customDataCanary + "\xff", "<!DOCTYPE " + customDataCanary + ">", "<?" + customDataCanary + " ?>", "<p:" + customDataCanary + "/>",
		"<CustomData>" + customDataCanary + "</CustomData>&" + customDataCanary, "</CustomData>" + customDataCanary + "&x",
	} {
		for _, m := range [][]byte{c.request, fault} {
			stdout, stderr, code := look(spoiled, bytes.Replace(m, []byte(customDataCanary), []byte(spoiled), 1))
			if code != reports.ExitUsage || !strings.Contains(stderr, "CustomData: expected text") || !strings.Contains(stderr, "escape & and <") ||
				!strings.Contains(stdout, "custom data ") || !strings.Contains(stdout, "client version") && !strings.Contains(stdout, "0x8004C604") ||
				strings.Contains(stdout, "digest") {
				t.Errorf("%q: exit %d, %s%s", spoiled, code, stderr, stdout)
			}
		}
	}
}

// TestInspectPartly: what cannot be read costs its own part alone.
func TestInspectPartly(t *testing.T) {
	t.Parallel()
	c, dir := converse(t), t.TempDir()
	replaced := func(m []byte, old, replacement string) []byte {
		if !bytes.Contains(m, []byte(old)) {
			t.Errorf("%q is not there", old)
		}
		return bytes.ReplaceAll(m, []byte(old), []byte(replacement))
	}
	answer, err := soap.ParseAnswer(c.response)
	if err != nil {
		t.Fatal(err)
	}
	license, nonce := answer.Response.Licenses[1], regexp.MustCompile("<LicenseNonce>[^<]*")
	header := soap.KeyMessage{Challenge: []byte("<no/>"), Header: []soap.HeaderField{{Name: "SOAPAction", Value: "x"}}}.Bytes()
	for name, x := range map[string]struct {
		data        []byte
		code        int
		want, never string
		stderr      string
	}{
		"no signature":       {replaced(c.request, "Signature", "Seal"), 2, "client version", "signature|digest", "an element Signature"},
		"no encrypted key":   {replaced(c.request, "EncryptedKey", "EncryptedKeys"), 2, "nonce +16 bytes", "encrypted|digest", "an element EncryptedKey"},
		"a header of 4.9":    {replaced(c.request, `version="4.3.0.0"`, `version="4.9.0.0"`), 2, "digest +does not match", "header version", "4.9.0.0"},
		"two nonces":         {replaced(c.request, "<LicenseNonce>", "<LicenseNonce>AAAA</LicenseNonce><LicenseNonce>"), 2, "LA version", "nonce +none", "one element LicenseNonce"},
		"another LA":         {replaced(c.request, "<challenge>", "<LA></LA><challenge>"), 2, "challenge ", "client version|digest", "one LA"},
		"changed":            {replaced(c.request, "<ClientTime>1", "<ClientTime>2"), 0, "digest +does not match(.|\n)*signature +verifies under", "problem", ""},
		"another key":        {replaced(c.request, "<PublicKey>", "<PublicKey>AAAA"), 0, "does not verify(.|\n)*note: the key .* no point", "problem", ""},
		"time in words":      {replaced(c.request, "<ClientTime>", "<ClientTime>at "), 0, `client time +"at 1(.|\n)*note: ClientTime is not a number`, "problem", ""},
		"a short nonce":      {nonce.ReplaceAll(c.request, []byte("<LicenseNonce>AAAA")), 0, "nonce +3 bytes(.|\n)*note: LicenseNonce has 3 bytes, want 16", "problem", ""},
		"no base64":          {nonce.ReplaceAll(c.request, []byte("<LicenseNonce>!")), 0, "nonce +cannot be read(.|\n)*note: LicenseNonce is not base64", "problem", ""},
		"no challenge in it": {header, 2, "HTTP header +SOAPAction: x", "client version", "SOAP 1.1 Envelope"},
		"one license is bad": {bytes.Replace(c.response, []byte("<License>WE1SAAAAA"), []byte("<License>WE1SAAAAB"), 1), 2, "license 1, (.|\n)*problem(.|\n)*license 2, (.|\n)*right to play", "",
			"Licenses/License.1.: xmr: version 1027"},
		"two ResponseIDs":  {replaced(c.response, "</Licenses>", "</Licenses><Version>1</Version>"), 2, "", "signed|licenses", "one element Version"},
		"cut license":      {license[:len(license)-40], 2, "Rights ID", "KID|right to play", "xmr: "},
		"no content key":   {replaced(license, "\x00\x01\x00\x0a\x00\x00\x00", "\x00\x00\x77\x77\x00\x00\x00"), 2, "(?s)security level.*not read +type 0x7777, flags", "KID", "no content key"},
		"license of words": {[]byte("WE1S, said the license, and nothing else at all"), 2, "license", "KID", "the license in base64"},
	} {
		stdout, stderr, code := inspectFile(t, dir, x.data)
		if code != x.code || !regexp.MustCompile(x.stderr).MatchString(stderr) || code == 2 && !strings.Contains(stderr, "hint: ") {
			t.Errorf("%s: exit %d, %q", name, code, stderr)
		}
		if !regexp.MustCompile(x.want).MatchString(stdout) || x.never != "" && regexp.MustCompile(x.never).MatchString(withoutProblems(stdout)) {
			t.Errorf("%s: want %q and not %q in\n%s", name, x.want, x.never, stdout)
		}
	}
}

// withoutProblems cuts off what cannot be read: its text may name anything.
func withoutProblems(stdout string) string {
	shown, _, _ := strings.Cut(stdout, "\nproblem: ")
	return shown
}

func FuzzInspectMessage(f *testing.F) {
	c := converse(f)
	for _, m := range [][]byte{c.request, c.response, c.fault, soap.KeyMessage{Challenge: c.request}.Bytes(), []byte("WE1SAAAA"), []byte("<e:Envelope><Body><Fault/>")} {
		f.Add(m)
	}
	w := talkWidevine(f)
	for _, m := range [][]byte{
		w.request, w.private, w.license, w.certificate, w.bare, {8, 4}, {8, 3, 0x12, 2, 8, 2}, []byte("CAMSAggC"), []byte(`{"a":["080312020802"]}`), w.license[:200],
	} {
		f.Add(m)
	}
	roots, err := namedRoots("")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v := newMessage("fuzz", data, roots)
		if v == nil {
			return
		}
		if v.Kind == "" || len(v.summary()) > 4000 {
			t.Errorf("%q: %q", v.Kind, v.summary())
		}
		a := &app{out: io.Discard, err: io.Discard}
		for _, asJSON := range []bool{false, true} {
			if err := a.inspectMessage(v, asJSON); err != nil && a.report(err) != reports.ExitUsage {
				t.Errorf("%v", err)
			}
		}
	})
}
