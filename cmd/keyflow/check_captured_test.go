package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"keyflow/drm"
	"keyflow/drm/provider"
	"keyflow/drm/pssh"
	"keyflow/drm/secret"
	"keyflow/fakes"
	"keyflow/fixtures"
	"keyflow/reports"
	"keyflow/suites"
)

// recordSession writes what a browser records of one acquisition from an exported fake. Each request has secrets in all places.
func recordSession(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: record SYSTEM DIR OUT [HOW]")
	}
	how := append(args, "plain")[3]
	authority, err := fakes.ReadAuthority(ts.MkAbs(args[1]))
	ts.Check(err)
	opened, err := fixtures.Open("cenc-3key")
	ts.Check(err)
	asset, err := suites.LoadAsset(opened)
	ts.Check(err)
	system := drm.System(args[0])
	profile, err := provider.Load(ts.MkAbs(filepath.Join(args[1], "plain-"+string(system)+".yaml")))
	ts.Check(err)
	box, err := pssh.Select(asset.Boxes, system)
	ts.Check(err)
	s := &setting{authority: authority}
	m, err := request(context.Background(), s.platforms(system, drm.SystemClock, false)[0], suites.Ask{Box: box}, secret.Bytes{}, drm.KindLicense)
	ts.Check(err)
	e, err := recordPost(profile.Request.URL+"?token="+canary+"-in-the-query-of-it", profile.Request.ContentType, m.Body)
	ts.Check(err)
	switch how {
	case "no-answer":
		e.status, e.answer, e.answerHeader, e.failed = 0, nil, nil, "net::ERR_NAME_NOT_RESOLVED"
	case "late":
		e.started = e.started.Add(48 * time.Hour)
	case "lost":
		e.lost = true
	}
	text, err := writeArchive([]recorded{{method: "GET", url: "https://cdn.example/a.mpd?" + canary, status: 200}, e})
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), text, 0o600))
}

func recordPost(url, contentType string, body []byte) (recorded, error) {
	e := recorded{method: http.MethodPost, url: url, body: body, started: time.Now()}
	q, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return e, err
	}
	q.Header = http.Header{
		"Content-Type": {contentType}, "Origin": {"https://player.example"}, "Authorization": {"Bearer " + canary + "-in-a-header"}, "X-Custom": {canary + "-in-another-one"},
	}
	response, err := http.DefaultClient.Do(q)
	if err != nil {
		return e, err
	}
	defer response.Body.Close()
	for _, header := range []struct {
		from http.Header
		to   *[][2]string
	}{{q.Header, &e.header}, {response.Header, &e.answerHeader}} {
		for name, values := range header.from {
			*header.to = append(*header.to, [2]string{name, values[0]})
		}
	}
	e.status, e.answerType = response.StatusCode, response.Header.Get("Content-Type")
	e.answer, err = io.ReadAll(response.Body)
	return e, err
}

// TestCheckRecordingCanary: nothing of what is secret in an archive stands in what check writes of it, wherever a service repeats it.
func TestCheckRecordingCanary(t *testing.T) {
	t.Parallel()
	wv, pr := talkWidevine(t), converse(t)
	const long = canary + "-which-is-a-longer-token"
	expired := "eyJhbGciOiJIUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(`{"exp":1700000000,"sub":"`+canary+`"}`)) + "." + canary
	url := "https://license.example/wv?token=" + long
	header := [][2]string{{"Authorization", "Bearer " + expired}, {"Cookie", "sid=" + long}, {"X-Custom", canary}, {"Origin", "https://player.example"}, {"Content-Type", octets}}
	wrapped := fmt.Appendf(nil, `{"token":%q,"challenge":%q}`, long, base64.StdEncoding.EncodeToString(wv.request))
	share := [][2]string{{"Access-Control-Allow-Origin", "https://player.example"}, {"Access-Control-Allow-Credentials", "true"}, {"Set-Cookie", "sid=" + long}, {"Server", canary}}
	dir := t.TempDir()
	name := filepath.Join(dir, "session.har")
	text := archiveOf(t,
		recorded{method: "OPTIONS", url: url, header: [][2]string{{"Access-Control-Request-Headers", "x-custom"}}, status: 302, redirect: "https://login.example/?" + long},
		recorded{method: "POST", url: url, header: header, body: wrapped, status: 403, answerHeader: share, answer: []byte(`{"status":"` + long + `","message":"` + long + `"}`), answerType: "application/json"},
		recorded{method: "POST", url: url, header: header, body: wv.request, status: 302, answerHeader: share, redirect: "https://login.example/?" + long},
		recorded{method: "POST", url: url, header: header, body: wrapped, status: 200, answerHeader: share, answer: []byte("<html>" + long), answerType: "text/html"},
		recorded{method: "POST", url: url, header: header, body: wrapped, status: 0, failed: "net::ERR_" + canary},
		recorded{method: "POST", url: "https://pr.example/rm?" + long, header: header, body: pr.request, status: 200, answerHeader: share, answer: pr.response, answerType: "text/xml"},
	)
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, asJSON := range []bool{false, true} {
		out := filepath.Join(dir, fmt.Sprint(asJSON))
		var stdout, stderr bytes.Buffer
		a := &app{out: &stdout, err: &stderr}
		f := &checkFlags{}
		f.har, f.out, f.json = name, out, asJSON
		if err := a.check(t.Context(), f); err != nil || a.exit != reports.ExitFailed {
			t.Fatalf("exit %d, %v", a.exit, err)
		}
		written := stdout.String() + stderr.String()
		files, err := filepath.Glob(filepath.Join(out, "*"))
		if err != nil || len(files) < 4 {
			t.Fatalf("%v, %v", files, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			written += string(data)
		}
		for _, what := range []string{canary, strings.ToUpper(canary), base64.StdEncoding.EncodeToString([]byte(canary))[:12]} {
			if i := strings.Index(written, what); i >= 0 {
				t.Errorf("a secret is written: %q", written[max(0, i-200):min(len(written), i+100)])
			}
		}
		if !strings.Contains(written, "token-expired") && !strings.Contains(written, "preflight-status") {
			t.Errorf("nothing is told: %s", written)
		}
	}
}
