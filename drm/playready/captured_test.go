package playready

import (
	"slices"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/playready/soap"
	"keyflow/drm/secret"
)

func TestCapture(t *testing.T) {
	t.Parallel()
	p := testPlatform(t)
	m := request(t, openBox(t, p, testBox(t, kidA, kidB), drm.Options{CustomData: secret.New([]byte("canary-token-1357-2468"))}))
	c, err := Capture(m.Body)
	if err != nil {
		t.Fatal(err)
	}
	if c.System != drm.PlayReady || c.Kind != drm.KindLicense || !slices.Equal(c.KIDs, []drm.KID{kidA, kidB}) || !c.Made.Equal(testNow) ||
		string(c.Body) != string(m.Body) || c.CustomData.Len() != len("canary-token-1357-2468") {
		t.Errorf("captured %+v", c)
	}
	if again := request(t, openBox(t, p, c.Box, drm.Options{})); !slices.Equal(again.KIDs, m.KIDs) || len(c.Box.Raw) == 0 {
		t.Errorf("the box asks for %v", again.KIDs)
	}
}

func TestCaptureRefuses(t *testing.T) {
	t.Parallel()
	custom := "canary-token-1357-2468"
	m := request(t, openBox(t, testPlatform(t), testBox(t, kidA), drm.Options{CustomData: secret.New([]byte(custom))}))
	for name, message := range map[string][]byte{
		"text": []byte("<html>"), "empty": nil, "acknowledgement": soap.AcknowledgementBody("{1}"), "answer": answerTo(t, m.Body, nil),
		"custom data with a tag": []byte(strings.Replace(string(m.Body), custom, custom+"<a", 1)),
		"cut":                    m.Body[:len(m.Body)/2&^1],
	} {
		_, err := Capture(message)
		if err == nil {
			t.Errorf("%s was captured", name)
		} else if strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error tells custom data: %v", name, err)
		}
	}
}

func TestRecognizes(t *testing.T) {
	t.Parallel()
	p, e := testPlatform(t), everybody(t)
	if m := request(t, openSession(t, p)); !p.Recognizes(m.Body) {
		t.Error("its own challenge is not recognised")
	}
	for name, forge := range map[string]Forge{"another key": {Key: e.stranger}, "changed": {Tampered: func(la *soap.LA) { la.ClientTime = "1" }}} {
		if p.Recognizes(request(t, openSession(t, p.WithForge(forge))).Body) {
			t.Errorf("%s is recognised", name)
		}
	}
	if p.Recognizes([]byte("<html>")) {
		t.Error("text is recognised")
	}
}

// TestOnlooker: without the device everything that can be seen from outside is judged, and nothing counts as judged in full.
func TestOnlooker(t *testing.T) {
	t.Parallel()
	e := everybody(t)
	m := request(t, openSession(t, testPlatform(t)))
	second := request(t, openSession(t, testPlatform(t)))
	ticket := drm.Ticket{System: drm.PlayReady, Kind: drm.KindLicense, Minted: testNow}
	for _, c := range []struct {
		name            string
		request, answer []byte
		want            []drm.Reason
	}{
		{"right", m.Body, answerTo(t, m.Body, nil), nil},
		{"another device's license", m.Body, answerTo(t, m.Body, func(r *response) { r.grants[0].to = e.stranger.Public() }), nil},
		{"another request", second.Body, answerTo(t, m.Body, nil), []drm.Reason{ReasonRightsID}},
		{"fault", m.Body, soap.FaultBody(soap.Fault{Code: soap.CodeInvalidMessage, Text: "no"}), []drm.Reason{ReasonFault}},
		{"empty", m.Body, nil, []drm.Reason{ReasonEmptyAnswer}},
		{"a request that is none", []byte("<html>"), nil, []drm.Reason{ReasonRequest}},
	} {
		v := NewOnlooker(e.root.Public()).Judge(ticket, c.request, c.answer, drm.DepthFull)
		if got := reasons(v.Findings); !slices.Equal(got, c.want) || v.Keys != nil || v.Depth != drm.DepthShape {
			t.Errorf("%s: verdict %+v, want %v", c.name, v, c.want)
		}
	}
	signed := answerTo(t, m.Body, func(r *response) { r.signed = true })
	if v := NewOnlooker(e.root.Public()).Judge(ticket, m.Body, signed, drm.DepthFull); len(v.Findings) > 0 {
		t.Errorf("a signed answer: %+v", v)
	}
	if v := NewOnlooker(ecc.PublicKey{}).Judge(ticket, m.Body, signed, drm.DepthFull); !slices.Equal(reasons(v.Findings), []drm.Reason{ReasonSigner}) {
		t.Errorf("an answer that is signed under another root: %+v", v)
	}
}

// FuzzCapture: a challenge that can be captured can be judged by, whatever the answer.
func FuzzCapture(f *testing.F) {
	m := request(f, openSession(f, testPlatform(f)))
	f.Add(m.Body)
	f.Add(m.Body[:len(m.Body)-20])
	f.Add([]byte("<html>"))
	answer := vectorAnswer(f)
	f.Fuzz(func(t *testing.T, message []byte) {
		c, err := Capture(message)
		if err != nil {
			return
		}
		if c.Kind != drm.KindLicense || len(c.Body) == 0 {
			t.Fatalf("captured %+v", c)
		}
		if v := NewOnlooker(ecc.PublicKey{}).Judge(drm.Ticket{Kind: c.Kind}, c.Body, answer, drm.DepthFull); v.Depth != drm.DepthShape {
			t.Fatalf("verdict %+v", v)
		}
	})
}
