package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"keyflow/drm/har"
	"keyflow/drm/playready/soap"
	"keyflow/reports"
)

// recorded is an entry of an archive as a browser writes it.
type recorded struct {
	method, url      string
	header           [][2]string
	body             []byte
	lost             bool // the browser did not keep the body
	status           int
	answerHeader     [][2]string
	answer           []byte
	answerType       string
	redirect, failed string
	started          time.Time // zero: some time in the past
}

func archiveOf(t testing.TB, entries ...recorded) []byte {
	t.Helper()
	text, err := writeArchive(entries)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func writeArchive(entries []recorded) ([]byte, error) {
	header := func(fields [][2]string) []map[string]string {
		list := []map[string]string{}
		for _, f := range fields {
			list = append(list, map[string]string{"name": f[0], "value": f[1]})
		}
		return list
	}
	var list []any
	for _, e := range entries {
		request := map[string]any{"method": e.method, "url": e.url, "headers": header(e.header), "bodySize": len(e.body)}
		if len(e.body) > 0 && !e.lost {
			var latin strings.Builder
			for _, b := range e.body {
				latin.WriteRune(rune(b))
			}
			request["postData"] = map[string]string{"mimeType": octets, "text": latin.String()}
		}
		list = append(list, map[string]any{
			"startedDateTime": started(e), "time": 12.5, "_error": e.failed, "request": request,
			"response": map[string]any{
				"status": e.status, "headers": header(e.answerHeader), "redirectURL": e.redirect,
				"content": map[string]any{"size": len(e.answer), "mimeType": e.answerType, "text": base64.StdEncoding.EncodeToString(e.answer), "encoding": "base64"},
			},
		})
	}
	return json.Marshal(map[string]any{"log": map[string]any{"version": "1.2", "entries": list}})
}

func started(e recorded) string {
	if e.started.IsZero() {
		return "2026-03-01T10:00:00.250Z"
	}
	return e.started.UTC().Format(time.RFC3339Nano)
}

// canary is part of everything that is secret in the archive of [session].
const canary = "canary-4711"

// session is what a browser recorded with both systems, of all kinds of secrets.
func session(t testing.TB) []byte {
	t.Helper()
	wv, pr := talkWidevine(t), converse(t)
	const secretive = canary + "-which-is-a-longer-token"
	license := "https://user:" + canary + "@license.example/wv;s=" + canary + "/" + strings.Repeat(canary, 6) + "?token=" + secretive + "&kid=" + talkKID.String() + "#" + canary
	header := [][2]string{
		{":authority", "license.example"}, {"Authorization", "Bearer " + secretive}, {"Cookie", "sid=" + secretive + "; a=b"}, {"X-Unknown", canary},
		{"Content-Type", octets}, {"Referer", "https://player.example/?session=" + canary},
	}
	answerHeader := [][2]string{{"Set-Cookie", "sid=" + canary}, {"Cache-Control", "no-store"}, {"X-Request-Id", canary}}
	fault := soap.FaultBody(soap.Fault{FaultCode: "soap:Server", Text: "the token " + secretive + " has expired", Code: soap.CodeServiceSpecific, CustomData: canary})
	wrapped := fmt.Appendf(nil, `{"license":%q,"session":%q}`, base64.StdEncoding.EncodeToString(wv.license), canary)
	return archiveOf(t,
		recorded{method: "GET", url: "https://cdn.example/a.mpd?" + canary, status: 200, answer: []byte("<MPD/>"), answerType: "application/dash+xml"},
		recorded{
			method: "OPTIONS", url: license, header: [][2]string{{"Access-Control-Request-Headers", "authorization,x-unknown"}}, status: 204,
			answerHeader: [][2]string{{"Access-Control-Allow-Headers", "authorization"}, {"X-Trace", canary}},
		},
		recorded{method: "POST", url: license, header: header, body: []byte{8, 4}, status: 200, answerHeader: answerHeader, answer: wv.certificate, answerType: octets},
		recorded{method: "POST", url: license, header: header, body: wv.private, status: 200, answerHeader: answerHeader, answer: wrapped, answerType: "application/json"},
		recorded{method: "POST", url: license, header: header, body: wv.request, lost: true, status: 403, answer: []byte(`{"token":"` + canary + `"}`), answerType: "application/json"},
		recorded{method: "POST", url: license, header: header, body: wv.request, status: 0, failed: "net::ERR_FAILED"},
		recorded{method: "POST", url: "https://track.example/?" + canary, body: []byte(canary), status: 204},
		recorded{method: "POST", url: "https://track.example/", body: []byte(canary), lost: true, status: 204},
		recorded{method: "POST", url: "https://pr.example/rm?" + secretive, header: header, body: pr.request, status: 302, redirect: "/login?" + canary},
		recorded{method: "GET", url: "https://pr.example/login?" + canary, status: 200, answer: []byte("<html>" + canary), answerType: "text/html"},
		recorded{method: "POST", url: "https://pr.example/rm?" + secretive, header: header, body: pr.request, status: 200, answer: pr.response, answerType: "text/xml"},
		recorded{method: "POST", url: "https://pr.example/rm?" + secretive, header: header, body: pr.request, status: 500, answer: fault, answerType: "text/xml"},
		recorded{method: "POST", url: "https://pr.example/rm", body: []byte("what " + canary), status: 400, answer: wv.license[:200], answerType: octets},
	)
}

// TestInspectArchive: what is of a license service is told, and nothing that is secret, in the list, of each entry, as text and JSON.
func TestInspectArchive(t *testing.T) {
	t.Parallel()
	text, dir := session(t), t.TempDir()
	show := func(flags ...string) string {
		t.Helper()
		stdout, stderr, code := inspectFile(t, dir, text, flags...)
		if code != 0 || stderr != "" {
			t.Errorf("%v: exit %d, %s", flags, code, stderr)
		}
		if strings.Contains(stdout+stderr, canary) || strings.Contains(stdout, "4711") {
			t.Errorf("%v: a secret is told:\n%s", flags, stdout)
		}
		return stdout
	}
	list := show()
	const wvURL = `https://license\.example/wv;s=…/…\?token=…&kid=…`
	for _, want := range []string{
		`^FILE: HTTP archive, 13 entries, 10 of license services\n`,
		`\n\[1\] preflight: OPTIONS ` + wvURL + `\n`, `request header +Access-Control-Request-Headers: authorization,x-unknown\n`, `status +204 No Content`,
		`\[2\] widevine certificate: POST `, `request +application/octet-stream, 2 bytes: Widevine service certificate request\n`, `request headers +Authorization, Content-Type, Cookie, Referer, X-Unknown\n`,
		`answer headers +Cache-Control, Set-Cookie, X-Request-Id`,
		`\[3\] widevine license: POST`, `client encrypted for fake.harness.test, KID ` + talkKID.String(), `Widevine license in JSON \$.license, base64, 1 key, .*allows to play for 2 hours`,
		`\[4\] not recognised: POST`, `request is lost +the archive does not hold it`, `answer +application/json, 23 bytes: JSON with the members token`,
		`\[5\] widevine license`, `status +none: the browser got no answer.*net::ERR_FAILED`,
		`\[8\] playready license: POST https://pr.example/rm\?…\n`, `leads to +/login\?…`, `\[9\] not recognised: GET https://pr.example/login\?…\n`, `a document <html>`,
		`PlayReady response, 2 licenses, KID ab000000`, `\[11\] playready license`, `PlayReady fault, 0x8004C604 DRM_E_SERVER_SERVICE_SPECIFIC`,
		`\[12\] not recognised: POST https://pr.example/rm\n`, `200 bytes: Widevine license, .* problem`,
		`\n3 other entries, not of a license service`, `note: of 1 of them the archive does not hold the request's body`,
	} {
		if !regexp.MustCompile(want).MatchString(list) {
			t.Errorf("want %q in\n%s", want, list)
		}
	}
	var archive struct {
		Entries   int
		Others    int `json:"other_entries"`
		Exchanges []struct {
			Index   int
			Query   []har.Parameter
			Headers []inspectedField `json:"request_headers"`
			Request struct{ Message *struct{ Kind string } }
		}
	}
	if err := json.Unmarshal([]byte(show("--json")), &archive); err != nil || archive.Entries != 13 || archive.Others != 3 || len(archive.Exchanges) != 10 {
		t.Fatalf("%v, %+v", err, archive)
	}
	if x := archive.Exchanges[2]; x.Index != 3 || x.Request.Message.Kind != kindWVRequest || len(x.Query) != 2 || x.Query[0] != (har.Parameter{Name: "token", Bytes: 35}) ||
		x.Headers[0] != (inspectedField{Name: "Authorization", Hidden: 42}) || x.Headers[1] != (inspectedField{Name: "Content-Type", Value: octets}) {
		t.Errorf("%+v", x)
	}
	for i := range archive.Entries {
		entry := show("--entry", fmt.Sprint(i))
		if !strings.HasPrefix(entry, fmt.Sprintf("FILE: HTTP archive, entry %d\n\n[%d] ", i, i)) {
			t.Errorf("entry %d:\n%s", i, entry)
		}
		var one struct{ Index int }
		if err := json.Unmarshal([]byte(show("--json", "--entry", fmt.Sprint(i))), &one); err != nil || one.Index != i {
			t.Errorf("entry %d: %v, %+v", i, err, one)
		}
	}
	entry := show("--entry", "3")
	for _, want := range []string{`Authorization, 42 bytes, not shown`, `Referer: "?https://player.example/\?session=`, `\nrequest: Widevine license request, `, `\nanswer: Widevine license, `, `wrapped key +32 bytes`} {
		if !regexp.MustCompile(want).MatchString(entry) {
			t.Errorf("want %q in\n%s", want, entry)
		}
	}
	if fault := show("--entry", "11"); !regexp.MustCompile(`text +"the token .*redacted:(header|query):.* has expired"`).MatchString(fault) {
		t.Errorf("the secret that a fault repeats is not marked:\n%s", fault)
	}
	if _, stderr, code := inspectFile(t, dir, text, "--entry", "13"); code != reports.ExitUsage || !strings.Contains(stderr, "has 13 entries, no entry 13") {
		t.Errorf("exit %d, %s", code, stderr)
	}
	if _, stderr, code := inspectFile(t, dir, text[:len(text)/2]); code != reports.ExitUsage || !strings.Contains(stderr, "hint: give the archive") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}

// TestInspectArchiveBounds: an archive of many exchanges is told in part, and without anything to look at in it.
func TestInspectArchiveBounds(t *testing.T) {
	t.Parallel()
	var many []recorded
	for i := range har.MaxWaiting + 5 {
		many = append(many, recorded{method: "OPTIONS", url: fmt.Sprintf("https://a.example/%d", i)})
	}
	for range maxExchanges + 7 {
		many = append(many, recorded{method: "POST", url: "https://l.example/", body: []byte{8, 4}})
	}
	stdout, _, code := inspectFile(t, t.TempDir(), archiveOf(t, many...))
	if code != 0 || !strings.Contains(stdout, "\n7 more exchanges are not shown\n") || !strings.Contains(stdout, fmt.Sprintf("\n%d other entries", har.MaxWaiting+5)) {
		t.Errorf("exit %d, %s", code, stdout[max(0, len(stdout)-500):])
	}
	if stdout, _, code = inspectFile(t, t.TempDir(), archiveOf(t)); code != 2 { // log.entries is null
		t.Errorf("exit %d, %s", code, stdout)
	}
}

func TestShownURL(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                         "",
		"https://a.example":        "https://a.example",
		"https://a.example/b?c":    "https://a.example/b?…",
		"https://a.example/b?c=":   "https://a.example/b?c=…",
		"https://a.example/?a=1&&": "https://a.example/?a=…",
		"https://a.example/?" + strings.Repeat("n", 41) + "=1": "https://a.example/?…",
		"data:text/plain,secret":                               "data:…",
		"blob:https://a.example/secret":                        "blob:…",
		"/p/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcdef":       "/p/…",
		"https://a.example/%zz":                                "an invalid URL",
		"https://a\x1b.example/":                               "an invalid URL",
	} {
		if got := har.ShownURL(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := har.ShownURL("https://a.example/?" + strings.Repeat("a=1&", 200)); len(got) > 1000 {
		t.Errorf("%d bytes", len(got))
	}
}

func FuzzInspectArchive(f *testing.F) {
	f.Add(archiveOf(f, recorded{method: "POST", url: "https://l.example/?a=b", body: []byte{8, 4}, status: 200, answer: []byte(`{"a":"CAMSAggC"}`)}))
	f.Add([]byte(`{"log":{"entries":[{"request":{"method":"OPTIONS","url":"https://l.example/"}},{"request":{"url":"::"},"response":{"content":{"text":"\ufffd"}}}]}}`))
	name := filepath.Join(f.TempDir(), "a.har")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, entry := range []int{-1, 0} {
			var out bytes.Buffer
			a := &app{out: &out, err: io.Discard}
			in, err := openInput(nil, name)
			if err != nil {
				t.Fatal(err)
			}
			err = a.inspectArchive(in, nil, inspectFlags{json: true, entry: entry})
			if err := in.file.Close(); err != nil {
				t.Fatal(err)
			}
			if err != nil && a.report(err) != reports.ExitUsage {
				t.Errorf("%v", err)
			}
			if out.Len() > 0 && !json.Valid(out.Bytes()) {
				t.Errorf("no JSON: %s", out.Bytes())
			}
		}
	})
}
