package playready

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/drm/playready/soap"
)

// asking answers a challenge and asks for an acknowledgement.
func asking(t testing.TB, m drm.Message, transaction string) []byte {
	t.Helper()
	return answerTo(t, m.Body, func(r *response) {
		r.fields = func(r *soap.Response) { r.Transaction = transaction }
	})
}

func acknowledgement(t testing.TB, s drm.Session) drm.Message {
	t.Helper()
	m, err := s.Request(context.Background(), drm.KindAcknowledgement)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// noneAwaited checks that there is nothing to acknowledge.
func noneAwaited(t testing.TB, s drm.Session) {
	t.Helper()
	m, err := s.Request(context.Background(), drm.KindAcknowledgement)
	if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "no answer of this session asks for one") || m.Body != nil {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestAcknowledge acknowledges answers that asked for it, each of them once and in their order.
func TestAcknowledge(t *testing.T) {
	t.Parallel()
	p := testPlatform(t)
	s := openSession(t, p)
	noneAwaited(t, s)
	plain := request(t, s)
	process(t, s, plain.ID, answerTo(t, plain.Body, nil))
	noneAwaited(t, s)
	first, second := request(t, s), request(t, s)
	process(t, s, second.ID, asking(t, second, "two"))
	process(t, s, first.ID, asking(t, first, "one & only"))
	for _, want := range []string{"two", "one & only"} {
		m := acknowledgement(t, s)
		if got, err := soap.ParseAcknowledgement(m.Body); err != nil || got != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
		wantTicket := drm.Ticket{System: drm.PlayReady, Kind: drm.KindAcknowledgement, Device: p.Device(), Minted: testNow}
		if m.Kind != drm.KindAcknowledgement || m.ID == "" || m.KIDs != nil || m.URL != s.header.LAURL || m.Ticket.KIDs != nil ||
			m.Ticket.System != wantTicket.System || m.Ticket.Kind != wantTicket.Kind || m.Ticket.Device != wantTicket.Device || !m.Ticket.Minted.Equal(wantTicket.Minted) {
			t.Errorf("%+v", m)
		}
		if !slices.Equal(m.Header["Content-Type"], []string{"text/xml; charset=utf-8"}) || len(m.Header) != 2 ||
			!slices.Equal(m.Header["SOAPAction"], []string{`"http://schemas.microsoft.com/DRM/2007/03/protocols/AcknowledgeLicense"`}) {
			t.Errorf("header %v", m.Header)
		}
		o := process(t, s, m.ID, soap.AcknowledgementResponseBody(want))
		if a, ok := o.Detail.(*Answer); !ok || a.Fault != nil || a.Body != nil || o.Kind != drm.KindAcknowledgement || o.Message != m.ID || len(o.Findings) != 0 {
			t.Errorf("%+v", o)
		}
		if _, err := s.Process(context.Background(), m.ID, nil); !errors.Is(err, errUnknownMessage) {
			t.Errorf("processed again: %v", err)
		}
	}
	noneAwaited(t, s)
	if len(s.Licenses()) != 3 {
		t.Errorf("%d licenses", len(s.Licenses()))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Request(context.Background(), drm.KindAcknowledgement); !errors.Is(err, errClosed) {
		t.Errorf("closed: %v", err)
	}
}

// TestAcknowledgeUsable: an answer with a fatal finding is not acknowledged, one that a client uses in spite of a finding is.
func TestAcknowledgeUsable(t *testing.T) {
	t.Parallel()
	s := openSession(t, testPlatform(t))
	m := request(t, s)
	process(t, s, m.ID, answerTo(t, m.Body, func(r *response) {
		r.grants, r.fields = nil, func(r *soap.Response) { r.Transaction = "none" }
	}))
	noneAwaited(t, s)
	m = request(t, s)
	process(t, s, m.ID, soap.FaultBody(soap.Fault{Code: soap.CodeServiceSpecific}))
	noneAwaited(t, s)
	m = request(t, s)
	o := process(t, s, m.ID, answerTo(t, m.Body, func(r *response) {
		r.Nonce, r.fields = "", func(r *soap.Response) { r.Transaction, r.Version = "late", "2" }
	}))
	if !slices.Equal(reasons(o.Findings), []drm.Reason{ReasonForm}) {
		t.Errorf("%v", o.Findings)
	}
	if got, err := soap.ParseAcknowledgement(acknowledgement(t, s).Body); err != nil || got != "late" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestAcknowledged: of the answer only a fault is a finding, and the licenses stay.
func TestAcknowledged(t *testing.T) {
	t.Parallel()
	s := openSession(t, testPlatform(t))
	for name, c := range map[string]struct {
		body    []byte
		finding drm.Reason
	}{
		"accepted":     {soap.AcknowledgementResponseBody("id"), ""},
		"another id":   {soap.AcknowledgementResponseBody("other"), ""},
		"empty":        {nil, ""},
		"HTML":         {[]byte("<html><body></body></html>"), ""},
		"a response":   {soap.ResponseBody(soap.Response{Version: "1"}.Text(false), "", nil), ""},
		"unknown id":   {soap.FaultBody(soap.Fault{Code: soap.CodeUnknownTransactionID}), ReasonFault},
		"without code": {[]byte(strings.Replace(string(soap.FaultBody(soap.Fault{})), "<StatusCode>0x00000000</StatusCode>", "", 1)), ReasonFault},
	} {
		m := request(t, s)
		process(t, s, m.ID, asking(t, m, "id"))
		have := len(s.Licenses())
		o := process(t, s, acknowledgement(t, s).ID, c.body)
		a, ok := o.Detail.(*Answer)
		if !ok || (a.Fault != nil) != (c.finding != "") || a.Body != nil || len(a.Licenses) != 0 || len(s.Licenses()) != have {
			t.Errorf("%s: %+v", name, a)
		}
		if c.finding == "" && len(o.Findings) != 0 || c.finding != "" && !slices.Equal(reasons(o.Findings), []drm.Reason{c.finding}) {
			t.Errorf("%s: %v", name, o.Findings)
		}
		if c.finding != "" && (o.Fatal() == nil || o.Findings[0].Expected == "" || o.Findings[0].Seen == "" || o.Findings[0].Step == "") {
			t.Errorf("%s: %+v", name, o.Findings[0])
		}
	}
}
