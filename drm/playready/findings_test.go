package playready

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"keyflow/drm"
	"keyflow/drm/playready/soap"
	"keyflow/drm/pssh"
	"keyflow/drm/secret"
)

// row is one answer, with something wrong or nothing, and all that may be said of it.
type row struct {
	name    string
	header  *pssh.WRMHeader                     // of the content; nil: for kidA, kidB and kidC, AES-CTR
	change  func(t testing.TB, r *response)     // of a right answer
	foreign func(t testing.TB, b []byte) []byte // what comes in its place

	want    []drm.Reason // all findings, in order
	seen    string       // in the first finding's Seen
	kid     *drm.KID     // that the first finding is about
	keys    []drm.KID    // of the licenses that a session may use
	decoded int          // licenses whose key came out, whatever is wrong with them
	pattern NoncePattern
	shape   []drm.Reason // findings at DepthShape; nil: as want
}

// all and others are the KIDs of usable licenses.
var (
	all    = []drm.KID{kidA, kidB, kidC}
	others = []drm.KID{kidA, kidC}
)

// fatal are the reasons after which no key may be used.
var fatal = []drm.Reason{ReasonEmptyAnswer, ReasonNotSOAP, ReasonFault, ReasonNoLicense}

// unseen are the reasons that only a device's private key finds.
var unseen = []drm.Reason{ReasonKeyUnwrap, ReasonCMAC, ReasonKeyConflict}

func (r row) run(t *testing.T) {
	t.Helper()
	p := testPlatform(t)
	box := testBox(t, all...)
	if r.header != nil {
		box = boxOf(t, *r.header)
	}
	s := openBox(t, p, box, drm.Options{})
	m := request(t, s)
	body := answerTo(t, m.Body, func(a *response) {
		if r.change != nil {
			r.change(t, a)
		}
	})
	if r.foreign != nil {
		body = r.foreign(t, body)
	}
	full, shape := p.Judge(m.Ticket, m.Body, body, drm.DepthFull), p.Judge(m.Ticket, m.Body, body, drm.DepthShape)
	o := process(t, s, m.ID, body)
	r.findings(t, o.Findings)
	r.licenses(t, s.Licenses(), o.Detail.(*Answer))
	r.verdicts(t, o, s.Licenses(), full, shape)
}

func (r row) findings(t *testing.T, findings []drm.Finding) {
	t.Helper()
	if got := reasons(findings); !slices.Equal(got, r.want) {
		t.Fatalf("findings %v, want %v: %v", got, r.want, findings)
	}
	for _, f := range findings {
		if f.Step == "" || f.Expected == "" || f.Seen == "" || f.Fatal != slices.Contains(fatal, f.Reason) {
			t.Errorf("finding is not complete, or fatal: %+v", f)
		}
		if f.KID != nil && !strings.HasPrefix(f.Seen, "license ") {
			t.Errorf("finding about key %s does not say which license: %+v", f.KID, f)
		}
	}
	if len(findings) == 0 {
		return
	}
	if !strings.Contains(findings[0].Seen, r.seen) {
		t.Errorf("seen %q, want %q in it", findings[0].Seen, r.seen)
	}
	if f := findings[0]; (f.KID == nil) != (r.kid == nil) || f.KID != nil && *f.KID != *r.kid {
		t.Errorf("finding about %v, want %v", f.KID, r.kid)
	}
}

func (r row) licenses(t *testing.T, licenses []drm.License, a *Answer) {
	t.Helper()
	var kids []drm.KID
	for _, l := range licenses {
		kids = append(kids, l.Keys[0].KID)
		if !bytes.Equal(l.Keys[0].Key.Reveal(), contentKey(l.Keys[0].KID)) {
			t.Errorf("another key for %s", l.Keys[0].KID)
		}
		if l.Policy.License < 0 || !l.Policy.CanPlay {
			t.Errorf("policy %+v", l.Policy)
		}
	}
	if !slices.Equal(kids, r.keys) {
		t.Errorf("usable keys %v, want %v", kids, r.keys)
	}
	decoded := 0
	for i, l := range a.Licenses {
		if l.Index != i {
			t.Errorf("license %d has index %d", i, l.Index)
		}
		if l.Key.Len() == 16 && l.Integrity != "" {
			decoded++
		}
	}
	if decoded != r.decoded || a.Pattern != r.pattern {
		t.Errorf("%d keys decoded, want %d; pattern %q, want %q", decoded, r.decoded, a.Pattern, r.pattern)
	}
}

// verdicts compares what the judge says with what the session said.
func (r row) verdicts(t *testing.T, o *drm.Observation, licenses []drm.License, full, shape drm.Verdict) {
	t.Helper()
	if !slices.EqualFunc(full.Findings, o.Findings, sameFinding) || full.Depth != drm.DepthFull {
		t.Errorf("judged %v, processed %v", full.Findings, o.Findings)
	}
	keys := map[drm.KID]drm.Fingerprint{}
	for _, l := range licenses {
		keys[l.Keys[0].KID] = l.Keys[0].Key.Fingerprint()
	}
	if len(keys) != len(full.Keys) {
		t.Errorf("judged keys %v, want %v", full.Keys, keys)
	}
	for kid, key := range keys {
		if full.Keys[kid] != key {
			t.Errorf("judged key %s of %s, want %s", full.Keys[kid], kid, key)
		}
	}
	if len(licenses) > 0 && full.Policy != licenses[0].Policy || len(licenses) == 0 && full.Policy != (drm.Policy{}) {
		t.Errorf("judged policy %+v", full.Policy)
	}
	want := r.shape
	if want == nil {
		want = slices.DeleteFunc(slices.Clone(r.want), func(reason drm.Reason) bool { return slices.Contains(unseen, reason) })
	}
	if got := reasons(shape.Findings); !slices.Equal(got, want) || shape.Keys != nil || shape.Depth != drm.DepthShape {
		t.Errorf("at shape depth %v, keys %v, want %v", got, shape.Keys, want)
	}
}

func sameFinding(a, b drm.Finding) bool {
	sameKID := a.KID == nil && b.KID == nil || a.KID != nil && b.KID != nil && *a.KID == *b.KID
	a.KID, b.KID = nil, nil
	return sameKID && a == b
}

func TestFindings(t *testing.T) {
	t.Parallel()
	for _, r := range slices.Concat(bodyRows(), responseRows(), licenseRows(), policyRows(), bindingRows(), signatureRows()) {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			r.run(t)
		})
	}
}

// TestEveryReasonIsFound: each reason of reasons.go is the point of a row, or of the judge's refusals.
func TestEveryReasonIsFound(t *testing.T) {
	t.Parallel()
	found := map[drm.Reason]bool{}
	for _, r := range slices.Concat(bodyRows(), responseRows(), licenseRows(), policyRows(), bindingRows(), signatureRows()) {
		for _, reason := range r.want {
			found[reason] = true
		}
	}
	for _, r := range refusals(t, drm.Message{}, drm.Message{}) {
		found[r.want] = true
	}
	file, err := parser.ParseFile(token.NewFileSet(), "reasons.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok {
			return true
		}
		text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		if n++; !found[drm.Reason(text)] {
			t.Errorf("no test finds %s, %s", spec.Names[0].Name, text)
		}
		return true
	})
	if n < 20 {
		t.Errorf("%d reasons in reasons.go", n)
	}
}

// bodyRows are foreign bodies: they are described, and nothing of them is printed.
func bodyRows() []row {
	instead := func(name, body string, want drm.Reason, seen string) row {
		return row{name: name, foreign: func(testing.TB, []byte) []byte { return []byte(body) }, want: []drm.Reason{want}, seen: seen}
	}
	rows := []row{
		instead("empty body", "", ReasonEmptyAnswer, "an empty body"),
		instead("HTML", "<html><body></body></html>", ReasonNotSOAP, "seen html"),
		instead("HTML that is no XML", "<!DOCTYPE html><html><br>", ReasonNotSOAP, "DOCTYPE"),
		instead("text", "Unauthorized: 7531", ReasonNotSOAP, "18 bytes: what is no XML"),
		instead("JSON object", ` {"license":"7531"}`, ReasonNotSOAP, "JSON"),
		instead("JSON list", "\ufeff[7531]", ReasonNotSOAP, "JSON"),
		instead("Widevine", "\x08\x02\x12\x047531", ReasonNotSOAP, "Widevine"),
		instead("bare license", "XMR\x00\x00\x00\x00\x037531", ReasonNotSOAP, "a license without its response"),
		instead("bare license in base64", vectorLicense, ReasonNotSOAP, "a license without its response"),
		instead("white space", "  \r\n", ReasonNotSOAP, "4 bytes"),
		instead("bytes", "\xff\xfe<\x00s\x00", ReasonNotSOAP, "what is no XML"),
		instead("SOAP of something else", string(bytes.ReplaceAll(soap.ResponseBody("<LicenseResponse/>", "", nil),
			[]byte("AcquireLicenseResponse"), []byte("JoinDomainResponse"))), ReasonNotSOAP, "JoinDomainResponse"),
		instead("fault", string(soap.FaultBody(soap.Fault{FaultCode: "soap:Server", Code: soap.CodeServiceSpecific})), ReasonFault, "0x8004C604"),
		instead("fault without a code", strings.Replace(string(soap.FaultBody(soap.Fault{FaultCode: "soap:Server", Text: "no"})), "0x00000000", "", 1),
			ReasonFault, "without a status code"),
	}
	cut := func(_ testing.TB, b []byte) []byte { return b[:len(b)-1] }
	long := func(_ testing.TB, b []byte) []byte { return append(b, bytes.Repeat([]byte{' '}, soap.MaxBody)...) }
	return append(rows,
		row{name: "cut", foreign: cut, want: []drm.Reason{ReasonNotSOAP}, seen: "well-formed XML"},
		row{name: "too long", foreign: long, want: []drm.Reason{ReasonNotSOAP}, seen: "at most 1048576 bytes"})
}

func replace(old, text string) func(testing.TB, *response) {
	return func(t testing.TB, r *response) {
		r.body = func(body string) string {
			if !strings.Contains(body, old) {
				t.Errorf("%q is not in the answer", old)
			}
			return strings.Replace(body, old, text, 1)
		}
	}
}

// responseRows are responses whose form is not the due one, and those that have what clients skip.
func responseRows() []row {
	form := []drm.Reason{ReasonForm}
	version := func(v string) func(testing.TB, *response) {
		return func(_ testing.TB, r *response) { r.Version = v }
	}
	return []row{
		{name: "right", keys: all, decoded: 3, pattern: NonceBigEndian},
		{name: "License in no namespace", change: func(_ testing.TB, r *response) {
			r.body = func(b string) string { return strings.ReplaceAll(b, "<License>", `<License xmlns="">`) }
		}, want: form, seen: `License of namespace ""`, keys: all, decoded: 3, pattern: NonceBigEndian},
		{name: "Version 2", change: version("2"), want: form, seen: `Version "2"`, keys: all, decoded: 3, pattern: NonceBigEndian},
		{name: "no Version", change: version(""), want: form, seen: `Version ""`, keys: all, decoded: 3, pattern: NonceBigEndian},
		{name: "Response in another namespace", change: replace("protocols/messages", "protocols"), want: form, seen: "Response of namespace", keys: all,
			decoded: 3, pattern: NonceBigEndian},
		{name: "no license", change: func(_ testing.TB, r *response) { r.grants = nil }, want: []drm.Reason{ReasonNoLicense}, seen: "none"},
		{name: "no license, odd", change: func(_ testing.TB, r *response) { r.grants, r.Version = nil, "3" },
			want: []drm.Reason{ReasonForm, ReasonNoLicense}, seen: "Version"},
		{name: "257 licenses", change: func(t testing.TB, r *response) {
			one := r.grants[0].seal(t)
			r.grants = nil
			for range maxLicenses + 1 {
				r.Licenses = append(r.Licenses, one)
			}
		}, want: form, seen: "257", keys: slices.Repeat([]drm.KID{kidA}, maxLicenses), decoded: maxLicenses, pattern: NonceUnchanged},
		{name: "what clients skip", change: func(t testing.TB, r *response) {
			r.Transaction, r.CustomData = "{11111111-2222-3333-4444-555555555555}", "hello"
			r.Revocation = []soap.RevocationData{{ID: "ioydTlK2p0WXkWklprR5Hw==", Data: []byte("list")}}
			replace("<Licenses>", "<SdkVersion>4.7</SdkVersion>\n <Licenses>\n")(t, r)
		}, keys: all, decoded: 3, pattern: NonceBigEndian},
		{name: "white space in a license", change: replace("<License>WE1S", "<License>\r\n WE\t1S\n"), keys: all, decoded: 3, pattern: NonceBigEndian},
		{name: "a license that nobody asked for", change: func(_ testing.TB, r *response) {
			more := *r.grants[0]
			more.KID, more.key = drm.KID{0xee}, contentKey(drm.KID{0xee})
			copy(more.rightsID[:], addBig(r.nonce, 3))
			r.grants = append(r.grants, &more)
		}, keys: []drm.KID{kidA, kidB, kidC, {0xee}}, decoded: 4, pattern: NonceBigEndian},
	}
}

// TestFindingsTellNothing: a foreign body is not printed, nor is a key.
func TestFindingsTellNothing(t *testing.T) {
	t.Parallel()
	p := testPlatform(t)
	m := request(t, openSession(t, p))
	vault := secret.NewVault()
	for _, kid := range all {
		vault.Add("content-key", secret.New(contentKey(kid)))
	}
	for _, r := range bodyRows() {
		body := r.foreign(t, answerTo(t, m.Body, nil))
		for _, f := range p.Judge(m.Ticket, m.Body, body, drm.DepthFull).Findings {
			if strings.Contains(f.Error(), "7531") || vault.Names([]byte(f.Error())) != nil {
				t.Errorf("%s: %v", r.name, f)
			}
		}
	}
}
