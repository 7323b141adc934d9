package fakes_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/drm/playready"
	"keyflow/drm/playready/bcert"
	"keyflow/drm/playready/ecc"
	"keyflow/drm/playready/soap"
	"keyflow/drm/playready/xmr"
	"keyflow/drm/pssh"
	"keyflow/fakes"
)

const (
	prRevoked     = soap.Code(0x8004C065)
	prTransaction = soap.Code(0x8004C610)
)

// revokedIssuer returns the authority with a list that revokes its issuer.
func revokedIssuer(t *testing.T) *fakes.Authority {
	t.Helper()
	a := authority(t, trusted)
	_, issuerKey, issuer := a.PlayReadyIssuer()
	key, err := ecc.GenerateKey()
	must(t, err)
	signer, err := bcert.Join(issued(t, bcert.NewCRLSigner([16]byte{1}, key.Public()), issuerKey), issuer)
	must(t, err)
	list, err := bcert.IssueRevocationList(bcert.ListDigests1, 2, [][32]byte{{}, issuer.Digest}, key, signer)
	must(t, err)
	return a.WithPlayReadyRevocations(list)
}

// TestPlayReadyRevoked is row PR-SEC-12.
func TestPlayReadyRevoked(t *testing.T) {
	t.Parallel()
	a, dir := authority(t, trusted), t.TempDir()
	must(t, a.Write(dir))
	read, err := fakes.ReadAuthority(dir)
	must(t, err)
	revoked := prAsk{device: a.RevokedPlayReadyDevice()}
	for name, s := range map[string]*fakes.Server{
		"made": startPlayReady(t, fakes.Options{Authority: a}), "read": startPlayReady(t, fakes.Options{Authority: read, DeriveKIDs: []drm.KID{kid0, kid1}}),
	} {
		t.Log(name)
		for range 2 {
			checkFault(t, s, revoked.make(t).post(t, s), prRevoked, "device-revoked")
			isTrue(t, lastRecord(t, s).Device == revoked.device.Device()) // its chain is right
			acquire(t, s, prAsk{})
		}
		// A server that looks past it does not forget that it did.
		must(t, s.SetFaults(fakes.Named("pr-revocation-ignored")...))
		acquire(t, s, revoked)
		s.ClearFaults()
		checkFault(t, s, revoked.make(t).post(t, s), prRevoked, "device-revoked")
	}
	// Every certificate of a chain counts.
	s := startPlayReady(t, fakes.Options{Authority: revokedIssuer(t)})
	checkFault(t, s, prAsk{}.make(t).post(t, s), prRevoked, "device-revoked")
	acquire(t, startPlayReady(t, fakes.Options{}), prAsk{})
}

// TestPlayReadyRevocationInfo hands the list out (sheet playready.md §8.2).
func TestPlayReadyRevocationInfo(t *testing.T) {
	t.Parallel()
	isTrue(t, len(acquire(t, startPlayReady(t, fakes.Options{}), prAsk{}).Response.Revocation) == 0)
	s := startPlayReady(t, fakes.Options{PlayReady: fakes.PlayReadyOptions{RevocationInfo: true, Persistent: true}})
	o := acquire(t, s, prAsk{})
	o.verifySigned(t, s.Authority().PlayReadyRoot())
	if r := o.Response.Revocation; len(r) != 1 || r[0].ID != "ioydTlK2p0WXkWklprR5Hw==" || !bytes.Equal(r[0].Data, s.Authority().PlayReadyRevocationList()) {
		t.Errorf("%d lists", len(r))
	}
}

// acknowledge sends an acknowledgement, which must be accepted.
func acknowledge(t *testing.T, s *fakes.Server, transaction string) {
	t.Helper()
	answer := prAsk{acknowledges: transaction}.make(t).post(t, s)
	id, fault, err := soap.ParseAcknowledgementAnswer(answer.body)
	if err != nil || fault != nil || id != transaction || answer.status != http.StatusOK || answer.header.Get("Content-Type") != soap.ContentType {
		t.Errorf("status %d, %q, %v, %v", answer.status, id, fault, err)
	}
	r := lastRecord(t, s)
	if r.Operation != drm.KindAcknowledgement || r.Outcome != fakes.Answered || r.Reason != "" || r.System != drm.PlayReady || len(r.KIDs)+len(r.Granted) > 0 || r.Device != "" {
		t.Errorf("history: %+v", r)
	}
}

// TestPlayReadyAcknowledgements is rows PR-ACK-01 and -02.
func TestPlayReadyAcknowledgements(t *testing.T) {
	t.Parallel()
	s := startPlayReady(t, acknowledging)
	ids := make(map[string]bool)
	for range 20 {
		o := acquire(t, s, prAsk{})
		_, err := drm.ParseKID(o.Response.Transaction)
		isTrue(t, err == nil && o.Signature == nil && strings.Count(o.Response.Transaction, "-") == 4 && !ids[o.Response.Transaction])
		ids[o.Response.Transaction] = true
	}
	for id := range ids {
		acknowledge(t, s, id)
		checkFault(t, s, prAsk{acknowledges: id}.make(t).post(t, s), prTransaction, "transaction-id")
		isTrue(t, lastRecord(t, s).Operation == drm.KindAcknowledgement)
	}
	_, counts := s.Count()
	if got := counts[drm.KindAcknowledgement]; got != (fakes.Count{Received: 40, Answered: 20, Refused: 20}) {
		t.Errorf("%+v", got)
	}
	unquoted := acquire(t, s, prAsk{}).Response.Transaction
	answer := prAsk{acknowledges: unquoted, action: soap.ActionAcknowledgeLicense}.make(t).post(t, s)
	isTrue(t, answer.status == http.StatusOK && bytes.Equal(answer.body, soap.AcknowledgementResponseBody(unquoted)))

	// What goes with the wrong action, or is none.
	const id = "00112233-4455-6677-8899-aabbccddeeff"
	acknowledgeAction := soap.ActionHeader(soap.ActionAcknowledgeLicense)
	for name, a := range map[string]prAsk{
		"a challenge":      {action: acknowledgeAction},
		"without action":   {acknowledges: id, action: "-"},
		"AcquireLicense":   {acknowledges: id, action: soap.ActionHeader(soap.ActionAcquireLicense)},
		"cut":              {acknowledges: id, body: func(b string) string { return b[:len(b)-20] }},
		"without an id":    {acknowledges: id, body: func(b string) string { return strings.Replace(b, id, "", 1) }},
		"the vendor's":     {acknowledges: id, body: func(b string) string { return strings.Replace(b, "urn:keyflow:acknowledgement:1", "urn:other", 1) }},
		"of too many ones": {acknowledges: strings.Repeat("x", 129)},
	} {
		t.Log(name)
		checkFault(t, s, a.make(t).post(t, s), prInvalid, "malformed")
		isTrue(t, lastRecord(t, s).Operation != drm.KindAcknowledgement)
	}
	checkFault(t, s, prAsk{acknowledges: id, action: `"urn:other"`}.make(t).post(t, s), prInvalid, "soap-action")
	isTrue(t, prAsk{acknowledges: id, media: "text/html"}.make(t).post(t, s).status == http.StatusUnsupportedMediaType)

	// A server that asks for none takes none.
	s = startPlayReady(t, fakes.Options{})
	isTrue(t, acquire(t, s, prAsk{}).Response.Transaction == "")
	checkFault(t, s, prAsk{acknowledges: id}.make(t).post(t, s), prInvalid, "soap-action")
	isTrue(t, lastRecord(t, s).Operation == drm.KindAcknowledgement)
}

// TestPlayReadyAcknowledgementFaults: faults in the form of refusals are of license challenges, and a TransactionID that is always
// the same can be acknowledged as often as it was handed out.
func TestPlayReadyAcknowledgementFaults(t *testing.T) {
	t.Parallel()
	o := acknowledging
	o.Faults = fakes.Named("pr-fault-200", "pr-fault-without-code", "pr-fault-stack-trace", "pr-fault-always-600", "pr-action-quoted-only")
	s := startPlayReady(t, o)
	unknown := prAsk{acknowledges: "unknown", action: soap.ActionAcknowledgeLicense}
	checkFault(t, s, unknown.make(t).post(t, s), prTransaction, "transaction-id")
	isTrue(t, len(lastRecord(t, s).Faults) == 0)

	must(t, s.SetFaults(fakes.Named("pr-transaction-id-constant", "pr-unknown-transaction-accepted")...))
	id := acquire(t, s, prAsk{}).Response.Transaction
	for range 2 {
		isTrue(t, acquire(t, s, prAsk{}).Response.Transaction == id)
		acknowledge(t, s, id)
	}
	isTrue(t, s.Exercised("pr-unknown-transaction-accepted") == 0)
	acknowledge(t, s, "unknown")
	isTrue(t, s.Exercised("pr-unknown-transaction-accepted") == 1 && s.Exercised("pr-transaction-id-constant") == 3)
}

// TestPlayReadyStrictVersions has every version of a challenge with every one of a header (sheet playready.md §7.2).
func TestPlayReadyStrictVersions(t *testing.T) {
	t.Parallel()
	lenient, strict := startPlayReady(t, fakes.Options{}), startPlayReady(t, fakes.Options{PlayReady: fakes.PlayReadyOptions{StrictVersions: true}})
	for header, least := range map[string]string{header40(kid0, ""): "1", header41(kid0, ""): "1", header42(kid0): "4", header43("AESCTR", kid0): "5", header43("", kid0): "5"} {
		for _, version := range []string{"1", "2", "3", "4", "5"} {
			a := prAsk{header: header, la: func(la *soap.LA) { la.Version = version }}
			acquire(t, lenient, a)
			if version < least {
				checkFault(t, strict, a.make(t).post(t, strict), prVersion, "protocol-version")
			} else {
				acquire(t, strict, a)
			}
		}
		checkFault(t, strict, prAsk{header: header, la: func(la *soap.LA) { la.Version = "6" }}.make(t).post(t, strict), prVersion, "protocol-version")
	}
	// A header that cannot be read is refused for that.
	checkFault(t, strict, prAsk{header: headerKIDs("4.9.0.0", "AESCTR", kid0), la: func(la *soap.LA) { la.Version = "1" }}.make(t).post(t, strict), prInvalid, "header")
	must(t, strict.SetFaults(fakes.Named("pr-version-ignored")...))
	acquire(t, strict, prAsk{header: header43("", kid0)})
	isTrue(t, strict.Exercised("pr-version-ignored") == 1)
}

// TestPlayReadyPersistentByDefault has a server whose licenses may be stored, but for those of one track.
func TestPlayReadyPersistentByDefault(t *testing.T) {
	t.Parallel()
	o := persistentByDefault
	o.Tracks = map[drm.KID]fakes.Track{kid1: {PlayReady: fakes.PlayReadyTrack{InMemory: true}}}
	s := startPlayReady(t, o)
	both := acquire(t, s, prAsk{})
	both.verifySigned(t, s.Authority().PlayReadyRoot())
	isTrue(t, both.Response.Nonce == b64(prNonce()))
	for _, l := range both.licenses {
		isTrue(t, l.CannotPersist == (l.KID == kid1) && l.RealTimeExpiration == (l.KID == kid1) && !sameBytes(l.RightsID, prNonce()))
	}
	one := acquire(t, s, prAsk{header: header42(kid1)})
	isTrue(t, one.Signature == nil && one.Response.Nonce == "" && sameBytes(one.licenses[0].RightsID, prNonce()))

	o.Tracks[kid1] = fakes.Track{PlayReady: fakes.PlayReadyTrack{InMemory: true, Persistent: true}}
	if _, err := fakes.Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), kid1.String()) || !strings.Contains(err.Error(), "persistent and stays in memory") {
		t.Errorf("%v", err)
	}
}

// TestPlayReadySignAll signs responses whose licenses stay in memory.
func TestPlayReadySignAll(t *testing.T) {
	t.Parallel()
	s := startPlayReady(t, fakes.Options{PlayReady: fakes.PlayReadyOptions{SignAll: true}})
	o := acquire(t, s, prAsk{})
	o.verifySigned(t, s.Authority().PlayReadyRoot())
	isTrue(t, o.Response.Nonce == b64(prNonce()) && sameBytes(o.licenses[0].RightsID, prNonce()) && !sameBytes(o.licenses[1].RightsID, prNonce()))
	for _, l := range o.licenses {
		isTrue(t, l.CannotPersist && l.RealTimeExpiration && l.Outer.Find(xmr.TypeSettings) != nil)
	}
	isTrue(t, !bytes.Equal(acquire(t, s, prAsk{}).Response.ResponseID, o.Response.ResponseID))
}

// TestPlayReadyRedirectURL: it is that of the request, under the name that it came by, without its query.
func TestPlayReadyRedirectURL(t *testing.T) {
	t.Parallel()
	s := startPlayReady(t, fakes.Options{Faults: fakes.Named("pr-redirect")})
	r := prAsk{}.make(t)
	for from, to := range map[string]string{
		"https://license.test:8443": "https://license.test:8443", "http://license.test": "http://license.test", "https://[::1]": "https://[::1]",
	} {
		const path = "/playready/rightsmanager.asmx"
		w, req := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, from+path+"?token=secret&a=b", strings.NewReader(r.body))
		for name, value := range r.header {
			req.Header.Set(name, value)
		}
		s.Handler().ServeHTTP(w, req)
		a, err := soap.ParseAnswer(w.Body.Bytes())
		if err != nil || a.Fault == nil || a.Fault.RedirectURL != to+path+"?keyflow-redirected=1" || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: %s", from, w.Body)
		}
	}
	// What is refused is refused, not redirected; the first of several requests is redirected if that is the scope.
	checkFault(t, s, badSignature(t).make(t).post(t, s), prInvalid, "request-signature")
	must(t, s.SetFaults(fakes.Setting{Name: "pr-redirect", Nth: 1}))
	isTrue(t, r.post(t, s).status == http.StatusInternalServerError && lastRecord(t, s).Reason == "redirect")
	acquire(t, s, prAsk{})
}

// TestPlayReadyClientAcknowledges has keyflow's own client go the whole way: a license, and its acknowledgement.
func TestPlayReadyClientAcknowledges(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]fakes.PlayReadyOptions{
		"in memory":  {Acknowledgements: true, RevocationInfo: true, StrictVersions: true},
		"sign all":   {Acknowledgements: true, RevocationInfo: true, StrictVersions: true, SignAll: true},
		"persistent": {Acknowledgements: true, RevocationInfo: true, StrictVersions: true, Persistent: true},
	} {
		s := startPlayReady(t, fakes.Options{PlayReady: o})
		p := playready.NewPlatform(firstPlayReady(t), s.Clock()).WithRoot(s.Authority().PlayReadyRoot()).WithServerKey(s.Authority().PlayReadyServerKey())
		session, err := p.Open(t.Context(), playReadyBox(t, header43("AESCTR", kid0, kid1)), drm.Options{})
		must(t, err)
		exchange := func(kind drm.Kind) *drm.Observation {
			m, err := session.Request(t.Context(), kind)
			must(t, err)
			header := make(map[string]string)
			for name, values := range m.Header {
				header[name] = values[0]
			}
			answer, err := send(t.Context(), http.MethodPost, s.PlayReadyURL(), header, string(m.Body))
			must(t, err)
			observed, err := session.Process(t.Context(), m.ID, answer.body)
			must(t, err)
			return observed
		}
		if observed := exchange(drm.KindLicense); len(observed.Findings) > 0 || len(session.Licenses()) != 2 {
			t.Errorf("%s: %v", name, observed.Findings)
		}
		if observed := exchange(drm.KindAcknowledgement); len(observed.Findings) > 0 || lastRecord(t, s).Operation != drm.KindAcknowledgement || lastRecord(t, s).Outcome != fakes.Answered {
			t.Errorf("%s: %v, %+v", name, observed.Findings, lastRecord(t, s))
		}
		must(t, session.Close())
	}
}

// TestPlayReadyClientFinds shows that keyflow's own client notices the faults that a client can notice, and what it says.
func TestPlayReadyClientFinds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options fakes.Options
		want    []drm.Reason
	}{
		"pr-nonce-of-another":        {persistentByDefault, []drm.Reason{playready.ReasonNonce}},
		"pr-response-unsigned":       {persistentByDefault, []drm.Reason{playready.ReasonUnsigned}},
		"pr-response-digest":         {persistentByDefault, []drm.Reason{playready.ReasonDigest}},
		"pr-response-signer-foreign": {persistentByDefault, []drm.Reason{playready.ReasonSigner}},
		"pr-settings-inverted":       {fakes.Options{}, []drm.Reason{playready.ReasonNonce, playready.ReasonUnsigned}},
		"pr-redirect":                {fakes.Options{}, []drm.Reason{playready.ReasonFault}},
	} {
		c.options.Faults = fakes.Named(name)
		s := startPlayReady(t, c.options)
		p := playready.NewPlatform(firstPlayReady(t), s.Clock()).WithRoot(s.Authority().PlayReadyRoot()).WithServerKey(s.Authority().PlayReadyServerKey())
		session, err := p.Open(t.Context(), playReadyBox(t, header42(kid0)), drm.Options{})
		must(t, err)
		m, err := session.Request(t.Context(), drm.KindLicense)
		must(t, err)
		answer := prRequest{header: map[string]string{"Content-Type": m.Header["Content-Type"][0]}, body: string(m.Body)}.post(t, s)
		o, err := session.Process(t.Context(), m.ID, answer.body)
		must(t, err)
		var got []drm.Reason
		for _, f := range o.Findings {
			got = append(got, f.Reason)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// playReadyBox puts a header into a box.
func playReadyBox(t testing.TB, header string) drm.Box {
	t.Helper()
	parsed, err := pssh.ParseWRMHeaderXML(header)
	must(t, err)
	box, err := pssh.PlayReadyBox(*parsed)
	must(t, err)
	return box
}
